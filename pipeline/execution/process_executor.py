"""Executor with several processes of this machine, through joblib."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import process, worker
from .messages import RETRIES, BatchResult, ImageBatch, Notify, T, WorkerContext, WorkItem, died_message, failed_result
from .process import WorkerConfig

#: Arrays above this go to local workers as memory maps of one file, not as copies in every task.
_MAPPED_BYTES = 1 << 16


class ProcessExecutor:
    """Several processes of this machine, through joblib: loky's unless the caller has set another backend.

    Parameters
    ----------
    jobs
        Number of processes.
    devices
        GPUs, one per process.
    device, deterministic
        As for `WorkerConfig`.

    Notes
    -----
    loky abandons a whole pool when one process dies. Batches that had not started go to a new pool. The
    images of started batches run one by one at the end, so that only an image whose worker dies every time fails.
    """

    #: Function that a worker runs; pickled by its qualified name.
    work = staticmethod(worker.work)

    def __init__(
        self, jobs: int, devices: tuple[str, ...] = (), *, device: str | None = None, deterministic: bool = False
    ) -> None:
        self.workers = jobs
        self._devices = devices
        self.device_kind, self._deterministic = device, deterministic

    def __enter__(self) -> ProcessExecutor:
        self._folder = tempfile.mkdtemp(prefix="stylebank-")
        self._pool_started = False
        threads = None if self._devices else max(1, (os.cpu_count() or 1) // self.workers)
        self._config = WorkerConfig(
            os.getpid(), threads, self._devices, self._folder, self.device_kind, self._deterministic
        )
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        if self._pool_started:
            _shut_down_loky(kill_workers=kind is not None)
        shutil.rmtree(self._folder, ignore_errors=True)

    def run_once(self, function: Callable[[WorkerConfig], T]) -> T:
        """Return the result of a function of `worker` in one process."""
        import joblib

        self._pool_started = True
        results: list[T] = list(_parallel(max(2, self.workers))([joblib.delayed(function)(self._config)]))
        return results[0]

    def map_unordered(self, items: Iterable[WorkItem], notify: Notify) -> Iterator[BatchResult]:
        """Yield the result of each batch, in the order in which they finish."""
        source = iter(items)
        suspects: list[WorkItem] = []
        returned: list[WorkItem] = []
        while True:
            in_flight = InFlight(source, returned)
            try:
                yield from self._submit_all(in_flight, 2 * self.workers)
                break
            except concurrent.futures.BrokenExecutor:
                unfinished = in_flight.close()
                started = [item for item in unfinished if process.start_marker(self._folder, item[1]).exists()]
                suspects += started
                returned = [item for item in unfinished if item not in started]
                notify("a worker process died; its images are tried again")
        for context, batch in suspects:
            for single in batch.split():
                yield from self._retry_single(context, single)

    def _submit_all(self, in_flight: InFlight, pre_dispatch: int) -> Iterator[BatchResult]:
        import joblib

        # with one job, joblib would run it in this process
        self._pool_started = True
        parallel = _parallel(max(2, self.workers), pre_dispatch=pre_dispatch)
        delayed = joblib.delayed(self.work)
        batch_results = parallel(delayed(self._config, context, batch) for context, batch in in_flight)
        with closed_quietly(batch_results):
            for batch_result in batch_results:
                in_flight.done(batch_result)
                yield batch_result

    def _retry_single(self, context: WorkerContext, batch: ImageBatch) -> Iterator[BatchResult]:
        for _attempt in range(RETRIES):
            try:
                yield from list(self._submit_all(InFlight(iter([(context, batch)]), []), 1))
                return
            except concurrent.futures.BrokenExecutor:
                continue
        yield failed_result(batch, died_message(RETRIES + 1))


class InFlight:
    """Items of one pool that are not finished; iterating hands out the next ones."""

    def __init__(self, source: Iterator[WorkItem], returned: list[WorkItem]) -> None:
        self._source = source
        self._returned = returned
        self._items: dict[int, WorkItem] = {}
        self._lock = threading.Lock()
        self._closed = False

    def __iter__(self) -> Iterator[WorkItem]:
        while True:
            with self._lock:  # joblib iterates in its own threads, even while a pool fails
                if self._closed:
                    return
                item = self._returned.pop(0) if self._returned else next(self._source, None)
                if item is None:
                    return
                self._items[item[1].indices[0]] = item
            yield item

    def done(self, batch_result: BatchResult) -> None:
        """Remove a finished batch."""
        for number in batch_result.results:
            self._items.pop(number, None)

    def close(self) -> list[WorkItem]:
        """Stop the iteration, and return the unfinished items."""
        with self._lock:
            self._closed = True
            return [*self._items.values(), *self._returned]


def _parallel(jobs: int, *, pre_dispatch: int | str = "2*n_jobs") -> Any:
    """Return a `joblib.Parallel` that yields results as they finish, if the backend supports that."""
    import joblib

    options: dict[str, Any] = {
        "n_jobs": jobs,
        "prefer": "processes",
        "batch_size": 1,
        "pre_dispatch": pre_dispatch,
        "max_nbytes": _MAPPED_BYTES,
    }
    try:
        return joblib.Parallel(return_as="generator_unordered", **options)
    except ValueError:  # the backend that the caller has set returns lists only
        return joblib.Parallel(**options)


@contextlib.contextmanager
def closed_quietly(batch_results: Any) -> Iterator[None]:
    """Close the generator of joblib on exit, without its warning about cancelled tasks."""
    try:
        yield
    finally:
        if hasattr(batch_results, "close"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                batch_results.close()


def _shut_down_loky(*, kill_workers: bool) -> None:
    """Shut down the pool that joblib keeps for its next call; a pool not there yet would have no processes."""
    from joblib.externals.loky import get_reusable_executor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        get_reusable_executor(reuse=True, kill_workers=kill_workers).shutdown(wait=True, kill_workers=kill_workers)
