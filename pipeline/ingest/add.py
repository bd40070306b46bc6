"""Measure a painting and store it in a bank."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stylebank.bank import Bank
from stylebank.bank.transfer import without_pictures
from stylebank.errors import NameRefused
from stylebank.images import MAX_PIXELS, shown_size
from stylebank.images import load as load_image
from stylebank.style import Header

from ..settings import ingest_settings

_log = logging.getLogger("stylebank")


def add(
    bank: Bank,
    image: str | os.PathLike[str],
    *,
    name: str | None = None,
    tags: Sequence[str] = (),
    replace: bool = False,
    preset: str | None = None,
    weights: str | Path | None = None,
    allow_unknown_weights: bool = False,
    max_pixels: int = MAX_PIXELS,
    no_thumbnail: bool = False,
    note: Callable[[str], None] = _log.info,
    on_scale: Callable[[int, int, int], None] = lambda scale, number, total: None,
    **settings: Any,
) -> Header:
    """Measure a painting and store it in a bank.

    Parameters
    ----------
    bank
        The bank to add to.
    image
        Path of the painting.
    name
        The style's name; the file's stem by default.
    tags
        Words to find the style by.
    replace
        Overwrite a style of the same name.
    preset : {"original"}, optional
        Settings of the original program. Settings in `settings` take precedence.
    weights, allow_unknown_weights
        As for `weights.load`.
    max_pixels
        Refuse a larger image.
    no_thumbnail
        Store no thumbnail of the painting.
    note
        Called with each notice for the user, such as composited transparency. The default logs it to ``stylebank``.
    on_scale
        Called before each scale with the scale in pixels, its number from 1, and the number of scales.
    **settings
        Fields of `IngestSettings`.

    Returns
    -------
    Header
        The stored style's header.

    Raises
    ------
    StylebankError
        Bad names, bad settings and existing styles are refused before the painting is measured.
    """
    from ..vgg.weights import load

    measure_settings = ingest_settings(preset, **settings)
    try:
        name = bank.ensure_available(Path(image).stem if name is None else name, replace=replace)
    except NameRefused as error:
        if name is not None:
            raise
        raise NameRefused(str(error).replace("Choose another.", "Give another with --name.")) from error
    if shown_size(image) is None:
        load_image(image, max_pixels=max_pixels)  # raises the reason before a backend is loaded
    vgg_weights = load(weights, allow_unknown=allow_unknown_weights)
    from .measure import measure

    style = measure(
        image,
        vgg_weights,
        measure_settings,
        name=name,
        tags=tuple(tags),
        max_pixels=max_pixels,
        note=note,
        on_scale=on_scale,
    )
    return bank.add(without_pictures(style) if no_thumbnail else style, replace=replace)
