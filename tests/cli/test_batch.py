from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.execution.process_executor import ProcessExecutor
from pipeline.jobs.record import Record
from tests.conftest import DATA, Result

Run = Callable[..., Result]
JOBS = """\
[defaults]
size = 64
steps = 2
[[job]]
style = "wave"
subjects = ["in"]
output = "prints"
"""


@pytest.fixture
def jobs_file(photographs: Path) -> Path:
    path = photographs.parent / "jobs.toml"
    path.write_text(JOBS)
    return path


def test_a_job_file_is_made_told_of_and_resumed(run: Run, jobs_file: Path, tmp_path: Path) -> None:
    (tmp_path / "in/empty.jpg").touch()
    (tmp_path / "in/notes.txt").write_text("not a picture")
    result = run("batch", jobs_file, "-o", tmp_path / "out")
    assert result.code == 1
    lines = result.stderr.splitlines()
    assert lines[-1] == "3 done, 1 failed"
    table = "\n".join(lines[-6:])
    assert "images per hour" in table and "the file is empty" in table and "compute" in table and "encode" in table
    assert "note: left out 1 file: notes.txt\n" in result.stderr
    assert {path.name for path in (tmp_path / "out/prints").glob("*.jpg")} == {
        "astronaut.wave.jpg",
        "chelsea.wave.jpg",
        "rocket.wave.jpg",
    }
    (tmp_path / "in/empty.jpg").unlink()
    result = run("-q", "batch", jobs_file, "-o", tmp_path / "out", "--json")
    assert result.code == 0 and result.stderr == ""
    assert [json.loads(line)["status"] for line in result.stdout.splitlines()] == ["skipped"] * 3
    said = run("batch", jobs_file, "-o", tmp_path / "out").stderr
    assert said.count("already finished") == 1 and "3 already finished, skipped\n" in said
    said = run("-v", "batch", jobs_file, "-o", tmp_path / "out").stderr
    assert [
        name in said for name in ("chelsea.wave.jpg is already finished", "rocket.wave.jpg is already finished")
    ] == [True] * 2
    assert "3 already finished" not in said
    (tmp_path / "out/prints/rocket.wave.jpg").unlink()
    (tmp_path / "out/prints/chelsea.wave.jpg").write_bytes(b"somebody else's")
    said = run("batch", jobs_file, "-o", tmp_path / "out").stderr
    assert "astronaut.wave.jpg is already finished" in said and said.index("already finished") < said.index(
        "rocket.wave.jpg, "
    )
    (tmp_path / "out/prints/chelsea.wave.jpg").unlink()
    assert run("batch", jobs_file, "-o", tmp_path / "out", "--overwrite").stderr.splitlines()[-1] == "3 done"


def test_a_dry_run_says_what_there_is_to_do_and_does_nothing(run: Run, jobs_file: Path, tmp_path: Path) -> None:
    (tmp_path / "in/notes.txt").write_text("not a picture")
    (tmp_path / "in/text.jpg").write_text("not a picture")
    result = run("batch", jobs_file, "-o", tmp_path / "out", "--dry-run")
    assert result.code == 0
    assert "note: left out 1 file: notes.txt\n" in result.stderr
    first, reason, last = result.stdout.splitlines()
    assert "text.jpg: " in reason and "not an image" in reason
    assert "wave: 3 to do, 0 finished, 1 failed; " in first and "1 of 64 x 64" in first and "MB" in first
    assert last.startswith("total: 3 pictures, about 0:") and "of it set-up" in last and "MB free" in last
    assert " with 1 worker on cpu (" in last or " with 1 worker on gpu (" in last
    told = run("-q", "batch", jobs_file, "-o", tmp_path / "out", "--dry-run", "--json")
    assert told.code == 0 and told.stderr == ""
    plan = json.loads(told.stdout)
    assert (plan["pictures"], plan["workers"]) == (3, 1) and plan["disk"] < plan["free"]
    assert plan["seconds"] > 0 and plan["setup"] > 0
    (job,) = plan["runs"]
    assert (job["style"], job["to_make"], job["made"], job["failed"]) == ("wave", 3, 0, 1)
    assert job["folder"] == str(tmp_path / "out/prints") and "not an image" in job["reasons"][0]
    assert sum(size["count"] for size in job["sizes"]) == 3 and max(size["width"] for size in job["sizes"]) == 64
    assert not (tmp_path / "out").exists()
    run("batch", jobs_file, "-o", tmp_path / "out")
    assert "0 to do, 3 finished" in run("batch", jobs_file, "-o", tmp_path / "out", "--dry-run").stdout


def test_a_dry_run_asks_the_workers_of_the_run(run: Run, jobs_file: Path, tmp_path: Path) -> None:
    options = ["-q", "batch", jobs_file, "-o", tmp_path / "out", "--dry-run"]
    plan = json.loads(run(*options, "--json", "--jobs", "2", "--device", "cpu").stdout)
    assert (plan["pictures"], plan["workers"]) == (3, 2) and plan["device"].startswith("cpu (")
    assert plan["elapsed"] == pytest.approx(plan["setup"] + plan["seconds"] / 2, abs=0.01)
    refused = run(*options, "--devices", "7,8")
    assert refused.code == 2 and "finds no GPU" in refused.stderr and refused.stdout == ""
    assert not (tmp_path / "out").exists()


def test_a_misspelt_key_is_one_line_with_its_own(run: Run, jobs_file: Path) -> None:
    jobs_file.write_text(JOBS.replace("steps", "stpes"))
    result = run("batch", jobs_file)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {jobs_file}, line 3: stpes: unknown key. Did you mean steps?\n"


