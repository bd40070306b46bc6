"""Numbers for a stylised picture: how near the painting, how much is left of the photograph, how clean.

What is measured with is held out from what is optimised: activations after the ReLU, of a network with maximum
pooling (as VGG-19 was trained; styles are measured with averages), at the picture's size and at
another one; and patches of pixels, which know no network at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from pipeline.vgg import weights
from stylebank import images
from stylebank.math import gaussian

Array = npt.NDArray[np.floating[Any]]

#: One layer a block.
STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_2")
STRUCTURE_LAYER = "relu4_2"
#: The other size, as a share of the picture's.
OTHER_SCALE = 0.5**0.5
_PATCH, _OCTAVES = 5, 3
_QUANTILES = (np.arange(512) + 0.5) / 512
_MOST_POSITIONS = 1024
_MOST_VECTORS = 20_000


class Extractor:
    """The network that measures."""

    def __init__(self) -> None:
        from pipeline.vgg.network import VGG19

        self._trunk = VGG19(weights.load(), "max", "reflect")

    def __call__(self, pixels: images.Pixels) -> dict[str, Array]:
        """Return activations by layer, float32, shape (h, w, c), for pixels (H, W, 3) in 0..255."""
        from pipeline.backends import runtime as backend

        image = backend.to_tensors(np.ascontiguousarray(pixels, np.float32))
        wanted = (*STYLE_LAYERS, STRUCTURE_LAYER)
        features = self._trunk.features(image, self._trunk.parameters, wanted)
        return {layer: backend.to_numpy(values)[0] for layer, values in features.items()}


def rows(values: Array) -> Array:
    """Positions in rows, channels in columns."""
    return values.reshape(-1, values.shape[-1])


def wasserstein(a: Array, b: Array) -> float:
    """Wasserstein-2 distance of the Gaussians of two sets of vectors, shapes (..., c)."""
    (mean_a, cov_a, _n), (mean_b, cov_b, _m) = gaussian.moments(a), gaussian.moments(b)
    return gaussian.wasserstein2(mean_a, cov_a, mean_b, cov_b)


def sliced_wasserstein(a: Array, b: Array, projections: int = 128, seed: int = 0) -> float:
    """Sliced Wasserstein-2 distance of two sets of vectors (Rabin et al. 2012), whatever their numbers.

    The root of the mean, over random directions, of the squared distance between the
    quantile functions of what is projected on them; times the root of the dimension,
    so that a shift by d is a distance of d. Of many vectors a random part is taken.
    """
    random = np.random.default_rng(seed)
    directions = random.normal(size=(a.shape[-1], projections))
    directions /= np.linalg.norm(directions, axis=0)
    parts = [random.permutation(rows(x))[:_MOST_VECTORS].astype(np.float64) for x in (a, b)]
    quantiles = [np.quantile(part @ directions, _QUANTILES, axis=0) for part in parts]
    return float(np.sqrt(np.mean((quantiles[0] - quantiles[1]) ** 2) * a.shape[-1]))


def patches(pixels: Array) -> list[Array]:
    """Square patches of pixels as vectors of 75, at the picture's size and two octaves below."""
    found = []
    for octave in range(_OCTAVES):
        size = (max(_PATCH, pixels.shape[1] >> octave), max(_PATCH, pixels.shape[0] >> octave))
        small = images.resize(np.asarray(pixels, np.float32), size)
        windows = np.lib.stride_tricks.sliding_window_view(small, (_PATCH, _PATCH), axis=(0, 1))
        found.append(windows.reshape(-1, 3 * _PATCH * _PATCH))
    return found


def luminance(pixels: Array) -> Array:
    """Luma of BT.601, 0..255, as SSIM is usually taken of."""
    return np.asarray(pixels, np.float64) @ np.array([0.299, 0.587, 0.114])


