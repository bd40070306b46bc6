"""Estimate of a batch: images, sizes, time from a short trial, and disk space."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stylebank.errors import StylebankError, UsageError
from stylebank.images import Pixels

from ..backends.host_memory import free_memory
from ..execution import worker
from ..execution.executors import Executor, InProcessExecutor
from ..execution.messages import ImageBatch
from ..settings import AUTO, SynthesisSettings
from ..synthesis.masks import RegionMasks
from .cost import cost, sizes_computed
from .existing import notice
from .precision import settle_precision
from .prints import with_print_advice
from .resume import PendingImage, find_pending
from .run import Run

#: Bytes per pixel by format and depth: means of 35 stylised samples of 384 pixels encoded again, at quality 95 where
#: there is one. They were from 0.64 to 0.91 for jpg, 1.9 to 2.3 for png, 0.43 to 0.63 for webp, 2.1 to 2.4 for tiff
#: and 5.5 to 5.8 at 16 bits.
_BYTES_PER_PIXEL = {
    ("jpg", 8): 0.78,
    ("png", 8): 2.15,
    ("webp", 8): 0.56,
    ("tiff", 8): 2.34,
    ("png", 16): 5.7,
    ("tiff", 16): 5.7,
}
_TRIAL_SIZE, _TRIAL_STEPS = 256, 4
#: Time of a step in tiles, which has a second forward pass, by that of one on the whole image.
_TILED_TIME = 4 / 3
_NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class Estimate:
    """Estimate of one run of a batch.

    Attributes
    ----------
    style : str
    folder : Path
        Folder of the outputs.
    to_make, finished, failed : int
        Images that are pending, complete, and known to fail.
    reasons : tuple of str
        Errors of the failed images.
    sizes : Counter of (int, int)
        Pending outputs by (width, height).
    seconds : float or None
        Computing time in one worker; None without a trial.
    setup : float or None
        Seconds before the first image: loading the style, and for the first run of its kind loading the backend
        and compiling the step.
    disk : int
        Bytes of the pending outputs.
    device : str or None
        Kind of device and backend that took the times, such as ``cpu (tensorflow)``; None without a trial.
    existing : str
        Message on outputs that exist and are other pictures; empty if there are none.
    memory : int or None
        Bytes of memory of the largest pending picture, computed alone; None if nothing is pending.
    tiled : bool
        Whether that picture is computed in tiles, because the free memory does not hold it whole.
    problem : str
        Reason why the largest picture does not fit into the memory; empty if it does.
    pending : tuple of PendingImage
        The images to compute.
    """

    style: str
    folder: Path
    to_make: int
    finished: int
    failed: int
    reasons: tuple[str, ...]
    sizes: Counter[tuple[int, int]]
    seconds: float | None
    setup: float | None
    disk: int
    device: str | None = None
    existing: str = ""
    memory: int | None = None
    tiled: bool = False
    problem: str = ""
    pending: tuple[PendingImage, ...] = field(default=(), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as a dictionary for JSON."""
        sizes = [{"width": width, "height": height, "count": count} for (width, height), count in self.sizes.items()]
        return {
            "style": self.style,
            "to_make": self.to_make,
            "made": self.finished,
            "failed": self.failed,
            "folder": str(self.folder),
            "reasons": list(self.reasons),
            "sizes": sizes,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "setup": None if self.setup is None else round(self.setup, 3),
            "disk": self.disk,
            "device": self.device,
            "existing": self.existing,
            "memory": self.memory,
            "tiled": self.tiled,
            "problem": self.problem,
        }


@dataclass(frozen=True)
class _Trial:
    """Seconds per pixel and step, for loading a style, and for the rest of the set-up."""

    rate: float
    loading: float
    setup: float


def estimate(runs: Sequence[Run], executor: Executor | None = None, *, trial: bool = True) -> list[Estimate]:
    """Examine every subject, time a few steps of each run with pending images, and add up.

    Parameters
    ----------
    executor
        The executor of the run, not entered: one of its workers takes the times. By default this process does.
    trial
        Whether to time steps, which loads the network.

    Raises
    ------
    StylebankError
        If the executor has no such device, or its workers cannot start.
    """
    images_by_run: dict[int, list[tuple[PendingImage, Any]]] = {id(run): [] for run in runs}
    for image, entry in find_pending(runs):
        images_by_run[id(image.run)].append((image, entry))
    with contextlib.ExitStack() as stack:
        timer = _Timer(runs, executor if executor is not None else InProcessExecutor(), stack)
        return [_estimate_run(run, images_by_run[id(run)], timer if trial else None) for run in runs]


