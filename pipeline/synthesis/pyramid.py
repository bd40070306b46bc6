"""The sizes of a synthesis from coarse to fine, and the scales of a style that belong to them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from stylebank import images
from stylebank.errors import UsageError

from ..settings import SynthesisSettings

#: The least longest side of the coarsest level, in pixels, if the output is larger.
MIN_COARSE_SIDE = 160
#: A scale within this ratio of a size is used as it is.
_SAME_SCALE_RATIO = 1.06


def pyramid(subject_size: tuple[int, int], settings: SynthesisSettings) -> list[tuple[int, int]]:
    """Return the sizes (width, height) of a synthesis, coarsest first. The last one is the output's.

    Raises
    ------
    UsageError
        If the output is too thin for the network.
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
    """Return the scales below and above a longest side, and its position between them in octaves, 0 to 1.

    Both are the same scale if one is near enough, or if `side` lies outside the range.

    >>> neighbouring_scales([256, 512, 659], 362)
    (256, 512, 0.4998...)
    >>> neighbouring_scales([256, 512, 659], 2048)
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
    """Return the measured scales that a run at a fixed size needs; None if it may need any."""
    if not settings.size:
        return None
    sides = [max(size) * settings.style_scale for size in pyramid((settings.size, settings.size), settings)]
    return sorted({scale for side in sides for scale in neighbouring_scales(style_scales, side)[:2]})
