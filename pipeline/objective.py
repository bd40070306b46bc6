"""Style and content as one number, its gradient written out.

At a layer with activations X (N x c), Gaussian N(mu, C), and a style N(m, S), S = F F^T with F of size
c x k, the squared Wasserstein-2 distance is (Dowson and Landau 1982; Olkin and Pukelsheim 1982)

    W2^2 = |mu - m|^2 + tr C + tr S - 2 tr (F^T C F)^{1/2}

and its derivative by C is I - T, with T = F (F^T C F)^{-1/2} F^T the optimal map on the range of F
(Gelbrich 1990). By the activations that is

    dW2^2/dX = 2/N (X - Y),    Y = m + (X - mu) T

where Y is what the map makes of X: rows with the style's mean and covariance, each as near to its own row of
X as can be. So nothing is differentiated but the network, which pulls X - Y back to the picture; equal
eigenvalues, where autodiff through `eigh` gives NaN, do no harm. A step costs two products of N x c by c x c, and an
eigendecomposition of k x k, in float64: F^T C F squares the condition number, and in float32 its small
eigenvalues, whose roots count, drown in the rounding of the large ones. F is thin: the tail of S that
`SynthesisSettings.tolerance` leaves out costs time and no loss that could be measured.

Holding T or Y over several steps would save most of that, and was tried: with T held the function is a lower bound
of W2^2 without a minimum, with Y held an upper bound whose steps are too short. Both reach a given loss later.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from stylebank import gaussian
from stylebank.images import Pixels
from stylebank.style import Gaussian, layer_order

from . import backend
from .network import Trunk
from .weights import Weights

#: Where the subject is recognised: deep enough to leave strokes and colours free.
CONTENT_LAYER = "conv4_2"
#: Makes a content weight of 1 a sensible middle.
CONTENT_UNIT = 0.25
#: Share of the largest eigenvalue below which a style's tail is left out where a loss is told: what the
#: float32 of the bank's files rounds away.
EXACT = 1e-7
#: Eigenvalues of M below this share of the largest count as this share.
_SMALLEST_EIGENVALUE = 1e-12
#: A layer's distance at the subject is not divided by less than this share of the style's own spread.
_SMALLEST_SHARE = 1e-3


def layer_target(style: Gaussian, tolerance: float = EXACT) -> dict[str, npt.NDArray[np.float32]]:
    """Return what the objective needs of a style's layer.

    Parameters
    ----------
    tolerance
        Share of the largest eigenvalue below which the style's tail, of trace t, is left out. The
        cross term 2 tr (F^T C F)^{1/2} loses at most 2 sqrt(t tr C) by it: see `stylebank.gaussian.factor`.

    Returns
    -------
    dict
        ``mean`` (c,), ``factor_transposed`` (k, c), and ``trace``, of all of S.
    """
    factor = gaussian.factor(style.cov, tolerance)
    return {
        "mean": np.ascontiguousarray(style.mean, np.float32),
        "factor_transposed": np.ascontiguousarray(factor.T, np.float32),
        "trace": np.float32(np.trace(style.cov, dtype=np.float64)),  # type: ignore[dict-item]
    }


def moments(activations: Any, mask: Any = None) -> dict[str, Any]:
    """Return the Gaussians of a layer's activations.

    Parameters
    ----------
    activations : tensor, shape (n, h, w, c)
    mask : tensor, float32, shape (n or 1, h, w, 1), optional
        How much each position counts; only ratios matter.

    Returns
    -------
    dict of float32 tensors
        ``mean`` (n, 1, c), ``cov`` (n, c, c), and ``centred``, the activations less their mean,
        (n, h * w, c).
    """
    rows = ops.cast(_rows(activations), "float32")
    if mask is None:
        count = ops.cast(ops.shape(rows)[1], "float32")
        mean = ops.matmul(ops.ones_like(rows[:, :, :1])[:, None, :, 0] / count, rows)
        centred = rows - mean
        cov = ops.matmul(ops.transpose(centred, (0, 2, 1)), centred) / count
    else:
        shares = _shares(mask)
        mean = ops.sum(shares * rows, axis=1, keepdims=True)
        centred = rows - mean
        cov = ops.matmul(ops.transpose(centred, (0, 2, 1)), shares * centred)
    return {"mean": mean, "cov": cov, "centred": centred}


def optimal_map(cov: Any, factor_transposed: Any) -> tuple[Any, Any]:
    """Return T, float32 (n, c, c), and the cross term tr (F^T C F)^{1/2}, float32 (n,)."""
    # tensors' own @: Keras' matmul falls back to float32 on PyTorch
    factor_transposed = ops.cast(factor_transposed, "float64")
    factor = ops.transpose(factor_transposed)
    product = factor_transposed @ ops.cast(cov, "float64") @ factor
    values, vectors = ops.linalg.eigh((product + ops.transpose(product, (0, 2, 1))) / 2)
    values = ops.maximum(values, _SMALLEST_EIGENVALUE * values[:, -1:] + 1e-30)
    half = factor @ (vectors * values[:, None, :] ** -0.25)
    transport = half @ ops.transpose(half, (0, 2, 1))
    return ops.cast(transport, "float32"), ops.cast(ops.sum(ops.sqrt(values), axis=1), "float32")


def distance(activations: Any, target: Mapping[str, Any], weight: Any = None, mask: Any = None) -> tuple[Any, Any]:
    """Squared W2 from a layer's activations to a style, and its gradient.

    Parameters
    ----------
    activations : tensor, shape (n, h, w, c)
    target
        As `layer_target` gives it, in tensors.
    weight : tensor, float32, shape (n,), optional
        What the gradient is multiplied by; without it there is none.
    mask
        As for `moments`.

    Returns
    -------
    tensor, float32, shape (n,)
        The distance squared, not weighted.
    tensor like `activations`, or None
    """
    found = moments(activations, mask)
    value, linear, constant = matched(found["mean"], found["cov"], target, weight)
    if weight is None:
        return value, None
    if mask is None:
        count = ops.cast(ops.shape(found["centred"])[1], "float32")
        linear, constant = linear / count, constant / count
    gradient = matched_gradient(activations, found["mean"], linear, constant, found["centred"])
    if mask is not None:
        gradient = gradient * ops.reshape(ops.cast(_shares(mask), gradient.dtype), ops.shape(mask))
    return value, gradient


def matched(mean: Any, cov: Any, target: Mapping[str, Any], weight: Any = None) -> tuple[Any, Any, Any]:
    """Squared W2 from Gaussians, (n, 1, c) and (n, c, c), to a style, and what its gradient is made of.

    Returns
    -------
    tensor, float32, shape (n,)
        The distance squared, not weighted.
    tensors, float32, shapes (n, c, c) and (n, 1, c), or None
        L = 2 weight (I - T) and d = 2 weight (mean - style's): the gradient at a row x is
        ((x - mean) L + d) times the row's share of the count.
    """
    transport, cross = optimal_map(cov, target["factor_transposed"])
    apart = mean - target["mean"]
    value = ops.sum(ops.square(apart), axis=(1, 2)) + ops.trace(cov, axis1=1, axis2=2) + target["trace"] - 2 * cross
    if weight is None:
        return value, None, None
    scale = 2 * ops.reshape(weight, (-1, 1, 1))
    return value, scale * (ops.eye(cov.shape[-1], dtype="float32") - transport), scale * apart


def matched_gradient(activations: Any, mean: Any, linear: Any, constant: Any, centred: Any = None) -> Any:
    """Return (X - mean) L + d, like the activations X (n, h, w, c); `centred` is X - mean where it is there already."""
    rows = _rows(activations)
    if rows.dtype == mean.dtype:
        rows = rows - mean if centred is None else centred
    else:  # what is pulled back in bfloat16 needs no better product
        constant = constant - ops.matmul(mean, linear)
    gradient = ops.matmul(rows, ops.cast(linear, rows.dtype)) + ops.cast(constant, rows.dtype)
    return ops.reshape(gradient, ops.shape(activations))


def feature_distance(activations: Any, subject: Mapping[str, Any], weight: Any) -> tuple[Any, Any]:
    """Squared distance to the subject's activations over their variance, (n,), and its gradient times `weight`."""
    difference = ops.cast(activations - subject["features"], "float32")
    size = ops.cast(ops.size(difference[0]), "float32")
    value = ops.sum(ops.square(difference), axis=(1, 2, 3)) / (size * subject["variance"])
    scale = ops.reshape(2 * weight / (size * subject["variance"]), (-1, 1, 1, 1))
    return value, ops.cast(scale * difference, activations.dtype)


def _rows(activations: Any) -> Any:
    return ops.reshape(activations, (activations.shape[0], -1, activations.shape[-1]))


def _shares(mask: Any) -> Any:
    """The mask as a column whose sum is 1, (n or 1, h * w, 1)."""
    column = _rows(mask)
    return column / ops.sum(column, axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The objective at n pictures.

    Attributes
    ----------
    value : ndarray, float64, shape (n,)
    style : ndarray, float32, shape (n, regions, layers)
        Squared W2 of every layer, not weighted.
    content : ndarray, float32, shape (n, content layers)
        Squared feature distance to the subject over the features' variance.
    gradient : ndarray, float32, shape (n, H, W, 3)
        Of `value`, by grey levels; empty where none was asked for.
    """

    value: npt.NDArray[np.float64]
    style: npt.NDArray[np.float32]
    content: npt.NDArray[np.float32]
    gradient: Pixels


@dataclass(frozen=True, eq=False)
class Region:
    """A style, and where it is wanted.

    Attributes
    ----------
    targets
        `layer_target` of every layer, through `backend.tree`, with the tolerance of a step.
    exact
        The same with `EXACT`.
    mask : ndarray, float32, shape (H, W), optional
        0 to 1, at the picture's size; everywhere alike unless given.
    """

    targets: Sequence[Mapping[str, Any]]
    exact: Sequence[Mapping[str, Any]]
    mask: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """What `Objective` needs beside the pictures: `Objective.task` makes it."""

    inputs: Any
    exact: Any
    style_weights: npt.NDArray[np.float64]
    content_weight: float

    @property
    def exact_style(self) -> Any:
        """What the styles alone need of `exact`."""
        return {"regions": self.exact["regions"]}


class Objective:
    """The loss of pictures for some layers, compiled once for every style, subject and size.

    Parameters
    ----------
    weights, pooling, padding
        The style's, as for `Trunk`.
    layers
        Style layers.
    content_layers
        Where the subject is held on to; none for no such term.
    precision : {"float32", "bfloat16"}
        Of a step's convolutions. What is told is measured in float32.
    """

    def __init__(
        self,
        weights: Weights,
        pooling: str,
        padding: str,
        layers: Sequence[str],
        *,
        content_layers: Sequence[str] = (),
        precision: str = "float32",
    ) -> None:
        self.layers = tuple(layers)
        self.content_layers = tuple(content_layers)
        self.precision = precision
        self._wanted = layer_order([*layers, *content_layers])
        self.trunk = Trunk(weights, pooling, padding, precision)
        self.exact_trunk = self.trunk if precision == "float32" else Trunk(weights, pooling, padding)
        self._step = backend.compile_step(self._forward, self._head, self.trunk.parameters)
        self._look = backend.compile_bound(self._looked, self.exact_trunk.parameters)

    def computed_by(self, step: Callable[..., Any], look: Callable[..., Any]) -> Objective:
        """Return the same objective, its values and gradients found in another way: see `strips.in_strips`."""
        other = copy.copy(self)
        other._step, other._look = step, look
        return other

    def _forward(self, images: Any, parameters: Any) -> list[Any]:
        features = self.trunk.features(images, parameters, self._wanted)
        return [features[name] for name in self._wanted]

    def _head(self, features: Sequence[Any], inputs: Any) -> tuple[Any, list[Any]]:
        at = dict(zip(self._wanted, features, strict=True))
        parts: list[Any] = []
        gradients: dict[str, list[Any]] = {name: [] for name in self._wanted}
        for region in inputs["regions"]:
            for number, layer in enumerate(self.layers):
                mask = region["masks"][number] if "masks" in region else None
                weight = region["weights"][:, number]
                value, gradient = distance(at[layer], region["targets"][number], weight, mask)
                parts.append(value)
                gradients[layer].append(gradient)
        for layer, subject in zip(self.content_layers, inputs.get("content", ()), strict=True):
            value, gradient = feature_distance(at[layer], subject, inputs["content_weight"])
            parts.append(value)
            gradients[layer].append(gradient)
        return ops.stack(parts, axis=1), [sum(gradients[name][1:], gradients[name][0]) for name in self._wanted]

    def _looked(self, images: Any, inputs: Any, parameters: Any) -> tuple[Any, list[Any]]:
        at = self.exact_trunk.features(images, parameters, self._wanted)
        values = [
            distance(at[layer], target, None, region["masks"][number] if "masks" in region else None)[0]
            for region in inputs["regions"]
            for number, (layer, target) in enumerate(zip(self.layers, region["targets"], strict=True))
        ]
        return ops.stack(values, axis=1), [at[layer] for layer in self.content_layers]

    def task(
        self,
        regions: Sequence[Region],
        subjects: Pixels,
        *,
        content_weight: float = 0.0,
        layer_weights: Sequence[float] | None = None,
        normalise: bool = True,
    ) -> Task:
        """Prepare the objective for some subjects of one size.

        Parameters
        ----------
        regions
            One without a mask, or several whose masks cover the picture.
        subjects : ndarray, float32, shape (n, H, W, 3)
            At the size the pictures will have.
        content_weight
            In units of `CONTENT_UNIT`.
        layer_weights
            One a layer; all 1 unless given.
        normalise
            Whether a layer's distance is divided by what it is at the subject, and by the number
            of layers; without it the loss is their plain sum.
        """
        count = len(subjects)
        exact: Any = {"regions": [self._region(region, region.exact) for region in regions]}
        looked, features = self._look(backend.tree(np.ascontiguousarray(subjects, np.float32)), exact)
        found = backend.to_numpy(looked).astype(np.float64).reshape(count, len(regions), len(self.layers))
        chosen = np.ones(len(self.layers)) if layer_weights is None else np.asarray(layer_weights, np.float64)
        weights = np.broadcast_to(chosen, found.shape).copy()
        shares = np.array([1.0 if region.mask is None else region.mask.mean(dtype=np.float64) for region in regions])
        weights *= shares[None, :, None]
        if normalise:
            spread = np.array([[float(target["trace"]) for target in region.exact] for region in regions])
            lowest = np.maximum(_SMALLEST_SHARE * spread, 1e-6)
            weights /= chosen.sum() * np.maximum(found, lowest)
        inputs: Any = {
            "regions": [
                {**self._region(region, region.targets), "weights": backend.tree(weights[:, number].astype(np.float32))}
                for number, region in enumerate(regions)
            ]
        }
        if self.content_layers:
            unit = content_weight * CONTENT_UNIT / len(self.content_layers)
            variances = [ops.maximum(ops.mean(ops.var(at, axis=(1, 2)), axis=1), 1.0) for at in features]
            exact["content"] = [
                {"features": at, "variance": variance} for at, variance in zip(features, variances, strict=True)
            ]
            exact["content_weight"] = backend.tree(np.full(count, unit, np.float32))
            inputs["content_weight"] = exact["content_weight"]
            inputs["content"] = [
                {**subject, "features": ops.cast(subject["features"], self.precision)} for subject in exact["content"]
            ]
            content_weight = unit
        return Task(inputs, exact, weights, content_weight)

    def _region(self, region: Region, targets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        given: dict[str, Any] = {"targets": list(targets)}
        if region.mask is not None:
            given["masks"] = [backend.tree(mask_at(region.mask, layer, self.trunk.pooling)) for layer in self.layers]
        return given

    def __call__(self, pictures: Pixels, task: Task) -> Evaluation:
        """Evaluate the objective and its gradient at float32 `pictures` (n, H, W, 3) in 0..255."""
        parts, gradient = self._step(pictures, task.inputs)
        return self._evaluation(parts, task, gradient)

    def exactly(self, pictures: Pixels, task: Task) -> Evaluation:
        """Evaluate the objective in float32 with the whole of every style's covariance, without a gradient."""
        distances, features = self._look(backend.tree(np.ascontiguousarray(pictures, np.float32)), task.exact_style)
        content = [
            feature_distance(at, subject, task.exact["content_weight"])[0]
            for at, subject in zip(features, task.exact.get("content", ()), strict=True)
        ]
        parts = np.stack([*backend.to_numpy(distances).T, *map(backend.to_numpy, content)], axis=1)
        return self._evaluation(parts, task, np.zeros((0, 0, 0, 3), np.float32))

    def _evaluation(self, parts: npt.NDArray[np.float32], task: Task, gradient: Pixels) -> Evaluation:
        shape = task.style_weights.shape
        style = parts[:, : shape[1] * shape[2]].reshape(shape)
        content = parts[:, shape[1] * shape[2] :]
        value = (style * task.style_weights).sum(axis=(1, 2)) + task.content_weight * content.sum(axis=1)
        return Evaluation(value, style, content, gradient)


def mask_at(mask: npt.NDArray[np.float32], layer: str, pooling: str) -> npt.NDArray[np.float32]:
    """Bring a mask (H, W) to a layer's positions by averaging, (1, h, w, 1)."""
    halvings = 0 if pooling == "none" else int(layer[4]) - 1
    for _ in range(halvings):
        padded = np.pad(mask, [(0, side % 2) for side in mask.shape], mode="edge")
        height, width = padded.shape
        mask = padded.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return np.ascontiguousarray(mask[None, :, :, None], np.float32)
