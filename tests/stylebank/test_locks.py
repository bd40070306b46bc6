"""Locks exclude processes and threads, with the system's lock and without it."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stylebank import lock_markers, locks, processes
from stylebank.errors import LockTimeout
from stylebank.locks import exclusive_lock

fcntl = pytest.importorskip("fcntl")

HOLD = """
import fcntl, sys, time
from pathlib import Path
from stylebank.locks import exclusive_lock
if len(sys.argv) > 2:
    def refuse(*_): raise OSError(int(sys.argv[2]), "refused")
    fcntl.flock = refuse
with exclusive_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def held_elsewhere(path: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Hold the lock in another process."""
    command = [sys.executable, "-c", HOLD, str(path), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(params=[None, errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def error_number(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """The file system's answer to `flock`: None where it has locks."""
    if request.param is not None:
        refuse_locks(monkeypatch, request.param)
    return request.param


def refuse_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(locks, "_noted", set())


def marker(path: Path) -> Path:
    return path.with_name(path.name + locks.MARKER_SUFFIX)


def test_a_lock_excludes_another_thread_and_can_be_taken_again(tmp_path: Path, error_number: int | None) -> None:
    path = tmp_path / ".lock"
    refused: list[str] = []

    def try_lock() -> None:
        try:
            with exclusive_lock(path):
                pass
        except LockTimeout as error:
            refused.append(error.holder)

    with exclusive_lock(path):
        thread = threading.Thread(target=try_lock)
        thread.start()
        thread.join()
    assert refused == ["another process" if error_number is None else f"process {os.getpid()} on {os.uname().nodename}"]
    try_lock()
    assert len(refused) == 1
    assert [file.name for file in tmp_path.iterdir()] == [".lock"]


def test_a_lock_excludes_another_process_and_ends_with_it(tmp_path: Path, error_number: int | None) -> None:
    path = tmp_path / ".lock"
    with held_elsewhere(path, *([error_number] if error_number else [])) as process:
        waits: list[str] = []
        with pytest.raises(LockTimeout) as caught, exclusive_lock(path, timeout=0.3, on_wait=waits.append):
            pass
        assert waits == [caught.value.holder] and caught.value.exit_code == 4
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with exclusive_lock(path, timeout=5):  # a killed process holds nothing
            pass


def test_a_waiter_gets_the_lock_when_the_holder_is_done(tmp_path: Path, error_number: int | None) -> None:
    path = tmp_path / ".lock"
    order: list[str] = []

    def second() -> None:
        with exclusive_lock(path, timeout=20, on_wait=lambda holder: waiting.set()):
            order.append("second")

    waiting = threading.Event()
    with exclusive_lock(path):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]


def test_threads_count_without_a_loss(tmp_path: Path, error_number: int | None) -> None:
    path, total = tmp_path / ".lock", tmp_path / "total"
    total.write_text("0")

    def count() -> None:
        for _ in range(5):
            with exclusive_lock(path, timeout=60):
                value = int(total.read_text())
                time.sleep(0.001)
                total.write_text(str(value + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total.read_text() == "20"


def test_an_empty_lock_file_of_a_local_disk_blocks_nobody_where_locks_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_locks(monkeypatch, errno.ENOSYS)
    path = tmp_path / ".lock"
    path.touch()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with exclusive_lock(path):
                assert marker(path).exists()
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: the file system has no locks (ENOSYS), so a marker file stands in."
    ]


def test_another_failure_of_flock_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_locks(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"), exclusive_lock(tmp_path / ".lock"):
        pass


# markers of other hosts, and of processes that are gone


def foreign(**changes: Any) -> bytes:
    owner = {"host": "farm7", "machine": "farm7 boot", "pid": 1, "started": "1", "token": "aa"}
    return json.dumps(owner | changes).encode()


@pytest.mark.parametrize(
    ("content", "seconds", "stale"),
    [
        (foreign(), 0, False),
        (foreign(), lock_markers.STALE_AFTER - 20, False),
        (foreign(), lock_markers.STALE_AFTER + 20, True),
        (b"", 0, False),  # its process may be about to write it
        (b"", 10, True),
        (b"\xff" * 9999, 10, True),
        (b"[" * 3000, 10, True),
        (foreign(pid=-1), 10, True),
        (foreign(pid="1"), 10, True),
        (foreign(machine=processes.machine(), pid=2**31 - 1), 0, True),  # no such process here
        (
            foreign(machine=processes.machine(), pid=os.getpid()),
            0,
            True,
        ),  # the number belongs to another process now
        (
            foreign(machine=processes.machine(), pid=os.getpid(), started=processes.start_of(os.getpid())),
            9999,
            False,
        ),
    ],
)
def test_a_marker_is_removed_only_if_its_process_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, seconds: float, stale: bool
) -> None:
    refuse_locks(monkeypatch, errno.ENOLCK)
    path = tmp_path / ".lock"
    marker(path).write_bytes(content)
    touched = time.time() - seconds
    os.utime(marker(path), (touched, touched))
    if stale:
        with exclusive_lock(path):
            pass
        assert [file.name for file in tmp_path.iterdir()] == [".lock"]
    else:
        with pytest.raises(LockTimeout), exclusive_lock(path):
            pass
        assert marker(path).read_bytes() == content


def test_a_holder_touches_its_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_locks(monkeypatch, errno.ENOLCK)
    monkeypatch.setattr(lock_markers, "HEARTBEAT", 0.02)
    path = tmp_path / ".lock"
    with exclusive_lock(path):
        os.utime(marker(path), (1, 1))
        deadline = time.monotonic() + 10
        while marker(path).stat().st_mtime < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert marker(path).stat().st_mtime > 2


def test_a_holder_that_lost_its_marker_leaves_the_next_ones_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_locks(monkeypatch, errno.ENOLCK)
    path = tmp_path / ".lock"
    with exclusive_lock(path):
        marker(path).write_bytes(foreign())
    assert marker(path).read_bytes() == foreign()


# rights


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="changes its user")
def test_a_second_user_of_the_folders_group_can_lock() -> None:
    with tempfile.TemporaryDirectory() as open_to_all:  # pytest's own folders are closed to other users
        Path(open_to_all).chmod(0o755)
        _lock_as_second_user(Path(open_to_all) / "bank")


def _lock_as_second_user(bank: Path) -> None:
    bank.mkdir()
    os.chown(bank, 0, 4321)
    bank.chmod(0o2775)
    old = os.umask(0o022)
    try:
        with exclusive_lock(bank / ".lock"):
            pass
    finally:
        os.umask(old)
    assert (bank / ".lock").stat().st_mode & 0o777 == 0o664
    script = """
import os, sys
from pathlib import Path
from stylebank.locks import exclusive_lock
os.setgroups([]); os.setgid(4321); os.setuid(4322)
with exclusive_lock(Path(sys.argv[1])):
    print("held")
"""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    for mode in (0o664, 0o644):  # also a lock file of an older version
        (bank / ".lock").chmod(mode)
        command = [sys.executable, "-c", script, str(bank / ".lock")]
        assert subprocess.run(command, capture_output=True, text=True, env=environment).stdout == "held\n"


def test_a_folder_without_the_right_to_write_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, flags: int, *_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) if flags & os.O_CREAT else FileNotFoundError()

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError), exclusive_lock(tmp_path / ".lock"):
        pass
