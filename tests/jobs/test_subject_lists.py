"""Lists of subjects."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pipeline.jobs import subjects
from pipeline.jobs.subject_lists import ListedPath, read_list
from stylebank.errors import UsageError

#: Names that files can have.
NAMES = ["a.jpg", " b .jpg", "#1.jpg", "c[1].jpg", "*.jpg", "'q'.jpg", "~x.jpg", "ä.jpg", "x\\n.jpg", "-o.jpg"]


@pytest.mark.parametrize("null", [False, True])
def test_a_list_of_find_is_read_as_it_is(tmp_path: Path, null: bool) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    names = [*NAMES, "two\nlines.jpg"] if null else NAMES
    for name in [*names, b"\xff.jpg".decode("utf-8", "surrogateescape")]:
        (folder / name).touch()
    listed = subprocess.run(["find", folder, "-type", "f", "-print0" if null else "-print"], capture_output=True)
    file = tmp_path / "list"
    file.write_bytes(listed.stdout)
    paths = read_list(file, null=null)
    assert sorted(paths) == sorted(map(str, folder.iterdir())) and len(paths) == len(names) + 1


def test_lines_of_windows_and_empty_lines(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_bytes(b"\xef\xbb\xbfa.jpg\r\n\r\n\n  \nb.jpg\r\nc.jpg")
    assert read_list(file) == ["a.jpg", "b.jpg", "c.jpg"]
    assert read_list(file, folder=Path("/f")) == ["/f/a.jpg", "/f/b.jpg", "/f/c.jpg"]
    assert all(isinstance(path, ListedPath) for path in read_list(file, folder=tmp_path))


@pytest.mark.parametrize("content", [b"a.jpg\0b.jpg\0", "a.jpg\n".encode("utf-16")])
def test_nul_bytes_are_named_with_their_remedies(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "list"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"list: NUL bytes in the list of subjects. Give --null .* UTF-8"):
        read_list(file)


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nosuch: No such file or folder"):
        read_list(tmp_path / "nosuch")


def test_a_listed_path_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").touch()
    finished = type(
        "Nothing", (), {"in_this_style": lambda self, path: False, "__contains__": lambda self, path: False}
    )
    search = subjects.SubjectSearch(False, finished())
    search.add(ListedPath("*.jpg"))  # a file that is gone since the list was written
    assert [subject.path for subject in search.subjects] == [Path("*.jpg")]
