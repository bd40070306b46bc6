"""What was removed or replaced comes back, until it is too old or too many."""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from pathlib import Path

import h5py
import pytest

from stylebank.bank import Bank, transfer, trash
from stylebank.errors import OutputRefused, StyleDamaged, StyleExists, StyleNotFound, StyleUnreadable
from stylebank.names import file_name
from stylebank.storage import hdf5, writer
from stylebank.style import Style
from tests.stylebank.bank.conftest import SMALL, contents, damage
from tests.styles import difference, style


def names(bank: Bank) -> list[str]:
    """The names of the versions in the trash; none for one without a header."""
    return [version.name or "" for version in bank.trash()]


def test_a_removed_style_comes_back_bit_for_bit(two: Bank) -> None:
    before = contents(two)
    two.remove("wave", "poppies")
    assert two.names() == [] and sorted(names(two)) == ["poppies", "wave"]
    (header,) = two.restore("wave")
    assert header == two.header("wave") and names(two) == ["poppies"]
    two.restore("poppies")
    assert contents(two) == before and two.trash() == []


@pytest.mark.parametrize("links", [True, False])
def test_a_replaced_style_comes_back_and_the_other_is_kept(
    two: Bank, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:

        def refuse(*_: object) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "link", refuse)
    old = two.get("wave")
    new = two.add(style("wave", 9, layers=SMALL), replace=True)
    assert [version.header for version in two.trash()] == [old.header]
    with pytest.raises(StyleExists, match="--replace"):
        two.restore("wave")
    assert two.header("wave") == new
    assert two.restore("wave", replace=True) == [old.header]
    assert difference(two.get("wave"), old) == ""
    assert [version.header for version in two.trash()] == [new]
    assert two.restore("wave", replace=True) == [new]


def test_an_import_that_replaces_keeps_the_old_one(two: Bank, tmp_path: Path) -> None:
    old = two.header("wave")
    path = tmp_path / "gift.stylebank.h5"
    path.write_bytes(writer.encode(style("wave", 5, layers=SMALL)))
    transfer.import_style(two, path, replace=True)
    assert two.restore("wave", replace=True) == [old]


def test_the_newest_version_comes_back_first(two: Bank) -> None:
    headers = [two.header("wave")]
    for seed in (5, 6):
        headers.append(two.add(style("wave", seed, layers=SMALL), replace=True))
    two.remove("wave")
    assert [version.header for version in two.trash()] == headers[::-1]
    for header in headers[::-1]:
        assert two.restore("wave") == [header]
        two.path("wave").unlink()


