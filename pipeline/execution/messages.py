"""What travels to a worker and back: arrays, digests and settings, never an open file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from stylebank.images import Pixels
from stylebank.style import Style

from ..settings import SynthesisSettings
from ..synthesis.masks import RegionMasks
from ..vgg.weights import Weights


@dataclass(frozen=True)
class WorkerContext:
    """All that a worker needs to build a stylizer; contexts of one key are equal.

    Attributes
    ----------
    key : str
        Digest of the content. A worker that has a stylizer for this key reuses it.
    styles : tuple of Style
        One a region, with the scales the run needs.
    settings : SynthesisSettings
    weights_sha256 : str
    weights : Weights or None
        None where the package on the worker's side holds them.
    init : ndarray, float32, shape (h, w, 3), or None
        The picture to begin with.
    """

    key: str
    styles: tuple[Style, ...] = field(compare=False)
    settings: SynthesisSettings = field(compare=False)
    weights_sha256: str = field(compare=False)
    weights: Weights | None = field(default=None, compare=False)
    init: Pixels | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Subjects to be made together: one styling, one output size.

    Attributes
    ----------
    indices : tuple of int
        Of the pictures among all of the run.
    subjects : sequence of ndarray, float32, shape (H, W, 3)
    snapshot_every : int or None
        Bring back a picture every so many steps.
    regions : sequence of RegionMasks or None
        Where the styles go, one a subject; empty for everywhere.
    """

    indices: tuple[int, ...]
    subjects: Sequence[Pixels]
    snapshot_every: int | None = None
    regions: Sequence[RegionMasks | None] = ()

    def split(self) -> list[ImageBatch]:
        """Return the same pictures one by one."""
        regions = self.regions or [None] * len(self.subjects)
        each = zip(self.indices, self.subjects, regions, strict=True)
        return [ImageBatch((number,), [subject], self.snapshot_every, [masks]) for number, subject, masks in each]


@dataclass(frozen=True, eq=False)
class ImageResult:
    """What became of one subject in a worker.

    Attributes
    ----------
    error : str
        Why there is no picture; empty where there is one.
    pixels : ndarray, float32, shape (H, W, 3), or None
    start_loss, final_loss, steps
        As `synthesis.SynthesisResult` has them.
    losses : list of float
        After each iteration; empty where they are not known one by one.
    snapshots : list of (int, ndarray of uint8)
        Steps and pictures on the way, where `ImageBatch.snapshot_every` asked for them.
    """

    error: str = ""
    pixels: Pixels | None = None
    start_loss: float = 0.0
    final_loss: float = 0.0
    steps: int = 0
    losses: list[float] = field(default_factory=list)
    snapshots: list[tuple[int, npt.NDArray[np.uint8]]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class BatchResult:
    """What became of a chunk.

    Attributes
    ----------
    results : mapping of int to ImageResult
        By the pictures' numbers.
    worker : str
        Which process on which device.
    machine : mapping of str to str
        ``backend``, ``device``, ``precision``.
    setup, compute : float
        Seconds; compiling, and the style's eigendecompositions, count as setting up.
    max_batch_size : int or None
        How many pictures of this size fit the device's memory at once, where that was found out.
    setup_error : (str, int) or None
        Message and exit code of an error that every picture would meet.
    """

    results: Mapping[int, ImageResult]
    worker: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)
    setup: float = 0.0
    compute: float = 0.0
    max_batch_size: int | None = None
    setup_error: tuple[str, int] | None = None


def failed_result(batch: ImageBatch, reason: str) -> BatchResult:
    """Return the outcome of a chunk none of whose pictures could be made."""
    return BatchResult({number: ImageResult(error=reason) for number in batch.indices})


#: A picture whose worker died is tried again so often.
RETRIES = 2


WorkItem = tuple[WorkerContext, ImageBatch]


Notify = Callable[[str], None]


T = TypeVar("T")


def died_message(times: int) -> str:
    """Put the end of a picture's workers into words."""
    return (
        f"its worker process died each of {times} times (killed by the system, often for want of memory). "
        "Try a smaller --size or fewer --jobs."
    )
