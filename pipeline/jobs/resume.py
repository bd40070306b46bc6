"""A look at every subject and output before any is decoded: what is made, and what is to be."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from stylebank.errors import StylebankError
from stylebank.images.io import Picture, shown_size

from ..synthesis.masks import Regions
from .plan import Task
from .record import Entry
from .run import Run

_SURVEYORS = 8


@dataclass(eq=False)
class Item:
    """One picture on its way through the stages."""

    run: Run
    task: Task
    number: int
    entry: Entry
    size: tuple[int, int] | None = None
    picture: Picture | None = None
    regions: Regions | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def work(self) -> float:
        """What it takes, in pixels times steps."""
        width, height = self.size or (1, 1)
        return float(width * height * self.run.settings.steps)


def survey(runs: Sequence[Run]) -> Iterator[tuple[Item, Entry | None]]:
    """Look at every subject and output without decoding.

    Yields
    ------
    item, entry
        A picture to make with None, or one that is made or cannot be with its line.
    """
    numbered = [(run, task) for run in runs for task in run.planned.tasks]

    def look(pair: tuple[int, tuple[Run, Task]]) -> tuple[Item, Entry | None]:
        number, (run, task) = pair
        item = Item(run, task, number, run.blank(task))
        try:
            made = run.made_already(task)
        except StylebankError as error:
            return item, run.failed(task, item.entry, str(error))
        if made is None:
            own = shown_size(task.subject)
            with contextlib.suppress(StylebankError):
                item.size = run.size_of(own) if own else None
            if item.size is not None and own is not None:
                try:
                    run.placement.check(task.subject, own, item.size)
                except StylebankError as error:
                    return item, run.failed(task, item.entry, str(error))
        return item, made

    with ThreadPoolExecutor(_SURVEYORS) as pool:
        yield from pool.map(look, enumerate(numbered, start=1))
