from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path

import pytest

from stylebank.bank import Bank, default_folder
from stylebank.errors import (
    NameRefused,
    StylebankError,
    StyleExists,
    StyleNotFound,
    UsageError,
)
from stylebank.names import file_name
from stylebank.storage import reader
from tests.stylebank.bank.conftest import SMALL, contents, copy_in, damage
from tests.styles import difference, style

# what is there


def test_what_goes_in_comes_out_bit_for_bit(bank: Bank) -> None:
    sent = style("Great Wave")
    header = bank.add(sent)
    got = bank.get("Great Wave")
    digested = dataclasses.replace(sent, header=dataclasses.replace(sent.header, content_sha256=header.content_sha256))
    assert difference(got, digested) == ""
    assert bank.header("Great Wave") == header == got.header
    assert "Great Wave" in bank and "wave" not in bank
    assert bank.path("Great Wave") == bank.folder / file_name("Great Wave")


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "bank").write_text("x")
    bank = Bank(tmp_path / "bank")
    for act in (bank.names, lambda: bank.get("wave"), lambda: bank.add(style())):
        with pytest.raises(StylebankError, match="A file stands where a folder is needed"):
            act()


def test_the_folder_is_the_one_given_or_the_environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STYLEBANK_BANK", str(tmp_path / "mine"))
    assert default_folder() == Bank().folder == tmp_path / "mine"
    assert Bank(str(tmp_path)).folder == tmp_path
    monkeypatch.delenv("STYLEBANK_BANK")
    assert "stylebank" in str(default_folder()) and default_folder().is_absolute()


def test_one_scale_is_loaded_alone(bank: Bank) -> None:
    bank.add(style(layers=SMALL, sizes={32: (32, 20), 64: (64, 40)}))
    assert list(bank.get("wave", scales=[64]).scales) == [64]
    with pytest.raises(UsageError, match=r"Choose among 32, 64\."):
        bank.get("wave", scales=[128])


def test_a_style_loaded_in_part_is_not_added_as_if_whole(bank: Bank, tmp_path: Path) -> None:
    bank.add(style(layers=SMALL, sizes={32: (32, 20), 64: (64, 40)}))
    other = Bank(tmp_path / "other")
    with pytest.raises(UsageError, match="scale 32 is missing"):
        other.add(bank.get("wave", scales=[64]))
    assert other.names() == []


# names


@pytest.mark.parametrize("name", ["../wave", "/wave", "a/b", ".wave", "-rf", "wa\0ve", "", "x" * 101])
def test_a_bad_name_touches_nothing(two: Bank, name: str) -> None:
    before = contents(two)
    for act in (
        lambda: two.add(style(name, layers=SMALL)),
        lambda: two.rename("wave", name),
        lambda: two.get(name),
        lambda: two.remove(name),
    ):
        with pytest.raises(NameRefused):
            act()
    assert contents(two) == before
    assert sorted(path.name for path in two.folder.parent.iterdir()) == ["bank"]


def test_a_name_that_differs_in_case_alone_is_refused(two: Bank) -> None:
    before = contents(two)
    for replace in (False, True):
        with pytest.raises(StyleExists, match="differs only in case from 'wave', which is in the bank"):
            two.add(style("WAVE", layers=SMALL), replace=replace)
    with pytest.raises(StyleExists, match="only in case"):
        two.rename("poppies", "Wave")
    assert contents(two) == before


# changes


def test_a_name_that_is_taken_needs_replace(two: Bank) -> None:
    before = contents(two)
    with pytest.raises(StyleExists, match="add --replace"):
        two.add(style("wave", 9, layers=SMALL))
    assert contents(two) == before
    header = two.add(style("wave", 9, layers=SMALL), replace=True)
    assert two.names() == ["poppies", "wave"]
    assert two.header("wave") == header
    assert difference(two.get("wave"), reader.read(two.path("wave"))) == ""
    after = contents(two)
    assert [name for name in before if before[name] != after[name]] == [file_name("wave")]


def test_replace_may_also_add(bank: Bank) -> None:
    assert bank.add(style(layers=SMALL), replace=True).name == "wave"


def test_a_removed_style_is_gone_and_the_others_stay(two: Bank) -> None:
    before = contents(two)
    two.remove("wave")
    assert two.names() == ["poppies"]
    assert contents(two) == {name: data for name, data in before.items() if "poppies" in name}
    two.add(style("wave", layers=SMALL))


def test_nothing_is_removed_unless_every_name_is_there(two: Bank) -> None:
    before = contents(two)
    with pytest.raises(StyleNotFound, match="'tide'"):
        two.remove("wave", "tide")
    assert contents(two) == before
    two.remove("wave", "poppies", "wave")
    assert two.names() == []


