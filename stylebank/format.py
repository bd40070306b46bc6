"""The style file, written and read as FORMAT.md says.

A file from somebody else is hostile until checked: every reading path goes through
`read_header` or `read`, which look at links, types, layouts, shapes and storage before any
byte of data, and at the numbers before they are handed on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from . import hdf5
from .errors import StylebankError, StyleDamaged, UsageError, printable
from .names import check_name
from .style import (
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

FORMAT = "stylebank"
VERSION = 1
ARRAYS = ("mean", "cov", "cov_sqrt", "eigenvalues")
_FLOAT = np.dtype("<f4")
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
_INTEGERS = ("format_version", "source_width", "source_height")
_LONGEST_TAGS = 1 << 15  # all of them together: HDF5 keeps small attributes in a header of 64 KiB


def encode(style: Style) -> bytes:
    """Return the bytes of a style file.

    The file is built in memory, so that writing it is one plain write whose errors, such
    as a full disk, are the operating system's own.

    Parameters
    ----------
    style
        All scales of `style.header.sizes` must be present in `style.scales`.

    Raises
    ------
    UsageError
        If a scale or layer is missing, or a text cannot be kept. The numbers are not looked at.
    """
    header = style.header
    _require_writable(style)
    digests = {scale: _scale_digest(style.scales[scale], header) for scale in header.sizes}
    attributes = _attributes(header, content_digest(header, digests))
    attributes["header_sha256"] = _header_digest(attributes, style.thumbnail)
    with h5py.File("style", "w", driver="core", backing_store=False, libver=("earliest", "v110")) as file:
        for key, value in attributes.items():
            hdf5.write_attribute(file, key, value)
        if style.thumbnail:
            file.create_dataset("thumbnail", data=np.frombuffer(style.thumbnail, np.uint8))
        for scale, (width, height) in header.sizes.items():
            group = file.create_group(f"scales/{scale}")
            group.attrs["width"], group.attrs["height"] = np.int64(width), np.int64(height)
            hdf5.write_attribute(group, "sha256", digests[scale])
            for layer, gaussian in style.scales[scale].items():
                entry = group.create_group(layer)
                entry.attrs["count"] = np.int64(gaussian.count)
                for key in ARRAYS:
                    entry.create_dataset(key, data=np.ascontiguousarray(getattr(gaussian, key), _FLOAT))
        file.flush()
        return bytes(file.id.get_file_image())


def read_header(path: Path) -> Header:
    """Read what a style file says of itself, without its arrays.

    Raises
    ------
    StyleDamaged
        If the file is not a whole style file; the message says what was found where.
    """
    with hdf5.opened(path) as file:
        return _header(file)


def read(path: Path, scales: Sequence[int] | None = None) -> Style:
    """Read a style, its thumbnail and the Gaussians of `scales` (all of them by default).

    Raises
    ------
    StyleDamaged
        If anything is missing, of another type or shape, not finite, not symmetric, not
        positive, or not what the digests say.
    UsageError
        If the style was not measured at one of `scales`.
    """
    with hdf5.opened(path) as file:
        header = _header(file)
        chosen = header.sizes if scales is None else scales
        for scale in chosen:
            if scale not in header.sizes:
                known = ", ".join(map(str, header.sizes))
                raise UsageError(f"style {header.name!r} has no scale {scale}. Choose among {known}.")
        return Style(
            header,
            {scale: _scale(file, header, scale) for scale in chosen},
            _thumbnail(file),
        )


def content_digest(header: Header, scale_digests: Mapping[int, str]) -> str:
    """Digest of how a style was measured and of every number in it: its identity.

    Neither name, tags nor thumbnail count, so a renamed style is still the same one.
    """
    fingerprint, source = header.fingerprint, header.source
    return _json_digest(
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


def _require_writable(style: Style) -> None:
    header = style.header
    for scale in header.sizes:
        for layer in header.fingerprint.layers:
            if layer not in style.scales.get(scale, {}):
                raise UsageError(f"style {header.name!r}: {layer} at scale {scale} is missing. Load all its scales.")
    for key, value in _attributes(header, "").items():
        texts = value if isinstance(value, list) else [value] if isinstance(value, str) else []
        for text in texts:
            # surrogates are no UTF-8, and a fixed-length string ends before its NULs
            if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
                raise UsageError(f"style {header.name!r}: {key} {text!r} is not plain text. Choose another.")
            if len(text.encode()) > hdf5.LONGEST_TEXT:
                raise UsageError(f"style {header.name!r}: {key} is longer than {hdf5.LONGEST_TEXT} bytes. Shorten it.")
    tags = [len(tag.encode()) for tag in header.tags]
    if tags and (min(tags) == 0 or len(tags) > hdf5.MOST_TEXTS or len(tags) * max(tags) > _LONGEST_TAGS):
        raise UsageError(f"style {header.name!r}: a tag is empty, or there are too many. Give fewer or shorter ones.")


def _scale_digest(layers: Mapping[str, Gaussian], header: Header) -> str:
    digest = hashlib.sha256()
    for layer in header.fingerprint.layers:
        gaussian = layers[layer]
        for key in ARRAYS:
            array = np.ascontiguousarray(getattr(gaussian, key), _FLOAT)
            shape = "x".join(map(str, array.shape))
            digest.update(f"{layer}/{key} <f4 {shape} {gaussian.count}\n".encode())
            digest.update(array.data)
    return digest.hexdigest()


def _json_digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _header_digest(attributes: Mapping[str, Any], thumbnail: bytes) -> str:
    plain = {key: value for key, value in attributes.items() if key != "header_sha256"}
    return _json_digest({**plain, "thumbnail": hashlib.sha256(thumbnail).hexdigest()})


def _attributes(header: Header, content: str) -> dict[str, Any]:
    fingerprint, source = header.fingerprint, header.source
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "name": header.name,
        "tags": list(header.tags),
        "created": header.created,
        "network": fingerprint.network,
        "weights_sha256": fingerprint.weights_sha256,
        "layers": list(fingerprint.layers),
        "pooling": fingerprint.pooling,
        "padding": fingerprint.padding,
        "color": header.color,
        "resampling": header.resampling,
        "ridge": float(header.ridge),
        "source_filename": source.filename,
        "source_sha256": source.sha256,
        "source_width": int(source.width),
        "source_height": int(source.height),
        "stylebank_version": header.version,
        "content_sha256": content,
    }


def _header(file: h5py.File) -> Header:
    if hdf5.text(file, "format") != FORMAT:
        raise StyleDamaged("the file is HDF5 but not a style.")
    version = hdf5.integer(file, "format_version")
    if version > VERSION:
        raise StyleDamaged(
            f"the file has format {version}, and this program reads up to {VERSION}.", "Update stylebank."
        )
    hdf5.require_only(file, {"scales", "thumbnail"})
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
            raise StyleDamaged(f"/scales/{printable(key)} is of a picture of {width} x {height}.")
        sizes[int(key)] = width, height
        digests[int(key)] = hdf5.text(group, "sha256")
    if not sizes:
        raise StyleDamaged("/scales is empty.")
    header = Header(
        name=texts["name"],
        fingerprint=Fingerprint(texts["weights_sha256"], layers, texts["pooling"], texts["padding"], texts["network"]),
        source=Source(
            texts["source_filename"], texts["source_sha256"], integers["source_width"], integers["source_height"]
        ),
        sizes=sizes,
        content_sha256=texts["content_sha256"],
        tags=tags,
        created=texts["created"],
        resampling=texts["resampling"],
        color=texts["color"],
        ridge=float(ridge),
        version=texts["stylebank_version"],
    )
    if content_digest(header, digests) != header.content_sha256:
        raise StyleDamaged("content_sha256 does not match the header: the file has been changed.")
    if _header_digest(_attributes(header, header.content_sha256), _thumbnail(file)) != texts["header_sha256"]:
        raise StyleDamaged("header_sha256 does not match the attributes: the file has been changed.")
    return header


def _thumbnail(file: h5py.File) -> bytes:
    if "thumbnail" not in file:
        return b""
    return bytes(hdf5.array(file, "thumbnail", np.dtype(np.uint8), None).tobytes())


def _scale(file: h5py.File, header: Header, scale: int) -> dict[str, Gaussian]:
    group = file["scales"][str(scale)]
    layers = header.fingerprint.layers
    hdf5.require_only(group, set(layers))
    gaussians: dict[str, Gaussian] = {}
    for layer in layers:
        entry = hdf5.child(group, layer, h5py.Group)
        hdf5.require_only(entry, set(ARRAYS))
        channels = layer_channels(layer)
        shapes = {"mean": (channels,), "eigenvalues": (channels,)}
        arrays = {key: hdf5.array(entry, key, _FLOAT, shapes.get(key, (channels, channels))) for key in ARRAYS}
        gaussians[layer] = Gaussian(**arrays, count=hdf5.integer(entry, "count"))
        _check_gaussian(entry.name, gaussians[layer])
    if _scale_digest(gaussians, header) != hdf5.text(group, "sha256"):
        raise StyleDamaged(f"{group.name} does not match its sha256: the numbers have been changed.")
    return gaussians


@np.errstate(over="ignore", invalid="ignore")
def _check_gaussian(where: str, gaussian: Gaussian) -> None:
    """Refuse numbers that no covariance has; the digest proves only that they are the writer's."""
    mean, cov, cov_sqrt, eigenvalues = (getattr(gaussian, key) for key in ARRAYS)
    for key, array in zip(ARRAYS, (mean, cov, cov_sqrt, eigenvalues), strict=True):
        if not np.isfinite(array).all():
            raise StyleDamaged(f"{where}/{key} holds values that are not finite.")
    for key, array in (("cov", cov), ("cov_sqrt", cov_sqrt)):
        if np.abs(array - array.T).max() > 1e-5 * np.abs(array).max():
            raise StyleDamaged(f"{where}/{key} is not symmetric.")
    if eigenvalues.min() < 0 or (np.diff(eigenvalues) > 0).any():
        raise StyleDamaged(f"{where}/eigenvalues are negative or not in descending order.")
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
