"""Colours of pictures: given the painting's before the first step, or the subject's after the last."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stylebank.images import Pixels
from stylebank.math import gaussian
from stylebank.math.gaussian import moments
from stylebank.style import Gaussian

#: Grey levels squared: how much a colour that hardly varies in a picture may be spread.
_RIDGE = 25.0
#: ITU-R BT.601, as JPEG has it.
_LUMA = np.array([0.299, 0.587, 0.114])


def match_colors(
    subject: Pixels, palette: Gaussian, strength: float = 1.0, mask: npt.NDArray[np.float32] | None = None
) -> Pixels:
    """Return a picture with the mean and covariance of a painting's pixels, as near to its own colours as can be.

    Parameters
    ----------
    subject : ndarray, float32, shape (H, W, 3)
        In 0..255.
    palette
        Of the painting's pixels.
    strength : float
        0 leaves the picture as it is; between 0 and 1 lies McCann's interpolation.
    mask : ndarray, float32, shape (H, W), optional
        What of the picture is to have the palette.

    Returns
    -------
    ndarray, float32, shape (H, W, 3)
        In 0..255; what the map sends beyond is clipped.
    """
    return _transfer_colors(subject, palette.mean, palette.cov, strength, mask)


def keep_colors(picture: Pixels, subject: Pixels, method: str, mask: npt.NDArray[np.float32] | None = None) -> Pixels:
    """Return a picture in the colours of a subject of the same shape.

    Parameters
    ----------
    how : {"luma", "transport"}
        ``luma`` keeps the picture's luminance alone and takes Cb and Cr of the subject, both of
        ITU-R BT.601; a luminance that would clip a colour is moved as far as it takes, so that the
        chroma is the subject's. ``transport`` maps the picture's colours to the subject's mean and
        covariance by the closed form.
    mask : ndarray, float32, shape (H, W), optional
        Whose mean and covariance: those of both pictures where it is.
    """
    if method == "transport":
        mean, cov = _moments(subject, mask)
        return _transfer_colors(picture, mean, cov, 1.0, mask)
    # R - Y, G - Y and B - Y are linear in Cb and Cr: keeping them keeps the chroma
    chroma = subject - (subject @ _LUMA)[..., None]
    luma = (picture @ _LUMA)[..., None]
    lowest, highest = -chroma.min(axis=-1, keepdims=True), 255.0 - chroma.max(axis=-1, keepdims=True)
    return np.asarray(np.clip(luma, lowest, highest) + chroma, np.float32)


def _transfer_colors(
    picture: Pixels, mean: np.ndarray, cov: np.ndarray, strength: float, mask: npt.NDArray[np.float32] | None
) -> Pixels:
    source_mean, source_cov = _moments(picture, mask)
    transport = gaussian.transport(source_cov, cov, ridge=_RIDGE)
    transferred = (picture - source_mean) @ transport + mean
    return np.asarray(np.clip((1.0 - strength) * picture + strength * transferred, 0, 255), np.float32)


def _moments(picture: Pixels, mask: npt.NDArray[np.float32] | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the pixels, each counted as the mask has it."""
    if mask is None:
        return moments(picture)[:2]
    rows, weights = picture.reshape(-1, 3), mask.ravel() / mask.sum(dtype=np.float64)
    mean = weights @ rows
    centred = rows - mean
    return mean, (centred * weights[:, None]).T @ centred
