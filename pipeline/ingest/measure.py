"""Measure a painting: the mean and covariance of its activations, as a `Style`."""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

import stylebank
from stylebank import images
from stylebank.errors import UsageError, printable
from stylebank.math import gaussian
from stylebank.names import check_name
from stylebank.style import PIXELS, Fingerprint, Gaussian, Header, Source, Style

from ..backends.runtime import backend_settings, to_numpy, to_tensors
from ..settings import IngestSettings
from ..vgg.network import VGG19
from ..vgg.weights import Weights

_log = logging.getLogger("stylebank")


@backend_settings()
def measure(
    path: str | os.PathLike[str],
    weights: Weights,
    settings: IngestSettings | None = None,
    *,
    name: str | None = None,
    tags: tuple[str, ...] = (),
    max_pixels: int = images.MAX_PIXELS,
    note: Callable[[str], None] = _log.info,
    on_scale: Callable[[int, int, int], None] = lambda scale, number, total: None,
) -> Style:
    """Measure a painting at every scale.

    Parameters
    ----------
    path
        An image file, as `images.load` reads it. Transparency is composited on white.
    weights
        As `weights.load` returns them.
    settings
        Layers, scales, pooling and padding.
    name
        The style's name; the file's stem by default.
    tags
        Words to find the style by.
    max_pixels
        Refuse a larger image.
    note
        Called with each notice for the user. The default logs it to ``stylebank``.
    on_scale
        Called before each scale with the scale in pixels, its number from 1, and the number of scales.

    Returns
    -------
    Style
        Float32 moments. They are summed in float64 over float32 activations; square roots are taken in float64.

    Raises
    ------
    ImageRefused, NameRefused, UsageError
    """
    settings = settings or IngestSettings()
    name = check_name(Path(path).stem if name is None else name)
    picture = images.load(path, max_pixels=max_pixels)
    for text in picture.notes:
        note(f"{printable(path)}: {text}")
    if picture.alpha is not None:
        note(f"{printable(path)}: has transparency; composited over white")
    pixels = images.composite_on_white(picture.pixels, picture.alpha)
    network = VGG19(weights, settings.pooling, settings.padding)
    sizes = _sizes(picture.size, settings.scales, str(path))
    scales = {}
    for number, (scale, size) in enumerate(sizes.items(), start=1):
        on_scale(scale, number, len(sizes))
        scales[scale] = measure_pixels(images.resize(pixels, size), network, settings.layers)
    header = Header(
        name=name,
        fingerprint=Fingerprint(
            weights.sha256,
            (PIXELS, *settings.layers),
            settings.pooling,
            settings.padding,
            resampling=images.RESAMPLING,
        ),
        source=Source(printable(Path(path).name), picture.sha256, *picture.size),
        sizes=sizes,
        tags=tuple(dict.fromkeys(tags)),
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        version=stylebank.__version__,
    )
    return Style(header, scales, images.thumbnail(pixels))


@backend_settings()
def measure_pixels(pixels: images.Pixels, network: VGG19, layers: tuple[str, ...]) -> dict[str, Gaussian]:
    """Return the Gaussians of the pixels and of every layer for one image at its own size.

    Parameters
    ----------
    pixels : ndarray, float32, shape (H, W, 3)
        In 0..255.
    network
        The network to measure with.
    layers
        Names of the layers to measure.

    Returns
    -------
    dict of str to Gaussian
        By layer, with ``pixels`` first.
    """
    image = to_tensors(np.ascontiguousarray(pixels, np.float32))
    selected = set(layers)
    gaussians = {PIXELS: _gaussian(pixels)}
    for layer, activations in network.iter_layers(image, network.parameters, network.last_of(layers)):
        if layer in selected:
            gaussians[layer] = _gaussian(to_numpy(activations))
    return gaussians


def _gaussian(activations: npt.NDArray[np.floating]) -> Gaussian:
    mean, cov, count = gaussian.moments(activations)
    cov_sqrt, eigenvalues = gaussian.sqrtm_psd(cov)
    return Gaussian(
        mean=mean.astype(np.float32),
        cov=((cov + cov.T) / 2).astype(np.float32),
        cov_sqrt=cov_sqrt.astype(np.float32),
        eigenvalues=eigenvalues.astype(np.float32),
        count=count,
    )


def _sizes(painting_size: tuple[int, int], scales: tuple[int, ...], path: str) -> dict[int, tuple[int, int]]:
    """Return the (width, height) to measure at, by longest side.

    Paintings are never enlarged. Scales at which the painting is too thin are skipped.
    """
    longest = max(painting_size)
    longest_sides = sorted({min(scale, longest) for scale in scales} or {longest})
    sizes: dict[int, tuple[int, int]] = {}
    for scale in longest_sides:
        try:
            sizes[scale] = images.fit(painting_size, scale)
        except UsageError:
            if scale == longest_sides[-1]:
                raise UsageError(
                    f"{printable(path)}: {painting_size[0]} x {painting_size[1]} is too thin to be measured at "
                    f"{' or '.join(map(str, longest_sides))} pixels. Give larger --scales."
                ) from None
    return sizes
