"""The Keras backend that runs.

TensorFlow runs unless ``KERAS_BACKEND`` names another. Importing this module imports Keras and its backend,
which takes seconds. Commands that only read a bank do not import it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank.errors import StylebankError, UsageError

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

__all__ = ["NAME", "keras", "native_stderr_silenced", "ops", "to_numpy", "to_tensors"]

_KNOWN = ("tensorflow", "jax", "torch")
if os.environ["KERAS_BACKEND"] not in _KNOWN:
    raise UsageError(f"KERAS_BACKEND={os.environ['KERAS_BACKEND']}: unknown. Set it to one of {', '.join(_KNOWN)}.")

if os.environ["KERAS_BACKEND"] == "torch":
    with contextlib.suppress(ImportError):
        import torch

        if not torch.cuda.is_available():  # Keras would select Apple's GPU, which has no float64
            os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")


@contextlib.contextmanager
def native_stderr_silenced() -> Iterator[None]:
    """Drop what C++ libraries print while they load, before any log level applies.

    The variable ``STYLEBANK_DEBUG_BACKEND`` keeps it.
    """
    if os.environ.get("STYLEBANK_DEBUG_BACKEND"):
        yield
        return
    sys.stderr.flush()
    try:
        saved_stderr = os.dup(2)
    except OSError:  # there is no stderr, as under pythonw or in a daemon
        yield
        return
    try:
        with Path(os.devnull).open("wb") as null:
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(saved_stderr, 2)
        os.close(saved_stderr)


with native_stderr_silenced():
    try:
        import keras
        from keras import ops
    except ImportError as error:
        raise StylebankError(
            f"backend {os.environ['KERAS_BACKEND']}: cannot be loaded ({error}). Install it, or change KERAS_BACKEND."
        ) from error

    NAME: str = keras.backend.backend()
    if NAME == "tensorflow":
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        tf.config.experimental.enable_tensor_float_32_execution(False)
        for _gpu in tf.config.list_physical_devices("GPU"):
            with contextlib.suppress(RuntimeError):  # already in use by the host program
                tf.config.experimental.set_memory_growth(_gpu, True)
    elif NAME == "torch":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    elif NAME == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")
        jax.config.update("jax_enable_x64", True)  # eigendecompositions run in float64


def to_tensors(structure: Any) -> Any:
    """Convert every NumPy array of a nested dict or list to a tensor of the backend."""
    return keras.tree.map_structure(keras.ops.convert_to_tensor, structure)


def to_numpy(tensor: Any) -> npt.NDArray[Any]:
    """Copy one tensor to the host as a NumPy array."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))
