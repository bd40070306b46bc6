from __future__ import annotations

import os

import pytest

from pipeline.backends.errors import OutOfMemory, memory_errors, native_stderr_silenced


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


def test_what_libraries_print_while_they_load_is_dropped(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STYLEBANK_DEBUG_BACKEND", raising=False)
    with native_stderr_silenced():
        os.write(2, b"registering factories\n")
    os.write(2, b"seen\n")
    assert capfd.readouterr().err == "seen\n"
    monkeypatch.setenv("STYLEBANK_DEBUG_BACKEND", "1")
    with native_stderr_silenced():
        os.write(2, b"asked for\n")
    assert capfd.readouterr().err == "asked for\n"
