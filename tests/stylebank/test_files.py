"""Files written whole or not at all, and the harness that would show it if they were not.

The harness is this module in a process of its own, so that it can fork, kill, limit and audit
without harm to the test run. It leaves one bank a trial, which the tests then look at.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from stylebank import files
from stylebank.bank import Bank, transfer
from stylebank.bank import bank as bank_module
from stylebank.errors import OutputRefused, StylebankError
from stylebank.names import file_name
from stylebank.storage import integrity as digests
from stylebank.storage import reader as format
from stylebank.style import Style
from tests.styles import difference, style

ROOT = Path(__file__).parents[2]
SMALL = ("pixels", "conv1_1")
OLD = {"poppies": 1, "wave": 2}
NEW_SEED = 3
Trial = dict[str, Any]
Harness = Callable[[str], list[Trial]]

#: What is done to a bank of `OLD`, and the names there may be afterwards: if nothing was done, part way, when all was.
ACTIONS: dict[str, tuple[Callable[[Bank], object], list[set[str]]]] = {
    "add": (
        lambda bank: bank.add(style("tide", NEW_SEED, layers=SMALL)),
        [{"poppies", "wave"}, {"poppies", "wave", "tide"}],
    ),
    "replace": (
        lambda bank: bank.add(style("wave", NEW_SEED, layers=SMALL), replace=True),
        [{"poppies", "wave"}],
    ),
    "remove": (
        lambda bank: bank.remove("wave"),
        [{"poppies", "wave"}, {"poppies"}],
    ),
    "rename": (
        lambda bank: bank.rename("wave", "ebb"),
        [{"poppies", "wave"}, {"poppies", "wave", "ebb"}, {"poppies", "ebb"}],
    ),
    "import": (
        lambda bank: transfer.import_style(bank, gift()),
        [{"poppies", "wave"}, {"poppies", "wave", "tide"}],
    ),
}


@cache
def gift() -> Path:
    """A style file from elsewhere; made by the first run of an action, which nothing stops."""
    path = Path(tempfile.mkdtemp()) / "gift.stylebank.h5"
    path.write_bytes(format.encode(style("tide", NEW_SEED, layers=SMALL)))
    return path


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
            got = format.read(path)
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
    left = [path.name for path in folder.iterdir() if path.name.startswith(files.TEMPORARY_PREFIX)]
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


# the harness, in its own process


class Stopped(BaseException):
    """Nothing in the project expects it."""


class Operations:
    """Counts operations on files and ends the process, or the call, at one of them."""

    AUDITED = frozenset(
        {
            "fcntl.flock",
            "open",
            "os.chmod",
            "os.link",
            "os.listdir",
            "os.mkdir",
            "os.remove",
            "os.rename",
            "os.rmdir",
            "os.scandir",
            "os.symlink",
            "os.truncate",
        }
    )

    def __init__(self, folder: Path, stop: int, how: str, unsynced: str) -> None:
        self.folder, self.stop, self.how = str(folder), stop, how
        self.log: list[dict[str, Any]] = []
        self.fsync = os.fsync
        self.unsynced = unsynced
        os.fsync = self.synced
        sys.addaudithook(self.audit)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in self.AUDITED or not (event == "fcntl.flock" or str(arguments[0]).startswith(self.folder)):
            return
        entry: dict[str, Any] = {"event": event, "path": str(arguments[0])}
        if event == "open":
            entry["writes"] = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if event == "os.rename":
            found = Path(arguments[0]).stat()
            entry |= {"to": str(arguments[1]), "inode": found.st_ino, "size": found.st_size}
        self.happens(entry)

    def synced(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if self.unsynced == ("folder" if stat.S_ISDIR(found.st_mode) else "file") or self.unsynced == "both":
            return
        self.happens({"event": "fsync", "inode": found.st_ino, "size": found.st_size})
        self.fsync(descriptor)

    def happens(self, entry: dict[str, Any]) -> None:
        self.log.append(entry)
        if len(self.log) == self.stop:
            if self.how == "exit":
                os._exit(9)
            if self.how == "raise":
                raise Stopped
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def rename_before_write(
    target: Path, write: Callable[[Path], None], check: Callable[[Path], None] | None = None
) -> None:
    temporary = target.parent / f"{files.TEMPORARY_PREFIX}mutant"
    temporary.touch()
    temporary.replace(target)
    write(target)
    files.flush(target)
    files.flush(target.parent)


def write_in_place(target: Path, write: Callable[[Path], None], check: Callable[[Path], None] | None = None) -> None:
    write(target)
    files.flush(target)
    files.flush(target.parent)


MUTANTS = {"rename before write": rename_before_write, "write in place": write_in_place}


def in_child(work: Callable[[], Trial]) -> Trial:
    """Run `work` in a fork; its trial, or how the fork died."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            trial = work()
        except StylebankError as error:
            trial = {"ended": type(error).__name__, "message": str(error)}
        except BaseException as error:
            trial = {"ended": type(error).__name__, "message": repr(error), "unexpected": True}
        with os.fdopen(writing, "w") as pipe:
            json.dump(trial, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    status = os.waitpid(child, 0)[1]
    return json.loads(text) if text else {"ended": f"status {status}"}


def copied_bank(base: str, trial: object) -> Path:
    folder = Path(base) / f"trial {trial}"
    shutil.copytree(Path(base) / "prepared", folder)
    return folder


def stopped(base: str, action: str, how: str, mutant: str = "", unsynced: str = "", last: int = 1000) -> None:
    """Do an action once to see its operations, then once for each of them up to `last`, stopped there."""
    if mutant:
        bank_module.replace_file = MUTANTS[mutant]
    act = ACTIONS[action][0]
    act(Bank(copied_bank(base, "warm")))

    def work(folder: Path, stop: int) -> Trial:
        operations = Operations(folder, stop, how, unsynced)
        try:
            act(Bank(folder))
        except Stopped:
            return {"ended": "Stopped", "log": operations.log}
        return {"ended": "done", "log": operations.log}

    for stop in range(last + 1):
        folder = copied_bank(base, stop)
        trial = in_child(lambda folder=folder, stop=stop: work(folder, stop))
        print(json.dumps({**trial, "folder": str(folder), "stop": stop}), flush=True)
        if stop and trial["ended"] == "done" and len(trial["log"]) < stop:
            return


def torn(base: str, action: str, limits: list[int], killed: bool, mutant: str = "") -> None:
    """Do an action where a file may have so many bytes; the one too many is an error, or the end."""
    if mutant:
        bank_module.replace_file = MUTANTS[mutant]
    act = ACTIONS[action][0]
    act(Bank(copied_bank(base, "warm")))

    def work(folder: Path, limit: int) -> Trial:
        if killed:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        act(Bank(folder))
        return {"ended": "done"}

    for limit in limits:
        folder = copied_bank(base, limit)
        trial = in_child(lambda folder=folder, limit=limit: work(folder, limit))
        print(json.dumps({**trial, "folder": str(folder), "limit": limit}), flush=True)


def killed(base: str, times: int, seed: int) -> None:
    """Add style after style to a bank, and be killed at some time within the first few."""
    chance = random.Random(seed)
    new = style("new", NEW_SEED, layers=("pixels", "conv3_1"))
    started = time.perf_counter()
    Bank(copied_bank(base, "warm")).add(new)
    span = 3 * (time.perf_counter() - started)
    for trial in range(times):
        folder = copied_bank(base, trial)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                for index in range(1000):
                    header = dataclasses.replace(new.header, name=f"new {index}")
                    Bank(folder).add(dataclasses.replace(new, header=header))
                    os.write(writing, b".")
            os._exit(1)
        os.close(writing)
        time.sleep(chance.uniform(0, span))
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        with os.fdopen(reading, "rb") as pipe:
            finished = len(pipe.read())
        print(json.dumps({"ended": f"status {status}", "folder": str(folder), "finished": finished}), flush=True)


def serve() -> None:
    """Run every line of input in a fork; after what it prints comes how it ended."""
    for call in sys.stdin:
        child = os.fork()
        if not child:
            signal.alarm(300)
            try:
                eval(call)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(json.dumps({"status": os.waitpid(child, 0)[1]}), flush=True)


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    """Give a call to the harness and get the trials it prints."""
    command = [sys.executable, "-c", "from tests.stylebank.test_files import serve; serve()"]
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
    assert {trial["ended"] for trial in trials[1:-1]} == {"status 2304" if how == "exit" else "Stopped"}
    assert all_harm(trials, action, before) == []


@pytest.mark.parametrize("action", ACTIONS)
def test_a_disk_that_fails_at_any_operation_is_reported_and_harms_nothing(
    harness: Harness, tmp_path: Path, action: str
) -> None:
    before = prepared(tmp_path / "prepared")
    trials = harness(f"stopped({str(tmp_path)!r}, {action!r}, 'fail')")
    assert [trial for trial in trials if trial.get("unexpected")] == []
    refused = [trial for trial in trials if trial["ended"] != "done"]
    assert len(refused) > 4
    assert all("The disk is full; free some space" in trial["message"] for trial in refused)
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
    size = len(format.encode(style("wave", NEW_SEED, layers=SMALL)))
    limits = [0, 1, 512, 4096, size // 4, size // 2, size - 1, size]
    *trials, enough = harness(f"torn({str(tmp_path)!r}, {action!r}, {limits}, killed=False)")
    assert enough["ended"] == "done"
    target = {"add": "tide", "replace": "wave", "rename": "ebb", "import": "tide"}[action]
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


# replace_file by itself


def test_a_file_is_replaced_with_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    for text in ("first", "second"):
        files.replace_file(target, lambda path, text=text: path.write_text(text) and None)
        assert target.read_text() == text
        assert list(tmp_path.iterdir()) == [target]


def test_the_check_sees_what_was_written_before_it_counts(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")

    def check(path: Path) -> None:
        assert (path.read_text(), target.read_text(), path.suffix) == ("new", "old", ".txt")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.replace_file(target, lambda path: path.write_text("new") and None, check)
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/out.txt", "No such file or folder"),
        ("file/out.txt", "A file stands where a folder is needed"),
        ("folder", "A folder stands where a file is needed"),
        ("x" * 300, "The file name is too long"),
    ],
)
def test_a_target_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputRefused, match=reason) as caught:
        files.replace_file(tmp_path / name, lambda path: path.write_text("x") and None)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_is_made_with_its_parents_or_the_reason_given(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a/b/c")
    files.make_folder(tmp_path / "a/b/c")
    assert (tmp_path / "a/b/c").is_dir()
    (tmp_path / "file").write_text("x")
    for below in ("file", "file/b"):
        with pytest.raises(OutputRefused, match="A file stands where a folder is needed"):
            files.make_folder(tmp_path / below)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full; free some space"),
        (OSError("Unable to write (file write failed: errno = 28, error message = 'No space')"), "The disk is full"),
        (OSError("Unable to write (file write failed: errno = 27, error message = 'x')"), "too large for this system"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error. Check the path and the disk."),
    ],
)
def test_a_systems_error_becomes_a_reason_and_what_to_do(error: OSError, advice: str) -> None:
    assert advice in files.explain(error)
    assert files.explain(error).endswith(".")


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert files.digest_file(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_several_runs_hold_a_folder_and_the_first_alone_tidies(tmp_path: Path) -> None:
    tidied: list[int] = []
    with files.held(tmp_path, lambda: tidied.append(1)), files.held(tmp_path, lambda: tidied.append(2)):
        pass
    with files.held(tmp_path, lambda: tidied.append(3)):
        pass
    assert tidied == [1, 3]
