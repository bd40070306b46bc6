"""Several processes of this machine, through joblib; and what happens when one of them dies."""

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
        How many.
    devices
        GPUs, each of which one process takes.
    device, deterministic
        As for `WorkerConfig`.

    Notes
    -----
    loky gives up a whole pool when one process dies. What was not begun goes to a new one;
    what was, is made alone, one after another, so that only a picture that takes its worker
    with it every time is reported.
    """

    #: What a worker does; found by name in its own process.
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
        """Return one process' answer to a function of `worker`."""
        import joblib

        self._pool_started = True
        results: list[T] = list(_parallel(max(2, self.workers))([joblib.delayed(function)(self._config)]))
        return results[0]

    def map_unordered(self, items: Iterable[WorkItem], notify: Notify) -> Iterator[BatchResult]:
        """Yield what became of each chunk, as they finish."""
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
                notify("a worker process died; its pictures are tried again")
        for context, batch in suspects:
            for single in batch.split():
                yield from self._retry_single(context, single)

    def _submit_all(self, in_flight: InFlight, pre_dispatch: int) -> Iterator[BatchResult]:
        import joblib

        # never one job: joblib would run it in this process
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
    """The tasks given to one pool, and which of them are not back yet."""

    def __init__(self, source: Iterator[WorkItem], returned: list[WorkItem]) -> None:
        self._source = source
        self._returned = returned
        self._items: dict[int, WorkItem] = {}
        self._lock = threading.Lock()
        self._closed = False

    def __iter__(self) -> Iterator[WorkItem]:
        while True:
            with self._lock:  # joblib takes tasks from threads of its own, also while it gives up
                if self._closed:
                    return
                item = self._returned.pop(0) if self._returned else next(self._source, None)
                if item is None:
                    return
                self._items[item[1].indices[0]] = item
            yield item

    def done(self, batch_result: BatchResult) -> None:
        """Note a chunk as finished."""
        for number in batch_result.results:
            self._items.pop(number, None)

    def close(self) -> list[WorkItem]:
        """Give out no more, and return what is not back."""
        with self._lock:
            self._closed = True
            return [*self._items.values(), *self._returned]


def _parallel(jobs: int, *, pre_dispatch: int | str = "2*n_jobs") -> Any:
    """Give a `joblib.Parallel` whose results come as they finish where its backend can."""
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
    except ValueError:  # the caller's backend does not know how
        return joblib.Parallel(**options)


@contextlib.contextmanager
def closed_quietly(batch_results: Any) -> Iterator[None]:
    """Close joblib's results in the end; that it cancels what nobody waits for any more is meant so."""
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
