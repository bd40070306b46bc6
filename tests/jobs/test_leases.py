"""Of all runs that write into one folder, one at a time has the lease of a picture."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.jobs import leases, run_files
from pipeline.jobs.leases import FolderRuns, joined
from pipeline.jobs.run_files import FOLDER_NAME, last_run, read_runs, remove_dead
from stylebank.errors import OutputRefused
from stylebank.processes import Owner

HOLD = """
import sys, time
from pathlib import Path
from pipeline.jobs.leases import FolderRuns
runs = FolderRuns(Path(sys.argv[1])); runs.join()
print(runs.claim(Path(sys.argv[1]) / "x.jpg", "work").granted, flush=True)
time.sleep(60)
"""


def test_one_of_many_gets_the_lease_and_the_next_one_after_it(tmp_path: Path) -> None:
    output = tmp_path / "x.jpg"
    runs = [FolderRuns(tmp_path) for _number in range(16)]
    for each in runs:
        each.join()
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda each: each.claim(output, "work"), runs))
    assert [claim.granted for claim in claims].count(True) == 1
    first = next(each for each, claim in zip(runs, claims, strict=True) if claim.granted)
    other = next(each for each in runs if each is not first)
    assert first.holds(output) and not other.holds(output)
    assert other.claim(tmp_path / "y.jpg", "work").granted
    other.release(output)  # has no effect: it is not its lease
    assert not other.claim(output, "work").granted
    first.release(output)
    assert other.claim(output, "work").granted
    for each in runs:
        each.leave()
    assert not (tmp_path / FOLDER_NAME).exists()


def test_the_holder_is_named_and_whether_it_computes_the_same(tmp_path: Path) -> None:
    with joined(tmp_path) as first, joined(tmp_path) as second:
        assert first.claim(tmp_path / "x.jpg", "blue").granted
        same, other = second.claim(tmp_path / "x.jpg", "blue"), second.claim(tmp_path / "x.jpg", "red")
        assert same.holder is not None and same.same_work and not other.same_work
        assert f"process {os.getpid()} on " in str(same.holder)
        assert [info.pid for info in second.others()] == [os.getpid()]


def test_the_lease_of_a_killed_process_is_void_at_once(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "True\n"
        with joined(tmp_path) as runs:
            assert not runs.claim(tmp_path / "x.jpg", "work").granted
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            (dead,) = (info for info in read_runs(tmp_path) if info.pid == holder.pid)
            assert not dead.alive and dead.ended is None
            assert runs.claim(tmp_path / "x.jpg", "work").granted
            remove_dead(tmp_path)
            assert [info.pid for info in read_runs(tmp_path)] == [os.getpid()]
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize(
    ("silent", "granted"), [(run_files.EXPIRE_SECONDS - 30, False), (run_files.EXPIRE_SECONDS + 30, True)]
)
def test_a_run_of_another_machine_counts_while_it_renews_its_file(tmp_path: Path, silent: float, granted: bool) -> None:
    elsewhere = FolderRuns(tmp_path)
    elsewhere._owner = dataclasses.replace(Owner.this_process(), host="node7", machine="node7 boot")
    elsewhere._path = tmp_path / FOLDER_NAME / f"{elsewhere._owner.token}.run"
    elsewhere.join()
    assert elsewhere.claim(tmp_path / "x.jpg", "work").granted
    then = time.time() - silent
    os.utime(elsewhere._path, (then, then))
    with joined(tmp_path) as runs:
        claim = runs.claim(tmp_path / "x.jpg", "work")
        assert claim.granted is granted
        assert granted or (claim.holder is not None and claim.holder.host == "node7")
        assert elsewhere.holds(tmp_path / "x.jpg") is not granted  # it may not write when it wakes up
        elsewhere.leave()  # leaves the lease that another run has taken over
        assert runs.holds(tmp_path / "x.jpg") is granted


@pytest.mark.parametrize(("age", "granted"), [(0, False), (600, True)])
def test_a_torn_lease_counts_for_a_minute(tmp_path: Path, age: float, granted: bool) -> None:
    with joined(tmp_path) as runs:
        assert runs.claim(tmp_path / "x.jpg", "work").granted
        (lease,) = (tmp_path / FOLDER_NAME).glob("*.lease")
        lease.write_bytes(b"")
        os.utime(lease, (time.time() - age,) * 2)
        with joined(tmp_path) as other:
            assert other.claim(tmp_path / "x.jpg", "work").granted is granted


def test_a_run_that_ends_early_leaves_its_counts_and_one_that_ends_leaves_nothing(tmp_path: Path) -> None:
    with joined(tmp_path) as runs:
        runs.counts.update(total=5, done=2, failed=1)
    last = last_run(tmp_path)
    assert last is not None and last.counts == {"total": 5, "done": 2, "failed": 1}
    assert not last.alive and last.ended is not None and last.started <= last.ended <= time.time()
    with joined(tmp_path) as runs:
        runs.counts.update(total=5, done=4, failed=1)
    assert not (tmp_path / FOLDER_NAME).exists()


def test_the_file_of_a_run_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.05)
    with joined(tmp_path) as runs:
        runs.counts.update(total=9, done=3)
        deadline = time.monotonic() + 10
        while not any(info.counts.get("done") == 3 for info in read_runs(tmp_path)):
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"owner": 5, "counts": [1], "started": "x"}', '{"owner": {"pid": -1}}']
)
def test_a_foreign_file_of_a_run_does_no_harm(tmp_path: Path, text: str) -> None:
    (tmp_path / FOLDER_NAME).mkdir()
    (tmp_path / FOLDER_NAME / "x.run").write_text(text)
    (tmp_path / FOLDER_NAME / "last.json").write_text(text)
    (info,) = read_runs(tmp_path)
    assert info.counts == {} and info.alive
    assert last_run(tmp_path) is not None


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / FOLDER_NAME).write_text(json.dumps({}))
    with pytest.raises(OutputRefused, match=r"stylebank-runs: "):
        FolderRuns(tmp_path).join()