def test_fail_fast_is_exit_1(run: Run, jobs_file: Path, tmp_path: Path) -> None:
    (tmp_path / "in/astronaut.jpg").write_bytes(b"")
    result = run("batch", jobs_file, "-o", tmp_path / "out", "--fail-fast")
    assert result.code == 1 and "1 failed" in result.stderr.splitlines()[-1]
    assert "3 of 3" not in result.stderr


def test_an_output_that_cannot_be_written_is_one_line(run: Run, jobs_file: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/prints").touch()
    result = run("batch", jobs_file, "-o", tmp_path / "out")
    assert result.code == 2 and "Traceback" not in result.stderr and "prints" in result.stderr.splitlines()[-1]


def _many(folder: Path) -> None:
    data = [(DATA / f"subjects/{name}.jpg").read_bytes() for name in ("chelsea", "rocket")]
    for number in range(8):
        (folder / f"{number}.jpg").write_bytes(data[number % 2])


def _start(bank_folder: Path, jobs_file: Path, out: Path, kind: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pipeline.cli", "--bank", str(bank_folder), "batch", str(jobs_file)]
    command += ["-o", str(out), "--jobs", "2", *(["--cluster", "local"] if kind == "cluster" else [])]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (out / "prints/stylebank.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


def _computing_children(parent: int) -> list[int]:
    """Processes below `parent` that have TensorFlow loaded."""
    found = []
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    for pid in parents:
        above, ours = pid, False
        while above in parents and not ours:
            above = parents[above]
            ours = above == parent
        try:
            if ours and "tensorflow" in Path(f"/proc/{pid}/maps").read_text():
                found.append(pid)
        except OSError:
            continue
    return found


#: Every line that a run of several processes prints; what libraries print in a worker is none of them.
OUR_LINES = re.compile(
    r"$|\[\d+/\d+\] |note: |\d+ of \d+; |(done|failed|skipped|seconds|workers) +[\d,.]+|\d+ (done|failed|skipped)|"
    r"(Interrupted|Ended by SIG\w+)\. What was finished is kept\.$|\d+ of \d+ pictures: "
)


def foreign_lines(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if not OUR_LINES.match(line)]


# every start anew loads TensorFlow: for a pool three times, and tests/execution/test_executors.py has its logic without
@pytest.mark.parametrize("kind", [pytest.param("pool", marks=pytest.mark.soak), "cluster"])
def test_a_worker_killed_midway_costs_nothing(
    bank_folder: Path, jobs_file: Path, photographs: Path, tmp_path: Path, kind: str
) -> None:
    _many(photographs)
    process = _start(bank_folder, jobs_file, tmp_path / "out", kind)
    workers = _computing_children(process.pid)
    assert workers, "no worker to kill"
    os.kill(workers[0], signal.SIGKILL)
    _out, said = process.communicate(timeout=180)
    assert process.returncode == 0, said
    assert said.splitlines()[-1] == "11 done" and foreign_lines(said) == []
    entries = Record(tmp_path / "out/prints").entries()
    assert sorted(entry.output for entry in entries if entry.status == "done") == sorted(
        path.name for path in (tmp_path / "out/prints").glob("*.jpg")
    )


_SOAK = pytest.mark.soak


@pytest.mark.parametrize(
    "kind, number, whole_group",
    [
        ("pool", signal.SIGINT, True),  # as a terminal does
        ("pool", signal.SIGTERM, False),  # as kill does
        pytest.param("pool", signal.SIGTERM, True, marks=_SOAK),  # as a service manager does
        pytest.param("pool", signal.SIGHUP, True, marks=_SOAK),  # as a terminal does that is closed
        pytest.param("cluster", signal.SIGINT, True, marks=_SOAK),
        pytest.param("cluster", signal.SIGTERM, False, marks=_SOAK),
    ],
)
def test_a_signal_ends_every_process_and_keeps_and_counts_what_is_finished(
    bank_folder: Path,
    jobs_file: Path,
    photographs: Path,
    tmp_path: Path,
    kind: str,
    number: signal.Signals,
    whole_group: bool,
) -> None:
    _many(photographs)
    jobs_file.write_text(JOBS.replace("steps = 2", "steps = 40"))
    process = _start(bank_folder, jobs_file, tmp_path / "out", kind)
    (os.killpg if whole_group else os.kill)(process.pid, number)
    _out, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    ending = "Interrupted" if number == signal.SIGINT else f"Ended by {number.name}"
    assert said.splitlines()[-1] == f"{ending}. What was finished is kept." and foreign_lines(said) == []
    assert _computing_children(process.pid) == []
    done = {entry.output for entry in Record(tmp_path / "out/prints").entries() if entry.status == "done"}
    assert done and {path.name for path in (tmp_path / "out/prints").glob("*.jpg")} == done
    assert f"{len(done)} of 11 pictures: {len(done)} done" in said
    hidden = [path.name for path in (tmp_path / "out/prints").iterdir() if path.name.startswith(".")]
    assert hidden == [".stylebank-runs"]  # what `stylebank status` reads


def test_workers_end_and_leave_no_folder_when_their_run_is_killed(
    bank_folder: Path, jobs_file: Path, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _many(photographs)
    jobs_file.write_text(JOBS.replace("steps = 2", "steps = 400"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    command = [sys.executable, "-m", "pipeline.cli", "--bank", str(bank_folder), "batch", str(jobs_file)]
    process = subprocess.Popen([*command, "-o", str(tmp_path / "out"), "--jobs", "2"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (workers := _computing_children(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    (folder,) = (tmp_path / "tmp").glob("stylebank-*")
    os.utime(folder, (0, 0))  # folders of the last minute are left alone
    with ProcessExecutor(2):
        assert not folder.exists() and len(list((tmp_path / "tmp").glob("stylebank-*"))) == 1
    assert list((tmp_path / "tmp").glob("stylebank-*")) == []
