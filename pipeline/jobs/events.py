"""What a run tells while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .record import Entry


@dataclass(frozen=True)
class Progress:
    """What a run tells while it goes on.

    Attributes
    ----------
    kind : {"note", "detail", "begin", "step", "end"}
        A remark; one for who wants to know more; a picture begun; an iteration done; a picture
        finished, skipped or failed. Pictures made in other processes begin and end at once.
    subject : Path or None
    number, total : int
        The picture's place among all, from 1.
    text : str
        Of a note or detail.
    step, steps : int
    loss : float
    seconds_left : float or None
        Of the whole run, once it can be told.
    entry : Entry or None
        The line in the record, at an end.
    together : int
        How many pictures are optimised in one batch with this one, itself among them.
    """

    kind: str
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


Listener = Callable[[Progress], None]


class EtaEstimator:
    """How long the rest will take, from how long what is done took.

    Parameters
    ----------
    total
        All work, in any unit that is proportional to time.
    """

    def __init__(self, total: float) -> None:
        self._left = total
        self._first: tuple[float, float] | None = None
        self._done = 0.0

    def start(self, current: float = 0.0) -> None:
        """Count from now, where that is not done yet: setting up is no measure of a step."""
        self._first = self._first or (time.monotonic(), self._done + current)

    def finished(self, work: float, *, made: bool = True) -> None:
        """Take off a piece of work: done, or found to be none."""
        self._left -= work
        if made:
            self._done += work

    def seconds_left(self, current: float = 0.0) -> float | None:
        """Return the estimate, with `current` work done of what is not finished; None before any is."""
        if self._first is None:
            return None
        began, before = self._first
        done = self._done + current - before
        return (time.monotonic() - began) / done * max(0.0, self._left - current) if done > 0 else None
