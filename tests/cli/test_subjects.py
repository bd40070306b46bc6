"""Folders, patterns and names of outputs, through the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs import report
from pipeline.jobs.record import Record
from tests.conftest import Result

Run = Callable[..., Result]
#: The outputs have the subjects' pixels, and no network is loaded.
UNCHANGED = ("--style", "wave", "--strength", "0", "--size", "0", "--precision", "float32")
JOB = '[[job]]\nstyle = "wave"\nstrength = 0\nsize = 0\nprecision = "float32"\n'


def _statuses(out: Path) -> dict[str, str]:
    """Return the status of each subject in the record of a folder, by name."""
    return {Path(entry.subject).name: entry.status for entry in Record(out).entries()}


def test_linked_folders_are_followed_and_system_folders_named(run: Run, photographs: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (photographs / "rocket.jpg").rename(elsewhere / "rocket.jfif")
    (photographs / "linked").symlink_to(elsewhere)
    (elsewhere / "loop").symlink_to(photographs)
    (photographs / "@eaDir").mkdir()
    (photographs / "@eaDir/thumb.jpg").write_bytes(b"")
    result = run("apply", photographs, *UNCHANGED, "-o", tmp_path / "out", "--recursive")
    assert result.code == 0, result.stderr
    assert (tmp_path / "out/linked/rocket.wave.jpg").is_file()
    assert result.stderr.splitlines()[-1] == "3 done"
    assert "note: left out 1 folder: @eaDir (a system folder)\n" in result.stderr


def test_an_unreadable_folder_is_a_failure_and_the_rest_goes_on(
    run: Run, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = photographs / "closed"
    closed.mkdir()
    (photographs / "rocket.jpg").rename(closed / "rocket.jpg")
    scandir = os.scandir

    def denied(path: Any = ".") -> Any:
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(closed))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    out = tmp_path / "out"
    result = run("apply", photographs, *UNCHANGED, "-o", out, "--recursive")
    assert result.code == 1
    reason = "the folder cannot be listed (Permission denied). Check its permissions, or leave it out."
    assert f"closed: failed: {closed}: {reason}" in result.stderr and result.stderr.endswith("2 done, 1 failed\n")
    assert _statuses(out) == {"astronaut.jpg": "done", "chelsea.jpg": "done", "closed": "failed"}
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(JOB + 'subjects = "in"\nrecursive = true\noutput = "out"\n')
    dry = run("batch", jobs, "--dry-run")
    assert "wave: 0 to do, 2 finished, 1 failed\n" in dry.stdout and reason in dry.stdout
    report.write(out)
    assert reason in (out / "report.html").read_text("utf-8")
    alone = run("apply", closed, *UNCHANGED, "-o", out)
    assert (alone.code, alone.stderr) == (2, f"Error: {closed}: {reason}\n")


def test_a_summary_names_the_pictures_that_are_left_out(run: Run, photographs: Path, tmp_path: Path) -> None:
    for name in ("notes.txt", "IMG_1.jxl", "IMG_2.cr2", "x.psd"):
        (photographs / name).write_bytes(b"x")
    result = run("apply", photographs, *UNCHANGED, "-o", tmp_path / "out")
    line = next(line for line in result.stderr.splitlines() if "left out" in line)
    assert result.code == 0
    assert line.startswith("note: left out 4 files: IMG_1.jxl (JPEG XL picture), IMG_2.cr2 (camera raw")
    assert line.endswith(", x.psd (Photoshop file), notes.txt")
    assert result.stderr.index("left out") > result.stderr.index("[3/3]")
    verbose = run("-v", "apply", photographs, *UNCHANGED, "-o", tmp_path / "out")
    assert f"detail: {photographs / 'notes.txt'}: not an image by its name; left out\n" in verbose.stderr
    quiet = run("-q", "apply", photographs, *UNCHANGED, "-o", tmp_path / "out", "--json")
    assert quiet.stderr == "" and len(quiet.stdout.splitlines()) == 3
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(JOB + 'subjects = "in"\noutput = "out"\n')
    assert line in run("batch", jobs, "--dry-run").stderr
    plan = json.loads(run("-q", "batch", jobs, "--dry-run", "--json").stdout)
    assert {"path": str(photographs / "x.psd"), "reason": "Photoshop file"} in plan["left_out"]
    for path in photographs.glob("*.jpg"):
        path.unlink()
    refused = run("apply", photographs, *UNCHANGED, "-o", tmp_path / "out")
    assert refused.code == 2 and "no image found; left out 4 files: IMG_1.jxl (JPEG XL picture), " in refused.stderr


def test_a_job_file_in_a_folder_with_brackets_finds_its_subjects(run: Run, photographs: Path, tmp_path: Path) -> None:
    trip, other = tmp_path / "Trip [2024]", tmp_path / "Trip 2"
    photographs.rename(trip)
    other.mkdir()
    (other / "other.jpg").write_bytes((trip / "rocket.jpg").read_bytes())
    (trip / "jobs.toml").write_text(JOB + 'subjects = ["*.jpg"]\noutput = "out"\n')
    result = run("batch", trip / "jobs.toml")
    assert result.code == 0, result.stderr
    assert _statuses(trip / "out") == dict.fromkeys(("astronaut.jpg", "chelsea.jpg", "rocket.jpg"), "done")
    assert run("apply", f"{trip}/*.jpg", *UNCHANGED, "-o", tmp_path / "out").code == 0
    assert len(_statuses(tmp_path / "out")) == 3


def test_pictures_whose_names_clash_or_are_too_long_fail_alone(run: Run, photographs: Path, tmp_path: Path) -> None:
    data = (photographs / "rocket.jpg").read_bytes()
    long = "x" * 247 + ".jpg"  # its output has 256 bytes
    for name in ("IMG_1.jpg", "IMG_1.png", "Straße.jpg", "Strasse.jpg", long):
        (photographs / name).write_bytes(data)
    out = tmp_path / "out"
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(JOB + 'subjects = "in"\noutput = "out"\n')
    dry = run("batch", jobs, "--dry-run")
    assert dry.code == 0 and "wave: 6 to do, 0 finished, 2 failed; " in dry.stdout
    assert "a file name of 256 bytes" in dry.stdout and "Add {suffix} to --name-template." in dry.stdout
    result = run("apply", photographs, *UNCHANGED, "-o", out)
    assert result.code == 1 and result.stderr.endswith("6 done, 2 failed\n")
    assert "1   an output holds one picture, the first. Add {suffix} to --name-template.\n" in result.stderr
    assert "1   a file name of 256 bytes; at most 255 are possible. " in result.stderr
    assert {"Straße.wave.jpg", "Strasse.wave.jpg", "IMG_1.wave.jpg"} <= {path.name for path in out.iterdir()}
    statuses = _statuses(out)
    assert statuses["IMG_1.jpg"] == "done" and statuses["IMG_1.png"] == statuses[long] == "failed"
    again = run("apply", photographs, *UNCHANGED, "-o", out)
    assert again.code == 1 and again.stderr.endswith("2 failed, 6 skipped\n")
    report.write(out)  # the failure of IMG_1.png does not hide the picture of IMG_1.jpg
    page = (out / "report.html").read_text("utf-8")
    assert "6 done" in page and "2 failed" in page
    other = run("apply", photographs, *UNCHANGED, "-o", tmp_path / "x", "--name-template", "{subject}-{suffix}")
    assert other.code == 0 and (tmp_path / "x/IMG_1-png.jpg").is_file()
    stopped = run("apply", photographs, *UNCHANGED, "-o", tmp_path / "y", "--fail-fast")
    assert stopped.code == 1 and stopped.stderr.endswith("1 failed\n")


def test_no_subject_is_overwritten_and_the_others_are_written(run: Run, photographs: Path) -> None:
    before = {path.name: path.read_bytes() for path in photographs.iterdir()}
    (photographs / "rocket.jpg").rename(photographs / "rocket.png")
    arguments = (photographs, *UNCHANGED, "-o", photographs, "--name-template", "{subject}", "--overwrite")
    result = run("apply", *arguments)
    assert result.code == 1 and result.stderr.endswith("1 done, 2 failed\n")
    assert "2   a picture that is read is never overwritten. Give another --output.\n" in result.stderr
    assert (photographs / "rocket.jpg").is_file()
    assert [(photographs / name).read_bytes() for name in ("astronaut.jpg", "chelsea.jpg", "rocket.png")] == [
        before[name] for name in ("astronaut.jpg", "chelsea.jpg", "rocket.jpg")
    ]


@pytest.mark.parametrize("name", ["photo.avif", "photo.HEIC", "photo.jxl", "photo.bmp", "photo.gif", "photo.psd"])
def test_an_output_with_a_suffix_that_cannot_be_written_is_refused(
    run: Run, photographs: Path, tmp_path: Path, name: str
) -> None:
    result = run("apply", photographs / "rocket.jpg", *UNCHANGED, "-o", tmp_path / name)
    assert result.code == 2 and not (tmp_path / name).exists()
    assert result.stderr.endswith("Use one of .jpg, .jpeg, .png, .webp, .tif, .tiff.\n")
