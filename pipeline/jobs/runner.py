"""Runs carried out: subjects decoded ahead and outputs written behind while a crew computes."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stylebank.errors import StylebankError, printable
from stylebank.files import held, make_folder, remove_temporaries

from ..execution import batching as buckets
from ..execution import worker
from ..execution.executors import Crew, Here
from ..execution.messages import Chunk, Outcome, Parcel
from .decoder import Decoder
from .events import Clock, Listener, Progress
from .record import Entry
from .resume import Item, failed, survey
from .run import Run, agree, undecided
from .writer import Writer

_LINES_AT_ONCE = 200


class SetupFailed(StylebankError):
    """What no picture could be made for, told by a worker."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Stopped(Exception):
    """A picture failed, and the run was to stop at the first."""


class _Through(BaseException):
    """Takes an error of the run's own past what catches a picture's."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Engine:
    """One execution of some runs.

    Parameters
    ----------
    runs
        Checked, and numbered one after another.
    crew
        Who computes, entered already.
    batch_size
        Pictures of one size optimised together; None finds it by the device.
    fail_fast
        Raise `Stopped` at the first picture that fails.
    listener
        Called with `Progress`, in the thread of `execute`.
    """

    def __init__(
        self, runs: Sequence[Run], crew: Crew, *, batch_size: int | None, fail_fast: bool, listener: Listener
    ) -> None:
        self._runs = runs
        self._crew = crew
        self._batch_size = batch_size
        self._fail_fast = fail_fast
        self._listener = listener
        self._total = sum(len(run.planned.tasks) for run in runs)
        self._entries: dict[int, Entry] = {}
        self._flying: dict[int, Item] = {}
        self._fitting: float = float("inf")  # pixels that the device's memory holds at once, once that is known
        self._device_bytes: int | None = None
        self._broken: Exception | None = None
        self._told: set[int] = set()
        self._clock = Clock(0)
        self._asking = 0.0
        self._elsewhere = not isinstance(crew, Here)

    def execute(self) -> list[Entry]:
        """Make what is not made yet; return a line for every picture that was come to, in the plan's order.

        Raises
        ------
        StylebankError
            For what stops everything: a damaged style, a record that cannot be written.
        """
        with contextlib.ExitStack() as stack:
            for folder in {run.planned.folder for run in self._runs}:
                make_folder(folder)
                stack.enter_context(held(folder, alone=lambda folder=folder: self._tidy(folder)))  # type: ignore[misc]
            for run in self._runs:
                if run.outputs.animation is not None:
                    make_folder(run.outputs.animation.parent)
            self._scribe = stack.enter_context(Writer(self._tell_ends))
            self._readers = stack.enter_context(Decoder())
            try:
                self._compute(self._survey())
                self._scribe.drain(wait=True)
            except (Stopped, _Through) as stop:
                if isinstance(stop, _Through) and not isinstance(stop.error, Stopped):
                    raise stop.error from None
                self._fail_fast = False
                self._scribe.drain(wait=True)
        return [self._entries[number] for number in sorted(self._entries)]

    def _tidy(self, folder: Path) -> None:
        """Remove what a killed run left half-written."""
        tasks = [task for run in self._runs if run.planned.folder == folder for task in run.planned.tasks]
        for parent in {folder, *(task.output.parent for task in tasks)}:
            remove_temporaries(parent)

    def _survey(self) -> list[Item]:
        """Report what is made or cannot be; return the rest."""
        rest: list[Item] = []
        known: list[tuple[Item, Entry]] = []
        for item, entry in survey(self._runs):
            if entry is None:
                rest.append(item)
            else:
                known.append((item, entry))
            if len(known) >= _LINES_AT_ONCE:
                self._scribe.record(known)
                known = []
        if known:
            self._scribe.record(known)
        self._scribe.drain(wait=True)
        return rest

    def _compute(self, items: list[Item]) -> None:
        if not items:
            return
        self._clock = Clock(sum(item.work for item in items))
        if isinstance(self._crew, Here):
            self._crew.on_ready = self._on_ready
            self._crew.on_moment = self._on_moment
        else:
            self._clock.start()
        if self._batch_size is None or undecided(self._runs):
            began = time.perf_counter()
            machine = self._crew.ask(worker.describe)
            self._device_bytes = machine.gpu_bytes
            agree(self._runs, machine, lambda: self._crew.ask(worker.faster_precision))
            self._asking = time.perf_counter() - began  # the network's library is loaded in it
        outcomes = self._crew.outcomes(self._guarded(items), self._note)
        with contextlib.closing(outcomes):  # type: ignore[type-var]
            for outcome in outcomes:
                self._take(outcome)
                self._scribe.drain()
        if self._broken is not None:
            raise self._broken

    def _guarded(self, items: list[Item]) -> Iterator[tuple[Parcel, Chunk]]:
        """Keep an error, such as a damaged style, for the thread of `execute`: joblib takes tasks from others."""
        try:
            yield from self._tasks(items)
        except Exception as error:
            self._broken = error

    def _tasks(self, items: list[Item]) -> Iterator[tuple[Parcel, Chunk]]:
        """Give out decoded chunks, reading some ahead."""
        groups = buckets.divided(items, lambda item: (id(item.run), item.size), self._most, self._crew.workers)
        last: Run | None = None
        for group in self._readers.ahead(groups, self._crew.workers):
            whole: list[Item] = []
            for item, future in group:
                flaw = future.result()
                if flaw is None:
                    whole.append(item)
                else:
                    self._clock.finished(item.work, made=False)
                    self._scribe.record([(item, failed(item.task, item.entry, flaw.error))])
            if not whole:
                continue
            run = whole[0].run
            if last is not None and last is not run:
                last.release()
            last = run
            parcel = run.parcel(elsewhere=self._elsewhere)
            while whole:
                most = self._most(whole[0])  # less than when they were put together, if the memory did not hold that
                together, whole = whole[:most], whole[most:]
                yield parcel, self._chunk(together)

    def _chunk(self, items: list[Item]) -> Chunk:
        self._flying.update((item.number, item) for item in items)
        pixels = [item.picture.pixels for item in items if item.picture is not None]
        every = items[0].run.save_every if self._elsewhere else None
        return Chunk(tuple(item.number for item in items), pixels, every, [item.regions for item in items])

    def _most(self, item: Item) -> int:
        """How many pictures like this one to optimise at once."""
        run = item.run
        alone = run.outputs.animation or run.save_every or run.styling.masked or run.settings.strength < 1
        if item.size is None or alone:
            return 1
        wanted = self._batch_size
        if wanted is None:
            wanted = buckets.automatic(item.size, self._device_bytes, run.precision)
        return int(max(1, min(wanted, self._fitting // (item.size[0] * item.size[1]))))

    def _take(self, outcome: Outcome) -> None:
        """Send what a worker made to be written."""
        if outcome.fatal is not None:
            raise SetupFailed(*outcome.fatal)
        share = max(1, len(outcome.made))
        for number, made in outcome.made.items():
            item = self._flying.pop(number)
            self._begin(item)
            if outcome.limit is not None and item.size is not None:
                self._fitting = min(self._fitting, outcome.limit * item.size[0] * item.size[1])
            if outcome.machine:
                self._on_ready(outcome.machine, item.run)
            item.seconds.update(setup=outcome.setup / share + self._asking, compute=outcome.compute / share)
            self._asking = 0.0
            self._clock.finished(item.work, made=not made.error)
            if made.error:
                self._scribe.record([(item, failed(item.task, item.entry, made.error))])
                item.picture = item.regions = None
                continue
            item.entry = dataclasses.replace(
                item.entry,
                start_loss=made.start_loss,
                final_loss=made.final_loss,
                steps=made.steps,
                losses=made.losses or None,
                worker=outcome.worker or None,
                **outcome.machine,
            )
            self._scribe.write(item, made)
        self._scribe.bound()

    def _tell_ends(self, pairs: list[tuple[Item, Entry]]) -> None:
        for item, entry in pairs:
            self._begin(item)
            self._entries[item.number] = entry
            self._tell("end", item, entry=entry, seconds_left=self._clock.seconds_left())
            if entry.status == "failed" and self._fail_fast:
                raise Stopped

    def _begin(self, item: Item, together: int = 1) -> None:
        """Tell of a picture and of what is to be known of it, once."""
        if item.number in self._told:
            return
        self._told.add(item.number)
        self._tell("begin", item, together=together)
        if item.picture is not None:
            for text in item.picture.notes:
                self._tell("note", item, text=f"{printable(item.task.subject)}: {text}")
            if item.run.outputs.lose_alpha(item.picture):
                format = item.run.settings.format
                text = f"{format} holds no transparency; composited over white (--format png keeps it)"
                self._tell("note", item, text=f"{printable(item.task.output)}: {text}")

    def _on_ready(self, machine: Mapping[str, str], run: Run | None = None) -> None:
        if run is None:
            run = next(iter(self._flying.values())).run
        if id(run) not in self._told:
            self._told.add(id(run))
            self._listener(Progress("detail", text=run.machine_in_words(machine)))

    def _on_moment(self, number: int, moment: Any) -> None:
        """Tell of an iteration in this process, and of what was written meanwhile."""
        item = self._flying[number]
        assert item.picture is not None
        together = len(self._flying)
        current = item.work * together * moment.share
        try:
            self._begin(item, together)
            self._clock.start(current)
            self._scribe.drain()
            left = self._clock.seconds_left(current)
            facts = {"step": moment.step, "steps": moment.steps, "loss": moment.loss, "seconds_left": left}
            self._tell("step", item, together=together, **facts)
        except Exception as error:
            raise _Through(error) from error
        item.run.outputs.on_moment(item.task, item.picture, moment)

    def _tell(self, kind: str, item: Item, **more: Any) -> None:
        self._listener(Progress(kind, item.task.subject, item.number, self._total, **more))

    def _note(self, text: str) -> None:
        self._listener(Progress("note", text=text))
