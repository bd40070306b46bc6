"""One subject: from coarse to fine, until its Gaussians are close to the style's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from stylebank import gaussian, images
from stylebank.errors import UsageError
from stylebank.gaussian import moments
from stylebank.images import Pixels
from stylebank.style import PIXELS, Style, nearest_scale

from . import backend
from .memory import require_memory
from .network import Trunk
from .objective import Objective, layer_target
from .optimise import minimise
from .settings import SynthesisSettings
from .weights import Weights

#: The coarsest picture's longest side is at least this, where the size allows.
COARSEST = 160
#: Share of the largest eigenvalue below which a style's tail is left out.
TOLERANCE = 1e-6
#: Grey levels squared: how much a colour that hardly varies in the subject may be spread.
_COLOR_RIDGE = 25.0


@dataclass(frozen=True, eq=False)
class Moment:
    """A picture on its way.

    Attributes
    ----------
    step, steps : int
        Iterations done, and planned over all sizes.
    share : float
        Of the work, 0 to 1: a step at twice the size counts four times.
    loss : float
    pixels : ndarray, float32, shape (h, w, 3)
        At the size worked at now.
    """

    step: int
    steps: int
    share: float
    loss: float
    pixels: Pixels


@dataclass(frozen=True, eq=False)
class Synthesis:
    """A finished picture.

    Attributes
    ----------
    pixels : ndarray, float32, shape (H, W, 3)
        In 0..255.
    start_loss, final_loss : float
        The objective at the final size: of the picture begun with, and of the result.
    steps : int
        Iterations taken over all sizes.
    seconds : float
    """

    pixels: Pixels
    start_loss: float
    final_loss: float
    steps: int
    seconds: float


class Stylist:
    """One style set up once: network, compiled objective and targets, for any number of subjects.

    Parameters
    ----------
    style
        With the measured scales that `scales_for` names, or all of them.
    weights
        Those the style was measured with.
    settings
        How pictures are made.

    Raises
    ------
    FingerprintMismatch
        If `weights` or the wanted layers are not the style's.
    """

    def __init__(self, style: Style, weights: Weights, settings: SynthesisSettings | None = None) -> None:
        self.settings = settings or SynthesisSettings()
        self.style = style
        fingerprint = style.header.fingerprint
        wanted = self.settings.layers or tuple(layer for layer in fingerprint.layers if layer != PIXELS)
        fingerprint.require(style.name, weights_sha256=weights.sha256, layers=wanted)
        self._layers = tuple(layer for layer in fingerprint.layers if layer in wanted)
        self._objective = _objective(
            weights, fingerprint.pooling, fingerprint.padding, self._layers, self.settings.content_weight > 0
        )
        self._targets: dict[int, list[Any]] = {}

    def stylise(
        self, subject: Pixels, *, init: Pixels | None = None, on_moment: Callable[[Moment], None] = lambda moment: None
    ) -> Synthesis:
        """Make one picture.

        Parameters
        ----------
        subject : ndarray, float32, shape (H, W, 3)
            In 0..255, at any size.
        init : ndarray, float32, shape (h, w, 3), optional
            The picture to begin with when the setting ``init`` names a file.
        on_moment
            Called after every iteration.

        Raises
        ------
        UsageError
            If the picture would be too thin for the network at the size wanted, or too large
            for the memory.
        """
        began = time.perf_counter()
        settings = self.settings
        sizes = pyramid((subject.shape[1], subject.shape[0]), settings)
        require_memory(sizes[-1])
        work = [settings.steps * width * height for width, height in sizes]
        if max(sizes[-1]) < max(subject.shape[:2]):
            subject = images.resize(subject, sizes[-1])
        if settings.match_color:
            subject = self._recolored(subject, max(sizes[-1]))
        pixels: Pixels | None = None
        taken, start_loss, final_loss = 0, 0.0, 0.0
        for level, size in enumerate(sizes):
            here = images.resize(subject, size)
            inputs = self._objective.inputs(
                self._scale_targets(max(size)),
                here,
                content_weight=settings.content_weight,
                normalise=settings.normalise,
            )
            beginning = self._beginning(here, init)
            pixels = beginning if pixels is None else images.resize(pixels, size)
            if level == len(sizes) - 1:
                start_loss = self._objective(beginning, inputs).value

            def evaluate(at: Pixels, inputs: Any = inputs) -> tuple[float, Pixels]:
                evaluation = self._objective(at, inputs)
                return evaluation.value, evaluation.gradient

            def on_step(step: int, loss: float, at: Pixels, level: int = level) -> None:
                done = sum(work[:level]) + work[level] * step / settings.steps
                on_moment(
                    Moment(level * settings.steps + step, len(sizes) * settings.steps, done / sum(work), loss, at)
                )

            optimum = minimise(
                evaluate,
                pixels,
                optimizer=settings.optimizer,
                steps=settings.steps,
                learning_rate=settings.rate,
                on_step=on_step,
            )
            pixels, final_loss = optimum.pixels, optimum.value
            taken += optimum.steps
        assert pixels is not None
        return Synthesis(pixels, start_loss, final_loss, taken, time.perf_counter() - began)

    def _recolored(self, subject: Pixels, longest_side: int) -> Pixels:
        """The subject with the mean and covariance of the painting's pixels."""
        style = self.style.scales[nearest_scale(self.style.scales, longest_side)].get(PIXELS)
        if style is None:
            return subject
        mean, cov, _count = moments(subject)
        transport = gaussian.transport(cov, style.cov, ridge=_COLOR_RIDGE)
        return np.clip((subject - mean) @ transport + style.mean, 0, 255).astype(np.float32)

    def _scale_targets(self, longest_side: int) -> list[Any]:
        scale = nearest_scale(self.style.scales, longest_side)
        if scale not in self._targets:
            gaussians = self.style.scales[scale]
            self._targets[scale] = [backend.tree(layer_target(gaussians[layer], TOLERANCE)) for layer in self._layers]
        return self._targets[scale]

    def _beginning(self, subject: Pixels, init: Pixels | None) -> Pixels:
        height, width = subject.shape[:2]
        if init is not None:
            return images.resize(images.crop_to_shape(init, (width, height)), (width, height))
        if self.settings.init == "noise":
            noise = np.random.default_rng(self.settings.seed).uniform(0, 255, subject.shape)
            return noise.astype(np.float32)
        return subject


@lru_cache(maxsize=4)
def _objective(weights: Weights, pooling: str, padding: str, layers: tuple[str, ...], with_content: bool) -> Objective:
    """Compile once what every style measured this way shares."""
    return Objective(Trunk(weights, pooling, padding), layers, with_content=with_content)


def pyramid(own: tuple[int, int], settings: SynthesisSettings) -> list[tuple[int, int]]:
    """Sizes (width, height) to work at, coarsest first; the last is the output's.

    Raises
    ------
    UsageError
        If the final one is too thin for the network.
    """
    final = images.fit(own, settings.size or max(own))
    sizes = [final]
    while settings.coarse_to_fine and max(sizes[0]) // 2 >= COARSEST:
        try:
            sizes.insert(0, images.fit(final, max(sizes[0]) // 2))
        except UsageError:
            break
    return sizes


def scales_for(style_scales: list[int], settings: SynthesisSettings) -> list[int] | None:
    """Return which measured scales a run at a fixed size needs; None when it may be any."""
    if not settings.size:
        return None
    sides = [max(size) for size in pyramid((settings.size, settings.size), settings)]
    return sorted({nearest_scale(style_scales, side) for side in sides})
