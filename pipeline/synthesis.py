"""One subject: from coarse to fine, until its Gaussians are close to the style's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stylebank import images
from stylebank.errors import UsageError
from stylebank.images import Pixels
from stylebank.style import PIXELS, Style

from . import palette, precision
from .masks import Regions
from .memory import require_memory
from .objective import CONTENT_LAYER, Objective, Region
from .optimise import minimise
from .pyramid import pyramid
from .settings import SynthesisSettings
from .strips import in_strips
from .targets import Targets
from .weights import Weights


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
        The objective at the final size, in float32: of the picture begun with, and of the result before it
        is given the subject's colours or put into its mask; both 0 where nothing is to be done.
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
    """Styles set up once: network, compiled objective and targets, for any number of subjects.

    Parameters
    ----------
    styles
        One, or one a region, with the measured scales that `pyramid.scales_for` names, or all of them.
    weights
        Those the styles were measured with.
    settings
        How pictures are made.

    Raises
    ------
    FingerprintMismatch
        If `weights` or the wanted layers are not a style's, or the styles were measured in different ways.
    UsageError
        If there is a weight for a layer that takes no part.
    """

    def __init__(
        self, styles: Style | Sequence[Style], weights: Weights, settings: SynthesisSettings | None = None
    ) -> None:
        self.settings = settings or SynthesisSettings()
        self.styles = (styles,) if isinstance(styles, Style) else tuple(styles)
        fingerprint = self.styles[0].header.fingerprint
        shared = tuple(
            layer
            for layer in fingerprint.layers
            if layer != PIXELS and all(layer in style.header.fingerprint.layers for style in self.styles)
        )
        wanted = self.settings.layers or shared
        for style in self.styles:
            style.header.fingerprint.require(
                style.name,
                weights_sha256=weights.sha256,
                pooling=fingerprint.pooling,
                padding=fingerprint.padding,
                layers=wanted,
            )
        self._layers = tuple(layer for layer in fingerprint.layers if layer in wanted)
        self._layer_weights = self.settings.weights_of(self._layers)
        #: Of the convolutions: the setting, or what a timing chose.
        self.precision = precision.choose(self.settings.precision)
        content_layers = (CONTENT_LAYER,) if self.settings.content_weight > 0 else ()
        self._common = weights, fingerprint.pooling, fingerprint.padding, self._layers, content_layers
        self._targets = [Targets(style, self._layers, self.settings) for style in self.styles]

    def stylise(
        self,
        subject: Pixels,
        *,
        init: Pixels | None = None,
        regions: Regions | None = None,
        on_moment: Callable[[Moment], None] = lambda moment: None,
    ) -> Synthesis:
        """Make one picture; arguments and errors as for `stylise_many`."""
        return self.stylise_many([subject], inits=[init], regions=[regions], on_moment=on_moment)[0]

    def stylise_many(
        self,
        subjects: Sequence[Pixels],
        *,
        inits: Sequence[Pixels | None] | None = None,
        regions: Sequence[Regions | None] | None = None,
        on_moment: Callable[[Moment], None] = lambda moment: None,
    ) -> list[Synthesis]:
        """Make pictures of one size side by side, each as if it were alone.

        Parameters
        ----------
        subjects : sequence of ndarray, float32, shape (H, W, 3)
            In 0..255, at any size, of one shape once brought to the size wanted.
        inits : sequence of ndarray, float32, shape (h, w, 3), optional
            The pictures to begin with when the setting ``init`` names a file.
        regions : sequence of Regions, optional
            Where each style goes, with one mask a style; everywhere unless given.
        on_moment
            Called after every iteration of every picture.

        Raises
        ------
        UsageError
            If a picture would be too thin for the network at the size wanted, or too large
            for the memory, or they differ in size, or there are several styles and no regions.
        OutOfMemory
            If the device's memory does not suffice after all.
        """
        given = list(inits) if inits is not None else [None] * len(subjects)
        placed = list(regions) if regions is not None else [None] * len(subjects)
        if len(self.styles) > 1 and any(one is None for one in placed):
            raise UsageError(f"{len(self.styles)} styles and no masks: expected one a style, the rest for the last.")
        sizes = _common_pyramid(subjects, self.settings)
        strips = [self._needs_strips(size, len(subjects)) for size in reversed(sizes)][::-1]
        # targets on the way from the subject's own, and masks, are each picture's alone
        if len(subjects) > 1 and (self.settings.strength < 1 or any(one is not None for one in placed)):
            made = []
            for number, (subject, init, one) in enumerate(zip(subjects, given, placed, strict=True)):

                def told(moment: Moment, number: int = number) -> None:
                    on_moment(replace(moment, picture=number))

                made.append(self.stylise(subject, init=init, regions=one, on_moment=told))
            return made
        began = time.perf_counter()
        whole = [
            images.resize(subject, sizes[-1]) if max(sizes[-1]) < max(subject.shape[:2]) else subject
            for subject in subjects
        ]
        masks = placed[0].resized(sizes[-1]) if placed and placed[0] is not None else None
        finals = [images.resize(subject, sizes[-1]) for subject in whole]
        if self.settings.strength == 0:
            return [Synthesis(final, 0.0, 0.0, 0, time.perf_counter() - began) for final in finals]
        work = _Work(self, whole, finals, given, masks, sizes, on_moment)
        for level in range(len(sizes)):
            work.refine(level, strips[level])
        return work.finished(began)

    def _needs_strips(self, size: tuple[int, int], count: int) -> bool:
        settings = self.settings
        return require_memory(size, count, self.precision, optimizer=settings.optimizer, limit=settings.memory_limit)

    def _recolored(self, subject: Pixels, longest_side: int, regions: Regions | None = None) -> Pixels:
        """The subject, as far as strength has it, with the mean and covariance of the painting's pixels."""
        made = []
        for number, targets in enumerate(self._targets):
            own = targets.palette(longest_side)
            mask = None if regions is None else regions.masks[number]
            made.append(subject if own is None else palette.recolored(subject, own, self.settings.strength, mask))
        return made[0] if regions is None else regions.blended(made, subject)

    def _objective(self, strips: bool) -> Objective:
        objective = _objective(*self._common, self.precision)
        return _in_strips(objective) if strips else objective

    def _regions(self, objective: Objective, subject: Pixels, regions: Regions | None) -> list[Region]:
        masks: Sequence[npt.NDArray[np.float32] | None] = [None] if regions is None else list(regions.masks)
        if self.settings.strength < 1:
            pairs = zip(self._targets, masks, strict=True)
            return [targets.on_the_way(objective, subject, mask) for targets, mask in pairs]
        side = max(subject.shape[:2])
        return [targets.region(side, mask) for targets, mask in zip(self._targets, masks, strict=True)]

    def _beginning(self, subject: Pixels, init: Pixels | None) -> Pixels:
        height, width = subject.shape[:2]
        if init is not None:
            return images.resize(images.crop_to_shape(init, (width, height)), (width, height))
        if self.settings.init == "noise":
            noise = np.random.default_rng(self.settings.seed).uniform(0, 255, subject.shape)
            return noise.astype(np.float32)
        return subject


