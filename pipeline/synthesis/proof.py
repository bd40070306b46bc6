"""Places of a proof: the tile in the finished picture, and the parts of the larger sizes that it needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from stylebank import images
from stylebank.errors import UsageError
from stylebank.images import Pixels

from ..settings import SynthesisSettings
from ..validation import proof_position

#: Left, top, right and bottom edge in pixels.
Box = tuple[int, int, int, int]
Size = tuple[int, int]

#: Largest number of pixels of a size that is computed whole: about as much work as the part of a larger one.
WHOLE_PIXELS = 600_000
#: Pixels around the tile at each size. Beyond them the deepest layers see little of the tile.
MARGIN = 96
#: Edges of parts are multiples of it, so that the network pools the same pixels as in the whole picture.
_GRID = 16
#: Parts that are measured for the statistics of a whole size, beside that of the tile.
MOST_SAMPLES = 7
_DETAIL_SIDE = 512
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def tile_box(subject: Pixels, size: Size, settings: SynthesisSettings) -> Box:
    """Return the place of the tile in the finished picture.

    Parameters
    ----------
    subject : ndarray, float32, shape (H, W, 3)
        At any size.
    size
        Width and height of the finished picture.
    settings
        ``proof`` is the side of the tile, and ``proof_at`` its centre. By default it lies where the sum of the
        subject's gradients is largest.
    """
    sides = [min(settings.proof or max(size), side) for side in size]
    if settings.proof_at is not None:
        centre = [part / 100 * side for part, side in zip(proof_position(settings.proof_at), size, strict=True)]
    else:
        centre = _most_detail(subject, size, sides)
    left, top = (
        min(max(0, round(middle - tile / 2)), side - tile)
        for middle, tile, side in zip(centre, sides, size, strict=True)
    )
    return left, top, left + sides[0], top + sides[1]


def _most_detail(subject: Pixels, size: Size, sides: Sequence[int]) -> list[float]:
    """Return the centre of the tile with most detail, in pixels of the finished picture."""
    ratio = min(1.0, _DETAIL_SIDE / max(subject.shape[:2]))
    width, height = (max(1, round(side * ratio)) for side in subject.shape[1::-1])
    luma = images.resize(subject, (width, height)) @ _LUMA
    rows, columns = np.gradient(luma) if min(luma.shape) > 1 else (luma * 0, luma * 0)
    tile = [max(1, round(tile * small / side)) for tile, small, side in zip(sides, (width, height), size, strict=True)]
    detail = ndimage.uniform_filter(np.hypot(rows, columns), size=tile[::-1], mode="constant")
    top, left = tile[1] // 2, tile[0] // 2
    inside = detail[top : max(top + 1, height - (tile[1] - 1) // 2), left : max(left + 1, width - (tile[0] - 1) // 2)]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return [(left + column + 0.5) * size[0] / width, (top + row + 0.5) * size[1] / height]


def whole_levels(sizes: Sequence[Size]) -> int:
    """Return how many of the sizes, coarsest first, are computed whole; at least 1."""
    return max(1, sum(math.prod(size) <= WHOLE_PIXELS for size in sizes))


def part_box(tile: Box, size: Size, level_size: Size) -> Box:
    """Return the part of a smaller size, with a margin, that the tile of the finished picture needs."""
    edges = []
    for axis in (0, 1):
        ratio = level_size[axis] / size[axis]
        first = math.floor((tile[axis] * ratio - MARGIN) / _GRID) * _GRID
        last = math.ceil((tile[axis + 2] * ratio + MARGIN) / _GRID) * _GRID
        edges.append((max(0, first), min(level_size[axis], last)))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


def sample_boxes(part: Box, size: Size) -> list[Box]:
    """Return parts of the same shape, spread evenly over a size."""
    width, height = part[2] - part[0], part[3] - part[1]
    starts = []
    for side, whole in ((width, size[0]), (height, size[1])):
        count = -(-whole // side)
        starts.append([round((whole - side) * number / max(1, count - 1) / _GRID) * _GRID for number in range(count)])
    boxes = [
        (left, top, left + width, top + height)
        for top in (min(each, size[1] - height) for each in starts[1])
        for left in (min(each, size[0] - width) for each in starts[0])
    ]
    picked = np.unique(np.linspace(0, len(boxes) - 1, min(len(boxes), MOST_SAMPLES)).round().astype(int))
    return [boxes[number] for number in picked]


def level_sizes(sizes: Sequence[Size], settings: SynthesisSettings) -> list[Size]:
    """Return what is computed at each size, at most: all of it, or the part of a proof in the middle."""
    if settings.proof is None:
        return list(sizes)
    whole = whole_levels(sizes)
    parts = [(box[2] - box[0], box[3] - box[1]) for box in _middle_boxes(sizes, settings.proof)]
    return [*sizes[:whole], *parts[whole:]]


def measured_pixels(sizes: Sequence[Size], settings: SynthesisSettings) -> int:
    """Return the pixels of the forward passes, for one style, that measure the whole of the larger sizes of a proof.

    At each, the result so far and the subject are measured in the part and in samples, and the part once more.
    With a ``strength`` below 1, so is the subject in its colours.
    """
    if settings.proof is None:
        return 0
    pixels, pictures = 0, 2 if settings.strength == 1 else 3
    for size, box in list(zip(sizes, _middle_boxes(sizes, settings.proof), strict=True))[whole_levels(sizes) :]:
        area = (box[2] - box[0]) * (box[3] - box[1])
        samples = len(sample_boxes(box, size)) if area < math.prod(size) else 0
        pixels += area * (pictures * (1 + samples) + 1)
    return pixels


def _middle_boxes(sizes: Sequence[Size], side: int) -> list[Box]:
    """Return the part of each size for a tile in the middle, where it has a margin on all sides."""
    size = sizes[-1]
    sides = [min(side, each) for each in size]
    left, top = ((each - tile) // 2 for each, tile in zip(size, sides, strict=True))
    return [part_box((left, top, left + sides[0], top + sides[1]), size, level) for level in sizes]


def resized_part(picture: Pixels, covers: Box, size: Size, part: Box, level_size: Size) -> Pixels:
    """Resample a part of a picture as if all of it were resampled.

    Parameters
    ----------
    picture : ndarray, float32, shape (h, w, 3)
        Pixels of the part `covers` of a picture of `size` (width, height).
    part
        The part to return, of the same picture at `level_size`.
    """
    ratios = size[0] / level_size[0], size[1] / level_size[1]
    left, top, right, bottom = (part[edge] * ratios[edge % 2] - covers[edge % 2] for edge in range(4))
    height, width = picture.shape[:2]
    box = max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)
    return images.resize(picture, (part[2] - part[0], part[3] - part[1]), box=box)


def require_single(save_every: int | None, animation: object) -> None:
    """Refuse snapshots and animations of a proof, whose sizes show different parts.

    Raises
    ------
    UsageError
    """
    if save_every is not None or animation is not None:
        name = "--save-every" if save_every is not None else "--animation"
        raise UsageError(f"{name}: a proof is one tile, and has no steps to show. Leave out {name}.")
