"""Many small pictures, and stylizers without a network to make them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline.execution import worker
from stylebank import images
from stylebank.bank import Bank
from tests.fakes import Stylizer

COUNT = 40


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Forty small pictures, each of another grey."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(COUNT):
        size = (48, 32) if number % 3 else (32, 48)
        pixels = np.full((size[1], size[0], 3), 2 * number + 20, np.float32)
        images.save(folder / f"{number:02d}.png", pixels, format="png", quality=90)
    return folder


@pytest.fixture
def stylizer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Stylizer], Stylizer]:
    """Put a stylizer without a network in the place of the real one."""

    def put(stylizer: Stylizer) -> Stylizer:
        monkeypatch.setattr(worker, "_make_stylizer", functools.cache(lambda context: stylizer))
        machine = {"backend": "none", "device": "cpu", "precision": "float32"}
        monkeypatch.setattr(worker, "machine_info", lambda place, stylizer: machine)
        return stylizer

    return put


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.png"))}


def make(bank: Bank, many: Path, out: Path, **options: Any) -> list[pipeline.Entry]:
    options = {"size": 0, "steps": 2, "batch_size": 1, "format": "png", "precision": "float32", **options}
    options.setdefault("on_error", "return")
    return pipeline.apply(bank, "wave", [many], out, **options)