def test_a_style_that_was_not_written_leaves_nothing_in_the_trash(two: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(two)

    def refuse(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OutputRefused):
        two.add(style("wave", 9, layers=SMALL), replace=True)
    assert contents(two) == before and two.trash() == []


def test_what_is_not_in_the_trash_is_answered_with_the_nearest(two: Bank) -> None:
    two.remove("wave")
    with pytest.raises(StyleNotFound, match=r"'wav' is not in the trash of the bank .*Did you mean wave\?"):
        two.restore("wav")
    with pytest.raises(StyleNotFound, match="'stylebank restore --list'"):
        two.restore("tide")
    missing = Bank(two.folder.parent / "other")
    assert missing.trash() == []
    with pytest.raises(StyleNotFound):
        missing.restore("wave")
    assert not missing.folder.exists()


def test_only_the_last_versions_of_a_style_are_kept(two: Bank) -> None:
    for seed in range(6):
        two.add(style("wave", seed, layers=SMALL), replace=True)
    two.remove("poppies")
    assert sorted(names(two)) == ["poppies", *["wave"] * trash.MAX_VERSIONS]


def test_no_number_of_removed_styles_deletes_one_of_them(bank: Bank) -> None:
    bank.folder.mkdir()
    many = [f"s{number}" for number in range(120)]
    for name in many:
        (bank.folder / file_name(name)).write_bytes(writer.encode(style(name, layers=("pixels",), thumbnail=b"")))
    bank.remove(*many)
    assert bank.names() == []
    for name in (many[-1], many[0]):
        assert [header.name for header in bank.restore(name)] == [name]
    bank.add(style("next", layers=("pixels",)))
    assert sorted(names(bank)) == sorted(many[1:-1])


def test_a_full_trash_deletes_the_oldest_after_a_day(two: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    two.add(style("tide", layers=SMALL))
    for name in ("poppies", "wave", "tide"):
        two.remove(name)
    sizes = [version.path.stat().st_size for version in two.trash()]
    monkeypatch.setattr(trash, "MAX_BYTES", sum(sizes[:2]))
    two.add(style("next", layers=SMALL))
    assert names(two) == ["tide", "wave", "poppies"]
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 2 * 86_400 * 10**9)
    two.restore("poppies")  # deletes nothing
    assert names(two) == ["tide", "wave"]
    two.add(style("next", 2, layers=SMALL), replace=True)
    assert names(two) == ["next", "tide"]


def test_versions_older_than_a_month_are_deleted(two: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    two.remove("wave")
    now = time.time_ns()
    for days, kept in ((29, ["wave"]), (31, [])):
        monkeypatch.setattr(time, "time_ns", lambda days=days: now + days * 86_400 * 10**9)
        two.add(style("next", layers=SMALL), replace="next" in two)
        assert [name for name in names(two) if name == "wave"] == kept


def test_a_style_removed_for_ever_is_nowhere(two: Bank) -> None:
    two.add(style("wave", 9, layers=SMALL), replace=True)
    two.remove("poppies")
    two.remove("wave", "poppies", forever=True)  # one of them is in the trash alone
    assert two.names() == [] and two.trash() == []
    assert list((two.folder / trash.TRASH_FOLDER).iterdir()) == []
    with pytest.raises(StyleNotFound):
        two.remove("wave", forever=True)


def test_damaged_and_other_files_in_the_trash_harm_nothing(two: Bank) -> None:
    damage(two.path("wave"))
    two.remove("wave")
    folder = two.folder / trash.TRASH_FOLDER
    (folder / "notes.txt").write_text("mine")
    (folder / f"{10**19}-x.stylebank.h5").mkdir()
    assert names(two) == ["", ""] and two.headers()[1] == []
    two.add(style("next", layers=SMALL))
    assert (folder / "notes.txt").exists()
    with pytest.raises(StyleDamaged):
        two.restore("wave")
    two.remove("wave", forever=True)
    assert len(names(two)) == 1


def spoil(path: Path) -> None:
    """Change the last byte of the first array, which leaves the header whole."""
    with h5py.File(path, "r") as file:
        arrays: list[h5py.Dataset] = []
        file.visititems(lambda _name, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
        array = next(array for array in arrays if array.dtype.kind == "f" and array.ndim and array.chunks is None)
        offset = array.id.get_offset() + array.id.get_storage_size() - 1
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_the_next_older_version_comes_back_for_a_damaged_one(two: Bank, caplog: pytest.LogCaptureFixture) -> None:
    old = two.header("wave")
    two.add(style("wave", 9, layers=SMALL), replace=True)
    two.remove("wave")
    newest, older = two.trash()
    spoil(newest.path)
    assert two.trash()[0].header == newest.header
    assert two.restore("wave") == [old]
    (warning,) = caplog.messages
    assert newest.path.name in warning and f"removed {older.removed:%Y-%m-%d %H:%M:%S} UTC" in warning
    assert [version.path for version in two.trash()] == [newest.path]
    two.remove("wave")
    spoil(two.trash()[0].path)
    with pytest.raises(StyleDamaged):
        two.restore("wave")


def test_a_version_that_cannot_be_read_is_not_passed_over(two: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    two.add(style("wave", 9, layers=SMALL), replace=True)
    two.remove("wave")
    newest = two.trash()[0].path
    opened = hdf5._open_bytes

    def refuse(path: Path) -> hdf5._Bytes:  # permissions say nothing to root
        if path == newest:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path)

    monkeypatch.setattr(hdf5, "_open_bytes", refuse)
    assert names(two) == ["", "wave"] and "permission denied" in two.trash()[0].reason
    with pytest.raises(StyleUnreadable):
        two.restore("wave")


def test_all_styles_come_back_or_none(two: Bank) -> None:
    wave, poppies = two.header("wave"), two.header("poppies")
    two.remove("wave", "poppies")
    two.add(style("tide", layers=SMALL))
    two.add(style("tide", 2, layers=SMALL), replace=True)
    for others, error in ((["nothing"], StyleNotFound), (["tide"], StyleExists)):
        with pytest.raises(error):
            two.restore("wave", *others)
        assert two.names() == ["tide"]
    spoil(next(version.path for version in two.trash() if version.name == "poppies"))
    with pytest.raises(StyleDamaged):
        two.restore("wave", "poppies")
    assert two.names() == ["tide"]
    spoil(next(version.path for version in two.trash() if version.name == "poppies"))  # the same bit again
    assert two.restore("wave", "poppies", "wave") == [wave, poppies]


def test_styles_that_differ_in_case_do_not_come_back_together(bank: Bank) -> None:
    for name in ("wave", "Wave"):
        bank.add(style(name, layers=SMALL))
        bank.remove(name)
    with pytest.raises(StyleExists, match="differs only in case"):
        bank.restore("wave", "Wave")
    assert bank.names() == []
    assert bank.restore("Wave")[0].name == "Wave"


def test_the_trash_of_a_groups_bank_is_the_groups(bank: Bank) -> None:
    bank.folder.mkdir()
    bank.folder.chmod(0o2770)
    bank.add(style(layers=SMALL))
    bank.remove("wave")
    assert (bank.folder / trash.TRASH_FOLDER).stat().st_mode & 0o7777 == 0o2770


def test_a_full_disk_says_how_to_remove_without_the_trash(two: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    mkdir = Path.mkdir

    def refuse(path: Path, *arguments: object, **options: object) -> None:
        if path.name == trash.TRASH_FOLDER:
            raise OSError(28, "No space left on device")
        mkdir(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputRefused, match=r"The disk is full; .* Or remove it with --forever\."):
        two.remove("wave")
    two.remove("wave", forever=True)
    assert two.names() == ["poppies"]


@pytest.mark.parametrize("keep", [False, True])
def test_an_update_keeps_the_style_as_it_was_on_request(tmp_path: Path, keep: bool) -> None:
    bank = Bank(tmp_path / "bank")
    bank.add(style("wave", tags=("sea",)))

    def change(current: Style) -> Style:
        return dataclasses.replace(current, header=dataclasses.replace(current.header, tags=("calm",)))

    bank.update("wave", change, keep=keep)
    assert [version.header.tags for version in bank.trash() if version.header] == ([("sea",)] if keep else [])
    bank.update("wave", lambda current: current, keep=True)
    assert len(bank.trash()) == keep and bank.header("wave").tags == ("calm",)
