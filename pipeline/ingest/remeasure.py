"""Measure a painting anew for the styles of a bank that are of it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylebank import images
from stylebank.bank import Bank
from stylebank.bank.recipes import recipe_of
from stylebank.errors import StylebankError, StyleNotFound, UsageError, printable
from stylebank.files import digest_file
from stylebank.images import MAX_PIXELS
from stylebank.style import PIXELS, Fingerprint, Header, Style

from ..settings import IngestSettings, ingest_settings
from .outdated import preset_of

_log = logging.getLogger("stylebank")

#: Settings that say how to measure, where scales say at which sizes.
_MEASURE = ("layers", "pooling", "padding")


@dataclass(frozen=True)
class Remeasurement:
    """A style of a painting that was measured anew, or is to be.

    Attributes
    ----------
    status : {"measured", "planned", "unchanged"}
    before, after : Header
        The header until now, and the new one. If the style is only planned, the new one has no digest and no time.
    reason : str
        Why the style is unchanged, in words.
    """

    status: str
    before: Header
    after: Header
    reason: str = ""

    @property
    def name(self) -> str:
        """Name of the style."""
        return self.before.name


def remeasure(
    bank: Bank,
    image: str | os.PathLike[str],
    *,
    preset: str | None = None,
    weights: str | Path | None = None,
    allow_unknown_weights: bool = False,
    max_pixels: int = MAX_PIXELS,
    dry_run: bool = False,
    note: Callable[[str], None] = _log.info,
    on_scale: Callable[[int, int, int], None] = lambda scale, number, total: None,
    **settings: Any,
) -> list[Remeasurement]:
    """Measure a painting anew for each style of the bank that is of it, whatever its name.

    A style is of the painting if it was measured from the same bytes. It keeps its name, its tags and its scales,
    and has a thumbnail if it had one. The trash keeps it as it was. A style that has these settings is unchanged,
    and so is one of a preset, unless a setting other than the scales is passed.

    Parameters
    ----------
    bank
        The bank.
    image
        Path of the painting.
    preset, weights, allow_unknown_weights, max_pixels, note, on_scale
        As for `add`.
    dry_run
        Measure nothing, and return what would be measured.
    **settings
        Fields of `IngestSettings`; ``scales`` by default are those of each style.

    Returns
    -------
    list of Remeasurement
        One per style of the painting, by name.

    Raises
    ------
    StyleNotFound
        If the bank has no style of the painting.
    StylebankError
        As `add` raises it; or if a style was replaced or removed meanwhile.
    """
    from ..vgg.weights import load

    ingest_settings(preset, **settings)
    digest, headers = _headers_of(bank, image, max_pixels)
    vgg_weights = load(weights, allow_unknown=allow_unknown_weights)
    chosen = preset is not None or any(settings.get(key) is not None for key in _MEASURE)
    results: dict[str, Remeasurement] = {}
    to_measure: dict[IngestSettings, list[Header]] = {}
    for header in headers:
        measure_settings = _settings_for(header, preset, settings)
        after = _planned(header, measure_settings, vgg_weights.sha256)
        known_preset = None if chosen else preset_of(header.fingerprint)
        if known_preset is not None:
            reason = f"measured with --preset {known_preset} by choice"
            results[header.name] = Remeasurement("unchanged", header, header, reason)
        elif (after.fingerprint, after.sizes) == (header.fingerprint, dict(header.sizes)):
            results[header.name] = Remeasurement("unchanged", header, header, "measured with these settings already")
        else:
            results[header.name] = Remeasurement("planned", header, after)
            to_measure.setdefault(measure_settings, []).append(header)
    for measure_settings, members in {} if dry_run else to_measure.items():
        from .measure import measure

        style = measure(
            image,
            vgg_weights,
            measure_settings,
            name=members[0].name,
            max_pixels=max_pixels,
            note=note,
            on_scale=on_scale,
        )
        if style.header.source.sha256 != digest:
            raise StylebankError(f"{printable(image)}: changed while it was measured. Run this again.")
        for header in members:
            after = bank.update(header.name, lambda current: _exchanged(current, style), keep=True)  # noqa: B023
            results[header.name] = Remeasurement("measured", header, after)
    return list(results.values())


def _headers_of(bank: Bank, image: str | os.PathLike[str], max_pixels: int) -> tuple[str, list[Header]]:
    """Return the digest of a painting, and the headers of the styles that are of it."""
    path = Path(image)
    try:
        digest = digest_file(path)
    except OSError:
        _refuse_name(bank, os.fspath(image))
        images.load(image, max_pixels=max_pixels)  # raises the reason
        raise
    all_headers, damaged = bank.headers()
    headers = [header for header in all_headers if header.source.sha256 == digest and not header.recipe]
    if headers:
        return digest, headers
    images.load(image, max_pixels=max_pixels)  # a file that is no painting has a better reason
    name = printable(path.name)
    similar = next((header for header in all_headers if header.name == path.stem), None)
    similar = similar or next((header for header in all_headers if header.source.filename == name), None)
    if similar is not None and not similar.recipe:
        advice = f"Style {similar.name!r} is of a file with other bytes; 'stylebank add --replace' measures this one."
    else:
        advice = "'stylebank add' measures it."
    unread = f" {len(damaged):,} damaged files were not searched." if damaged else ""
    raise StyleNotFound(
        f"{printable(image)}: no style in the bank {printable(bank.folder)} is of this file. {advice}{unread}"
    )


def _refuse_name(bank: Bank, text: str) -> None:
    """Say what to do with the name of a style."""
    if text not in bank:
        return
    header = bank.header(text)
    recipe = recipe_of(header)
    if header.recipe:
        kind = recipe.kind if recipe is not None else "mix"
        parts = f" of {', '.join(printable(part.name) for part in recipe.parts)}" if recipe is not None else ""
        raise StyleNotFound(
            f"{printable(text)}: a {kind}{parts}, which has no painting. "
            f"Measure the paintings of its parts anew, then compute it again with 'stylebank {kind} --replace'."
        )
    raise StyleNotFound(
        f"{printable(text)}: the name of a style, not a file. Give its painting, {printable(header.source.filename)}."
    )


def _settings_for(header: Header, preset: str | None, settings: dict[str, Any]) -> IngestSettings:
    """Return the settings to measure a style with: at its scales, unless others are chosen."""
    scales = settings.get("scales")
    if scales is None and preset is None:
        scales = tuple(header.sizes)
    return ingest_settings(preset, **{**settings, "scales": scales})


def _planned(header: Header, settings: IngestSettings, weights_sha256: str) -> Header:
    """Return a header as a measurement with these settings would have it, without digest and time."""
    size = header.source.width, header.source.height
    longest = max(size)
    sizes = {}
    for scale in sorted({min(scale, longest) for scale in settings.scales} or {longest}):
        with contextlib.suppress(UsageError):  # too thin for this scale
            sizes[scale] = header.sizes.get(scale) or images.fit(size, scale)
    fingerprint = Fingerprint(
        weights_sha256, (PIXELS, *settings.layers), settings.pooling, settings.padding, resampling=images.RESAMPLING
    )
    return dataclasses.replace(header, fingerprint=fingerprint, sizes=sizes, content_sha256="", created="")


def _exchanged(current: Style, measured: Style) -> Style:
    """Return the new measure with the name and the tags of a style; with a thumbnail if it has one."""
    if current.header.recipe or current.header.source.sha256 != measured.header.source.sha256:
        raise StylebankError(f"style {current.name!r} was replaced during the measurement. Run this again.")
    header = dataclasses.replace(measured.header, name=current.name, tags=current.header.tags)
    return dataclasses.replace(measured, header=header, thumbnail=measured.thumbnail if current.thumbnail else b"")
