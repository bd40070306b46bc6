"""Batches of images of one size: their size on a device, and halving when memory runs out."""

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
#: Fraction of a GPU's memory for a batch, and the largest number of images in one.
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
    """Return the number of images to optimise at once.

    Parameters
    ----------
    size
        Width and height in pixels.
    device_bytes
        Memory of the GPU; None on a CPU.
    precision : {"float32", "bfloat16"}

    Notes
    -----
    The number is 1 on a CPU, whose cores are busy with the convolutions of one image. On a GPU it is
    ``0.6 device_bytes / (bytes per pixel * width * height)``, at most 32. The bytes per pixel are those
    of a CPU, because both keep the same activations.
    """
    if device_bytes is None:
        return 1
    batch_size = int(_MEMORY_FRACTION * device_bytes / (memory.BYTES_PER_PIXEL[precision] * size[0] * size[1]))
    return max(1, min(_MAX_BATCH_SIZE, batch_size))


def iter_batches(
    items: Iterable[Item], bucket: Callable[[Item], Hashable], max_size: Callable[[Item], int], workers: int = 1
) -> Iterator[list[Item]]:
    """Yield batches of items of one bucket, of at most `max_size` items.

    Parameters
    ----------
    items
        In order of priority. A bucket takes the place of its first item.
    bucket
        Key that the items of a batch share.
    max_size
        Largest batch for an item; called again for every batch, because memory may turn out smaller.
    workers
        Number of workers. A bucket is split into at least as many batches, if it has enough items.
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
    """Results of a batch.

    Attributes
    ----------
    results : list of SynthesisResult or Exception
        One per subject.
    max_batch_size : int or None
        Largest batch that fits the memory; None if memory sufficed.
    """

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
    """Stylize subjects of one size in one batch, and halve it while it does not fit the device's memory.

    Parameters
    ----------
    stylizer : Stylizer
    init
        Initial image of every subject.
    regions : sequence of RegionMasks or None
        One per subject; empty if the styles apply everywhere.
    on_step
        Called with the subject's index in `subjects` and its `StepInfo`.

    Notes
    -----
    A batch that fails for another reason is halved, too, until the image with the fault fails alone.
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
