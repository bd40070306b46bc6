"""Encode styles as files by the rules of FORMAT.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from ..errors import UsageError
from ..style import Header, Style
from . import hdf5
from .integrity import ARRAYS, FLOAT, content_digest, header_digest, scale_digest

FORMAT = "stylebank"
#: Newest version. A style without recipe and swatch is written as version 1, for older readers.
VERSION = 2
#: Datasets besides the scales, per version.
EXTRAS: Mapping[int, tuple[str, ...]] = {1: ("thumbnail",), 2: ("recipe", "swatch", "thumbnail")}
_MAX_TAG_BYTES = 1 << 15  # total of all tags: HDF5 keeps small attributes in a header of 64 KiB


def encode(style: Style) -> bytes:
    """Return the bytes of a style file.

    HDF5 builds the file in memory. Writing it is then one write, with the operating system's own errors.

    Parameters
    ----------
    style
        `style.scales` must have all scales of `style.header.sizes`.

    Raises
    ------
    UsageError
        If a scale or layer is missing, or a text cannot be stored. The numbers are not checked.
    """
    header = style.header
    _require_writable(style)
    digests = {scale: scale_digest(style.scales[scale], header) for scale in header.sizes}
    version = 2 if header.recipe or style.swatch else 1
    attributes = attributes_of(header, content_digest(header, digests), version)
    blobs = {"recipe": header.recipe.encode(), "swatch": style.swatch, "thumbnail": style.thumbnail}
    extras = {key: blobs[key] for key in EXTRAS[version]}
    attributes["header_sha256"] = header_digest(attributes, extras)
    with h5py.File("style", "w", driver="core", backing_store=False, libver=("earliest", "v110")) as file:
        for key, value in attributes.items():
            hdf5.write_attribute(file, key, value)
        for key, data in extras.items():
            if data:
                file.create_dataset(key, data=np.frombuffer(data, np.uint8))
        for scale, (width, height) in header.sizes.items():
            group = file.create_group(f"scales/{scale}")
            group.attrs["width"], group.attrs["height"] = np.int64(width), np.int64(height)
            hdf5.write_attribute(group, "sha256", digests[scale])
            for layer, gaussian in style.scales[scale].items():
                entry = group.create_group(layer)
                entry.attrs["count"] = np.int64(gaussian.count)
                for key in ARRAYS:
                    entry.create_dataset(key, data=np.ascontiguousarray(getattr(gaussian, key), FLOAT))
        file.flush()
        return bytes(file.id.get_file_image())


def _require_writable(style: Style) -> None:
    header = style.header
    for scale in header.sizes:
        for layer in header.fingerprint.layers:
            if layer not in style.scales.get(scale, {}):
                raise UsageError(
                    f"style {header.name!r}: {layer} at scale {scale} is missing. Load the style with all its scales."
                )
    for key, value in attributes_of(header, "").items():
        texts = value if isinstance(value, list) else [value] if isinstance(value, str) else []
        for text in texts:
            # UTF-8 has no surrogates, and a fixed-length string ends before its NULs
            if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
                raise UsageError(f"style {header.name!r}: {key} {text!r} is not plain text. Choose another.")
            if len(text.encode()) > hdf5.MAX_TEXT_BYTES:
                raise UsageError(
                    f"style {header.name!r}: {key} is longer than {hdf5.MAX_TEXT_BYTES} bytes. Shorten it."
                )
    sizes = {"thumbnail": len(style.thumbnail), "swatch": len(style.swatch), "recipe": len(header.recipe.encode())}
    for key, size in sizes.items():
        if size > hdf5.MAX_BLOB_BYTES:
            raise UsageError(f"style {header.name!r}: {key} is longer than {hdf5.MAX_BLOB_BYTES} bytes. Leave it out.")
    tags = [len(tag.encode()) for tag in header.tags]
    if tags and (min(tags) == 0 or len(tags) > hdf5.MAX_TEXTS or len(tags) * max(tags) > _MAX_TAG_BYTES):
        raise UsageError(f"style {header.name!r}: a tag is empty, or there are too many. Give fewer or shorter ones.")


def attributes_of(header: Header, content: str, version: int = VERSION) -> dict[str, Any]:
    """Return the root attributes of a file, without ``header_sha256``."""
    fingerprint, source = header.fingerprint, header.source
    return {
        "format": FORMAT,
        "format_version": version,
        "name": header.name,
        "tags": list(header.tags),
        "created": header.created,
        "network": fingerprint.network,
        "weights_sha256": fingerprint.weights_sha256,
        "layers": list(fingerprint.layers),
        "pooling": fingerprint.pooling,
        "padding": fingerprint.padding,
        "color": fingerprint.color,
        "resampling": fingerprint.resampling,
        "ridge": float(fingerprint.ridge),
        "source_filename": source.filename,
        "source_sha256": source.sha256,
        "source_width": int(source.width),
        "source_height": int(source.height),
        "stylebank_version": header.version,
        "content_sha256": content,
    }
