"""The backend that runs, and modules that load without one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.backends import runtime
from pipeline.backends.runtime import native_stderr_silenced

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("other", ["tensorflow", "torch", "jax"])
def test_every_installed_backend_is_exact(other: str) -> None:
    """Each backend runs in a process of its own, since a process has one backend."""
    if other == runtime.NAME or os.environ.get("STYLEBANK_ONE_BACKEND"):
        pytest.skip("the current backend")
    if importlib.util.find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    files = [
        "tests/backends/test_ops.py",
        "tests/backends/test_compile.py",
        "tests/synthesis/losses/test_functional.py",
        "tests/synthesis/losses/test_wasserstein.py",
        "tests/synthesis/losses/test_objective.py",
    ]
    chosen = "padding or replicated or products or squares or cond_ or functional.py or wasserstein.py"
    chosen += " or cotangents or chain or gradient_matches or layers_loss or the_gradient_points"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", chosen],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": other, "STYLEBANK_ONE_BACKEND": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert " passed" in ran.stdout


def test_output_of_loading_libraries_is_dropped(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STYLEBANK_DEBUG_BACKEND", raising=False)
    with native_stderr_silenced():
        os.write(2, b"registering factories\n")
    os.write(2, b"seen\n")
    assert capfd.readouterr().err == "seen\n"
    monkeypatch.setenv("STYLEBANK_DEBUG_BACKEND", "1")
    with native_stderr_silenced():
        os.write(2, b"asked for\n")
    assert capfd.readouterr().err == "asked for\n"


@pytest.mark.parametrize(
    "module",
    [
        "backends.errors",
        "backends.host_memory",
        "backends.timing",
        "execution.executors",
        "execution.worker",
        "jobs.apply",
    ],
)
def test_modules_without_computation_do_not_load_keras(module: str) -> None:
    """A worker sets its threads and its GPU before TensorFlow loads, so that they apply."""
    program = f"import sys, pipeline.{module}; sys.exit(bool({{'keras', 'tensorflow', 'torch'}} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
