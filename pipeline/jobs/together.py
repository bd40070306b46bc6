"""Runs that are executed together."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .naming import output_key
from .plan import mark_clashes, require_possible
from .prepare import files_beside_subjects
from .run import Run


def check_together(runs: Sequence[Run]) -> None:
    """Let runs that are executed together leave each other's subjects and outputs alone.

    A task whose output belongs to another one gets a problem.

    Raises
    ------
    UsageError
        If no output can be written.
    """
    inputs: dict[str, str] = {}
    for run in runs:
        inputs |= files_beside_subjects(run.planned, run.mask_files, run.settings)
    plans = mark_clashes([run.planned for run in runs], inputs)
    require_possible(plans)
    protected = {*inputs, *(os.path.realpath(task.subject) for planned in plans for task in planned.tasks)}
    outputs = {output_key(os.path.realpath(task.output)) for planned in plans for task in planned.tasks}
    for run, planned in zip(runs, plans, strict=True):
        run.planned = planned
        run.outputs.protect(protected, outputs)
