"""Find the styles of a bank nearest to one of them, or to an image."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from stylebank import images
from stylebank.bank import Bank, similarity
from stylebank.bank.fingerprints import REMEDY, listed
from stylebank.errors import UsageError, plural, printable
from stylebank.images import MAX_PIXELS
from stylebank.style import PIXELS, Header, Style, layer_order, nearest_scale

from ..settings import IngestSettings

_log = logging.getLogger("stylebank")


def similar(
    bank: Bank,
    query: str | os.PathLike[str],
    *,
    number: int = 5,
    scale: int = similarity.SCALE,
    layers: Sequence[str] = (),
    weights: str | Path | None = None,
    allow_unknown_weights: bool = False,
    max_pixels: int = MAX_PIXELS,
    note: Callable[[str], None] = _log.info,
) -> similarity.SearchResult:
    """Find the styles nearest to a style of the bank, or to an image.

    Parameters
    ----------
    bank
        The bank to search.
    query
        A style's name, or an image file, which is measured with the most frequent fingerprint of the bank.
    number
        The most neighbours to return.
    scale
        Longest side in pixels at which to compare. Styles without a scale within half an octave are compared at the
        scale nearest to it that they share with the query; an image is measured at the scales that the bank needs.
    layers
        Layers to compare by, among them ``pixels``; all layers of the query by default.
    weights, allow_unknown_weights, max_pixels
        For an image, as for `pipeline.add`.
    note
        Called with each notice for the user. The default logs it to ``stylebank``.

    Returns
    -------
    SearchResult
        Neighbours, nearest first, without the query itself.

    Raises
    ------
    StyleNotFound, ImageRefused, WeightsRefused
    UsageError
        If the bank has other styles and none can be compared.
    """
    entries, damaged = bank.entries()
    text = os.fspath(query)
    try:
        path = bank.path(text) if isinstance(query, str) else None
    except UsageError as error:
        if not Path(text).is_file():
            raise type(error)(f"{error} There is no image of that name either.") from None
        path = None
    if path is not None:
        header = bank.header(text)
        other_entries = [entry for entry in entries if entry[1] != path]
        style = None
    else:
        style = _measure_query(text, entries, scale, layers, weights, allow_unknown_weights, max_pixels)
        header, other_entries = style.header, entries
    compared_layers = layer_order(layers) if layers else header.fingerprint.layers
    header.fingerprint.require(header.name, layers=compared_layers)
    candidates, left_out = similarity.comparable(other_entries, header, scale, compared_layers, list(header.sizes))
    if left_out and not candidates:
        raise UsageError(_nothing_comparable(text, left_out))
    for text_of_note in _notes(candidates, left_out, scale):
        note(text_of_note)
    if style is None:
        style = bank.get(text, scales=sorted({candidate.query_scale for candidate in candidates}) or None)
    result = similarity.nearest(style.scales, candidates, number, compared_layers)
    return replace(result, damaged=(*damaged, *result.damaged), left_out=tuple(left_out))


def _notes(
    candidates: Sequence[similarity.Candidate], left_out: Sequence[similarity.LeftOut], scale: int
) -> Iterator[str]:
    """Yield a note on each reason to leave styles out, and one on styles that are compared far from `scale`."""
    total = len(candidates) + len(left_out)
    yield from similarity.left_out_notes(left_out, total)
    by_scale: dict[int, list[str]] = {}
    for candidate in candidates:
        if similarity.common_scales([candidate.scale], [scale], scale) is None:
            by_scale.setdefault(candidate.scale, []).append(candidate.header.name)
    for other, names in by_scale.items():
        yield f"{len(names)} of {plural(total, 'style')} compared at {other} pixels, not {scale}: {listed(names)}"


def _nothing_comparable(query: str, left_out: Sequence[similarity.LeftOut]) -> str:
    """Return the message for a query that no style can be compared with."""
    reason, count = Counter(each.reason for each in left_out).most_common(1)[0]
    return (
        f"{printable(query)}: no style of the bank can be compared with it, "
        f"{count:,} of {plural(len(left_out), 'style')} {reason}. "
        f"Give fewer --layers, or {REMEDY} and the same --scales."
    )


def _measure_query(
    image: str,
    entries: Sequence[tuple[Header, Path]],
    scale: int,
    layers: Sequence[str],
    weights: str | Path | None,
    allow_unknown_weights: bool,
    max_pixels: int,
) -> Style:
    """Measure an image with the most frequent fingerprint of the bank, at the scales that its styles need."""
    if not entries:
        raise UsageError(f"{printable(image)}: the bank has no style to compare it with. Add one with 'stylebank add'.")
    images.load(image, max_pixels=max_pixels)  # a bad image is refused before the network loads
    fingerprint = Counter(header.fingerprint for header, _path in entries).most_common(1)[0][0]
    reference = next(header for header, _path in entries if header.fingerprint == fingerprint)
    wanted = layers or fingerprint.layers
    comparable = [header for header, _path in entries if not similarity.incomparable(header, reference, wanted)]
    from ..vgg.weights import load
    from .measure import measure

    vgg_weights = load(weights, allow_unknown=allow_unknown_weights)
    settings = IngestSettings(
        scales=_scales_to_measure([list(header.sizes) for header in comparable], scale),
        layers=tuple(layer for layer in fingerprint.layers if layer != PIXELS),
        pooling=fingerprint.pooling,
        padding=fingerprint.padding,
    )
    style = measure(image, vgg_weights, settings, name="the picture", max_pixels=max_pixels)
    style.header.fingerprint.require(printable(image), weights_sha256=fingerprint.weights_sha256)
    return style


def _scales_to_measure(styles: Sequence[Sequence[int]], scale: int) -> tuple[int, ...]:
    """Return few scales of which every style has one within half an octave, `scale` first if it serves any."""

    def served(by: Sequence[int]) -> list[Sequence[int]]:
        return [sizes for sizes in styles if similarity.common_scales(by, sizes, scale) is not None]

    chosen = [scale] if served([scale]) else []
    for sizes in styles:
        if similarity.common_scales(chosen, sizes, scale) is None:
            chosen.append(nearest_scale(sizes, scale))
    return tuple(chosen or [scale])
