"""The original program's algorithm written plainly: what stylebank is compared with.

Every step sends the style's picture through the network again, takes its covariances' roots, and has the loss

    |mu - m|^2 + tr S + sum max(eig C, 0.1) - 2 sum max(eig S^{1/2} C S^{1/2}, 0.1)^{1/2}

of the 16 convolutions before their ReLU (average pooling, zero padding) differentiated automatically, through
both sets of eigenvalues. `tests/bench/test_bench.py` compares it with the numbers of the program itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.backends import compile as compiling
from pipeline.backends import runtime as backend
from pipeline.vgg.network import VGG19
from pipeline.vgg.weights import Weights
from stylebank.images import Pixels
from stylebank.style import CONVOLUTIONS

ops = backend.keras.ops
_CLAMP = 0.1


def _eigvalsh() -> Callable[[Any], Any]:
    """Keras has `eigh` alone, whose automatic gradient is not that of the eigenvalues by themselves."""
    if backend.NAME == "tensorflow":
        import tensorflow as tf

        return tf.linalg.eigvalsh
    if backend.NAME == "torch":
        import torch

        return torch.linalg.eigvalsh
    import jax.numpy as jnp

    return jnp.linalg.eigvalsh


class Reference:
    """The original program for one style's picture."""

    def __init__(self, weights: Weights, style: Pixels) -> None:
        self._trunk = VGG19(weights, "avg", "zero")
        self._eigenvalues = _eigvalsh()
        self._style = backend.to_tensors(np.ascontiguousarray(style[None], np.float32))
        self._step = compiling.compile_bound(self._differentiated, self._trunk.parameters)

    def __call__(self, pixels: Pixels) -> tuple[npt.NDArray[np.float32], Pixels]:
        """Return every layer's loss (16,) and the gradient of their sum (H, W, 3) at a picture (H, W, 3)."""
        losses, gradient = self._step(backend.to_tensors(np.ascontiguousarray(pixels[None], np.float32)), self._style)
        return backend.to_numpy(losses), backend.to_numpy(gradient)[0]

    def _differentiated(self, subject: Any, style: Any, parameters: Any) -> tuple[Any, Any]:
        features = self._trunk.features(style, parameters, list(CONVOLUTIONS))
        styles = [self._rooted(features[layer]) for layer in CONVOLUTIONS]

        def losses(images: Any) -> list[Any]:
            features = self._trunk.features(images, parameters, list(CONVOLUTIONS))
            return [self._loss(features[layer], style) for layer, style in zip(CONVOLUTIONS, styles, strict=True)]

        values, pull = compiling.vjp(losses, subject)
        return ops.stack(values), pull([ops.ones_like(value) for value in values])

    def _rooted(self, activations: Any) -> tuple[Any, Any, Any]:
        mean, cov = _moments(activations)
        values, vectors = ops.linalg.eigh(cov)
        values = ops.maximum(values, 0.0)
        return mean, ops.sum(values), (vectors * ops.sqrt(values)) @ ops.transpose(vectors)

    def _loss(self, activations: Any, style: tuple[Any, Any, Any]) -> Any:
        style_mean, style_trace, root = style
        mean, cov = _moments(activations)
        trace = ops.sum(ops.maximum(self._eigenvalues(cov), _CLAMP))
        overlap = ops.sum(ops.sqrt(ops.maximum(self._eigenvalues(root @ cov @ root), _CLAMP)))
        return ops.sum(ops.square(mean - style_mean)) + style_trace + trace - 2 * overlap


def _moments(activations: Any) -> tuple[Any, Any]:
    rows = ops.reshape(activations, (-1, activations.shape[-1]))
    mean = ops.mean(rows, axis=0, keepdims=True)
    centred = rows - mean
    return mean, ops.transpose(centred) @ centred / ops.cast(ops.shape(rows)[0], "float32")
