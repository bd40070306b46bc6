"""Executors and workers that die, in a pool of processes and in a real Dask cluster of this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.execution.dask_executor import DaskExecutor
from pipeline.execution.executors import InProcessExecutor, make_executor
from pipeline.execution.messages import RETRIES, BatchResult
from pipeline.execution.process_executor import ProcessExecutor
from stylebank.errors import UsageError
from tests.fakes import DEADLY, DEADLY_ONCE, batches, context, deadly_work

EXECUTORS: dict[str, Callable[[], Any]] = {
    "pool": lambda: ProcessExecutor(2),
    "cluster": lambda: DaskExecutor("local", 2),
}


@pytest.fixture
def met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLEBANK_TEST_FOLDER", str(tmp_path))
    return tmp_path


def images_of(kind: str, values: list[float], batch_size: int = 1) -> dict[int, Any]:
    executor = EXECUTORS[kind]()
    executor.work = deadly_work
    style = context()
    with executor:
        batch_results: list[BatchResult] = list(
            executor.map_unordered(((style, batch) for batch in batches(values, batch_size)), print)
        )
    images = [pair for batch_result in batch_results for pair in batch_result.results.items()]
    assert len(images) == len(dict(images)), "a picture came twice"
    return dict(images)


@pytest.mark.parametrize("kind", EXECUTORS)
def test_a_dead_worker_stops_nothing_and_a_deadly_image_is_retried_twice_and_reported(kind: str, met: Path) -> None:
    values = [float(value) for value in range(20, 28)]
    values[2], values[5] = DEADLY, DEADLY_ONCE
    images = images_of(kind, values)
    assert sorted(images) == list(range(1, 9))
    assert f"died each of {RETRIES + 1} times" in images[3].error and "smaller --size" in images[3].error
    for number, value in enumerate(values, start=1):
        if number != 3:
            assert images[number].error == "" and np.all(images[number].pixels == value)
    assert (met / "met3").read_bytes() == b"." * (1 + RETRIES)


@pytest.mark.parametrize("kind", EXECUTORS)
def test_the_other_images_of_a_deadly_batch_finish(kind: str, met: Path) -> None:
    images = images_of(kind, [1, 2, DEADLY, 4, 5, 6, 7], batch_size=4)
    assert sorted(images) == list(range(1, 8))
    assert [number for number, image in images.items() if image.error] == [3]


@pytest.mark.parametrize("kind", EXECUTORS)
def test_arrays_arrive_and_return_unchanged(kind: str, met: Path) -> None:
    images = images_of(kind, [float(value) for value in range(20, 60)])
    assert [float(images[number].pixels.mean()) for number in range(1, 41)] == [float(value) for value in range(20, 60)]
    assert all(image.steps == 1 for image in images.values())  # the style's arrays were there


def test_options_choose_the_executor() -> None:
    assert isinstance(make_executor(), InProcessExecutor) and isinstance(make_executor(1), InProcessExecutor)
    assert isinstance(make_executor(devices=["0"]), InProcessExecutor)
    assert make_executor(3).workers == 3
    pool = make_executor(devices=(0, 1))
    assert isinstance(pool, ProcessExecutor) and pool.workers == 2
    assert isinstance(make_executor(cluster="tcp://10.0.0.1:8786"), DaskExecutor)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jobs": 0}, "jobs 0: expected 1"),
        ({"devices": ["0", "0"]}, "each once"),
        ({"devices": ["gpu"]}, "numbers of GPUs"),
        ({"devices": [0, 1], "jobs": 3}, "one process per device"),
        ({"cluster": "somewhere"}, "expected 'local', or a scheduler's"),
        ({"cluster": "local", "devices": [0]}, "exclude each other"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_executor(**options)


def test_a_device_is_auto_cpu_or_a_gpu() -> None:
    assert make_executor(device="auto").workers == 1
    assert make_executor(2, device="cpu").workers == 2
    assert make_executor(device="gpu:1")._config.device == "gpu:1"
    assert make_executor(devices=["1"])._config.device == "gpu:1"
    with pytest.raises(UsageError, match=r"device tpu: expected auto, cpu, gpu"):
        make_executor(device="tpu")
    with pytest.raises(UsageError, match="exclude each other"):
        make_executor(devices=["0"], device="cpu")
