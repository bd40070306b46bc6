"""Banks of small styles, and what is done to their files by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylebank.bank import Bank
from stylebank.storage import writer
from tests.styles import style

SMALL = ("pixels", "conv1_1")


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "bank")


@pytest.fixture
def two(bank: Bank) -> Bank:
    bank.add(style("poppies", 1, layers=SMALL))
    bank.add(style("wave", 2, layers=SMALL))
    return bank


def contents(bank: Bank) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in bank.paths()}


def copy_in(bank: Bank, file: str, name: str, seed: int = 3) -> Path:
    """A style file put into the folder by hand, under a name the bank would not give it."""
    path = bank.folder / file
    bank.folder.mkdir(exist_ok=True)
    path.write_bytes(writer.encode(style(name, seed, layers=SMALL)))
    return path


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[: len(data) // 2] = bytes(len(data) // 2)
    path.write_bytes(data)
