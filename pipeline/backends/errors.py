"""Errors of the libraries below Keras: a full device is recognised by name, so that no library is loaded for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from stylebank.errors import StylebankError

_OUT_OF_MEMORY_TEXTS = ("ResourceExhaustedError", "OutOfMemoryError", "RESOURCE_EXHAUSTED", "out of memory")


class OutOfMemory(StylebankError):
    """The device's memory does not hold what was asked for."""


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Turn the backend's own error of a full device into `OutOfMemory`."""
    try:
        yield
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        if isinstance(error, MemoryError) or any(text in message for text in _OUT_OF_MEMORY_TEXTS):
            raise OutOfMemory(
                "the device's memory does not suffice for this size. Choose a smaller --size, another --device, "
                "or a --memory-limit, for strips."
            ) from error
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether a device's memory is what an error complains of."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"OutOfMemory", "MemoryError", "ResourceExhaustedError", "OutOfMemoryError"})
