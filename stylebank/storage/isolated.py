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
from pathlib import Path

from .. import errors
from ..errors import ImportRefused, StylebankError, StyleFileError, printable

#: Address space in bytes that parsing may take beyond what the libraries have. A style of ten scales takes 200 MB.
MAX_BYTES = 4 << 30
#: Processor seconds. A style of ten scales takes 5.
MAX_CPU_SECONDS = 120
#: Seconds by the clock, for a file on a disk that does not answer.
MAX_SECONDS = 600
_REFUSED, _NO_MEMORY = 3, 4
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
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
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


def command(path: Path) -> list[str]:
    """Return the command line of the child."""
    limits = (str(MAX_BYTES), str(MAX_CPU_SECONDS))
    return [sys.executable, "-I", "-B", "-c", _CODE, os.fspath(path.absolute()), *limits, os.pathsep.join(sys.path)]


def main() -> None:
    """Read the file that the command line names, within its limits; the exit code says how that ends."""
    from . import reader

    path, most_bytes, most_seconds = sys.argv[1:]
    try:
        _limit(int(most_bytes), int(most_seconds))
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
