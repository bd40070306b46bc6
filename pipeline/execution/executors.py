"""Executors: this process, several processes of this machine, or a Dask cluster."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from stylebank.errors import UsageError, printable

from ..backends.environment import environment
from . import worker
from .dask_executor import DaskExecutor
from .messages import BatchResult, Notify, T, WorkItem
from .process import WorkerConfig, device_variables
from .process_executor import ProcessExecutor


class Executor(Protocol):
    """Interface of a run to the processes that compute.

    Attributes
    ----------
    workers : int
        Number of processes that compute at the same time.
    """

    workers: int

    def __enter__(self) -> Any:
        """Start the processes."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """End the processes; kill them if an error is raised."""

    def run_once(self, function: Callable[[WorkerConfig], T]) -> T:
        """Return the result of a function of `worker` in one process."""

    def map_unordered(self, items: Iterable[WorkItem], notify: Notify) -> Iterator[BatchResult]:
        """Yield the result of each batch, in the order in which they finish."""


class InProcessExecutor:
    """Executor of this process, one batch after another.

    Parameters
    ----------
    device, deterministic
        As for `WorkerConfig`.
    """

    workers = 1

    def __init__(self, *, device: str | None = None, deterministic: bool = False) -> None:
        self._config = WorkerConfig(os.getpid(), device=device, deterministic=deterministic)
        self.on_ready: Callable[[dict[str, Any]], None] = lambda machine: None
        self.on_step: Callable[[int, Any], None] = lambda number, info: None

    def __enter__(self) -> InProcessExecutor:
        return self

    def __exit__(self, *_error: object) -> None:
        worker.clear_cache()

    def run_once(self, function: Callable[[WorkerConfig], T]) -> T:
        """Return the result of a function of `worker` in this process."""
        return function(self._config)

    def map_unordered(self, items: Iterable[WorkItem], notify: Notify) -> Iterator[BatchResult]:
        """Yield the result of each batch."""
        for context, batch in items:
            yield worker.work(self._config, context, batch, self.on_ready, self.on_step)


def make_executor(
    jobs: int | None = None,
    devices: Sequence[str | int] = (),
    cluster: str | None = None,
    device: str | None = None,
    deterministic: bool = False,
) -> Executor:
    """Return the executor for a run's options.

    Parameters
    ----------
    jobs
        Number of processes; the number of `devices` by default, and this process alone without devices.
    devices
        Numbers of GPUs, one process each.
    cluster
        ``tcp://HOST:PORT`` of a Dask scheduler, or ``local`` for `jobs` Dask workers on this machine.
    device
        ``cpu``, ``gpu`` or ``gpu:N``; ``auto`` and None leave the choice to the backend.
    deterministic
        Make the same input give the same bytes on a GPU, too.

    Raises
    ------
    UsageError
        If an option has a wrong value, or two options exclude each other.

    Notes
    -----
    The environment, signal handlers and the backend's settings of this process are restored after a run. What a
    backend fixes when it loads stays: the devices it sees, and on TensorFlow that GPU memory grows as needed.
    """
    names = tuple(str(number) for number in devices)
    if device == "auto":
        device = None
    if device is not None:
        kind, _, number = device.partition(":")
        if kind not in {"cpu", "gpu"} or (device != kind and not (kind == "gpu" and number.isdigit())):
            raise UsageError(f"device {printable(device)}: expected auto, cpu, gpu, or gpu:N with the number of a GPU.")
        if names:
            raise UsageError(f"device {device} and devices {','.join(names)} exclude each other. Give one of them.")
        if kind == "gpu" and cluster is None and (jobs or 1) > 1:
            names, device = (number or "0",), None
    options: dict[str, Any] = {"device": device, "deterministic": deterministic}
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs {jobs}: expected 1 or more.")
    if any(not name.isdigit() for name in names) or len(set(names)) < len(names):
        raise UsageError(f"devices {','.join(names)}: expected numbers of GPUs, each once, such as 0,1.")
    if cluster is not None:
        if names:
            raise UsageError("cluster and devices exclude each other. Set devices where its workers start.")
        if cluster != "local" and "://" not in cluster:
            raise UsageError(f"cluster {printable(cluster)}: expected 'local', or a scheduler's tcp://HOST:PORT.")
        return DaskExecutor(cluster, jobs or 1, **options)
    if names and jobs is not None and jobs != len(names):
        raise UsageError(f"jobs {jobs}: expected {len(names)}, one process per device. Leave jobs out.")
    if len(names) > 1 or (jobs or 1) > 1:
        return ProcessExecutor(jobs or len(names), names, **options)
    if names:
        options["device"] = f"gpu:{names[0]}"
    return InProcessExecutor(**options)


@contextlib.contextmanager
def single_device_visible(options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Hide the devices that a run in this process does not use, for a program that does nothing else.

    A backend takes memory of every GPU that it sees, and keeps those it sees for as long as the process lives.

    Parameters
    ----------
    options
        Keyword arguments, with those of `make_executor` among them.

    Yields
    ------
    dict of str to Any
        The keyword arguments, with the device's new number. The environment is restored at the end.
    """
    wanted = dict(options)
    devices: Sequence[str] = wanted.get("devices") or ()
    device = wanted.get("device") or (f"gpu:{devices[0]}" if len(devices) == 1 else "")
    kind, _, number = device.partition(":")
    elsewhere = wanted.get("cluster") is not None or (wanted.get("jobs") or 1) > 1 or len(devices) > 1
    hide = not elsewhere and "keras" not in sys.modules and (device == "cpu" or (kind == "gpu" and number.isdigit()))
    if hide and kind == "gpu":
        wanted |= {"device": "gpu", "devices": ()}
    with environment(device_variables(number if kind == "gpu" else "cpu") if hide else {}):
        yield wanted
