"""What the libraries below Keras print and raise, as a user is to see it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from stylebank.errors import StylebankError

_MEMORY_SIGNS = ("ResourceExhaustedError", "OutOfMemoryError", "RESOURCE_EXHAUSTED", "out of memory")


class OutOfMemory(StylebankError):
    """The device's memory does not hold what was asked for."""


@contextlib.contextmanager
def native_stderr_silenced() -> Iterator[None]:
    """Drop what C++ libraries print while they load, before any log level applies."""
    if os.environ.get("STYLEBANK_DEBUG_BACKEND"):
        yield
        return
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no stderr at all, as under pythonw or a daemon
        yield
        return
    try:
        with Path(os.devnull).open("wb") as null:
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Turn the backend's own error of a full device into `OutOfMemory`."""
    try:
        yield
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        if isinstance(error, MemoryError) or any(sign in told for sign in _MEMORY_SIGNS):
            raise OutOfMemory(
                "the device's memory does not suffice for this size. Choose a smaller --size, another --device, "
                "or a --memory-limit, for strips."
            ) from error
        raise
