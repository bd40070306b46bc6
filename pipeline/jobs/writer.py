"""Threads that write the outputs and the lines of the records."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from stylebank.errors import StylebankError, printable

from ..execution.messages import ImageResult
from .record import Entry
from .resume import PendingImage, failed, may_replace

#: Largest number of images that are computed and not yet written.
_MAX_UNWRITTEN = 8
#: One encodes while the other waits for the disk.
_THREADS = 2

Pairs = list[tuple[PendingImage, Entry]]


class Writer:
    """Writes images and lines behind the thread that computes, and reports them in order.

    Parameters
    ----------
    on_written
        Called with the written images and their lines, in the thread that calls `drain` or `wait_for_room`;
        again with the same ones if a signal interrupts it.
    """

    def __init__(self, on_written: Callable[[Pairs], None]) -> None:
        self._on_written = on_written
        self._threads = ThreadPoolExecutor(_THREADS, "stylebank-write")
        self._pending: deque[Future[Pairs]] = deque()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_error: object) -> None:
        self._threads.shutdown(wait=True)

    def write(self, image: PendingImage, result: ImageResult) -> None:
        """Write an image and its line."""
        self._pending.append(self._threads.submit(self._write, image, result))

    def record(self, pairs: Pairs) -> None:
        """Write lines without images."""
        self._pending.append(self._threads.submit(self._lines, pairs))

    def wait_for_room(self) -> None:
        """Wait until at most `_MAX_UNWRITTEN` images are left to write."""
        while len(self._pending) > _MAX_UNWRITTEN:
            self._report_next()

    def drain(self, *, wait: bool = False) -> None:
        """Report the images that are written, in order; with `wait`, wait for all."""
        while self._pending and (wait or self._pending[0].done()):
            self._report_next()

    def _report_next(self) -> None:
        """Report the oldest images; they stay if a signal interrupts the report, and go if it raises an error."""
        try:
            self._on_written(self._pending[0].result())
        except Exception:
            self._pending.popleft()
            raise
        self._pending.popleft()

    def _write(self, image: PendingImage, result: ImageResult) -> Pairs:
        assert image.picture is not None
        began = time.perf_counter()
        seconds = image.seconds

        def timed(entry: Entry) -> Entry:
            seconds["encode"] = time.perf_counter() - began
            timings = {stage: round(spent, 4) for stage, spent in seconds.items()}
            return dataclasses.replace(entry, timings=timings, seconds=round(sum(seconds.values()), 3))

        try:
            entry = image.run.outputs.save(
                image.task, image.picture, result, image.entry, timed, may_replace=lambda: may_replace(image)
            )
        except StylebankError as error:
            return self._lines([(image, failed(image.task, image.entry, str(error)))])
        except Exception as error:
            reason = f"{type(error).__name__}: {printable(str(error))}. Try another --format."
            return self._lines([(image, failed(image.task, image.entry, reason))])
        finally:
            image.picture = image.regions = None
        return [(image, entry)]

    def _lines(self, pairs: Pairs) -> Pairs:
        """Append what is new: a skipped image has its line, and so has one that fails as it failed before."""
        for record in {id(image.run.record): image.run.record for image, _entry in pairs}.values():
            lines = [_line(image, entry) for image, entry in pairs if image.run.record is record]
            entries = [entry for entry in lines if entry is not None]
            if entries:
                record.append(*entries)
        return pairs


def _line(image: PendingImage, entry: Entry) -> Entry | None:
    """Return what the record gets of an image: nothing new of one that is skipped, or fails as it failed before."""
    if image.run.refused:
        return None
    before = image.run.index.failure(entry.planned_output)
    if entry.status == "skipped":
        finished = before is not None and entry.error is None  # by another command, before it failed in this one
        return dataclasses.replace(entry, status="done") if finished else None
    return entry if before is None or before.error != entry.error else None
