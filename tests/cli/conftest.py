"""The command line in processes of its own, with negatives in place of synthesis."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import Bank
from tests import styles
from tests.fake_cli import LIGHT

NAMES = ("a", "b", "c")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a bank and three subjects."""
    Bank(tmp_path / "bank").add(styles.style("wave"))
    (tmp_path / "in").mkdir()
    for number, name in enumerate(NAMES):
        Image.fromarray(np.full((40, 48, 3), 40 * number, np.uint8)).save(tmp_path / f"in/{name}.png")
    return tmp_path


def command(
    folder: Path,
    redirections: str,
    *arguments: str,
    stdin: bytes = b"",
    prefix: tuple[str, ...] = (),
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run the command line by a shell, with redirections such as ``2>&-``."""
    bank = () if "--bank" in arguments else ("--bank", str(folder / "bank"))
    words = [*prefix, sys.executable, "-m", "tests.fake_cli", *bank, *arguments]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirections}', "bash", *words],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        cwd=folder,
        input=stdin,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))


def apply(folder: Path, redirections: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Put the three subjects into the style."""
    words = ["apply", "--style", "wave", str(folder / "in"), "-o", str(folder / "out"), *LIGHT, *options]
    return command(folder, redirections, *words, **environment)
