"""Find the styles of a bank nearest to one of them, or to an image."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from stylebank import images
from stylebank.bank import Bank, similarity
from stylebank.errors import UsageError, printable
from stylebank.images import MAX_PIXELS
from stylebank.style import PIXELS, Header, Style, layer_order, nearest_scale

from ..settings import IngestSettings


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
    note: Callable[[str], None] = lambda text: None,
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
        Longest side in pixels at which styles are compared. Styles without a scale within half an octave are skipped.
    layers
        Layers to compare by, among them ``pixels``; all layers of the query by default.
    weights, allow_unknown_weights, max_pixels
        For an image, as for `pipeline.add`.
    note
        Called with each notice for the user.

    Returns
    -------
    SearchResult
        Neighbours, nearest first, without the query itself.

    Raises
    ------
    StyleNotFound, UsageError, ImageRefused, WeightsRefused
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
        query_scale = nearest_scale(header.sizes, scale)
        style = bank.get(text, scales=[query_scale])
        other_entries = [entry for entry in entries if entry[1] != path]
    else:
        style = _measure_query(
            text, [header for header, _path in entries], scale, weights, allow_unknown_weights, max_pixels
        )
        header, other_entries = style.header, entries
        (query_scale,) = style.scales
    compared_layers = layer_order(layers) if layers else header.fingerprint.layers
    header.fingerprint.require(header.name, layers=compared_layers)
    candidates, left_out = similarity.comparable(other_entries, header, query_scale, compared_layers)
    if left_out:
        total = len(other_entries)
        note(f"{left_out} of {total} styles were measured in another way or at other scales, and are left out")
    result = similarity.nearest(style.scales[query_scale], candidates, number, compared_layers)
    return similarity.SearchResult(result.neighbours, (*damaged, *result.damaged), result.compared)


def _measure_query(
    image: str,
    headers: Sequence[Header],
    scale: int,
    weights: str | Path | None,
    allow_unknown_weights: bool,
    max_pixels: int,
) -> Style:
    """Measure an image with the most frequent fingerprint of the bank."""
    if not headers:
        raise UsageError(f"{printable(image)}: the bank has no style to compare it with. Add one with 'stylebank add'.")
    images.load(image, max_pixels=max_pixels)  # a bad image is refused before the network loads
    fingerprint = Counter(header.fingerprint for header in headers).most_common(1)[0][0]
    from ..vgg.weights import load
    from .measure import measure

    vgg_weights = load(weights, allow_unknown=allow_unknown_weights)
    settings = IngestSettings(
        scales=(scale,),
        layers=tuple(layer for layer in fingerprint.layers if layer != PIXELS),
        pooling=fingerprint.pooling,
        padding=fingerprint.padding,
    )
    style = measure(image, vgg_weights, settings, name="the picture", max_pixels=max_pixels)
    style.header.fingerprint.require(printable(image), weights_sha256=fingerprint.weights_sha256)
    return style
