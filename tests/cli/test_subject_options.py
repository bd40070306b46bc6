"""Subjects from lists, paths with ~, and a subject that cannot be read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.jobs.record import Record
from tests.cli.conftest import command
from tests.fake_cli import LIGHT

STYLE = ("apply", "--style", "wave", *LIGHT)


def outputs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.jpg"))


def test_subjects_come_from_a_list_on_stdin_and_from_files(folder: Path) -> None:
    (folder / "list").write_bytes(b"in/b.png\0in/a.png\0")
    result = command(folder, "", *STYLE, "--from-file", "-", "-o", "out", stdin=b"in/c.png\n")
    assert result.returncode == 0 and outputs(folder / "out") == ["c.wave.jpg"]
    result = command(folder, "", *STYLE, "--from-file", "list", "-0", "in/c.png", "-o", "all")
    assert result.returncode == 0 and outputs(folder / "all") == ["a.wave.jpg", "b.wave.jpg", "c.wave.jpg"]


def test_an_empty_list_is_nothing_to_do_and_a_vanished_file_fails_alone(folder: Path) -> None:
    empty = command(folder, "", *STYLE, "--from-file", "-")
    assert (empty.returncode, empty.stderr) == (0, "note: the list has no subjects; nothing to do\n")
    result = command(folder, "", *STYLE, "--from-file", "-", "-o", "out", stdin=b"in/a.png\nin/x[1].png\n")
    assert result.returncode == 1 and outputs(folder / "out") == ["a.wave.jpg"]
    assert "x[1].png: failed: in/x[1].png: No such file" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "redirections", "message"),
    [
        ([], "", "no subjects. Give a SUBJECT, or --from-file FILE with a list of them."),
        (["in", "--null"], "", "--null is about --from-file. Give both, or neither."),
        (["--from-file", "-", "--from-file", "-"], "", "--from-file -: twice. stdin holds one list, so give it once."),
        (["--from-file", "-"], "<&-", "stdin: Bad file descriptor"),
    ],
)
def test_a_wrong_request_for_a_list_is_one_line(
    folder: Path, arguments: list[str], redirections: str, message: str
) -> None:
    result = command(folder, redirections, *STYLE, *arguments)
    assert result.returncode == 2 and result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1


def test_a_job_takes_subjects_from_a_list_beside_it(folder: Path) -> None:
    jobs = folder / "jobs"
    jobs.mkdir()
    shutil.move(folder / "in", jobs / "in")
    (jobs / "list.txt").write_text("in/a.png\nin/b.png\n")
    text = '[defaults]\nstyle = "wave"\nprecision = "float32"\n[[job]]\nsubjects_from = "list.txt"\noutput = "one"\n'
    (jobs / "jobs.toml").write_text(f'\ufeff{text}[[job]]\nfrom-file = ["empty.txt"]\noutput = "two"\n', "utf-8")
    (jobs / "empty.txt").touch()
    result = command(folder, "", "batch", "jobs/jobs.toml", "--batch-size", "1")
    assert result.returncode == 0, result.stderr
    assert outputs(jobs / "one") == ["a.wave.jpg", "b.wave.jpg"] and not (jobs / "two").exists()
    (jobs / "list.txt").unlink()
    result = command(folder, "", "batch", "jobs/jobs.toml", "--batch-size", "1")
    assert result.returncode == 2
    reason = "subjects_from: jobs/list.txt: No such file or folder; check the path."
    assert result.stderr == f"Error: jobs/jobs.toml, line 5: {reason}\n"


def test_a_tilde_is_the_home_folder_in_options_and_job_files(folder: Path) -> None:
    home = folder / "home"
    home.mkdir()
    shutil.move(folder / "in", home / "in")
    shutil.move(folder / "bank", home / "bank")
    variables = {"HOME": str(home), "STYLEBANK_BANK": "~/bank"}
    options = ["--bank", "~/bank", *STYLE, "~/in/*.png", "--output=~/out", "--init", "~/in/a.png"]
    assert command(folder, "", *options, **variables).returncode == 0
    assert outputs(home / "out") == ["a.wave.jpg", "b.wave.jpg", "c.wave.jpg"]
    (folder / "jobs.toml").write_text('[[job]]\nstyle = "wave"\nsubjects = "~/in"\nprecision = "float32"\n')
    result = command(
        folder, "", "--bank", "~/bank", "batch", "jobs.toml", "-o", "~/two", "--batch-size", "1", **variables
    )
    assert result.returncode == 0 and len(outputs(home / "two")) == 3
    assert not (folder / "~").exists()
    (folder / "jobs.toml").write_text('[[job]]\nstyle = "wave"\nsubjects = "~/in"\noutput = "~/elsewhere"\n')
    outside = command(folder, "", "--bank", "~/bank", "batch", "jobs.toml", **variables)
    assert outside.returncode == 2 and "leads out of the output folder" in outside.stderr


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv, since root reads every file")
def test_a_subject_without_permission_fails_alone(folder: Path) -> None:
    (folder / "in/b.png").chmod(0)
    unprivileged = "-dac_override,-dac_read_search"
    result = command(
        folder,
        "",
        *STYLE,
        "in",
        "-o",
        "out",
        prefix=("setpriv", f"--bounding-set={unprivileged}", f"--inh-caps={unprivileged}"),
    )
    assert result.returncode == 1
    assert outputs(folder / "out") == ["a.wave.jpg", "c.wave.jpg"]
    statuses = {Path(entry.subject).name: entry.status for entry in Record(folder / "out").entries()}
    assert statuses == {"a.png": "done", "b.png": "failed", "c.png": "done"}
    assert "in/b.png: Permission denied" in result.stderr
