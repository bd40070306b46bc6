"""One index of a record serves all runs."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from pipeline.jobs.record import Record
from pipeline.jobs.record_index import RecordIndex, Records
from stylebank.errors import OutputRefused
from tests.jobs.test_record import ENTRY, _line


def test_done_entries_come_without_losses_and_share_settings(tmp_path: Path) -> None:
    record = Record(tmp_path)
    later = dataclasses.replace(ENTRY, losses=[1.0, 0.5], timings={"compute": 1.0}, subject_stat=[5, 7])
    record.append(ENTRY, later, dataclasses.replace(ENTRY, output="y.jpg"))
    index = RecordIndex(record)
    assert index.done("x.jpg") == [ENTRY, dataclasses.replace(ENTRY, subject_stat=[5, 7])]
    assert index.done("y.jpg")[0].settings is index.done("x.jpg")[0].settings
    assert set(index.outputs()) == {"x.jpg", "y.jpg"} and index.done("z.jpg") == []


def test_lines_without_an_entry_are_passed_over_and_python_json_is_read(tmp_path: Path) -> None:
    lines = [b"", b"[]", b"[" * 100_000, _line(settings=[]), _line(settings=None), _line(output=7), b"\xff", _line()]
    odd = [_line(output="a.jpg", final_loss=float("nan")), _line(output="b.jpg", subject="caf\udce9")]
    (tmp_path / "stylebank.jsonl").write_bytes(b"\n".join([*lines, *odd]) + b"\n")
    assert set(RecordIndex(Record(tmp_path)).outputs()) == {"x.jpg", "a.jpg", "b.jpg"}


def test_refresh_reads_what_was_appended_and_a_torn_line_when_it_is_whole(tmp_path: Path) -> None:
    record = Record(tmp_path)
    index = RecordIndex(record)
    assert index.outputs() == {}
    record.append(ENTRY)
    index.refresh()
    line = _line(output="y.jpg") + b"\n"
    with record.path.open("ab") as file:
        file.write(line[:100])
    index.refresh()
    assert set(index.outputs()) == {"x.jpg"}
    with record.path.open("ab") as file:
        file.write(line[100:])
    index.refresh()
    assert [len(entries) for entries in index.outputs().values()] == [1, 1]


def test_a_failure_counts_until_the_picture_is_done(tmp_path: Path) -> None:
    record = Record(tmp_path)
    failed = dataclasses.replace(ENTRY, status="failed", error="no")
    record.append(ENTRY, failed)
    index = RecordIndex(record)
    assert index.failure("x.jpg") == failed and index.failures() == [failed]
    assert index.failure("other.jpg") is None
    record.append(dataclasses.replace(ENTRY, output="x-2.jpg", copy=2))  # a copy stands for the picture
    index.refresh()
    assert index.failure("x.jpg") is None and index.failures() == []


def test_a_record_that_was_rewritten_is_read_again(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.append(ENTRY, dataclasses.replace(ENTRY, output="y.jpg", status="failed", error="no"))
    index = RecordIndex(record)
    record.path.write_text(f"{dataclasses.replace(ENTRY, output='z.jpg').json()}\n")
    index.refresh()
    assert set(index.outputs()) == {"z.jpg"} and index.failures() == []


def test_the_planned_output_has_no_number() -> None:
    for output, copy, planned in (
        ("x-2.jpg", 2, "x.jpg"),
        ("x-2.jpg", None, "x-2.jpg"),
        ("a/x-2-3.png", 3, "a/x-2.png"),
    ):
        assert dataclasses.replace(ENTRY, output=output, copy=copy).planned_output == planned


def test_the_precision_is_that_of_the_newest_picture_alike(tmp_path: Path) -> None:
    entries = [
        dataclasses.replace(ENTRY, precision="bfloat16"),
        dataclasses.replace(ENTRY, precision="float32"),
        dataclasses.replace(ENTRY, precision="bfloat16", settings={"size": 1}),
        dataclasses.replace(ENTRY, precision="bfloat16", device="gpu"),
    ]
    record = Record(tmp_path)
    record.append(*entries)
    index = RecordIndex(record)
    assert index.precision("tensorflow", "cpu", lambda entry: entry.settings == ENTRY.settings) == "float32"
    assert index.precision("tensorflow", "cpu", lambda entry: True) == "bfloat16"
    assert index.precision("tensorflow", "gpu", lambda entry: entry.settings == {"size": 1}) is None


def test_paths_resolve_folders_and_not_files(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    record = Record(tmp_path / "out")
    record.append(ENTRY, dataclasses.replace(ENTRY, style="b"), dataclasses.replace(ENTRY, output="sub/y.jpg"))
    real = os.path.realpath(tmp_path / "real")
    paths = RecordIndex(record).paths
    assert paths == {f"{real}/x.jpg": {ENTRY.style, "b"}, f"{real}/sub/y.jpg": {ENTRY.style}}
    assert f"{real}/sub/y.steps" in RecordIndex(record).step_folders


def test_a_record_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "stylebank.jsonl").mkdir()
    with pytest.raises(OutputRefused, match=r"stylebank\.jsonl: "):
        Records().index(tmp_path)
