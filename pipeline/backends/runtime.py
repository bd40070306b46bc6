"""The only module that knows which Keras backend runs.

TensorFlow unless ``KERAS_BACKEND`` says otherwise. Importing this module imports
Keras and its backend, which takes seconds; nothing that only looks at a bank does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank.errors import StylebankError, UsageError

from .errors import memory_errors, native_stderr_silenced
from .timing import first_calls_timed

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


_KNOWN = ("tensorflow", "jax", "torch")
if os.environ["KERAS_BACKEND"] not in _KNOWN:
    raise UsageError(f"KERAS_BACKEND={os.environ['KERAS_BACKEND']}: unknown. Set it to one of {', '.join(_KNOWN)}.")

if os.environ["KERAS_BACKEND"] == "torch":
    with contextlib.suppress(ImportError):
        import torch

        if not torch.cuda.is_available():  # Keras would take Apple's GPU, which has no float64
            os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")

with native_stderr_silenced():
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
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    elif NAME == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")
        jax.config.update("jax_enable_x64", True)  # the objective's eigendecompositions are in float64

#: The network: ``(images, parameters) -> features``, a list of tensors.
Forward = Callable[[Any, Any], Any]
#: What the features are worth: ``(features, inputs) -> (parts, cotangents)``, a vector a picture and a
#: tensor a feature, the derivative of the pictures' values by it, or a function that makes it: see `pull_back`.
Head = Callable[[Any, Any], tuple[Any, Any]]
#: Both compiled: ``(images, inputs) -> (parts, gradient)`` in NumPy.
Step = Callable[[npt.NDArray[np.float32], Any], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]


def device() -> str:
    """Name the kind of device that computes, ``cpu`` or ``gpu``."""
    return "cpu" if all(name.startswith("cpu") for name in devices()) else "gpu"


def devices() -> list[str]:
    """Name what could compute, the first being what does unless `use` says otherwise: ``gpu:0``, ``cpu``."""
    if NAME == "tensorflow":
        gpus = len(tf.config.list_physical_devices("GPU"))
    elif NAME == "torch":
        gpus = torch.cuda.device_count()
    else:
        gpus = sum(found.platform != "cpu" for found in jax.devices())
    return [*(f"gpu:{number}" for number in range(gpus)), "cpu"]


@contextlib.contextmanager
def use(name: str | None) -> Iterator[None]:
    """Compute on a device of `devices`; None or ``auto`` leaves the choice to the backend.

    Raises
    ------
    UsageError
        If there is no such device.
    """
    if name in (None, "auto"):
        yield
        return
    wanted = "gpu:0" if name == "gpu" else name
    if wanted not in devices():
        raise UsageError(f"device {name!r}: expected one of {', '.join(['auto', *devices()])}.")
    with keras.device(wanted):
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


def tree(structure: Any) -> Any:
    """Turn every NumPy array of a nested dict or list into the backend's tensor."""
    return keras.tree.map_structure(keras.ops.convert_to_tensor, structure)


