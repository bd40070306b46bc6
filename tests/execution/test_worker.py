"""Stylizers that a worker keeps, its times, its errors and its snapshots."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import os
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.backends import devices, host_memory
from pipeline.backends.timing import setup_seconds
from pipeline.execution import batching, process, worker
from pipeline.execution.dask_executor import DaskExecutor
from pipeline.execution.messages import ImageBatch, WorkerContext
from pipeline.execution.process_executor import ProcessExecutor
from pipeline.jobs.apply import prepare
from stylebank.bank import Bank
from tests import fakes

HERE = process.WorkerConfig(os.getpid())


@pytest.fixture
def context(bank: Bank, photographs: Path, tmp_path: Path) -> WorkerContext:
    worker.clear_cache()
    return prepare(bank, "wave", [photographs], tmp_path / "out", size=64, steps=1).context(remote=True)


def _image_batch(number: int = 1, side: int = 64) -> ImageBatch:
    subject = np.random.default_rng(0).uniform(0, 255, (side, side, 3)).astype(np.float32)
    return ImageBatch((number,), [subject])


def test_a_style_is_set_up_once_with_the_packaged_weights(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.synthesis import stylizer as synthesis

    built: list[object] = []
    before = synthesis.Stylizer.__init__

    def counted(self: object, *arguments: object) -> None:
        built.append(self)
        before(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(synthesis.Stylizer, "__init__", counted)
    assert context.weights is None

    def sent(context: WorkerContext) -> WorkerContext:
        return pickle.loads(pickle.dumps(context))  # type: ignore[no-any-return]

    batch_results = [worker.work(HERE, sent(context), _image_batch(number)) for number in (1, 2)]
    assert len(built) == 1
    for number, batch_result in enumerate(batch_results, start=1):
        image = batch_result.results[number]
        assert image.error == "" and image.pixels is not None and image.pixels.shape == (64, 64, 3)
        assert image.losses and image.final_loss < image.start_loss
        assert batch_result.machine["backend"] and batch_result.machine["device"] in {"cpu", "gpu"}
    for key in ("second", "third"):
        worker.work(HERE, dataclasses.replace(context, key=key), _image_batch())
    assert len(built) == 3 and worker._make_stylizer.cache_info().currsize == 2
    worker.clear_cache()


def test_compiling_counts_as_setting_up_and_once(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    from keras import ops

    from pipeline.backends import compile as compiling

    class Slow(fakes.Stylizer):
        def stylize(self, subject: Any, **more: Any) -> Any:
            compiled(ops.convert_to_tensor(subject))
            compiled(ops.convert_to_tensor(subject))
            time.sleep(0.2)
            return super().stylize(subject, **more)

    def traced(at: Any) -> Any:
        time.sleep(0.6)  # Python runs where it is compiled, and never again
        return at * 2

    compiled = compiling.compile_function(traced)
    stylizer = Slow()
    monkeypatch.setattr(worker, "_make_stylizer", functools.cache(lambda context: stylizer))
    first, second = (worker.work(HERE, context, _image_batch()) for _ in range(2))
    assert first.setup > 0.5 and first.setup - second.setup > 0.4
    assert first.compute >= 0.2 and second.compute >= 0.2


def test_eigendecompositions_of_a_style_count_as_setting_up(context: WorkerContext) -> None:
    from pipeline.synthesis.losses import functional as distance

    gaussian = next(iter(context.styles[0].scales.values()))["conv3_1"]
    before, began = setup_seconds(), time.perf_counter()
    distance.layer_target(gaussian)
    spent = time.perf_counter() - began
    assert 0 < setup_seconds() - before <= spent
    batch_results = [worker.work(HERE, context, _image_batch()) for _ in range(2)]
    assert batch_results[0].setup > batch_results[1].setup
    worker.clear_cache()


def test_missing_weights_are_an_error_of_every_image(context: WorkerContext) -> None:
    batch_result = worker.work(HERE, dataclasses.replace(context, key="x", weights_sha256="0" * 64), _image_batch())
    assert batch_result.setup_error is not None and "000" in batch_result.setup_error[0] and batch_result.results == {}


def test_a_subject_that_is_too_thin_fails_alone(context: WorkerContext) -> None:
    subjects = [*_image_batch().subjects, np.zeros((10, 200, 3), np.float32)]
    batch_result = worker.work(HERE, context, ImageBatch((1, 2), subjects))
    assert batch_result.results[1].error == "" and "needs at least" in batch_result.results[2].error


def test_snapshots_come_back_when_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_make_stylizer", functools.cache(lambda context: fakes.Stylizer()))
    batch = dataclasses.replace(_image_batch(), snapshot_every=1)
    snapshots = worker.work(HERE, fakes.context(), batch).results[1].snapshots
    assert [step for step, _pixels in snapshots] == [1, 2] and snapshots[0][1].dtype == np.uint8


def test_weights_that_travel_twice_are_compiled_once(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    from pipeline.synthesis import stylizer as synthesis
    from pipeline.vgg import weights

    worker.clear_cache()
    run = prepare(bank, "wave", [photographs], tmp_path / "out", size=64, steps=1)
    built = []
    for key in ("first", "second"):
        context = dataclasses.replace(run.context(remote=True), key=key, weights=weights.load())
        received = pickle.loads(pickle.dumps(context))
        assert received.weights is not context.weights and received.weights == context.weights
        before = synthesis._objective.cache_info().misses
        assert worker.work(HERE, received, _image_batch()).results[1].error == ""
        built.append(synthesis._objective.cache_info().misses - before)
    assert built[1] == 0
    worker.clear_cache()


def test_a_result_names_what_decides_the_last_bits(context: WorkerContext) -> None:
    machine = worker.work(HERE, context, _image_batch()).machine
    assert machine["threads"] >= 1
    assert machine["libraries"]["numpy"] == np.__version__
    assert machine["libraries"]["keras"] == importlib.metadata.version("keras")
    assert set(machine["libraries"]) == {machine["backend"], "keras", "numpy", "pillow", "scipy"}


def test_a_batch_computes_with_its_processes_part_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int | None] = []
    monkeypatch.setattr(host_memory, "_free_bytes", lambda root: 12 << 30)
    stylizer = fakes.Stylizer(seen=lambda pixels: seen.append(host_memory.free_memory()))
    monkeypatch.setattr(worker, "_make_stylizer", functools.cache(lambda context: stylizer))
    for processes in (1, 3):
        worker.work(dataclasses.replace(HERE, processes=processes), fakes.context(), _image_batch())
    assert seen == [12 << 30, 4 << 30]


@pytest.mark.parametrize(
    ("config", "gib"),
    [
        ({"exclusive": True, "processes": 4}, 10),  # --jobs 4 on one GPU
        ({"exclusive": True, "processes": 4, "devices": ("0", "1", "2", "3")}, 40),  # a GPU each
        ({"processes": 4}, 40),  # workers of a cluster, started with a GPU each
    ],
)
def test_processes_on_one_gpu_share_its_memory(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], gib: int
) -> None:
    monkeypatch.setattr(process._process, "initialized", True)
    monkeypatch.setattr(devices, "device", lambda: "gpu")
    monkeypatch.setattr(devices, "device_bytes", lambda name: 40 << 30)
    info = worker.device_info(process.WorkerConfig(1, **config))
    assert info.gpu_bytes == gib << 30
    size = (1024, 1024)
    assert batching.auto_batch_size(size, info.gpu_bytes) == batching.auto_batch_size(size, gib << 30)


def test_an_executor_tells_its_workers_how_many_they_are() -> None:
    with ProcessExecutor(3) as pool:
        assert pool._config.processes == 3
    with DaskExecutor("local", 2) as cluster:
        assert cluster._config.processes == 2 and cluster._processes_per_host() == 2
