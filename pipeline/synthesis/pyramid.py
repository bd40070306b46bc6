"""Sizes to work at, from coarse to fine, and the scales of a style that belong to them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from stylebank import images
from stylebank.errors import UsageError

from ..settings import SynthesisSettings

#: The coarsest picture's longest side is at least this, where the size allows.
MIN_COARSE_SIDE = 160
#: A style's scale within this ratio of the size worked at is taken as it is.
_SAME_SCALE_RATIO = 1.06


def pyramid(subject_size: tuple[int, int], settings: SynthesisSettings) -> list[tuple[int, int]]:
    """Sizes (width, height) to work at, coarsest first; the last is the output's.

    Raises
    ------
    UsageError
        If the final one is too thin for the network.
    """
    final = images.fit(subject_size, settings.size or max(subject_size))
    sizes = [final]
    while settings.coarse_to_fine and max(sizes[0]) // 2 >= MIN_COARSE_SIDE:
        try:
            sizes.insert(0, images.fit(final, max(sizes[0]) // 2))
        except UsageError:
            break
    return sizes


def neighbouring_scales(scales: Iterable[int], side: float) -> tuple[int, int, float]:
    """Return the scales below and above a longest side, and how far it is from the one to the other, in octaves.

    Both are the same where one is near enough, or where nothing lies beyond.

    >>> bracket([256, 512, 659], 362)
    (256, 512, 0.4998...)
    >>> bracket([256, 512, 659], 2048)
    (659, 659, 0.0)
    """
    ordered = sorted(scales)
    nearest = min(ordered, key=lambda scale: (max(scale, side) / min(scale, side), scale))
    if max(nearest, side) <= _SAME_SCALE_RATIO * min(nearest, side) or not ordered[0] < side < ordered[-1]:
        return nearest, nearest, 0.0
    below = max(scale for scale in ordered if scale < side)
    above = min(scale for scale in ordered if scale > side)
    return below, above, math.log(side / below) / math.log(above / below)


def scales_for(style_scales: Sequence[int], settings: SynthesisSettings) -> list[int] | None:
    """Return which measured scales a run at a fixed size needs; None when it may be any."""
    if not settings.size:
        return None
    sides = [max(size) * settings.style_scale for size in pyramid((settings.size, settings.size), settings)]
    return sorted({scale for side in sides for scale in neighbouring_scales(style_scales, side)[:2]})