def to_numpy(tensor: Any) -> npt.NDArray[Any]:
    """Bring one tensor back to the host."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def either(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """Return what one of two functions of no arguments gives; `condition` may be a tensor that is not known yet."""
    if isinstance(condition, bool):
        return yes() if condition else no()
    return keras.ops.cond(condition, yes, no)


def products(left: Any, right: Any, *, turned: bool = False) -> Any:
    """Multiply matrices (n or 1, ..., a, b) and (n or 1, ..., b, c).

    Parameters
    ----------
    turned
        Whether the left ones are given as (n or 1, ..., b, a); they are not copied for it.
    """
    single = left.shape[0] == right.shape[0] == 1  # TensorFlow is faster at a single one without its axis
    if single:
        left, right = left[0], right[0]
    if NAME == "tensorflow":
        made = tf.matmul(left, right, transpose_a=turned)
    else:
        made = keras.ops.matmul(keras.ops.swapaxes(left, -1, -2) if turned else left, right)
    return made[None] if single else made


def sum_of_squares(tensor: Any) -> Any:
    """Sum the squares of each of n tensors (n, ...), (n,), without keeping the squares where that can be had."""
    if NAME == "tensorflow":
        return tf.stack([2 * tf.nn.l2_loss(part) for part in tf.unstack(tensor)])
    return keras.ops.sum(keras.ops.square(keras.ops.reshape(tensor, (tensor.shape[0], -1))), axis=1)


def framed(x: Any, inside: int, *, top: bool = True, bottom: bool = True) -> Any:
    """Return activations (n, h, w, c) with a column more at either side, and a row more above and below where asked.

    Parameters
    ----------
    inside
        How far from the border lies what stands beyond it: 0 for the border itself, 1 for its reflection,
        where there is something that far.
    """
    if NAME == "tensorflow":
        return _framed_by_index(x, inside, top, bottom)
    row, column = min(inside, x.shape[1] - 1), min(inside, x.shape[2] - 1)
    above = [x[:, row : row + 1]] if top else []
    below = [x[:, -1 - row : -row or None]] if bottom else []
    if above or below:
        x = keras.ops.concatenate([*above, x, *below], axis=1)
    return keras.ops.concatenate([x[:, :, column : column + 1], x, x[:, :, -1 - column : -column or None]], axis=2)


def _framed_by_index(x: Any, inside: int, top: bool, bottom: bool) -> Any:
    """Copy once, and on the way back add up the frame alone; slices and joins copy five times as much."""
    shape = tf.shape(x)
    count, height, width, channels = shape[0], shape[1], shape[2], x.shape[3]
    row, column = tf.minimum(inside, height - 1), tf.minimum(inside, width - 1)
    above, below = [[row]] if top else [], [[height - 1 - row]] if bottom else []
    rows = tf.concat([*above, tf.range(height), *below], 0)
    columns = tf.concat([[column], tf.range(width), [width - 1 - column]], 0)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def frame(x: Any) -> tuple[Any, Callable[[Any], Any]]:
        places = tf.reshape(rows[:, None] * width + columns, [-1])
        found = tf.gather(tf.reshape(x, [count, height * width, channels]), places, axis=1)

        def back(slope: Any) -> Any:
            own = tf.reshape(tf.slice(slope, [0, int(top), 1, 0], [count, height, width, channels]), [-1, channels])
            beside = slope[:, int(top) : -1 if bottom else None]
            parts = [(tf.range(height) * width + columns[0], beside[:, :, 0])]
            parts += [(tf.range(height) * width + columns[-1], beside[:, :, -1])]
            parts += [(rows[0] * width + columns, slope[:, 0])] if top else []
            parts += [(rows[-1] * width + columns, slope[:, -1])] if bottom else []
            places = tf.range(count)[:, None] * (height * width) + tf.concat([place for place, _ in parts], 0)
            added = tf.concat([part for _, part in parts], 1)
            whole = tf.tensor_scatter_nd_add(own, tf.reshape(places, [-1, 1]), tf.reshape(added, [-1, channels]))
            return tf.reshape(whole, [count, height, width, channels])

        return tf.reshape(found, [count, len(above) + height + len(below), width + 2, channels]), back

    return frame(x)


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of nested tensors; another size of any axis but the last costs TensorFlow no new trace."""
    if NAME == "jax":
        return first_calls_timed(jax.jit(function), _shapes, _shapes)
    if NAME == "torch":
        return function
    compiled: dict[str, Any] = {}

    def call(*arguments: Any) -> Any:
        signature = keras.tree.map_structure(_any_size, arguments)
        key = repr(signature)
        if key not in compiled:
            traced = tf.function(function, input_signature=signature, autograph=False)
            compiled[key] = first_calls_timed(traced, lambda arguments: "", _shapes)
        return compiled[key](*arguments)

    return call


def _shapes(arguments: Any) -> str:
    return repr(keras.tree.map_structure(lambda tensor: (tuple(tensor.shape), str(tensor.dtype)), arguments))


def compile_bound(function: Callable[..., Any], parameters: Any) -> Callable[..., Any]:
    """Compile ``function(*arguments, parameters)`` to be called without the parameters, which stay."""
    if NAME == "jax":  # a closure's tensors would be compiled in as constants
        compiled = jax.jit(function)
        return first_calls_timed(lambda *arguments: compiled(*arguments, parameters), _shapes, _shapes)
    return compile_function(lambda *arguments: function(*arguments, parameters))


def _any_size(tensor: Any) -> Any:
    """The TensorSpec of a tensor: channels stay, and the number of pictures."""
    shape = tensor.shape.as_list()
    if len(shape) == 4:
        shape = [shape[0], None, None, shape[3]]
    elif shape:
        shape = [*[None] * (len(shape) - 1), shape[-1]]
    return tf.TensorSpec(shape, tensor.dtype)


