"""A bank in use by other processes, or in a folder that cannot be written."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stylebank.bank import Bank
from stylebank.errors import (
    BankBusy,
    OutputRefused,
)
from tests.stylebank.bank.conftest import SMALL, contents
from tests.styles import difference, style

ROOT = Path(__file__).parents[3]


# other processes


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


HOLD = """
import sys, time
from pathlib import Path
from stylebank.bank.commit import writing
with writing(Path(sys.argv[1]), 30):
    print("held", flush=True)
    time.sleep(60)
"""
ADD = """
import sys
from tests.styles import style
from stylebank.bank import Bank
for index in range(int(sys.argv[3])):
    Bank(sys.argv[1]).add(style(f"{sys.argv[2]} {index}", index, layers=("pixels", "conv1_1")))
"""


@pytest.fixture
def holder(two: Bank) -> Iterator[subprocess.Popen[str]]:
    """Another process that is writing to the bank, and goes on."""
    process = python(HOLD, two.folder)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_writer_waits_so_long_and_says_so(two: Bank, holder: subprocess.Popen[str]) -> None:
    before = contents(two)
    impatient = Bank(two.folder, lock_timeout=0.2)
    for act in (
        lambda: impatient.add(style("tide", layers=SMALL)),
        lambda: impatient.remove("wave"),
        lambda: impatient.rename("wave", "tide"),
    ):
        with pytest.raises(BankBusy, match=r"another process has been writing for 0\.2 seconds\. Wait"):
            act()
    assert contents(two) == before
    assert two.names() == ["poppies", "wave"] and two.get("wave").name == "wave"


def test_a_killed_writer_blocks_nobody(two: Bank, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    started = time.monotonic()
    Bank(two.folder, lock_timeout=5).add(style("tide", layers=SMALL))
    assert time.monotonic() - started < 3
    assert two.names() == ["poppies", "tide", "wave"]


def test_four_writers_at_once_lose_nothing(bank: Bank) -> None:
    writers = [python(ADD, bank.folder, f"painter {number}", 6) for number in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    for writer in writers:
        writer.communicate()
    listed, errors = bank.headers()
    assert errors == []
    assert {header.name for header in listed} == {f"painter {n} {k}" for n in range(4) for k in range(6)}
    for header in listed:
        sent = style(header.name, int(header.name[-1]), layers=SMALL)
        assert difference(bank.get(header.name), dataclasses.replace(sent, header=header)) == ""


# folders that cannot be written


@pytest.fixture
def read_only(two: Bank, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Bank:
    """Permissions say nothing to root, so the system calls themselves are made to refuse."""
    reason: int = request.param

    def refusing(call: Callable[..., object]) -> Callable[..., object]:
        def refuse(path: object, *arguments: object, **options: object) -> object:
            writing = call is not real_open or (bool(arguments) and int(arguments[0]) & (os.O_WRONLY | os.O_RDWR))  # type: ignore[call-overload]
            if writing and str(path).startswith(str(two.folder)):
                raise OSError(reason, os.strerror(reason), str(path))
            return call(path, *arguments, **options)

        return refuse

    real_open = os.open
    for name in ("open", "unlink", "remove", "rename", "replace"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    return two


@pytest.mark.parametrize("read_only", [errno.EROFS, errno.EACCES], indirect=True)
def test_a_folder_that_may_only_be_read_can_be_read(read_only: Bank) -> None:
    before = contents(read_only)
    assert read_only.names() == ["poppies", "wave"]
    assert read_only.get("wave").name == "wave"
    for act in (
        lambda: read_only.add(style("tide", layers=SMALL)),
        lambda: read_only.add(style("wave", layers=SMALL), replace=True),
        lambda: read_only.remove("wave"),
        lambda: read_only.rename("wave", "tide"),
    ):
        with pytest.raises(OutputRefused, match=r"(read-only|Permission denied); choose a") as caught:
            act()
        assert str(caught.value).startswith(str(read_only.folder))
    assert contents(read_only) == before


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(OutputRefused, match=r"^/proc/no/bank: .*\."):
        Bank("/proc/no/bank").add(style(layers=SMALL))
