"""A proof: a tile of the finished picture at its final strokes, without the rest of it at full size.

Sizes of up to `proof.WHOLE_PIXELS` are computed whole, as for the finished picture. Of the larger ones only the part
around the tile is. A part has other statistics than the whole: a sky must not get all colours of the painting. So its
targets are not the style's. Where the whole has the Gaussian N(mu, C) and the style N(m, S), the whole loss pulls
activations x towards m + A (x - mu), with the optimal map A from the one to the other (Gelbrich 1990). The target of
the part is the image of its own Gaussian under that map. Both Gaussians are those of the last whole result, enlarged;
that of the whole comes from parts spread over it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stylebank import images
from stylebank.images import Pixels
from stylebank.math.gaussian import wasserstein2

from ..backends.runtime import to_numpy, to_tensors
from ..settings import SynthesisSettings
from .color import keep_colors
from .losses.objective import _MIN_DISTANCE_RATIO
from .losses.problem import Problem, StyleTarget
from .losses.targets import Targets
from .masks import RegionMasks
from .multiscale import LevelProblem, MultiscaleLoop, StepInfo, SynthesisResult
from .optimizers import minimize
from .proof import Box, Size, part_box, resized_part, whole_levels
from .proof_moments import MIN_PIXELS, mapped_gaussian, sampled_moments


class ProofProblem(LevelProblem, Protocol):
    """Interface of the loop to the styles; `Stylizer` implements it."""

    @property
    def style_targets(self) -> Sequence[Targets]:
        """The targets of each style."""


class ProofLoop(MultiscaleLoop):
    """The state of a proof on its way through the sizes.

    Parameters
    ----------
    problem
        The styles and settings.
    subject, final_subject, init, regions, sizes, on_step
        As for `MultiscaleLoop`, of one image.
    tile
        Place of the tile in the finished picture.
    """

    def __init__(
        self,
        problem: ProofProblem,
        subject: Pixels,
        final_subject: Pixels,
        init: Pixels | None,
        regions: RegionMasks | None,
        sizes: Sequence[Size],
        tile: Box,
        on_step: Callable[[StepInfo], None],
    ) -> None:
        super().__init__(problem, [subject], [final_subject], [init], regions, sizes, on_step)
        self._proof_problem = problem
        self._tile = tile
        self._whole = whole_levels(sizes)
        self._boxes: list[Box] = [
            (0, 0, *size) if level < self._whole else part_box(tile, sizes[-1], size)
            for level, size in enumerate(sizes)
        ]
        self._pixel_steps = [
            self._settings.steps * (right - left) * (bottom - top) for left, top, right, bottom in self._boxes
        ]
        self._coarse: Pixels | None = None
        self._variance_ratios: list[float] = []

    def part_size(self, level: int) -> Size:
        """Return width and height of what is computed at a size."""
        left, top, right, bottom = self._boxes[level]
        return right - left, bottom - top

    def run_level(self, level: int, tiled: bool) -> None:
        """Optimise at one size, the whole or the part around the tile."""
        if level < self._whole:
            super().run_level(level, tiled)
            if level == self._whole - 1:
                assert self._pixels is not None
                self._coarse = self._pixels[0]
                self._variance_ratios = self._content_ratios(level)
            return
        settings, size, box = self._settings, self._sizes[level], self._boxes[level]
        self._objective = self._problem.objective(tiled)
        regions = None if self._regions is None else self._regions.resized(size)
        part_regions = None if regions is None else _cut(regions, box)
        subject = self._subject_part(size, box)
        targets, distances = self._part_targets(level, regions, part_regions)
        self._level_problem = self._part_problem(targets, distances, subject)
        start = self._initial_part(size, box, subject)
        picture = self._enlarged(level, subject)
        covered = None if part_regions is None else (part_regions.coverage > 0)[..., None]
        if covered is not None:
            start, picture = (np.where(covered, each, subject) for each in (start, picture))
        self._start = start[None]
        objective, problem = self._objective, self._level_problem

        def evaluate(pixels: Pixels) -> tuple[npt.NDArray[np.float64], Pixels]:
            evaluation = objective(pixels, problem)
            gradient = evaluation.gradient if covered is None else np.where(covered, evaluation.gradient, 0)
            return evaluation.value, gradient.astype(np.float32, copy=False)

        optimum = minimize(
            evaluate,
            picture[None],
            optimizer=settings.optimizer,
            steps=settings.steps,
            learning_rate=settings.rate,
            on_step=self._step_callback(level),
        )
        self._pixels = optimum.pixels
        self._steps_taken += optimum.steps

    def results(self, start_time: float) -> list[SynthesisResult]:
        """Evaluate the part, and return the tile alone."""
        (result,) = super().results(start_time)
        left, top, right, bottom = self._tile
        x, y = self._boxes[-1][:2]
        return [dataclasses.replace(result, pixels=result.pixels[top - y : bottom - y, left - x : right - x])]

    def _subject_part(self, size: Size, box: Box, *, recolored: bool = True) -> Pixels:
        subject = (self._recolored if recolored else self._subjects)[0]
        shape = subject.shape[1], subject.shape[0]
        return resized_part(subject, (0, 0, *shape), shape, box, size)

    def _initial_part(self, size: Size, box: Box, subject: Pixels) -> Pixels:
        init = self._inits[0]
        if init is not None:
            init = images.crop_to_shape(init, size)
            shape = init.shape[1], init.shape[0]
            return resized_part(init, (0, 0, *shape), shape, box, size)
        return self._problem.initial_picture(subject, None)

    def _enlarged(self, level: int, subject: Pixels) -> Pixels:
        """Return the result of the size before in the part of this one, plus the subject's detail."""
        assert self._pixels is not None
        size, box = self._sizes[level], self._boxes[level]
        before, covers = self._sizes[level - 1], self._boxes[level - 1]
        larger = resized_part(self._pixels[0], covers, before, box, size)
        if self._settings.init != "subject":
            return larger
        coarse = self._subject_part(before, covers)
        larger = larger + subject - resized_part(coarse, covers, before, box, size)
        return np.asarray(np.clip(larger, 0, 255), np.float32)

    def _reference(self, size: Size, box: Box) -> Pixels:
        """Return a part of the last whole result at a larger size, plus the subject's detail."""
        assert self._coarse is not None
        before = self._sizes[self._whole - 1]
        covers = (0, 0, *before)
        larger = resized_part(self._coarse, covers, before, box, size)
        if self._settings.init != "subject":
            return larger
        coarse = self._subject_part(before, covers)
        larger = larger + self._subject_part(size, box) - resized_part(coarse, covers, before, box, size)
        return np.asarray(np.clip(larger, 0, 255), np.float32)

    def _part_targets(
        self, level: int, regions: RegionMasks | None, part_regions: RegionMasks | None
    ) -> tuple[list[StyleTarget], npt.NDArray[np.float64]]:
        """Return the targets of the part, and the distances of the whole subject to the styles, by region and layer."""
        size, box = self._sizes[level], self._boxes[level]
        targets, distances = [], []
        for number, style in enumerate(self._proof_problem.style_targets):
            mask = None if regions is None else regions.masks[number]
            whole = sampled_moments(self._objective, size, box, mask, lambda part: self._reference(size, part))
            subject = sampled_moments(self._objective, size, box, mask, lambda part: self._subject_part(size, part))
            original = subject
            if self._settings.strength < 1:
                original = sampled_moments(
                    self._objective, size, box, mask, lambda part: self._subject_part(size, part, recolored=False)
                )
            part_mask = None if part_regions is None else part_regions.masks[number]
            if (
                whole is None or subject is None or original is None
            ):  # a region elsewhere, which counts for nothing here
                goals = list(style.at_scale(max(size)).values())
                targets.append(style.target_of(goals, part_mask))
                distances.append([0.0] * len(goals))
                continue
            goals = style.goals(max(size), original)
            empty = part_mask is not None and part_mask.sum() < MIN_PIXELS
            part = whole if empty else self._objective.gaussians(self._reference(size, box), part_mask)
            mapped = [mapped_gaussian(*args) for args in zip(goals, whole, part, strict=True)]
            targets.append(style.target_of(mapped, part_mask))
            distances.append(
                [
                    wasserstein2(mean, cov, goal.mean, goal.cov) ** 2
                    for (mean, cov), goal in zip(subject, goals, strict=True)
                ]
            )
        return targets, np.array(distances)

    def _part_problem(
        self, targets: Sequence[StyleTarget], distances: npt.NDArray[np.float64], subject: Pixels
    ) -> Problem:
        """Return the problem of the part, with layers and content normalised as in the whole picture."""
        settings = self._settings
        problem = self._objective.problem(
            targets,
            subject[None],
            content_weight=settings.content_weight,
            content_detail=settings.content_detail,
            tv_weight=settings.tv_weight,
            layer_weights=self._problem.layer_weights,
            normalise=False,
            strength=settings.strength,
        )
        weights = problem.style_weights.copy()
        if settings.normalise:
            coverage = np.array([1.0 if each.mask is None else each.mask.mean(dtype=np.float64) for each in targets])
            total = weights.sum(axis=-1, keepdims=True) / np.maximum(coverage, 1e-12)[None, :, None]
            traces = np.array([[float(layer["trace"]) for layer in target.exact] for target in targets])
            floor = np.maximum(_MIN_DISTANCE_RATIO * traces, 1e-6)
            weights /= np.maximum(total, 1e-12) * np.maximum(distances / settings.strength**2, floor)
        regions = [
            {**region, "weights": to_tensors(weights[:, number].astype(np.float32))}
            for number, region in enumerate(problem.inputs["regions"])
        ]
        inputs, exact = {**problem.inputs, "regions": regions}, dict(problem.exact)
        for contents in (inputs, exact):
            if "content" in contents:
                contents["content"] = [
                    {**each, "variance": each["variance"] * np.float32(ratio)}
                    for each, ratio in zip(contents["content"], self._variance_ratios, strict=True)
                ]
        return dataclasses.replace(problem, inputs=inputs, exact=exact, style_weights=weights)

    def _content_ratios(self, level: int) -> list[float]:
        """Return the variance of each content layer in the whole picture, divided by that around the tile.

        A part weighs its positions by detail with mean 1. The ratio gives them the mean that they have in the whole.
        """
        box, size = part_box(self._tile, self._sizes[-1], self._sizes[level]), self._sizes[level]
        ratios = []
        for content in self._level_problem.exact.get("content", ()):
            features = to_numpy(content["features"])[0]
            rows, columns = (
                slice(int(first * count / side), max(int(first * count / side) + 1, int(last * count / side)))
                for first, last, count, side in zip(
                    (box[1], box[0]), (box[3], box[2]), features.shape[:2], size[::-1], strict=True
                )
            )
            part = max(1.0, float(features[rows, columns].var(axis=(0, 1)).mean()))
            weight = 1.0
            if "position_weights" in content:
                weight = max(1e-6, float(to_numpy(content["position_weights"])[0, rows, columns].mean()))
            ratios.append(float(to_numpy(content["variance"])[0]) / (part * weight))
        return ratios

    def _finish_colors(self, number: int, picture: Pixels) -> Pixels:
        """Return a part in the subject's colours, if that is set, and blended into its mask."""
        level = next((k for k in range(self._whole, len(self._sizes)) if self.part_size(k) == picture.shape[1::-1]), -1)
        if self._pixels is None or self._coarse is None or level < 0:
            return super()._finish_colors(number, picture)
        size, box, settings = self._sizes[level], self._boxes[level], self._settings
        subject = self._subject_part(size, box, recolored=False)
        regions = None if self._regions is None else _cut(self._regions.resized(size), box)
        if settings.keep_color != "none":
            picture = self._kept_colors(picture, subject, settings)
        return picture if regions is None else RegionMasks(regions.coverage[None]).blended([picture], subject)

    def _kept_colors(self, picture: Pixels, subject: Pixels, settings: SynthesisSettings) -> Pixels:
        assert self._coarse is not None
        size = self._sizes[self._whole - 1]
        coverage = None if self._regions is None else self._regions.resized(size).coverage
        whole = self._coarse, images.resize(self._final_subjects[0], size), coverage
        return keep_colors(picture, subject, settings.keep_color, whole=whole)


def _cut(regions: RegionMasks, box: Box) -> RegionMasks:
    return RegionMasks(regions.masks[:, box[1] : box[3], box[0] : box[2]])
