from __future__ import annotations

import pytest

from pipeline.backends.errors import OutOfMemory, memory_errors


class ResourceExhaustedError(Exception):
    """As TensorFlow names it."""


@pytest.mark.parametrize(
    "raised",
    [ResourceExhaustedError("OOM when allocating"), MemoryError(), RuntimeError("CUDA out of memory. Tried ...")],
    ids=lambda raised: type(raised).__name__,
)
def test_a_full_device_is_told_with_what_to_do(raised: Exception) -> None:
    with pytest.raises(OutOfMemory, match=r"smaller --size.*--memory-limit") as told, memory_errors():
        raise raised
    assert told.value.__cause__ is raised


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match="shapes differ"), memory_errors():
        raise ValueError("shapes differ")
