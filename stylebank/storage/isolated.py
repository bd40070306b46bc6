"""Parse a style file from elsewhere in a process of its own, with limits.

libhdf5 is C: bytes meant to harm it may end the process that parses them, or make it use all memory. The child process
parses first. Where it ends badly, this process has not opened the file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .. import errors
from ..errors import ImportRefused, StylebankError, StyleFileError, printable

if TYPE_CHECKING:
    from typing_extensions import Self

#: Address space in bytes that parsing may take beyond what the libraries have. A style of ten scales takes 200 MB.
MAX_BYTES = 4 << 30
#: Processor seconds. A style of ten scales takes 5.
MAX_CPU_SECONDS = 120
#: Seconds by the clock, for a file on a disk that does not answer.
MAX_SECONDS = 600
#: The same in a child for many files; a slower file has a child of its own.
MAX_SHARED_SECONDS = 30
_REFUSED, _NO_MEMORY = 3, 4
_WHOLE = b"whole\n"
_ADVICE = "Nothing was imported. Get the file again from its author."
#: The child's import path is this process's: never the working folder, where files from elsewhere often lie.
_CODE = """\
import os, sys
sys.path[:] = sys.argv.pop().split(os.pathsep)
from stylebank.storage.isolated import main
main()
"""


def parse(path: Path) -> None:
    """Read a complete style file in a child process.

    Parameters
    ----------
    path
        A file that may be hostile.

    Raises
    ------
    ImportRefused
        If the child crashed, or used more memory or time than the limits.
    StyleDamaged, StyleUnreadable
        As `reader.read` raises them.
    """
    if not sys.executable:  # an embedded interpreter has no program to start
        return
    location = printable(path)
    try:
        child = subprocess.run(
            command(path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=MAX_SECONDS,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        raise ImportRefused(f"{location}: reading it takes more than {MAX_SECONDS:g} seconds. {_ADVICE}") from None
    except OSError as error:
        reason = f"the process that checks it cannot start ({error.strerror or error})"
        raise ImportRefused(f"{location}: {reason}. Nothing was imported. Free some memory and try again.") from error
    if child.returncode == _REFUSED:
        raise _raised(path, child.stdout)
    if child.returncode == _NO_MEMORY:
        limit = f"{MAX_BYTES / 2**30:.3g} GiB"
        raise ImportRefused(f"{location}: reading it takes more memory than is free, or than {limit}. {_ADVICE}")
    if child.returncode:
        raise ImportRefused(f"{location}: {_describe(child.returncode)}. {_ADVICE}")


class Parser:
    """Parse many files as `parse` does, whole ones in one child process: starting one takes longer than most files.

    The child ends with the first file that it does not read whole within its limits. `parse` then decides on that
    file in a child of its own, so that no file is refused for what an earlier one has done to the process.

    Use it as a context manager, which ends the child.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end()

    def parse(self, path: Path) -> None:
        """Read a complete style file in a child process; it raises as the function `parse` does."""
        if not self._reads(path):
            parse(path)

    def _reads(self, path: Path) -> bool:
        """Return whether the child reads the file whole; end the child if not."""
        if not sys.executable:
            return False
        try:
            child = self._child = self._child or subprocess.Popen(
                command(None),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        except OSError:
            return False
        assert child.stdin is not None and child.stdout is not None
        timer = threading.Timer(MAX_SHARED_SECONDS, child.kill)
        timer.start()
        whole = False
        try:
            child.stdin.write(os.fsencode(path.absolute()).hex().encode() + b"\n")
            whole = child.stdout.readline() == _WHOLE
        except OSError:  # the child has ended
            pass
        finally:
            timer.cancel()
            if not whole:  # or interrupted: its answer would pass for that of the next file
                self._end()
        return whole

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            with child:  # closes the pipes, and waits
                pass


def command(path: Path | None) -> list[str]:
    """Return the command line of the child: for one file, or for the files that its stdin names."""
    limits = (str(MAX_BYTES), str(MAX_CPU_SECONDS))
    file = "" if path is None else os.fspath(path.absolute())
    return [sys.executable, "-I", "-B", "-c", _CODE, file, *limits, os.pathsep.join(sys.path)]


def _environment() -> dict[str, str]:
    return os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def main() -> None:
    """Read the file that the command line names, within its limits; the exit code says how that ends."""
    from . import reader

    path, most_bytes, most_seconds = sys.argv[1:]
    try:
        _limit(int(most_bytes), int(most_seconds))
        if not path:
            _read_files()
        reader.read(Path(path))
    except MemoryError:
        os._exit(_NO_MEMORY)
    except StylebankError as error:
        if isinstance(error.__cause__, MemoryError):
            os._exit(_NO_MEMORY)
        reason = getattr(error, "reason", "")
        text = "\0".join((type(error).__name__, str(error), reason))
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
        os._exit(_REFUSED)
    os._exit(0)  # without clean-up, which may stumble over what the file has left in memory


def _read_files() -> NoReturn:
    """Read the files that stdin names, and answer for each; end with the first that is not whole, or with stdin."""
    from . import reader

    with contextlib.suppress(Exception):
        for line in sys.stdin.buffer:
            reader.read(Path(os.fsdecode(bytes.fromhex(line.decode()))))
            sys.stdout.buffer.write(_WHOLE)
            sys.stdout.buffer.flush()
    os._exit(0)


def _limit(most_bytes: int, most_seconds: int) -> None:
    """Limit memory and processor time where the system can, and write no core dump."""
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):
        _lower(resource.RLIMIT_CPU, most_seconds)
    with contextlib.suppress(OSError, ValueError, IndexError):  # macOS has neither /proc nor this limit
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + most_bytes)


def _lower(kind: int, limit: int) -> None:
    import resource

    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _raised(path: Path, output: bytes) -> StylebankError:
    """Return the error that the child reports."""
    name, message, reason = [*output.decode("utf-8", "replace").split("\0"), "", ""][:3]
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, StylebankError)):
        kind = StylebankError
    error: StylebankError = kind(message)
    return error.located(path, reason) if isinstance(error, StyleFileError) else error


def _describe(code: int) -> str:
    """Return how a child ended that neither read the file nor refused it."""
    if code == -getattr(signal, "SIGXCPU", 0):
        return f"reading it takes more than {MAX_CPU_SECONDS:g} seconds of processor time"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"reading it ends the process ({signal.Signals(-code).name})"
    return f"reading it ends the process (code {code})"
