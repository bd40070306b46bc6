from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stylebank.storage import hdf5
from tests.conftest import DATA, Result

Run = Callable[..., Result]


def test_a_style_is_a_line_with_its_scales_and_size(run: Run) -> None:
    assert run("list").stdout == "wave  96  657 x 442\n"


def test_json_is_a_list_of_all_fields(run: Run) -> None:
    (style,) = json.loads(run("list", "--json").stdout)
    assert style["name"] == "wave" and style["scales"] == {"96": [96, 65]}
    assert style["layers"] == ["pixels", "conv1_1", "conv2_1", "conv3_1"]


def test_an_empty_bank_says_how_to_fill_it(run: Run, bank_folder: Path) -> None:
    assert run("remove", "wave").code == 0
    result = run("list")
    assert (result.code, result.stdout) == (0, "")
    assert "stylebank add" in result.stderr
    assert run("list", "--json").stdout.strip() == "[]"


def test_a_bank_whose_files_cannot_be_read_is_not_called_empty(
    run: Run, bank_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(hdf5, "_Bytes", refuse)
    (path,) = bank_folder.glob("*.h5")
    for command in ("list", "verify"):
        result = run(command)
        assert result.code == 5
        assert f"{path}: permission denied. Ask its owner for the right to read it." in result.stderr
        assert "empty" not in result.stderr and "damaged" not in result.stderr
    assert "has 1 file, none usable" in run("list").stderr + run("apply", "x.jpg").stderr
    (bank_folder / "jobs.toml").write_text('[[job]]\nstyle = "wave"\nsubjects = ["china.jpg"]\noutput = "out"\n')
    shutil.copy(DATA / "subjects/china.jpg", bank_folder / "china.jpg")
    for arguments in (["show", "wave"], ["batch", bank_folder / "jobs.toml", "--dry-run"]):
        result = run(*arguments)
        assert result.code == 5 and "permission denied" in result.stderr
