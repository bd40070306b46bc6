"""Tiles: strips of rows that span the width of an image.

A strip is a band of rows of a block's input, padded by the rows that the block's convolutions see beyond it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..vgg.network import Block

#: The fewest rows of a strip: even, for the pooling, and more than the halo of any block.
_MIN_ROWS = 8


def split_rows(height: int, rows: int) -> list[tuple[int, int]]:
    """Split rows 0 to `height` into strips (begin, end) of about `rows` rows.

    Strips have equal heights up to the last. Heights are even, and no strip is shorter than the halo of a block.

    >>> split_rows(50, 20)
    [(0, 18), (18, 36), (36, 50)]
    """
    count = -(-height // max(rows, _MIN_ROWS))
    strip_rows = max(_MIN_ROWS, 2 * -(-height // (2 * count)))
    begins = list(range(0, height, strip_rows))
    if len(begins) > 1 and height - begins[-1] < _MIN_ROWS // 2:
        begins.pop()
    return list(zip(begins, [*begins[1:], height], strict=True))


@dataclass(frozen=True)
class Strip:
    """A band of rows of a block's input.

    Attributes
    ----------
    begin, end : int
        The strip's rows.
    top, bottom : bool
        Whether the image ends there.
    halo : int
        Rows that the block sees beyond the strip, unless the image ends there.
    """

    begin: int
    end: int
    top: bool
    bottom: bool
    halo: int

    @property
    def padded(self) -> slice:
        """The strip's rows with the halo."""
        return slice(0 if self.top else self.begin - self.halo, None if self.bottom else self.end + self.halo)

    @property
    def interior(self) -> slice:
        """The strip's rows without the halo."""
        return slice(self.begin, self.end)


def strips(block: Block, height: int, width: int, elements: int) -> Iterator[Strip]:
    """Yield the strips of a block's input. All convolutions of the block together have about `elements` activations."""
    halo = len(block.convolutions)
    for begin, end in split_rows(height, elements // (width * block.channels * halo)):
        yield Strip(begin, end, begin == 0, end == height, halo)
