"""How styles were measured, in words, and which of them fit together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import plural, printable
from ..style import PIXELS, Fingerprint, Header

#: What makes styles fit together that were measured in several ways.
REMEDY = "measure the paintings alike with 'stylebank remeasure PAINTING...'"
#: Names of styles in a message.
_NAMED = 5
_LONGEST_VALUE = 24
_POOLINGS = {"avg": "average pooling", "max": "maximum pooling", "none": "no pooling"}
_WORDS: Mapping[str, Callable[[Any], str]] = {
    "layers": lambda value: _layers(value),
    "network": lambda value: f"network {_short(value)}",
    "weights_sha256": lambda value: f"weights {_short(value[:12])}",
    "pooling": lambda value: _POOLINGS.get(value, f"{_short(value)} pooling"),
    "padding": lambda value: f"{_short(value)} padding",
    "color": lambda value: f"color {_short(value)}",
    "resampling": lambda value: f"{_short(value)} resampling",
    "ridge": lambda value: f"ridge {value:g}",
}


def describe(fingerprint: Fingerprint, keys: Sequence[str] = ("layers", "pooling")) -> str:
    """Return fields of a fingerprint in words: ``16 layers (conv1_1 to conv5_4), average pooling``."""
    return ", ".join(words(getattr(fingerprint, key)) for key, words in _WORDS.items() if key in keys)


def differing(fingerprints: Sequence[Fingerprint]) -> list[str]:
    """Return the fields in which fingerprints differ."""
    return [key for key in _WORDS if len({getattr(each, key) for each in fingerprints}) > 1]


def groups(headers: Sequence[Header]) -> str:
    """Return the names of styles by how they were measured, each group with what differs.

    For example: ``klimt, monet: 16 layers (conv1_1 to conv5_4), average pooling; wave: 5 layers (relu1_1 to relu5_1),
    maximum pooling``.
    """
    by_fingerprint: dict[Fingerprint, list[str]] = {}
    for header in headers:
        names = by_fingerprint.setdefault(header.fingerprint, [])
        if header.name not in names:
            names.append(header.name)
    keys = differing(list(by_fingerprint)) or ["layers"]
    return "; ".join(f"{listed(names)}: {describe(fingerprint, keys)}" for fingerprint, names in by_fingerprint.items())


def listed(names: Sequence[str]) -> str:
    """Return the first names, and the count of the others."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(map(printable, names[:_NAMED])) + more


def remedy(headers: Sequence[Header]) -> str:
    """Return what makes styles fit together; of a mix or a pool, that it is computed again."""
    combined = list(dict.fromkeys(header.name for header in headers if header.recipe))
    return f"{REMEDY}, then mix or pool {listed(combined)} again" if combined else REMEDY


def _layers(layers: Sequence[str]) -> str:
    of_network = [layer for layer in layers if layer != PIXELS]
    if not of_network:
        return "no layers"
    ends = of_network[0] if len(of_network) == 1 else f"{of_network[0]} to {of_network[-1]}"
    return f"{plural(len(of_network), 'layer')} ({ends})"


def _short(value: object) -> str:
    return printable(str(value)[:_LONGEST_VALUE])
