"""Files written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from stylebank import files
from stylebank.errors import OutputRefused


def test_a_file_is_replaced_with_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    for text in ("first", "second"):
        files.replace_file(target, lambda path, text=text: path.write_text(text) and None)
        assert target.read_text() == text
        assert list(tmp_path.iterdir()) == [target]


def test_the_check_sees_what_was_written_before_it_counts(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")

    def check(path: Path) -> None:
        assert (path.read_text(), target.read_text(), path.suffix) == ("new", "old", ".txt")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.replace_file(target, lambda path: path.write_text("new") and None, check)
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/out.txt", "No such file or folder"),
        ("file/out.txt", "A file stands where a folder is needed"),
        ("folder", "A folder stands where a file is needed"),
        ("x" * 300, "The file name is too long"),
    ],
)
def test_a_target_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputRefused, match=reason) as caught:
        files.replace_file(tmp_path / name, lambda path: path.write_text("x") and None)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_is_made_with_its_parents_or_the_reason_given(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a/b/c")
    files.make_folder(tmp_path / "a/b/c")
    assert (tmp_path / "a/b/c").is_dir()
    (tmp_path / "file").write_text("x")
    for below in ("file", "file/b"):
        with pytest.raises(OutputRefused, match="A file stands where a folder is needed"):
            files.make_folder(tmp_path / below)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full; free some space"),
        (OSError("Unable to write (file write failed: errno = 28, error message = 'No space')"), "The disk is full"),
        (OSError("Unable to write (file write failed: errno = 27, error message = 'x')"), "too large for this system"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error. Check the path and the disk."),
    ],
)
def test_a_systems_error_becomes_a_reason_and_what_to_do(error: OSError, advice: str) -> None:
    assert advice in files.describe_os_error(error)
    assert files.describe_os_error(error).endswith(".")


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert files.digest_file(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class FoldersFail:
    """`os.fsync` of a file system that answers a folder's with an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, *, files_too: bool = False) -> None:
        self.number, self.files_too, self.fsync = number, files_too, os.fsync
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, descriptor: int) -> None:
        if self.files_too or stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(self.number, os.strerror(self.number))
        self.fsync(descriptor)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP])
@pytest.mark.parametrize("files_too", [False, True])
def test_a_file_system_without_fsync_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int, files_too: bool
) -> None:
    FoldersFail(monkeypatch, number, files_too=files_too)
    files.replace_file(tmp_path / "out.txt", lambda path: path.write_text("new") and None)
    assert (tmp_path / "out.txt").read_text() == "new" and caplog.records == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_renamed_file_counts_as_written_whatever_the_folder_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    FoldersFail(monkeypatch, number)
    files.replace_file(tmp_path / "out.txt", lambda path: path.write_text("new") and None)
    assert (tmp_path / "out.txt").read_text() == "new"
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: written, but the disk did not confirm it ({os.strerror(number)}). Check the disk."
    ]


def test_a_file_that_the_disk_does_not_take_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out.txt").write_text("old")
    FoldersFail(monkeypatch, errno.EIO, files_too=True)
    with pytest.raises(OutputRefused, match="Input/output error"):
        files.replace_file(tmp_path / "out.txt", lambda path: path.write_text("new") and None)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_several_runs_hold_a_folder_and_the_first_alone_tidies(tmp_path: Path) -> None:
    tidied: list[int] = []
    with files.shared_lock(tmp_path, lambda: tidied.append(1)), files.shared_lock(tmp_path, lambda: tidied.append(2)):
        pass
    with files.shared_lock(tmp_path, lambda: tidied.append(3)):
        pass
    assert tidied == [1, 3]
