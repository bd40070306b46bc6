"""Distances between styles, and nearest neighbours with few complete comparisons.

The distance of two styles is computed per layer, at one scale. Each layer's W2^2 is divided by the variance of both
pooled equally, so that no layer dominates:

    d^2 = mean over layers of W2^2 / v,   v = (tr S1 + tr S2) / 2 + |m1 - m2|^2 / 4

It is 0 for equal styles and at most 2. The search uses two lower bounds of W2^2. The first needs only means and
spectra (von Neumann's inequality for the cross term):

    |m1 - m2|^2 + |sqrt(l1) - sqrt(l2)|^2,   l1, l2 the eigenvalues, largest first

It is never below the bound by the traces. The second is the sum of the W2^2 of the marginals on orthogonal
subspaces: the leading axes of one style are one subspace, and each of its other axes is one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StyleFileError, UsageError, plural
from ..math.gaussian import PrincipalAxes, layer_distance, spectral_bound
from ..storage import reader
from ..style import Gaussian, Header
from .combine import SAME_SCALE
from .fingerprints import REMEDY, describe, differing, listed

#: Default scale of comparisons: longest side in pixels.
SCALE = 512

Layers = Mapping[str, Gaussian]


@dataclass(frozen=True)
class Neighbour:
    """A style and its distance.

    Attributes
    ----------
    name : str
    distance : float
        0 to 2.
    shares : dict of str to float
        Fraction of the squared distance per layer; they sum to 1, or are all 0.
    """

    name: str
    distance: float
    shares: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values for JSON."""
        return {"name": self.name, "distance": self.distance, "shares": dict(self.shares)}


@dataclass(frozen=True, eq=False)
class Candidate:
    """A style file to compare.

    Attributes
    ----------
    header : Header
    path : Path
    scale : int
        Scale of the style, in pixels.
    query_scale : int
        Scale of the query, within half an octave.
    """

    header: Header
    path: Path
    scale: int
    query_scale: int


@dataclass(frozen=True)
class LeftOut:
    """A style that cannot be compared, and the reason in words."""

    name: str
    reason: str


@dataclass(frozen=True)
class SearchResult:
    """Result of `nearest`.

    Attributes
    ----------
    neighbours : tuple of Neighbour
        Nearest first.
    damaged : tuple of StyleFileError
        Files that could not be read.
    compared : int
        Number of styles whose distance was computed completely.
    left_out : tuple of LeftOut
        Styles that cannot be compared.
    """

    neighbours: tuple[Neighbour, ...]
    damaged: tuple[StyleFileError, ...]
    compared: int
    left_out: tuple[LeftOut, ...] = ()


def comparable(
    headers: Sequence[tuple[Header, Path]],
    reference: Header,
    scale: int,
    layers: Sequence[str],
    query_scales: Sequence[int] = (),
) -> tuple[list[Candidate], list[LeftOut]]:
    """Return the styles that can be compared, and those that cannot.

    Parameters
    ----------
    headers
        Headers with their files.
    reference
        A style can be compared if its fingerprint has no `Fingerprint.differences` from this one's.
    scale
        Longest side in pixels at which to compare, if possible.
    layers
        A style needs all of them.
    query_scales
        Scales of the query; `scale` alone by default. A style needs a scale within half an octave of one of them.
        Of several such pairs, the one nearest to `scale` is compared.
    """
    candidates, left_out = [], []
    query_scales = query_scales or (scale,)
    for header, path in headers:
        reason = incomparable(header, reference, layers)
        pair = None if reason else common_scales(query_scales, header.sizes, scale)
        if pair is not None:
            candidates.append(Candidate(header, path, pair[1], pair[0]))
        else:
            reason = reason or f"measured at {_listed(header.sizes)} pixels, not near {_listed(query_scales)}"
            left_out.append(LeftOut(header.name, reason))
    return candidates, left_out


def incomparable(header: Header, reference: Header, layers: Sequence[str]) -> str:
    """Return why two styles cannot be compared at any scale; empty if they can."""
    missing = [layer for layer in layers if layer not in header.fingerprint.layers]
    differences = header.fingerprint.differences(reference.fingerprint)
    if differences:
        both = [header.fingerprint, reference.fingerprint]
        value, wanted = (describe(fingerprint, differing(both)) for fingerprint in both)
        return f"measured with {value}, not {wanted}"
    return f"measured without {listed(missing)}" if missing else ""


