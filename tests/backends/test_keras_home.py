from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.backends.keras_home import keras_home_variables

TEMPORARY = str(Path(tempfile.gettempdir(), f"keras-{os.getuid()}"))


@pytest.fixture
def no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without HOME whose user has no entry in the system's list."""

    def unknown(*_: object) -> None:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_a_user_without_a_home_gets_a_folder_among_the_temporary_files(no_user: None) -> None:
    assert keras_home_variables() == {"KERAS_HOME": TEMPORARY}


@pytest.mark.parametrize("value", ["~/keras", "~nobody-of-this-name/keras"])
def test_a_variable_that_cannot_be_expanded_is_not_taken_literally(
    no_user: None, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("KERAS_HOME", value)
    assert keras_home_variables() == {"KERAS_HOME": TEMPORARY}


def test_a_variable_that_no_shell_has_expanded_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", "~/keras")
    assert keras_home_variables() == {"KERAS_HOME": str(tmp_path / "keras")}


@pytest.mark.parametrize("value", ["", "/srv/keras", "relative"])
def test_a_home_of_keras_that_works_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", value)
    if not value:
        monkeypatch.delenv("KERAS_HOME")
    assert keras_home_variables() == {}


def test_loading_a_backend_without_a_home_makes_no_folder_in_the_working_folder(tmp_path: Path) -> None:
    program = (
        "import os, pwd\n"
        "def unknown(*_): raise KeyError\n"
        "pwd.getpwuid = unknown; os.environ.pop('HOME', None); os.environ['TMPDIR'] = os.getcwd() + '/temporary'\n"
        "import pipeline.backends.runtime"
    )
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "KERAS_HOME": "~/keras"}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env=environment)
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
