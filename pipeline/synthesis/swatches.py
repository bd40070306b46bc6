"""Swatches: texture of a style alone, made from noise, kept in its file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stylebank import images
from stylebank.bank import Bank
from stylebank.errors import FingerprintMismatch, StyleDamaged
from stylebank.storage.reader import read_pictures
from stylebank.style import Header, Style, nearest_scale

from ..settings import SynthesisSettings

if TYPE_CHECKING:
    from ..vgg.weights import Weights

#: Pixels a side.
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
    """Make the swatches that styles do not have yet, and keep each in its style's file.

    A style's content digest stays; its file gets format 2.

    Parameters
    ----------
    names
        Of the styles.
    again
        Make those that are there anew.
    weights, allow_unknown_weights
        As for `weights.load`.
    on_swatch
        Called with the style's header, its number from 1, and how many there are, before each.
    note
        Called with the reason for each style that gets none: damaged, or measured with other weights.

    Returns
    -------
    int
        How many were made.

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
        except (StyleDamaged, FingerprintMismatch) as error:  # this style's alone
            note(f"no swatch: {error}")
    return count


def texture(style: Style, weights: Weights, side: int = SIDE, steps: int = _STEPS) -> images.Pixels:
    """Make a square of texture from noise with nothing but a style's Gaussians.

    Parameters
    ----------
    weights
        Those the style was measured with.
    side
        In pixels.
    steps
        Of the optimiser.

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
