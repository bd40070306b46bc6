"""Two runs at once in one folder share its pictures; none replaces the other's."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import pipeline
from pipeline.execution.executors import InProcessExecutor
from pipeline.jobs import apply, output_folders, run_files
from pipeline.jobs.leases import joined
from pipeline.jobs.record import Record
from stylebank import files
from stylebank.bank import Bank
from stylebank.errors import BankBusy
from stylebank.images import Pixels
from tests.fakes import Stylizer
from tests.jobs.conftest import COUNT, digests, make
from tests.jobs.test_record import ENTRY


class Slow(Stylizer):
    """Takes a while, and remembers which picture it had."""

    def __init__(self) -> None:
        self.means: list[int] = []
        super().__init__(seen=self._see)

    def _see(self, pixels: Pixels) -> None:
        self.means.append(round(float(pixels.mean())))
        time.sleep(0.02)


def test_two_runs_share_the_pictures_of_a_folder(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    slow = stylizer(Slow())
    assert isinstance(slow, Slow)
    notes: list[str] = []

    def run(_number: int) -> Counter[str]:
        def listener(progress: pipeline.Progress) -> None:
            if progress.kind == "note":
                notes.append(progress.text)

        return Counter(entry.status for entry in make(bank, many, tmp_path / "out", listener=listener))

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, range(2))
    assert Counter(slow.means).most_common(1)[0][1] == 1, "a picture was computed twice"
    assert first["done"] + second["done"] == COUNT and min(first["done"], second["done"]) > COUNT / 5
    assert first["failed"] == second["failed"] == 0
    assert any("another run writes here too" in note for note in notes)
    assert len(digests(tmp_path / "out")) == len(Record(tmp_path / "out").entries()) == COUNT
    assert make(bank, many, tmp_path / "alone") and digests(tmp_path / "alone") == digests(tmp_path / "out")
    assert not (tmp_path / "out" / run_files.FOLDER_NAME).exists()


@pytest.mark.parametrize(("policy", "counts"), [("number", 2 * COUNT), ("skip", COUNT), ("overwrite", COUNT)])
def test_runs_with_unlike_settings_replace_nothing_unasked(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer], policy: str, counts: int
) -> None:
    stylizer(Slow())
    out = tmp_path / "out"
    begun = threading.Event()
    results: dict[int, list[pipeline.Entry]] = {}

    def run(steps: int) -> None:
        if steps == 3:
            begun.wait(60)

        def listener(progress: pipeline.Progress) -> None:
            if progress.kind == "end" and progress.number == 5:
                begun.set()

        results[steps] = make(bank, many, out, steps=steps, listener=listener, on_existing=policy)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, (2, 3)))
    assert len(digests(out)) == counts
    written = [
        (entry.output, entry.output_sha256) for run in results.values() for entry in run if entry.status == "done"
    ]
    if policy != "overwrite":  # what a run reports as done is there, byte for byte
        assert sorted(written) == sorted(digests(out).items())
    if policy == "number":
        assert Counter(entry.status for entry in results[3]) == Counter(entry.status for entry in results[2])


def test_a_picture_that_another_run_finished_meanwhile_is_not_computed_again_even_to_overwrite(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    slow = stylizer(Slow())
    assert isinstance(slow, Slow)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(make, bank, many, tmp_path / "out", overwrite=True) for _number in range(2)]
        done = [Counter(entry.status for entry in run.result())["done"] for run in runs]
    assert Counter(slow.means).most_common(1)[0][1] == 1 and sum(done) == COUNT


def test_a_picture_whose_lease_is_held_stays_with_its_run(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    stylizer(Stylizer())
    out = tmp_path / "out"
    out.mkdir()
    with joined(out) as other:
        stray = out / f"{files.TEMPORARY_PREFIX}1.png"
        stray.touch()
        # an unreadable lease may be of the same picture
        other.claim(out / "00.wave.png", "")
        (lease,) = (out / run_files.FOLDER_NAME).glob("*.lease")
        lease.write_bytes(b"")
        (entry,) = make(bank, many / "00.png", out)
        assert entry.status == "skipped" and "another run computes it" in str(entry.error)
        assert not (out / "stylebank.jsonl").exists() and stray.exists()
    (entry,) = make(bank, many / "00.png", out)
    assert entry.status == "done" and not stray.exists()


def test_a_run_waits_while_the_record_is_compacted(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    stylizer(Stylizer())
    monkeypatch.setattr(output_folders, "_COMPACT_SECONDS", 0.3)
    with joined(tmp_path / "out", "compact"), pytest.raises(BankBusy, match="its record is being compacted"):
        make(bank, many / "00.png", tmp_path / "out")
    monkeypatch.setattr(output_folders, "_COMPACT_SECONDS", 60)
    with ThreadPoolExecutor(1) as pool, joined(tmp_path / "out", "compact") as compaction:
        run = pool.submit(make, bank, many / "00.png", tmp_path / "out")
        time.sleep(0.5)
        assert not run.done()
        compaction.leave()
        assert run.result()[0].status == "done"


def test_finished_pictures_of_a_folder_that_cannot_be_written_are_reported(
    bank: Bank,
    many: Path,
    tmp_path: Path,
    stylizer: Callable[[Stylizer], Stylizer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stylizer(Stylizer())
    make(bank, many, tmp_path / "out")
    # the tests' user may write everywhere
    monkeypatch.setattr(run_files, "FOLDER_NAME", "stylebank.jsonl")
    monkeypatch.setattr("pipeline.jobs.leases.FOLDER_NAME", "stylebank.jsonl")
    assert {entry.status for entry in make(bank, many, tmp_path / "out")} == {"skipped"}
    (tmp_path / "out/00.wave.png").unlink()
    entries = make(bank, many, tmp_path / "out")
    assert [entry.status for entry in entries].count("failed") == 1
    assert "A file stands where a folder is needed" in str(entries[0].error)


def test_two_names_of_one_output_folder_are_one_place(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    stylizer(Stylizer())
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    options = {"size": 0, "steps": 2, "format": "png", "precision": "float32"}
    runs = [
        apply.prepare(bank, "wave", [many / f"0{number}.png"], tmp_path / name, **options)
        for number, name in enumerate(("real", "link"))
    ]
    notes: list[str] = []
    entries = apply.execute(runs, InProcessExecutor(), batch_size=1, listener=lambda event: notes.append(event.text))
    assert [entry.status for entry in entries] == ["done", "done"] and not any("another run" in note for note in notes)


@pytest.mark.skipif(not hasattr(os, "chown") or os.getuid() != 0, reason="only root gives files to another group")
def test_a_second_user_of_the_folders_group_can_write_beside_the_first(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    os.chown(out, -1, 4321)
    out.chmod(0o2775)
    old = os.umask(0o022)
    try:
        with joined(out) as runs:
            assert runs.claim(out / "x.jpg", "work").granted
            Record(out).append(dataclasses.replace(ENTRY, losses=[1.0]))
            files.make_folder(out / "a/b")
            for path in (run_files.FOLDER_NAME, "a", "a/b", "stylebank.jsonl", "stylebank.losses.jsonl"):
                status = (out / path).stat()
                assert status.st_gid == 4321 and status.st_mode & 0o060 == 0o060, path
    finally:
        os.umask(old)
