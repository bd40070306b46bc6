"""Functions that run in a worker: in this process, in another one, or on another machine.

A process keeps the stylizer of a style for the batches that follow. A worker reads and writes
no files: subjects arrive as arrays, and images return as arrays.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from stylebank.errors import StylebankError, printable
from stylebank.images import to_uint8

from ..backends import host_memory
from ..backends.timing import setup_seconds
from ..settings import AUTO
from ..vgg import weights as weight_files
from .batching import stylize_with_backoff
from .messages import BatchResult, ImageBatch, ImageResult, WorkerContext
from .process import DeviceInfo, WorkerConfig, device_kind, init_process, worker_name, write_start_marker

if TYPE_CHECKING:
    from ..synthesis.stylizer import Stylizer

#: Stylizers kept per process: a run goes from one style to the next and does not come back.
_KEPT = 2
_last_device: list[str | None] = [None]
_lock = threading.RLock()  # one batch at a time has all cores or the whole device


def work(
    config: WorkerConfig,
    context: WorkerContext,
    batch: ImageBatch,
    on_ready: Callable[[dict[str, Any]], None] = lambda machine: None,
    on_step: Callable[[int, Any], None] = lambda number, info: None,
) -> BatchResult:
    """Stylize the images of a batch.

    Parameters
    ----------
    config
        Configuration of this process.
    context
        Styles, settings and weights.
    batch
        Subjects.
    on_ready
        Called with backend, device and precision when the stylizer is ready.
    on_step
        Called with an image's number and its `synthesis.StepInfo` after each step. Only the process of the
        run sets it.

    Returns
    -------
    BatchResult
    """
    write_start_marker(config, batch)
    with _lock:
        start = time.perf_counter()
        try:
            init_process(config)
            _keep_for(config.device)
            with _computing(config):
                stylizer = _make_stylizer(context)
                machine = machine_info(config, stylizer)
        except StylebankError as error:
            return BatchResult({}, setup_error=(str(error), error.exit_code))
        ready = time.perf_counter()
        on_ready(machine)
        losses: list[list[float]] = [[] for _ in batch.subjects]
        snapshots: list[list[tuple[int, Any]]] = [[] for _ in batch.subjects]

        def on_info(index: int, info: Any) -> None:
            losses[index].append(float(f"{info.loss:.4g}"))
            if batch.snapshot_every and info.step % batch.snapshot_every == 0 and info.step < info.steps:
                snapshots[index].append((info.step, to_uint8(info.render())))
            on_step(batch.indices[index], info)

        with _computing(config) as setup_timer:
            outcome = stylize_with_backoff(
                stylizer, batch.subjects, init=context.init, regions=batch.regions, on_step=on_info
            )
            elapsed = time.perf_counter() - ready
            compiled = min(setup_timer(), elapsed)  # the first image of a size compiles for all others
        images = {
            number: _image_result(
                result,
                losses[index] if len(losses[index]) == getattr(result, "steps", 0) else [],
                snapshots[index],
                eight_bit=batch.eight_bit,
            )
            for index, (number, result) in enumerate(zip(batch.indices, outcome.results, strict=True))
        }
    return BatchResult(
        images, worker_name(config), machine, ready - start + compiled, elapsed - compiled, outcome.max_batch_size
    )


@contextlib.contextmanager
def _computing(config: WorkerConfig) -> Iterator[Callable[[], float]]:
    """Compute on the configured device; yield a function that returns the seconds of setup since then."""
    from ..backends import devices

    before = setup_seconds()
    with (
        host_memory.shared_by(config.processes),
        devices.computing(config.device, deterministic=config.deterministic),
    ):
        yield lambda: setup_seconds() - before


def device_info(config: WorkerConfig) -> DeviceInfo:
    """Return backend and device of this process; loads the backend."""
    with _lock:
        init_process(config)
        from ..backends import devices
        from ..backends.runtime import NAME

        device = device_kind(config)
        device_bytes = devices.device_bytes(config.device) if device == "gpu" else None
        # workers of a cluster are started with a GPU each, and so are those of --devices
        sharing = config.processes if config.exclusive and not config.devices else 1
        return DeviceInfo(NAME, device, None if device_bytes is None else device_bytes // sharing)


def benchmark_precision(config: WorkerConfig) -> str:
    """Return the precision that is faster on this device."""
    with _lock:
        init_process(config)
        from ..backends import devices

        with _computing(config):
            return devices.resolve_precision(AUTO)


@dataclass(frozen=True)
class StepTimes:
    """Times of a short synthesis, in seconds.

    Attributes
    ----------
    setup : float
        Preparing the style and compiling, as for `BatchResult`.
    seconds : float
        From the end of the first step to the end of the last one.
    progress : float
        Fraction of the synthesis in that time.
    """

    setup: float
    seconds: float
    progress: float


def time_steps(config: WorkerConfig, context: WorkerContext, batch: ImageBatch) -> StepTimes | None:
    """Compute a batch twice, and return the times of the second; None if it fails or has one step only."""
    steps: list[tuple[float, float]] = []
    setup = 0.0
    for _warm_up in range(2):
        steps.clear()
        setup += work(
            config, context, batch, on_step=lambda _number, info: steps.append((time.perf_counter(), info.progress))
        ).setup
    clear_cache()
    if len(steps) < 2:
        return None
    (began, before), (ended, after) = steps[0], steps[-1]
    return StepTimes(setup, ended - began, after - before)


def _image_result(
    result: Any, losses: list[float], snapshots: list[tuple[int, Any]], *, eight_bit: bool
) -> ImageResult:
    if isinstance(result, StylebankError):
        return ImageResult(error=str(result))
    if isinstance(result, Exception):  # out of memory, or a fault of a library: only this image fails
        reason = printable(str(result).strip().split("\n")[0]) or "no reason given"
        return ImageResult(error=f"{type(result).__name__}: {reason}. Try a smaller --size.")
    return ImageResult(
        pixels=to_uint8(result.pixels) if eight_bit else result.pixels,
        start_loss=result.start_loss,
        final_loss=result.final_loss,
        steps=result.steps,
        losses=losses,
        snapshots=snapshots,
    )


@lru_cache(maxsize=_KEPT)
def _make_stylizer(context: WorkerContext) -> Stylizer:
    from ..synthesis.stylizer import Stylizer

    weights = context.weights or weight_files.matching(context.weights_sha256)
    return Stylizer(context.styles, weights, context.settings)


def _keep_for(device: str | None) -> None:
    """Free the stylizers of another device."""
    if _last_device != [device]:
        clear_cache()
        _last_device[:] = [device]


def clear_cache() -> None:
    """Free the stylizers of this process."""
    with _lock:
        _make_stylizer.cache_clear()


def machine_info(config: WorkerConfig, stylizer: Stylizer) -> dict[str, Any]:
    """Return backend, device, precision, threads and library versions, with the keys of the record."""
    from ..backends.devices import cpu_threads, library_versions
    from ..backends.runtime import NAME

    return {
        "backend": NAME,
        "device": device_kind(config),
        "precision": stylizer.precision,
        "threads": cpu_threads(),
        "libraries": library_versions(),
    }
