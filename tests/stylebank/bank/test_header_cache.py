"""A list of a large bank opens only the files that changed, and believes no cache that cannot be true."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from stylebank.bank import Bank, header_cache, library
from stylebank.bank.header_cache import cache_file
from stylebank.errors import StyleNotFound
from stylebank.names import file_name
from stylebank.storage import reader, writer
from tests.stylebank.bank.conftest import damage
from tests.styles import style

COUNT = 2000


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of 60 small files, older than the shortest time in which two changes may look like one."""
    folder = tmp_path_factory.mktemp("template")
    content = style(layers=("pixels",), thumbnail=b"")
    for index in range(60):
        named = dataclasses.replace(content, header=dataclasses.replace(content.header, name=f"style {index}"))
        (folder / file_name(named.name)).write_bytes(writer.encode(named))
    return folder


@pytest.fixture
def bank(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bank:
    monkeypatch.setattr(header_cache, "_SETTLED", -60.0)  # the files were written just now
    return Bank(shutil.copytree(template, tmp_path / "bank"))


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, without those of other tests."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: folder / name)
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened."""
    names: list[str] = []
    read_header = reader.read_header

    def counted(path: Path) -> Any:
        names.append(path.name)
        return read_header(path)

    monkeypatch.setattr(reader, "read_header", counted)
    return names


def test_a_list_of_two_thousand_styles_opens_each_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    monkeypatch.setattr(header_cache, "_SETTLED", -60.0)
    content = style(layers=("pixels",), thumbnail=b"")
    data = writer.encode(content)
    bank = Bank(tmp_path / "bank")
    bank.folder.mkdir()
    for index in range(COUNT):
        (bank.folder / file_name(f"style {index}")).write_bytes(data)

    def renamed(path: Path) -> Any:  # every file holds one style, to be quick; each gets its file's name here
        opened.append(path.name)
        return dataclasses.replace(header, name=names[path.name])

    names = {file_name(f"style {index}"): f"style {index}" for index in range(COUNT)}
    header = reader.read_header(bank.folder / file_name("style 0"))
    opened.clear()
    monkeypatch.setattr(reader, "read_header", renamed)
    assert len(bank.names()) == COUNT and len(opened) == COUNT
    opened.clear()
    for again in (bank, Bank(bank.folder)):
        assert again.names() == sorted(names.values())
        with pytest.raises(StyleNotFound, match=r"Did you mean style 1999"):
            again.get("stile 1999")
        assert again.entries()[0][0][0] == dataclasses.replace(header, name="style 0")
    assert opened == []


def test_only_changed_files_are_opened_again(bank: Bank, opened: list[str]) -> None:
    bank.names()
    replaced, removed, added = (file_name(name) for name in ("style 1", "style 2", "new"))
    (bank.folder / replaced).write_bytes(writer.encode(style("style 1", layers=("pixels",), tags=("new",))))
    (bank.folder / removed).unlink()
    (bank.folder / added).write_bytes(writer.encode(style("new", layers=("pixels",))))
    opened.clear()
    headers, errors = Bank(bank.folder).headers()
    assert errors == [] and len(headers) == 60
    assert {header.name: header.tags for header in headers}["style 1"] == ("new",)
    assert sorted(opened) == sorted([replaced, added])
    opened.clear()
    assert Bank(bank.folder).headers() == (headers, []) and opened == []


def test_a_file_changed_within_one_tick_of_the_clock_is_read_again(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    monkeypatch.setattr(header_cache, "_SETTLED", 3.0)
    bank.names()
    opened.clear()
    assert len(Bank(bank.folder).names()) == len(opened) == 60  # all were written within the last seconds
    before = time.time
    monkeypatch.setattr(time, "time", lambda: before() + 10)
    Bank(bank.folder).names()
    opened.clear()
    assert len(Bank(bank.folder).names()) == 60 and opened == []


def test_damage_is_named_every_time_and_verify_trusts_no_cache(bank: Bank, opened: list[str]) -> None:
    bank.names()
    path = bank.path("style 3")
    damage(path)
    for _ in range(2):
        assert [error.path for error in Bank(bank.folder).headers()[1]] == [path]
    opened.clear()
    assert sum(not one.whole for one in library.verify(bank)) == 1
    assert len(set(opened)) == 60


def cache_of(bank: Bank) -> dict[str, Any]:
    bank.names()
    content: dict[str, Any] = json.loads(cache_file(bank.folder).read_bytes())
    return content


FINGERPRINT = {"weights_sha256": "", "layers": ["pixels"], "pooling": "avg", "padding": "reflect"}
HOSTILE: list[tuple[str, Any]] = [
    ("name", "\x1b[31mred"),
    ("name", "e\u0301"),  # not in NFC
    ("sizes", {"32": [32, -1]}),
    ("sizes", {"64": [32, 20]}),
    ("sizes", {}),
    ("tags", [1]),
    ("tags", ["x" * 5000]),
    ("tags", ["\ud800"]),
    ("recipe", "[" * 100_000),
    ("recipe", "[]"),
    ("fingerprint", FINGERPRINT | {"layers": ["conv9_9"]}),
    ("fingerprint", FINGERPRINT | {"pooling": "x"}),
    ("source", {"filename": "x", "sha256": "y", "width": -1, "height": 2}),
]


@pytest.mark.parametrize(("key", "value"), HOSTILE)
def test_a_header_that_no_file_can_have_is_not_believed(bank: Bank, opened: list[str], key: str, value: Any) -> None:
    content = cache_of(bank)
    header = content["files"][file_name("style 4")][3]
    assert key in header
    header[key] = value
    cache_file(bank.folder).write_text(json.dumps(content))
    opened.clear()
    again = Bank(bank.folder).headers()
    assert len(opened) == 60
    assert again == bank.headers(fresh=True)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff" * 100, b"[" * 200_000, b'{"version": 99, "files": {}}', b'{"version": 1, "files": 3}']
)
def test_a_damaged_cache_is_built_again(bank: Bank, opened: list[str], data: bytes) -> None:
    content = cache_of(bank)
    cache_file(bank.folder).write_bytes(data)
    assert len(Bank(bank.folder).names()) == 60
    assert cache_of(bank) == content
    opened.clear()
    assert len(Bank(bank.folder).names()) == 60 and opened == []


@pytest.mark.parametrize("kind", ["folder", "fifo", "link"])
def test_what_is_no_cache_file_stops_no_list(bank: Bank, tmp_path: Path, kind: str) -> None:
    path = cache_file(bank.folder)
    path.parent.mkdir(parents=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        (tmp_path / "other").write_text("kept")
        path.symlink_to(tmp_path / "other")
    for _ in range(2):
        assert len(Bank(bank.folder).names()) == 60
    if kind == "link":
        assert (tmp_path / "other").read_text() == "kept"


def test_a_wrong_name_in_the_cache_leads_to_no_wrong_style(bank: Bank) -> None:
    content = cache_of(bank)
    entry = content["files"][file_name("style 5")]
    entry[3]["name"] = "other"
    cache_file(bank.folder).write_text(json.dumps(content))
    again = Bank(bank.folder)
    assert "other" not in again and again.get("style 5").name == "style 5"


def test_a_cache_that_comes_with_a_bank_is_not_read(bank: Bank, cache_folder: Path) -> None:
    content = cache_of(bank)
    content["files"][file_name("style 5")][3]["name"] = "other"
    shutil.rmtree(cache_folder)
    for name in (".headers.json", cache_file(bank.folder).name):
        (bank.folder / name).write_text(json.dumps(content))
    assert Bank(bank.folder).headers() == bank.headers(fresh=True)


def test_a_list_writes_nothing_into_the_bank(bank: Bank) -> None:
    before = sorted(path.name for path in bank.folder.iterdir())
    bank.names()
    assert cache_file(bank.folder).exists() and sorted(path.name for path in bank.folder.iterdir()) == before


def no_home(name: str) -> Path:
    raise RuntimeError("Could not determine home directory.")


def no_folder(name: str) -> Path:
    return Path("/dev/null") / name


def unknown_tilde(name: str) -> Path:
    return Path("~/.cache") / name


@pytest.mark.parametrize("where", [no_home, no_folder, unknown_tilde])
def test_a_user_without_a_cache_folder_gets_every_list(
    bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Callable[[str], Path]
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", where)
    monkeypatch.chdir(tmp_path)
    assert len(bank.names()) == 60
    with pytest.raises(StyleNotFound, match="Did you mean style 59"):
        bank.get("stile 59")
    assert not (tmp_path / "~").exists()


def test_headers_are_kept_from_other_users(bank: Bank, cache_folder: Path) -> None:
    umask = os.umask(0)
    try:
        bank.names()
    finally:
        os.umask(umask)
    assert cache_file(bank.folder).stat().st_mode & 0o777 == 0o600
    assert (cache_folder / "stylebank").stat().st_mode & 0o777 == 0o700


def test_a_small_bank_has_no_cache(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "bank")
    bank.add(style(layers=("pixels",)))
    assert bank.names() == ["wave"]
    assert {path.name for path in bank.folder.iterdir()} == {".lock", file_name("wave")}
