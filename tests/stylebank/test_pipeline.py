"""Another module named ``pipeline`` in the way of stylebank's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from stylebank import _pipeline
from stylebank.errors import PipelineShadowed, UsageError


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def shadow(tmp_path: Path) -> Path:
    """A file of the user's that would say so if it ran."""
    path = tmp_path / "pipeline.py"
    path.write_text("print('the user's file ran')\n")
    return path


def test_our_package_is_imported() -> None:
    assert _pipeline.load() is pipeline
    assert _pipeline.load("pipeline.settings").__name__ == "pipeline.settings"


def test_the_command_names_the_file_in_one_line_and_does_not_run_it(shadow: Path) -> None:
    done = run(shadow.parent, "-m", "stylebank", "list")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"Error: {shadow}: hides the package 'pipeline' of stylebank. Rename it, or run from another folder."
    ]


def test_a_package_in_the_current_folder_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline/__init__.py").touch()
    done = run(tmp_path, "-m", "stylebank", "list")
    assert done.returncode == 2 and f"{tmp_path / 'pipeline' / '__init__.py'}: hides" in done.stderr


def test_a_folder_of_data_by_that_name_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "pipeline").mkdir()
    done = run(tmp_path, "-m", "stylebank", "--version")
    assert done.returncode == 0 and done.stdout.startswith("stylebank, version")


def test_a_script_gets_an_import_error(shadow: Path) -> None:
    code = "try:\n    from stylebank import apply\nexcept ImportError as error:\n    print(error)"
    assert run(shadow.parent, "-c", code).stdout.startswith(f"{shadow}: hides")


def test_a_module_that_is_loaded_already_is_seen(shadow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "__file__", str(shadow))
    with pytest.raises(PipelineShadowed, match="Rename it") as caught:
        _pipeline.load()
    assert isinstance(caught.value, ImportError) and isinstance(caught.value, UsageError)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pipeline")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PipelineShadowed, match="Install stylebank again"):
        _pipeline.load()
