"""Compiled functions, and gradients through the network."""

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
#: The loss on the features: ``(features, inputs) -> (terms, cotangents)``. `terms` has shape (n, terms). There is
#: one cotangent per feature, as a tensor or as a function that returns one: see `vjp`.
Head = Callable[[Any, Any], tuple[Any, Any]]
#: Network and head, compiled: ``(images, inputs) -> (terms, gradient)`` in NumPy.
Step = Callable[[npt.NDArray[np.float32], Any], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of nested tensors.

    TensorFlow reuses one trace for every size of every axis but the last.
    """
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
    """Compile ``function(*arguments, parameters)`` with `parameters` bound.

    The result is called as ``compiled(*arguments)``.
    """
    if NAME == "jax":  # JAX compiles the tensors of a closure as constants
        compiled = jax.jit(function)
        return time_first_call(lambda *arguments: compiled(*arguments, parameters), _shapes, _shapes)
    return compile_function(lambda *arguments: function(*arguments, parameters))


def _tensor_spec(tensor: Any) -> Any:
    """Return the TensorSpec of a tensor, with a fixed number of channels and of images, and any other sizes."""
    shape = tensor.shape.as_list()
    if len(shape) == 4:
        shape = [shape[0], None, None, shape[3]]
    elif shape:
        shape = [*[None] * (len(shape) - 1), shape[-1]]
    return tf.TensorSpec(shape, tensor.dtype)


def vjp(forward: Callable[[Any], Any], images: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return ``forward(images)`` and its vector-Jacobian product.

    Parameters
    ----------
    forward
        Returns a tensor or a list of tensors. If cotangents are functions, each tensor of the list must depend on
        `images` through the tensor before it alone.
    images : tensor
        The point at which the Jacobian is taken.

    Returns
    -------
    tensor or list of tensors
        The outputs.
    callable
        ``pull(cotangents)`` returns the gradient by `images`. A cotangent is a tensor, or a function of the
        upstream gradient that returns one. Functions are called from the last output to the first; the last one
        receives None. Each is called as late as possible (see `after`), so that the cotangents of a large image
        are never in memory together. JAX orders its own computation and calls every function with None.

    Raises
    ------
    ValueError
        By ``pull`` with functions, if an output does not depend on the one before it. JAX never raises it.
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
                raise ValueError("outputs: expected each to be computed from the one before it.")
        return upstream

    return features, pull


def compile_step(forward: Forward, head: Head, parameters: Any) -> Step:
    """Compile a network, a head on its features, and the gradient by the images as one function.

    Parameters
    ----------
    forward
        The network. It takes `parameters` as an argument, so that they are not constants of the compiled function.
    head
        Returns the terms of the loss and their cotangents. Only the network is differentiated.
    parameters
        Nested structure of tensors, the same for every call.

    Returns
    -------
    callable
        ``step(images, inputs)`` takes float32 `images` of shape (n, H, W, 3) in 0..255, and `inputs` as
        `to_tensors` returns them. It returns NumPy arrays: the terms, and the gradient, which has the shape of the
        images. TensorFlow traces again for another n, and for nothing else; JAX compiles once per shape; PyTorch
        runs eagerly.

    Raises
    ------
    OutOfMemory
        By the step, if the device runs out of memory.
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