class _Work:
    """Pictures on their way through the sizes."""

    def __init__(
        self,
        stylist: Stylist,
        subjects: Sequence[Pixels],
        finals: Sequence[Pixels],
        inits: Sequence[Pixels | None],
        regions: Regions | None,
        sizes: Sequence[tuple[int, int]],
        on_moment: Callable[[Moment], None],
    ) -> None:
        self._stylist = stylist
        self._settings = stylist.settings
        self._subjects, self._finals, self._inits = subjects, finals, inits
        self._whole = regions
        self._sizes = sizes
        self._on_moment = on_moment
        self._prepared = list(subjects)
        if self._settings.match_color:
            at = None if regions is None else regions.resized((subjects[0].shape[1], subjects[0].shape[0]))
            self._prepared = [stylist._recolored(subject, max(sizes[-1]), at) for subject in subjects]
        self._work = [self._settings.steps * width * height for width, height in sizes]
        self._taken = np.zeros(len(subjects), int)
        self._pixels: Pixels | None = None

    def refine(self, level: int, strips: bool) -> None:
        """Work at one size, from what the one before has left."""
        settings, size = self._settings, self._sizes[level]
        here = np.stack([images.resize(subject, size) for subject in self._prepared])
        regions = None if self._whole is None else self._whole.resized(size)
        self._objective = self._stylist._objective(strips)
        own = images.resize(self._subjects[0], size)
        self._task = self._objective.task(
            self._stylist._regions(self._objective, own, regions),
            here,
            content_weight=settings.content_weight,
            tv_weight=settings.tv_weight,
            layer_weights=self._stylist._layer_weights,
            normalise=settings.normalise,
            strength=settings.strength,
        )
        begun = [self._stylist._beginning(subject, init) for subject, init in zip(here, self._inits, strict=True)]
        covered = None if regions is None else (regions.coverage > 0)[..., None]
        if covered is not None:
            begun = [np.where(covered, one, subject) for one, subject in zip(begun, here, strict=True)]
        self._beginning = np.stack(begun)
        self._pixels = self._beginning if self._pixels is None else self._carried(level, here)
        objective, task = self._objective, self._task

        def evaluate(at: Pixels) -> tuple[npt.NDArray[np.float64], Pixels]:
            evaluation = objective(at, task)
            gradient = evaluation.gradient if covered is None else np.where(covered, evaluation.gradient, 0)
            return evaluation.value, gradient.astype(np.float32, copy=False)

        optimum = minimise(
            evaluate,
            self._pixels,
            optimizer=settings.optimizer,
            steps=settings.steps,
            learning_rate=settings.rate,
            on_step=self._told(level),
        )
        self._pixels = optimum.pixels
        self._taken += optimum.steps

    def _carried(self, level: int, here: Pixels) -> Pixels:
        """What the size before has left, larger, with the subject's detail that it could not hold."""
        assert self._pixels is not None
        if self._settings.init != "subject":
            return np.stack([images.resize(picture, self._sizes[level]) for picture in self._pixels])
        size, before = self._sizes[level], self._sizes[level - 1]
        made = []
        for picture, subject in zip(self._pixels, here, strict=True):
            detail = subject - images.resize(images.resize(subject, before), size)
            made.append(np.clip(images.resize(picture, size) + detail, 0, 255))
        return np.stack(made)

    def _told(self, level: int) -> Callable[[int, int, float, Pixels], None]:
        steps, work = self._settings.steps, self._work

        def told(picture: int, step: int, loss: float, at: Pixels) -> None:
            share = (sum(work[:level]) + work[level] * step / steps) / sum(work)
            self._on_moment(Moment(level * steps + step, len(work) * steps, share, loss, at, picture))

        return told

    def finished(self, began: float) -> list[Synthesis]:
        """Measure the pictures, and put back what is the subject's."""
        assert self._pixels is not None
        start = self._objective.exactly(self._beginning, self._task).value
        final = self._objective.exactly(self._pixels, self._task).value
        pictures = [self._with_the_subjects(*pair) for pair in zip(self._pixels, self._finals, strict=True)]
        seconds = (time.perf_counter() - began) / len(pictures)
        return [
            Synthesis(picture, float(start[number]), float(final[number]), int(self._taken[number]), seconds)
            for number, picture in enumerate(pictures)
        ]

    def _with_the_subjects(self, picture: Pixels, subject: Pixels) -> Pixels:
        """The picture in the subject's colours where that is wanted, and only where a mask has it."""
        coverage = None if self._whole is None else self._whole.coverage
        if self._settings.keep_color is not None:
            picture = palette.with_colors_of(picture, subject, self._settings.keep_color, coverage)
        if self._whole is None:
            return picture
        return Regions(self._whole.coverage[None]).blended([picture], subject)


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
