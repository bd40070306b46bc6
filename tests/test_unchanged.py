"""Pictures keep their bytes from version to version: a change of the code that changes one is noticed here.

The pictures in `data/pictures` were made in float32 with version 4 of the algorithm. Libraries choose their
kernels by processor and by the number of cores, which moves single pixels by a few grey levels. So the digests hold
on a machine like the one that made them, and everywhere else the pictures agree within a bound.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.backends import devices
from pipeline.synthesis import stylizer, tiled_objective
from stylebank.bank import Bank

from .conftest import DATA

EXPECTED = Path(__file__).parent / "data" / "pictures"
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
SUBJECT = DATA / "subjects/chelsea.jpg"
CONTENT: dict[str, Any] = {"content_weight": 1.0, "content_layers": ("relu3_2", "relu4_2"), "content_detail": 0.5}
SETTINGS: dict[str, Any] = {"steps": 4, "precision": "float32", "format": "png", **CONTENT}
#: Grey levels. Between processors with AVX2 and AVX-512, and between one core and two, 0.11 and 5 were seen.
MEAN_BOUND, LARGEST_BOUND = 0.5, 16


@pytest.fixture(scope="module")
def two_styles(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    bank = Bank(tmp_path_factory.mktemp("bank"))
    for name in ("great_wave", "poppies"):
        pipeline.add(bank, DATA / f"styles/{name}.jpg", scales=(96, 192), layers=LAYERS, pooling="max")
    return bank


def same(output: Path) -> None:
    """Assert that a picture is the one made before; to the byte on the machine that made that one."""
    expected = np.asarray(Image.open(EXPECTED / output.name))
    pixels = np.asarray(Image.open(output))
    difference = np.abs(pixels.astype(int) - expected)
    assert difference.mean() <= MEAN_BOUND
    assert difference.max() <= LARGEST_BOUND
    records = json.loads((EXPECTED / "digests.json").read_text("utf-8"))
    digests = [record["digests"][output.stem] for record in records if record["machine"] == machine()]
    if digests:
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == digests[0]
    else:
        warnings.warn(f"{output.stem}: another machine made the digests; compared within bounds alone", stacklevel=2)


def machine() -> dict[str, Any]:
    """Return what decides the last bits of a float32 sum here."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": devices.cpu_threads(),
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS"),
        "processor": processor(),
        "features": np.show_config(mode="dicts")["SIMD Extensions"],  # type: ignore[call-overload]
        "libraries": devices.library_versions(),
    }


def processor() -> dict[str, str]:
    """Return family, model and cache of a Linux machine's processor: libraries block their sums by them."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return {"name": platform.processor()}
    fields = dict(line.replace("\t", "").split(":", 1) for line in lines if ":" in line)
    return {key: fields.get(key, "").strip() for key in ("model name", "cpu family", "model", "stepping", "cache size")}


def test_a_plain_picture(two_styles: Bank, tmp_path: Path) -> None:
    pipeline.apply(two_styles, "great_wave", [SUBJECT], tmp_path / "plain.png", size=320, **SETTINGS)
    same(tmp_path / "plain.png")


def test_two_regions_and_a_mask(two_styles: Bank, tmp_path: Path) -> None:
    width, height = Image.open(SUBJECT).size
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    Image.fromarray(mask).save(tmp_path / "left.png")
    pipeline.apply(
        two_styles,
        ["left=great_wave", "rest=poppies"],
        [SUBJECT],
        tmp_path / "regions.png",
        mask=f"left={tmp_path / 'left.png'}",
        size=96,
        **SETTINGS,
    )
    same(tmp_path / "regions.png")


def test_a_picture_in_tiles(two_styles: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_strips = tiled_objective.in_strips
    monkeypatch.setattr(stylizer, "require_memory", lambda *_, **__: True)
    monkeypatch.setattr(stylizer, "in_strips", lambda objective: in_strips(objective, 16 * 96 * 64 * 2))
    stylizer._tiled_objective.cache_clear()
    try:
        pipeline.apply(two_styles, "great_wave", [SUBJECT], tmp_path / "tiled.png", size=96, **SETTINGS)
    finally:
        stylizer._tiled_objective.cache_clear()
    same(tmp_path / "tiled.png")