def left_out_notes(left_out: Sequence[LeftOut], total: int) -> Iterator[str]:
    """Yield a note on each reason to leave styles out of `total`, and one on what to do."""
    by_reason: dict[str, list[str]] = {}
    for each in left_out:
        by_reason.setdefault(each.reason, []).append(each.name)
    for reason, names in by_reason.items():
        yield f"{len(names)} of {plural(total, 'style')} left out, {reason}: {listed(names)}"
    if by_reason:
        yield f"to compare them, too, {REMEDY} and the same --scales"


def common_scales(first: Iterable[int], second: Iterable[int], scale: int) -> tuple[int, int] | None:
    """Return the pair of scales within half an octave of each other that is nearest to `scale`; None without one."""

    def ratio(one: int, other: int) -> float:
        return max(one, other) / min(one, other)

    second = list(second)
    pairs = [(one, other) for one in first for other in second if ratio(one, other) <= SAME_SCALE]
    return min(pairs, key=lambda pair: (max(ratio(pair[0], scale), ratio(pair[1], scale)), pair), default=None)


def _listed(scales: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(scales)))


def nearest(
    query: Mapping[int, Layers], candidates: Sequence[Candidate], number: int, layers: Sequence[str]
) -> SearchResult:
    """Return the styles nearest to one, nearest first. The result equals that of an exhaustive search.

    The search is best-first. The style with the lowest bound gets a tighter bound, and finally its distance, until
    `number` distances are below all other bounds.

    Parameters
    ----------
    query
        Layers by scale.
    candidates
        As returned by `comparable`.
    number
        Number of neighbours, 1 or more.
    layers
        Layers to compare.
    """
    if number < 1:
        raise UsageError(f"number {number}: expected 1 or more.")
    axes = {
        scale: {layer: PrincipalAxes(query[scale][layer]) for layer in layers}
        for scale in {candidate.query_scale for candidate in candidates}
    }
    damaged: list[StyleFileError] = []
    queue: list[tuple[float, int, int, dict[str, float]]] = []
    for index, candidate in enumerate(candidates):
        try:
            parts = reader.read_parts(candidate.path, candidate.scale, ("mean", "eigenvalues"), layers)
        except StyleFileError as error:
            damaged.append(error)
            continue
        query_layers = query[candidate.query_scale]
        bounds = {layer: spectral_bound(query_layers[layer], **parts[layer]) for layer in layers}
        queue.append((_root_mean(bounds), index, 0, bounds))
    heapq.heapify(queue)
    neighbours: list[Neighbour] = []
    compared = 0
    while queue and len(neighbours) < number:
        bound, index, stage, layer_bounds = heapq.heappop(queue)
        candidate = candidates[index]
        if stage == 2:
            total = sum(layer_bounds.values())
            shares = {layer: value / total if total else 0.0 for layer, value in layer_bounds.items()}
            neighbours.append(Neighbour(candidate.header.name, bound, shares))
            continue
        try:
            if stage == 0:
                parts = reader.read_parts(candidate.path, candidate.scale, ("mean", "cov_sqrt", "eigenvalues"), layers)
                bounds = {layer: axes[candidate.query_scale][layer].bound(**parts[layer]) for layer in layers}
                tighter = {layer: max(layer_bounds[layer], bounds[layer]) for layer in layers}
            else:
                style = reader.read(candidate.path, [candidate.scale]).scales[candidate.scale]
                query_layers = query[candidate.query_scale]
                tighter = {layer: layer_distance(query_layers[layer], style[layer]) for layer in layers}
                compared += 1
        except StyleFileError as error:
            damaged.append(error)
            continue
        heapq.heappush(queue, (_root_mean(tighter), index, stage + 1, tighter))
    return SearchResult(tuple(neighbours), tuple(damaged), compared)


def distance(first: Layers, second: Layers, layers: Sequence[str]) -> float:
    """Return the distance of two styles over `layers`, 0 to 2."""
    return _root_mean({layer: layer_distance(first[layer], second[layer]) for layer in layers})


def _root_mean(layer_distances: Mapping[str, float]) -> float:
    return float(np.sqrt(sum(layer_distances.values()) / len(layer_distances)))
