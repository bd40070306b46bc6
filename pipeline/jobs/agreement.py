"""One precision for every picture of a run, whoever makes it and however often the run is interrupted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..execution.worker import Machine
from ..settings import AUTO
from .run import Run


def undecided(runs: Sequence[Run]) -> list[Run]:
    """Return the runs whose precision was left to a timing."""
    return [run for run in runs if run.settings.precision == AUTO]


def agree(runs: Sequence[Run], machine: Machine, timed: Callable[[], str]) -> None:
    """Decide the precision of those runs that leave it open.

    What a run's record tells of the same settings on such a machine stays, so that a run that goes on
    makes what an uninterrupted one would have made; where there is none, that of another run decides, and
    only where no record tells anything a timing: a busy machine can turn it.

    Parameters
    ----------
    machine
        What computes; of a cluster, any one of its workers.
    timed : callable
        Returns ``float32`` or ``bfloat16``; called once at most.
    """
    told = [(run, run.precision_before(machine.backend, machine.device)) for run in undecided(runs)]
    if not told:
        return
    common = next((before for _run, before in told if before), None)
    for run, before in told:
        if before is None and common is None:
            common = timed()
        run.precision = before or common or AUTO
