"""The network in blocks, a picture in strips of rows, and moments that come in parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank.style import CONVOLUTIONS

from ..vgg.network import Trunk

Array = npt.NDArray[Any]

#: Rows of a strip: even, for the pooling, and more than any block sees beyond it.
_FEWEST_ROWS = 8


def divide(height: int, rows: int) -> list[tuple[int, int]]:
    """Split rows 0 to `height` into strips of `rows` or fewer, (begin, end): alike, even, none too short.

    >>> divide(50, 20)
    [(0, 18), (18, 36), (36, 50)]
    """
    count = -(-height // max(rows, _FEWEST_ROWS))
    even = max(_FEWEST_ROWS, 2 * -(-height // (2 * count)))
    begins = list(range(0, height, even))
    if len(begins) > 1 and height - begins[-1] < _FEWEST_ROWS // 2:
        begins.pop()
    return list(zip(begins, [*begins[1:], height], strict=True))


class Merged:
    """Mean and covariance of rows that come in parts, exact within float64's rounding.

    With n, m rows and d the difference of their means, the squared deviations of both together are
    those of each plus d^T d n m / (n + m) (Chan, Golub and LeVeque 1983).
    """

    def __init__(self) -> None:
        self.count: Array = np.zeros(1)
        self._mean: Array = np.zeros(1)
        self._scatter: Array = np.zeros(1)

    def add(self, mean: Array, cov: Array, count: Array) -> None:
        """Add `count` rows, (n or 1,), of mean (n, 1, c) and covariance (n, c, c); none where the count is 0."""
        weight = np.asarray(count, np.float64)[:, None, None]
        counted = weight > 0
        mean, cov = np.where(counted, mean, 0.0), np.where(counted, cov, 0.0)
        before = self.count.reshape(-1, 1, 1)
        total = np.where(before + weight > 0, before + weight, 1.0)
        apart = mean - self._mean
        self._scatter = self._scatter + cov * weight + apart * apart.transpose(0, 2, 1) * (before * weight / total)
        self._mean = self._mean + apart * (weight / total)
        self.count = (before + weight).ravel()

    def moments(self) -> tuple[Array, Array]:
        """Return the mean (n, 1, c) and covariance (n, c, c) of all rows, float32."""
        cov = self._scatter / np.maximum(self.count, 1e-12)[:, None, None]
        return self._mean.astype(np.float32), cov.astype(np.float32)


@dataclass(frozen=True)
class Block:
    """What of a block is needed: its convolutions, the features asked for, and whether another block follows."""

    convolutions: tuple[str, ...]
    wanted: tuple[str, ...]
    pools: bool

    @property
    def channels(self) -> int:
        """Of all its convolutions."""
        return CONVOLUTIONS[self.convolutions[0]]


def blocks(wanted: Sequence[str]) -> list[Block]:
    """Return the blocks that the features `wanted` need, from the first."""
    last = Trunk.last_of(wanted)
    walked = [name for name in CONVOLUTIONS if name[4:] <= last[4:]]
    found = []
    for number in range(1, int(last[4]) + 1):
        convolutions = tuple(name for name in walked if name[4] == str(number))
        here = tuple(f"{kind}{name[4:]}" for name in convolutions for kind in ("conv", "relu"))
        found.append(Block(convolutions, tuple(name for name in here if name in wanted), number < int(last[4])))
    return found


@dataclass(frozen=True)
class Strip:
    """Rows of a block's input, with those a strip sees beyond its own."""

    begin: int
    end: int
    top: bool
    bottom: bool
    halo: int

    @property
    def seen(self) -> slice:
        """Its rows and those beyond."""
        return slice(0 if self.top else self.begin - self.halo, None if self.bottom else self.end + self.halo)

    @property
    def own(self) -> slice:
        """Its rows."""
        return slice(self.begin, self.end)


def strips(block: Block, height: int, width: int, elements: int) -> Iterator[Strip]:
    """Give the strips of a block's input so that all convolutions have `elements` activations together, or fewer."""
    halo = len(block.convolutions)
    for begin, end in divide(height, elements // (width * block.channels * halo)):
        yield Strip(begin, end, begin == 0, end == height, halo)
