"""The outputs of a job on the page: previews while it runs, the picture with 16 bits, and the picture as it is."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stylebank import images
from stylebank.errors import OutputRefused, printable

from ..jobs.outputs import Outputs
from ..jobs.plan import Task
from .model import DEEP, PREVIEW, TAKEN
from .uploads import write_preview

if TYPE_CHECKING:
    from ..jobs.record import Entry
    from ..jobs.run import Run
    from ..synthesis.multiscale import StepInfo

_PREVIEW_SIDE = 1000
#: Fraction of the time that previews may take.
_PREVIEW_SHARE = 0.1
_PREVIEW_SECONDS = 0.4


class Stopped(Exception):
    """The user stops the job."""


class LiveOutputs(Outputs):
    """Outputs of a run of one picture.

    Parameters
    ----------
    run
        The run whose outputs these are.
    on_preview
        Called with the number of each preview.

    Attributes
    ----------
    files : list of str
        Names of the complete pictures.
    taken : dict or None
        Result of `take`.
    """

    def __init__(self, run: Run, on_preview: Callable[[int], None]) -> None:
        super().__init__(run.planned, run.settings, None, run.record)
        (self._task,) = run.planned.tasks
        self._on_preview = on_preview
        self._lock = threading.Lock()
        self._last: tuple[images.Picture, StepInfo] | None = None
        self._previews = 0
        self._next_preview = 0.0
        self._closed = False
        self.files: list[str] = []
        self.taken: dict[str, Any] | None = None

    def on_step(self, task: Task, picture: images.Picture, info: StepInfo) -> None:
        """Keep the step, and write a preview when one is due."""
        with self._lock:
            self._last = picture, info
        began = time.monotonic()
        if began < self._next_preview:
            return
        # a disk that is full shows with the picture itself
        with contextlib.suppress(OSError, OutputRefused):
            pixels = images.composite_on_white(info.render(), _alpha(picture, info.pixels))
            write_preview(task.output.parent / PREVIEW, pixels, _PREVIEW_SIDE)
            self._previews += 1
            self._on_preview(self._previews)
        ended = time.monotonic()
        self._next_preview = ended + max(_PREVIEW_SECONDS, (ended - began) / _PREVIEW_SHARE)

    def is_eight_bit(self, picture: images.Picture) -> bool:
        """Return False, so that the unrounded pixels come for the file with 16 bits."""
        return False

    def save(self, task: Task, picture: images.Picture, *arguments: Any, **options: Any) -> Entry:
        """Write the picture with 16 bits, then the picture as `apply` does."""
        with self._lock:
            if self._closed:
                raise OutputRefused(f"{printable(task.output)}: was taken before its last step.")
            self._closed = True
        result = arguments[0]
        self._save_deep(task, picture, np.asarray(result.pixels, np.float32))
        entry = super().save(task, picture, *arguments, **options)
        self.files = [task.output.name, DEEP]
        return entry

    def take(self) -> None:
        """Write the picture of the last step; does nothing before the first, or if the job is complete."""
        with self._lock:
            if self._closed or self._last is None:
                return
            self._closed = True
            picture, info = self._last
        try:
            pixels = np.asarray(info.render(), np.float32)
            self._save_deep(self._task, picture, pixels)
            self._save(self._task.output, pixels, picture)
        except BaseException:
            self._closed = False
            raise
        self.files = [self._task.output.name, DEEP]
        self.taken = {"status": TAKEN, "size": [pixels.shape[1], pixels.shape[0]], "files": self.files}

    def _save_deep(self, task: Task, picture: images.Picture, pixels: images.Pixels) -> None:
        deep = Outputs(self._planned, dataclasses.replace(self._settings, format="png", depth=16), None, self._record)
        deep._save(task.output.with_name(DEEP), pixels, picture)


def _alpha(picture: images.Picture, pixels: images.Pixels) -> Any:
    return images.alpha_at(picture, (pixels.shape[1], pixels.shape[0]))


def remove_folder(folder: Path) -> None:
    """Delete the files of a job, and its folder; what cannot be deleted stays for the next start."""
    shutil.rmtree(folder, ignore_errors=True)
