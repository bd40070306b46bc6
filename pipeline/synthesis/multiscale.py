"""The loop over sizes, from coarse to fine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stylebank import images
from stylebank.images import Pixels

from ..settings import SynthesisSettings
from .color import keep_colors
from .losses.objective import Objective
from .losses.problem import StyleTarget
from .masks import RegionMasks
from .optimizers import minimize


class LevelProblem(Protocol):
    """Interface of the loop to the styles; `Stylizer` implements it. `stylizer.Stylizer` implements it."""

    @property
    def settings(self) -> SynthesisSettings:
        """Settings of the synthesis."""

    @property
    def layer_weights(self) -> Sequence[float]:
        """One weight per style layer, for `Objective.problem`."""

    def match_colors(self, subject: Pixels, longest_side: int, regions: RegionMasks | None = None) -> Pixels:
        """Return the subject in the paintings' colours."""

    def objective(self, tiled: bool) -> Objective:
        """Return the compiled objective, for the whole image or by tiles."""

    def targets(self, objective: Objective, subject: Pixels, regions: RegionMasks | None) -> list[StyleTarget]:
        """Return the styles' targets, with their masks, for a subject at one size."""

    def initial_picture(self, subject: Pixels, init: Pixels | None) -> Pixels:
        """Return the image to start from, at a subject's size."""


@dataclass(frozen=True, eq=False)
class StepInfo:
    """The state of one image after an iteration.

    Attributes
    ----------
    step, steps : int
        Iterations done, and planned over all sizes.
    progress : float
        Fraction of the work that is done, 0 to 1. A step at twice the size counts four times.
    loss : float
    pixels : ndarray, float32, shape (h, w, 3)
        The image at the current size, in 0..255.
    picture : int
        Index of the image in its batch.
    finish : callable
        Restores the subject's colours and the pixels outside the mask, as for the finished image.
    """

    step: int
    steps: int
    progress: float
    loss: float
    pixels: Pixels
    picture: int = 0
    finish: Callable[[Pixels], Pixels] = lambda pixels: pixels

    def render(self) -> Pixels:
        """Return the image as it would be finished: with the subject's colours and inside its mask, if set."""
        return self.finish(self.pixels)


@dataclass(frozen=True, eq=False)
class SynthesisResult:
    """A finished image.

    Attributes
    ----------
    pixels : ndarray, float32, shape (H, W, 3)
        In 0..255.
    start_loss, final_loss : float
        The float32 objective at the final size, of the first image and of the last, before colours and mask are
        restored. Both are 0 at strength 0.
    steps : int
        Iterations over all sizes.
    seconds : float
        Time of the batch divided by its number of images.
    """

    pixels: Pixels
    start_loss: float
    final_loss: float
    steps: int
    seconds: float


