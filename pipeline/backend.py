"""The only module that knows which Keras backend runs.

TensorFlow unless ``KERAS_BACKEND`` says otherwise. Importing this module imports
Keras and its backend, which takes seconds; nothing that only looks at a bank does.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank.errors import StylebankError, UsageError

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@contextlib.contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    """Drop what C++ libraries print while they load, before any log level applies."""
    if os.environ.get("STYLEBANK_DEBUG_BACKEND"):
        yield
        return
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no stderr at all, as under pythonw or a daemon
        yield
        return
    try:
        with Path(os.devnull).open("wb") as null:
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


_KNOWN = ("tensorflow", "jax", "torch")
if os.environ["KERAS_BACKEND"] not in _KNOWN:
    raise UsageError(f"KERAS_BACKEND={os.environ['KERAS_BACKEND']}: unknown. Set it to one of {', '.join(_KNOWN)}.")

with _native_stderr_silenced():
    try:
        import keras
    except ImportError as error:
        raise StylebankError(
            f"the backend {os.environ['KERAS_BACKEND']} cannot be loaded ({error}). Install it, or unset KERAS_BACKEND."
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
        import torch

        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    elif NAME == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")
        jax.config.update("jax_enable_x64", True)  # the objective's eigendecompositions are in float64

#: A loss as `objective` builds it: ``(image, inputs, weights) -> (scalar, parts)``.
Loss = Callable[[Any, Any, Any], tuple[Any, Any]]
#: The same with its gradient: ``(image, inputs) -> (value, parts, gradient)`` in NumPy.
Step = Callable[[npt.NDArray[np.float32], Any], tuple[float, npt.NDArray[np.float32], npt.NDArray[np.float32]]]


def device() -> str:
    """Name the device that computes, as ``cpu`` or ``gpu``."""
    if NAME == "tensorflow":
        return "gpu" if tf.config.list_logical_devices("GPU") else "cpu"
    if NAME == "torch":
        return "gpu" if torch.cuda.is_available() else "cpu"
    if NAME == "jax":
        return "cpu" if jax.default_backend() == "cpu" else "gpu"
    return "cpu"


def tree(structure: Any) -> Any:
    """Turn every NumPy array of a nested dict or list into the backend's tensor."""
    return keras.tree.map_structure(keras.ops.convert_to_tensor, structure)


def to_numpy(tensor: Any) -> npt.NDArray[Any]:
    """Bring one tensor back to the host."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def compile_step(loss: Loss, weights: Any) -> Step:
    """Compile `loss` together with its gradient by the image.

    Parameters
    ----------
    loss
        ``loss(image, inputs, weights)`` returns a scalar and a vector of its parts.
        Every axis of `image` and of the arrays in `inputs` but the last may change
        between calls, so a picture of another size costs no new trace on TensorFlow
        (JAX compiles once a shape, PyTorch runs eagerly).
    weights
        Nested structure of tensors that stays the same for every call.

    Returns
    -------
    callable
        ``step(image, inputs)`` with `image` float32 of shape (H, W, 3) in 0..255 and
        `inputs` as `tree` returns it; gives value, parts and gradient on the host.
    """
    return {"tensorflow": _tensorflow_step, "jax": _jax_step, "torch": _torch_step}[NAME](loss, weights)


def _tensorflow_step(loss: Loss, weights: Any) -> Step:
    def differentiated(image: Any, inputs: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(image)
            value, parts = loss(image, inputs, weights)
        return value, parts, tape.gradient(value, image)

    def specification(tensor: Any) -> Any:
        shape = tensor.shape.as_list()
        return tf.TensorSpec([None] * (len(shape) - 1) + shape[-1:], tensor.dtype)

    compiled: dict[Any, Any] = {}

    def step(image: npt.NDArray[np.float32], inputs: Any) -> Any:
        tensor = tf.convert_to_tensor(image, dtype=tf.float32)
        signature = keras.tree.map_structure(specification, (tensor, inputs))
        key = repr(signature)
        if key not in compiled:
            compiled[key] = tf.function(differentiated, input_signature=signature, autograph=False)
        value, parts, gradient = compiled[key](tensor, inputs)
        return float(value), parts.numpy(), gradient.numpy()

    return step


def _jax_step(loss: Loss, weights: Any) -> Step:
    differentiated = jax.jit(jax.value_and_grad(loss, has_aux=True))

    def step(image: npt.NDArray[np.float32], inputs: Any) -> Any:
        (value, parts), gradient = differentiated(jax.numpy.asarray(image, "float32"), inputs, weights)
        return float(value), np.asarray(parts), np.asarray(gradient)

    return step


def _torch_step(loss: Loss, weights: Any) -> Step:
    def step(image: npt.NDArray[np.float32], inputs: Any) -> Any:
        tensor = keras.ops.convert_to_tensor(image, "float32").clone().requires_grad_(True)
        value, parts = loss(tensor, inputs, weights)
        (gradient,) = torch.autograd.grad(value, tensor)
        return float(value.detach()), to_numpy(parts.detach()), to_numpy(gradient)

    return step
