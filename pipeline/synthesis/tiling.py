"""Strips of a picture's rows, with the rows that a block of the network sees beyond them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..vgg.network import Block

#: Rows of a strip: even, for the pooling, and more than any block sees beyond it.
_MIN_ROWS = 8


def split_rows(height: int, rows: int) -> list[tuple[int, int]]:
    """Split rows 0 to `height` into strips of `rows` or fewer, (begin, end): alike, even, none too short.

    >>> divide(50, 20)
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
    """Rows of a block's input, with those a strip sees beyond its own."""

    begin: int
    end: int
    top: bool
    bottom: bool
    halo: int

    @property
    def padded(self) -> slice:
        """Its rows and those beyond."""
        return slice(0 if self.top else self.begin - self.halo, None if self.bottom else self.end + self.halo)

    @property
    def interior(self) -> slice:
        """Its rows."""
        return slice(self.begin, self.end)


def strips(block: Block, height: int, width: int, elements: int) -> Iterator[Strip]:
    """Give the strips of a block's input so that all convolutions have `elements` activations together, or fewer."""
    halo = len(block.convolutions)
    for begin, end in split_rows(height, elements // (width * block.channels * halo)):
        yield Strip(begin, end, begin == 0, end == height, halo)
