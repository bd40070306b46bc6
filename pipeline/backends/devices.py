"""Devices: which exist, which one computes, its memory, and the precision it is fast in."""

from __future__ import annotations

import contextlib
import contextvars
import importlib.metadata
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from stylebank.errors import UsageError

from .compile import compile_bound
from .runtime import NAME, backend_settings, keras, ops, to_numpy, to_tensors

if NAME == "tensorflow":
    import tensorflow as tf
elif NAME == "torch":
    import torch
else:
    import jax

#: `resolve_precision` selects bfloat16 if its time, divided by float32's, is below this.
_MAX_TIME_RATIO = 0.8
_TIMED_CHANNELS, _TIMED_SIDE, _TIMED_RUNS = 128, 96, 5
#: Assume 4 GiB where NVML is missing: a batch too large is halved on out-of-memory, one too small is never enlarged.
_ASSUMED_BYTES = 4 << 30
_selected: contextvars.ContextVar[str | None] = contextvars.ContextVar("stylebank_device", default=None)


def resolve_precision(precision: str) -> str:
    """Return ``float32`` or ``bfloat16``.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        ``auto`` times one convolution in both precisions, once per device and process. bfloat16 wins on GPUs since
        Ampere and on CPUs with AVX512-BF16 or AMX. Where bfloat16 is emulated, float32 wins by a wide margin.
        In a run, one worker measures for all workers.
    """
    return _fastest_precision(selected_device()) if precision == "auto" else precision


@lru_cache(maxsize=8)
def _fastest_precision(_device: str | None) -> str:
    seconds = {kind: _convolution_seconds(kind) for kind in ("float32", "bfloat16")}
    return "bfloat16" if seconds["bfloat16"] < _MAX_TIME_RATIO * seconds["float32"] else "float32"


def _convolution_seconds(precision: str) -> float:
    random = np.random.default_rng(0)
    x = ops.cast(
        to_tensors(random.normal(size=(1, _TIMED_SIDE, _TIMED_SIDE, _TIMED_CHANNELS)).astype(np.float32)), precision
    )
    kernel = ops.cast(
        to_tensors(random.normal(size=(3, 3, _TIMED_CHANNELS, _TIMED_CHANNELS)).astype(np.float32)), precision
    )
    # The kernel is bound, as in the network. As an argument its channels would be unknown to TensorFlow, and Keras
    # would compile the convolution with XLA, which takes another time.
    convolve = compile_bound(
        lambda x, kernel: ops.sum(
            ops.cast(ops.conv(x, kernel, padding="same", data_format="channels_last"), "float32")
        ),
        kernel,
    )
    seconds = []
    for _ in range(_TIMED_RUNS + 1):
        start = time.perf_counter()
        float(to_numpy(convolve(x)))
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])  # other load only adds time, so the minimum is the best estimate


def device() -> str:
    """Return the kind of device that computes, ``cpu`` or ``gpu``; in a `device_scope` that of its device."""
    selected = _selected.get()
    if selected is not None:
        return selected.partition(":")[0]
    return "cpu" if all(name.startswith("cpu") for name in devices()) else "gpu"


def selected_device() -> str | None:
    """Return the device of the current `device_scope`; None if the backend chooses."""
    return _selected.get()


def devices() -> list[str]:
    """Return the names of all devices, such as ``gpu:0`` and ``cpu``.

    The first one computes unless `device_scope` selects another.
    """
    if NAME == "tensorflow":
        gpus = len(tf.config.list_physical_devices("GPU"))
    elif NAME == "torch":
        gpus = torch.cuda.device_count()
    else:
        gpus = sum(jax_device.platform != "cpu" for jax_device in jax.devices())
    return [*(f"gpu:{number}" for number in range(gpus)), "cpu"]


@contextlib.contextmanager
def device_scope(name: str | None) -> Iterator[None]:
    """Compute on one of `devices` within the context.

    Parameters
    ----------
    name
        A device's name, or ``gpu`` for ``gpu:0``. None and ``auto`` leave the choice to the backend.

    Raises
    ------
    UsageError
        If there is no such device.
    """
    if name in (None, "auto"):
        yield
        return
    selected = "gpu:0" if name == "gpu" else name
    if selected not in devices():
        raise UsageError(f"device {name!r}: expected one of {', '.join(['auto', *devices()])}.")
    token = _selected.set(selected)
    try:
        with keras.device(selected):
            yield
    finally:
        _selected.reset(token)


def cpu_threads() -> int:
    """Return the number of CPU threads that one operation of the backend uses."""
    if NAME == "tensorflow":
        threads = int(tf.config.threading.get_intra_op_parallelism_threads())
        threads = threads or int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0)
    elif NAME == "torch":
        threads = int(torch.get_num_threads())
    else:
        threads = 0  # XLA takes every core
    if threads:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide the bytes of a picture, by name."""
    return {name: importlib.metadata.version(name) for name in (NAME, "keras", "numpy", "pillow", "scipy")}


@contextlib.contextmanager
def computing(name: str | None = None, *, deterministic: bool = False) -> Iterator[None]:
    """Compute on a device with the settings of `runtime.backend_settings` within the context.

    Raises
    ------
    UsageError
        If there is no such device, or JAX computes on a GPU and `deterministic` is set: JAX reads that before it loads.
    """
    with backend_settings(deterministic=deterministic), device_scope(name):
        if deterministic and NAME == "jax" and device() == "gpu":
            raise UsageError(
                "--deterministic: JAX on a GPU reads this setting before it loads. "
                "Set XLA_FLAGS=--xla_gpu_deterministic_ops=true instead."
            )
        yield


def device_bytes(name: str | None = None) -> int | None:
    """Return the total memory of a GPU in bytes, None on a CPU.

    Parameters
    ----------
    name
        As for `device_scope`; None for the first GPU that this process sees.

    Notes
    -----
    NVML counts the GPUs in the order of the bus, as CUDA does where ``CUDA_DEVICE_ORDER`` is ``PCI_BUS_ID``.
    """
    if name == "cpu" or device() != "gpu":
        return None
    number = int((name or "").partition(":")[2] or 0)
    try:
        import pynvml
    except ImportError:
        return _ASSUMED_BYTES
    try:
        pynvml.nvmlInit()
        try:
            return int(pynvml.nvmlDeviceGetMemoryInfo(_nvml_handle(number)).total)
        finally:
            pynvml.nvmlShutdown()
    except (pynvml.NVMLError, LookupError, ValueError):
        return _ASSUMED_BYTES


def _nvml_handle(number: int) -> Any:
    """Return NVML's handle of a GPU by its number among the visible ones, which are named by index or UUID."""
    import pynvml

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    entry = str(number) if visible is None else visible.split(",")[number].strip()
    if entry.isdigit():
        return pynvml.nvmlDeviceGetHandleByIndex(int(entry))
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        if pynvml.nvmlDeviceGetUUID(handle).startswith(entry):  # CUDA accepts the beginning of a UUID
            return handle
    return pynvml.nvmlDeviceGetHandleByUUID(entry)  # a part of a GPU (MIG)
