"""Work of a picture: pixels and steps of its sizes."""

from __future__ import annotations

from ..settings import SynthesisSettings
from ..synthesis.proof import level_sizes, measured_pixels
from ..synthesis.pyramid import pyramid

#: Time of a forward pass by that of a step, which has a backward pass of twice its work.
_FORWARD_TIME = 1 / 3


def cost(size: tuple[int, int], settings: SynthesisSettings, regions: int) -> float:
    """Return pixels times steps of a picture of `size` (width, height), with the measurements of a proof."""
    steps = sum(settings.steps * width * height for width, height in sizes_computed(size, settings))
    return steps + _FORWARD_TIME * regions * measured_pixels(pyramid(size, settings), settings)


def sizes_computed(size: tuple[int, int], settings: SynthesisSettings) -> list[tuple[int, int]]:
    """Return width and height of what is computed at each size of the pyramid."""
    return level_sizes(pyramid(size, settings), settings)
