"""Distances between styles in memory, and between all styles of a bank."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, overload

import numpy as np

from ..errors import UsageError, printable
from ..frames import load_pandas
from ..math.gaussian import Array, layer_distance
from ..style import Header, Style, layer_order
from .bank import Bank
from .fingerprints import remedy
from .similarity import SCALE, common_scales, distance, incomparable

if TYPE_CHECKING:
    import pandas

#: Styles that are kept in memory while all others are compared with them.
_BLOCK = 12


class _Comparison(NamedTuple):
    """The scales, in pixels, and the layers at which two styles are compared."""

    first_scale: int
    second_scale: int
    layers: tuple[str, ...]


def style_distance(first: Style, second: Style, scale: int = SCALE, layers: Sequence[str] = ()) -> float:
    """Return the distance of two styles; parameters and errors are those of `Style.distance`."""
    chosen = _comparison(first.header, first.scales, second.header, second.scales, scale, layers)
    return distance(first.scales[chosen.first_scale], second.scales[chosen.second_scale], chosen.layers)


def layer_distances(first: Style, second: Style, scale: int = SCALE, layers: Sequence[str] = ()) -> dict[str, float]:
    """Return the distance of each layer; parameters and errors are those of `Style.distance`."""
    chosen = _comparison(first.header, first.scales, second.header, second.scales, scale, layers)
    ours, theirs = first.scales[chosen.first_scale], second.scales[chosen.second_scale]
    return {layer: float(np.sqrt(layer_distance(ours[layer], theirs[layer]))) for layer in chosen.layers}


def _comparison(
    first: Header,
    first_scales: Mapping[int, object],
    second: Header,
    second_scales: Mapping[int, object],
    scale: int,
    layers: Sequence[str],
) -> _Comparison:
    names = f"styles {printable(first.name)!r} and {printable(second.name)!r}"
    common = [layer for layer in first.fingerprint.layers if layer in second.fingerprint.layers]
    chosen = layer_order(layers or common or first.fingerprint.layers)
    for header, other in ((first, second), (second, first)):
        reason = incomparable(header, other, chosen)
        if reason:
            raise UsageError(
                f"{names}: cannot be compared, {printable(header.name)!r} is {reason}. "
                f"Give other layers, or {remedy([first, second])}."
            )
    scales = common_scales(first_scales, second_scales, scale)
    if scales is None:
        raise UsageError(
            f"{names}: no scales within half an octave of each other, {_listed(first_scales)} and "
            f"{_listed(second_scales)} pixels. "
            "'stylebank remeasure PAINTING --scales LIST' measures one at the scales of the other."
        )
    return _Comparison(*scales, chosen)


def _listed(scales: Mapping[int, object]) -> str:
    return ", ".join(map(str, sorted(scales)))


@overload
def distance_matrix(
    bank: Bank,
    names: Sequence[str] | None = None,
    *,
    scale: int = SCALE,
    layers: Sequence[str] = (),
    as_frame: Literal[False] = False,
) -> Array: ...


@overload
def distance_matrix(
    bank: Bank,
    names: Sequence[str] | None = None,
    *,
    scale: int = SCALE,
    layers: Sequence[str] = (),
    as_frame: Literal[True],
) -> pandas.DataFrame: ...


def distance_matrix(
    bank: Bank,
    names: Sequence[str] | None = None,
    *,
    scale: int = SCALE,
    layers: Sequence[str] = (),
    as_frame: bool = False,
) -> Array | pandas.DataFrame:
    """Return the pairwise distances of styles, as `Style.distance` computes them.

    The time grows with the square of the number of styles. Few of them are in memory at a time.

    Parameters
    ----------
    bank
    names
        Styles in the order of the rows; by default all, in the order of ``bank.names()``.
    scale, layers
        As for `Style.distance`.
    as_frame
        Return a table with the names as index and columns. It needs pandas.

    Returns
    -------
    ndarray, float64, shape (n, n), or pandas.DataFrame
        Symmetric, zeros on the diagonal. NaN where two styles cannot be compared.

    Raises
    ------
    UsageError
        If there are several styles, and no two of them can be compared; or if `as_frame` is set and pandas is not
        installed.
    StyleNotFound, StyleDamaged, StyleUnreadable
        If a style cannot be read.
    """
    pandas = load_pandas() if as_frame else None
    if isinstance(names, str):
        raise UsageError(f"names {printable(names)!r}: expected several names. Give a list.")
    chosen = bank.names() if names is None else list(names)
    headers = [bank.header(name) for name in chosen]
    distances = _matrix(headers, lambda name, scales: bank.get(name, scales=scales), scale, layers)
    return distances if pandas is None else pandas.DataFrame(distances, index=chosen, columns=chosen)


def _matrix(
    headers: Sequence[Header], load: Callable[[str, Sequence[int]], Style], scale: int, layers: Sequence[str]
) -> Array:
    """Return the matrix; `load` is a function of a name and scales that returns the style."""
    count = len(headers)
    distances = np.zeros((count, count))
    comparisons: dict[tuple[int, int], _Comparison] = {}
    refusal: UsageError | None = None
    layers = layer_order(layers) if layers else ()
    for first, second in _pairs(count):
        one, other = headers[first], headers[second]
        try:
            comparisons[first, second] = _comparison(one, one.sizes, other, other.sizes, scale, layers)
        except UsageError as error:
            refusal = refusal or error
            distances[first, second] = distances[second, first] = np.nan
    if refusal is not None and not comparisons:
        raise refusal
    needed: dict[int, set[int]] = {}
    for (first, second), chosen in comparisons.items():
        needed.setdefault(first, set()).add(chosen.first_scale)
        needed.setdefault(second, set()).add(chosen.second_scale)
    for start in range(0, count, _BLOCK):
        block = {index: load(headers[index].name, sorted(needed[index])) for index in _within(needed, start)}
        for second in range(start + 1, count):
            firsts = [first for first in block if (first, second) in comparisons]
            if not firsts:
                continue
            style = block.get(second) or load(headers[second].name, sorted(needed[second]))
            for first in firsts:
                chosen = comparisons[first, second]
                value = distance(
                    block[first].scales[chosen.first_scale], style.scales[chosen.second_scale], chosen.layers
                )
                distances[first, second] = distances[second, first] = value
    return distances


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((first, second) for first in range(count) for second in range(first + 1, count))


def _within(needed: Mapping[int, object], start: int) -> list[int]:
    return [index for index in range(start, start + _BLOCK) if index in needed]
