"""Several processes of this machine: none is left behind, and another joblib backend takes their place."""

from __future__ import annotations

import os

import joblib
import psutil
import pytest
from joblib.externals import loky

from pipeline.execution.process_executor import ProcessExecutor
from tests.fakes import batches, context, slow_work


def workers_of(executor: ProcessExecutor, count: int = 4) -> set[int]:
    executor.work = slow_work
    style = context()
    tasks = ((style, batch) for batch in batches([float(value) for value in range(count)]))
    with executor:
        results = list(executor.map_unordered(tasks, print))
    assert sorted(number for result in results for number in result.results) == list(range(1, count + 1))
    return {int(result.worker) for result in results}


def test_no_process_is_left_after_a_run() -> None:
    workers = workers_of(ProcessExecutor(2))
    assert workers and os.getpid() not in workers
    assert not [worker for worker in workers if psutil.pid_exists(worker)]


def test_a_backend_set_by_joblibs_context_computes_and_no_pool_starts() -> None:
    def processes() -> set[int]:
        children = psutil.Process().children(recursive=True)
        return {child.pid for child in children if "resource_tracker" not in " ".join(child.cmdline())}

    before = processes()
    with joblib.parallel_config(backend="threading"):
        assert workers_of(ProcessExecutor(2)) == {os.getpid()}
    assert processes() == before


def test_an_executor_that_computed_nothing_shuts_nothing_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_options: object) -> None:
        raise AssertionError("a pool was asked for")

    monkeypatch.setattr(loky, "get_reusable_executor", refuse)
    with ProcessExecutor(2):
        pass


def test_a_run_that_stops_early_kills_its_processes() -> None:
    executor = ProcessExecutor(2)
    executor.work = slow_work
    style = context()
    with pytest.raises(KeyboardInterrupt), executor:
        results = executor.map_unordered(((style, batch) for batch in batches([1.0] * 100)), print)
        worker = int(next(results).worker)
        raise KeyboardInterrupt
    assert not psutil.pid_exists(worker)
