"""Read style files by the rules of FORMAT.md.

A file may be hostile until it is checked. `read_header` and `read` check links, types, layouts, shapes and storage
before they read data, and the numbers before they return them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import StylebankError, StyleDamaged, UsageError, printable
from ..names import check_name
from ..style import (
    NETWORK,
    PADDINGS,
    POOLINGS,
    Fingerprint,
    Gaussian,
    Header,
    Source,
    Style,
    layer_channels,
    layer_order,
)
from . import hdf5
from .integrity import ARRAYS, FLOAT, check_gaussian, check_spectrum, content_digest, header_digest, scale_digest
from .writer import EXTRAS, FORMAT, VERSION, attributes_of

_STRINGS = (
    "format",
    "name",
    "created",
    "network",
    "weights_sha256",
    "pooling",
    "padding",
    "color",
    "resampling",
    "source_filename",
    "source_sha256",
    "stylebank_version",
    "content_sha256",
    "header_sha256",
)
#: Largest depth of a recipe, because writing it as JSON recurses.
_MAX_DEPTH = 32
_INTEGERS = ("format_version", "source_width", "source_height")


def read_header(path: Path) -> Header:
    """Read the header of a style file, without its arrays.

    Raises
    ------
    StyleDamaged
        If the file is damaged or not a style file; the message names the place.
    """
    with hdf5.opened(path) as file:
        return _header(file)


def read(path: Path, scales: Sequence[int] | None = None) -> Style:
    """Read a style with the Gaussians of `scales` (all by default), thumbnail and swatch.

    Raises
    ------
    StyleDamaged
        If anything is missing, has another type or shape, is not finite, symmetric or positive, or does not match
        its digest.
    UsageError
        If the style does not have one of `scales`.
    """
    with hdf5.opened(path) as file:
        header = _header(file)
        selected = header.sizes if scales is None else scales
        for scale in selected:
            if scale not in header.sizes:
                known = ", ".join(map(str, header.sizes))
                raise UsageError(f"style {header.name!r} has no scale {scale}. Choose among {known}.")
        _require_size(file, header, len(selected))
        return Style(
            header,
            {scale: _scale(file, header, scale) for scale in selected},
            _blob(file, "thumbnail"),
            _blob(file, "swatch"),
        )


def _require_size(file: h5py.File, header: Header, scales: int) -> None:
    """Refuse more numbers than the file has bytes for: hard links can make one dataset stand for many."""
    layers = header.fingerprint.layers
    declared = scales * sum(FLOAT.itemsize * math.prod(_shape(key, layer)) for layer in layers for key in ARRAYS)
    file_size = file.id.get_filesize()
    if declared > file_size:
        raise StyleDamaged(f"/scales declares {declared} bytes of numbers, and the file has {file_size}.")


def _header(file: h5py.File) -> Header:
    if hdf5.text(file, "format") != FORMAT:
        raise StyleDamaged("the file is HDF5 but not a style.")
    version = hdf5.integer(file, "format_version")
    if version > VERSION:
        raise StyleDamaged(
            f"the file has format {version}, and this program reads up to {VERSION}.", "Update stylebank."
        )
    hdf5.require_only(file, {"scales", *EXTRAS[version]})
    texts = {key: hdf5.text(file, key) for key in _STRINGS}
    integers = {key: hdf5.integer(file, key) for key in _INTEGERS}
    ridge = hdf5.attribute_of(file, "ridge")
    if not isinstance(ridge, np.floating) or not 0 <= ridge < np.inf:
        raise StyleDamaged(f"attribute 'ridge' is {ridge!r}; expected a number from 0 up.")
    layers = hdf5.texts(file, "layers")
    tags = hdf5.texts(file, "tags") if "tags" in file.attrs else ()
    try:
        name = check_name(texts["name"])
        ordered = layer_order(layers)
    except StylebankError as error:
        raise StyleDamaged(str(error)) from error
    if name != texts["name"]:
        raise StyleDamaged(f"attribute 'name' is {name!r}, but not in Unicode's NFC form.")
    if ordered != layers:
        raise StyleDamaged(f"attribute 'layers' is not in the network's order: {' '.join(layers)}.")
    for key, allowed in (("network", (NETWORK,)), ("pooling", POOLINGS), ("padding", PADDINGS)):
        if texts[key] not in allowed:
            raise StyleDamaged(f"attribute {key!r} is {texts[key]!r}; expected one of {', '.join(allowed)}.")
    sizes: dict[int, tuple[int, int]] = {}
    digests: dict[int, str] = {}
    scales = hdf5.child(file, "scales", h5py.Group)
    for key in sorted(scales, key=lambda text: (len(text), text)):
        group = hdf5.child(scales, key, h5py.Group)
        width, height = hdf5.integer(group, "width"), hdf5.integer(group, "height")
        if key != str(max(width, height)):
            raise StyleDamaged(
                f"/scales/{printable(key)} has a size of {width} x {height}; its name must be the longest side."
            )
        sizes[int(key)] = width, height
        digests[int(key)] = hdf5.text(group, "sha256")
    if not sizes:
        raise StyleDamaged("/scales is empty.")
    extras = {key: _blob(file, key) for key in EXTRAS[version]}
    header = Header(
        name=texts["name"],
        fingerprint=Fingerprint(
            weights_sha256=texts["weights_sha256"],
            layers=layers,
            pooling=texts["pooling"],
            padding=texts["padding"],
            network=texts["network"],
            color=texts["color"],
            resampling=texts["resampling"],
            ridge=float(ridge),
        ),
        source=Source(
            texts["source_filename"], texts["source_sha256"], integers["source_width"], integers["source_height"]
        ),
        sizes=sizes,
        content_sha256=texts["content_sha256"],
        tags=tags,
        created=texts["created"],
        version=texts["stylebank_version"],
        recipe=parse_recipe(extras.get("recipe", b""), texts["source_sha256"]),
    )
    if content_digest(header, digests) != header.content_sha256:
        raise StyleDamaged("content_sha256 does not match the header: the file has been changed.")
    if header_digest(attributes_of(header, header.content_sha256, version), extras) != texts["header_sha256"]:
        raise StyleDamaged("header_sha256 does not match the attributes: the file has been changed.")
    return header


def _blob(file: h5py.File, key: str) -> bytes:
    if key not in file:
        return b""
    return bytes(hdf5.array(file, key, np.dtype(np.uint8), None).tobytes())


def read_pictures(path: Path) -> tuple[bytes, bytes]:
    """Read thumbnail and swatch of a style; each is empty if the style has none.

    Raises
    ------
    StyleDamaged
    """
    with hdf5.opened(path) as file:
        return _blob(file, "thumbnail"), _blob(file, "swatch")


def read_parts(
    path: Path, scale: int, keys: Sequence[str], layers: Sequence[str]
) -> dict[str, dict[str, npt.NDArray[np.float32]]]:
    """Read some arrays of a scale, for a comparison.

    Types, shapes, storage, finiteness, and sign and order of the eigenvalues are checked. The scale's digest is not,
    so the arrays must not be used as a style.

    Parameters
    ----------
    keys
        Names in `ARRAYS`.
    layers
        Layers of the style.

    Returns
    -------
    dict
        By layer, then by key.

    Raises
    ------
    StyleDamaged
    """
    with hdf5.opened(path) as file:
        group = hdf5.child(hdf5.child(file, "scales", h5py.Group), str(scale), h5py.Group)
        parts: dict[str, dict[str, npt.NDArray[np.float32]]] = {}
        for layer in layers:
            entry = hdf5.child(group, layer, h5py.Group)
            parts[layer] = {key: hdf5.array(entry, key, FLOAT, _shape(key, layer)) for key in keys}
            for key, array in parts[layer].items():
                if not np.isfinite(array).all():
                    raise StyleDamaged(f"{entry.name}/{key} holds values that are not finite.")
                if key == "eigenvalues":
                    check_spectrum(entry.name, array)
        return parts


def _shape(key: str, layer: str) -> tuple[int, ...]:
    channels = layer_channels(layer)
    return (channels,) if key in ("mean", "eigenvalues") else (channels, channels)


def parse_recipe(data: bytes, source_sha256: str) -> str:
    """Return a recipe's text, a JSON object with the digest `source_sha256`; `StyleDamaged` for anything else."""
    if not data:
        return ""
    try:
        text = data.decode()
        content = json.loads(text)
        # `list --json` prints it, so lone surrogates and NaN are refused
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
        valid = isinstance(content, dict) and _depth(content) <= _MAX_DEPTH
    except (ValueError, RecursionError):
        valid = False
    if not valid:
        raise StyleDamaged("/recipe is not a JSON object.")
    if hashlib.sha256(data).hexdigest() != source_sha256:
        raise StyleDamaged("/recipe does not match source_sha256: the file has been changed.")
    return text


def _depth(content: Any) -> int:
    depth, level = 0, [content]
    while level:
        depth += 1
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return depth


def _scale(file: h5py.File, header: Header, scale: int) -> dict[str, Gaussian]:
    group = file["scales"][str(scale)]
    layers = header.fingerprint.layers
    hdf5.require_only(group, set(layers))
    gaussians: dict[str, Gaussian] = {}
    for layer in layers:
        entry = hdf5.child(group, layer, h5py.Group)
        hdf5.require_only(entry, set(ARRAYS))
        arrays = {key: hdf5.array(entry, key, FLOAT, _shape(key, layer)) for key in ARRAYS}
        gaussians[layer] = Gaussian(**arrays, count=hdf5.integer(entry, "count"))
        check_gaussian(entry.name, gaussians[layer])
    if scale_digest(gaussians, header) != hdf5.text(group, "sha256"):
        raise StyleDamaged(f"{group.name} does not match its sha256: the numbers have been changed.")
    return gaussians
