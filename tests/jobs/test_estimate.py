from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline.execution import worker
from pipeline.execution.executors import make_executor
from pipeline.execution.process import DeviceInfo, WorkerConfig
from pipeline.jobs import apply
from pipeline.jobs.estimate import estimate, free_bytes
from stylebank.bank import Bank
from stylebank.errors import UsageError
from tests.jobs.test_apply import QUICK


def test_an_estimate_counts_pending_images_by_size_and_grows_with_their_cost(
    bank: Bank, photographs: Path, tmp_path: Path
) -> None:
    (photographs / "empty.jpg").touch()
    (photographs / "chelsea.jpg").unlink()
    pipeline.apply(bank, "wave", [photographs / "rocket.jpg"], tmp_path / "out", **QUICK)
    runs = [
        apply.prepare(bank, "wave", [photographs], tmp_path / "out", on_existing="fail", **{**QUICK, "steps": steps})
        for steps in (2, 200)
    ]
    few, many = estimate(runs)
    assert (few.to_make, few.finished, few.failed) == (1, 1, 1)
    assert dict(few.sizes) == {(64, 64): 1}
    assert "empty.jpg: the file is empty" in few.reasons[0]
    assert few.seconds is not None and many.seconds is not None and many.seconds > 20 * few.seconds > 0
    assert few.setup is not None and many.setup is not None  # the library and the compiled step are there for the next
    assert 0 < many.setup < few.setup
    assert 500 < few.disk < 20_000
    assert estimate(runs[:1], trial=False)[0].seconds is None


def test_the_disk_of_a_missing_folder_is_that_of_its_parent(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not/yet") > 0


class GpuExecutor:
    """Executor of a machine with a GPU that takes 2 s for a step of 256 x 256 pixels."""

    workers = 4

    def __init__(self) -> None:
        self.entered = 0
        self.calls: list[str] = []

    def __enter__(self) -> GpuExecutor:
        self.entered += 1
        return self

    def __exit__(self, *_error: object) -> None:
        self.entered -= 1

    def run_once(self, function: Callable[[WorkerConfig], Any]) -> Any:
        assert self.entered == 1
        name = getattr(function, "func", function).__name__
        self.calls.append(name)
        if name == "time_steps":
            batch = function.keywords["batch"]  # type: ignore[attr-defined]
            pixels = batch.subjects[0].shape[0] * batch.subjects[0].shape[1]
            return worker.StepTimes(setup=5.0, seconds=2.0 * 3 * pixels / 256**2, progress=3 / 4)
        return DeviceInfo("tensorflow", "gpu", 8 << 30) if name == "device_info" else "bfloat16"

    def map_unordered(self, *_arguments: object) -> Any:
        raise AssertionError("an estimate computes no picture")


def test_an_estimate_takes_its_times_from_the_executor_of_the_run(
    bank: Bank, photographs: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"size": 256, "steps": 10, "coarse_to_fine": False}
    run = apply.prepare(bank, "wave", [photographs / "astronaut.jpg"], tmp_path / "out", **options)
    executor = GpuExecutor()
    (result,) = estimate([run], executor)
    assert executor.entered == 0
    assert executor.calls == ["device_info", "benchmark_precision", "time_steps"]
    assert run.precision == "bfloat16"
    assert result.device == "gpu (tensorflow)"
    assert dict(result.sizes) == {(256, 256): 1}
    assert result.setup is not None and 5 <= result.setup < 15
    assert result.seconds == pytest.approx(2.0 * 10, rel=1e-6)
    assert not (tmp_path / "out").exists()


def test_a_print_of_16_bits_is_timed(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"print": "A4", "steps": 10, "coarse_to_fine": False, "format": "tiff", "depth": 16}
    run = apply.prepare(bank, "wave", [photographs / "astronaut.jpg"], tmp_path / "out", **options)
    (result,) = estimate([run], GpuExecutor())  # type: ignore[arg-type]
    assert result.seconds == pytest.approx(2.0 * 10 * 3508 * 2480 / 256**2, rel=0.01)


def test_nothing_starts_where_nothing_is_to_do(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    for path in photographs.iterdir():
        path.write_bytes(b"")
    run = apply.prepare(bank, "wave", [photographs], tmp_path / "out", **QUICK)
    executor = GpuExecutor()
    (result,) = estimate([run], executor)
    assert (result.to_make, result.device, executor.calls) == (0, None, [])


def test_a_device_that_does_not_exist_ends_an_estimate(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    run = apply.prepare(bank, "wave", [photographs], tmp_path / "out", **QUICK)
    with pytest.raises(UsageError, match=r"device 'gpu:7': expected one of auto, .*cpu"):
        estimate([run], make_executor(device="gpu:7"))
