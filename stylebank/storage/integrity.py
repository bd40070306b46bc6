"""The digests of a style file, as FORMAT.md says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..style import Gaussian, Header

ARRAYS = ("mean", "cov", "cov_sqrt", "eigenvalues")
FLOAT = np.dtype("<f4")


def content_digest(header: Header, scale_digests: Mapping[int, str]) -> str:
    """Digest of how a style was measured and of every number in it: its identity.

    Neither name, tags nor thumbnail count, so a renamed style is still the same one.
    """
    fingerprint, source = header.fingerprint, header.source
    return json_digest(
        {
            "color": header.color,
            "layers": list(fingerprint.layers),
            "network": fingerprint.network,
            "padding": fingerprint.padding,
            "pooling": fingerprint.pooling,
            "resampling": header.resampling,
            "ridge": float(header.ridge),
            "scales": {
                str(scale): [width, height, scale_digests[scale]] for scale, (width, height) in header.sizes.items()
            },
            "source_sha256": source.sha256,
            "weights_sha256": fingerprint.weights_sha256,
        }
    )


def scale_digest(layers: Mapping[str, Gaussian], header: Header) -> str:
    """Digest of one scale's numbers."""
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
    """Digest of an object's canonical JSON."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def header_digest(attributes: Mapping[str, Any], extras: Mapping[str, bytes]) -> str:
    """Digest of all root attributes but itself, and of the datasets beside the scales.

    Parameters
    ----------
    attributes
        Those of the format's version.
    extras
        The bytes of every dataset that the version knows, empty where the file has none.
    """
    plain = {key: value for key, value in attributes.items() if key != "header_sha256"}
    return json_digest({**plain, **{key: hashlib.sha256(data).hexdigest() for key, data in extras.items()}})