def test_a_renamed_style_is_the_same_style(two: Bank) -> None:
    old = two.get("wave")
    header = two.rename("wave", "tide")
    assert two.names() == ["poppies", "tide"]
    assert header.content_sha256 == old.header.content_sha256
    renamed = two.get("tide")
    assert difference(dataclasses.replace(renamed, header=old.header), old) == ""
    assert dataclasses.replace(header, name="wave") == old.header
    assert two.path("tide") == two.folder / file_name("tide")


@pytest.mark.parametrize("new", ["Wave", "WAVE", "wave"])
def test_a_style_can_be_renamed_in_case_alone_or_not_at_all(two: Bank, new: str) -> None:
    digest = two.header("wave").content_sha256
    assert two.rename("wave", new).content_sha256 == digest
    assert two.names() == ["poppies", new]
    assert len(two.paths()) == 2


def test_a_rename_onto_another_style_is_refused(two: Bank) -> None:
    before = contents(two)
    with pytest.raises(StyleExists, match="'wave' is already in the bank"):
        two.rename("poppies", "wave")
    assert contents(two) == before


def test_a_rename_onto_another_style_that_differs_in_case_is_refused(two: Bank) -> None:
    copy_in(two, "copied.stylebank.h5", "Wave")
    before = contents(two)
    with pytest.raises(StyleExists, match="holds style 'wave'"):
        two.rename("Wave", "wave")
    assert contents(two) == before


def test_a_rename_onto_a_style_is_refused_with_advice_it_can_follow(two: Bank) -> None:
    with pytest.raises(StyleExists, match=r"'wave' is already in the bank\. Choose another name, or remove it"):
        two.rename("poppies", "wave")


def test_a_damaged_file_is_not_overwritten_by_a_rename(two: Bank) -> None:
    damage(two.path("wave"))
    before = contents(two)
    with pytest.raises(StyleExists, match="is damaged"):
        two.rename("poppies", "wave")
    assert contents(two) == before


def test_what_a_killed_writer_left_is_cleared_by_the_next(two: Bank) -> None:
    for name in (".stylebank-tmp-0123.h5", ".stylebank-tmp-4567.h5"):
        (two.folder / name).write_bytes(b"half of a style")
    assert two.names() == ["poppies", "wave"]
    two.add(style("tide", layers=SMALL))
    assert [path.name for path in two.folder.iterdir() if path.name.startswith(".stylebank")] == []


def test_a_file_under_another_styles_file_name_is_not_lost(two: Bank) -> None:
    copy_in(two, file_name("tide"), "ebb")
    before = contents(two)
    for replace in (False, True):
        with pytest.raises(StyleExists, match=r"holds style 'ebb'\. Rename or remove that one first"):
            two.add(style("tide", layers=SMALL), replace=replace)
    with pytest.raises(StyleExists, match="holds style 'ebb'"):
        two.rename("wave", "tide")
    assert contents(two) == before
    two.rename("ebb", "ebb two")
    two.add(style("tide", layers=SMALL))
    assert two.names() == ["ebb two", "poppies", "tide", "wave"]


def test_a_damaged_style_can_be_replaced_or_removed_by_its_name(two: Bank) -> None:
    damage(two.path("wave"))
    with pytest.raises(StyleExists, match="--replace"):
        two.add(style("wave", 5, layers=SMALL))
    two.add(style("wave", 5, layers=SMALL), replace=True)
    assert two.headers()[1] == []
    damage(two.path("wave"))
    two.remove("wave")
    assert [path.name for path in two.paths()] == [file_name("poppies")]


@pytest.mark.parametrize(
    ("folder", "umask", "file"),
    [
        (0o2775, 0o022, 0o664),
        (0o2770, 0o077, 0o660),
        (0o2755, 0o022, 0o644),  # the group may not write to the folder
        (0o700, 0o077, 0o600),
    ],
)
def test_style_files_follow_the_folders_rights_of_the_group(bank: Bank, folder: int, umask: int, file: int) -> None:
    bank.folder.mkdir()
    bank.folder.chmod(folder)
    before = os.umask(umask)
    try:
        bank.add(style(layers=SMALL))
        bank.rename("wave", "tide")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in bank.folder.iterdir()}
    assert modes == {file_name("tide"): file, ".lock": file}


def test_a_rename_that_cannot_change_the_file_name_has_renamed_the_style(
    two: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "rename", refuse)
    assert two.rename("wave", "tide").name == "tide"
    assert two.names() == ["poppies", "tide"] and two.get("tide").name == "tide"
    with pytest.raises(StyleNotFound):
        two.get("wave")
    monkeypatch.setattr(Path, "rename", rename)
    two.add(style("ebb", layers=SMALL))  # the next writer
    names = {*map(file_name, ("poppies", "tide", "ebb"))}
    assert {path.name for path in two.folder.iterdir()} == {*names, ".lock"}
