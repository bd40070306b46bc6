"""A run as a whole: what fails, what is interrupted, what overlaps, what it leaves behind."""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline import Progress
from pipeline.execution import worker
from pipeline.execution.executors import InProcessExecutor
from pipeline.execution.process_executor import ProcessExecutor
from pipeline.jobs import apply as batch
from pipeline.jobs.record import Record
from stylebank import files, images
from stylebank.bank import Bank
from stylebank.errors import StyleDamaged
from tests.fakes import BatchStylizer, Stylizer
from tests.jobs.conftest import COUNT, digests, make
from tests.jobs.test_apply import QUICK

BAD = 6


def test_six_bad_images_of_forty_do_not_stop_the_others(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    stylizer(Stylizer())
    whole = (many / "00.png").read_bytes()
    bad = {
        "03.png": b"",
        "09.png": b"<svg/>",
        "15.png": whole[:60],
        "22.png": whole[:-8] + b"12345678",
        "31.png": b"\x00" * 999,
    }
    for name, data in bad.items():
        (many / name).write_bytes(data)
    (many / "36.png").unlink()
    os.mkfifo(many / "36.png")
    before = {
        name: (many / name).read_bytes() for name in sorted(path.name for path in many.iterdir()) if name != "36.png"
    }
    entries = make(bank, many, tmp_path / "out")
    assert Counter(entry.status for entry in entries) == {"done": COUNT - BAD, "failed": BAD}
    assert [Path(entry.subject).name for entry in entries if entry.error] == sorted([*bad, "36.png"])
    assert all(Path(entry.subject).name in str(entry.error) for entry in entries if entry.error)
    assert len(digests(tmp_path / "out")) == COUNT - BAD
    assert {name: (many / name).read_bytes() for name in before} == before
    # the six are tried again, the rest is not
    again = make(bank, many, tmp_path / "out")
    assert Counter(entry.status for entry in again) == {"skipped": COUNT - BAD, "failed": BAD}


def test_a_run_killed_at_twenty_points_resumes_to_the_same_result(
    bank_folder: Path, many: Path, tmp_path: Path
) -> None:
    def run(out: Path, point: int) -> int:
        command = [sys.executable, "-m", "tests.killed", str(bank_folder), str(many), str(out), str(point)]
        return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode

    assert run(tmp_path / "whole", 0) == 0
    expected = digests(tmp_path / "whole")
    assert len(expected) == COUNT
    out = tmp_path / "out"
    finished: set[str] = set()
    for point in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 21, 25, 30]:
        assert run(out, point) == -signal.SIGKILL, point
        outputs = {name: digest for name, digest in digests(out).items() if not name.startswith(".")}
        assert outputs.items() <= expected.items(), "a picture that is not whole has a picture's name"
        assert finished <= set(outputs), "what was finished is gone"
        finished = set(outputs)
    assert run(out, 0) == 0
    assert digests(out) == expected
    assert not list(out.glob(f"{files.TEMPORARY_PREFIX}*"))
    done = Counter(entry.output for entry in Record(out).entries() if entry.status == "done")
    assert set(done) == set(expected)
    # a kill costs what was computed and not yet written, and no picture that was finished
    stylised = Counter(Path(f"{out}.stylised").read_text().split())
    assert len(stylised) == COUNT and sum(stylised.values()) <= COUNT + 3 * 20
    assert run(out, 0) == 0 and Counter(Path(f"{out}.stylised").read_text().split()) == stylised


