"""A run: one style specification applied to the planned subjects of one output folder."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stylebank import images
from stylebank.bank import Bank
from stylebank.bank.combine import mix, require_common_scales, require_comparable
from stylebank.bank.single import SingleStyle
from stylebank.errors import FingerprintMismatch, StylebankError
from stylebank.style import PIXELS, Header, Style

from ..execution.messages import WorkerContext
from ..print_sizes import Box
from ..settings import PRESET_FINGERPRINTS, SynthesisSettings
from ..synthesis.masks import RegionMasks
from ..synthesis.pyramid import scales_for
from ..vgg import weights as vgg_weights
from . import prints
from .mask_files import MaskFiles
from .outputs import Outputs
from .plan import Plan, Task
from .record import Entry, Record
from .record_index import Records
from .style_spec import RegionSpec, StyleSpec

#: Largest ratio of the output size and the measured scales before strokes differ visibly.
_MAX_SCALE_RATIO = 1.5


class Run:
    """Styles, settings and record that the images of one output folder have in common.

    Parameters
    ----------
    bank, style_spec
        The bank, and the styles by region.
    planned
        Subjects and outputs.
    settings
        Settings of the synthesis.
    max_pixels
        Largest number of pixels of a subject.
    save_every
        Save a snapshot every `save_every` steps.
    overwrite
        Compute images again that are complete.
    mask_files
        Masks of the style specification, if they have been read.
    on_existing
        What happens to an output that exists and is another picture, one of `settings.ON_EXISTING`.
    checksum
        Read subjects and outputs to compare them, instead of trusting size and time of change.
    records
        Records that the command has read.
    """

    def __init__(
        self,
        bank: Bank | SingleStyle,
        style_spec: StyleSpec,
        planned: Plan,
        settings: SynthesisSettings,
        max_pixels: int,
        save_every: int | None,
        overwrite: bool = False,
        mask_files: MaskFiles | None = None,
        *,
        on_existing: str = "number",
        checksum: bool = False,
        records: Records | None = None,
    ) -> None:
        self.bank = bank
        self.style_spec = style_spec
        self.headers: dict[str, Header] = {name: bank.header(name) for name in style_spec.names}
        self.fingerprint = next(iter(self.headers.values())).fingerprint
        self.planned = planned
        self.settings = settings
        self.max_pixels = max_pixels
        self.save_every = save_every
        self.overwrite = overwrite
        self.on_existing = on_existing
        #: Whether the output folder cannot be written, so that nothing is computed and the record stays.
        self.refused = False
        self.checksum = checksum
        self.index = (records or Records()).index(planned.folder)
        self.record = Record(planned.folder)
        #: Digest of all styles together.
        self.style_sha256 = style_spec.digest({name: header.content_sha256 for name, header in self.headers.items()})
        #: Precision of the convolutions. `precision.settle_precision` replaces ``auto``; the record keeps ``auto``.
        self.precision = settings.precision
        #: Settings of the workers. A subject that has a border comes to them in its final size.
        self.worker_settings = dataclasses.replace(
            settings, print=None, fit="crop", size=0 if settings.fit == "border" else settings.size
        )
        #: Notes on the request.
        self.remarks: list[str] = []
        self.recorded = settings.recorded()
        self.init: images.Pixels | None = None
        possible = any(task.problem is None for task in planned.tasks)
        if settings.init not in {"subject", "noise"} and possible:
            picture = images.load(settings.init, max_pixels=max_pixels)
            self.init = images.composite_on_white(picture.pixels, picture.alpha)
            self.recorded["init_sha256"] = picture.sha256
        self.mask_files = mask_files or MaskFiles(style_spec, max_pixels)
        self.outputs = Outputs(planned, settings, save_every, self.record)
        self._context: WorkerContext | None = None

    def retry_failed(self) -> None:
        """Leave only the subjects whose output has a failure as its last line in the record."""
        folder = self.planned.folder
        tasks = [
            task for task in self.planned.tasks if self.index.failure(os.path.relpath(task.output, folder)) is not None
        ]
        self.planned = dataclasses.replace(self.planned, tasks=tuple(tasks))

    def check_style(self, preset: str | None, weights: str | Path | None, allow_unknown: bool) -> None:
        """Check the styles against the settings, the preset and each other; load the weights.

        Raises
        ------
        FingerprintMismatch, UsageError, WeightsRefused
        """
        for name, header in self.headers.items():
            fingerprint = header.fingerprint
            try:
                fingerprint.require(name, **PRESET_FINGERPRINTS.get(preset or "", {}))
            except FingerprintMismatch as error:
                how = f"'stylebank add --preset {preset}' measures a painting for this preset."
                raise FingerprintMismatch(f"{error} {how}") from error
            fingerprint.require(name, layers=self.settings.layers)
        common = require_comparable(list(self.headers.values()))
        self.layers = self.settings.layers or tuple(layer for layer in common if layer != PIXELS)
        self.settings.weights_of(self.layers)
        self._check_scales()
        self.weights = vgg_weights.matching(self.fingerprint.weights_sha256, weights, allow_unknown=allow_unknown)

    def _check_scales(self) -> None:
        """Refuse a barycenter of styles without a common scale."""
        for region in self.style_spec.regions:
            if len(region.parts) > 1:
                wanted = [self._scales(self.headers[name]) for name, _weight in region.parts]
                require_common_scales("styles with weights", [name for name, _ in region.parts], wanted)

    def _scales(self, header: Header) -> list[int]:
        return scales_for(list(header.sizes), self.worker_settings) or list(header.sizes)

    def notes(self) -> list[str]:
        """Return the remarks, and notes on styles that were measured far from the output size."""
        notes = list(self.remarks)
        size = self.settings.size
        wanted = [size] if size else []
        for name, header in self.headers.items() if wanted else ():
            side = size * self.settings.style_scale
            how = f" (--style-scale {self.settings.style_scale:g})" if self.settings.style_scale != 1 else ""
            largest, smallest = max(header.sizes), min(header.sizes)
            if side > _MAX_SCALE_RATIO * largest:
                notes.append(
                    f"style {name}: measured at {largest} pixels at most, for {side:g}{how}; the finest strokes come "
                    "out smaller than the painting's"
                )
            elif side < smallest / _MAX_SCALE_RATIO:
                notes.append(
                    f"style {name}: measured at {smallest} pixels at least, for {side:g}{how}; strokes come out "
                    f"larger. Add the painting again with --scales {round(side)},..."
                )
        return notes

    def regions_of(
        self, task: Task, subject_size: tuple[int, int], size: tuple[int, int]
    ) -> tuple[RegionMasks | None, dict[str, Any]]:
        """Return the masks of a subject and their digests, as `MaskFiles.regions` does."""
        return self.mask_files.regions(task.subject, subject_size, size, self._box(subject_size))

    def check_masks(self, task: Task, subject_size: tuple[int, int], size: tuple[int, int]) -> None:
        """Refuse masks that do not fit a subject, as `MaskFiles.check` does."""
        self.mask_files.check(task.subject, subject_size, size, self._box(subject_size))

    def _box(self, subject_size: tuple[int, int]) -> Box | None:
        placed = prints.layout(subject_size, self.settings)
        return None if placed is None else placed.box

    def recorded_precision(self, backend: str, device: str) -> str | None:
        """Return the precision of the newest image with these settings on such a device; None if there is none."""
        if self.overwrite:
            return None
        return self.index.precision(backend, device, self._has_settings)

    def _has_settings(self, entry: Entry) -> bool:
        return entry.same_settings({**self.recorded, **self.mask_files.recorded_in(entry.settings)})

    def load(self, task: Task) -> images.Picture:
        """Load a subject."""
        return images.load(task.subject, max_pixels=self.max_pixels, metadata=self.settings.metadata)

    def fitted(self, picture: images.Picture) -> images.Picture:
        """Return a subject at most as large as the output; for a print, its part on the paper in the final size."""
        placed = prints.layout(picture.size, self.settings)
        if placed is not None:
            return prints.with_proof_note(prints.fitted(picture, placed, self.settings), self.settings)
        size = self.size_of(picture.size)
        if max(size) < max(picture.size):
            picture = dataclasses.replace(picture, pixels=images.resize(picture.pixels, size, picture.alpha))
        return prints.with_proof_note(picture, self.settings)

    def size_of(self, subject_size: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) of the result, without the border of a print.

        Raises
        ------
        UsageError
            If the subject is too thin.
        """
        placed = prints.layout(subject_size, self.settings)
        if placed is not None:
            return placed.size
        return images.fit(subject_size, self.settings.size or max(subject_size))

    def context(self, *, remote: bool) -> WorkerContext:
        """Load the styles for workers; workers in other processes load the packaged weights themselves."""
        if self._context is None:
            styles = tuple(self._style(region) for region in self.style_spec.regions)
            sha256 = self.weights.sha256
            packaged = remote and vgg_weights.load().sha256 == sha256
            settings = dataclasses.replace(self.worker_settings, precision=self.precision)
            scales = [sorted(style.scales) for style in styles]
            identity = [
                self.style_sha256,
                scales,
                sorted(self.recorded.items()),
                self.precision,
                self.settings.memory_limit,
            ]
            key = hashlib.sha256(repr(identity).encode("utf-8", "backslashreplace")).hexdigest()
            self._context = WorkerContext(key, styles, settings, sha256, None if packaged else self.weights, self.init)
        return self._context

    def _style(self, region: RegionSpec) -> Style:
        """Return the style of a region with the scales in use: a style of the bank, or a barycenter."""
        styles = []
        for name, _weight in region.parts:
            header = self.headers[name]
            style = self.bank.get(name, scales=self._scales(header))
            if style.header.content_sha256 != header.content_sha256:
                raise StylebankError(f"style {name!r} was replaced during the run. Run this again.")
            styles.append(style)
        return styles[0] if len(styles) == 1 else mix(styles, [weight for _name, weight in region.parts], "mixed")

    def release(self) -> None:
        """Release the arrays of the styles."""
        self._context = None

    def describe_device(self, machine: Mapping[str, Any]) -> str:
        """Return backend, device, precision and style in one line."""
        fingerprint = self.fingerprint
        return (
            f"{machine['backend']} on {machine['device']}, {machine['precision']}; style {self.style_spec.text}, "
            f"{fingerprint.pooling} pooling, {fingerprint.padding} padding, "
            f"{len(self.layers)} layers, weights {fingerprint.weights_sha256[:12]}"
        )
