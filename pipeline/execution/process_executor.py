"""Executor with several processes of this machine, through joblib."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import filelock

from . import process, worker
from .messages import (
    RETRIES,
    BatchResult,
    ImageBatch,
    Notify,
    T,
    WorkerContext,
    WorkersDied,
    WorkItem,
    died_message,
    failed_result,
)
from .process import WorkerConfig

#: Arrays above this go to local workers as memory maps of one file, not as copies in every task.
_MAPPED_BYTES = 1 << 16
_FOLDER_PREFIX, _LOCK_NAME = "stylebank-", "run"
#: A folder without its lock may belong to a run that is just taking it.
_SECONDS_UNTIL_STALE = 60
_DIE_EARLY = (
    "the worker processes ended {count} times before they began an image. "
    "Run this with --jobs 1 to see the reason, or with fewer --jobs if memory is short."
)


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
        _remove_stale_folders()
        self._folder = tempfile.mkdtemp(prefix=_FOLDER_PREFIX)
        self._lock = filelock.FileLock(Path(self._folder) / _LOCK_NAME, is_singleton=False)
        self._lock.acquire()  # the system releases it when this process ends in any way
        self._pool_started = False
        threads = None if self._devices else max(1, (os.cpu_count() or 1) // self.workers)
        self._config = WorkerConfig(
            os.getpid(), threads, self._devices, self._folder, self.device_kind, self._deterministic
        )
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        if self._pool_started:
            _shut_down_loky(kill_workers=kind is not None)
        self._lock.release()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start_pool(self) -> None:
        """Note that there will be a pool, and start loky's helper process so that a closing terminal spares it.

        The helper removes what killed workers leave behind. It ignores the other signals that a group may get.
        """
        if not self._pool_started:
            self._pool_started = True
            from joblib.externals.loky.backend import resource_tracker

            with _ignored("SIGHUP"):
                resource_tracker.ensure_running()

    def run_once(self, function: Callable[[WorkerConfig], T]) -> T:
        """Return the result of a function of `worker` in one process."""
        import joblib

        self._start_pool()
        for _attempt in range(RETRIES + 1):
            try:
                results: list[T] = list(_parallel(max(2, self.workers))([joblib.delayed(function)(self._config)]))
            except concurrent.futures.BrokenExecutor:
                continue
            return results[0]
        raise WorkersDied(_DIE_EARLY.format(count=RETRIES + 1))

    def map_unordered(self, items: Iterable[WorkItem], notify: Notify) -> Iterator[BatchResult]:
        """Yield the result of each batch, in the order in which they finish."""
        source = iter(items)
        suspects: list[WorkItem] = []
        returned: list[WorkItem] = []
        deaths_before_work = 0
        while True:
            in_flight = InFlight(source, returned)
            try:
                yield from self._submit_all(in_flight, 2 * self.workers)
                break
            except concurrent.futures.BrokenExecutor:
                unfinished = in_flight.close()
                started = [item for item in unfinished if process.start_marker(self._folder, item[1]).exists()]
                deaths_before_work = 0 if started or in_flight.finished else deaths_before_work + 1
                if deaths_before_work > RETRIES:
                    raise WorkersDied(_DIE_EARLY.format(count=deaths_before_work)) from None
                suspects += started
                returned = [item for item in unfinished if item not in started]
                notify("a worker process died; its images are tried again")
        for context, batch in suspects:
            for single in batch.split():
                yield from self._retry_single(context, single)

    def _submit_all(self, in_flight: InFlight, pre_dispatch: int) -> Iterator[BatchResult]:
        import joblib

        self._start_pool()
        # with one job, joblib would run it in this process
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
    """Items of one pool that are not finished; iterating hands out the next ones.

    Attributes
    ----------
    finished : int
        Number of finished batches.
    """

    def __init__(self, source: Iterator[WorkItem], returned: list[WorkItem]) -> None:
        self._source = source
        self._returned = returned
        self._items: dict[int, WorkItem] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.finished = 0

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
        self.finished += 1
        for number in batch_result.results:
            self._items.pop(number, None)

    def close(self) -> list[WorkItem]:
        """Stop the iteration, and return the unfinished items."""
        with self._lock:
            self._closed = True
            return [*self._items.values(), *self._returned]


@contextlib.contextmanager
def _ignored(name: str) -> Iterator[None]:
    """Ignore a signal, in this process and in those that it starts meanwhile."""
    number = getattr(signal, name, None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def _remove_stale_folders() -> None:
    """Remove the folders of runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER_PREFIX}*"):
        lock_path = folder / _LOCK_NAME
        try:
            if time.time() - folder.stat().st_mtime < _SECONDS_UNTIL_STALE or not lock_path.is_file():
                continue
            lock = filelock.FileLock(lock_path, is_singleton=False)
            lock.acquire(timeout=0)
        except (OSError, filelock.Timeout):  # of another user, or in use
            continue
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


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
