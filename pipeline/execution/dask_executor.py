"""A Dask cluster as the crew: the same tasks, through joblib's dask backend (extra ``dask``)."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from stylebank.errors import StylebankError, UsageError, printable

from . import messages, process_executor, worker
from .messages import BatchResult, ImageBatch, Note, T, WorkerContext, WorkItem, failed
from .process import WorkerConfig

LOCAL = "local"
_BACKEND = "stylebank-dask"
_SECONDS_TO_ANSWER = 30


class DaskExecutor:
    """Workers that a Dask scheduler knows, on any number of machines.

    Parameters
    ----------
    address
        ``tcp://HOST:PORT`` of a scheduler, or ``local`` to start one here, on this machine's own
        loopback address.
    jobs
        How many workers a local one has.
    device, deterministic
        As for `WorkerConfig`.

    Raises
    ------
    UsageError
        If Dask is not installed, or no scheduler answers.

    Notes
    -----
    A worker that dies takes nothing with it: its batches go to another. A batch whose workers die
    more often than the scheduler's ``allowed-failures`` is tried alone at the end, then reported.
    """

    #: What a worker does; found by name in its own process.
    work = staticmethod(worker.work)

    def __init__(self, address: str, jobs: int, *, device: str | None = None, deterministic: bool = False) -> None:
        self._address = address
        self.device_kind, self._deterministic = device, deterministic
        self._jobs = jobs
        self.workers = jobs

    def __enter__(self) -> DaskExecutor:
        try:
            import dask
            from dask import distributed
        except ImportError as error:
            raise UsageError(
                f"--cluster {self._address}: Dask is not installed ({error}). pip install 'stylebank[dask]'"
            ) from error
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            threads = None
            # a scheduler of somebody else's tries three times more by itself
            self._attempts = messages.RETRIES if self._address == LOCAL else 1
            if self._address == LOCAL:
                threads = max(1, (os.cpu_count() or 1) // self._jobs)
                stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
                cluster = distributed.LocalCluster(
                    n_workers=self._jobs,
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address=None,
                    silence_logs="CRITICAL",
                    preload=[__name__],
                )
                stack.enter_context(cluster)
                self._client = stack.enter_context(distributed.Client(cluster, set_as_default=True))
            else:
                try:
                    client = distributed.Client(self._address, timeout=_SECONDS_TO_ANSWER, set_as_default=True)
                except (OSError, ValueError, TimeoutError) as error:
                    reason = printable(str(error).strip().split("\n")[0])
                    raise UsageError(
                        f"--cluster {printable(self._address)}: no scheduler answers ({reason}). "
                        "Start one with 'dask scheduler' and give its tcp://HOST:PORT."
                    ) from error
                self._client = stack.enter_context(client)
                try:
                    self._client.wait_for_workers(1, timeout=_SECONDS_TO_ANSWER)
                except TimeoutError as error:
                    raise UsageError(
                        f"--cluster {printable(self._address)}: the scheduler has no workers. "
                        f"Start some with 'dask worker {printable(self._address)}'."
                    ) from error
                self.workers = sum(self._client.nthreads().values())
            self._stack = stack.pop_all()
        self._config = WorkerConfig(
            os.getpid() if self._address == LOCAL else 0,
            threads,
            device=self.device_kind,
            deterministic=self._deterministic,
        )
        self._held: dict[str, Any] = {}
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def run_once(self, question: Callable[[WorkerConfig], T]) -> T:
        """Return one worker's answer to a question of `worker`."""
        try:
            told: T = self._client.submit(question, self._config, pure=False).result()
        except StylebankError:
            raise
        except Exception as error:  # a worker without this package, or with another version of it, says so here first
            raise _troubled(error) from error
        return told

    def map_unordered(self, tasks: Iterable[WorkItem], note: Note) -> Iterator[BatchResult]:
        """Yield what became of each chunk, as they finish."""
        lost: list[WorkItem] = []
        for task, batch_result in self._submit_all(tasks):
            if batch_result is not None:
                yield batch_result
            else:
                note("workers died; their pictures are tried again")
                lost.append(task)
        for (
            context,
            batch,
        ) in lost:  # a scheduler blames all that its dead worker had: who it was shows when each is alone
            for one in batch.split():
                yield self._retry_single((context, one))

    def _retry_single(self, task: WorkItem) -> BatchResult:
        for _attempt in range(self._attempts):
            ((_task, batch_result),) = self._submit_all([task])
            if batch_result is not None:
                return batch_result
        return failed(task[1], messages.died(messages.RETRIES + 1))

    def _submit_all(self, tasks: Iterable[WorkItem]) -> Iterator[tuple[WorkItem, BatchResult | None]]:
        """Yield each task with its outcome, None where its workers died."""
        import joblib

        joblib.register_parallel_backend(_BACKEND, _backend())
        out: dict[int, WorkItem] = {}

        def taken() -> Iterator[Any]:
            for context, batch in tasks:
                out[batch.indices[0]] = (context, batch)
                yield joblib.delayed(_work)(self._config, self._context(context), _Sealed(batch), self.work)

        with joblib.parallel_config(backend=_BACKEND, client=self._client):
            run = joblib.Parallel(n_jobs=-1, return_as="generator_unordered", batch_size=1)
            batch_results = run(taken())
            with process_executor.closed_quietly(batch_results):
                for number, batch_result in batch_results:
                    if isinstance(batch_result, StylebankError):
                        raise batch_result
                    yield out.pop(number), batch_result

    def _context(self, context: WorkerContext) -> Any:
        """Send a context once, as a task that can be run again where the worker that holds its result died."""
        if context.key not in self._held:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Dask thinks a large argument a mistake
                future = self._client.submit(
                    pickle.loads, pickle.dumps(context, pickle.HIGHEST_PROTOCOL), key=f"stylebank-{context.key}"
                )
            self._held = {context.key: future}
        return self._held[context.key]


