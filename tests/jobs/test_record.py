from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs.record import Entry, Record
from stylebank.errors import OutputRefused

ENTRY = Entry(
    subject="in/caf\udce9.jpg",
    subject_sha256="a" * 64,
    style="m\u00f6bius \U0001f3a8",
    style_sha256="b" * 64,
    settings={"size": 512, "algorithm": 1},
    output="x.jpg",
    output_sha256="c" * 64,
    width=512,
    height=384,
    status="done",
    error=None,
    start_loss=1.0,
    final_loss=0.25,
    steps=80,
    seconds=12.5,
    backend="tensorflow",
    device="cpu",
    precision="float32",
    version="0.1.0",
)


def _line(**values: Any) -> bytes:
    return json.dumps({**json.loads(ENTRY.json()), **values}).encode()


def test_entries_round_trip(tmp_path: Path) -> None:
    record = Record(tmp_path)
    assert record.entries() == []
    record.append(ENTRY)
    record.append(dataclasses.replace(ENTRY, status="failed", error="no"))
    assert [entry.status for entry in record.entries()] == ["done", "failed"]
    assert record.entries()[0] == ENTRY


def test_a_line_holds_the_fields_others_build_on(tmp_path: Path) -> None:
    Record(tmp_path).append(ENTRY)
    line = json.loads((tmp_path / "stylebank.jsonl").read_text("ascii"))
    assert list(line) == [
        "subject",
        "subject_sha256",
        "style",
        "style_sha256",
        "settings",
        "output",
        "output_sha256",
        "width",
        "height",
        "status",
        "error",
        "start_loss",
        "final_loss",
        "steps",
        "seconds",
        "backend",
        "device",
        "precision",
        "version",
    ]


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_torn_last_line_is_passed_over_and_the_next_entry_is_whole(tmp_path: Path, kept: int) -> None:
    record = Record(tmp_path)
    record.append(ENTRY)
    whole = record.path.read_bytes()
    record.path.write_bytes(whole + whole[:kept])
    record.append(dataclasses.replace(ENTRY, output="second.jpg"))
    outputs = [entry.output for entry in record.entries()]
    assert outputs[0] == "x.jpg" and outputs[-1] == "second.jpg"


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": 1}',
        b"[]",
        b"null",
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"subject": ' * 50_000,
        _line(settings=[]),
        _line(settings=None),
        _line(output=7),
        _line(style=None),
        _line(width="512"),
        _line(width=512.5),
        _line(status=True),
        _line(device=["cpu"]),
        _line(losses={"1": 2.0}),
        _line(timings={"compute": "fast"}),
        _line(final_loss="low"),
        _line(subject="caf\udce9.jpg", worker=1),
        _line(seconds=10**400),
    ],
    ids=lambda line: line[:20].decode("ascii", "replace") + str(len(line)),
)
def test_a_line_without_an_entry_is_passed_over(tmp_path: Path, line: bytes) -> None:
    record = Record(tmp_path)
    record.append(ENTRY)
    with record.path.open("ab") as file:
        file.write(line + b"\n")
    record.append(ENTRY)
    assert record.entries() == [ENTRY, ENTRY]


def test_a_line_with_keys_of_a_newer_version_counts(tmp_path: Path) -> None:
    (tmp_path / "stylebank.jsonl").write_bytes(_line(license="CC0", nested={"a": [None, 1e400]}, more=[{}]) + b"\n")
    assert Record(tmp_path).entries() == [ENTRY]


@pytest.mark.parametrize("change", [{}, {"final_loss": math.inf}, {"subject": "a\u2028\x0b.jpg"}, {"seconds": 3.0}])
def test_lines_keep_their_bytes_when_they_are_read_and_written_again(tmp_path: Path, change: dict[str, Any]) -> None:
    later = {"losses": [1.0, 0.12345], "timings": {"decode": 0.5}, "worker": "gpu 0"}
    for entry in (dataclasses.replace(ENTRY, **change), dataclasses.replace(ENTRY, **change, **later)):
        (tmp_path / "stylebank.jsonl").write_text(entry.json())
        (again,) = Record(tmp_path).entries()
        assert again.json() == entry.json()


