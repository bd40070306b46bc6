"""A worker process: its threads, its device, its slot among the processes of the machine, and its start markers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import filelock

from stylebank.errors import UsageError

from .messages import ImageBatch


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
        As for `devices.make_deterministic`.
    """

    parent: int
    threads: int | None = None
    devices: tuple[str, ...] = ()
    folder: str | None = None
    device: str | None = None
    deterministic: bool = False


@dataclass(frozen=True)
class DeviceInfo:
    """Backend and device of a process.

    Attributes
    ----------
    backend : str
    device : {"cpu", "gpu"}
    gpu_bytes : int or None
        Memory of the GPU; None on a CPU.
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
    """Take a slot and set threads and device, before TensorFlow loads; once per process."""
    if _process.initialized:
        return
    _process.initialized = True
    if os.getpid() != config.parent and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process of the run answers Ctrl-C
    loky = sys.modules.get("joblib.externals.loky.process_executor")
    if loky is not None and os.getpid() != config.parent:
        # With psutil, loky takes the memory of a larger image for a leak and replaces the process, and TensorFlow loads
        # again. joblib has no public switch for that: pyproject.toml bounds its version because of this line.
        loky._USE_PSUTIL = False  # type: ignore[attr-defined]
    if config.threads and "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(config.threads))
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1" if config.threads == 1 else "2")
    if config.device == "cpu" and "keras" not in sys.modules:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["JAX_PLATFORMS"] = "cpu"
    if config.folder is not None:
        _process.slot = _take_slot(Path(config.folder))
    if config.devices:
        if "tensorflow" in sys.modules:
            raise UsageError(
                f"devices {','.join(config.devices)}: TensorFlow is already loaded in this process. "
                "Give more than one device, or set CUDA_VISIBLE_DEVICES before the program starts."
            )
        os.environ["CUDA_VISIBLE_DEVICES"] = config.devices[_process.slot % len(config.devices)]


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
    """Return the kind of device of this process, ``cpu`` or ``gpu``."""
    from ..backends import devices

    return "cpu" if config.device == "cpu" else devices.device()


def worker_name(config: WorkerConfig) -> str:
    """Return the name of this process in the record; empty for the process of the run."""
    if config.devices:
        return f"gpu {os.environ.get('CUDA_VISIBLE_DEVICES')}"
    if config.folder is not None:
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
