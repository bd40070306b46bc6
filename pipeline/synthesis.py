"""One subject: from coarse to fine, until its Gaussians are close to the style's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stylebank import gaussian, images
from stylebank.errors import UsageError
from stylebank.gaussian import moments
from stylebank.images import Pixels
from stylebank.style import PIXELS, Style, nearest_scale

from . import backend, precision
from .distance import EXACT, layer_target
from .memory import require_memory
from .objective import CONTENT_LAYER, Objective, Region, Task
from .optimise import minimise
from .settings import SynthesisSettings
from .strips import in_strips
from .weights import Weights

#: Below this longest side a step is in float32: the gradients of the deep layers' few positions are too rough in
#: bfloat16, with which a picture of 128 ended at a loss of 0.53 instead of 0.38, and one of 256 at the same.
_BFLOAT16_FROM = 256
#: The coarsest picture's longest side is at least this, where the size allows.
COARSEST = 160
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
    picture : int
        Which of those made side by side, from 0.
    """

    step: int
    steps: int
    share: float
    loss: float
    pixels: Pixels
    picture: int = 0


@dataclass(frozen=True, eq=False)
class Synthesis:
    """A finished picture.

    Attributes
    ----------
    pixels : ndarray, float32, shape (H, W, 3)
        In 0..255.
    start_loss, final_loss : float
        The objective at the final size, in float32: of the picture begun with, and of the result.
    steps : int
        Iterations taken over all sizes.
    seconds : float
        Divided by the number of pictures made side by side.
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
        #: Of the convolutions: the setting, or what a timing chose.
        self.precision = precision.choose(self.settings.precision)
        content_layers = (CONTENT_LAYER,) if self.settings.content_weight > 0 else ()
        self._common = weights, fingerprint.pooling, fingerprint.padding, self._layers, content_layers
        self._regions: dict[int, Region] = {}

    def stylise(
        self, subject: Pixels, *, init: Pixels | None = None, on_moment: Callable[[Moment], None] = lambda moment: None
    ) -> Synthesis:
        """Make one picture; arguments and errors as for `stylise_many`."""
        return self.stylise_many([subject], inits=[init], on_moment=on_moment)[0]

    def stylise_many(
        self,
        subjects: Sequence[Pixels],
        *,
        inits: Sequence[Pixels | None] | None = None,
        on_moment: Callable[[Moment], None] = lambda moment: None,
    ) -> list[Synthesis]:
        """Make pictures of one size side by side, each as if it were alone.

        Parameters
        ----------
        subjects : sequence of ndarray, float32, shape (H, W, 3)
            In 0..255, at any size, of one shape once brought to the size wanted.
        inits : sequence of ndarray, float32, shape (h, w, 3), optional
            The pictures to begin with when the setting ``init`` names a file.
        on_moment
            Called after every iteration of every picture.

        Raises
        ------
        UsageError
            If a picture would be too thin for the network at the size wanted, or too large
            for the memory, or they differ in size.
        OutOfMemory
            If the device's memory does not suffice after all.
        """
        began = time.perf_counter()
        settings = self.settings
        sizes = _common_pyramid(subjects, settings)
        strips = [self._needs_strips(size, len(subjects)) for size in reversed(sizes)][::-1]
        work = [settings.steps * width * height for width, height in sizes]
        prepared = [self._prepared(subject, sizes[-1]) for subject in subjects]
        given = inits if inits is not None else [None] * len(subjects)
        taken = np.zeros(len(subjects), int)
        pixels: Pixels | None = None
        for level, size in enumerate(sizes):
            here = np.stack([images.resize(subject, size) for subject in prepared])
            objective = _objective(*self._common, self.precision if max(size) >= _BFLOAT16_FROM else "float32")
            objective = _in_strips(objective) if strips[level] else objective
            task = objective.task(
                [self._region(max(size))],
                here,
                content_weight=settings.content_weight,
                normalise=settings.normalise,
            )
            beginning = np.stack([self._beginning(subject, init) for subject, init in zip(here, given, strict=True)])
            pixels = beginning if pixels is None else np.stack([images.resize(picture, size) for picture in pixels])

            def evaluate(
                at: Pixels, objective: Objective = objective, task: Task = task
            ) -> tuple[npt.NDArray[np.float64], Pixels]:
                evaluation = objective(at, task)
                return evaluation.value, evaluation.gradient

            def on_step(picture: int, step: int, loss: float, at: Pixels, level: int = level) -> None:
                done = sum(work[:level]) + work[level] * step / settings.steps
                planned = len(sizes) * settings.steps
                on_moment(Moment(level * settings.steps + step, planned, done / sum(work), loss, at, picture))

            optimum = minimise(
                evaluate,
                pixels,
                optimizer=settings.optimizer,
                steps=settings.steps,
                learning_rate=settings.rate,
                on_step=on_step,
            )
            pixels = optimum.pixels
            taken += optimum.steps
        assert pixels is not None
        start = objective.exactly(beginning, task).value
        final = objective.exactly(pixels, task).value
        seconds = (time.perf_counter() - began) / len(subjects)
        return [
            Synthesis(pixels[number], float(start[number]), float(final[number]), int(taken[number]), seconds)
            for number in range(len(subjects))
        ]

    def _needs_strips(self, size: tuple[int, int], count: int) -> bool:
        settings = self.settings
        return require_memory(size, count, self.precision, optimizer=settings.optimizer, limit=settings.memory_limit)

    def _prepared(self, subject: Pixels, size: tuple[int, int]) -> Pixels:
        if max(size) < max(subject.shape[:2]):
            subject = images.resize(subject, size)
        return self._recolored(subject, max(size)) if self.settings.match_color else subject

    def _recolored(self, subject: Pixels, longest_side: int) -> Pixels:
        """The subject with the mean and covariance of the painting's pixels."""
        style = self.style.scales[nearest_scale(self.style.scales, longest_side)].get(PIXELS)
        if style is None:
            return subject
        mean, cov, _count = moments(subject)
        transport = gaussian.transport(cov, style.cov, ridge=_COLOR_RIDGE)
        return np.clip((subject - mean) @ transport + style.mean, 0, 255).astype(np.float32)

    def _region(self, longest_side: int) -> Region:
        scale = nearest_scale(self.style.scales, longest_side)
        if scale not in self._regions:
            gaussians = self.style.scales[scale]
            targets, exact = (
                [backend.tree(layer_target(gaussians[layer], tolerance)) for layer in self._layers]
                for tolerance in (self.settings.tolerance, EXACT)
            )
            self._regions[scale] = Region(targets, exact)
        return self._regions[scale]

    def _beginning(self, subject: Pixels, init: Pixels | None) -> Pixels:
        height, width = subject.shape[:2]
        if init is not None:
            return images.resize(images.crop_to_shape(init, (width, height)), (width, height))
        if self.settings.init == "noise":
            noise = np.random.default_rng(self.settings.seed).uniform(0, 255, subject.shape)
            return noise.astype(np.float32)
        return subject


@lru_cache(maxsize=4)
def _objective(
    weights: Weights,
    pooling: str,
    padding: str,
    layers: tuple[str, ...],
    content_layers: tuple[str, ...],
    precision: str,
) -> Objective:
    """Compile once what every style measured this way shares."""
    return Objective(weights, pooling, padding, layers, content_layers=content_layers, precision=precision)


@lru_cache(maxsize=4)
def _in_strips(objective: Objective) -> Objective:
    return in_strips(objective)


def _common_pyramid(subjects: Sequence[Pixels], settings: SynthesisSettings) -> list[tuple[int, int]]:
    sizes = [pyramid((subject.shape[1], subject.shape[0]), settings) for subject in subjects]
    if any(other != sizes[0] for other in sizes):
        told = ", ".join(sorted({f"{size[-1][0]} x {size[-1][1]}" for size in sizes}))
        raise UsageError(f"pictures of {told}: expected one size. Make the others apart.")
    return sizes[0]


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
