"""Functions compiled by the backend, and the gradient through the network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import memory_errors
from .runtime import NAME, keras, to_numpy
from .timing import time_first_call

if NAME == "tensorflow":
    import tensorflow as tf
elif NAME == "torch":
    import torch
else:
    import jax

#: The network: ``(images, parameters) -> features``, a list of tensors.
Forward = Callable[[Any, Any], Any]
#: What the features are worth: ``(features, inputs) -> (parts, cotangents)``, a vector a picture and a
#: tensor a feature, the derivative of the pictures' values by it, or a function that makes it: see `vjp`.
Head = Callable[[Any, Any], tuple[Any, Any]]
#: Both compiled: ``(images, inputs) -> (parts, gradient)`` in NumPy.
Step = Callable[[npt.NDArray[np.float32], Any], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of nested tensors; another size of any axis but the last costs TensorFlow no new trace."""
    if NAME == "jax":
        return time_first_call(jax.jit(function), _shapes, _shapes)
    if NAME == "torch":
        return function
    compiled: dict[str, Any] = {}

    def call(*arguments: Any) -> Any:
        signature = keras.tree.map_structure(_tensor_spec, arguments)
        key = repr(signature)
        if key not in compiled:
            traced = tf.function(function, input_signature=signature, autograph=False)
            compiled[key] = time_first_call(traced, lambda arguments: "", _shapes)
        return compiled[key](*arguments)

    return call


def _shapes(arguments: Any) -> str:
    return repr(keras.tree.map_structure(lambda tensor: (tuple(tensor.shape), str(tensor.dtype)), arguments))


def compile_bound(function: Callable[..., Any], parameters: Any) -> Callable[..., Any]:
    """Compile ``function(*arguments, parameters)`` to be called without the parameters, which stay."""
    if NAME == "jax":  # a closure's tensors would be compiled in as constants
        compiled = jax.jit(function)
        return time_first_call(lambda *arguments: compiled(*arguments, parameters), _shapes, _shapes)
    return compile_function(lambda *arguments: function(*arguments, parameters))


def _tensor_spec(tensor: Any) -> Any:
    """The TensorSpec of a tensor: channels stay, and the number of pictures."""
    shape = tensor.shape.as_list()
    if len(shape) == 4:
        shape = [shape[0], None, None, shape[3]]
    elif shape:
        shape = [*[None] * (len(shape) - 1), shape[-1]]
    return tf.TensorSpec(shape, tensor.dtype)


def vjp(forward: Callable[[Any], Any], images: Any) -> tuple[Any, Callable[[Any], Any]]:
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
        earlier (see `after`): of a large picture they are not all there at once. JAX orders what it computes
        itself, and calls all with None.

    Raises
    ------
    ValueError
        By ``pull`` with functions, where an output is not made of the one before it; not on JAX.
    """
    if NAME == "jax":
        features, pull_back = jax.vjp(forward, images)

        def pull_all(cotangents: Any) -> Any:
            return pull_back([cotangent(None) if callable(cotangent) else cotangent for cotangent in cotangents])[0]

        return features, pull_all
    if NAME == "tensorflow":
        with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
            tape.watch(images)
            features = forward(images)

        def gradient(outputs: Any, inputs: Any, cotangents: Any) -> Any:
            return tape.gradient(outputs, inputs, output_gradients=cotangents)

    else:
        images = images.detach().requires_grad_(True)
        features = forward(images)

        def gradient(outputs: Any, inputs: Any, cotangents: Any) -> Any:
            return torch.autograd.grad(outputs, inputs, cotangents, allow_unused=True)[0]

    def pull(cotangents: Any) -> Any:
        if not any(map(callable, cotangents)):
            return gradient(features, images, cotangents)
        upstream = None
        for output, source, cotangent in reversed(
            list(zip(features, [images, *features[:-1]], cotangents, strict=True))
        ):
            with _no_gradients():
                total = cotangent(upstream) if callable(cotangent) else cotangent
                upstream = total if upstream is None else upstream + total
                del total
            upstream = gradient(output, source, upstream)
            if upstream is None:
                raise ValueError("outputs: expected each to be made of the one before it.")
        return upstream

    return features, pull


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
        `inputs` as `to_tensors` returns it; gives parts, and the gradient shaped like the images, on
        the host. Another height, width or rank costs no new trace on TensorFlow (JAX compiles
        once a shape, PyTorch runs eagerly); another n does.

    Raises
    ------
    OutOfMemory
        By the step, if the device's memory does not suffice.
    """

    def differentiated(images: Any, inputs: Any, parameters: Any) -> tuple[Any, Any]:
        features, pull_back = vjp(lambda x: forward(x, parameters), images)
        with _no_gradients():
            terms, cotangents = head(features, inputs)
        return terms, pull_back(cotangents)

    compiled = compile_bound(differentiated, parameters)

    def step(images: npt.NDArray[np.float32], inputs: Any) -> Any:
        with memory_errors():
            terms, gradient = compiled(keras.ops.convert_to_tensor(images, "float32"), inputs)
            return to_numpy(terms), to_numpy(gradient)

    return step


def _no_gradients() -> Any:
    return torch.no_grad() if NAME == "torch" else contextlib.nullcontext()