class MultiscaleLoop:
    """The state of a batch of images on its way through the sizes.

    Parameters
    ----------
    problem
        The styles and settings.
    subjects : sequence of ndarray, float32, shape (H, W, 3)
        In 0..255.
    final_subjects
        The subjects at the size of the output.
    inits
        Images to start from; None follows the setting ``init``.
    regions
        The masks at the size of the output; None covers the whole image.
    sizes
        (width, height) of each level, coarsest first.
    on_step
        Called after every iteration of every image.
    """

    def __init__(
        self,
        problem: LevelProblem,
        subjects: Sequence[Pixels],
        final_subjects: Sequence[Pixels],
        inits: Sequence[Pixels | None],
        regions: RegionMasks | None,
        sizes: Sequence[tuple[int, int]],
        on_step: Callable[[StepInfo], None],
    ) -> None:
        self._problem = problem
        self._settings = problem.settings
        self._subjects, self._final_subjects, self._inits = subjects, final_subjects, inits
        self._regions = regions
        self._sizes = sizes
        self._on_step = on_step
        self._recolored = list(subjects)
        if self._settings.match_color:
            masks = None if regions is None else regions.resized((subjects[0].shape[1], subjects[0].shape[0]))
            self._recolored = [problem.match_colors(subject, max(sizes[-1]), masks) for subject in subjects]
        self._pixel_steps = [self._settings.steps * width * height for width, height in sizes]
        self._steps_taken = np.zeros(len(subjects), int)
        self._pixels: Pixels | None = None

    def run_level(self, level: int, tiled: bool) -> None:
        """Optimise at one size, starting from the result of the level before."""
        settings, size = self._settings, self._sizes[level]
        subjects = np.stack([images.resize(subject, size) for subject in self._recolored])
        regions = None if self._regions is None else self._regions.resized(size)
        self._objective = self._problem.objective(tiled)
        subject = images.resize(self._subjects[0], size)
        self._level_problem = self._objective.problem(
            self._problem.targets(self._objective, subject, regions),
            subjects,
            content_weight=settings.content_weight,
            content_detail=settings.content_detail,
            tv_weight=settings.tv_weight,
            layer_weights=self._problem.layer_weights,
            normalise=settings.normalise,
            strength=settings.strength,
        )
        starts = [
            self._problem.initial_picture(subject, init) for subject, init in zip(subjects, self._inits, strict=True)
        ]
        covered = None if regions is None else (regions.coverage > 0)[..., None]
        if covered is not None:
            starts = [np.where(covered, start, subject) for start, subject in zip(starts, subjects, strict=True)]
        self._start = np.stack(starts)
        self._pixels = self._start if self._pixels is None else self._upscaled(level, subjects, covered)
        objective, problem = self._objective, self._level_problem

        def evaluate(pixels: Pixels) -> tuple[npt.NDArray[np.float64], Pixels]:
            evaluation = objective(pixels, problem)
            gradient = evaluation.gradient if covered is None else np.where(covered, evaluation.gradient, 0)
            return evaluation.value, gradient.astype(np.float32, copy=False)

        optimum = minimize(
            evaluate,
            self._pixels,
            optimizer=settings.optimizer,
            steps=settings.steps,
            learning_rate=settings.rate,
            on_step=self._step_callback(level),
        )
        self._pixels = optimum.pixels
        self._steps_taken += optimum.steps

    def _upscaled(self, level: int, subjects: Pixels, covered: npt.NDArray[np.bool_] | None) -> Pixels:
        """Return the result of the level before at this size, plus the subject's detail that it could not hold."""
        assert self._pixels is not None
        size, before = self._sizes[level], self._sizes[level - 1]
        upscaled = []
        for picture, subject in zip(self._pixels, subjects, strict=True):
            larger = images.resize(picture, size)
            if self._settings.init == "subject":
                larger = np.clip(larger + subject - images.resize(images.resize(subject, before), size), 0, 255)
            upscaled.append(larger if covered is None else np.where(covered, larger, subject))
        return np.stack(upscaled)

    def _step_callback(self, level: int) -> Callable[[int, int, float, Pixels], None]:
        steps, pixel_steps = self._settings.steps, self._pixel_steps

        def on_level_step(picture: int, step: int, loss: float, pixels: Pixels) -> None:
            progress = (sum(pixel_steps[:level]) + pixel_steps[level] * step / steps) / sum(pixel_steps)
            self._on_step(
                StepInfo(
                    level * steps + step,
                    len(pixel_steps) * steps,
                    progress,
                    loss,
                    pixels,
                    picture,
                    partial(self._finish_colors, picture),
                )
            )

        return on_level_step

    def results(self, start_time: float) -> list[SynthesisResult]:
        """Evaluate the images, and restore the subject's colours and the pixels outside the mask."""
        assert self._pixels is not None
        start = self._objective.evaluate_exact(self._start, self._level_problem).value
        final = self._objective.evaluate_exact(self._pixels, self._level_problem).value
        pictures = [self._finish_colors(number, picture) for number, picture in enumerate(self._pixels)]
        seconds = (time.perf_counter() - start_time) / len(pictures)
        return [
            SynthesisResult(
                picture, float(start[number]), float(final[number]), int(self._steps_taken[number]), seconds
            )
            for number, picture in enumerate(pictures)
        ]

    def _finish_colors(self, number: int, picture: Pixels) -> Pixels:
        """Return an image in the subject's colours, if that is set, and blended into its mask."""
        method = self._settings.keep_color
        if method == "none" and self._regions is None:
            return picture
        size = picture.shape[1], picture.shape[0]
        subject = images.resize(self._final_subjects[number], size)
        coverage = None if self._regions is None else self._regions.resized(size).coverage
        if method != "none":
            picture = keep_colors(picture, subject, method, coverage)
        return picture if coverage is None else RegionMasks(coverage[None]).blended([picture], subject)