def ssim(a: Array, b: Array) -> float:
    """Structural similarity of two luminances, 1 for the same (Wang et al. 2004: a Gaussian window of 11 pixels)."""

    def mean(x: Array) -> Array:
        return np.asarray(scipy.ndimage.gaussian_filter(x, 1.5, radius=5))

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    cov = mean(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + c1) * (2 * cov + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(likeness[5:-5, 5:-5].mean())


def feature_distance(a: Array, b: Array) -> float:
    """Mean over positions of 1 - cosine between features (h, w, c), less the mean of `b`'s.

    0 for the same, 1 for features that have nothing to do with each other.
    """
    middle = rows(b).mean(axis=0)
    a, b = rows(a) - middle, rows(b) - middle
    return float(np.mean(1 - (_unit(a) * _unit(b)).sum(axis=1)))


def self_similarity_distance(a: Array, b: Array) -> float:
    """How differently the positions of two pictures resemble one another (Kolkin et al. 2019, STROTSS).

    The cosine distances between all positions of a picture, each column divided by its mean,
    compared by their mean absolute difference: 0 for the same arrangement, whatever it is made of.
    """
    step = max(1, int(np.ceil(np.sqrt(a.shape[0] * a.shape[1] / _MOST_POSITIONS))))
    tables = []
    for features in (a, b):
        unit = _unit(rows(features[::step, ::step]).astype(np.float64))
        distances = np.maximum(1 - unit @ unit.T, 0)
        tables.append(distances / np.maximum(distances.mean(axis=0), 1e-12))
    return float(np.abs(tables[0] - tables[1]).mean())


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def flat_part(subject: Array, share: float = 0.2) -> npt.NDArray[np.bool_]:
    """Mark the `share` of a luminance where it varies least around a pixel: skies and walls."""
    spread = scipy.ndimage.gaussian_filter(subject**2, 3) - scipy.ndimage.gaussian_filter(subject, 3) ** 2
    return np.asarray(spread <= np.quantile(spread, share))


def grain(luma: Array, where: npt.NDArray[np.bool_]) -> float:
    """Amplitude in grey levels of what alternates from pixel to pixel: lines or a checkerboard of period 2.

    Three filters, high or low pass along each axis, each of gain 1 for its own pattern of period 2
    and 0.02 and less for waves of 8 pixels and more; the root of their energy in `where`.
    """
    high, low = np.array([1, -4, 6, -4, 1]) / 16, np.array([1, 4, 6, 4, 1]) / 16
    energy = sum(
        scipy.ndimage.convolve1d(scipy.ndimage.convolve1d(luma, along_y, axis=0), along_x, axis=1) ** 2
        for along_y, along_x in ((high, high), (high, low), (low, high))
    )
    return float(np.sqrt(np.asarray(energy)[where].mean()))


@dataclass(frozen=True, eq=False)
class Description:
    """What of a picture is compared.

    Attributes
    ----------
    features, small : dict of ndarray, float32, shape (h, w, c)
        Activations by layer, at the picture's size and at `OTHER_SCALE` of it.
    patches : list of ndarray, shape (n, 75)
    luma : ndarray, shape (H, W)
    """

    features: dict[str, Array]
    small: dict[str, Array]
    patches: list[Array]
    luma: Array


def describe(extract: Extractor, pixels: images.Pixels) -> Description:
    """Measure what comparisons need, once a picture, float32 (H, W, 3) in 0..255."""
    height, width = pixels.shape[:2]
    size = max(32, round(width * OTHER_SCALE)), max(32, round(height * OTHER_SCALE))
    return Description(extract(pixels), extract(images.resize(pixels, size)), patches(pixels), luminance(pixels))


def style_distances(made: Description, painting: Description) -> dict[str, list[float]]:
    """Every distance of a picture to a painting, by measure, a number a layer or octave."""
    return {
        "layers": [wasserstein(made.features[layer], painting.features[layer]) for layer in STYLE_LAYERS],
        "scale": [wasserstein(made.small[layer], painting.small[layer]) for layer in STYLE_LAYERS],
        "sliced": [sliced_wasserstein(made.features[layer], painting.features[layer]) for layer in STYLE_LAYERS],
        "patches": [wasserstein(a, b) for a, b in zip(made.patches, painting.patches, strict=True)],
    }


def relative(distances: Mapping[str, list[float]], plain: Mapping[str, list[float]]) -> dict[str, float]:
    """Divide by the distances of the plain photograph and average: 1 is not stylised at all, 0 is the painting."""
    return {
        name: float(np.mean([d / max(p, 1e-9) for d, p in zip(distances[name], plain[name], strict=True)]))
        for name in distances
    }


def structure_distances(made: Description, subject: Description) -> dict[str, float]:
    """How much of the photograph is left, and how clean its flat parts are."""
    features, given = made.features[STRUCTURE_LAYER], subject.features[STRUCTURE_LAYER]
    return {
        "content": feature_distance(features, given),
        "arrangement": self_similarity_distance(features, given),
        "ssim": ssim(made.luma, subject.luma),
        "grain": grain(made.luma, flat_part(subject.luma)),
    }
