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
from .messages import RETRIES, BatchResult, ImageBatch, Note, T, WorkerContext, WorkItem, died, failed
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

    def run_once(self, question: Callable[[WorkerConfig], T]) -> T:
        """Return one process' answer to a question of `worker`."""
        import joblib

        self._pool_started = True
        told: list[T] = list(_parallel(max(2, self.workers))([joblib.delayed(question)(self._config)]))
        return told[0]

    def map_unordered(self, tasks: Iterable[WorkItem], note: Note) -> Iterator[BatchResult]:
        """Yield what became of each chunk, as they finish."""
        source = iter(tasks)
        suspects: list[WorkItem] = []
        again: list[WorkItem] = []
        while True:
            flight = InFlight(source, again)
            try:
                yield from self._submit_all(flight, 2 * self.workers)
                break
            except concurrent.futures.BrokenExecutor:
                unfinished = flight.close()
                begun = [task for task in unfinished if process.start_marker(self._folder, task[1]).exists()]
                suspects += begun
                again = [task for task in unfinished if task not in begun]
                note("a worker process died; its pictures are tried again")
        for context, batch in suspects:
            for one in batch.split():
                yield from self._retry_single(context, one)

    def _submit_all(self, flight: InFlight, ahead: int) -> Iterator[BatchResult]:
        import joblib

        # never one job: joblib would run it in this process
        self._pool_started = True
        run = _parallel(max(2, self.workers), pre_dispatch=ahead)
        delayed = joblib.delayed(self.work)
        batch_results = run(delayed(self._config, context, batch) for context, batch in flight)
        with closed_quietly(batch_results):
            for batch_result in batch_results:
                flight.done(batch_result)
                yield batch_result

    def _retry_single(self, context: WorkerContext, batch: ImageBatch) -> Iterator[BatchResult]:
        for _attempt in range(RETRIES):
            try:
                yield from list(self._submit_all(InFlight(iter([(context, batch)]), []), 1))
                return
            except concurrent.futures.BrokenExecutor:
                continue
        yield failed(batch, died(RETRIES + 1))


class InFlight:
    """The tasks given to one pool, and which of them are not back yet."""

    def __init__(self, source: Iterator[WorkItem], again: list[WorkItem]) -> None:
        self._source = source
        self._again = again
        self._out: dict[int, WorkItem] = {}
        self._lock = threading.Lock()
        self._closed = False

    def __iter__(self) -> Iterator[WorkItem]:
        while True:
            with self._lock:  # joblib takes tasks from threads of its own, also while it gives up
                if self._closed:
                    return
                task = self._again.pop(0) if self._again else next(self._source, None)
                if task is None:
                    return
                self._out[task[1].indices[0]] = task
            yield task

    def done(self, batch_result: BatchResult) -> None:
        """Note a chunk as finished."""
        for number in batch_result.results:
            self._out.pop(number, None)

    def close(self) -> list[WorkItem]:
        """Give out no more, and return what is not back."""
        with self._lock:
            self._closed = True
            return [*self._out.values(), *self._again]


def _parallel(jobs: int, *, pre_dispatch: int | str = "2*n_jobs") -> Any:
    """Give a `joblib.Parallel` whose results come as they finish where its backend can."""
    import joblib

    given = {
        "n_jobs": jobs,
        "prefer": "processes",
        "batch_size": 1,
        "pre_dispatch": pre_dispatch,
        "max_nbytes": _MAPPED_BYTES,
    }
    try:
        return joblib.Parallel(return_as="generator_unordered", **given)
    except ValueError:  # the caller's backend does not know how
        return joblib.Parallel(**given)


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
