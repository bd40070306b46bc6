"""Pictures of one size together: how many at once, and fewer when the memory does not hold them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from stylebank.errors import UsageError
from stylebank.images import Pixels

from ..backends.errors import is_out_of_memory
from ..synthesis import memory

AUTO = "auto"
#: Share of a GPU's memory that a batch may take, and the most pictures in one.
_MEMORY_SHARE = 0.6
_MOST = 32

Item = TypeVar("Item")


def parse(text: str | int) -> int | None:
    """Return a batch size as a number, None for ``auto``.

    Raises
    ------
    UsageError
    """
    if text == AUTO:
        return None
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise UsageError(f"batch_size {text}: expected {AUTO}, or a whole number of 1 or more.")
    return number


def auto_batch_size(size: tuple[int, int], device_bytes: int | None, precision: str = "float32") -> int:
    """Return how many pictures of `size` (width, height) to optimise at once.

    One on a CPU, whose cores a single picture's convolutions keep busy already; on a GPU
    as many as its memory, `device_bytes`, holds with room to spare, where a pixel takes
    what it takes on a CPU: a GPU keeps the same activations.
    """
    if device_bytes is None:
        return 1
    fitting = int(_MEMORY_SHARE * device_bytes / (memory.BYTES_PER_PIXEL[precision] * size[0] * size[1]))
    return max(1, min(_MOST, fitting))


def iter_batches(
    items: Iterable[Item], bucket: Callable[[Item], Hashable], most: Callable[[Item], int], workers: int = 1
) -> Iterator[list[Item]]:
    """Put items of one bucket together, in groups of at most `most`.

    Parameters
    ----------
    items
        In the order wanted; buckets come in the order of their first item.
    bucket
        What the items of a group have in common.
    most
        How many of an item's kind may be together; asked anew for every group, as the answer may change.
    workers
        Who share the groups: a bucket is not made into fewer groups than there are workers to take one.
    """
    listed = list(items)
    first: dict[Hashable, int] = {}
    for config, item in enumerate(listed):
        first.setdefault(bucket(item), config)
    listed.sort(key=lambda item: first[bucket(item)])
    for _key, members in groupby(listed, key=bucket):
        rest = list(members)
        share = -(-len(rest) // max(1, workers))
        while rest:
            size = max(1, min(most(rest[0]), share))
            yield rest[:size]
            rest = rest[size:]


@dataclass(frozen=True)
class BatchOutcome:
    """Results of a chunk, each a synthesis or the exception that took its place, and the batch size that held."""

    results: list[Any]
    max_batch_size: int | None


def stylize_with_backoff(
    stylizer: Any,
    subjects: Sequence[Pixels],
    *,
    init: Pixels | None,
    regions: Sequence[Any] = (),
    on_step: Callable[[int, Any], None],
) -> BatchOutcome:
    """Stylise subjects of one size in one batch, halved until the device's memory holds it.

    Parameters
    ----------
    stylizer : Stylizer
    init
        The picture all begin with, where there is one.
    regions : sequence of RegionMasks or None
        One a subject; empty for everywhere.
    on_step
        Called with a subject's place in `subjects` and its moment.

    Notes
    -----
    A batch that fails for any other reason is halved too, so that the one to blame fails alone.
    """
    placed = list(regions) or [None] * len(subjects)

    def one(config: int) -> Any:
        try:
            return stylizer.stylize(
                subjects[config],
                init=init,
                regions=placed[config],
                on_step=lambda info: on_step(config, info),
            )
        except Exception as error:
            return error

    def made(places: Sequence[int]) -> tuple[list[Any], int | None]:
        if len(places) == 1:
            return [one(config) for config in places], None
        try:
            return (
                list(
                    stylizer.stylize_batch(
                        [subjects[config] for config in places],
                        inits=None if init is None else [init] * len(places),
                        regions=[placed[config] for config in places],
                        on_step=lambda info: on_step(places[info.picture], info),
                    )
                ),
                None,
            )
        except Exception as error:
            exhausted = is_out_of_memory(error)
        half = len(places) // 2
        left, left_limit = made(places[:half])
        right, right_limit = made(places[half:])
        limits = [
            max_batch_size
            for max_batch_size in (left_limit, right_limit, len(places) - half if exhausted else None)
            if max_batch_size
        ]
        return left + right, min(limits, default=None)

    return BatchOutcome(*made(range(len(subjects))))
