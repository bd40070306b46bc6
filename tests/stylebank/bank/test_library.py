from __future__ import annotations

import dataclasses
import errno
from pathlib import Path

import numpy as np
import pytest

from stylebank.bank import Bank, library
from stylebank.errors import StyleNotFound, StyleUnreadable, UsageError
from stylebank.names import file_name
from stylebank.storage import hdf5
from tests.stylebank.bank.conftest import SMALL, contents
from tests.styles import difference, style


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "bank")
    for seed, name in enumerate(("wave", "poppies")):
        bank.add(style(name, seed, layers=SMALL))
    return bank


# verify


def test_a_whole_bank_is_whole_and_untouched(bank: Bank) -> None:
    before = contents(bank)
    found = list(library.verify(bank))
    assert [(one.name, one.whole) for one in found] == [("poppies", True), ("wave", True)]
    assert found[1].content_sha256 == bank.header("wave").content_sha256
    assert contents(bank) == before


def test_damage_in_the_arrays_is_reported_by_style_and_the_others_are_whole(bank: Bank) -> None:
    path = bank.path("wave")
    root = bank.get("wave").scales[32]["conv1_1"].cov_sqrt.tobytes()
    path.write_bytes(path.read_bytes().replace(root, np.full(2, 7, "<f4").tobytes() + root[8:]))
    assert bank.headers()[1] == []  # a listing does not look at the arrays
    whole, damaged = library.verify(bank)
    assert whole.whole and whole.name == "poppies"
    assert (damaged.name, damaged.file, damaged.whole) == ("wave", path, False)
    assert "symmetric" in damaged.reason


def test_each_flipped_bit_of_the_numbers_is_found(bank: Bank) -> None:
    path = bank.path("wave")
    data = path.read_bytes()
    gaussian = bank.get("wave").scales[32]["conv1_1"]
    places = [data.index(getattr(gaussian, key).tobytes()) for key in ("mean", "cov", "cov_sqrt", "eigenvalues")]
    random = np.random.default_rng(0)
    for place in [start + int(offset) for start in places for offset in random.integers(0, 256, 10)]:
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(random.integers(8))
        path.write_bytes(bytes(flipped))
        (verdict,) = library.verify(bank, ["wave"])
        assert not verdict.whole, place


def test_files_that_are_no_styles_and_names_claimed_twice_are_damage(bank: Bank) -> None:
    (bank.folder / "text.stylebank.h5").write_text("hello")
    (bank.folder / "copy.stylebank.h5").write_bytes(bank.path("wave").read_bytes())
    reasons = {one.file.name: one.reason for one in library.verify(bank) if not one.whole}
    assert reasons.keys() == {"text.stylebank.h5", "copy.stylebank.h5"}
    assert "not a readable style file" in reasons["text.stylebank.h5"]
    assert reasons["copy.stylebank.h5"] == f"holds style 'wave', as {file_name('wave')} does."


def test_an_unknown_name_is_reported_before_anything_is_read(bank: Bank) -> None:
    with pytest.raises(StyleNotFound, match="Did you mean wave"):
        library.verify(bank, ["wave", "wavy"])


# tag


def test_tags_come_and_go_and_the_style_stays(bank: Bank) -> None:
    before = bank.get("wave")
    header = library.tag(bank, "wave", add=["night", "sea"], remove=["blå"])
    assert header.tags == ("sea", "night") and header.content_sha256 == before.header.content_sha256
    after = bank.get("wave")
    assert difference(dataclasses.replace(after, header=before.header), before) == ""


def test_a_tag_that_changes_nothing_writes_nothing(bank: Bank) -> None:
    inode = bank.path("wave").stat().st_ino
    library.tag(bank, "wave", add=["sea"])
    assert bank.path("wave").stat().st_ino == inode


@pytest.mark.parametrize(
    ("add", "remove", "reason"),
    [((), ("no",), "has no tag 'no' to remove"), (("a",), ("a",), "is in both"), (("",), (), "empty")],
)
def test_tags_that_make_no_sense_are_refused(bank: Bank, add: tuple[str], remove: tuple[str], reason: str) -> None:
    before = contents(bank)
    with pytest.raises(UsageError, match=reason):
        library.tag(bank, "wave", add=add, remove=remove)
    assert contents(bank) == before


def test_a_file_that_cannot_be_read_is_not_called_damaged(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = hdf5._Bytes
    path = bank.path("wave")

    def refuse(name: str) -> object:
        if name == str(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(name)

    monkeypatch.setattr(hdf5, "_Bytes", refuse)
    poppies, wave = library.verify(bank)
    assert poppies.whole and poppies.readable
    assert not wave.whole and not wave.readable and wave.reason.startswith("permission denied")
    headers, (error,) = bank.headers()
    assert [header.name for header in headers] == ["poppies"] and isinstance(error, StyleUnreadable)
    for act in (bank.get, bank.header, lambda name: bank.add(style(name, 3, layers=SMALL), replace=True)):
        with pytest.raises(StyleUnreadable, match=r"permission denied\. Ask its owner"):
            act("wave")
    with pytest.raises(StyleUnreadable, match="permission denied"):
        bank.add(style("wave", layers=SMALL))
