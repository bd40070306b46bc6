"""A Dask cluster: what it holds and restores, and what it reports when it is lost or its workers cannot compute."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import distributed
import psutil
import pytest

from pipeline.execution import worker
from pipeline.execution.dask_executor import DaskExecutor
from pipeline.execution.messages import WorkItem
from pipeline.execution.process import WorkerConfig
from stylebank.errors import StylebankError, UsageError
from tests.fakes import batches, broken_work, context, slow_work

ROOT = Path(__file__).parents[2]


def tasks(count: int, submitted: list[int] | None = None) -> Iterator[WorkItem]:
    style = context()
    for batch in batches([float(value) for value in range(count)]):
        if submitted is not None:
            submitted.append(batch.indices[0])
        yield style, batch


def listening_addresses() -> set[str]:
    process = psutil.Process()
    return {
        connection.laddr.ip
        for member in (process, *process.children(recursive=True))
        for connection in member.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def test_one_local_worker_has_two_batches_in_flight_and_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    config = copy.deepcopy(dask.config.get("distributed"))
    submitted: list[int] = []
    executor = DaskExecutor("local", 1)
    executor.work = slow_work
    with executor:
        workers = set()
        for count, result in enumerate(executor.map_unordered(tasks(8, submitted), print), start=1):
            workers.add(result.worker)
            assert len(submitted) <= count + 1
        assert count == 8 and len(workers) == 1 and workers != {str(os.getpid())}
        assert listening_addresses() == {"127.0.0.1"}
        with pytest.raises(ValueError, match="No client"):
            distributed.default_client()
    assert dask.config.get("distributed") == config
    assert capfd.readouterr() == ("", "")


def test_a_run_that_stops_early_cancels_what_waits() -> None:
    executor = DaskExecutor("local", 1)
    executor.work = slow_work
    with executor:
        results = executor.map_unordered(tasks(8), print)
        next(results)
        executor._contexts = {}
        results.close()  # type: ignore[attr-defined]
        deadline = time.monotonic() + 10
        while executor._client.futures and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not executor._client.futures


def test_an_error_of_a_worker_is_one_line() -> None:
    executor = DaskExecutor("local", 1)
    executor.work = broken_work
    with executor, pytest.raises(StylebankError, match=r"OSError: no space left on the device. See the logs"):
        list(executor.map_unordered(tasks(3), print))


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    file = tmp_path / "scheduler.json"
    common: Any = {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "stderr": subprocess.DEVNULL}
    options = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard"]
    dask_command = [sys.executable, "-m", "dask"]
    processes = [
        subprocess.Popen([*dask_command, "scheduler", "--port", "0", *options], **common),
        subprocess.Popen([*dask_command, "worker", "--nthreads", "1", "--no-nanny", *options], **common),
    ]
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                address = json.loads(file.read_text())["address"]
                break
            except (OSError, ValueError):
                assert time.monotonic() < deadline, "no scheduler started"
                time.sleep(0.1)
        yield address, processes[0]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_lost_scheduler_ends_the_run_with_one_line(
    scheduler: tuple[str, subprocess.Popen[bytes]], capfd: pytest.CaptureFixture[str]
) -> None:
    address, process = scheduler
    executor = DaskExecutor(address, 1)
    executor.work = slow_work
    finished = 0
    start = time.monotonic()
    with pytest.raises(StylebankError, match=r"scheduler is lost.*repeat the command: finished images are kept"):  # noqa: SIM117
        with executor:
            for _result in executor.map_unordered(tasks(500), print):
                finished += 1
                if finished == 2:
                    process.send_signal(signal.SIGKILL)
    assert 2 <= finished < 100 and time.monotonic() - start < 60
    assert capfd.readouterr() == ("", "")


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.execution.dask_executor._SECONDS_TO_ANSWER", 1)
    with pytest.raises(UsageError, match="no scheduler answers"), DaskExecutor("tcp://127.0.0.1:9", 1):
        pass


def test_a_worker_without_the_package_is_one_line() -> None:
    class Client:
        status = "running"

        def submit(self, *_arguments: Any, **_keywords: Any) -> Any:
            raise ModuleNotFoundError("No module named 'pipeline'")

    executor = DaskExecutor("tcp://10.0.0.1:8786", 1)
    executor._client, executor._config = Client(), WorkerConfig(0)
    with pytest.raises(StylebankError, match=r"No module named 'pipeline'.*each needs the same version of stylebank"):
        executor.run_once(worker.device_info)
