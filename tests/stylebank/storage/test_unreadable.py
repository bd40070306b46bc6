"""What the system does not let a process read is not called damaged."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stylebank.errors import StyleDamaged, StyleUnreadable
from stylebank.storage import hdf5, reader, writer
from tests.styles import style

ROOT = Path(__file__).parents[3]
ANSWERS = {
    errno.EACCES: "permission denied. Ask its owner",
    errno.EPERM: "permission denied. Ask its owner",
    errno.EIO: "cannot be read (Input/output error). Check the disk",
    errno.ESTALE: "the file system does not answer (Stale file handle). Check the network",
    errno.ENOTCONN: "the file system does not answer (Transport endpoint is not connected). Check the network",
    errno.ETIMEDOUT: "the file system does not answer (Connection timed out). Check the network",
    errno.EMFILE: "too many open files. Close some, or raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files in system. Close some",
    errno.ENOMEM: "not enough memory to read it. Free some memory",
    errno.EBUSY: "cannot be read (Device or resource busy)",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "wave.stylebank.h5"
    path.write_bytes(writer.encode(style()))
    return path


@pytest.mark.parametrize("number", ANSWERS)
@pytest.mark.parametrize("operation", ["stat", "open"])
def test_a_file_that_does_not_open_is_unreadable_for_the_systems_reason(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, operation: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    if operation == "stat":
        monkeypatch.setattr(Path, "stat", refuse)
    else:
        monkeypatch.setattr(hdf5, "_Bytes", refuse)
    for read in (reader.read_header, reader.read, reader.read_pictures):
        with pytest.raises(StyleUnreadable) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: {ANSWERS[number]}")
        assert caught.value.exit_code == 5 and caught.value.path == path


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_disk_that_fails_while_a_file_is_read_is_not_damage(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    class Failing(io.FileIO):
        reads = 0
        good = 1000

        def readinto(self, buffer: Any) -> int:
            Failing.reads += 1
            if Failing.reads > Failing.good:
                raise OSError(number, os.strerror(number))
            return super().readinto(buffer)

    monkeypatch.setattr(hdf5, "_Bytes", type("_Bytes", (hdf5._Bytes, Failing), {}))
    reader.read(path)
    total = Failing.reads
    assert total > 10
    for Failing.good in range(total):
        Failing.reads = 0
        with pytest.raises(StyleUnreadable, match=r"does not answer|cannot be read"):
            reader.read(path)


def test_no_free_handle_is_not_damage(path: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    reader.read(path)
    used = os.open(path, os.O_RDONLY)
    os.close(used)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, limits[1]))
    try:
        with pytest.raises(StyleUnreadable, match="too many open files"):
            reader.read(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
from stylebank.errors import StyleUnreadable
from stylebank.storage import reader, writer
from tests.styles import style

path = Path(sys.argv[1])
path.write_bytes(writer.encode(style(layers=("conv4_1", "conv5_1"), sizes={64: (64, 64), 128: (128, 128)})))
reader.read(path)
_, hard = resource.getrlimit(resource.RLIMIT_AS)
for more in range(0, 40, 2):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (more << 20), hard))
    try:
        reader.read(path)
        answer = "whole"
    except StyleUnreadable as error:
        answer = error.reason
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    print(answer)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures the process in /proc")
def test_too_little_memory_is_not_damage(tmp_path: Path) -> None:
    # so that the allocator gives back to the system what a read has used
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(tmp_path / "x.stylebank.h5")]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    answers = set(result.stdout.splitlines())
    assert answers == {
        "whole",
        "not enough memory to read it. Free some memory, or raise its limit (ulimit -v).",
    }


@pytest.mark.parametrize("setting", ["TRUE", "FALSE", "BEST_EFFORT"])
def test_no_lock_is_asked_for_whatever_the_environment_says(path: Path, setting: str) -> None:
    held = """
import fcntl, sys
from pathlib import Path
from stylebank.storage import reader
with open(sys.argv[1]) as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print(reader.read(Path(sys.argv[1])).name)
"""
    pytest.importorskip("fcntl")
    environment = os.environ | {"HDF5_USE_FILE_LOCKING": setting}
    result = subprocess.run([sys.executable, "-c", held, str(path)], env=environment, capture_output=True, text=True)
    assert result.stdout == "wave\n"


def test_a_path_without_a_file_behind_it_is_damage(tmp_path: Path) -> None:
    (tmp_path / "loop.stylebank.h5").symlink_to("loop.stylebank.h5")
    (tmp_path / "dangling.stylebank.h5").symlink_to("nowhere")
    for name in ("loop", "dangling"):
        with pytest.raises(StyleDamaged):
            reader.read_header(tmp_path / f"{name}.stylebank.h5")
