"""Colour transfer: the painting's colours before the first step, or the subject's after the last."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stylebank.images import Pixels
from stylebank.math import gaussian
from stylebank.math.gaussian import moments
from stylebank.style import Gaussian

#: Variance in squared pixel values added to both covariances. It limits how far nearly constant colours are spread.
_RIDGE = 25.0
#: Luma weights of ITU-R BT.601, as in JPEG.
_LUMA = np.array([0.299, 0.587, 0.114])


def match_colors(
    subject: Pixels, palette: Gaussian, strength: float = 1.0, mask: npt.NDArray[np.float32] | None = None
) -> Pixels:
    """Return an image with the mean and covariance of a painting's pixels.

    The map is the optimal transport map between the two Gaussians, so colours change as little as possible.

    Parameters
    ----------
    subject : ndarray, float32, shape (H, W, 3)
        In 0..255.
    palette
        The Gaussian of the painting's pixels.
    strength : float
        0 returns the image unchanged, 1 the mapped image; values between interpolate linearly (McCann).
    mask : ndarray, float32, shape (H, W), optional
        Weights of the image's pixels.

    Returns
    -------
    ndarray, float32, shape (H, W, 3)
        Clipped to 0..255.
    """
    return _transfer_colors(subject, palette.mean, palette.cov, strength, mask)


def keep_colors(
    picture: Pixels,
    subject: Pixels,
    method: str,
    mask: npt.NDArray[np.float32] | None = None,
    whole: tuple[Pixels, Pixels, npt.NDArray[np.float32] | None] | None = None,
) -> Pixels:
    """Return an image in the colours of a subject of the same shape.

    Parameters
    ----------
    picture, subject : ndarray, float32, shape (H, W, 3)
        In 0..255.
    method : {"luma", "transport"}
        ``luma`` keeps the image's luminance and takes Cb and Cr from the subject (ITU-R BT.601). A luminance at which
        a colour would clip is moved just far enough, so that the chroma stays the subject's. ``transport`` maps the
        image's colours to the subject's mean and covariance.
    mask : ndarray, float32, shape (H, W), optional
        Weights of the pixels in both means and covariances, for ``transport``.
    whole
        Picture, subject and mask whose means and covariances count, if `picture` is a part.

    Returns
    -------
    ndarray, float32, shape (H, W, 3)
        In 0..255, up to rounding.
    """
    if method == "transport":
        source, goal, weights = (picture, subject, mask) if whole is None else whole
        mean, cov = _moments(goal, weights)
        return _transfer_colors(picture, mean, cov, 1.0, weights, source)
    # R - Y, G - Y and B - Y are linear in Cb and Cr: keeping them keeps the chroma
    chroma = subject - (subject @ _LUMA)[..., None]
    luma = (picture @ _LUMA)[..., None]
    lowest, highest = -chroma.min(axis=-1, keepdims=True), 255.0 - chroma.max(axis=-1, keepdims=True)
    return np.asarray(np.clip(luma, lowest, highest) + chroma, np.float32)


def _transfer_colors(
    picture: Pixels,
    mean: np.ndarray,
    cov: np.ndarray,
    strength: float,
    mask: npt.NDArray[np.float32] | None,
    source: Pixels | None = None,
) -> Pixels:
    source_mean, source_cov = _moments(picture if source is None else source, mask)
    transport = gaussian.transport_map(source_cov, cov, ridge=_RIDGE)
    transferred = (picture - source_mean) @ transport + mean
    return np.asarray(np.clip((1.0 - strength) * picture + strength * transferred, 0, 255), np.float32)


def _moments(picture: Pixels, mask: npt.NDArray[np.float32] | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and covariance of the pixels, weighted by the mask."""
    if mask is None:
        return moments(picture)[:2]
    rows, weights = picture.reshape(-1, 3), mask.ravel() / mask.sum(dtype=np.float64)
    mean = weights @ rows
    centred = rows - mean
    return mean, (centred * weights[:, None]).T @ centred
