"""Files of a run: images, snapshots, animations, and the record's line for each image."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stylebank import images
from stylebank.errors import OutputRefused, UsageError, printable
from stylebank.files import make_folder

from ..execution.messages import ImageResult
from ..settings import SynthesisSettings
from .naming import output_key, steps_folder
from .plan import Plan, Task
from .prints import layout, on_paper
from .record import Entry, Record

if TYPE_CHECKING:
    from ..synthesis.multiscale import StepInfo

_ANIMATION_FRAMES = 48


class Outputs:
    """The files of a run.

    Parameters
    ----------
    planned
        Subjects, which are never overwritten, and outputs.
    settings
        Format, quality and depth of the outputs.
    save_every
        Save a snapshot every `save_every` steps.
    record
        Record of the output folder.
    """

    def __init__(self, planned: Plan, settings: SynthesisSettings, save_every: int | None, record: Record) -> None:
        self._planned = planned
        self._settings = settings
        self._save_every = save_every
        self._record = record
        self._subjects = {os.path.realpath(task.subject) for task in planned.tasks}
        self._reserved = {output_key(os.path.realpath(task.output)) for task in planned.tasks}
        #: Whether this run may still write an output; another run takes over from one that slept too long.
        self.may_write: Callable[[Path], bool] = lambda output: True
        self._frames: list[npt.NDArray[np.uint8]] = []
        self.animation: Path | None = None

    def check_animation(self, animation: str | os.PathLike[str] | None) -> None:
        """Set the path of the animation.

        Raises
        ------
        UsageError
            If the format is unknown, there are several subjects, or the path is the subject or the output.
        """
        if animation is None:
            return
        path = Path(animation)
        if path.suffix.lower() not in images.ANIMATION_FORMATS:
            raise UsageError(f"{printable(path)}: an animation is a .gif or a .webp. Change the name.")
        if len(self._planned.tasks) > 1:
            raise UsageError(
                f"{printable(path)}: an animation shows one subject, not {len(self._planned.tasks)}. Give one."
            )
        task = self._planned.tasks[0]
        if os.path.realpath(path) in {os.path.realpath(task.subject), os.path.realpath(task.output)}:
            raise UsageError(f"{printable(path)}: is the subject or the output itself. Give another --animation.")
        self.animation = path

    def protect(self, subjects: Collection[str], outputs: Collection[str] = ()) -> None:
        """Refuse to overwrite these real paths, such as the subjects of other runs.

        Parameters
        ----------
        subjects
        outputs
            Keys of the outputs of other runs, as `naming.output_key` returns them, which numbers leave out.
        """
        self._subjects |= set(subjects)
        self._reserved |= set(outputs)

    def is_taken(self, output: Path) -> bool:
        """Return whether a numbered output has the path of a subject or of another output."""
        path = os.path.realpath(output)
        return path in self._subjects or output_key(path) in self._reserved

    def _recorded_animation(self) -> str | None:
        return None if self.animation is None else os.path.relpath(self.animation, self._planned.folder)

    def lacks_snapshots(self, task: Task) -> bool:
        """Return whether snapshots or an animation are asked for and missing."""
        return bool(
            (self.animation and not self.animation.exists())
            or (self._save_every and not steps_folder(task.output).exists())
        )

    def on_step(self, task: Task, picture: images.Picture, info: StepInfo) -> None:
        """Save a snapshot and keep a frame of the animation when they are due."""
        if self._save_every and info.step % self._save_every == 0 and info.step < info.steps:
            self._save_step(task, picture, info.step, info.render())
        if self.animation and info.step % max(1, info.steps // _ANIMATION_FRAMES) == 0:
            self._frames.append(images.to_uint8(info.render()))

    def _save_step(self, task: Task, picture: images.Picture, step: int, pixels: images.Pixels) -> None:
        make_folder(steps_folder(task.output))
        self._save(steps_folder(task.output) / f"{step:04d}{task.output.suffix}", pixels, picture)

    def save(
        self,
        task: Task,
        picture: images.Picture,
        result: ImageResult,
        entry: Entry,
        timed: Callable[[Entry], Entry],
        *,
        may_replace: Callable[[], bool] = lambda: True,
    ) -> Entry:
        """Write the line of the record, then the image.

        Parameters
        ----------
        entry
            Line of the record without the digest and the time.
        timed
            Adds the time to the line when the file is encoded.
        may_replace
            Whether what has the output's name now may be replaced, asked right before that.

        Raises
        ------
        StylebankError
            If a file cannot be written.
        """
        assert result.pixels is not None
        make_folder(task.output.parent)
        for step, snapshot in result.snapshots:
            self._save_step(task, picture, step, snapshot.astype(np.float32))
        pixels = np.asarray(result.pixels, np.float32)
        size = pixels.shape[1], pixels.shape[0]
        if self.animation:
            frames = [images.to_uint8(picture.pixels), *self._frames, images.to_uint8(pixels)]
            images.save_animation(self.animation, frames, size)
        placed = layout(size, self._settings) if self._settings.proof is None else None
        width, height = size if placed is None else placed.paper
        done = dataclasses.replace(
            entry, width=width, height=height, status="done", animation=self._recorded_animation()
        )

        def record_entry(digest: str, status: os.stat_result) -> None:
            nonlocal done
            if not self.may_write(task.output):
                raise OutputRefused(
                    f"{printable(task.output)}: another run took it over while this one slept. Run this again."
                )
            if not may_replace():
                raise OutputRefused(
                    f"{printable(task.output)}: another program wrote this file while the picture was computed. "
                    "Run this again: the picture gets a number, or what --on-existing says."
                )
            stat = [status.st_size, status.st_mtime_ns]
            done = timed(dataclasses.replace(done, output_sha256=digest, output_stat=stat))
            # before the rename: the next run repairs a line without its image, but not an image without its line
            self._record.append(done)

        self._save(task.output, pixels, picture, record_entry)
        return done

    def loses_alpha(self, picture: images.Picture) -> bool:
        """Return whether the subject is transparent and the format of the output has no alpha channel."""
        return picture.alpha is not None and not images.WRITE_FORMATS[self._settings.format][2]

    def is_eight_bit(self, picture: images.Picture) -> bool:
        """Return whether the output has the result in 8 bits as it is, so that a worker can round it."""
        return self._settings.depth == 8 and not self.loses_alpha(picture)

    def _save(
        self,
        path: Path,
        pixels: images.Pixels,
        picture: images.Picture,
        before_rename: Callable[[str, os.stat_result], None] = lambda sha256, status: None,
    ) -> str:
        if os.path.realpath(path) in self._subjects:  # a snapshot can have the name of a subject
            raise OutputRefused(f"{printable(path)}: is one of the subjects. Give another --output.")
        settings = self._settings
        pixels, alpha = on_paper(pixels, picture, settings)
        return images.save(
            path,
            pixels,
            format=settings.format,
            quality=settings.quality,
            depth=settings.depth,
            alpha=alpha,
            metadata=picture.metadata,
            dpi=settings.dpi,
            before_rename=before_rename,
        )
