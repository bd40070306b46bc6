"""Devices that compute: which there are, which one is used, its memory, and the precision it is fast in."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from stylebank.errors import UsageError

from .compile import compile_bound
from .runtime import NAME, keras, ops, to_numpy, to_tensors

if NAME == "tensorflow":
    import tensorflow as tf
elif NAME == "torch":
    import torch
else:
    import jax

#: bfloat16 is taken when a convolution takes less than this share of float32's time.
_MAX_TIME_RATIO = 0.8
_TIMED_CHANNELS, _TIMED_SIDE, _TIMED_RUNS = 128, 96, 5


@lru_cache(maxsize=8)
def resolve_precision(precision: str) -> str:
    """Return ``float32`` or ``bfloat16``.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        ``auto`` times one convolution of the network's kind both ways, a fifth of a second on
        a processor, once a process; of a run, one worker does so for all: see `jobs.run.agree`.
        Processors with AVX512-BF16 or AMX and GPUs since Ampere win; where bfloat16 is emulated it
        loses by far, so that the choice does not waver.
    """
    if precision != "auto":
        return precision
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
    # bound, as in the network: of a kernel given as an argument TensorFlow would not know the channels, and Keras
    # would have the convolution compiled by XLA, whose times are others
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
    return min(seconds[1:])  # what else runs here makes single ones longer, and none shorter


def device() -> str:
    """Name the kind of device that computes, ``cpu`` or ``gpu``."""
    return "cpu" if all(name.startswith("cpu") for name in devices()) else "gpu"


def devices() -> list[str]:
    """Name what could compute, the first being what does unless `device_scope` says otherwise: ``gpu:0``, ``cpu``."""
    if NAME == "tensorflow":
        gpus = len(tf.config.list_physical_devices("GPU"))
    elif NAME == "torch":
        gpus = torch.cuda.device_count()
    else:
        gpus = sum(jax_device.platform != "cpu" for jax_device in jax.devices())
    return [*(f"gpu:{number}" for number in range(gpus)), "cpu"]


@contextlib.contextmanager
def device_scope(name: str | None) -> Iterator[None]:
    """Compute on a device of `devices`; None or ``auto`` leaves the choice to the backend.

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
    with keras.device(selected):
        yield


def make_deterministic() -> None:
    """Let the same input give the same bytes, at some cost on GPUs."""
    if NAME == "tensorflow":
        tf.config.experimental.enable_op_determinism()
    elif NAME == "torch":
        torch.use_deterministic_algorithms(True)
    elif device() == "gpu":
        raise UsageError(
            "--deterministic with JAX on a GPU: has to be told before it loads. "
            "Set XLA_FLAGS=--xla_gpu_deterministic_ops=true instead."
        )


def device_bytes() -> int | None:
    """Memory of the GPU that computes in this process; None on a CPU."""
    if device() != "gpu":
        return None
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.split()
        return min(int(megabytes) for megabytes in told) << 20
    except (OSError, ValueError, subprocess.SubprocessError):
        return 4 << 30  # a small one: halving makes good what is too many, nothing what is too few