def dask_setup(_worker: Any) -> None:
    """Leave Ctrl-C to the run, in a worker of a local cluster: Dask calls this in each as it starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Sealed:
    """A chunk that Dask sends with its task: data of its own would be lost with the worker that holds it."""

    def __init__(self, batch: ImageBatch) -> None:
        self.batch = batch


def _work(
    config: WorkerConfig, context: WorkerContext, sealed: _Sealed, work: Callable[..., BatchResult]
) -> tuple[int, BatchResult]:
    return sealed.batch.indices[0], work(config, context, sealed.batch)


def _troubled(error: BaseException) -> StylebankError:
    reason = printable(str(error).strip().split("\n")[0])
    return StylebankError(
        f"the cluster: {type(error).__name__}: {reason}. "
        "See its workers' logs; each needs the same version of stylebank."
    )


def _backend() -> type[Any]:
    """Return joblib's dask backend, mended: it would wait for ever for a task whose workers died.

    And it would compute in this process where there is a single worker.
    """
    from distributed import KilledWorker
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):  # type: ignore[misc]
        def effective_n_jobs(self, n_jobs: int) -> int:
            # joblib would compute for a single worker here, and there may be one alone when others have died
            return max(2, int(super().effective_n_jobs(n_jobs)))

        def submit(self, func: Any, callback: Any = None) -> Any:
            ((_function, arguments, _keywords),) = func.items
            number = arguments[2].batch.indices[0]
            future = super().submit(func, callback)

            def ended(done: Any) -> None:
                error = done.exception()
                if error is not None and callback is not None:
                    callback((number, error))

            future.add_done_callback(ended)
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            if isinstance(out, tuple):
                number, error = out
                if isinstance(error, KilledWorker):
                    return [(number, None)]
                return [(number, _troubled(error))]
            return super().retrieve_result_callback(out)

    return Backend
