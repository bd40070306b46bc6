"""A painting added to a bank: what the bank stores, and what is refused before the measurement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.ingest.add import add
from stylebank import images
from stylebank.bank import Bank
from stylebank.errors import ImageRefused, NameRefused, StylebankError, StyleExists, UsageError
from stylebank.style import PIXELS
from tests.conftest import DATA

POPPIES = DATA / "styles/poppies.jpg"
SMALL = {"scales": (64,), "layers": ("conv1_1",)}


@pytest.fixture
def empty(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "bank")


def test_the_bank_stores_what_was_measured(empty: Bank) -> None:
    scales: list[tuple[int, int, int]] = []
    header = add(empty, POPPIES, tags=["red", "field"], on_scale=lambda *scale: scales.append(scale), **SMALL)
    style = empty.get("poppies")
    assert header == style.header == empty.header("poppies")
    assert (header.name, header.tags, dict(header.sizes)) == ("poppies", ("red", "field"), {64: (64, 44)})
    assert scales == [(64, 1, 1)]
    assert list(style.scales[64]) == [PIXELS, "conv1_1"]
    reduced = images.resize(images.load(POPPIES).pixels, (64, 44)).reshape(-1, 3)
    np.testing.assert_allclose(style.scales[64][PIXELS].mean, reduced.mean(axis=0), rtol=1e-4)


@pytest.mark.parametrize("no_thumbnail", [False, True])
def test_the_thumbnail_is_optional(empty: Bank, no_thumbnail: bool) -> None:
    add(empty, POPPIES, no_thumbnail=no_thumbnail, **SMALL)
    assert bool(empty.get("poppies").thumbnail) is not no_thumbnail


def test_an_existing_style_is_replaced_only_on_request(empty: Bank) -> None:
    add(empty, POPPIES, name="flowers", **SMALL)
    with pytest.raises(StyleExists, match="flowers"):
        add(empty, POPPIES, name="flowers", weights="missing.h5", **SMALL)
    header = add(empty, POPPIES, name="flowers", replace=True, scales=(48,), layers=("conv1_1",))
    assert list(header.sizes) == [48] and list(empty) == ["flowers"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "../poppies"}, NameRefused, "Choose another"),
        ({"scales": (0,)}, UsageError, "scales"),
        ({"layers": ("conv9_1",)}, UsageError, "conv9_1"),
        ({"max_pixels": 1000}, ImageRefused, r"poppies\.jpg"),
    ],
)
def test_bad_arguments_leave_the_bank_empty(
    empty: Bank, arguments: dict[str, object], error: type[StylebankError], message: str
) -> None:
    with pytest.raises(error, match=message):
        add(empty, POPPIES, **{**SMALL, **arguments})  # type: ignore[arg-type]
    assert list(empty) == []


def test_a_file_whose_stem_is_no_name_suggests_the_option(empty: Bank, tmp_path: Path) -> None:
    painting = tmp_path / "-poppies.jpg"
    painting.write_bytes(POPPIES.read_bytes())
    with pytest.raises(NameRefused, match="Give another with --name"):
        add(empty, painting, **SMALL)
