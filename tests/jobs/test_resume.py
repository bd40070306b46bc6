"""The record and the digests of the files show which images are complete."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pipeline
from stylebank.bank import Bank
from stylebank.errors import OutputRefused
from tests.jobs.test_apply import QUICK, digest, folder_digests


def test_a_complete_image_is_skipped_unless_something_changed(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def statuses(**settings: object) -> list[str]:
        return [entry.status for entry in pipeline.apply(bank, "wave", [photographs], out, **{**QUICK, **settings})]

    assert statuses() == ["done"] * 3
    before = folder_digests(out)
    assert statuses() == ["skipped"] * 3
    (out / "chelsea.wave.jpg").unlink()
    assert statuses() == ["skipped", "done", "skipped"]
    records = {"stylebank.jsonl": "", "stylebank.losses.jsonl": ""}
    assert {**before, **records} == {**folder_digests(out), **records}
    with pytest.raises(OutputRefused, match=r"3 outputs exist already.*it has steps 2, not 3.*Nothing is computed"):
        statuses(steps=3, on_existing="fail")
    assert statuses(steps=3, overwrite=True) == ["done"] * 3
    assert statuses(steps=3) == ["skipped"] * 3


@pytest.mark.parametrize("harm", ["truncated", "swapped", "made elsewhere"])
def test_an_existing_file_is_no_proof(bank: Bank, photographs: Path, tmp_path: Path, harm: str) -> None:
    subject, out = photographs / "chelsea.jpg", tmp_path / "out"
    output = out / "chelsea.wave.jpg"
    pipeline.apply(bank, "wave", [subject], out, **QUICK)
    if harm == "truncated":
        output.write_bytes(output.read_bytes()[:-50])
    elif harm == "swapped":
        output.write_bytes((photographs / "rocket.jpg").read_bytes())
    else:
        (out / "stylebank.jsonl").unlink()
    before = digest(output)
    reason = "not in the record" if harm == "made elsewhere" else "changed since it was written"
    with pytest.raises(OutputRefused, match=reason):
        pipeline.apply(bank, "wave", [subject], out, on_existing="fail", **QUICK)
    (entry,) = pipeline.apply(bank, "wave", [subject], out, **QUICK)
    assert (entry.status, entry.output) == ("done", "chelsea.wave-2.jpg")
    assert digest(output) == before


def test_a_foreign_record_is_ignored(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    (entry,) = pipeline.apply(bank, "wave", [photographs / "rocket.jpg"], tmp_path / "out", **QUICK)
    record = tmp_path / "out/stylebank.jsonl"
    line = json.loads(record.read_text())
    record.write_text(json.dumps({**line, "output": 5}) + "\n" + "[" * 100_000 + "\n" + json.dumps(line) + "\n")
    (again,) = pipeline.apply(bank, "wave", [photographs / "rocket.jpg"], tmp_path / "out", **QUICK)
    assert (entry.status, again.status) == ("done", "skipped")


def test_the_outputs_in_a_folder_are_not_its_next_subjects(bank: Bank, photographs: Path) -> None:
    pipeline.apply(bank, "wave", [photographs], photographs, **QUICK)
    entries = pipeline.apply(bank, "wave", [photographs], photographs, **QUICK)
    assert [entry.status for entry in entries] == ["skipped"] * 3
