"""Messages to a worker and back: arrays, digests and settings, never an open file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from stylebank.errors import StylebankError
from stylebank.images import Pixels
from stylebank.style import Style

from ..settings import SynthesisSettings
from ..synthesis.masks import RegionMasks
from ..vgg.weights import Weights


class WorkersDied(StylebankError):
    """Worker processes end before they begin their work."""


class WorkerSetupError(StylebankError):
    """A worker cannot be set up, so no image can be computed."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class WorkerContext:
    """All that a worker needs to build a stylizer; contexts of one key are equal.

    Attributes
    ----------
    key : str
        Digest of the content. A worker that has a stylizer for this key reuses it.
    styles : tuple of Style
        One per region, with the scales that the run needs.
    settings : SynthesisSettings
    weights_sha256 : str
    weights : Weights or None
        None if the worker has them in its own package.
    init : ndarray, float32, shape (h, w, 3), or None
        Initial image.
    """

    key: str
    styles: tuple[Style, ...] = field(compare=False)
    settings: SynthesisSettings = field(compare=False)
    weights_sha256: str = field(compare=False)
    weights: Weights | None = field(default=None, compare=False)
    init: Pixels | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Subjects of one style and one output size, optimised together.

    Attributes
    ----------
    indices : tuple of int
        Numbers of the images within the run.
    subjects : sequence of ndarray, float32, shape (H, W, 3)
    snapshot_every : int or None
        Number of steps between two snapshots.
    regions : sequence of RegionMasks or None
        Masks of the styles, one per subject; empty if the styles apply everywhere.
    eight_bit : bool
        Whether the results are rounded to 8 bits, which travel in a quarter of the bytes.
    """

    indices: tuple[int, ...]
    subjects: Sequence[Pixels]
    snapshot_every: int | None = None
    regions: Sequence[RegionMasks | None] = ()
    eight_bit: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields for pickle; subjects of whole numbers, as in files of 8 bits, travel in a quarter."""
        return {**self.__dict__, "subjects": [_packed(subject) for subject in self.subjects]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the fields, with subjects in float32."""
        subjects = [np.asarray(subject, np.float32) for subject in state["subjects"]]
        self.__dict__.update({**state, "subjects": subjects})

    def split(self) -> list[ImageBatch]:
        """Return batches of one image each."""
        regions = self.regions or [None] * len(self.subjects)
        each = zip(self.indices, self.subjects, regions, strict=True)
        return [
            ImageBatch((number,), [subject], self.snapshot_every, [masks], self.eight_bit)
            for number, subject, masks in each
        ]


def _packed(pixels: Pixels) -> npt.NDArray[np.generic]:
    """Return pixels in uint8 if that is exact, else as they are."""
    with np.errstate(invalid="ignore"):
        small = np.asarray(pixels).astype(np.uint8)
    return small if np.array_equal(small, pixels) else pixels


@dataclass(frozen=True, eq=False)
class ImageResult:
    """Result of one subject in a worker.

    Attributes
    ----------
    error : str
        Reason for a missing image; empty if there is an image.
    pixels : ndarray, float32 or uint8, shape (H, W, 3), or None
        In uint8 if `ImageBatch.eight_bit` asks for it.
    start_loss, final_loss, steps
        As in `synthesis.SynthesisResult`.
    losses : list of float
        Loss after each step; empty if some are unknown.
    snapshots : list of (int, ndarray of uint8)
        Step and image of each snapshot that `ImageBatch.snapshot_every` asks for.
    """

    error: str = ""
    pixels: Pixels | npt.NDArray[np.uint8] | None = None
    start_loss: float = 0.0
    final_loss: float = 0.0
    steps: int = 0
    losses: list[float] = field(default_factory=list)
    snapshots: list[tuple[int, npt.NDArray[np.uint8]]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class BatchResult:
    """Result of a batch.

    Attributes
    ----------
    results : mapping of int to ImageResult
        By the numbers of the images.
    worker : str
        Name of the process or device; empty for the process of the run.
    machine : mapping
        ``backend``, ``device``, ``precision``, ``threads``, ``libraries``.
    setup, compute : float
        Time in seconds. Compiling and the style's eigendecompositions count as setup.
    max_batch_size : int or None
        Largest batch of this size that fits the memory; None if memory sufficed.
    setup_error : (str, int) or None
        Message and exit code of an error that applies to every image.
    """

    results: Mapping[int, ImageResult]
    worker: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)
    setup: float = 0.0
    compute: float = 0.0
    max_batch_size: int | None = None
    setup_error: tuple[str, int] | None = None


def failed_result(batch: ImageBatch, reason: str) -> BatchResult:
    """Return the result of a batch that failed as a whole."""
    return BatchResult({number: ImageResult(error=reason) for number in batch.indices})


#: Number of retries for an image whose worker died.
RETRIES = 2


WorkItem = tuple[WorkerContext, ImageBatch]


Notify = Callable[[str], None]


T = TypeVar("T")


def died_message(times: int) -> str:
    """Return the message for an image whose worker died in every attempt."""
    return (
        f"its worker process died each of {times} times (killed by the system, usually because memory ran out). "
        "Try a smaller --size or fewer --jobs."
    )
