"""Fixtures on small real pictures, so that the suite runs in minutes on two cores."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; libraries read these when they load
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(variable, "1")

import numpy as np
import pytest

import pipeline
from pipeline import cli
from pipeline.vgg import weights
from stylebank import images
from stylebank.bank import Bank

DATA = Path(__file__).parents[1] / "data"
LAYERS = ("conv1_1", "conv2_1", "conv3_1")


@dataclass
class Result:
    """How a command ended and what it printed."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session", autouse=os.environ.get("KERAS_BACKEND") == "jax")
def jax_settings() -> Iterator[None]:
    """Let tests of single operations compute as a run does: JAX truncates float64 by default."""
    from pipeline.backends.runtime import backend_settings

    with backend_settings():
        yield


@pytest.fixture(scope="session")
def vgg() -> weights.Weights:
    return weights.load()


@pytest.fixture(scope="session")
def small_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    pipeline.add(Bank(folder), DATA / "styles/great_wave.jpg", name="wave", scales=(96,), layers=LAYERS)
    return folder


@pytest.fixture
def bank_folder(small_bank: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "bank"
    shutil.copytree(small_bank, folder)
    return folder


@pytest.fixture
def bank(bank_folder: Path) -> Bank:
    return Bank(bank_folder)


@pytest.fixture
def run(bank_folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Result]]:
    """Run the command line in this process against the test's own bank."""

    def command(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main(["--bank", str(bank_folder), *map(str, arguments)])
        captured = capsys.readouterr()
        return Result(int(stop.value.code or 0), captured.out, captured.err)

    yield command


@pytest.fixture(scope="session")
def china() -> images.Pixels:
    """A photograph at 96 x 64, float32 in 0..255."""
    return images.resize(images.load(DATA / "subjects/china.jpg").pixels, (96, 64))


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of three small photographs."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("astronaut", "chelsea", "rocket"):
        pixels = images.load(DATA / f"subjects/{name}.jpg").pixels
        size = images.fit((pixels.shape[1], pixels.shape[0]), 72)
        images.save(folder / f"{name}.jpg", images.resize(pixels, size), format="jpg", quality=90)
    return folder


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two arrays."""
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
