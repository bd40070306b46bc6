"""Records as entries and as tables."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from pipeline import Entry, read_record
from pipeline.jobs.record import Record
from stylebank.errors import UsageError

ENTRY = Entry(
    subject="in/a.jpg",
    subject_sha256="ab" * 32,
    style="wave",
    style_sha256="cd" * 32,
    settings={"size": 512, "steps": 40, "layers": []},
    output="a.wave.jpg",
    output_sha256="ef" * 32,
    width=512,
    height=384,
    status="done",
    error=None,
    start_loss=4.0,
    final_loss=1.5,
    steps=40,
    seconds=12.5,
    backend="tensorflow",
    device="cpu",
    precision="float32",
    version="0.2.0",
    losses=[4.0, 2.0, 1.5],
    timings={"decode": 0.5, "compute": 11.0},
    libraries={"keras": "3.9"},
)
FAILED = dataclasses.replace(ENTRY, status="failed", error="bad", output="b.jpg", losses=None, timings=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An output folder, and one below it."""
    for below, entries in (("", [ENTRY, FAILED]), ("more/deep", [ENTRY])):
        (tmp_path / "out" / below).mkdir(parents=True, exist_ok=True)
        Record(tmp_path / "out" / below).append(*entries)
    return tmp_path / "out"


def test_the_entries_of_a_folder_and_of_those_below_it(folder: Path) -> None:
    entries = read_record(folder)
    assert [entry.output for entry in entries] == ["a.wave.jpg", "b.jpg", "more/deep/a.wave.jpg"]
    assert entries[0] == dataclasses.replace(ENTRY, losses=None) and entries[1].error == "bad"
    assert [entry.losses for entry in read_record(str(folder), losses=True)] == [ENTRY.losses, None, ENTRY.losses]


def test_torn_lines_are_passed_over(folder: Path) -> None:
    with (folder / "stylebank.jsonl").open("a") as file:
        file.write('{"subject": "in/c.j')
    assert len(read_record(folder)) == 3


def test_a_table_has_a_column_for_each_field_setting_and_stage(folder: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = read_record(folder, as_frame=True)
    assert list(frame["output"]) == ["a.wave.jpg", "b.jpg", "more/deep/a.wave.jpg"]
    assert list(frame["settings.steps"]) == [40, 40, 40] and list(frame["settings.layers"]) == [[], [], []]
    assert frame["timings.compute"][0] == 11.0 and pandas.isna(frame["timings.compute"][1])
    assert frame["final_loss"].mean() == 1.5 and frame["libraries.keras"][2] == "3.9"
    assert "losses" not in frame and "settings" not in frame
    assert read_record(folder, losses=True, as_frame=True)["losses"][2] == [4.0, 2.0, 1.5]
    assert list(frame.groupby("status")["seconds"].sum()) == [25.0, 12.5]


def test_a_record_without_lines_is_a_table_without_rows(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    (tmp_path / "stylebank.jsonl").touch()
    assert read_record(tmp_path) == []
    frame = read_record(tmp_path, as_frame=True)
    assert len(frame) == 0 and "status" in frame


def test_without_pandas_the_message_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"as_frame: pandas cannot be loaded \(.*\)\. Install it with 'pip install"):
        read_record(folder, as_frame=True)


def test_a_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no record of pictures"):
        read_record(tmp_path)
