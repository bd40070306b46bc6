from __future__ import annotations

import pytest

from pipeline.backends.errors import OutOfMemory, memory_errors


class ResourceExhaustedError(Exception):
    """An error with the name that TensorFlow uses."""


@pytest.mark.parametrize(
    "raised",
    [ResourceExhaustedError("OOM when allocating"), MemoryError(), RuntimeError("CUDA out of memory. Tried ...")],
    ids=lambda raised: type(raised).__name__,
)
def test_an_out_of_memory_error_names_the_remedies(raised: Exception) -> None:
    with pytest.raises(OutOfMemory, match=r"smaller --size.*--memory-limit") as raised_error, memory_errors():
        raise raised
    assert raised_error.value.__cause__ is raised


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(ValueError, match="shapes differ"), memory_errors():
        raise ValueError("shapes differ")
