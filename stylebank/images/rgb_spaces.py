"""RGB colour spaces that files name by primaries and a transfer curve, without an ICC profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
#: CIE x and y of white, red, green and blue.
Primaries = tuple[float, float, float, float, float, float, float, float]

_D65 = (0.3127, 0.3290)
SRGB_PRIMARIES: Primaries = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
#: Primaries by their code in ITU-T H.273, as in cICP of PNG and nclx of HEIF.
_PRIMARIES: dict[int, Primaries] = {
    1: SRGB_PRIMARIES,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
#: Luminance of diffuse white in HDR pictures, in cd/m2 (ITU-R BT.2408).
_DIFFUSE_WHITE = 203
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_ROWS = 256


@dataclass(frozen=True)
class RgbSpace:
    """An RGB colour space.

    Attributes
    ----------
    to_linear : callable, or None
        Function of encoded values in 0..1 that returns linear light, 1 for diffuse white. None is the curve of sRGB.
    primaries : tuple of 8 floats
        CIE x and y of white, red, green and blue.
    hdr : str
        Name of the curve if it reaches above diffuse white, else empty.
    """

    to_linear: Callable[[Floats], Floats] | None = None
    primaries: Primaries = SRGB_PRIMARIES
    hdr: str = ""

    @property
    def is_srgb(self) -> bool:
        """Whether no conversion is needed."""
        return self.to_linear is None and np.allclose(self.primaries, SRGB_PRIMARIES, atol=2e-3)

    def to_srgb(self, values: npt.NDArray[np.unsignedinteger]) -> Floats:
        """Convert to sRGB; colours outside it are clipped.

        Parameters
        ----------
        values : ndarray of uint8 or uint16, shape (H, W, C)
            C is 1 for grey or 3 for RGB.

        Returns
        -------
        ndarray, float32, shape (H, W, C)
            Values in 0..255.
        """
        codes = np.arange(np.iinfo(values.dtype).max + 1, dtype=np.float32)
        linear = (self.to_linear or srgb_to_linear)(codes / codes[-1]).astype(np.float32)
        matrix = to_srgb_matrix(self.primaries).astype(np.float32)
        result = np.empty(values.shape, np.float32)
        for start in range(0, len(values), _ROWS):
            rows = linear[values[start : start + _ROWS]]
            if values.shape[2] == 3:
                rows = rows @ matrix.T
            result[start : start + _ROWS] = 255 * srgb_from_linear(np.clip(rows, 0, 1))
        return result


def power_space(exponent: float, primaries: Primaries = SRGB_PRIMARIES) -> RgbSpace:
    """Return a space whose linear light is the encoded value to the power of `exponent`."""
    return RgbSpace(lambda values: np.power(values, np.float32(exponent)), primaries)


#: Adobe RGB (1998).
ADOBE_RGB = power_space(563 / 256, (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06))


def space_of_codes(primaries: int, transfer: int) -> RgbSpace | None:
    """Return the space of two codes of ITU-T H.273; None if a code is unknown. 2 is unspecified and counts as sRGB."""
    known: dict[int, tuple[Callable[[Floats], Floats] | None, str]] = {
        **dict.fromkeys((1, 6, 14, 15), (None, "")),  # encoders for video mark ordinary pictures so; browsers agree
        2: (None, ""),
        4: (lambda values: values ** np.float32(2.2), ""),
        5: (lambda values: values ** np.float32(2.8), ""),
        8: (lambda values: values, ""),
        13: (None, ""),
        16: (_pq_to_linear, "PQ"),
        18: (_hlg_to_linear, "HLG"),
    }
    chromaticities = SRGB_PRIMARIES if primaries == 2 else _PRIMARIES.get(primaries)
    if chromaticities is None or transfer not in known:
        return None
    curve, hdr = known[transfer]
    return RgbSpace(curve, chromaticities, hdr)


def srgb_to_linear(values: Floats) -> Floats:
    """Return linear light of sRGB values in 0..1 (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** np.float32(2.4))


def srgb_from_linear(values: Floats) -> Floats:
    """Return sRGB values of linear light in 0..1 (IEC 61966-2-1)."""
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** np.float32(1 / 2.4) - 0.055)


def to_srgb_matrix(primaries: Primaries) -> npt.NDArray[np.float64]:
    """Return the matrix, (3, 3), from linear RGB of some primaries to linear sRGB, with Bradford adaptation."""
    source, source_white = _to_xyz(primaries)
    target, target_white = _to_xyz(SRGB_PRIMARIES)
    gains = (_BRADFORD @ target_white) / (_BRADFORD @ source_white)
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD
    return np.asarray(np.linalg.inv(target) @ adaptation @ source)


def _to_xyz(primaries: Primaries) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the matrix from linear RGB to XYZ, and the white, both for a white of Y = 1."""
    white, *colors = (np.array([x, y, 1 - x - y]) / y for x, y in zip(primaries[::2], primaries[1::2], strict=True))
    columns = np.stack(colors, axis=1)
    return columns * np.linalg.solve(columns, white), white


def _pq_to_linear(values: Floats) -> Floats:
    """Return linear light by the perceptual quantizer (SMPTE ST 2084)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = values.astype(np.float64) ** (1 / m2)
    light = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return np.asarray(light * (10_000 / _DIFFUSE_WHITE), np.float32)


def _hlg_to_linear(values: Floats) -> Floats:
    """Return linear light of hybrid log-gamma (ITU-R BT.2100), with the code 0.75 as diffuse white."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    wide = values.astype(np.float64)
    scene = np.where(wide <= 0.5, wide**2 / 3, (np.exp((wide - c) / a) + b) / 12)
    white = (np.exp((0.75 - c) / a) + b) / 12
    return np.asarray((scene / white) ** 1.2, np.float32)
