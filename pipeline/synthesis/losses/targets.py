"""What a style asks for at a size: its Gaussians there, and the way to them from the subject's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank.math.barycenter import geodesic
from stylebank.style import PIXELS, Gaussian, Style

from ...backends.runtime import to_tensors
from ...backends.timing import setup_timer
from ...settings import SynthesisSettings
from ..pyramid import neighbouring_scales
from .functional import EXACT_TOLERANCE, layer_target
from .objective import Objective
from .problem import StyleTarget

#: Sizes whose targets are kept: those of one picture on its way, and of others like it.
_CACHE_SIZE = 8


class Targets:
    """One style's targets for some layers, made once a size and kept.

    Parameters
    ----------
    style
        With the measured scales that `pyramid.scales_for` names, or all of them.
    layers
        Of the network.
    settings
        Their ``tolerance``, ``style_scale`` and ``strength``.
    """

    def __init__(self, style: Style, layers: Sequence[str], settings: SynthesisSettings) -> None:
        self._style = style
        self._layers = tuple(layers)
        self._settings = settings
        self._gaussians: dict[float, Mapping[str, Gaussian]] = {}
        self._style_targets: dict[float, StyleTarget] = {}

    def palette(self, longest_side: int) -> Gaussian | None:
        """Return the Gaussian of the painting's pixels; None where it was not kept."""
        below, above, t = self._neighbours(longest_side)
        return self._style.scales[above if t > 0.5 else below].get(PIXELS)

    def style_target(self, longest_side: int, mask: npt.NDArray[np.float32] | None = None) -> StyleTarget:
        """Return the style's own targets for a picture of this longest side."""
        side = self._side(longest_side)
        if side not in self._style_targets:
            _evict_oldest(self._style_targets)
            self._style_targets[side] = self._targets(list(self.at_scale(longest_side).values()))
        target = self._style_targets[side]
        return target if mask is None else StyleTarget(target.targets, target.exact, mask)

    def interpolated(
        self, objective: Objective, subject: npt.NDArray[np.float32], mask: npt.NDArray[np.float32] | None = None
    ) -> StyleTarget:
        """Return the points of the geodesics from the subject's own Gaussians to the style's, ``strength`` of the way.

        Parameters
        ----------
        objective
            Of the same layers; measures the subject.
        subject : ndarray, float32, shape (H, W, 3)
            At the size worked at, in 0..255.
        """
        styles = self.at_scale(max(subject.shape[:2])).values()
        points = [
            _geodesic_gaussian(mean, cov, style, self._settings.strength)
            for (mean, cov), style in zip(objective.gaussians(subject, mask), styles, strict=True)
        ]
        return self._targets(points, mask)

    def _targets(self, gaussians: Sequence[Gaussian], mask: npt.NDArray[np.float32] | None = None) -> StyleTarget:
        step_targets, exact_targets = (
            [to_tensors(layer_target(gaussian, tolerance)) for gaussian in gaussians]
            for tolerance in (self._settings.tolerance, EXACT_TOLERANCE)
        )
        return StyleTarget(step_targets, exact_targets, mask)

    def _neighbours(self, longest_side: int) -> tuple[int, int, float]:
        return neighbouring_scales(self._style.scales, longest_side * self._settings.style_scale)

    def _side(self, longest_side: int) -> float:
        """The scale that stands for a size: a measured one where that will do."""
        below, _above, t = self._neighbours(longest_side)
        return longest_side * self._settings.style_scale if t else float(below)

    def at_scale(self, longest_side: int) -> Mapping[str, Gaussian]:
        """The Gaussians by layer at a size: those of a scale that was measured, or between the two beside it.

        Of a painting measured at 256 and 512, the point between is half as far from what is measured at 384 as
        the nearer of the two.
        """
        below, above, t = self._neighbours(longest_side)
        side = self._side(longest_side)
        if side not in self._gaussians:
            _evict_oldest(self._gaussians)
            first, second = self._style.scales[below], self._style.scales[above]
            with setup_timer():
                self._gaussians[side] = {
                    layer: _geodesic_gaussian(first[layer].mean, first[layer].cov, second[layer], t)
                    if t
                    else first[layer]
                    for layer in self._layers
                }
        return self._gaussians[side]


def _evict_oldest(cache: dict[float, Any]) -> None:
    while len(cache) >= _CACHE_SIZE:
        del cache[next(iter(cache))]


def _geodesic_gaussian(
    mean: npt.NDArray[np.float32], cov: npt.NDArray[np.float32], end: Gaussian, t: float
) -> Gaussian:
    """The geodesic point, with what targets are made of."""
    mean64, cov64 = geodesic(mean, cov, end.mean, end.cov, t)
    empty = np.zeros(0, np.float32)
    return Gaussian(mean64.astype(np.float32), cov64.astype(np.float32), empty, empty, end.count)