def _estimate_run(run: Run, pairs: list[tuple[PendingImage, Any]], timer: _Timer | None) -> Estimate:
    pending = [image for image, entry in pairs if entry is None]
    sizes = Counter(image.size for image in pending if image.size is not None)
    reasons = tuple(str(entry.error) for _image, entry in pairs if entry is not None and entry.status == "failed")
    differences = [  # but where a numbered copy is finished
        image.difference
        for image, entry in pairs
        if image.difference is not None and (entry is None or entry.error is not None)
    ]
    seconds = setup = None
    if timer is not None and sizes:
        result, setup = timer.measure(run, sizes.most_common(1)[0][0])
        if result is not None:
            regions = len(run.style_spec.regions)
            costs = (cost(size, run.worker_settings, regions) * count for size, count in sizes.items())
            seconds = result.rate * sum(costs)
    on_gpu = timer is not None and (timer.device or "").startswith("gpu")
    memory, tiled, problem = _memory(run, list(sizes), on_gpu) if sizes else (None, False, "")
    if tiled and seconds is not None:
        seconds *= _TILED_TIME
    bytes_per_pixel = _BYTES_PER_PIXEL[run.settings.format, run.settings.depth]
    return Estimate(
        run.style_spec.text,
        run.planned.folder,
        len(pending),
        sum(entry is not None and entry.status == "skipped" for _image, entry in pairs),
        len(reasons),
        reasons,
        sizes,
        seconds,
        setup,
        round(sum(width * height * bytes_per_pixel * count for (width, height), count in sizes.items())),
        timer.device if timer is not None else None,
        notice(differences, run.on_existing) if differences else "",
        memory,
        tiled,
        problem,
        tuple(pending),
    )


def _memory(run: Run, sizes: Sequence[tuple[int, int]], on_gpu: bool) -> tuple[int, bool, str]:
    """Return the bytes for the largest picture, whether it needs tiles, and why it does not fit."""
    from ..synthesis.memory import estimate_bytes, require_memory

    settings, precision = run.settings, "float32" if run.precision == AUTO else run.precision
    optimizer, regions = settings.optimizer, len(run.style_spec.regions)
    levels = [(level, whole) for whole in sizes for level in sizes_computed(whole, run.worker_settings)]
    size, result_size = max(levels, key=lambda pair: math.prod(pair[0]))
    available = _NO_LIMIT if on_gpu else free_memory() or _NO_LIMIT
    tiled, problem = True, ""
    try:
        tiled = require_memory(
            size, 1, precision, available, optimizer=optimizer, limit=settings.memory_limit, regions=regions
        )
    except UsageError as error:
        problem = with_print_advice(str(error), result_size, settings)
    return estimate_bytes(size, 1, precision, tiled=tiled, optimizer=optimizer, regions=regions), tiled, problem


class _Timer:
    """Times steps in a worker of an executor, which is entered when it is needed.

    Attributes
    ----------
    device : str or None
        Kind of device and backend; None before the first measurement.
    """

    def __init__(self, runs: Sequence[Run], executor: Executor, stack: contextlib.ExitStack) -> None:
        self._runs = runs
        self._executor = executor
        self._stack = stack
        self._trials: dict[Any, _Trial | None] = {}
        self.device: str | None = None

    def measure(self, run: Run, size: tuple[int, int]) -> tuple[_Trial | None, float | None]:
        """Return the rate of a run, and its seconds before the first image; None if the trial fails."""
        before = 0.0
        if self.device is None:
            before = self._start()
        settings = dataclasses.replace(_whole(run), size=0, steps=1, format="jpg", quality=1, depth=8, seed=0)
        key = (run.fingerprint, settings, len(run.style_spec.regions))  # styles measured alike cost alike
        new = key not in self._trials
        if new:
            self._trials[key] = self._run_trial(run, size)
        trial = self._trials[key]
        return trial, None if trial is None else before + trial.loading + (trial.setup if new else 0.0)

    def _start(self) -> float:
        """Start the workers, load the backend and settle the precision, as a run does; return the seconds it took."""
        began = time.perf_counter()
        self._stack.enter_context(self._executor)
        machine = self._executor.run_once(worker.device_info)
        self.device = f"{machine.device} ({machine.backend})"
        settle_precision(self._runs, machine, lambda: self._executor.run_once(worker.benchmark_precision))
        return time.perf_counter() - began

    def _run_trial(self, run: Run, size: tuple[int, int]) -> _Trial | None:
        """Time a few steps on a synthetic subject of the most frequent shape; return None if they fail."""
        if run.settings.strength == 0:
            return _Trial(0.0, 0.0, 0.0)
        ratio = min(1.0, _TRIAL_SIZE / max(size))
        width, height = (max(32, round(side * ratio)) for side in size)
        settings = dataclasses.replace(_whole(run), size=0, steps=_TRIAL_STEPS, precision=run.precision)
        began = time.perf_counter()
        try:
            context = run.context(remote=not isinstance(self._executor, InProcessExecutor))
            context = dataclasses.replace(context, settings=settings, key=f"trial {id(run)}")
        except StylebankError:
            return None
        finally:
            run.release()
        loading = time.perf_counter() - began
        blocks = np.random.default_rng(0).uniform(0, 255, (height // 8 + 1, width // 8 + 1, 3))
        subject: Pixels = np.kron(blocks, np.ones((8, 8, 1)))[:height, :width].astype(np.float32)
        count = len(run.style_spec.regions)
        regions = RegionMasks(np.full((count, height, width), 1 / count, np.float32)) if run.style_spec.masked else None
        batch = ImageBatch((0,), [subject], regions=[regions])
        times = self._executor.run_once(functools.partial(worker.time_steps, context=context, batch=batch))
        if times is None:
            return None
        return _Trial(times.seconds / (times.progress * cost((width, height), settings, count)), loading, times.setup)


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk of `folder`, which need not exist."""
    there = next((parent for parent in (folder, *folder.absolute().parents) if parent.exists()), Path("/"))
    return shutil.disk_usage(there).free


def _whole(run: Run) -> SynthesisSettings:
    """Return the settings of a run for whole pictures, which a trial computes."""
    return dataclasses.replace(run.worker_settings, proof=None, proof_at=None)
