from __future__ import annotations

import dataclasses
import errno
import os
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stylebank.bank import Bank, default_folder
from stylebank.bank import bank as bank_module
from stylebank.errors import (
    BankBusy,
    NameRefused,
    OutputRefused,
    StylebankError,
    StyleDamaged,
    StyleExists,
    StyleNotFound,
    UsageError,
)
from stylebank.names import file_name
from stylebank.storage import reader as format
from tests.styles import difference, style

ROOT = Path(__file__).parents[3]
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
    path.write_bytes(format.encode(style(name, seed, layers=SMALL)))
    return path


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[: len(data) // 2] = bytes(len(data) // 2)
    path.write_bytes(data)


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
    with pytest.raises(StyleNotFound, match="'stylebank list' shows"):
        bank.get("wave")
    assert not bank.folder.exists()


def test_an_empty_bank_is_empty(tmp_path: Path) -> None:
    assert Bank(tmp_path).names() == []
    with pytest.raises(StyleNotFound):
        Bank(tmp_path).remove("wave")


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "bank").write_text("x")
    bank = Bank(tmp_path / "bank")
    for act in (bank.names, lambda: bank.get("wave"), lambda: bank.add(style())):
        with pytest.raises(StylebankError, match="A file stands where a folder is needed"):
            act()


def test_other_files_are_no_styles(two: Bank) -> None:
    for name in ("notes.txt", "wave.h5", ".hidden.stylebank.h5", ".stylebank-tmp-0123.h5"):
        (two.folder / name).write_bytes(b"x")
    (two.folder / "old").mkdir()
    assert two.names() == ["poppies", "wave"]
    assert two.headers()[1] == []


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


@pytest.mark.parametrize(("typed", "near"), [("wav", "wave"), ("Wave", "wave"), ("popies", "poppies")])
def test_a_mistyped_name_is_answered_with_the_nearest(two: Bank, typed: str, near: str) -> None:
    for act in (two.get, two.header, two.path, two.remove, lambda name: two.rename(name, "other")):
        with pytest.raises(StyleNotFound, match=f"Did you mean {near}"):
            act(typed)


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
        with pytest.raises(StyleExists, match="differs from 'wave', which is in the bank, only in case"):
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
    assert difference(two.get("wave"), format.read(two.path("wave"))) == ""
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
    with pytest.raises(StyleExists, match="'wave' is in the bank already"):
        two.rename("poppies", "wave")
    assert contents(two) == before


def test_a_rename_onto_another_style_that_differs_in_case_is_refused(two: Bank) -> None:
    copy_in(two, "copied.stylebank.h5", "Wave")
    before = contents(two)
    with pytest.raises(StyleExists, match="holds style 'wave'"):
        two.rename("Wave", "wave")
    assert contents(two) == before


def test_a_rename_onto_a_style_is_refused_with_advice_it_can_follow(two: Bank) -> None:
    with pytest.raises(StyleExists, match=r"'wave' is in the bank already\. Choose another name, or remove it"):
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


# files copied in by hand


@pytest.mark.parametrize("file", ["x.stylebank.h5", "My Wave (1).stylebank.h5", os.fsdecode(b"\xff\xe9.stylebank.h5")])
def test_a_file_copied_in_under_any_name_is_a_style(two: Bank, file: str) -> None:
    path = copy_in(two, file, "tide")
    assert two.names() == ["poppies", "tide", "wave"]
    assert two.path("tide") == path
    assert difference(two.get("tide"), format.read(path)) == ""
    with pytest.raises(StyleExists):
        two.add(style("tide", layers=SMALL))
    two.rename("tide", "ebb")
    assert two.names() == ["ebb", "poppies", "wave"] and not path.exists()
    path = copy_in(two, file, "tide")
    digest = two.add(style("tide", 8, layers=SMALL), replace=True).content_sha256
    assert two.header("tide").content_sha256 == digest and len(two.paths()) == 4
    two.remove("tide")
    assert two.names() == ["ebb", "poppies", "wave"] and not path.exists()


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


def test_a_damaged_style_can_be_replaced_or_removed_by_its_name(two: Bank) -> None:
    damage(two.path("wave"))
    with pytest.raises(StyleExists, match="--replace"):
        two.add(style("wave", 5, layers=SMALL))
    two.add(style("wave", 5, layers=SMALL), replace=True)
    assert two.headers()[1] == []
    damage(two.path("wave"))
    two.remove("wave")
    assert [path.name for path in two.paths()] == [file_name("poppies")]


def test_what_is_no_file_is_named_and_harms_nothing(two: Bank) -> None:
    os.mkfifo(two.folder / "pipe.stylebank.h5")
    (two.folder / "folder.stylebank.h5").mkdir()
    (two.folder / "dangling.stylebank.h5").symlink_to("nowhere")
    listed, errors = two.headers()
    assert [header.name for header in listed] == ["poppies", "wave"]
    assert len(errors) == 3
    assert all(str(error).startswith(str(two.folder)) for error in errors)