def test_a_line_is_ascii_json_with_its_keys_in_order() -> None:
    a, b, c = "a" * 64, "b" * 64, "c" * 64
    assert ENTRY.json() == (
        f'{{"subject": "in/caf\\udce9.jpg", "subject_sha256": "{a}", "style": "m\\u00f6bius \\ud83c\\udfa8", '
        f'"style_sha256": "{b}", "settings": {{"size": 512, "algorithm": 1}}, "output": "x.jpg", '
        f'"output_sha256": "{c}", "width": 512, "height": 384, "status": "done", "error": null, '
        '"start_loss": 1.0, "final_loss": 0.25, "steps": 80, "seconds": 12.5, "backend": "tensorflow", '
        '"device": "cpu", "precision": "float32", "version": "0.1.0"}'
    )


def test_the_same_work_is_subject_style_settings_and_output(tmp_path: Path) -> None:
    assert ENTRY.same_work(dataclasses.replace(ENTRY, seconds=1.0, version="9", output_sha256=None))
    for change in ({"subject_sha256": "d"}, {"style_sha256": "d"}, {"settings": {"size": 1}}, {"output": "y.jpg"}):
        assert not ENTRY.same_work(dataclasses.replace(ENTRY, **change))


def test_a_record_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "stylebank.jsonl").mkdir()
    with pytest.raises(OutputRefused, match=r"stylebank\.jsonl"):
        Record(tmp_path).append(ENTRY)


def test_lines_without_optional_fields_count_and_lines_of_other_weights_do_not(tmp_path: Path) -> None:
    new = dataclasses.replace(ENTRY, weights_sha256="e" * 64, losses=[1.0, 0.5], timings={"compute": 1.0})
    assert ENTRY.same_work(new) and new.same_work(ENTRY)
    assert not new.same_work(dataclasses.replace(new, weights_sha256="f" * 64))
    new = dataclasses.replace(new, output_sha256="d" * 64)
    Record(tmp_path).append(ENTRY, new)
    assert Record(tmp_path).entries() == [ENTRY, new]


@pytest.mark.parametrize(
    ("settings", "change", "same"),
    [
        ({"init": "subject", "format": "jpg"}, {"seed": 7}, True),
        ({"init": "noise", "format": "jpg"}, {"seed": 7}, False),
        ({"init": "subject", "format": "png"}, {"quality": 50}, True),
        ({"init": "subject", "format": "jpg"}, {"quality": 50}, False),
        ({"init": "a/x.jpg", "init_sha256": "0", "format": "jpg"}, {"init": "b/x.jpg"}, True),
        ({"init": "a/x.jpg", "init_sha256": "0", "format": "jpg"}, {"init_sha256": "1"}, False),
        ({"init": "subject", "format": "png"}, {"dpi": 300.0}, False),
        ({"init": "subject", "format": "jpg"}, {"algorithm": 2}, False),
    ],
)
def test_only_settings_that_decide_the_picture_ask_for_a_new_one(
    settings: dict[str, object], change: dict[str, object], same: bool
) -> None:
    whole = {"size": 64, "seed": 0, "quality": 95, "algorithm": 1, **settings}
    one = dataclasses.replace(ENTRY, settings=whole)
    assert one.same_work(dataclasses.replace(ENTRY, settings={**whole, **change})) is same


def test_the_repr_of_an_entry_fits_a_line() -> None:
    assert repr(dataclasses.replace(ENTRY, output="b.png", style="wave", final_loss=0.25, error=None)) == (
        f"Entry('b.png', {ENTRY.status!r}, style='wave', final_loss=0.25)"
    )
    long = dataclasses.replace(ENTRY, output="x" * 300, style="y" * 300, error="z" * 300, losses=[0.5] * 300)
    assert len(repr(long)) < 200 and "error='zzz" in repr(long)
