from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.jobs.leases import joined
from tests.conftest import Result

Run = Callable[..., Result]


@pytest.fixture
def out(run: Run, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three photographs in a style, one of them twice."""
    monkeypatch.chdir(tmp_path)
    options = ("--style", "wave", "--strength", "0", "--size", "64", "-o", "out")
    assert run("apply", "in", *options).code == 0
    assert run("apply", "in/rocket.jpg", *options, "--overwrite").code == 0
    return "out"


def test_compact_prints_what_it_saved(run: Run, out: str) -> None:
    result = run("record", "compact", out)
    assert result.code == 0 and result.stderr.startswith("out/stylebank.jsonl: 4 lines before, 3 after; ")
    result = run("record", "compact", out, "--json")
    assert json.loads(result.stdout)[0]["lines_after"] == 3
    assert run("apply", "in", "--style", "wave", "--strength", "0", "--size", "64", "-o", out).stderr.endswith(
        "3 skipped\n"
    )


def test_compact_does_not_touch_a_record_in_use(run: Run, out: str) -> None:
    with joined(Path(out)):
        result = run("record", "compact", out)
    assert result.code == 4 and "a run writes here" in result.stderr
    assert run("record", "compact", "elsewhere").code == 2


def test_status_counts_and_names_reasons(run: Run, out: str) -> None:
    result = run("status", out)
    assert (result.code, result.stdout) == (0, "out: 3 done, 0 failed\n")
    Path("in/chelsea.jpg").write_bytes(b"")
    run("apply", "in", "--style", "wave", "--strength", "0", "--size", "48", "-o", out)
    with joined(Path(out)) as runs:
        runs.count(total=9, done=4)
        result = run("status", out)
        assert result.code == 1
        first, second, third, fourth = result.stdout.splitlines()
    assert first == "out: 5 done, 1 failed, 5 left"
    assert second.endswith(": works, 4 of 9 pictures") and "process" in second
    assert third.startswith("  failed: in/chelsea.jpg: ") and "the file is empty" in third
    assert "--retry-failed" in fourth
    content = json.loads(run("status", out, "--json").stdout)
    assert (
        content[0]["done"] == 5 and content[0]["left"] == 5 and content[0]["failures"][0]["subject"] == "in/chelsea.jpg"
    )


def test_on_existing_and_retry_failed_are_options_of_the_command(run: Run, out: str) -> None:
    options = ("--style", "wave", "--strength", "0", "--size", "48", "-o", out)
    result = run("apply", "in", *options, "--on-existing", "fail")
    assert result.code == 1 and "3 outputs exist already" in result.stderr and "size 64, not 48" in result.stderr
    assert run("apply", "in", *options).code == 0
    assert len(list(Path(out).glob("*-2.jpg"))) == 3
    result = run("apply", "in", *options, "--retry-failed")
    assert result.code == 0 and "no picture failed before" in result.stderr


def test_a_folder_that_does_not_exist_and_one_without_a_record_differ(run: Run, out: str) -> None:
    for command in (("status",), ("record", "compact")):
        result = run(*command, "nowhere")
        assert result.code == 2 and "nowhere: no such folder" in result.stderr
        result = run(*command, "in")
        assert result.code == 2 and "has no record of pictures" in result.stderr


def test_pictures_left_by_a_run_that_ended_early_set_the_exit_code(run: Run, out: str) -> None:
    with joined(Path(out)) as runs:
        runs.count(total=5, done=2)
    result = run("status", out)
    assert result.code == 1 and "3 done, 0 failed, 3 left" in result.stdout
    assert "ended early, 2 of 5 pictures" in result.stdout and "the same command computes those" in result.stdout
