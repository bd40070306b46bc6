"""A record is shortened without losing a picture, a failure or a loss."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.jobs.compact import compact
from pipeline.jobs.leases import joined
from pipeline.jobs.record import Record
from stylebank.bank import Bank
from stylebank.errors import BankBusy, UsageError
from tests.fakes import Stylizer
from tests.jobs.conftest import make
from tests.jobs.test_record import ENTRY


def test_the_last_line_of_each_picture_and_the_open_failures_stay(tmp_path: Path) -> None:
    record = Record(tmp_path)
    first = dataclasses.replace(ENTRY, losses=[3.0, 2.0], output_sha256="1" * 64)
    last = dataclasses.replace(ENTRY, losses=[2.0, 1.0], output_sha256="2" * 64)
    failed = dataclasses.replace(ENTRY, subject="b.jpg", output="b.out.jpg", status="failed", error="no")
    mended = dataclasses.replace(ENTRY, subject="c.jpg", output="c.out.jpg", output_sha256="3" * 64)
    skipped = dataclasses.replace(last, status="skipped", losses=None)
    # a version before 0.2.0 kept the losses in the line
    record.path.write_text(f"{first.json()}\n{last.json()}\n{{torn\n")
    record.append(failed, dataclasses.replace(mended, status="failed", error="no"), mended, failed, *[skipped] * 50)
    (result,) = compact(tmp_path)
    assert record.entries() == [last, mended, failed]
    assert (result.lines_before, result.lines_after) == (57, 3)
    assert result.bytes_after == record.path.stat().st_size < result.bytes_before / 10
    assert "losses" not in record.path.read_text()
    assert [json.loads(line)["losses"] for line in record.losses_path.read_text().splitlines()] == [[2.0, 1.0]]
    before = record.path.read_bytes(), record.losses_path.read_bytes()
    compact(tmp_path)
    assert (record.path.read_bytes(), record.losses_path.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [record.path.name, record.losses_path.name]


def test_finished_pictures_stay_finished(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    stylizer(Stylizer())
    for steps in (2, 3):
        make(bank, many, tmp_path / "out", steps=steps, overwrite=True)
    compact(tmp_path)
    assert {entry.status for entry in make(bank, many, tmp_path / "out", steps=3)} == {"skipped"}


def test_a_record_in_use_and_a_folder_without_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no record of pictures"):
        compact(tmp_path)
    Record(tmp_path).append(ENTRY)
    with joined(tmp_path), pytest.raises(BankBusy, match=r"a run writes here \(process"):
        compact(tmp_path)
    compact(tmp_path)


def test_the_line_of_the_file_that_is_there_stays_where_a_killed_run_wrote_another(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    stylizer(Stylizer())
    out, subject = tmp_path / "out", many / "00.png"
    make(bank, subject, out)
    before = (out / "00.wave.png").read_bytes()
    status = (out / "00.wave.png").stat()
    make(bank, subject, out, size=40, overwrite=True)
    (out / "00.wave.png").write_bytes(before)
    for keeps_time in (True, False):
        if keeps_time:
            os.utime(out / "00.wave.png", ns=(status.st_atime_ns, status.st_mtime_ns))
        else:
            os.utime(out / "00.wave.png")
        compact(out)
        assert [entry.status for entry in make(bank, subject, out)] == ["skipped"]
        assert [path.name for path in out.glob("*.png")] == ["00.wave.png"]


def test_rights_and_links_of_a_record_stay(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    record = Record(tmp_path / "out")
    record.append(ENTRY, ENTRY)
    target = tmp_path / "elsewhere.jsonl"
    record.path.rename(target)
    target.chmod(0o664)
    record.path.symlink_to(target)
    (result,) = compact(tmp_path / "out")
    assert (result.lines_before, result.lines_after) == (2, 1)
    assert record.path.is_symlink() and target.stat().st_mode & 0o777 == 0o664
    assert record.entries() == [ENTRY]


def test_losses_of_either_file_stay_with_their_lines(tmp_path: Path) -> None:
    record = Record(tmp_path)
    gone, kept, old = (
        dataclasses.replace(ENTRY, output=output, output_sha256=digit * 64, losses=[float(digit)])
        for output, digit in (("x.jpg", "1"), ("x.jpg", "2"), ("y.jpg", "3"))
    )
    record.append(gone, kept)
    with record.path.open("a") as file:
        file.write(f"{old.json()}\n")
    compact(tmp_path)
    assert record.entries() == [kept, old]
    assert len(record.losses_path.read_text().splitlines()) == 2
