"""The public names of `stylebank`, and what they load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pipeline
import stylebank
from pipeline.settings import IngestSettings

PACKAGES = Path(stylebank.__file__).parents[1]


def modules_after(code: str) -> set[str]:
    """Top-level modules that a new process has loaded after `code`."""
    script = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


def test_one_import_has_the_functions_of_the_commands() -> None:
    from stylebank import Bank, add, apply, run_jobs, similar

    assert (add, apply, run_jobs, similar) == (pipeline.add, pipeline.apply, pipeline.run_jobs, pipeline.similar)
    assert Bank.__module__ == "stylebank.bank.bank"


def test_dir_lists_every_public_name_and_each_can_be_read() -> None:
    names = {*stylebank.__all__, "atlas", "barycenter", "combine", "gaussian", "library", "similarity"}
    assert names <= set(dir(stylebank)) and all(hasattr(stylebank, name) for name in names)


def test_the_stub_declares_the_public_names() -> None:
    stub = (PACKAGES / "stylebank/__init__.pyi").read_text()
    namespace: dict[str, list[str]] = {}
    exec(stub.partition("__version__: str\n")[2], namespace)
    assert sorted(namespace["__all__"]) == sorted(stylebank.__all__)
    assert all(
        f" as {name}" in stub
        for name in dir(stylebank)
        if name in {*stylebank.__all__, "atlas", "gaussian"} - {"__version__"}
    )


def test_importing_loads_only_the_standard_library() -> None:
    loaded = modules_after("import stylebank, pipeline\ndir(stylebank)")
    assert loaded.isdisjoint(
        {"numpy", "h5py", "PIL", "keras", "tensorflow", "torch", "jax", "joblib", "click", "jinja2"}
    )


def test_the_functions_that_compute_load_no_keras_before_they_are_called() -> None:
    loaded = modules_after("import stylebank\n[getattr(stylebank, name) for name in stylebank.__all__]")
    assert "pipeline" in loaded and loaded.isdisjoint({"keras", "tensorflow", "torch", "jax", "jinja2"})


def test_older_names_still_work() -> None:
    assert pipeline.MeasureSettings is IngestSettings


def test_both_packages_are_marked_as_typed() -> None:
    assert all((PACKAGES / package / "py.typed").is_file() for package in ("stylebank", "pipeline"))
