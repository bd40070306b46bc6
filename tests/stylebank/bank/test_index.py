from __future__ import annotations

import errno
import os
import unicodedata
from pathlib import Path

import pytest

from stylebank.bank import Bank
from stylebank.bank import bank as bank_module
from stylebank.errors import (
    StylebankError,
    StyleDamaged,
    StyleExists,
    StyleNotFound,
)
from stylebank.names import file_name
from stylebank.storage import reader
from tests.stylebank.bank.conftest import SMALL, contents, copy_in, damage
from tests.styles import difference, style

# what is there


def test_styles_are_listed_by_name_whatever_their_case(bank: Bank) -> None:
    for name in ("wave", "Poppies", "blå", "Zebra", "apple"):
        bank.add(style(name, layers=("pixels",)))
    assert bank.names() == ["apple", "blå", "Poppies", "wave", "Zebra"]


def test_two_encodings_of_a_name_are_one_style(bank: Bank) -> None:
    bank.add(style(unicodedata.normalize("NFD", "café"), layers=("pixels",)))
    assert bank.names() == ["café"]
    assert bank.get(unicodedata.normalize("NFD", "café")).name == "café"


def test_a_missing_bank_is_empty_and_reading_does_not_make_it(bank: Bank) -> None:
    assert bank.names() == [] and bank.headers() == ([], []) and bank.paths() == []
    assert "wave" not in bank
    with pytest.raises(StyleNotFound, match=r"which is empty\. Add a painting"):
        bank.get("wave")
    assert not bank.folder.exists()


def test_an_empty_bank_is_empty(tmp_path: Path) -> None:
    assert Bank(tmp_path).names() == []
    with pytest.raises(StyleNotFound):
        Bank(tmp_path).remove("wave")


def test_other_files_are_no_styles(two: Bank) -> None:
    for name in ("notes.txt", "wave.h5", ".hidden.stylebank.h5", ".stylebank-tmp-0123.h5"):
        (two.folder / name).write_bytes(b"x")
    (two.folder / "old").mkdir()
    assert two.names() == ["poppies", "wave"]
    assert two.headers()[1] == []


# names


@pytest.mark.parametrize(("typed", "near"), [("wav", "wave"), ("Wave", "wave"), ("popies", "poppies")])
def test_a_mistyped_name_is_answered_with_the_nearest(two: Bank, typed: str, near: str) -> None:
    for act in (two.get, two.header, two.path, two.remove, lambda name: two.rename(name, "other")):
        with pytest.raises(StyleNotFound, match=f"Did you mean {near}"):
            act(typed)


# files copied in by hand


@pytest.mark.parametrize("file", ["x.stylebank.h5", "My Wave (1).stylebank.h5", os.fsdecode(b"\xff\xe9.stylebank.h5")])
def test_a_file_copied_in_under_any_name_is_a_style(two: Bank, file: str) -> None:
    path = copy_in(two, file, "tide")
    assert two.names() == ["poppies", "tide", "wave"]
    assert two.path("tide") == path
    assert difference(two.get("tide"), reader.read(path)) == ""
    with pytest.raises(StyleExists):
        two.add(style("tide", layers=SMALL))
    two.rename("tide", "ebb")
    assert two.names() == ["ebb", "poppies", "wave"] and not path.exists()
    path = copy_in(two, file, "tide")
    digest = two.add(style("tide", 8, layers=SMALL), replace=True).content_sha256
    assert two.header("tide").content_sha256 == digest and len(two.paths()) == 4
    two.remove("tide")
    assert two.names() == ["ebb", "poppies", "wave"] and not path.exists()


def test_two_files_that_claim_one_name_are_both_named(two: Bank) -> None:
    copy_in(two, "one.stylebank.h5", "tide")
    copy_in(two, "two.stylebank.h5", "tide", seed=4)
    before = contents(two)
    for act in (two.get, two.remove, lambda name: two.add(style(name, layers=SMALL), replace=True)):
        with pytest.raises(StyleDamaged, match=r"one.stylebank.h5 and two.stylebank.h5 both hold style 'tide'"):
            act("tide")
    assert contents(two) == before
    listed, (error,) = two.headers()
    assert [header.name for header in listed] == ["poppies", "tide", "wave"]
    assert "two.stylebank.h5: holds style 'tide', as one.stylebank.h5 does. Remove one of them." in str(error)
    (two.folder / "one.stylebank.h5").unlink()
    assert two.get("tide").name == "tide" and two.headers()[1] == []


def test_of_two_files_the_banks_own_counts_and_the_other_is_named(two: Bank) -> None:
    own = contents(two)[file_name("wave")]
    copy_in(two, "a.stylebank.h5", "wave")
    assert two.path("wave").read_bytes() == own
    listed, (error,) = two.headers()
    assert [header.name for header in listed] == ["poppies", "wave"]
    assert f"a.stylebank.h5: holds style 'wave', as {file_name('wave')} does" in str(error)


# damage


def test_a_damaged_style_is_named_and_the_others_stay_usable(two: Bank) -> None:
    whole = two.get("poppies")
    damage(two.path("wave"))
    listed, (error,) = two.headers()
    assert [header.name for header in listed] == ["poppies"]
    assert str(two.folder / file_name("wave")) in str(error)
    assert difference(two.get("poppies"), whole) == ""
    with pytest.raises(StyleDamaged, match=r"wave-.*not a readable style file"):
        two.get("wave")
    two.add(style("tide", layers=SMALL))
    two.rename("tide", "ebb")
    two.remove("ebb")


def test_what_is_no_file_is_named_and_harms_nothing(two: Bank) -> None:
    os.mkfifo(two.folder / "pipe.stylebank.h5")
    (two.folder / "folder.stylebank.h5").mkdir()
    (two.folder / "dangling.stylebank.h5").symlink_to("nowhere")
    listed, errors = two.headers()
    assert [header.name for header in listed] == ["poppies", "wave"]
    assert len(errors) == 3
    assert all(str(error).startswith(str(two.folder)) for error in errors)


def test_a_style_removed_while_the_bank_is_listed_is_not_damage(two: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    read_header = reader.read_header

    def removed_first(path: Path) -> object:
        if "wave" in path.name:
            path.unlink()
        return read_header(path)

    monkeypatch.setattr(reader, "read_header", removed_first)
    listed, errors = two.headers()
    assert [header.name for header in listed] == ["poppies"] and errors == []


# folders and files that cannot be read


def test_a_folder_that_cannot_be_listed_is_not_taken_for_empty(two: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(bank_module.os, "scandir", refuse)
    with pytest.raises(StylebankError, match="permission denied"):
        two.names()


def test_files_that_cannot_be_opened_are_named_and_not_left_out(two: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    listed, errors = two.headers()
    assert listed == [] and ["permission denied" in str(error) for error in errors] == [True, True]
