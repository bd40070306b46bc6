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
_MEMORY_FRACTION = 0.6
_MAX_BATCH_SIZE = 32

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
        size = int(text)
    except ValueError:
        size = 0
    if size < 1:
        raise UsageError(f"batch_size {text}: expected {AUTO}, or a whole number of 1 or more.")
    return size


def auto_batch_size(size: tuple[int, int], device_bytes: int | None, precision: str = "float32") -> int:
    """Return how many pictures of `size` (width, height) to optimise at once.

    One on a CPU, whose cores a single picture's convolutions keep busy already; on a GPU
    as many as its memory, `device_bytes`, holds with room to spare, where a pixel takes
    what it takes on a CPU: a GPU keeps the same activations.
    """
    if device_bytes is None:
        return 1
    batch_size = int(_MEMORY_FRACTION * device_bytes / (memory.BYTES_PER_PIXEL[precision] * size[0] * size[1]))
    return max(1, min(_MAX_BATCH_SIZE, batch_size))


def iter_batches(
    items: Iterable[Item], bucket: Callable[[Item], Hashable], max_size: Callable[[Item], int], workers: int = 1
) -> Iterator[list[Item]]:
    """Put items of one bucket together, in groups of at most `max_size`.

    Parameters
    ----------
    items
        In the order wanted; buckets come in the order of their first item.
    bucket
        What the items of a group have in common.
    max_size
        How many of an item's kind may be together; asked anew for every group, as the answer may change.
    workers
        Who share the groups: a bucket is not made into fewer groups than there are workers to take one.
    """
    ordered = list(items)
    first_position: dict[Hashable, int] = {}
    for position, item in enumerate(ordered):
        first_position.setdefault(bucket(item), position)
    ordered.sort(key=lambda item: first_position[bucket(item)])
    for _key, members in groupby(ordered, key=bucket):
        rest = list(members)
        per_worker = -(-len(rest) // max(1, workers))
        while rest:
            size = max(1, min(max_size(rest[0]), per_worker))
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
    masks = list(regions) or [None] * len(subjects)

    def stylize_single(index: int) -> Any:
        try:
            return stylizer.stylize(
                subjects[index],
                init=init,
                regions=masks[index],
                on_step=lambda info: on_step(index, info),
            )
        except Exception as error:
            return error

    def stylize(indices: Sequence[int]) -> tuple[list[Any], int | None]:
        if len(indices) == 1:
            return [stylize_single(indices[0])], None
        try:
            results = stylizer.stylize_batch(
                [subjects[index] for index in indices],
                inits=None if init is None else [init] * len(indices),
                regions=[masks[index] for index in indices],
                on_step=lambda info: on_step(indices[info.picture], info),
            )
            return list(results), None
        except Exception as error:
            out_of_memory = is_out_of_memory(error)
        half = len(indices) // 2
        left, left_limit = stylize(indices[:half])
        right, right_limit = stylize(indices[half:])
        limits = [limit for limit in (left_limit, right_limit, len(indices) - half if out_of_memory else None) if limit]
        return left + right, min(limits, default=None)

    return BatchOutcome(*stylize(range(len(subjects))))
