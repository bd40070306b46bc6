"""How far styles are apart, and which are nearest, without comparing each with each in full.

The distance of two styles is taken layer by layer, at one scale, as a share of the variance
that the two have when pooled half and half, so that no layer drowns the rest:

    d^2 = mean over layers of W2^2 / v,   v = (tr S1 + tr S2) / 2 + |m1 - m2|^2 / 4

It is 0 for equal styles and at most 2. Two lower bounds of W2^2 come before it. From means and
spectra alone (von Neumann's inequality for the cross term),

    |m1 - m2|^2 + |sqrt(l1) - sqrt(l2)|^2,   l1, l2 the eigenvalues, largest first

which is never below the bound by the traces. And, as W2^2 is at least the sum of the W2^2 of
the marginals on orthogonal subspaces, from the leading axes of one style as one subspace and
each of its other axes as another.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from ..errors import StyleDamaged, UsageError
from ..math.gaussian import eigen
from ..storage import reader as format
from ..style import Gaussian, Header, Style, nearest_scale
from .combine import SAME_SCALE

#: Longest side of the scale at which styles are compared unless told otherwise.
SCALE = 512
#: Leading axes that the second bound takes together.
AXES = 64
#: A layer nearer than this is measured with all digits.
_NEAR = 1e-3
#: What rounding can take from a bound, as a share of the variance.
_SLACK = 1e-5

Layers = Mapping[str, Gaussian]


@dataclass(frozen=True)
class Neighbour:
    """A style and how far it is.

    Attributes
    ----------
    name : str
    distance : float
        0 to 2.
    shares : dict of str to float
        Of the squared distance, by layer; they sum to 1, or are all 0.
    """

    name: str
    distance: float
    shares: Mapping[str, float]

    def plain(self) -> dict[str, Any]:
        """Return all fields, fit for JSON."""
        return {"name": self.name, "distance": self.distance, "shares": dict(self.shares)}


@dataclass(frozen=True, eq=False)
class Entry:
    """A style file to compare with, at the scale it has nearest to the one wanted."""

    header: Header
    path: Path
    scale: int


@dataclass(frozen=True)
class Search:
    """What `nearest` found.

    Attributes
    ----------
    neighbours : tuple of Neighbour
        Nearest first.
    damaged : tuple of StyleDamaged
        Files that were to be compared and could not be read.
    compared : int
        Styles whose distance was taken in full.
    """

    neighbours: tuple[Neighbour, ...]
    damaged: tuple[StyleDamaged, ...]
    compared: int


def comparable(
    headers: Sequence[tuple[Header, Path]], like: Header, scale: int, layers: Sequence[str]
) -> tuple[list[Entry], int]:
    """Return the styles that can be compared, and how many cannot.

    A style can be where it was measured in the same way, at all of `layers` and at a scale
    within half an octave of `scale`.
    """
    entries = []
    for header, path in headers:
        own = nearest_scale(header.sizes, scale)
        if (
            _way(header) == _way(like)
            and set(layers) <= set(header.fingerprint.layers)
            and max(own, scale) <= SAME_SCALE * min(own, scale)
        ):
            entries.append(Entry(header, path, own))
    return entries, len(headers) - len(entries)


def _way(header: Header) -> tuple[object, ...]:
    mark = header.fingerprint
    return mark.network, mark.weights_sha256, mark.pooling, mark.padding, header.color, header.resampling, header.ridge


def nearest(query: Layers, entries: Sequence[Entry], number: int, layers: Sequence[str]) -> Search:
    """Return the styles nearest to one, nearest first.

    Best first: whichever style could be nearest by what is known of it is looked at more
    closely, from its means and spectra to its marginals to the distance itself, until
    `number` distances are below every bound that is left. The result is that of comparing
    with all.

    Parameters
    ----------
    query
        The layers of one scale.
    entries
        As `comparable` gives them.
    number
        How many.
    layers
        To compare by.
    """
    if number < 1:
        raise UsageError(f"number {number}: expected 1 or more.")
    axes = {layer: _Axes(query[layer]) for layer in layers}
    damaged: list[StyleDamaged] = []
    queue: list[tuple[float, int, int, dict[str, float]]] = []
    for index, entry in enumerate(entries):
        try:
            parts = format.read_parts(entry.path, entry.scale, ("mean", "eigenvalues"), layers)
        except StyleDamaged as error:
            damaged.append(error)
            continue
        bounds = {layer: spectral_bound(query[layer], **parts[layer]) for layer in layers}
        queue.append((_combined(bounds), index, 0, bounds))
    heapq.heapify(queue)
    found: list[Neighbour] = []
    compared = 0
    while queue and len(found) < number:
        bound, index, stage, layer_bounds = heapq.heappop(queue)
        entry = entries[index]
        if stage == 2:
            total = sum(layer_bounds.values())
            shares = {layer: value / total if total else 0.0 for layer, value in layer_bounds.items()}
            found.append(Neighbour(entry.header.name, bound, shares))
            continue
        try:
            if stage == 0:
                parts = format.read_parts(entry.path, entry.scale, ("mean", "cov_sqrt", "eigenvalues"), layers)
                closer = {layer: max(layer_bounds[layer], axes[layer].bound(**parts[layer])) for layer in layers}
            else:
                style = format.read(entry.path, [entry.scale]).scales[entry.scale]
                closer = {layer: layer_distance(query[layer], style[layer]) for layer in layers}
                compared += 1
        except StyleDamaged as error:
            damaged.append(error)
            continue
        heapq.heappush(queue, (_combined(closer), index, stage + 1, closer))
    return Search(tuple(found), tuple(damaged), compared)


def distance(one: Layers, other: Layers, layers: Sequence[str]) -> float:
    """Return how far two styles are apart by `layers`, 0 to 2."""
    return _combined({layer: layer_distance(one[layer], other[layer]) for layer in layers})


def _combined(layer_distances: Mapping[str, float]) -> float:
    return float(np.sqrt(sum(layer_distances.values()) / len(layer_distances)))


def layer_distance(one: Gaussian, other: Gaussian) -> float:
    """Return W2^2 of two Gaussians over the variance of both pooled."""
    apart, both, variance = _moments(one, other.mean, other.eigenvalues)
    if not variance:
        return 0.0
    product = one.cov_sqrt.astype(np.float64) @ other.cov_sqrt.astype(np.float64)
    # the trace of a root by eigenvalues is quick, and exact but for what is far below the rest
    cross = np.sqrt(np.linalg.eigvalsh(product @ product.T).clip(0)).sum()
    squared = apart + both - 2 * cross
    if squared < _NEAR * variance:
        squared = apart + both - 2 * scipy.linalg.svdvals(product).sum()
    return max(0.0, float(squared)) / variance


def spectral_bound(one: Gaussian, mean: npt.NDArray[np.float32], eigenvalues: npt.NDArray[np.float32]) -> float:
    """Return a lower bound of `layer_distance` from the other's mean and spectrum alone."""
    apart, _both, variance = _moments(one, mean, eigenvalues)
    roots = [np.sqrt(np.maximum(values.astype(np.float64), 0)) for values in (one.eigenvalues, eigenvalues)]
    squared = float(apart + ((roots[0] - roots[1]) ** 2).sum())
    return max(0.0, squared / variance - _SLACK) if variance else 0.0


