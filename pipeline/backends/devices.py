"""Which precision the convolutions run in: what was asked for, or what a short timing finds faster."""

from __future__ import annotations

import time
from functools import lru_cache

import numpy as np
from keras import ops

from . import runtime as backend

#: bfloat16 is taken when a convolution takes less than this share of float32's time.
_WORTH_IT = 0.8
_CHANNELS, _SIDE, _RUNS = 128, 96, 5


@lru_cache(maxsize=8)
def choose(precision: str) -> str:
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
    seconds = {kind: _convolution(kind) for kind in ("float32", "bfloat16")}
    return "bfloat16" if seconds["bfloat16"] < _WORTH_IT * seconds["float32"] else "float32"


def _convolution(precision: str) -> float:
    random = np.random.default_rng(0)
    x = ops.cast(backend.tree(random.normal(size=(1, _SIDE, _SIDE, _CHANNELS)).astype(np.float32)), precision)
    kernel = ops.cast(backend.tree(random.normal(size=(3, 3, _CHANNELS, _CHANNELS)).astype(np.float32)), precision)
    # bound, as in the network: of a kernel given as an argument TensorFlow would not know the channels, and Keras
    # would have the convolution compiled by XLA, whose times are others
    convolved = backend.compile_bound(
        lambda x, kernel: ops.sum(
            ops.cast(ops.conv(x, kernel, padding="same", data_format="channels_last"), "float32")
        ),
        kernel,
    )
    seconds = []
    for _ in range(_RUNS + 1):
        began = time.perf_counter()
        float(backend.to_numpy(convolved(x)))
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])  # what else runs here makes single ones longer, and none shorter
