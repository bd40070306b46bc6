from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from stylebank.errors import UsageError
from stylebank.storage import reader, writer
from tests.stylebank.storage.style_files import GOLDEN, written
from tests.styles import style


@pytest.mark.parametrize(
    "tags",
    [
        ("",),
        ("a\0b",),
        ("\udcff",),
        ("x" * 5000,),
        tuple(map(str, range(65))),
        tuple("x" * 1000 + str(i) for i in range(50)),
    ],
    ids=["empty", "nul", "not unicode", "long", "many", "many long"],
)
def test_what_could_not_be_read_back_is_not_written(tags: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="tag"):
        writer.encode(style(tags=tags))


def test_a_style_without_all_its_scales_is_not_written() -> None:
    with pytest.raises(UsageError, match="pixels at scale 32 is missing"):
        writer.encode(dataclasses.replace(style(), scales={}))


def test_what_needs_no_more_is_written_as_format_1(tmp_path: Path) -> None:
    path = written(tmp_path / "x.h5", reader.read(GOLDEN))
    with h5py.File(path) as file, h5py.File(GOLDEN) as golden:
        assert dict(file.attrs).keys() == dict(golden.attrs).keys()
        assert all(np.array_equal(file.attrs[key], golden.attrs[key]) for key in golden.attrs)


def test_what_is_too_long_is_not_written() -> None:
    with pytest.raises(UsageError, match="swatch is longer than 1048576 bytes"):
        writer.encode(dataclasses.replace(style(), swatch=b"\0" * (1 << 20) + b"\0"))