class _Axes:
    """A Gaussian by its own axes, for the bound from marginals."""

    def __init__(self, gaussian: Gaussian) -> None:
        self._gaussian = gaussian
        values, vectors = eigen(gaussian.cov)
        self._sizes = np.sqrt(values)
        self._vectors = vectors.astype(np.float32)

    def bound(
        self, mean: npt.NDArray[np.float32], cov_sqrt: npt.NDArray[np.float32], eigenvalues: npt.NDArray[np.float32]
    ) -> float:
        apart, both, variance = _moments(self._gaussian, mean, eigenvalues)
        if not variance:
            return 0.0
        turned = cov_sqrt @ self._vectors
        leading = turned[:, :AXES].astype(np.float64)
        sizes = self._sizes[:AXES]
        middle = sizes[:, None] * (leading.T @ leading) * sizes
        cross = np.sqrt(np.linalg.eigvalsh(middle).clip(0)).sum()
        rest = np.sqrt(np.einsum("ij,ij->j", turned[:, AXES:], turned[:, AXES:], dtype=np.float64))
        squared = float(apart + both - 2 * (cross + self._sizes[AXES:] @ rest))
        return max(0.0, squared / variance - _SLACK)


def _moments(
    one: Gaussian, mean: npt.NDArray[np.float32], eigenvalues: npt.NDArray[np.float32]
) -> tuple[float, float, float]:
    """Squared distance of the means, sum of the traces, and the variance of both pooled."""
    difference = one.mean.astype(np.float64) - mean
    apart = float(difference @ difference)
    both = float(one.eigenvalues.sum(dtype=np.float64) + eigenvalues.sum(dtype=np.float64))
    return apart, both, both / 2 + apart / 4


def query_layers(style: Style, scale: int) -> tuple[int, Layers]:
    """Return the scale of a style that is nearest to one, and its layers."""
    own = nearest_scale(style.scales, scale)
    return own, style.scales[own]
