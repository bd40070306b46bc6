from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import h5py
import pytest

from stylebank import files
from stylebank.bank import Bank, transfer
from stylebank.errors import ImportRefused, NameRefused, OutputRefused, StyleExists, StyleNotFound, UsageError
from stylebank.names import file_name
from stylebank.storage import reader, writer
from tests.stylebank.bank.conftest import SMALL, contents
from tests.styles import difference, style


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "bank")
    for seed, name in enumerate(("wave", "poppies")):
        bank.add(style(name, seed, layers=SMALL))
    return bank


@pytest.fixture
def shared(bank: Bank, tmp_path: Path) -> Path:
    """A style file from elsewhere, of a name the bank does not have."""
    other = Bank(tmp_path / "other")
    other.add(dataclasses.replace(style("tide", 3, layers=SMALL), swatch=b"\xff\xd8 texture"))
    (path,) = transfer.export(other, ["tide"], tmp_path / "tide.stylebank.h5")
    return path


# export


def test_an_exported_style_is_the_style(bank: Bank, tmp_path: Path) -> None:
    paths = transfer.export(bank, ["wave", "poppies"], tmp_path / "a" / "folder")
    for name, path in zip(("wave", "poppies"), paths, strict=True):
        assert difference(reader.read(path), bank.get(name)) == ""


def test_without_pictures_the_digest_stays(bank: Bank, tmp_path: Path) -> None:
    (path,) = transfer.export(bank, ["wave"], tmp_path / "x.stylebank.h5", no_thumbnail=True)
    got = reader.read(path)
    assert got.thumbnail == got.swatch == b""
    assert got.header.content_sha256 == bank.header("wave").content_sha256
    assert b"\xff\xd8 a small picture" not in path.read_bytes()


def test_an_export_overwrites_nothing_unasked(bank: Bank, tmp_path: Path) -> None:
    target = tmp_path / "x.stylebank.h5"
    transfer.export(bank, ["wave"], target)
    with pytest.raises(OutputRefused, match=r"already exists\..*--overwrite"):
        transfer.export(bank, ["poppies"], target)
    assert reader.read(target).name == "wave"
    transfer.export(bank, ["poppies"], target, overwrite=True)
    assert reader.read(target).name == "poppies"


@pytest.mark.parametrize(
    ("names", "output", "error", "reason"),
    [
        (["wave", "poppies"], "x.stylebank.h5", UsageError, "has one style, not 2"),
        (["wave"], "x.h5", UsageError, r"ends in \.stylebank\.h5"),
        (["wave"], "bank", UsageError, "is in the bank's own folder"),
        (["wave", "no"], "folder", StyleNotFound, "'no'"),
        (["../wave"], "folder", NameRefused, "start with '.'"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    bank: Bank, tmp_path: Path, names: list[str], output: str, error: type[Exception], reason: str
) -> None:
    before = contents(bank)
    with pytest.raises(error, match=reason):
        transfer.export(bank, names, tmp_path / output)
    assert contents(bank) == before and sorted(path.name for path in tmp_path.iterdir()) == ["bank"]


def test_two_styles_are_never_written_to_one_file(bank: Bank, tmp_path: Path) -> None:
    (bank.folder / "by hand.stylebank.h5").write_bytes(writer.encode(style("Wave", 7, layers=SMALL)))
    with pytest.raises(UsageError, match="differ only in case"):
        transfer.export(bank, ["wave", "Wave"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


# import


def test_an_imported_style_is_the_style_under_the_banks_own_file_name(bank: Bank, shared: Path) -> None:
    header = transfer.import_style(bank, shared)
    assert difference(bank.get("tide"), reader.read(shared)) == ""
    assert bank.path("tide").name == file_name("tide") and header.tags == ("sea", "blå")


def test_a_name_that_is_taken_needs_another_or_replace(bank: Bank, shared: Path) -> None:
    bank.rename("wave", "tide")
    own = bank.header("tide").content_sha256
    with pytest.raises(StyleExists, match="is already in the bank"):
        transfer.import_style(bank, shared)
    assert transfer.import_style(bank, shared, rename="tide two").name == "tide two"
    assert bank.header("tide").content_sha256 == own
    assert transfer.import_style(bank, shared, replace=True).content_sha256 != own
    with pytest.raises(NameRefused):
        transfer.import_style(bank, shared, rename="../tide")


def test_the_expected_digest_is_of_the_bytes_or_of_the_content(bank: Bank, shared: Path) -> None:
    of_bytes = hashlib.sha256(shared.read_bytes()).hexdigest()
    of_content = reader.read_header(shared).content_sha256
    before = contents(bank)
    with pytest.raises(ImportRefused, match=f"has sha256 {of_bytes}, content_sha256 {of_content}; expected 0000"):
        transfer.import_style(bank, shared, expect_sha256="0" * 64)
    with pytest.raises(UsageError, match="expected 64 hexadecimal digits"):
        transfer.import_style(bank, shared, expect_sha256="8c5a")
    assert contents(bank) == before
    for number, digest in enumerate((of_bytes, of_content.upper())):
        transfer.import_style(bank, shared, expect_sha256=digest, rename=f"tide {number}")


def test_pictures_can_be_left_out(bank: Bank, shared: Path) -> None:
    transfer.import_style(bank, shared, no_thumbnail=True)
    assert bank.get("tide").thumbnail == bank.get("tide").swatch == b""


def test_values_are_taken_and_not_the_file(bank: Bank, shared: Path) -> None:
    with h5py.File(shared, "a") as file:
        file.attrs["hidden"] = "something else"
    transfer.import_style(bank, shared)
    assert b"something else" not in bank.path("tide").read_bytes()


@pytest.mark.parametrize("kind", ["text", "cut", "link", "external", "flipped", "folder", "missing"])
def test_a_hostile_or_damaged_file_is_refused_and_nothing_of_it_kept(
    bank: Bank, shared: Path, tmp_path: Path, kind: str
) -> None:
    data = shared.read_bytes()
    if kind == "text":
        shared.write_text("hello")
    elif kind == "cut":
        shared.write_bytes(data[: len(data) // 2])
    elif kind == "flipped":
        root = reader.read(shared).scales[32]["conv1_1"].cov.tobytes()
        shared.write_bytes(data.replace(root, b"\0\0\0\x42" + root[4:]))
    elif kind in ("folder", "missing"):
        shared.unlink()
        if kind == "folder":
            shared.mkdir()
    else:
        with h5py.File(shared, "a") as file:
            mean = file["scales/32/conv1_1/mean"]
            name, place = mean.name, mean.parent
            del place["mean"]
            place["mean"] = h5py.SoftLink(name + "2") if kind == "link" else h5py.ExternalLink("/etc/passwd", "/")
    before = contents(bank)
    with pytest.raises(ImportRefused) as caught:
        transfer.import_style(bank, shared)
    assert str(caught.value).startswith(str(shared))
    assert contents(bank) == before
    left = [path for path in bank.folder.iterdir() if path.name.startswith(files.TEMPORARY_PREFIX)]
    assert left == []
