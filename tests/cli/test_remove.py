from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.conftest import Result

Run = Callable[..., Result]


def test_a_removed_style_is_gone(run: Run, bank_folder: Path) -> None:
    assert run("remove", "wave").code == 0
    assert not list(bank_folder.glob("*.h5"))
    assert run("remove", "wave").code == 2


def test_nothing_is_removed_unless_all_are_there(run: Run) -> None:
    result = run("remove", "wave", "nobody")
    assert result.code == 2 and "'nobody'" in result.stderr
    assert run("show", "wave").code == 0


def test_a_damaged_style_can_be_removed(run: Run, bank_folder: Path) -> None:
    path = next(bank_folder.glob("*.h5"))
    path.write_bytes(path.read_bytes()[:1000])
    assert run("show", "wave").code == 3
    assert run("remove", "wave").code == 0
    assert run("list").code == 0
