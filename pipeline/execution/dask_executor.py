"""A Dask cluster as the executor: the same tasks, through ``distributed.Client`` (extra ``dask``)."""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import os
import pickle
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from stylebank.errors import StylebankError, UsageError, printable

from ..backends.environment import restore
from . import messages, worker
from .messages import BatchResult, Notify, T, WorkerContext, WorkItem, failed_result
from .process import WorkerConfig

LOCAL = "local"
#: Batches that wait for a thread: as many as there are threads, up to this number.
_MAX_WAITING = 16
_SECONDS_TO_ANSWER = 30
_LOGGERS = "distributed", "distributed.client"


class DaskExecutor:
    """Workers of a Dask scheduler, on any number of machines.

    Parameters
    ----------
    address
        ``tcp://HOST:PORT`` of a scheduler, or ``local`` to start one on the loopback address of this machine.
    jobs
        Number of workers of a local cluster.
    device, deterministic
        As for `WorkerConfig`.

    Raises
    ------
    UsageError
        If Dask is not installed, or no scheduler answers.
    StylebankError
        If the scheduler goes away during the run.

    Notes
    -----
    The batches of a dead worker go to another worker. A batch whose workers die more often than the
    scheduler's ``allowed-failures`` is split at the end, and each of its images is tried alone, then reported.
    """

    #: Function that a worker runs; pickled by its qualified name.
    work = staticmethod(worker.work)

    def __init__(self, address: str, jobs: int, *, device: str | None = None, deterministic: bool = False) -> None:
        self._address = address
        self.device_kind, self._deterministic = device, deterministic
        self._jobs = jobs
        self.workers = jobs

    def __enter__(self) -> DaskExecutor:
        try:
            import dask
            import distributed
        except ImportError as error:
            raise UsageError(
                f"--cluster {self._address}: Dask is not installed ({error}). "
                "Run pip install '.[dask]' in the clone of stylebank."
            ) from error
        local = self._address == LOCAL
        # the scheduler of a local cluster tries a task once, another one three times more by itself
        self._attempts = messages.RETRIES if local else 1
        threads = max(1, (os.cpu_count() or 1) // self._jobs) if local else None
        with contextlib.ExitStack() as stack:
            stack.enter_context(_quiet_logs())
            # a batch travels inside its task, because data of its own is lost with the worker that holds it
            config: dict[str, Any] = {"distributed.admin.large-graph-warning-threshold": sys.maxsize}
            if local:
                config["distributed.scheduler.allowed-failures"] = 0
            stack.enter_context(dask.config.set(config))
            with _state_restored(stack):
                self._client = stack.enter_context(self._start_local(stack) if local else self._connect())
            if not local:
                try:
                    self._client.wait_for_workers(1, timeout=_SECONDS_TO_ANSWER)
                except distributed.TimeoutError as error:
                    raise UsageError(
                        f"--cluster {printable(self._address)}: the scheduler has no workers. "
                        f"Start some with 'dask worker {printable(self._address)}'."
                    ) from error
                self.workers = max(1, sum(self._client.nthreads().values()))
            self._stack = stack.pop_all()
        runtime = sys.modules.get("pipeline.backends.runtime")
        self._config = WorkerConfig(
            os.getpid() if local else 0,
            threads,
            device=self.device_kind,
            deterministic=self._deterministic,
            processes=self._jobs if local else self._processes_per_host(),
            exclusive=local,
            backend=getattr(runtime, "NAME", None),
        )
        self._contexts: dict[str, Any] = {}
        return self

    def __exit__(self, *_error: object) -> None:
        self._contexts = {}
        self._stack.close()

    def _processes_per_host(self) -> int:
        """Return the largest number of workers on one machine."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return max(Counter(each["host"] for each in workers).values(), default=1)

    def _start_local(self, stack: contextlib.ExitStack) -> Any:
        from distributed import Client, LocalCluster

        cluster = LocalCluster(
            n_workers=self._jobs,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # None would claim port 8787, and warn where another cluster has it
            scheduler_kwargs={"dashboard": False},
            silence_logs="CRITICAL",
            preload=[__name__],
        )
        stack.enter_context(cluster)
        return Client(cluster, set_as_default=False)

    def _connect(self) -> Any:
        from distributed import Client, TimeoutError

        try:
            return Client(self._address, timeout=_SECONDS_TO_ANSWER, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise UsageError(
                f"--cluster {printable(self._address)}: no scheduler answers ({_first_line(error)}). "
                "Start one with 'dask scheduler' and give its tcp://HOST:PORT."
            ) from error

    def run_once(self, function: Callable[[WorkerConfig], T]) -> T:
        """Return the result of a function of `worker` in one worker."""
        future = None
        try:
            future = self._client.submit(function, self._config, pure=False)
            result: T = future.result()
        except StylebankError:
            raise
        except Exception as error:  # a worker without this package, or with another version of it, fails here first
            raise self._explained(error, future) from error
        return result

    def map_unordered(self, items: Iterable[WorkItem], notify: Notify) -> Iterator[BatchResult]:
        """Yield the result of each batch, in the order in which they finish."""
        killed: list[WorkItem] = []
        for item, result in self._submit_all(items):
            if result is not None:
                yield result
            else:
                notify("workers died; their images are tried again")
                killed.append(item)
        # a scheduler blames every task of a dead worker: which image killed it shows when each runs alone
        for context, batch in killed:
            for single in batch.split():
                yield self._retry_single((context, single))

    def _retry_single(self, item: WorkItem) -> BatchResult:
        for _attempt in range(self._attempts):
            ((_item, result),) = self._submit_all([item])
            if result is not None:
                return result
        return failed_result(item[1], messages.died_message(messages.RETRIES + 1))

    def _submit_all(self, items: Iterable[WorkItem]) -> Iterator[tuple[WorkItem, BatchResult | None]]:
        """Yield each task with its result, None where its workers died; cancel the rest when closed early."""
        from distributed import as_completed

        source = iter(items)
        in_flight: dict[Any, WorkItem] = {}
        completed = as_completed(loop=self._client.loop)
        try:
            while True:
                most = self.workers + min(self.workers, _MAX_WAITING)
                for context, batch in itertools.islice(source, most - len(in_flight)):
                    future = self._submit(context, batch)
                    in_flight[future] = context, batch
                    completed.add(future)
                if not in_flight:
                    return
                future = next(completed)
                result = self._result(future)
                item = in_flight.pop(future)
                del future  # the cluster keeps a result as long as there is a future of it
                yield item, result
        finally:
            if in_flight and self._client.status == "running":
                with contextlib.suppress(Exception):
                    self._client.cancel(list(in_flight), force=True)

    def _submit(self, context: WorkerContext, batch: messages.ImageBatch) -> Any:
        try:
            return self._client.submit(self.work, self._config, self._context(context), batch, pure=False)
        except Exception as error:
            raise self._explained(error) from error

    def _result(self, future: Any) -> BatchResult | None:
        from distributed import KilledWorker

        try:
            result: BatchResult = future.result()
        except KilledWorker:
            return None
        except StylebankError:
            raise
        except Exception as error:
            raise self._explained(error, future) from error
        return result

    def _context(self, context: WorkerContext) -> Any:
        """Send a context once, as a task that runs again where the worker that holds its result died."""
        future = self._contexts.get(context.key)
        if future is None or future.status == "error":
            future = self._client.submit(pickle.loads, pickle.dumps(context, pickle.HIGHEST_PROTOCOL), pure=False)
            self._contexts = {context.key: future}
        return future

    def _explained(self, error: Exception, future: Any = None) -> StylebankError:
        """Return the error of one line for an exception of a worker, or of the connection to the scheduler."""
        from distributed import CancelledError

        raised_by_task = future is not None and future.status == "error"
        if not raised_by_task and (isinstance(error, (CancelledError, OSError)) or self._client.status != "running"):
            return StylebankError(
                f"--cluster {printable(self._address)}: the connection to the scheduler is lost, or it cancelled the "
                "run. Start the scheduler and its workers, then repeat the command: finished images are kept."
            )
        return StylebankError(
            f"--cluster {printable(self._address)}: {type(error).__name__}: {_first_line(error)}. "
            "See the logs of its workers; each needs the same version of stylebank."
        )


def dask_setup(_worker: Any) -> None:
    """Ignore Ctrl-C in a worker of a local cluster, because the run answers it: Dask calls this as a worker starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def _state_restored(stack: contextlib.ExitStack) -> Iterator[None]:
    """Let `stack` restore the environment variables and the start method of processes that change within the context.

    Dask sets variables for its workers to inherit, also for those that it starts during the run.
    """
    variables = dict(os.environ)
    start_method = multiprocessing.get_start_method(allow_none=True)
    changed: dict[str, str | None] = {}

    def restore_all() -> None:
        restore(changed)
        if start_method is None and multiprocessing.get_start_method(allow_none=True) is not None:
            multiprocessing.set_start_method(None, force=True)

    stack.callback(restore_all)
    try:
        yield
    finally:
        changed.update((name, variables.get(name)) for name in os.environ if os.environ[name] != variables.get(name))


@contextlib.contextmanager
def _quiet_logs() -> Iterator[None]:
    """Silence Dask's loggers, and restore their levels."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _first_line(error: BaseException) -> str:
    return printable(str(error).strip().split("\n")[0])
