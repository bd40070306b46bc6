"""Events of a run, sent to a listener, and the estimate of the time left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stylebank.errors import printable

from .record import Entry

_logger = logging.getLogger("stylebank")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """An event of a run; each is one of `Started`, `Stepped`, `Finished` and `Notice`.

    A field that an event does not use keeps its default, so that a listener can read any field of any event.

    Attributes
    ----------
    kind : {"begin", "step", "end", "note", "detail"}
        The name of the event.
    subject : Path or None
        Image that the event is about; None for a notice about the run.
    number, total : int
        Position of the image among all images of the run, from 1, and their count.
    text : str
        Message of a notice.
    step, steps : int
        Iterations finished, and iterations in total over all scales.
    loss : float
    seconds_left : float or None
        Estimate for the whole run; None before there is one.
    entry : Entry or None
        Line of the record, of a finished image.
    together : int
        Images in the batch with this one, itself included.
    """

    subject: Path | None = None
    number: int = 0
    total: int = 0
    text: str = ""
    step: int = 0
    steps: int = 0
    loss: float = 0.0
    seconds_left: float | None = None
    entry: Entry | None = None
    together: int = 1

    @property
    def kind(self) -> str:
        """Name of the event."""
        raise NotImplementedError


class Started(Progress):
    """An image is started. An image computed in another process starts and finishes at once."""

    kind = "begin"


class Stepped(Progress):
    """An iteration is finished."""

    kind = "step"


class Finished(Progress):
    """An image is done, failed or skipped, as its `entry` says."""

    kind = "end"


@dataclass(frozen=True, kw_only=True)
class Notice(Progress):
    """A message about the run or an image.

    Attributes
    ----------
    verbose : bool
        Whether it is a detail, which `--verbose` prints.
    """

    verbose: bool = False

    @property
    def kind(self) -> str:
        """``"detail"`` for a verbose notice, ``"note"`` for others."""
        return "detail" if self.verbose else "note"


Listener = Callable[[Progress], None]


def logged(listener: Listener) -> Listener:
    """Return a listener that also sends each event to the logger ``stylebank``.

    The level is ERROR for a failed image, DEBUG for steps and details, and INFO for the rest. A log record has the
    attributes `event`, the kind of the event, and `progress`, the event.
    """

    def log_and_listen(progress: Progress) -> None:
        level = _level(progress)
        if _logger.isEnabledFor(level):
            _logger.log(level, "%s", _message(progress), extra={"event": progress.kind, "progress": progress})
        listener(progress)

    return log_and_listen


def _level(progress: Progress) -> int:
    if progress.entry is not None and progress.entry.status == "failed":
        return logging.ERROR
    return logging.DEBUG if progress.kind in {"step", "detail"} else logging.INFO


def _message(progress: Progress) -> str:
    """Return an event as a sentence."""
    if progress.subject is None or progress.kind in {"note", "detail"}:
        return progress.text
    name, entry = printable(progress.subject.name), progress.entry
    if entry is None:
        step = f"step {progress.step} of {progress.steps}, loss {progress.loss:.4g}"
        return f"{name}: {step if progress.kind == 'step' else 'started'}"
    if entry.status == "failed":
        return str(entry.error)
    if entry.status == "skipped" and entry.error:
        return f"{name}: {entry.error}"
    done = f"{printable(entry.output) or name}: {'already finished' if entry.status == 'skipped' else 'done'}"
    return f"{name}: {done}"


class EtaEstimator:
    """Estimates the time left from the time of the finished images.

    Parameters
    ----------
    total
        Total cost, in any unit proportional to time.
    """

    def __init__(self, total: float) -> None:
        self._left = total
        self._first: tuple[float, float] | None = None
        self._done = 0.0

    def start(self, current: float = 0.0) -> None:
        """Start the clock at the first call, so that the set-up does not count."""
        self._first = self._first or (time.monotonic(), self._done + current)

    def finished(self, cost: float, *, counted: bool = True) -> None:
        """Subtract an image; `counted` is False for one that took no time."""
        self._left -= cost
        if counted:
            self._done += cost

    def seconds_left(self, current: float = 0.0) -> float | None:
        """Return the estimate, where `current` is the finished cost of unfinished images; None before any."""
        if self._first is None:
            return None
        began, before = self._first
        done = self._done + current - before
        return (time.monotonic() - began) / done * max(0.0, self._left - current) if done > 0 else None
