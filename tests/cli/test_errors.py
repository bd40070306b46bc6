"""The exit code and the line of errors that no command expects."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import logs
from pipeline.cli.errors import report_error
from stylebank.errors import StylebankError


def caused_by(cause: BaseException) -> Exception:
    error = RuntimeError("a library's own words")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 4.00 GiB for an array with shape (32768, 32768)"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        ImportError("libcublas.so.12: failed to map segment from shared object"),
        ImportError("libtensorflow.so: cannot open shared object file: Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        StylebankError("backend tensorflow: cannot be loaded (libtensorflow_cc.so.2: failed to map segment from it)."),
        caused_by(MemoryError()),
    ],
    ids=str,
)
def test_memory_that_is_used_up_is_exit_6_and_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with logs.handled():
        assert report_error(error) == 6
    line = capsys.readouterr().err
    assert line.startswith("Error: the memory of this machine, or its limit for this process, is used up. ")
    assert line.count("\n") == 1 and "ulimit -v" in line


def test_another_system_error_names_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.handled():
        assert report_error(PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a file")) == 1
    assert capsys.readouterr().err == "Error: a file: Permission denied. Check the path and the permissions.\n"


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited in this way on Linux")
def test_a_command_with_little_address_space_ends_with_one_line(folder: Path) -> None:
    program = (
        "import resource, sys; import numpy as np, scipy.linalg; from PIL import Image; from pipeline import cli\n"
        "import pipeline.cli.map, stylebank.pages.map, stylebank.storage.reader\n"
        "scipy.linalg.eigh(np.eye(64) @ np.eye(64)); limit = 1 << 33\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "from stylebank.bank import Bank\n"
        "def names(self): return [bytearray(limit)]\n"  # an allocation in a command that the system refuses
        "Bank.names = Bank.headers = names\n"
        f"cli.main(['--bank', {str(folder / 'bank')!r}, 'list'])"
    )
    limits = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=limits)
    assert done.returncode == 6
    assert done.stderr.startswith("Error: the memory of this machine") and done.stderr.count("\n") == 1
