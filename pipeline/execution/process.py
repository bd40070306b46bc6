"""A worker process: its threads, its device, its slot among the processes of the machine, and its start markers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import filelock

from stylebank.errors import UsageError, plural, printable

from .messages import ImageBatch

#: A terminal, a service manager or a scheduler sends these to a whole group; workers leave the answer to the run.
_ANSWERED_BY_THE_RUN = ("SIGINT", "SIGTERM", "SIGHUP")
_SECONDS_BETWEEN_LOOKS = 2.0


@dataclass(frozen=True)
class WorkerConfig:
    """Configuration of a worker process.

    Attributes
    ----------
    parent : int
        Process of the run, which reads and writes files.
    threads : int or None
        Number of CPU threads for this process; None leaves it to the libraries.
    devices : tuple of str
        GPUs, of which each process takes one.
    folder : str or None
        Folder of the locks and markers that the processes of one machine share.
    device : str or None
        As for `devices.device_scope`.
    deterministic : bool
        As for `devices.computing`.
    processes : int
        Number of processes that share the memory of the machine.
    exclusive : bool
        Whether the process ends with the run, so that its environment and signal handlers may change. The process of
        the run and the workers of a cluster belong to other programs as well.
    backend : str or None
        Keras backend of the run, for exclusive processes; None if it is not loaded.
    """

    parent: int
    threads: int | None = None
    devices: tuple[str, ...] = ()
    folder: str | None = None
    device: str | None = None
    deterministic: bool = False
    processes: int = 1
    exclusive: bool = False
    backend: str | None = None


@dataclass(frozen=True)
class DeviceInfo:
    """Backend and device of a process.

    Attributes
    ----------
    backend : str
    device : {"cpu", "gpu"}
    gpu_bytes : int or None
        Memory of the GPU, divided by the processes that share it; None on a CPU.
    """

    backend: str
    device: str
    gpu_bytes: int | None = None


@dataclass
class _ProcessState:
    initialized: bool = False
    slot: int = 0
    lock: filelock.BaseFileLock | None = None


_process = _ProcessState()


def init_process(config: WorkerConfig) -> None:
    """Take a slot and set threads and device, before TensorFlow loads; once per process.

    A process that is not exclusive stays as it is.
    """
    if _process.initialized or not config.exclusive:
        return
    _process.initialized = True
    if threading.current_thread() is threading.main_thread():
        for name in _ANSWERED_BY_THE_RUN:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
    if config.parent:
        threading.Thread(target=_end_with, args=(config.parent,), name="stylebank-parent", daemon=True).start()
    loky = sys.modules.get("joblib.externals.loky.process_executor")
    if loky is not None:
        # With psutil, loky takes the memory of a larger image for a leak and replaces the process, and TensorFlow loads
        # again. joblib has no public switch for that: pyproject.toml bounds its version because of this line.
        loky._USE_PSUTIL = False  # type: ignore[attr-defined]
    if config.backend is not None:
        os.environ["KERAS_BACKEND"] = config.backend
    if config.threads:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(config.threads))
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1" if config.threads == 1 else "2")
    if config.folder is not None:
        _process.slot = _take_slot(Path(config.folder))
    if config.devices:
        os.environ.update(device_variables(config.devices[_process.slot % len(config.devices)]))
    elif config.device == "cpu":
        os.environ.update(device_variables("cpu"))


def device_variables(device: str) -> dict[str, str]:
    """Return the environment variables that hide every other device from a backend that is not loaded yet.

    Parameters
    ----------
    device
        ``cpu``, or the number of a GPU among those that are visible.

    Raises
    ------
    UsageError
        If CUDA_VISIBLE_DEVICES has no such GPU.
    """
    if device == "cpu":
        return {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return {"CUDA_VISIBLE_DEVICES": device}
    names = [name.strip() for name in visible.split(",") if name.strip()]
    if int(device) >= len(names):
        raise UsageError(
            f"GPU {device}: CUDA_VISIBLE_DEVICES={printable(visible)} shows {plural(len(names), 'GPU')}. "
            "Give numbers from 0 among those."
        )
    return {"CUDA_VISIBLE_DEVICES": names[int(device)]}


def _end_with(parent: int) -> None:
    """End this process when the process of the run is gone, which a signal may have ended without any clean-up.

    On Windows a process has no way to see this by numbers, and loky's own time limit of idle workers applies.
    """
    if not hasattr(os, "getppid") or sys.platform == "win32":
        return
    direct = os.getppid() == parent
    while True:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            break
        except OSError:  # alive, and of another user
            continue
        if direct and os.getppid() != parent:  # its number is taken by another process
            break
    os._exit(1)


def _take_slot(folder: Path) -> int:
    """Take the lowest free slot of the machine; the lock frees it when the process dies."""
    slot = 0
    while True:
        lock = filelock.FileLock(folder / f"slot{slot}", is_singleton=False)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            slot += 1
            continue
        _process.lock = lock
        return slot


def device_kind(config: WorkerConfig) -> str:
    """Return the kind of device of this process, ``cpu`` or ``gpu``.

    Raises
    ------
    UsageError
        If there is no such device.
    """
    from ..backends import devices
    from ..backends.runtime import NAME

    with devices.device_scope(config.device):
        kind = devices.device()
    if config.devices and kind != "gpu":
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        raise UsageError(f"devices: {NAME} finds no GPU {visible} here. Leave out --devices, or name other GPUs.")
    return kind


def worker_name(config: WorkerConfig) -> str:
    """Return the name of this process in the record; empty for the process of the run."""
    if config.devices and config.exclusive:
        return f"gpu {os.environ.get('CUDA_VISIBLE_DEVICES')}"
    if config.exclusive and config.folder is not None:
        return f"worker {_process.slot + 1}"
    return "" if os.getpid() == config.parent else f"{socket.gethostname()}:{os.getpid()}"


def write_start_marker(config: WorkerConfig, batch: ImageBatch) -> None:
    """Mark a batch as started, so that the run knows which batches a dead worker had."""
    if config.folder is not None:
        with contextlib.suppress(OSError):
            start_marker(config.folder, batch).touch()


def start_marker(folder: str, batch: ImageBatch) -> Path:
    """Return the path of a batch's start marker."""
    return Path(folder) / f"started{batch.indices[0]}"
