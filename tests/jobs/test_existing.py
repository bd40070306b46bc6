"""An output that exists and is another picture stays, unless the user says otherwise."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import pipeline
from pipeline.jobs.existing import Difference, describe, notice
from pipeline.jobs.plan import Task
from pipeline.jobs.status import status
from stylebank.bank import Bank
from stylebank.errors import OutputRefused, UsageError
from tests.fakes import Stylizer
from tests.jobs.conftest import COUNT, digests, make
from tests.jobs.test_record import ENTRY
from tests.opened import opened_files


@pytest.fixture
def notes(stylizer: Callable[[Stylizer], Stylizer]) -> list[str]:
    stylizer(Stylizer())
    return []


def again(bank: Bank, many: Path, out: Path, notes: list[str], **options: object) -> Counter[str]:
    notes.clear()

    def listener(progress: pipeline.Progress) -> None:
        if progress.kind == "note":
            notes.append(progress.text)

    entries = make(bank, many, out, listener=listener, **options)
    return Counter(entry.status for entry in entries)


def test_another_try_makes_a_second_picture_and_resumes_as_the_first(
    bank: Bank, many: Path, tmp_path: Path, notes: list[str]
) -> None:
    out = tmp_path / "out"
    make(bank, many / "00.png", out)
    first = digests(out)
    for _time in range(2):
        again(bank, many / "00.png", out, notes, strength=0.5)
        assert set(digests(out)) == {"00.wave.png", "00.wave-2.png"}
    assert notes == []  # the second time, the second picture is finished
    again(bank, many / "00.png", out, notes, strength=0.25)
    assert set(digests(out)) == {"00.wave.png", "00.wave-2.png", "00.wave-3.png"}
    (note,) = notes
    assert "00.wave.png: exists already, and by the record it has strength 1, not 0.25" in note
    assert "The new picture gets a number" in note
    assert first.items() <= digests(out).items()
    assert again(bank, many / "00.png", out, notes) == {"skipped": 1}


def test_changed_settings_over_many_pictures_are_one_message(
    bank: Bank, many: Path, tmp_path: Path, notes: list[str]
) -> None:
    out = tmp_path / "out"
    make(bank, many, out)
    before = digests(out)
    with pytest.raises(OutputRefused, match=f"{COUNT} outputs exist already .* it has steps 2, not 3. Nothing is comp"):
        again(bank, many, out, notes, steps=3, on_existing="fail")
    assert again(bank, many, out, notes, steps=3, on_existing="skip") == {"skipped": COUNT}
    assert len(notes) == 1 and "They stay, and nothing is computed in their place" in notes[0]
    assert digests(out) == before
    assert again(bank, many, out, notes, steps=3) == {"done": COUNT}
    assert len(notes) == 1 and "The new pictures get numbers" in notes[0]
    assert len(digests(out)) == 2 * COUNT and before.items() <= digests(out).items()
    assert again(bank, many, out, notes, steps=4, on_existing="overwrite") == {"done": COUNT}
    assert len(notes) == 1 and "They are replaced" in notes[0]
    assert len(digests(out)) == 2 * COUNT
    assert again(bank, many, out, notes, steps=4) == {"skipped": COUNT}


def test_an_output_file_is_not_numbered_unasked(bank: Bank, many: Path, tmp_path: Path, notes: list[str]) -> None:
    out = tmp_path / "portrait.png"
    make(bank, many / "00.png", out, format=None)
    with pytest.raises(OutputRefused, match=r"portrait\.png: exists already, and by the record it is another subject"):
        make(bank, many / "01.png", out, format=None)
    make(bank, many / "01.png", out, format=None, on_existing="number")
    assert set(digests(tmp_path)) == {"portrait.png", "portrait-2.png"}
    with pytest.raises(UsageError, match="on_existing 'ask': expected one of number, skip, fail, overwrite"):
        make(bank, many / "01.png", out, format=None, on_existing="ask")


def test_a_number_takes_no_name_of_another_output_or_subject(
    bank: Bank, many: Path, tmp_path: Path, notes: list[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "a-2.png"):
        (folder / name).write_bytes((many / "00.png").read_bytes())
    make(bank, folder, folder, name_template="{subject}-new")
    subjects = {name: (folder / name).read_bytes() for name in ("a.png", "a-2.png")}
    options = {"name_template": "{subject}-new", "steps": 3}
    (folder / "a-new-2.png").write_bytes(b"a foreign file")
    assert again(bank, folder / "a.png", folder, notes, **options) == {"done": 1}
    assert (folder / "a-new-3.png").exists() and (folder / "a-new-2.png").read_bytes() == b"a foreign file"
    # the template of the outputs is the name of the subjects
    entries = make(bank, folder / "a.png", tmp_path / "x", name_template="{subject}-2")
    assert [entry.output for entry in entries] == ["a-2.png"]
    assert {name: (folder / name).read_bytes() for name in subjects} == subjects


def test_a_picture_that_is_skipped_is_not_read_and_adds_no_line(
    bank: Bank, many: Path, tmp_path: Path, notes: list[str]
) -> None:
    out = tmp_path / "out"
    make(bank, many, out)
    record = (out / "stylebank.jsonl").read_bytes()

    def pictures_read(**options: object) -> int:
        with opened_files() as paths:
            assert again(bank, many, out, notes, **options) == {"skipped": COUNT}
        assert (out / "stylebank.jsonl").read_bytes() == record
        return sum(path.endswith(".png") for path in paths)

    assert pictures_read() == 0
    assert pictures_read(checksum=True) == 2 * COUNT
    os.utime(many / "00.png")  # the same picture with another time
    assert pictures_read() == 1


def test_a_change_that_keeps_the_size_is_noticed(bank: Bank, many: Path, tmp_path: Path, notes: list[str]) -> None:
    out = tmp_path / "out"
    make(bank, many / "00.png", out)
    output = out / "00.wave.png"
    data = bytearray(output.read_bytes())
    data[-20] ^= 1
    output.write_bytes(data)
    assert again(bank, many / "00.png", out, notes) == {"done": 1}
    assert "it has changed since it was written" in notes[0] and output.read_bytes() == data
    # with time and size of before, only --checksum notices
    status = (out / "00.wave-2.png").stat()
    flipped = bytearray((out / "00.wave-2.png").read_bytes())
    flipped[-20] ^= 1
    (out / "00.wave-2.png").write_bytes(flipped)
    os.utime(out / "00.wave-2.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert again(bank, many / "00.png", out, notes) == {"skipped": 1}
    assert again(bank, many / "00.png", out, notes, checksum=True) == {"done": 1}
    assert (out / "00.wave-3.png").exists()


def test_a_failure_that_repeats_has_one_line_and_retry_failed_repeats_it_alone(
    bank: Bank, many: Path, tmp_path: Path, notes: list[str]
) -> None:
    out = tmp_path / "out"
    whole = (many / "03.png").read_bytes()
    (many / "03.png").write_bytes(b"")
    make(bank, many, out)
    lines = (out / "stylebank.jsonl").read_bytes()
    assert again(bank, many, out, notes) == {"skipped": COUNT - 1, "failed": 1}
    assert (out / "stylebank.jsonl").read_bytes() == lines
    (many / "03.png").write_bytes(whole)
    (out / "05.wave.png").unlink()
    assert again(bank, many, out, notes, retry_failed=True) == {"done": 1}
    assert not (out / "05.wave.png").exists()
    assert again(bank, many, out, notes, retry_failed=True) == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"subject_sha256": "f" * 64}, "by the record it is another subject"),
        ({"style": "b", "style_sha256": "f" * 64}, "by the record it has style b, not möbius"),
        ({"style_sha256": "f" * 64}, "has changed since"),
        ({"settings": {"size": 768, "algorithm": 1}}, "by the record it has size 768, not 512"),
        (
            {"settings": {"size": 768, "algorithm": 2}},
            "by the record an earlier or a later version of stylebank made it",
        ),
        ({"settings": {"size": 512, "algorithm": 1, "strength": 0.5}}, "it has strength 0.5, not none"),
        ({"settings": dict.fromkeys("abcdef", 0)}, "more"),
        ({"weights_sha256": "e" * 64}, "other weights of the network"),
        ({}, "it has changed since it was written"),
    ],
)
def test_the_difference_is_named(change: dict[str, object], reason: str) -> None:
    wanted = dataclasses.replace(ENTRY, weights_sha256="d" * 64)
    assert reason in describe(wanted, [dataclasses.replace(wanted, **change)])  # type: ignore[arg-type]
    assert describe(wanted, []) == "it is not in the record"


def test_many_differences_are_counted() -> None:
    differences = [Difference(Task(Path("a"), Path(f"{number}.jpg")), reason) for number, reason in enumerate("aab")]
    text = notice(differences, "skip")
    assert text.startswith("3 outputs exist already and are other pictures, such as 0.jpg: a (2 of them; others differ")


def test_a_line_says_when_its_files_were_read(bank: Bank, many: Path, tmp_path: Path, notes: list[str]) -> None:
    make(bank, many / "00.png", tmp_path / "out")
    line = json.loads((tmp_path / "out/stylebank.jsonl").read_text())
    for key, path in (("subject_stat", many / "00.png"), ("output_stat", tmp_path / "out/00.wave.png")):
        assert line[key] == [path.stat().st_size, path.stat().st_mtime_ns]


def test_a_failure_ends_when_the_picture_is_finished_by_any_command(
    bank: Bank, many: Path, tmp_path: Path, notes: list[str]
) -> None:
    out = tmp_path / "out"
    make(bank, many, out)
    aside = many / "aside"
    (many / "03.png").rename(aside)
    assert {entry.status for entry in make(bank, many / "03.png", out)} == {"failed"}
    aside.rename(many / "03.png")
    (now,) = status(out)
    assert len(now.failed) == 1
    assert again(bank, many, out, notes) == {"skipped": COUNT}
    (now,) = status(out)
    assert now.failed == [] and len(now.done) == COUNT
    record = (out / "stylebank.jsonl").read_bytes()
    assert again(bank, many, out, notes) == {"skipped": COUNT}
    assert (out / "stylebank.jsonl").read_bytes() == record


def test_a_failure_is_found_by_another_spelling_of_the_subject(
    bank: Bank, many: Path, tmp_path: Path, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = (many / "03.png").read_bytes()
    (many / "03.png").write_bytes(b"")
    make(bank, Path("in"), tmp_path / "out")
    (many / "03.png").write_bytes(whole)
    assert again(bank, many, tmp_path / "out", notes, retry_failed=True) == {"done": 1}
    (now,) = status(tmp_path / "out")
    assert now.failed == []


def test_skip_and_fail_find_a_numbered_picture_that_is_finished(
    bank: Bank, many: Path, tmp_path: Path, notes: list[str]
) -> None:
    out, subject = tmp_path / "out", many / "00.png"
    make(bank, subject, out)
    make(bank, subject, out, steps=3)
    for policy in ("skip", "fail"):
        assert again(bank, subject, out, notes, steps=3, on_existing=policy) == {"skipped": 1}
    with pytest.raises(OutputRefused, match=r"00\.wave\.png: exists already"):
        again(bank, subject, out, notes, steps=4, on_existing="fail")


@pytest.mark.parametrize("policy", ["number", "overwrite"])
def test_a_file_that_appears_while_its_picture_is_computed_stays_unless_it_may_be_overwritten(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer], policy: str
) -> None:
    output = tmp_path / "out/00.wave.png"
    stylizer(Stylizer(seen=lambda pixels: output.write_bytes(b"of another program") and None))
    (entry,) = make(bank, many / "00.png", tmp_path / "out", on_existing=policy)
    if policy == "overwrite":
        assert entry.status == "done" and output.stat().st_size == entry.output_stat[0]  # type: ignore[index]
    else:
        assert entry.status == "failed" and "another program wrote this file" in str(entry.error)
        assert output.read_bytes() == b"of another program"
