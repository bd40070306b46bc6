from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from pipeline.cli import restore
from pipeline.cli.commands import group
from tests.conftest import Result

Run = Callable[..., Result]


def test_a_removed_style_comes_back(run: Run) -> None:
    before = run("show", "wave", "--json").stdout
    assert run("remove", "wave").code == 0
    (version,) = json.loads(run("restore", "--list", "--json").stdout)
    assert version["name"] == "wave" and version["removed"].endswith("+00:00")
    assert run("restore", "--list").stdout.startswith("wave  20")
    result = run("restore", "wave")
    assert (result.code, result.stderr) == (0, "wave: restored\n")
    assert run("show", "wave", "--json").stdout == before
    assert run("restore", "--list").stderr == "The trash is empty.\n"


def test_a_style_of_the_same_name_needs_replace(run: Run, bank_folder: Path) -> None:
    assert run("remove", "wave").code == 0
    (path,) = (bank_folder / ".trash").iterdir()
    shutil.copy(path, bank_folder / "copy.stylebank.h5")
    result = run("restore", "wave")
    assert result.code == 2 and "add --replace" in result.stderr
    assert run("restore", "wave", "--replace").code == 0


@pytest.mark.parametrize("arguments", [[], ["wave", "--list"]])
def test_names_or_the_list_are_wanted(run: Run, arguments: list[str]) -> None:
    result = run("restore", *arguments)
    assert result.code == 2 and "NAME" in result.stderr


def test_what_is_removed_for_ever_does_not_come_back(run: Run) -> None:
    assert "wave: removed for ever" in run("remove", "wave", "--forever").stderr
    result = run("restore", "wave")
    assert result.code == 2 and "is not in the trash" in result.stderr


def test_completion_offers_what_is_in_the_trash(run: Run, bank_folder: Path) -> None:
    def offered(start: str) -> list[str]:
        context = click.Context(group, info_name="stylebank")
        context.params = {"bank": str(bank_folder)}
        command = click.Context(restore.command, parent=context)
        return [item.value for item in restore.command.params[0].shell_complete(command, start)]

    assert offered("") == []
    assert run("remove", "wave").code == 0
    assert offered("wa") == ["wave"] and offered("x") == []


def test_a_damaged_version_is_listed_by_its_file(run: Run, bank_folder: Path) -> None:
    assert run("remove", "wave").code == 0
    (path,) = (bank_folder / ".trash").iterdir()
    path.write_bytes(b"no style")
    assert run("restore", "--list").stdout.startswith(f"{path.name}  20")
    (version,) = json.loads(run("restore", "--list", "--json").stdout)
    assert version["name"] is None and version["file"] == str(path) and version["reason"]
    assert run("restore", "wave").code == 3


def test_no_style_comes_back_unless_all_can(run: Run) -> None:
    assert run("remove", "wave").code == 0
    result = run("restore", "wave", "tide")
    assert result.code == 2 and "'tide' is not in the trash" in result.stderr
    assert run("restore", "wave").code == 0
