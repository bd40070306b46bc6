"""Swatches: squares of texture, synthesised from noise and stored in the files of their styles."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stylebank import images
from stylebank.bank import Bank
from stylebank.errors import FingerprintMismatch, StyleFileError
from stylebank.storage.reader import read_pictures
from stylebank.style import Header, Style, nearest_scale

from ..settings import SynthesisSettings

if TYPE_CHECKING:
    from ..vgg.weights import Weights

#: Side of a swatch in pixels.
SIDE = 128
_STEPS = 40


def add_swatches(
    bank: Bank,
    names: Sequence[str],
    *,
    again: bool = False,
    weights: str | Path | None = None,
    allow_unknown_weights: bool = False,
    on_swatch: Callable[[Header, int, int], None] = lambda header, number, total: None,
    note: Callable[[str], None] = lambda text: None,
) -> int:
    """Synthesise the missing swatches of styles, and store each in its style's file.

    The content digest of a style stays; its file gets format 2.

    Parameters
    ----------
    bank
        The bank of the styles.
    names
        Names of the styles.
    again
        Replace existing swatches, too.
    weights, allow_unknown_weights
        As for `weights.load`.
    on_swatch
        Called before each swatch with the style's header, its number from 1, and the number of swatches.
    note
        Called with the reason for each style without a swatch: it is damaged, or measured with other weights.

    Returns
    -------
    int
        Number of new swatches.

    Raises
    ------
    StyleNotFound, WeightsRefused, BankBusy, OutputRefused
    """
    missing = [name for name in names if again or not _has_swatch(bank, name)]
    if not missing:
        return 0
    count = 0
    from ..vgg.weights import load

    vgg_weights = load(weights, allow_unknown=allow_unknown_weights)
    for number, name in enumerate(missing, start=1):
        try:
            header = bank.header(name)
            on_swatch(header, number, len(missing))
            style = bank.get(name, scales=[nearest_scale(header.sizes, SIDE)])
            data = images.thumbnail(texture(style, vgg_weights), SIDE)

            def change(whole: Style, data: bytes = data) -> Style:
                return dataclasses.replace(whole, swatch=data)

            bank.update(name, change)
            count += 1
        except (StyleFileError, FingerprintMismatch) as error:  # other styles go on
            note(f"no swatch: {error}")
    return count


def texture(style: Style, weights: Weights, side: int = SIDE, steps: int = _STEPS) -> images.Pixels:
    """Synthesise a square of texture from noise and a style's Gaussians.

    Parameters
    ----------
    style
        A style with a scale near `side`.
    weights
        The weights that the style was measured with.
    side
        In pixels.
    steps
        Iterations of the optimiser.

    Returns
    -------
    ndarray, float32, shape (side, side, 3)
        In 0..255.
    """
    from .stylizer import Stylizer

    settings = SynthesisSettings(size=side, steps=steps, content_weight=0.0, coarse_to_fine=False)
    noise = np.random.default_rng(0).normal(128, 40, (side, side, 3)).clip(0, 255).astype(np.float32)
    return Stylizer(style, weights, settings).stylize(noise).pixels


def _has_swatch(bank: Bank, name: str) -> bool:
    return bool(read_pictures(bank.path(name))[1])
