"""Out-of-memory errors of all backends. They are recognised by name, so that no backend is loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from stylebank.errors import OutOfMemory

_OUT_OF_MEMORY_TEXTS = ("ResourceExhaustedError", "OutOfMemoryError", "RESOURCE_EXHAUSTED", "out of memory")


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Turn a backend's out-of-memory error into `OutOfMemory`."""
    try:
        yield
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        if isinstance(error, MemoryError) or any(text in message for text in _OUT_OF_MEMORY_TEXTS):
            raise OutOfMemory(
                "the device ran out of memory at this size. Choose a smaller --size or another --device, "
                "or work in tiles with --memory-limit."
            ) from error
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error's class, or a base class, is an out-of-memory error."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"OutOfMemory", "MemoryError", "ResourceExhaustedError", "OutOfMemoryError"})
