"""Style and content as one differentiable number.

Per layer, with the picture's activations N(mu, C) and the style's N(m, S), S = F F^T, the squared
Wasserstein-2 distance is (Dowson and Landau 1982; Olkin and Pukelsheim 1982)

    W2^2 = |mu - m|^2 + tr C + tr S - 2 tr (F^T C F)^{1/2}

and its derivative by C is I - T, with T = F (F^T C F)^{-1/2} F^T the optimal map on the range of F
(Gelbrich 1990). So with T held constant,

    |mu - m|^2 + tr C + tr S - <T, C> - stop(<T, C>)

has exactly the value and the gradient of W2^2: <T, C> is tr (F^T C F)^{1/2}, and only the first of the
two is differentiated, which gives -T. One eigendecomposition of a k x k matrix forward and none
backward; equal eigenvalues, where autodiff through `eigh` gives NaN, do no harm.

The eigendecomposition is in float64: F^T C F squares the condition number, and in float32 its small
eigenvalues, whose roots count, drown in the rounding of the large ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from stylebank import gaussian
from stylebank.images import Pixels
from stylebank.style import Gaussian

from . import backend
from .network import Trunk

#: Where the subject is recognised: deep enough to leave strokes and colours free.
CONTENT_LAYER = "conv4_2"
#: Makes a content weight of 1 a sensible middle.
CONTENT_UNIT = 0.25
#: Eigenvalues of F^T C F below this share of the largest count as this share.
_SMALLEST_EIGENVALUE = 1e-12
#: A layer's distance at the subject is not divided by less than this share of the style's own spread.
_SMALLEST_SHARE = 1e-3


def surrogate(activations: Any, target: Mapping[str, Any]) -> Any:
    """Squared W2 from a layer's activations to a style, differentiable by the activations.

    Parameters
    ----------
    activations : tensor, float32, shape (1, h, w, c)
    target
        As `layer_target` gives it, in tensors.

    Returns
    -------
    tensor, float32, shape ()
    """
    channels = activations.shape[-1]
    rows = ops.reshape(activations, (-1, channels))
    mean = ops.mean(rows, axis=0)
    centred = rows - mean
    cov = ops.matmul(ops.transpose(centred), centred) / ops.cast(ops.shape(rows)[0], "float32")
    transport = _transport(cov, target["factor_transposed"])
    cross = ops.sum(transport * cov)
    difference = mean - target["mean"]
    return ops.sum(difference * difference) + ops.trace(cov) + target["trace"] - cross - ops.stop_gradient(cross)


def _transport(cov: Any, factor_transposed: Any) -> Any:
    """T = F (F^T C F)^{-1/2} F^T as a constant, float32, shape (c, c)."""
    # tensors' own @: Keras' matmul falls back to float32 on PyTorch
    factor_transposed = ops.cast(factor_transposed, "float64")
    factor = ops.transpose(factor_transposed)
    product = factor_transposed @ ops.cast(ops.stop_gradient(cov), "float64") @ factor
    values, vectors = ops.linalg.eigh((product + ops.transpose(product)) / 2)
    values = ops.maximum(values, _SMALLEST_EIGENVALUE * values[-1] + 1e-30)
    half = factor @ (vectors * values**-0.25)
    return ops.stop_gradient(ops.cast(half @ ops.transpose(half), "float32"))


def layer_target(style: Gaussian, tolerance: float) -> dict[str, npt.NDArray[np.float32]]:
    """Return what `surrogate` needs of a style's layer.

    Parameters
    ----------
    tolerance
        Share of the largest eigenvalue below which the style's tail is left out; see
        `stylebank.gaussian.factor` for the bound.
    """
    factor = gaussian.factor(style.cov, tolerance)
    return {
        "mean": np.ascontiguousarray(style.mean, np.float32),
        "factor_transposed": np.ascontiguousarray(factor.T, np.float32),
        "trace": np.float32(np.einsum("ij,ij->", factor, factor)),  # type: ignore[dict-item]
    }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The objective at one picture.

    Attributes
    ----------
    value : float
    style : ndarray, shape (layers,)
        Squared W2 of every layer, not weighted.
    content : float
        Squared feature distance to the subject over the features' variance; 0 without the term.
    gradient : ndarray, float32, shape (H, W, 3)
        Of `value`, by grey levels.
    """

    value: float
    style: npt.NDArray[np.float32]
    content: float
    gradient: Pixels


class Objective:
    """The loss of a picture for some layers, compiled once for every style, subject and size.

    Parameters
    ----------
    trunk
        The network with the style's pooling and padding.
    layers
        Style layers.
    with_content
        Whether there is a content term.
    """

    def __init__(self, trunk: Trunk, layers: Sequence[str], *, with_content: bool) -> None:
        self.trunk = trunk
        self.layers = tuple(layers)
        self.with_content = with_content
        self._step = backend.compile_step(self._loss, trunk.parameters)

    def _loss(self, image: Any, inputs: Any, parameters: Any) -> tuple[Any, Any]:
        wanted = [*self.layers, *([CONTENT_LAYER] if self.with_content else [])]
        features = self.trunk.features(image, parameters, wanted)
        style = ops.stack(
            [surrogate(features[layer], target) for layer, target in zip(self.layers, inputs["style"], strict=True)]
        )
        value = ops.sum(style * inputs["layer_weights"])
        content = ops.zeros(())
        if self.with_content:
            content = ops.mean(ops.square(features[CONTENT_LAYER] - inputs["content"])) / inputs["content_variance"]
            value = value + inputs["content_weight"] * content
        return value, ops.concatenate([style, ops.reshape(content, (1,))])

    def inputs(
        self,
        targets: Sequence[Mapping[str, Any]],
        subject: Pixels,
        *,
        content_weight: float = 0.0,
        normalise: bool = True,
    ) -> Any:
        """Prepare the objective for a subject.

        Parameters
        ----------
        targets
            `layer_target` of every layer, through `backend.tree`.
        subject : ndarray, float32, shape (H, W, 3)
            At the size the picture will have.
        content_weight
            In units of `CONTENT_UNIT`.
        normalise
            Whether a layer's weight is one over its distance at the subject and over the
            number of layers, or 1.
        """
        inputs: dict[str, Any] = {
            "style": list(targets),
            "layer_weights": backend.tree(np.ones(len(self.layers), np.float32)),
        }
        if self.with_content:
            image = backend.tree(np.ascontiguousarray(subject, np.float32))
            features = self.trunk.features(image, self.trunk.parameters, [CONTENT_LAYER])[CONTENT_LAYER]
            inputs["content"] = features
            inputs["content_variance"] = ops.maximum(ops.mean(ops.var(features, axis=(0, 1, 2))), 1.0)
            inputs["content_weight"] = backend.tree(np.float32(content_weight * CONTENT_UNIT))
        if normalise:
            distance = self(subject, inputs).style
            spread = np.array([float(target["trace"]) for target in targets])
            floor = np.maximum(_SMALLEST_SHARE * spread, 1e-6)
            weights = 1.0 / (len(self.layers) * np.maximum(distance, floor))
            inputs["layer_weights"] = backend.tree(weights.astype(np.float32))
        return inputs

    def __call__(self, pixels: Pixels, inputs: Any) -> Evaluation:
        """Evaluate the objective and its gradient at `pixels`, float32 (H, W, 3) in 0..255."""
        value, parts, gradient = self._step(pixels, inputs)
        return Evaluation(value, parts[:-1], float(parts[-1]), gradient)
