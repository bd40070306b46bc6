"""The styles of a bank nearest to one of them, or to an image."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pipeline.ingest.add import add
from pipeline.ingest.similar import _scales_to_measure, similar
from stylebank.bank import Bank
from stylebank.bank.fingerprints import REMEDY
from stylebank.errors import StyleNotFound, UsageError
from stylebank.style import PIXELS
from tests.conftest import DATA, LAYERS


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A bank of three paintings."""
    bank = Bank(tmp_path_factory.mktemp("three"))
    for name in ("poppies", "starry_night", "great_wave"):
        add(bank, DATA / f"styles/{name}.jpg", scales=(96,), layers=LAYERS)
    return bank


def test_a_style_is_not_its_own_neighbour(three: Bank) -> None:
    result = similar(three, "poppies")
    assert {neighbour.name for neighbour in result.neighbours} == {"starry_night", "great_wave"}
    distances = [neighbour.distance for neighbour in result.neighbours]
    assert 0 < distances[0] <= distances[1] <= 2


def test_a_painting_finds_its_style_at_distance_zero(three: Bank) -> None:
    first, second = similar(three, DATA / "styles/starry_night.jpg", scale=96, number=2).neighbours
    assert first.name == "starry_night" and first.distance == pytest.approx(0, abs=1e-3)
    assert second.distance > 0.05


def test_layers_limit_the_comparison(three: Bank) -> None:
    nearest = similar(three, "poppies", layers=[PIXELS], number=1).neighbours[0]
    assert dict(nearest.shares) == {PIXELS: pytest.approx(1)}


def test_styles_with_other_settings_are_skipped_with_a_notice(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "bank")
    add(bank, DATA / "styles/poppies.jpg", scales=(96,), layers=LAYERS)
    add(bank, DATA / "styles/great_wave.jpg", scales=(96,), layers=LAYERS)
    add(bank, DATA / "styles/great_wave.jpg", name="zero_padded", scales=(96,), layers=LAYERS, padding="zero")
    notices: list[str] = []
    result = similar(bank, "poppies", note=notices.append)
    assert [neighbour.name for neighbour in result.neighbours] == ["great_wave"]
    assert notices == [
        "1 of 2 styles left out, measured with zero padding, not reflect padding: zero_padded",
        f"to compare them, too, {REMEDY} and the same --scales",
        "1 of 2 styles compared at 96 pixels, not 512: great_wave",
    ]
    assert [each.name for each in result.left_out] == ["zero_padded"]


def test_a_picture_is_measured_at_the_scales_that_the_bank_has(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "bank")
    add(bank, DATA / "styles/poppies.jpg", scales=(96,), layers=LAYERS)
    add(bank, DATA / "styles/great_wave.jpg", scales=(64, 256), layers=LAYERS)
    notices: list[str] = []
    result = similar(bank, DATA / "styles/poppies.jpg", note=notices.append)
    assert [neighbour.name for neighbour in result.neighbours] == ["poppies", "great_wave"]
    assert result.neighbours[0].distance == pytest.approx(0, abs=1e-3) and result.left_out == ()
    assert notices == [
        "1 of 2 styles compared at 256 pixels, not 512: great_wave",
        "1 of 2 styles compared at 96 pixels, not 512: poppies",
    ]


@pytest.mark.parametrize(
    ("styles", "scale", "chosen"),
    [
        ([[512], [512, 1024]], 512, (512,)),
        ([[256]], 512, (256,)),
        ([[256], [256, 1024]], 512, (256,)),
        ([[512], [256], [128, 256]], 512, (512, 256)),
        ([[600]], 512, (512,)),  # 1.17 is within half an octave
        ([], 512, (512,)),
    ],
)
def test_few_scales_serve_every_style(styles: list[list[int]], scale: int, chosen: tuple[int, ...]) -> None:
    assert _scales_to_measure(styles, scale) == chosen


def test_a_query_that_no_style_can_be_compared_with_is_refused(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "bank")
    add(bank, DATA / "styles/poppies.jpg", scales=(96,), layers=LAYERS)
    add(bank, DATA / "styles/great_wave.jpg", scales=(256,), layers=LAYERS)
    with pytest.raises(UsageError, match=r"poppies: .* 1 of 1 style measured at 256 pixels, not near 96\."):
        similar(bank, "poppies")
    with pytest.raises(UsageError, match=r"no style .*1 of 2 styles measured at 256 pixels, not near 48\."):
        similar(bank, _small(tmp_path), scale=256)


def _small(folder: Path) -> Path:
    """A picture of 48 x 48 pixels, which is not enlarged."""
    Image.new("RGB", (48, 48), (200, 30, 90)).save(folder / "small.png")
    return folder / "small.png"


def test_a_query_that_is_neither_style_nor_image_is_refused(three: Bank) -> None:
    with pytest.raises(StyleNotFound, match="There is no image of that name either"):
        similar(three, "sunflowers")


def test_an_image_needs_a_style_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"poppies\.jpg: the bank has no style.*stylebank add"):
        similar(Bank(tmp_path / "empty"), DATA / "styles/poppies.jpg")
