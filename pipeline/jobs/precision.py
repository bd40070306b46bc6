"""Precision ``auto`` of runs: by the record, or by a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..execution.process import DeviceInfo
from ..settings import AUTO
from .run import Run


def with_auto_precision(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with precision ``auto``."""
    return [run for run in runs if run.settings.precision == AUTO]


def settle_precision(runs: Sequence[Run], machine: DeviceInfo, benchmark: Callable[[], str]) -> None:
    """Replace the precision ``auto`` of runs.

    The record decides first, so that a resumed run gives the images of an uninterrupted one: its newest image
    with the same settings on such a device. The record of another run comes second. The benchmark comes last,
    because load on the machine can change its outcome.

    Parameters
    ----------
    machine
        The device; of a cluster, any one of its workers.
    benchmark : callable
        Returns ``float32`` or ``bfloat16``; called at most once.
    """
    recorded = [(run, run.recorded_precision(machine.backend, machine.device)) for run in with_auto_precision(runs)]
    if not recorded:
        return
    common = next((before for _run, before in recorded if before), None)
    for run, before in recorded:
        if before is None and common is None:
            common = benchmark()
        run.precision = before or common or AUTO
