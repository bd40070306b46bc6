"""Small styles made without a network."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np

from stylebank.math import gaussian
from stylebank.style import Fingerprint, Gaussian, Header, Source, Style, layer_channels

LAYERS = ("pixels", "conv1_1", "conv2_1")


@cache
def random_gaussian(channels: int, count: int, seed: int) -> Gaussian:
    return measured(np.random.default_rng([channels, count, seed]).normal(9, 3, (count, channels)))


def measured(rows: np.ndarray) -> Gaussian:
    mean, cov, count = gaussian.moments(rows)
    cov_sqrt, eigenvalues = gaussian.sqrtm_psd(cov)
    return Gaussian(*(array.astype(np.float32) for array in (mean, cov, cov_sqrt, eigenvalues)), count=count)


def style(
    name: str = "wave",
    seed: int = 0,
    *,
    layers: tuple[str, ...] = LAYERS,
    sizes: dict[int, tuple[int, int]] | None = None,
    tags: tuple[str, ...] = ("sea", "blå"),
    thumbnail: bytes = b"\xff\xd8 a small picture \xff\xd9",
) -> Style:
    """A style of random activations; another `seed` gives other numbers."""
    sizes = sizes or {32: (32, 20)}
    header = Header(
        name=name,
        fingerprint=Fingerprint("ab" * 32, layers, "avg", "reflect"),
        source=Source("wave.jpg", "cd" * 32, 1280, 800),
        sizes=sizes,
        tags=tags,
        created="2026-01-31T12:00:00+00:00",
        version="0.1.0",
    )
    scales = {
        scale: {layer: random_gaussian(layer_channels(layer), width * height, seed) for layer in layers}
        for scale, (width, height) in sizes.items()
    }
    return Style(header, scales, thumbnail)


def varied(name: str, seed: int) -> Style:
    """Random activations with axes and spreads of its own, some of them singular."""
    random = np.random.default_rng(seed)
    layers = {}
    for layer, channels in zip(LAYERS, (3, 64, 128), strict=True):
        rank = int(random.integers(2, channels + 1))
        mixing = random.normal(size=(rank, channels)) * np.logspace(0, -random.uniform(0, 3), rank)[:, None]
        rows = random.normal(size=(300, rank)) @ mixing * random.uniform(0.5, 4) + random.normal(size=channels)
        layers[layer] = measured(rows)
    return dataclasses.replace(style(name, layers=LAYERS), scales={32: layers})


def difference(one: Style, other: Style) -> str:
    """What differs between two styles, to the bit; empty if nothing does."""
    if one.header.to_dict() != other.header.to_dict():
        return "header"
    if one.thumbnail != other.thumbnail:
        return "thumbnail"
    if one.scales.keys() != other.scales.keys():
        return "scales"
    for scale, layers in one.scales.items():
        if list(layers) != list(other.scales[scale]):
            return f"layers of {scale}"
        for layer, first in layers.items():
            second = other.scales[scale][layer]
            for key in ("mean", "cov", "cov_sqrt", "eigenvalues"):
                a, b = getattr(first, key), getattr(second, key)
                if (a.dtype, a.shape, a.tobytes()) != (b.dtype, b.shape, b.tobytes()):
                    return f"{scale}/{layer}/{key}"
            if first.count != second.count:
                return f"{scale}/{layer}/count"
    return ""
