"""Executor with several processes of this machine."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stylebank.errors import StylebankError, UsageError
from stylebank.files import describe_os_error

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
from .pools import Pool, make_pool
from .process import WorkerConfig
from .temporary import temporary_folder

_DIE_EARLY = (
    "the worker processes ended {count} times before they began an image. "
    "Run this with --jobs 1 to see the reason, or with fewer --jobs if memory is short."
)


class ProcessExecutor:
    """Several processes of this machine: loky's, unless the caller has set another backend with joblib.

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
        self._count = 0
        self.device_kind, self._deterministic = device, deterministic

    def __enter__(self) -> ProcessExecutor:
        self._temporary = temporary_folder()
        self._folder = str(self._temporary.__enter__())
        self._pool: Pool | None = None
        self._stored: dict[str, StoredContext] = {}
        threads = None if self._devices else max(1, (os.cpu_count() or 1) // self.workers)
        runtime = sys.modules.get("pipeline.backends.runtime")
        self._config = WorkerConfig(
            os.getpid(),
            threads,
            self._devices,
            self._folder,
            self.device_kind,
            self._deterministic,
            processes=self.workers,
            backend=getattr(runtime, "NAME", None),
        )
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        self._end_pool(kill=kind is not None)
        self._temporary.__exit__(None, None, None)

    def _started_pool(self) -> Pool:
        if self._pool is None:
            self._pool = make_pool(self.workers)
            if self._devices and not self._pool.exclusive:
                raise UsageError(
                    f"devices {','.join(self._devices)}: each GPU needs a process of the run. "
                    "Leave out joblib.parallel_config, or devices."
                )
            self._config = dataclasses.replace(self._config, exclusive=self._pool.exclusive)
        return self._pool

    def _end_pool(self, *, kill: bool) -> None:
        if self._pool is not None:
            self._pool.close(kill=kill)
            self._pool = None

    def run_once(self, function: Callable[[WorkerConfig], T]) -> T:
        """Return the result of a function of `worker` in one process."""
        for _attempt in range(RETRIES + 1):
            pool = self._started_pool()
            try:
                results: list[T] = list(pool.map_unordered(function, [(self._config,)], 1))
            except concurrent.futures.BrokenExecutor:
                self._end_pool(kill=True)
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

    def _submit_all(self, in_flight: InFlight, ahead: int) -> Iterator[BatchResult]:
        pool = self._started_pool()
        if pool.exclusive:
            arguments: Iterator[Any] = (
                (self.work, self._config, self._store(context, in_flight), batch) for context, batch in in_flight
            )
            batch_results = pool.map_unordered(_work_with_stored_context, arguments, ahead)
        else:
            batch_results = pool.map_unordered(self.work, ((self._config, *item) for item in in_flight), ahead)
        try:
            with contextlib.closing(batch_results):  # type: ignore[type-var]
                for batch_result in batch_results:
                    in_flight.done(batch_result)
                    yield batch_result
        except (concurrent.futures.BrokenExecutor, GeneratorExit):
            self._end_pool(kill=True)
            raise

    def _store(self, context: WorkerContext, in_flight: InFlight) -> StoredContext:
        """Write a context for the workers to read, once; remove those that no batch in flight needs."""
        stored = self._stored.get(context.key)
        if stored is None:
            needed = in_flight.keys()
            for key in [key for key in self._stored if key not in needed]:
                self._stored.pop(key).path.unlink(missing_ok=True)
            stored = StoredContext(context.key, Path(self._folder) / f"context{self._count}")
            self._count += 1
            try:
                stored.path.write_bytes(pickle.dumps(context, pickle.HIGHEST_PROTOCOL))
            except OSError as error:
                raise StylebankError(
                    f"{self._folder}: {describe_os_error(error)} TMPDIR sets another folder."
                ) from error
            self._stored[context.key] = stored
        return stored

    def _retry_single(self, context: WorkerContext, batch: ImageBatch) -> Iterator[BatchResult]:
        for _attempt in range(RETRIES):
            try:
                yield from list(self._submit_all(InFlight(iter([(context, batch)]), []), 1))
                return
            except concurrent.futures.BrokenExecutor:
                continue
        yield failed_result(batch, died_message(RETRIES + 1))


@dataclass(frozen=True)
class StoredContext:
    """A context in a file of the run's temporary folder, which only its own processes read."""

    key: str
    path: Path


def _work_with_stored_context(
    work: Callable[..., BatchResult], config: WorkerConfig, stored: StoredContext, batch: ImageBatch
) -> BatchResult:
    return work(config, _load_context(stored), batch)


@lru_cache(maxsize=2)
def _load_context(stored: StoredContext) -> WorkerContext:
    context: WorkerContext = pickle.loads(stored.path.read_bytes())
    return context


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
            with self._lock:  # joblib iterates in threads, even while a pool fails
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

    def keys(self) -> set[str]:
        """Return the keys of the contexts of unfinished items."""
        with self._lock:
            return {context.key for context, _batch in (*self._items.values(), *self._returned)}

    def close(self) -> list[WorkItem]:
        """Stop the iteration, and return the unfinished items."""
        with self._lock:
            self._closed = True
            return [*self._items.values(), *self._returned]
