"""Standard streams that a service, a full disk or a reader that has ended leaves unusable."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any

#: Modes in which the null device replaces stdin, stdout and stderr: the first two fail when they are used.
_MODES = (os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)


#: Name of stdout in its errors.
STDOUT = "stdout"


class _Stdout(io.FileIO):
    """A descriptor whose errors have the file name `STDOUT`."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = STDOUT
            raise


class _Stderr(io.FileIO):
    """A descriptor that drops what it cannot write."""

    def write(self, data: Any, /) -> int:
        size = memoryview(data).nbytes
        try:
            return super().write(data) or size  # None from a full pipe that does not block
        except OSError:
            return size


def prepare() -> None:
    """Make the standard streams safe to use.

    A closed descriptor is opened on the null device, because the next file that is opened would take its number
    and get what libraries print. A message that stderr refuses is dropped. Characters that the
    terminal's encoding lacks are escaped. Writing a full or closed stdout and reading a closed stdin are errors.
    """
    opened = {number for number, mode in enumerate(_MODES) if _open_if_closed(number, mode)}
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream, original = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is None:  # another file can have its number
            descriptor = number if number in opened else os.open(os.devnull, _MODES[number])
            mode = "r" if number == 0 else "w"
            stream = original = os.fdopen(descriptor, mode, encoding="utf-8", closefd=False)
        if stream is original and number > 0 and os.name == "posix":
            stream = _rebuilt(stream, _Stdout if number == 1 else _Stderr)
        setattr(sys, name, stream)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file name that the terminal's encoding lacks must not crash it
            stream.reconfigure(errors="backslashreplace")


def shows_bars() -> bool:
    """Return whether stderr is a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}


def silence_stdout() -> None:
    """Drop what stdout has refused, so that the end of the process does not fail on it."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
        sys.stdout.flush()


def _open_if_closed(number: int, mode: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, mode)
        if null == number:
            os.set_inheritable(null, True)
        else:
            os.dup2(null, number)
            os.close(null)
        return True
    return False


def _rebuilt(stream: Any, raw_type: type[io.FileIO]) -> Any:
    """Return a stream on the same descriptor that writes by `raw_type`."""
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
    buffer = io.BufferedWriter(raw_type(stream.fileno(), "w", closefd=False))
    lines, through = stream.line_buffering, stream.write_through
    return io.TextIOWrapper(buffer, stream.encoding, line_buffering=lines, write_through=through)
