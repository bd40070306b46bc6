"""The Keras backend that runs.

TensorFlow runs unless ``KERAS_BACKEND`` names another. Importing this module imports Keras and its backend,
which takes seconds. Commands that only read a bank do not import it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank.errors import StylebankError, UsageError

from .blas_threads import single_blas_thread
from .environment import environment
from .keras_home import keras_home_variables

__all__ = ["NAME", "backend_settings", "keras", "native_stderr_silenced", "ops", "to_numpy", "to_tensors"]

_KNOWN = ("tensorflow", "jax", "torch")


def _choose() -> str:
    """Return the backend of a Keras that the host program has loaded, else of KERAS_BACKEND, else TensorFlow."""
    loaded = sys.modules.get("keras")
    name: str = loaded.backend.backend() if loaded is not None else os.environ.get("KERAS_BACKEND", "tensorflow")
    if name not in _KNOWN:
        raise UsageError(f"KERAS_BACKEND={name}: unknown. Set it to one of {', '.join(_KNOWN)}.")
    return name


def _loading_variables(name: str) -> dict[str, str]:
    """Return the environment variables that Keras and TensorFlow read while they load."""
    variables = {"KERAS_BACKEND": name, "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2")}
    variables |= keras_home_variables()
    if name == "torch" and "KERAS_TORCH_DEVICE" not in os.environ:
        with contextlib.suppress(ImportError):
            import torch

            if not torch.cuda.is_available():  # Keras would select Apple's GPU, which has no float64
                variables["KERAS_TORCH_DEVICE"] = "cpu"
    return variables


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


_name = _choose()
with native_stderr_silenced(), environment(_loading_variables(_name)):
    try:
        import keras
        from keras import ops
    except ImportError as error:
        raise StylebankError(
            f"backend {_name}: cannot be loaded ({error}). Install it, or change KERAS_BACKEND."
        ) from error

    NAME: str = keras.backend.backend()
    if NAME == "tensorflow":
        import tensorflow as tf
        from tensorflow.python.framework import config as tf_config  # the way back from determinism is not public

        for _gpu in tf.config.list_physical_devices("GPU"):
            with contextlib.suppress(RuntimeError):  # already in use by the host program
                tf.config.experimental.set_memory_growth(_gpu, True)
    elif NAME == "torch":
        import torch
    elif NAME == "jax":
        import jax


def _get_settings() -> dict[str, Any]:
    """Return the settings of Keras and its backend that decide the numbers of a computation."""
    settings = {"floatx": keras.config.floatx(), "image_data_format": keras.config.image_data_format()}
    if NAME == "tensorflow":
        settings["tf32"] = tf.config.experimental.tensor_float_32_execution_enabled()
        settings["deterministic"] = tf_config.is_op_determinism_enabled()
        settings["log_level"] = tf.get_logger().level
    elif NAME == "torch":
        settings["tf32"] = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        settings["deterministic"] = torch.are_deterministic_algorithms_enabled()
        settings["warn_only"] = torch.is_deterministic_algorithms_warn_only_enabled()
    else:
        settings["precision"] = jax.config.jax_default_matmul_precision
        settings["x64"] = jax.config.jax_enable_x64
    return settings


def _set_settings(settings: Mapping[str, Any]) -> None:
    keras.config.set_floatx(settings["floatx"])
    keras.config.set_image_data_format(settings["image_data_format"])
    if NAME == "tensorflow":
        tf.config.experimental.enable_tensor_float_32_execution(settings["tf32"])
        if settings["deterministic"] != tf_config.is_op_determinism_enabled():
            (tf_config.enable_op_determinism if settings["deterministic"] else tf_config.disable_op_determinism)()
        tf.get_logger().setLevel(settings["log_level"])
    elif NAME == "torch":
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = settings["tf32"]
        torch.use_deterministic_algorithms(settings["deterministic"], warn_only=settings["warn_only"])
    else:
        jax.config.update("jax_default_matmul_precision", settings["precision"])
        jax.config.update("jax_enable_x64", settings["x64"])  # eigendecompositions run in float64


_WANTED_BY_BACKEND: dict[str, dict[str, Any]] = {
    "tensorflow": {"tf32": False, "log_level": "ERROR"},
    "torch": {"tf32": (False, False)},
    "jax": {"precision": "highest", "x64": True},
}
_WANTED = {"floatx": "float32", "image_data_format": "channels_last", **_WANTED_BY_BACKEND[NAME]}
_lock = threading.Lock()
_entered: list[dict[str, Any]] = []  # the host program's settings, once for each context that is open


@contextlib.contextmanager
def backend_settings(*, deterministic: bool = False) -> Iterator[None]:
    """Compute in float32 without shortcuts within the context, and restore the settings of the host program.

    OpenBLAS has one thread meanwhile.

    Contexts may overlap in several threads: the last one to end restores what the first one found.

    Parameters
    ----------
    deterministic
        Make the same input give the same bytes, at some cost on GPUs. JAX reads its flag as it loads.
    """
    with _lock:
        current = _get_settings()
        _entered.append(_entered[0] if _entered else current)
        strict = {"deterministic": True, "warn_only": False} if deterministic else {}
        _set_settings({**current, **_WANTED, **strict})
    try:
        with single_blas_thread():
            yield
    finally:
        with _lock:
            host = _entered.pop()
            if not _entered:
                _set_settings(host)


def to_tensors(structure: Any) -> Any:
    """Convert every NumPy array of a nested dict or list to a tensor of the backend."""
    return keras.tree.map_structure(keras.ops.convert_to_tensor, structure)


def to_numpy(tensor: Any) -> npt.NDArray[Any]:
    """Copy one tensor to the host as a NumPy array."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))
