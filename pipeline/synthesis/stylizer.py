"""Stylize subjects: prepare styles once, then run `multiscale` for any number of images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stylebank import images
from stylebank.errors import UsageError
from stylebank.images import Pixels
from stylebank.style import PIXELS, Style

from ..backends.devices import resolve_precision, selected_device
from ..backends.runtime import backend_settings
from ..settings import SynthesisSettings
from ..vgg.weights import Weights
from .color import match_colors
from .losses.objective import Objective
from .losses.problem import StyleTarget
from .losses.targets import Targets
from .masks import RegionMasks
from .memory import require_memory
from .multiscale import MultiscaleLoop, StepInfo, SynthesisResult
from .proof import tile_box
from .proof_loop import ProofLoop
from .pyramid import pyramid
from .tiled_objective import in_strips

__all__ = ["StepInfo", "Stylizer", "SynthesisResult"]


class Stylizer:
    """Styles prepared once, with network, compiled objective and targets, for any number of subjects.

    Parameters
    ----------
    styles
        One style, or one per region, with the scales that `pyramid.scales_for` names, or with all.
    weights
        The weights that the styles were measured with.
    settings
        Settings of the synthesis.

    Attributes
    ----------
    precision : {"float32", "bfloat16"}
        Precision of the convolutions: the setting, or the choice of ``auto``.

    Raises
    ------
    FingerprintMismatch
        If `weights` or the selected layers are not a style's, or the styles were measured in different ways.
    UsageError
        If a weight names a layer that is not used.
    """

    @backend_settings()
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
        self.layer_weights = self.settings.weights_of(self._layers)
        self.precision = resolve_precision(self.settings.precision)
        content_layers = self.settings.content_layers if self.settings.content_weight > 0 else ()
        self._objective_options = weights, fingerprint.pooling, fingerprint.padding, self._layers, content_layers
        self.style_targets = [Targets(style, self._layers, self.settings) for style in self.styles]

    def stylize(
        self,
        subject: Pixels,
        *,
        init: Pixels | None = None,
        regions: RegionMasks | None = None,
        on_step: Callable[[StepInfo], None] = lambda info: None,
    ) -> SynthesisResult:
        """Stylize one image. Arguments and errors are those of `stylize_batch`."""
        return self.stylize_batch([subject], inits=[init], regions=[regions], on_step=on_step)[0]

    @backend_settings()
    def stylize_batch(
        self,
        subjects: Sequence[Pixels],
        *,
        inits: Sequence[Pixels | None] | None = None,
        regions: Sequence[RegionMasks | None] | None = None,
        on_step: Callable[[StepInfo], None] = lambda info: None,
    ) -> list[SynthesisResult]:
        """Stylize images of one size side by side. Each result is the same as alone, up to rounding.

        Parameters
        ----------
        subjects : sequence of ndarray, float32, shape (H, W, 3)
            In 0..255, at any size. They have one shape at the size of the output.
        inits : sequence of ndarray, float32, shape (h, w, 3), optional
            Images to start from, if the setting ``init`` names a file.
        regions : sequence of RegionMasks, optional
            The masks of each image, one per style. None covers the whole image.
        on_step
            Called after every iteration of every image.

        Returns
        -------
        list of SynthesisResult

        Raises
        ------
        UsageError
            If an image is too thin for the network or too large for the memory, if the images differ in size, or if
            several styles have no masks.
        OutOfMemory
            If the device runs out of memory.
        """
        start_pictures = list(inits) if inits is not None else [None] * len(subjects)
        region_masks = list(regions) if regions is not None else [None] * len(subjects)
        if len(self.styles) > 1 and any(masks is None for masks in region_masks):
            raise UsageError(
                f"{len(self.styles)} styles and no masks: expected one per style. The last style may cover the rest."
            )
        sizes = _common_pyramid(subjects, self.settings)
        if self.settings.proof is not None:
            proofs = zip(subjects, start_pictures, region_masks, strict=True)
            return [self._proof(*each, sizes, _numbered(on_step, number)) for number, each in enumerate(proofs)]
        tiled = [self._needs_tiling(size, len(subjects)) for size in reversed(sizes)][::-1]
        # interpolated targets and masks belong to one image, so that these run one by one
        if len(subjects) > 1 and (self.settings.strength < 1 or any(masks is not None for masks in region_masks)):
            return [
                self.stylize(subject, init=init, regions=masks, on_step=_numbered(on_step, number))
                for number, (subject, init, masks) in enumerate(
                    zip(subjects, start_pictures, region_masks, strict=True)
                )
            ]
        start_time = time.perf_counter()
        reduced = [
            images.resize(subject, sizes[-1]) if max(sizes[-1]) < max(subject.shape[:2]) else subject
            for subject in subjects
        ]
        masks = region_masks[0].resized(sizes[-1]) if region_masks and region_masks[0] is not None else None
        final_subjects = [images.resize(subject, sizes[-1]) for subject in reduced]
        if self.settings.strength == 0:
            return [SynthesisResult(final, 0.0, 0.0, 0, time.perf_counter() - start_time) for final in final_subjects]
        loop = MultiscaleLoop(self, reduced, final_subjects, start_pictures, masks, sizes, on_step)
        for level in range(len(sizes)):
            loop.run_level(level, tiled[level])
        return loop.results(start_time)

    def _proof(
        self,
        subject: Pixels,
        init: Pixels | None,
        regions: RegionMasks | None,
        sizes: list[tuple[int, int]],
        on_step: Callable[[StepInfo], None],
    ) -> SynthesisResult:
        """Return the tile of a proof."""
        start_time = time.perf_counter()
        size = sizes[-1]
        tile = tile_box(subject, size, self.settings)
        if max(size) < max(subject.shape[:2]):
            subject = images.resize(subject, size)
        final = images.resize(subject, size)
        if self.settings.strength == 0:
            left, top, right, bottom = tile
            return SynthesisResult(final[top:bottom, left:right], 0.0, 0.0, 0, time.perf_counter() - start_time)
        masks = None if regions is None else regions.resized(size)
        loop = ProofLoop(self, subject, final, init, masks, sizes, tile, on_step)
        tiled = [self._needs_tiling(loop.part_size(level), 1) for level in reversed(range(len(sizes)))][::-1]
        for level in range(len(sizes)):
            loop.run_level(level, tiled[level])
        return loop.results(start_time)[0]

    def _needs_tiling(self, size: tuple[int, int], count: int) -> bool:
        settings = self.settings
        return require_memory(
            size,
            count,
            self.precision,
            optimizer=settings.optimizer,
            limit=settings.memory_limit,
            regions=len(self.styles),
        )

    def match_colors(self, subject: Pixels, longest_side: int, regions: RegionMasks | None = None) -> Pixels:
        """Return the subject with the mean and covariance of the paintings' pixels, to the extent of ``strength``."""
        pictures = []
        for number, targets in enumerate(self.style_targets):
            palette = targets.palette(longest_side)
            mask = None if regions is None else regions.masks[number]
            pictures.append(
                subject if palette is None else match_colors(subject, palette, self.settings.strength, mask)
            )
        return pictures[0] if regions is None else regions.blended(pictures, subject)

    def objective(self, tiled: bool) -> Objective:
        """Return the compiled objective, for the whole image or by tiles."""
        objective = _objective(*self._objective_options, self.precision, selected_device())
        return _tiled_objective(objective) if tiled else objective

    def targets(self, objective: Objective, subject: Pixels, regions: RegionMasks | None) -> list[StyleTarget]:
        """Return the styles' targets, with their masks, for a subject at one size."""
        masks: Sequence[npt.NDArray[np.float32] | None] = [None] if regions is None else list(regions.masks)
        if self.settings.strength < 1:
            pairs = zip(self.style_targets, masks, strict=True)
            return [targets.interpolated(objective, subject, mask) for targets, mask in pairs]
        side = max(subject.shape[:2])
        return [targets.style_target(side, mask) for targets, mask in zip(self.style_targets, masks, strict=True)]

    def initial_picture(self, subject: Pixels, init: Pixels | None) -> Pixels:
        """Return the image to start from, at a subject's size."""
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
    _device: str | None,
) -> Objective:
    """Return the objective that all styles with these options share on a device, compiled once."""
    return Objective(weights, pooling, padding, layers, content_layers=content_layers, precision=precision)


@lru_cache(maxsize=4)
def _tiled_objective(objective: Objective) -> Objective:
    return in_strips(objective)


def _numbered(on_step: Callable[[StepInfo], None], number: int) -> Callable[[StepInfo], None]:
    """Return a callback for the image of this number, as of one alone."""

    def call(info: StepInfo) -> None:
        on_step(replace(info, picture=number))

    return call


def _common_pyramid(subjects: Sequence[Pixels], settings: SynthesisSettings) -> list[tuple[int, int]]:
    sizes = [pyramid((subject.shape[1], subject.shape[0]), settings) for subject in subjects]
    if any(other != sizes[0] for other in sizes):
        listed = ", ".join(sorted({f"{size[-1][0]} x {size[-1][1]}" for size in sizes}))
        raise UsageError(f"images of {listed}: expected one size per batch. Stylize the others separately.")
    return sizes[0]
