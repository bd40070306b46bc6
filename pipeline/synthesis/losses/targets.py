"""A style's targets at a size: measured, interpolated between scales, or between the subject and the style."""

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

#: Number of sizes whose targets are cached: enough for all levels of one image.
_CACHE_SIZE = 8


class Targets:
    """The targets of one style for some layers, cached by size.

    Parameters
    ----------
    style
        A style with the scales that `pyramid.scales_for` names, or with all.
    layers
        Names of the style layers.
    settings
        The fields ``tolerance``, ``style_scale`` and ``strength`` apply.
    """

    def __init__(self, style: Style, layers: Sequence[str], settings: SynthesisSettings) -> None:
        self._style = style
        self._layers = tuple(layers)
        self._settings = settings
        self._gaussians: dict[float, Mapping[str, Gaussian]] = {}
        self._style_targets: dict[float, StyleTarget] = {}

    def palette(self, longest_side: int) -> Gaussian | None:
        """Return the Gaussian of the painting's pixels at the nearer scale; None if the style has none."""
        below, above, t = self._neighbours(longest_side)
        return self._style.scales[above if t > 0.5 else below].get(PIXELS)

    def style_target(self, longest_side: int, mask: npt.NDArray[np.float32] | None = None) -> StyleTarget:
        """Return the style's target for an image of this longest side.

        Parameters
        ----------
        longest_side
            In pixels.
        mask
            As in `StyleTarget`.
        """
        side = self._side(longest_side)
        if side not in self._style_targets:
            _evict_oldest(self._style_targets)
            self._style_targets[side] = self.target_of(list(self.at_scale(longest_side).values()))
        target = self._style_targets[side]
        return target if mask is None else StyleTarget(target.targets, target.exact, mask)

    def interpolated(
        self, objective: Objective, subject: npt.NDArray[np.float32], mask: npt.NDArray[np.float32] | None = None
    ) -> StyleTarget:
        """Return the target at t = ``strength`` on the geodesics from the subject's Gaussians to the style's.

        Parameters
        ----------
        objective
            An objective of the same layers. It measures the subject.
        subject : ndarray, float32, shape (H, W, 3)
            At the current size, in 0..255.
        mask
            As in `StyleTarget`.
        """
        return self.target_of(self.goals(max(subject.shape[:2]), objective.gaussians(subject, mask)), mask)

    def goals(
        self, longest_side: int, subject: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]
    ) -> list[Gaussian]:
        """Return the Gaussians at t = ``strength`` on the geodesics from a subject's (mean, covariance), by layer."""
        styles = self.at_scale(longest_side).values()
        if self._settings.strength == 1:
            return list(styles)
        return [
            _geodesic_gaussian(mean, cov, style, self._settings.strength)
            for (mean, cov), style in zip(subject, styles, strict=True)
        ]

    def target_of(self, gaussians: Sequence[Gaussian], mask: npt.NDArray[np.float32] | None = None) -> StyleTarget:
        """Return the target that Gaussians of the layers make."""
        step_targets, exact_targets = (
            [to_tensors(layer_target(gaussian, tolerance)) for gaussian in gaussians]
            for tolerance in (self._settings.tolerance, EXACT_TOLERANCE)
        )
        return StyleTarget(step_targets, exact_targets, mask)

    def _neighbours(self, longest_side: int) -> tuple[int, int, float]:
        return neighbouring_scales(self._style.scales, longest_side * self._settings.style_scale)

    def _side(self, longest_side: int) -> float:
        """Return the style's side for a size: a measured scale if one is near enough."""
        below, _above, t = self._neighbours(longest_side)
        return longest_side * self._settings.style_scale if t else float(below)

    def at_scale(self, longest_side: int) -> Mapping[str, Gaussian]:
        """Return the Gaussians by layer for an image of this longest side.

        They are those of a measured scale, or the geodesic point between the two neighbouring scales.
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
    """Make room for one entry. An lru_cache of a bound method would hold the arrays in a reference cycle."""
    while len(cache) >= _CACHE_SIZE:
        del cache[next(iter(cache))]


def _geodesic_gaussian(
    mean: npt.NDArray[np.float32], cov: npt.NDArray[np.float32], end: Gaussian, t: float
) -> Gaussian:
    """Return the point at `t` on the geodesic between two Gaussians, without a square root."""
    mean64, cov64 = geodesic(mean, cov, end.mean, end.cov, t)
    empty = np.zeros(0, np.float32)
    return Gaussian(mean64.astype(np.float32), cov64.astype(np.float32), empty, empty, end.count)
