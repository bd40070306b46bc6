from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.ingest.measure import measure
from pipeline.settings import IngestSettings
from pipeline.vgg.weights import Weights
from stylebank import images
from stylebank.errors import UsageError
from stylebank.style import PIXELS, Style
from tests.conftest import DATA

POPPIES = DATA / "styles/poppies.jpg"


@pytest.fixture(scope="module")
def poppies(vgg: Weights) -> Style:
    return measure(POPPIES, vgg, IngestSettings(scales=(64, 128, 4096), layers=("conv1_1", "conv4_1", "relu4_1")))


def test_a_painting_is_never_enlarged(poppies: Style) -> None:
    assert dict(poppies.header.sizes) == {64: (64, 44), 128: (128, 88), 647: (647, 443)}


def test_the_gaussian_of_the_pixels_is_exact(poppies: Style) -> None:
    pixels = images.load(POPPIES).pixels.reshape(-1, 3).astype(np.float64)
    measured = poppies.scales[647][PIXELS]
    np.testing.assert_allclose(measured.mean, pixels.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(measured.cov, np.cov(pixels.T, bias=True), rtol=1e-4)


@pytest.mark.parametrize("scale", [64, 647])
@pytest.mark.parametrize("layer", ["conv1_1", "conv4_1", "relu4_1"])
def test_roots_square_to_covariances_even_where_there_are_fewer_pixels_than_channels(
    poppies: Style, scale: int, layer: str
) -> None:
    gaussian = poppies.scales[scale][layer]
    root = gaussian.cov_sqrt.astype(np.float64)
    assert np.linalg.norm(root @ root - gaussian.cov) < 1e-5 * np.linalg.norm(gaussian.cov)
    assert gaussian.eigenvalues.min() >= 0
    height, width = reversed(poppies.header.sizes[scale])
    divisor = 1 if layer == "conv1_1" else 8
    assert gaussian.count == -(-height // divisor) * -(-width // divisor)


def test_the_header_records_source_and_settings(poppies: Style, vgg: Weights) -> None:
    header = poppies.header
    assert header.name == "poppies"
    assert header.fingerprint.weights_sha256 == vgg.sha256
    assert header.fingerprint.layers == (PIXELS, "conv1_1", "conv4_1", "relu4_1")
    assert (header.source.filename, header.source.width, header.source.height) == ("poppies.jpg", 647, 443)
    assert poppies.thumbnail.startswith(b"\xff\xd8")


def test_transparency_is_composited_on_white_with_a_notice(
    tmp_path: Path, vgg: Weights, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = np.zeros((40, 40, 3), np.float32)
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:20] = 255
    images.save(tmp_path / "half.png", pixels, format="png", quality=90, alpha=alpha)
    notices: list[str] = []
    style = measure(tmp_path / "half.png", vgg, IngestSettings(layers=("conv1_1",)), note=notices.append)
    np.testing.assert_allclose(style.scales[40][PIXELS].mean, 127.5)
    assert any("half.png" in text and "over white" in text for text in notices) and not caplog.records
    with caplog.at_level("INFO", "stylebank"):
        measure(tmp_path / "half.png", vgg, IngestSettings(layers=("conv1_1",)))
    assert [(record.name, record.message) for record in caplog.records] == [("stylebank", text) for text in notices]


def test_a_flat_colour_gives_finite_numbers(tmp_path: Path, vgg: Weights) -> None:
    images.save(tmp_path / "flat.png", np.full((48, 48, 3), 90, np.float32), format="png", quality=90)
    style = measure(tmp_path / "flat.png", vgg, IngestSettings(layers=("conv1_1", "conv3_1")))
    for gaussian in style.scales[48].values():
        for array in (gaussian.mean, gaussian.cov, gaussian.cov_sqrt, gaussian.eigenvalues):
            assert np.isfinite(array).all()


def test_a_painting_too_thin_at_every_scale_is_refused(tmp_path: Path, vgg: Weights) -> None:
    images.save(tmp_path / "thin.png", np.zeros((40, 400, 3), np.float32), format="png", quality=90)
    with pytest.raises(UsageError, match=r"thin\.png.*too thin.*larger --scales"):
        measure(tmp_path / "thin.png", vgg, IngestSettings(scales=(64, 128), layers=("conv1_1",)))
    style = measure(tmp_path / "thin.png", vgg, IngestSettings(scales=(64, 1024), layers=("conv1_1",)))
    assert list(style.header.sizes) == [400]