def test_temporary_files_of_a_killed_run_are_removed_unless_another_run_writes(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    stylizer(Stylizer())
    out = tmp_path / "out"
    out.mkdir()
    stray = out / f"{files.TEMPORARY_PREFIX}0123.png"
    stray.touch()
    from stylebank.files import shared_lock

    with shared_lock(out):
        make(bank, many / "00.png", out)
        assert stray.exists()
    make(bank, many / "01.png", out)
    assert not stray.exists()


def test_pictures_that_another_run_writes_while_this_one_is_planned_get_no_second_copy(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    stylizer(Stylizer())
    out = tmp_path / "out"
    options: dict[str, Any] = {"size": 0, "steps": 2, "format": "png", "precision": "float32"}
    late = batch.prepare(bank, "wave", [many], out, **options)
    make(bank, many, out)
    before = digests(out)
    entries = batch.execute([late], InProcessExecutor(), batch_size=1)
    assert Counter(entry.status for entry in entries) == {"skipped": COUNT}
    assert digests(out) == before and len(before) == COUNT


def test_fail_fast_stops_at_the_first_failure_and_keeps_finished_images(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    stylizer(Stylizer())
    (many / "00.png").write_bytes(b"")
    entries = make(bank, many, tmp_path / "out", fail_fast=True)
    statuses = [entry.status for entry in entries]
    assert statuses.count("failed") == 1 and len(statuses) < COUNT / 2
    assert len(digests(tmp_path / "out")) == statuses.count("done") == len(Record(tmp_path / "out").entries()) - 1


def test_an_error_in_a_listener_is_not_blamed_on_the_image(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    stylizer(Stylizer())

    def broken(progress: Progress) -> None:
        if progress.kind == "step" and progress.number == 2:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        make(bank, many, tmp_path / "out", listener=broken)
    assert all(entry.status == "done" for entry in Record(tmp_path / "out").entries())


def test_images_of_one_size_form_a_batch_that_is_halved_to_fit_the_memory(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    together = stylizer(BatchStylizer(max_size=3))
    assert isinstance(together, BatchStylizer)
    events: list[Progress] = []
    entries = make(bank, many, tmp_path / "out", batch_size=8, listener=events.append)
    assert [entry.status for entry in entries] == ["done"] * COUNT
    assert together.batches[0] == 8 and max(together.batches[7:]) <= 3  # and not tried again with more
    stylizer(Stylizer())
    make(bank, many, tmp_path / "single")
    assert digests(tmp_path / "out") == digests(tmp_path / "single")


def test_a_style_damaged_midway_ends_the_run_with_its_error_from_any_thread(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    stylizer(Stylizer())
    with ThreadPoolExecutor(1) as thread:

        class Threaded(InProcessExecutor):
            def map_unordered(self, tasks: Any, note: Any) -> Any:
                tasks = iter(tasks)
                while (task := thread.submit(next, tasks, None).result()) is not None:
                    yield from super().map_unordered([task], note)

        runs = [
            batch.prepare(bank, "wave", [many], tmp_path / name, size=0, steps=1, precision="float32")
            for name in ("one", "two")
        ]

        def damaged(*, remote: bool) -> Any:
            raise StyleDamaged("wave.stylebank.h5: its numbers have changed. Restore it.")

        monkeypatch.setattr(runs[1], "context", damaged)
        with pytest.raises(StyleDamaged, match="Restore it"):
            batch.execute(runs, Threaded(), batch_size=1)
    assert len(Record(tmp_path / "one").entries()) == COUNT and not digests(tmp_path / "two")


def test_several_processes_give_the_images_of_one(
    bank: Bank, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = pipeline.apply(bank, "wave", [photographs], tmp_path / "alone", format="png", **QUICK)
    events: list[Progress] = []
    other = "float32" if alone[0].precision == "bfloat16" else "bfloat16"  # at this size both make the same
    run_once = ProcessExecutor.run_once
    monkeypatch.setattr(
        ProcessExecutor,
        "run_once",
        lambda self, question: other if question is worker.benchmark_precision else run_once(self, question),
    )
    shared = pipeline.apply(
        bank, "wave", [photographs], tmp_path / "shared", format="png", jobs=2, listener=events.append, **QUICK
    )
    assert {entry.precision for entry in shared} == {other}  # one for all, whatever a worker would find by itself
    assert {entry.settings["precision"] for entry in shared} == {"auto"}
    assert [entry.status for entry in shared] == ["done"] * 3
    assert {entry.worker for entry in shared} <= {"worker 1", "worker 2"}
    assert [progress.number for progress in events if progress.kind == "end"] and events[-1].seconds_left == 0
    for one, other in zip(alone, shared, strict=True):
        assert one.output == other.output
        pixels = images.load(tmp_path / "alone" / one.output).pixels
        # threads add up in another order
        assert np.abs(pixels - images.load(tmp_path / "shared" / other.output).pixels).mean() < 2


def test_a_batch_gives_the_images_of_single_runs_within_rounding(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    for number in range(3):
        (photographs / f"again{number}.jpg").write_bytes((photographs / "rocket.jpg").read_bytes())
    options: dict[str, Any] = {"format": "png", **QUICK}
    alone = pipeline.apply(bank, "wave", [photographs], tmp_path / "alone", batch_size=1, **options)
    together = pipeline.apply(bank, "wave", [photographs], tmp_path / "together", batch_size=4, **options)
    for one, other in zip(alone, together, strict=True):
        assert one.output == other.output and other.losses is not None and len(other.losses) == other.steps
        pixels = images.load(tmp_path / "alone" / one.output).pixels
        assert np.abs(pixels - images.load(tmp_path / "together" / other.output).pixels).mean() < 0.5


def _memory_after_each(bank_folder: Path, folder: Path, out: Path) -> list[int]:
    """Stylize the pictures of a folder in four runs; return the memory of this process in bytes after each picture."""
    count = len(list(folder.iterdir()))
    held: list[int] = []

    def listen(progress: Progress) -> None:
        if progress.kind == "end":
            if (len(held) + 1) % count == 0:
                gc.collect()
                with contextlib.suppress(AttributeError):  # glibc keeps what is free; it is no leak
                    ctypes.CDLL(None).malloc_trim(0)
            fields = Path("/proc/self/statm").read_text().split()
            held.append(int(fields[1]) * os.sysconf("SC_PAGE_SIZE"))

    bank = Bank(bank_folder)
    runs = [batch.prepare(bank, "wave", [folder], out / f"out{number}", size=64, steps=2) for number in range(4)]
    entries = batch.execute(runs, InProcessExecutor(), listener=listen)
    assert [entry.status for entry in entries] == ["done"] * 4 * count
    return held


@pytest.mark.parametrize("count", [24, pytest.param(200, marks=pytest.mark.soak)])
def test_memory_stays_flat(bank_folder: Path, tmp_path: Path, count: int) -> None:
    """Four runs over the same pictures of six sizes: whatever the first two met, the others meet again.

    They run in a process of their own: the allocators of one that has run other tests fill by themselves.
    """
    folder = tmp_path / "in"
    folder.mkdir()
    noise = np.random.default_rng(0).uniform(0, 255, (128, 128, 3)).astype(np.float32)
    shapes = [(96, 128), (128, 96), (128, 128), (64, 128), (128, 80), (112, 128)]
    for number in range(count // 4):
        height, width = shapes[number % len(shapes)]
        images.save(folder / f"{number:03d}.jpg", noise[:height, :width], format="jpg", quality=80)
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        held = pool.submit(_memory_after_each, bank_folder, folder, tmp_path).result()
    report = ", ".join(f"{held[end - 1] / 1e6:.0f} MB after {end}" for end in range(count // 4, count + 1, count // 4))
    print(report)
    # from the second run on: during it the pools of allocators and threads still fill, 4 to 13 MB in a new process
    assert held[-1] - held[count // 2 - 1] < 15_000_000, report