def pull_back(forward: Callable[[Any], Any], images: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return ``forward(images)``, and its vector-Jacobian product: cotangents of the outputs to the images'.

    Parameters
    ----------
    forward
        Gives a tensor or a list. Where cotangents are functions, each of the list is made of the one before it alone.

    Returns
    -------
    tensor or list of tensors
    callable
        ``pull(cotangents)``, a tensor each or a function that makes it. Functions are called from the last to the
        first, each with what comes back from the output after it, None for the last, so as to make nothing
        earlier (see `later`): of a large picture they are not all there at once. JAX orders what it computes
        itself, and calls all with None.

    Raises
    ------
    ValueError
        By ``pull`` with functions, where an output is not made of the one before it; not on JAX.
    """
    if NAME == "jax":
        features, pulled = jax.vjp(forward, images)
        return features, lambda cotangents: pulled([own(None) if callable(own) else own for own in cotangents])[0]
    if NAME == "tensorflow":
        with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
            tape.watch(images)
            features = forward(images)

        def gradient(made: Any, of: Any, cotangents: Any) -> Any:
            return tape.gradient(made, of, output_gradients=cotangents)

    else:
        images = images.detach().requires_grad_(True)
        features = forward(images)

        def gradient(made: Any, of: Any, cotangents: Any) -> Any:
            return torch.autograd.grad(made, of, cotangents, allow_unused=True)[0]

    def pull(cotangents: Any) -> Any:
        if not any(map(callable, cotangents)):
            return gradient(features, images, cotangents)
        above = None
        for made, of, own in reversed(list(zip(features, [images, *features[:-1]], cotangents, strict=True))):
            with _no_gradients():
                cotangent = own(above) if callable(own) else own
                above = cotangent if above is None else above + cotangent
                del cotangent
            above = gradient(made, of, above)
            if above is None:
                raise ValueError("outputs: expected each to be made of the one before it.")
        return above

    return features, pull


def later(tensor: Any, first: Any) -> Any:
    """Return `tensor`; on TensorFlow nothing is computed from it before `first` is there, which may be None."""
    if NAME == "tensorflow" and first is not None:
        with tf.control_dependencies([first]):
            return tf.identity(tensor)
    return tensor


def rectified(x: Any) -> Any:
    """Return the ReLU of activations, keeping for its gradient what it is given, not what it gives.

    What it is given is there anyhow where it is a layer of the style.
    """
    if NAME != "tensorflow":
        return keras.ops.relu(x)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def rectify(x: Any) -> tuple[Any, Callable[[Any], Any]]:
        return tf.nn.relu(x), lambda slope: tf.raw_ops.ReluGrad(gradients=slope, features=x)

    return rectify(x)


def compile_step(forward: Forward, head: Head, parameters: Any) -> Step:
    """Compile a network and what its features are worth, together with the gradient by the pictures.

    Parameters
    ----------
    forward
        The network; `parameters` are given from outside so that they are no constants of the
        compiled function.
    head
        Values and their derivatives by the features, both written out: nothing is
        differentiated but the network.
    parameters
        Nested structure of tensors that stays the same for every call.

    Returns
    -------
    callable
        ``step(images, inputs)`` with `images` float32 of shape (n, H, W, 3) in 0..255 and
        `inputs` as `tree` returns it; gives parts, and the gradient shaped like the images, on
        the host. Another height, width or rank costs no new trace on TensorFlow (JAX compiles
        once a shape, PyTorch runs eagerly); another n does.

    Raises
    ------
    OutOfMemory
        By the step, if the device's memory does not suffice.
    """

    def differentiated(images: Any, inputs: Any, parameters: Any) -> tuple[Any, Any]:
        features, pull = pull_back(lambda at: forward(at, parameters), images)
        with _no_gradients():
            parts, cotangents = head(features, inputs)
        return parts, pull(cotangents)

    compiled = compile_bound(differentiated, parameters)

    def step(images: npt.NDArray[np.float32], inputs: Any) -> Any:
        with memory_errors():
            parts, gradient = compiled(keras.ops.convert_to_tensor(images, "float32"), inputs)
            return to_numpy(parts), to_numpy(gradient)

    return step


def _no_gradients() -> Any:
    return torch.no_grad() if NAME == "torch" else contextlib.nullcontext()
