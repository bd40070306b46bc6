"""Changes to a bank are whole or absent, and the harness would show it if they were not."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from stylebank import files
from stylebank.bank import Bank
from stylebank.bank.index import read_name
from stylebank.errors import StylebankError
from stylebank.names import file_name
from stylebank.storage import integrity as digests
from stylebank.storage import reader, writer
from stylebank.style import Style
from tests.stylebank.bank.crash_harness import ACTIONS, MUTANTS, NEW_SEED, OLD, SMALL, Harness, Trial
from tests.styles import difference, style

ROOT = Path(__file__).parents[3]


@cache
def whole(name: str, seed: int) -> Style:
    made = style(name, seed, layers=SMALL)
    of_scales = {scale: digests.scale_digest(layers, made.header) for scale, layers in made.scales.items()}
    digest = digests.content_digest(made.header, of_scales)
    return dataclasses.replace(made, header=dataclasses.replace(made.header, content_sha256=digest))


def harm(folder: Path, action: str, before: dict[str, bytes], done: bool) -> list[str]:
    """What is wrong with a bank after an action that was stopped, or is `done`; the next writer has its turn too."""
    bank = Bank(folder)
    seeds = {"poppies": {1}, "tide": {NEW_SEED}, "ebb": {2}, "wave": {2}}
    if action == "replace":
        seeds["wave"] = {NEW_SEED} if done else {2, NEW_SEED}
    found, there = [], set()
    for path in bank.paths():
        try:
            got = reader.read(path)
        except StylebankError as error:
            found.append(f"damaged: {error}")
            continue
        there.add(got.name)
        if all(difference(got, whole(got.name, seed)) for seed in seeds.get(got.name, ())):
            found.append(f"{got.name} is another style")
        if action != "replace" and got.name in OLD and path.read_bytes() != before.get(path.name):
            found.append(f"{got.name} was touched")
    names = ACTIONS[action][1]
    if there not in (names[-1:] if done else names):
        found.append(f"holds {sorted(there)}")
    bank.add(style("next", 4, layers=SMALL))
    left = [path.name for path in folder.iterdir() if path.name.startswith((files.TEMPORARY_PREFIX, ".renaming"))]
    left += [path.name for path in bank.paths() if path.name != file_name(read_name(path) or "")]
    if left:
        found.append(f"left {left}")
    if set(bank.names()) != there | {"next"}:
        found.append("the next writer changed other styles")
    return found


def prepared(folder: Path) -> dict[str, bytes]:
    bank = Bank(folder)
    for name, seed in OLD.items():
        bank.add(style(name, seed, layers=SMALL))
    return {path.name: path.read_bytes() for path in bank.paths()}


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    """Give a call to the harness and get the trials it prints."""
    command = [sys.executable, "-c", "from tests.stylebank.bank.crash_harness import serve; serve()"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE, text=True)

    def run(call: str) -> list[Trial]:
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(call + "\n")
        server.stdin.flush()
        trials: list[Trial] = []
        for line in server.stdout:
            trial = json.loads(line)
            if "status" in trial:
                assert trial["status"] == 0
                return trials
            trials.append(trial)
        raise AssertionError("the harness is gone")

    yield run
    server.communicate()


def all_harm(trials: list[Trial], action: str, before: dict[str, bytes]) -> list[str]:
    return [
        f"{trial.get('stop', trial.get('limit'))}: {found}"
        for trial in trials
        for found in harm(Path(trial["folder"]), action, before, trial["ended"] == "done")
    ]


def misordered(log: list[dict[str, Any]], folder: Path) -> list[str]:
    """Which of its data a writer could lose to a power cut: a rename must stand between two flushes."""
    renames = [(at, entry) for at, entry in enumerate(log) if entry["event"] == "os.rename"]
    found = [] if renames else ["the target was not renamed into place"]
    for at, rename in renames:
        writes = [k for k, entry in enumerate(log[:at]) if entry.get("writes") and entry["path"] == rename["path"]]
        flushed = {"event": "fsync", "inode": rename["inode"], "size": rename["size"]}
        if flushed not in log[max(writes, default=0) : at]:
            found.append("the data was not flushed before the rename")
        if folder.stat().st_ino not in [entry.get("inode") for entry in log[at:] if entry["event"] == "fsync"]:
            found.append("the folder was not flushed after the rename")
        if any(entry.get("writes") and entry["path"] == rename["to"] for entry in log):
            found.append("the target was written to")
    return found


# stopped anywhere


@pytest.mark.parametrize("how", ["exit", "raise"])
@pytest.mark.parametrize("action", ACTIONS)
def test_stopped_at_any_operation_the_bank_is_as_before_or_as_wanted(
    harness: Harness, tmp_path: Path, action: str, how: str
) -> None:
    before = prepared(tmp_path / "prepared")
    trials = harness(f"stopped({str(tmp_path)!r}, {action!r}, {how!r})")
    assert len(trials) > 8
    assert trials[0]["ended"] == trials[-1]["ended"] == "done"
    assert {trial["ended"] for trial in trials[1:-1]} == {"status 2304" if how == "exit" else "FailFast"}
    assert all_harm(trials, action, before) == []


@pytest.mark.parametrize("action", ACTIONS)
def test_a_disk_that_fails_at_any_operation_is_reported_and_harms_nothing(
    harness: Harness, tmp_path: Path, action: str
) -> None:
    before = prepared(tmp_path / "prepared")
    trials = harness(f"stopped({str(tmp_path)!r}, {action!r}, 'fail')")
    assert [trial for trial in trials if trial.get("unexpected")] == []
    refused = [trial for trial in trials if trial["ended"] != "done"]
    assert len(refused) >= 4
    assert all(
        re.search("The disk is full; free some space|No space left on device", trial["message"]) for trial in refused
    )
    assert all_harm(trials, action, before) == []


@pytest.mark.parametrize("action", ["add", "replace", "rename", "import"])
def test_data_is_flushed_before_the_rename_and_the_folder_after(harness: Harness, tmp_path: Path, action: str) -> None:
    prepared(tmp_path / "prepared")
    trial = harness(f"stopped({str(tmp_path)!r}, {action!r}, 'exit', last=0)")[0]
    assert misordered(trial["log"], Path(trial["folder"])) == []


FRACTIONS = (0.0, 0.01, 0.25, 0.5, 0.75, 0.99)


@pytest.mark.parametrize("action", ["add", "replace", "rename", "import"])
def test_killed_in_the_middle_of_a_write_the_bank_is_as_before(harness: Harness, tmp_path: Path, action: str) -> None:
    before = prepared(tmp_path / "prepared")
    size = len(before[file_name("wave")])
    limits = [int(size * fraction) for fraction in FRACTIONS]
    trials = harness(f"torn({str(tmp_path)!r}, {action!r}, {limits}, killed=True)")
    assert [trial["ended"] for trial in trials] == [f"status {int(signal.SIGXFSZ)}"] * len(FRACTIONS)
    for trial, limit in zip(trials, limits, strict=True):
        (half,) = Path(trial["folder"]).glob(f"{files.TEMPORARY_PREFIX}*")
        assert half.stat().st_size == limit
        assert {path.name: path.read_bytes() for path in Bank(trial["folder"]).paths()} == before
    assert all_harm(trials, action, before) == []


@pytest.mark.parametrize("action", ["add", "replace", "rename", "import"])
def test_where_no_more_bytes_fit_a_writer_says_so_and_leaves_nothing(
    harness: Harness, tmp_path: Path, action: str
) -> None:
    before = prepared(tmp_path / "prepared")
    size = len(writer.encode(style("wave", NEW_SEED, layers=SMALL)))
    limits = [0, 1, 512, 4096, size // 4, size // 2, size - 1, size]
    *trials, enough = harness(f"torn({str(tmp_path)!r}, {action!r}, {limits}, killed=False)")
    assert enough["ended"] == "done"
    target = {"add": "tide", "replace": "wave", "rename": "wave", "import": "tide"}[action]
    for trial in trials:
        folder = Path(trial["folder"])
        assert trial["ended"] == "OutputRefused"
        assert trial["message"].startswith(f"{folder / file_name(target)}: The file would be too large")
        assert {path.name for path in folder.iterdir()} == {*before, ".lock"}
        assert {path.name: path.read_bytes() for path in Bank(folder).paths()} == before
    assert all_harm([*trials, enough], action, before) == []


def killed_while_adding(harness: Harness, base: Path, times: int, seed: int) -> None:
    before = prepared(base / "prepared")
    expected = style("new", NEW_SEED, layers=("pixels", "conv3_1"))
    trials = harness(f"killed({str(base)!r}, {times}, {seed})")
    assert [trial["ended"] for trial in trials] == [f"status {int(signal.SIGKILL)}"] * times
    for trial in trials:
        bank = Bank(trial["folder"])
        listed, errors = bank.headers()
        assert errors == []
        names = {header.name for header in listed}
        added = {f"new {index}" for index in range(trial["finished"])}
        # one more may be whole that was not yet reported
        assert {*OLD, *added} <= names <= {*OLD, *added, f"new {trial['finished']}"}
        assert {name: bank.path(name).read_bytes() for name in OLD} == {name: before[file_name(name)] for name in OLD}
        for name in names - OLD.keys():
            got = bank.get(name)
            assert difference(got, dataclasses.replace(expected, header=got.header)) == ""
        bank.add(style("next", 4, layers=SMALL))
        assert not list(bank.folder.glob(f"{files.TEMPORARY_PREFIX}*"))
        shutil.rmtree(bank.folder)


def test_killed_at_any_time_an_add_is_whole_or_absent(harness: Harness, tmp_path: Path) -> None:
    killed_while_adding(harness, tmp_path, 20, 1)


@pytest.mark.soak
def test_killed_two_hundred_times_an_add_is_whole_or_absent(harness: Harness, tmp_path: Path) -> None:
    killed_while_adding(harness, tmp_path, 200, 2)


# the harness finds what it is there to find


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_writer_that_does_not_rename_a_whole_file_is_caught(harness: Harness, tmp_path: Path, mutant: str) -> None:
    before = prepared(tmp_path / "prepared")
    trials = harness(f"stopped({str(tmp_path)!r}, 'replace', 'exit', mutant={mutant!r}, last=0)")
    assert misordered(trials[0]["log"], Path(trials[0]["folder"])) != []
    shutil.rmtree(tmp_path)
    before = prepared(tmp_path / "prepared")
    limits = [len(before[file_name("wave")]) // 2]
    trials = harness(f"torn({str(tmp_path)!r}, 'replace', {limits}, killed=True, mutant={mutant!r})")
    assert any("damaged" in found for found in all_harm(trials, "replace", before))


@pytest.mark.parametrize(
    ("unsynced", "lost"),
    [
        ("file", ["the data was not flushed before the rename"]),
        ("folder", ["the folder was not flushed after the rename"]),
        ("both", ["the data was not flushed before the rename", "the folder was not flushed after the rename"]),
    ],
)
def test_a_writer_that_does_not_flush_is_caught(
    harness: Harness, tmp_path: Path, unsynced: str, lost: list[str]
) -> None:
    prepared(tmp_path / "prepared")
    trial = harness(f"stopped({str(tmp_path)!r}, 'add', 'exit', unsynced={unsynced!r}, last=0)")[0]
    assert misordered(trial["log"], Path(trial["folder"])) == lost
