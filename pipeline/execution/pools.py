"""Pools of processes: loky's, for one run alone, or the backend that the caller has set with joblib."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

#: Variables by which libraries of linear algebra read their number of threads.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
#: Arrays above this go to the processes of joblib as memory maps of one file, not as copies in every task.
_MAPPED_BYTES = 1 << 16


class Pool(Protocol):
    """Processes that call a function.

    Attributes
    ----------
    exclusive : bool
        Whether the processes end with the pool.
    """

    exclusive: bool

    def map_unordered(self, function: Callable[..., Any], items: Iterable[Any], ahead: int) -> Iterator[Any]:
        """Yield ``function(*item)`` of each item as they finish, with at most `ahead` items submitted."""

    def close(self, *, kill: bool = False) -> None:
        """End the processes."""


def make_pool(jobs: int) -> Pool:
    """Return loky's processes, unless the caller has set another backend with ``joblib.parallel_config``."""
    from joblib.parallel import BACKENDS, get_active_backend

    backend, _jobs = get_active_backend()
    return LokyPool(jobs) if isinstance(backend, BACKENDS["loky"]) else JoblibPool(jobs)


class LokyPool:
    """Processes of loky's executor for one run.

    joblib itself keeps one executor per program and replaces it when the number of processes changes. The host program
    may use that one, so it is left alone. Environment variables reach the workers without those of this process.
    """

    exclusive = True

    def __init__(self, jobs: int) -> None:
        from joblib.externals.loky import ProcessPoolExecutor
        from joblib.externals.loky.backend import get_context, resource_tracker

        with _ignored("SIGHUP"):  # the helper that removes what killed workers leave behind outlives a closing terminal
            resource_tracker.ensure_running()
        threads = str(max(1, (os.cpu_count() or 1) // jobs))
        variables = {name: os.environ.get(name, threads) for name in _THREAD_VARIABLES}
        self._executor = ProcessPoolExecutor(jobs, context=get_context("loky"), env=variables)

    def map_unordered(self, function: Callable[..., Any], items: Iterable[Any], ahead: int) -> Iterator[Any]:
        """Yield results as they finish; raise `concurrent.futures.BrokenExecutor` when a process dies."""
        source = iter(items)
        pending: set[Any] = set()
        try:
            while True:
                for item in itertools.islice(source, ahead - len(pending)):
                    pending.add(self._executor.submit(function, *item))
                if not pending:
                    return
                finished, _ = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in finished:
                    result = future.result()
                    pending.discard(future)
                    del future  # a result is large
                    yield result
                finished.clear()
        finally:
            if pending:
                self.close(kill=True)

    def close(self, *, kill: bool = False) -> None:
        """End the processes, at once with `kill`."""
        self._executor.shutdown(wait=True, kill_workers=kill)


class JoblibPool:
    """The joblib backend that the caller has set; its processes are the caller's."""

    exclusive = False

    def __init__(self, jobs: int) -> None:
        self._jobs = max(2, jobs)  # with one job, joblib would call the function in this process

    def map_unordered(self, function: Callable[..., Any], items: Iterable[Any], ahead: int) -> Iterator[Any]:
        """Yield results as they finish, if the backend supports that."""
        import joblib

        options: dict[str, Any] = {
            "n_jobs": self._jobs,
            "prefer": "processes",
            "batch_size": 1,
            "pre_dispatch": ahead,
            "max_nbytes": _MAPPED_BYTES,
        }
        try:
            parallel = joblib.Parallel(return_as="generator_unordered", **options)
        except ValueError:  # the backend returns lists only
            parallel = joblib.Parallel(**options)
        results: Any = parallel(joblib.delayed(function)(*item) for item in items)
        try:
            yield from results
        finally:
            if hasattr(results, "close"):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # joblib warns about cancelled tasks
                    results.close()

    def close(self, *, kill: bool = False) -> None:
        """Leave the processes to the caller."""


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
