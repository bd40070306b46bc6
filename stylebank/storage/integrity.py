"""Digests of style files, and checks of their numbers, by the rules of FORMAT.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import StyleDamaged
from ..style import Gaussian, Header

ARRAYS = ("mean", "cov", "cov_sqrt", "eigenvalues")
FLOAT = np.dtype("<f4")


def content_digest(header: Header, scale_digests: Mapping[int, str]) -> str:
    """Return the digest of a style's fingerprint and numbers: its identity.

    Name, tags, thumbnail and swatch are not included, so a renamed style keeps its digest.
    """
    fingerprint, source = header.fingerprint, header.source
    return json_digest(
        {
            "color": fingerprint.color,
            "layers": list(fingerprint.layers),
            "network": fingerprint.network,
            "padding": fingerprint.padding,
            "pooling": fingerprint.pooling,
            "resampling": fingerprint.resampling,
            "ridge": float(fingerprint.ridge),
            "scales": {
                str(scale): [width, height, scale_digests[scale]] for scale, (width, height) in header.sizes.items()
            },
            "source_sha256": source.sha256,
            "weights_sha256": fingerprint.weights_sha256,
        }
    )


def scale_digest(layers: Mapping[str, Gaussian], header: Header) -> str:
    """Return the digest of one scale's numbers."""
    digest = hashlib.sha256()
    for layer in header.fingerprint.layers:
        gaussian = layers[layer]
        for key in ARRAYS:
            array = np.ascontiguousarray(getattr(gaussian, key), FLOAT)
            shape = "x".join(map(str, array.shape))
            digest.update(f"{layer}/{key} <f4 {shape} {gaussian.count}\n".encode())
            digest.update(array.data)
    return digest.hexdigest()


def json_digest(content: Mapping[str, Any]) -> str:
    """Return the digest of an object's canonical JSON."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def header_digest(attributes: Mapping[str, Any], extras: Mapping[str, bytes]) -> str:
    """Return the digest of all other root attributes, and of the datasets besides the scales.

    Parameters
    ----------
    attributes
        Root attributes of the file's version.
    extras
        Bytes of each dataset of the version, empty if the file does not have it.
    """
    plain = {key: value for key, value in attributes.items() if key != "header_sha256"}
    return json_digest({**plain, **{key: hashlib.sha256(data).hexdigest() for key, data in extras.items()}})


@np.errstate(over="ignore", invalid="ignore")
def check_gaussian(where: str, gaussian: Gaussian) -> None:
    """Refuse numbers that are no covariance with its root; a digest does not check this."""
    mean, cov, cov_sqrt, eigenvalues = (getattr(gaussian, key) for key in ARRAYS)
    for key, array in zip(ARRAYS, (mean, cov, cov_sqrt, eigenvalues), strict=True):
        if not np.isfinite(array).all():
            raise StyleDamaged(f"{where}/{key} holds values that are not finite.")
    for key, array in (("cov", cov), ("cov_sqrt", cov_sqrt)):
        if np.abs(array - array.T).max() > 1e-5 * np.abs(array).max():
            raise StyleDamaged(f"{where}/{key} is not symmetric.")
    check_spectrum(where, eigenvalues)
    tiny = float(np.finfo(np.float32).tiny)
    norm, root_norm = (float(np.linalg.norm(array.astype(np.float64))) for array in (cov, cov_sqrt))
    error = float(np.linalg.norm((cov_sqrt @ cov_sqrt - cov).astype(np.float64)))
    if not error <= 1e-3 * max(norm, tiny):  # also when huge numbers overflowed to NaN
        raise StyleDamaged(f"{where}/cov_sqrt squared is not cov (off by {error:.3g} of {norm:.3g}).")
    try:
        np.linalg.cholesky(cov_sqrt + max(1e-4 * root_norm, tiny) * np.eye(len(mean)))
    except np.linalg.LinAlgError:
        raise StyleDamaged(f"{where}/cov_sqrt has a negative eigenvalue.") from None
    spectrum = eigenvalues.astype(np.float64)
    least = 1e-3 * max(float(np.abs(cov).max()), tiny) * len(mean)
    for name, got, expected in (
        ("trace of cov", np.trace(cov, dtype=np.float64), spectrum.sum()),
        ("trace of cov_sqrt, squared", np.trace(cov_sqrt, dtype=np.float64) ** 2, np.sqrt(spectrum).sum() ** 2),
    ):
        if abs(got - expected) > 1e-3 * max(expected, least):
            raise StyleDamaged(f"{where}: the {name} is {got:.6g}, and the eigenvalues say {expected:.6g}.")


def check_spectrum(where: str, eigenvalues: npt.NDArray[np.float32]) -> None:
    """Refuse eigenvalues that are negative or not in descending order."""
    if eigenvalues.min() < 0 or (np.diff(eigenvalues) > 0).any():
        raise StyleDamaged(f"{where}/eigenvalues are negative or not in descending order.")
