"""What an order may ask for, checked before it waits in the queue."""

from __future__ import annotations

from typing import Any

from stylebank.bank import Bank
from stylebank.errors import UsageError, printable

from ..jobs import presets
from ..jobs.style_spec import parse
from ..settings import SynthesisSettings, synthesis_settings
from .model import PictureRequest, style_texts

#: Largest side of a picture that the page orders, in pixels; `apply` makes larger ones.
MAX_SIZE = 8192
#: Half of what the command line reads: the server decodes photographs in its own process.
MAX_PAGE_PIXELS = 40_000_000
#: Settings that a request may have, besides styles and mask.
SETTINGS = frozenset(
    {
        *("preset", "size", "steps", "strength", "content_weight", "tv_weight", "style_scale", "keep_color"),
        *(
            "content_detail",
            "content_layers",
            "match_color",
            "optimizer",
            "precision",
            "seed",
            "format",
            "quality",
            "metadata",
            "dpi",
            "print",
            "fit",
            "layers",
        ),
    }
)


def check_order(bank: Bank, request: PictureRequest) -> tuple[dict[str, Any], float]:
    """Return the settings of an order, and a cost of each picture that is proportional to its time.

    Raises
    ------
    StylebankError
        What planning the job would raise about its styles and settings.
    """
    settings = checked_settings(request.settings)
    names = sorted(part.name for part in request.styles)
    if len(set(names)) < len(names):
        raise UsageError("A style is in the blend twice. Choose each once.")
    for name in names:
        bank.header(name)
    if sorted(parse(style_texts(request.styles), exists=bank.__contains__).names) != names:
        raise UsageError("The names of these styles cannot be told apart from weights. Rename one of them.")
    synthesis = _synthesis(bank, settings)
    _check_size(synthesis.size)
    return settings, float(synthesis.size**2 * synthesis.steps)


def checked_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a request without those that are None.

    Raises
    ------
    UsageError
        If one is not for the page, such as a path.
    """
    unknown = sorted(set(settings) - SETTINGS)
    if unknown:
        raise UsageError(f"setting {printable(unknown[0])!r}: not one of the page. Use 'stylebank apply' for it.")
    chosen = {key: value for key, value in settings.items() if value is not None}
    return chosen


def _synthesis(bank: Bank, settings: dict[str, Any]) -> SynthesisSettings:
    preset = presets.find(bank, settings.get("preset"))
    values = {key: value for key, value in preset.values.items() if key in SynthesisSettings.__dataclass_fields__}
    return synthesis_settings(preset.base, **values | {key: settings[key] for key in settings if key != "preset"})


def _check_size(size: int) -> None:
    if size > MAX_SIZE or size == 0:
        raise UsageError(f"size {size}: expected 32 to {MAX_SIZE:,} pixels. 'stylebank apply' makes larger pictures.")