def test_a_style_removed_while_the_bank_is_listed_is_not_damage(two: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    read_header = format.read_header

    def removed_first(path: Path) -> object:
        if "wave" in path.name:
            path.unlink()
        return read_header(path)

    monkeypatch.setattr(format, "read_header", removed_first)
    listed, errors = two.headers()
    assert [header.name for header in listed] == ["poppies"] and errors == []


# other processes


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


HOLD = """
import sys, time
from stylebank.bank import Bank
with Bank(sys.argv[1])._writing():
    print("held", flush=True)
    time.sleep(60)
"""
ADD = """
import sys
from tests.styles import style
from stylebank.bank import Bank
for index in range(int(sys.argv[3])):
    Bank(sys.argv[1]).add(style(f"{sys.argv[2]} {index}", index, layers=("pixels", "conv1_1")))
"""


@pytest.fixture
def holder(two: Bank) -> Iterator[subprocess.Popen[str]]:
    """Another process that is writing to the bank, and goes on."""
    process = python(HOLD, two.folder)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_writer_waits_so_long_and_says_so(two: Bank, holder: subprocess.Popen[str]) -> None:
    before = contents(two)
    impatient = Bank(two.folder, lock_timeout=0.2)
    for act in (
        lambda: impatient.add(style("tide", layers=SMALL)),
        lambda: impatient.remove("wave"),
        lambda: impatient.rename("wave", "tide"),
    ):
        with pytest.raises(BankBusy, match=r"another process has been writing for 0\.2 seconds\. Wait"):
            act()
    assert contents(two) == before
    assert two.names() == ["poppies", "wave"] and two.get("wave").name == "wave"


def test_a_killed_writer_blocks_nobody(two: Bank, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    started = time.monotonic()
    Bank(two.folder, lock_timeout=5).add(style("tide", layers=SMALL))
    assert time.monotonic() - started < 3
    assert two.names() == ["poppies", "tide", "wave"]


def test_four_writers_at_once_lose_nothing(bank: Bank) -> None:
    writers = [python(ADD, bank.folder, f"painter {number}", 6) for number in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    for writer in writers:
        writer.communicate()
    listed, errors = bank.headers()
    assert errors == []
    assert {header.name for header in listed} == {f"painter {n} {k}" for n in range(4) for k in range(6)}
    for header in listed:
        sent = style(header.name, int(header.name[-1]), layers=SMALL)
        assert difference(bank.get(header.name), dataclasses.replace(sent, header=header)) == ""


# folders that cannot be written


@pytest.fixture
def read_only(two: Bank, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Bank:
    """Permissions say nothing to root, so the system calls themselves are made to refuse."""
    reason: int = request.param

    def refusing(call: Callable[..., object]) -> Callable[..., object]:
        def refuse(path: object, *arguments: object, **options: object) -> object:
            writing = call is not real_open or (bool(arguments) and int(arguments[0]) & (os.O_WRONLY | os.O_RDWR))  # type: ignore[call-overload]
            if writing and str(path).startswith(str(two.folder)):
                raise OSError(reason, os.strerror(reason), str(path))
            return call(path, *arguments, **options)

        return refuse

    real_open = os.open
    for name in ("open", "unlink", "remove", "rename", "replace"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    return two


@pytest.mark.parametrize("read_only", [errno.EROFS, errno.EACCES], indirect=True)
def test_a_folder_that_may_only_be_read_can_be_read(read_only: Bank) -> None:
    before = contents(read_only)
    assert read_only.names() == ["poppies", "wave"]
    assert read_only.get("wave").name == "wave"
    for act in (
        lambda: read_only.add(style("tide", layers=SMALL)),
        lambda: read_only.add(style("wave", layers=SMALL), replace=True),
        lambda: read_only.remove("wave"),
        lambda: read_only.rename("wave", "tide"),
    ):
        with pytest.raises(OutputRefused, match=r"(read-only|Permission denied); choose a") as caught:
            act()
        assert str(caught.value).startswith(str(read_only.folder))
    assert contents(read_only) == before


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(OutputRefused, match=r"^/proc/no/bank: .*\."):
        Bank("/proc/no/bank").add(style(layers=SMALL))


def test_a_folder_that_cannot_be_listed_is_not_taken_for_empty(two: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(bank_module.os, "scandir", refuse)
    with pytest.raises(StylebankError, match="Permission denied"):
        two.names()


def test_files_that_cannot_be_opened_are_named_and_not_left_out(two: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    listed, errors = two.headers()
    assert listed == [] and ["Permission denied" in str(error) for error in errors] == [True, True]
