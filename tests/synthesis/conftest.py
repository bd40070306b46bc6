"""Styles and masks that several test modules share."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.ingest.measure import measure_pixels
from pipeline.synthesis.masks import RegionMasks, regions
from pipeline.vgg.network import VGG19
from pipeline.vgg.weights import Weights
from stylebank import images
from stylebank.bank import Bank
from stylebank.style import Style
from tests.conftest import DATA, LAYERS


@pytest.fixture(scope="module")
def wave(small_bank: object) -> Style:
    return Bank(small_bank).get("wave")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def night(wave: Style, vgg: Weights) -> Style:
    """A style with four scales."""
    painting = images.load(DATA / "styles/starry_night.jpg")
    fingerprint = wave.header.fingerprint
    network = VGG19(vgg, fingerprint.pooling, fingerprint.padding)
    sizes = {side: images.fit(painting.size, side) for side in (64, 90, 128, 256)}
    scales = {
        side: measure_pixels(images.resize(painting.pixels, size), network, LAYERS) for side, size in sizes.items()
    }
    return Style(dataclasses.replace(wave.header, name="night", sizes=sizes), scales)


@pytest.fixture
def left() -> RegionMasks:
    mask = np.zeros((64, 96), np.float32)
    mask[:, :48] = 1
    return regions([mask], (96, 64))
