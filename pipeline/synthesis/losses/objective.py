"""Style and content as one loss with its gradient, compiled once for every style, subject and size.

The loss is a weighted sum over layers of the squared Wasserstein-2 distance between the Gaussian of the image's
activations, N(mu, C), and the style's, N(m, S) (Dowson and Landau 1982; Olkin and Pukelsheim 1982),

    W2^2 = |mu - m|^2 + tr C + tr S - 2 tr (F^T C F)^{1/2},   S = F F^T

plus the distance of some activations to the subject's, plus total variation. `functional` computes all three with
explicit derivatives. For W2^2 the derivative by the activations is 2/N (X - Y), where Y is the image of X under the
optimal map (Gelbrich 1990). The network pulls the derivatives back to the image.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank.images import Pixels
from stylebank.style import layer_order

from ...backends.compile import compile_bound, compile_step
from ...backends.runtime import ops, to_numpy, to_tensors
from ...vgg.network import VGG19
from ...vgg.weights import Weights
from .content import detail_weights
from .functional import distance, feature_distance, mask_at, total_variation
from .moments import moments
from .problem import Evaluation, Problem, StyleTarget
from .wasserstein import Gradient

#: Content term per unit of content weight, so that 1 is a moderate setting.
CONTENT_UNIT = 0.35
#: Loss per pixel value of total variation and unit of smoothness, so that 1 is a moderate setting.
SMOOTHNESS_UNIT = 0.002
#: A region ignores layers in which it has fewer positions.
_MIN_POSITIONS = 4.0
#: Lower bound of the distance that normalises a layer, as a fraction of tr S.
_MIN_DISTANCE_RATIO = 1e-3


class Objective:
    """The loss of images, compiled once for every style, subject and size.

    Parameters
    ----------
    weights, pooling, padding
        As for `VGG19`; the style's fingerprint names them.
    layers
        Style layers.
    content_layers
        Layers of the content term; none omits the term.
    precision : {"float32", "bfloat16"}
        Precision of the convolutions in each step. Reported losses are always float32.
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
        self._feature_layers = layer_order([*layers, *content_layers])
        self.network = VGG19(weights, pooling, padding, precision)
        self.exact_network = self.network if precision == "float32" else VGG19(weights, pooling, padding)
        self._step = compile_step(self._forward, self._head, self.network.parameters)
        self._distances = compile_bound(self._style_distances, self.exact_network.parameters)
        self._moments = compile_bound(self._style_moments, self.exact_network.parameters)

    def with_backend(
        self, step: Callable[..., Any], distances: Callable[..., Any], moments: Callable[..., Any]
    ) -> Objective:
        """Return a copy that computes by other functions, such as those of `tiled_objective.in_strips`."""
        other = copy.copy(self)
        other._step, other._distances, other._moments = step, distances, moments
        return other

    def _forward(self, images: Any, parameters: Any) -> list[Any]:
        features = self.network.features(images, parameters, self._feature_layers)
        return [features[name] for name in self._feature_layers]

    def _head(self, features: Sequence[Any], inputs: Any) -> tuple[Any, list[Any]]:
        features_of = dict(zip(self._feature_layers, features, strict=True))
        terms: list[Any] = []
        gradients: dict[str, list[Any]] = {name: [] for name in self._feature_layers}
        for region in inputs["regions"]:
            for number, layer in enumerate(self.layers):
                mask = region["masks"][number] if "masks" in region else None
                weight = region["weights"][:, number]
                value, gradient = distance(features_of[layer], region["targets"][number], weight, mask)
                terms.append(value)
                gradients[layer].append(gradient)
        for layer, subject in zip(self.content_layers, inputs.get("content", ()), strict=True):
            value, gradient = feature_distance(features_of[layer], subject, inputs["content_weight"])
            terms.append(value)
            gradients[layer].append(partial(_ignore_upstream, gradient))
        return ops.stack(terms, axis=1), [partial(_sum_gradients, gradients[name]) for name in self._feature_layers]

    def _style_distances(self, images: Any, inputs: Any, parameters: Any) -> tuple[Any, list[Any]]:
        features_of = self.exact_network.features(images, parameters, self._feature_layers)
        values = [
            distance(features_of[layer], target, None, region["masks"][number] if "masks" in region else None)[0]
            for region in inputs["regions"]
            for number, (layer, target) in enumerate(zip(self.layers, region["targets"], strict=True))
        ]
        return ops.stack(values, axis=1), [features_of[layer] for layer in self.content_layers]

    def _style_moments(self, images: Any, inputs: Any, parameters: Any) -> list[Any]:
        features_of = self.exact_network.features(images, parameters, self.layers)
        masks = inputs["regions"][0].get("masks", [None] * len(self.layers))
        layer_moments = [moments(features_of[layer], mask) for layer, mask in zip(self.layers, masks, strict=True)]
        return [(part["mean"], part["cov"]) for part in layer_moments]

    def gaussians(
        self, picture: Pixels, mask: npt.NDArray[np.float32] | None = None
    ) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
        """Return the mean (c,) and covariance (c, c) of an image's activations at every style layer.

        Parameters
        ----------
        picture : ndarray, float32, shape (H, W, 3)
            In 0..255.
        mask
            As in `StyleTarget`.
        """
        region = {} if mask is None else {"masks": self._masks(mask)}
        layer_moments = self._moments(
            to_tensors(np.ascontiguousarray(picture[None], np.float32)), {"regions": [region]}
        )
        return [(to_numpy(mean)[0, 0], to_numpy(cov)[0]) for mean, cov in layer_moments]

    def problem(
        self,
        regions: Sequence[StyleTarget],
        subjects: Pixels,
        *,
        content_weight: float = 0.0,
        content_detail: float = 0.0,
        tv_weight: float = 0.0,
        layer_weights: Sequence[float] | None = None,
        normalise: bool = True,
        strength: float = 1.0,
    ) -> Problem:
        """Prepare the objective for subjects of one size.

        Parameters
        ----------
        regions
            One target without a mask, or several whose masks cover the image.
        subjects : ndarray, float32, shape (n, H, W, 3)
            At the size of the output, in 0..255.
        content_weight
            Weight of the content term, in units of `CONTENT_UNIT`.
        content_detail
            Concentration of the content term on the subject's detail, as for `content.detail_weights`.
        tv_weight
            Weight of `functional.total_variation`, in units of `SMOOTHNESS_UNIT`.
        layer_weights
            One weight per style layer; all 1 by default.
        normalise
            Divide each layer's distance by its value at the subject and by the number of layers. Otherwise the loss is
            the plain sum.
        strength
            Position of the targets on the geodesics from the subjects' Gaussians (0) to the style's (1). Distances are
            normalised by the whole geodesic, so that the terms keep their proportions.

        Returns
        -------
        Problem
        """
        count = len(subjects)
        exact: Any = {"regions": [self._region(region, region.exact) for region in regions]}
        distance_tensor, features = self._distances(to_tensors(np.ascontiguousarray(subjects, np.float32)), exact)
        distances = to_numpy(distance_tensor).astype(np.float64).reshape(count, len(regions), len(self.layers))
        base_weights = np.ones(len(self.layers)) if layer_weights is None else np.asarray(layer_weights, np.float64)
        weights = np.broadcast_to(base_weights, distances.shape).copy()
        coverage = np.array([1.0 if region.mask is None else region.mask.mean(dtype=np.float64) for region in regions])
        weights *= coverage[None, :, None] * self._active_layers(regions)
        if normalise:
            style_traces = np.array([[float(target["trace"]) for target in region.exact] for region in regions])
            floor = np.maximum(_MIN_DISTANCE_RATIO * style_traces, 1e-6)
            total = (base_weights * self._active_layers(regions)).sum(axis=-1)[None, :, None]
            weights /= np.maximum(total, 1e-12) * np.maximum(distances / strength**2, floor)
        inputs: Any = {
            "regions": [
                {
                    **self._region(region, region.targets),
                    "weights": to_tensors(weights[:, number].astype(np.float32)),
                }
                for number, region in enumerate(regions)
            ]
        }
        if self.content_layers:
            unit = content_weight * CONTENT_UNIT / len(self.content_layers)
            variances = [
                ops.maximum(ops.mean(ops.var(features_at, axis=(1, 2)), axis=1), 1.0) for features_at in features
            ]
            exact["content"] = [
                {"features": features_at, "variance": variance}
                for features_at, variance in zip(features, variances, strict=True)
            ]
            if content_detail:
                for subject, features_at in zip(exact["content"], features, strict=True):
                    subject["position_weights"] = to_tensors(detail_weights(to_numpy(features_at), content_detail))
            exact["content_weight"] = to_tensors(np.full(count, unit, np.float32))
            inputs["content_weight"] = exact["content_weight"]
            inputs["content"] = [
                {**subject, "features": ops.cast(subject["features"], self.precision)} for subject in exact["content"]
            ]
            content_weight = unit
        return Problem(inputs, exact, weights, content_weight, tv_weight * SMOOTHNESS_UNIT)

    def _active_layers(self, regions: Sequence[StyleTarget]) -> npt.NDArray[np.float64]:
        """Return 1 where a region has enough positions for a layer's moments, else 0.

        The shape is (regions, layers).
        """
        active = np.ones((len(regions), len(self.layers)))
        for number, region in enumerate(regions):
            if region.mask is not None:
                positions = [mask_at(region.mask, layer, self.network.pooling).sum() for layer in self.layers]
                active[number] = np.asarray(positions) >= _MIN_POSITIONS
        return active

    def _masks(self, mask: npt.NDArray[np.float32]) -> list[Any]:
        return [to_tensors(mask_at(mask, layer, self.network.pooling)) for layer in self.layers]

    def _region(self, region: StyleTarget, targets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        inputs: dict[str, Any] = {"targets": list(targets)}
        if region.mask is not None:
            inputs["masks"] = self._masks(region.mask)
        return inputs

    def __call__(self, pictures: Pixels, problem: Problem) -> Evaluation:
        """Return the objective and its gradient at float32 `pictures` (n, H, W, 3) in 0..255."""
        parts, gradient = self._step(pictures, problem.inputs)
        return self._evaluation(parts, problem, pictures, gradient)

    def evaluate_exact(self, pictures: Pixels, problem: Problem) -> Evaluation:
        """Return the objective in float32, with every style's whole covariance and without a gradient."""
        distances, features = self._distances(
            to_tensors(np.ascontiguousarray(pictures, np.float32)), problem.exact_style
        )
        content = [
            feature_distance(features_at, subject, problem.exact["content_weight"])[0]
            for features_at, subject in zip(features, problem.exact.get("content", ()), strict=True)
        ]
        terms = np.stack([*to_numpy(distances).T, *map(to_numpy, content)], axis=1)
        return self._evaluation(terms, problem, pictures, np.zeros((0, 0, 0, 3), np.float32))

    def _evaluation(
        self, terms: npt.NDArray[np.float32], problem: Problem, pictures: Pixels, gradient: Pixels
    ) -> Evaluation:
        shape = problem.style_weights.shape
        style = terms[:, : shape[1] * shape[2]].reshape(shape)
        content = terms[:, shape[1] * shape[2] :]
        value = (style * problem.style_weights).sum(axis=(1, 2)) + problem.content_weight * content.sum(axis=1)
        if problem.tv_weight:
            variation, variation_gradient = total_variation(pictures)
            value = value + problem.tv_weight * variation
            if gradient.size:
                gradient = gradient + np.float32(problem.tv_weight) * variation_gradient
        return Evaluation(value, style, content, gradient)


def _ignore_upstream(tensor: Any, _upstream: Any) -> Any:
    return tensor


def _sum_gradients(gradient_functions: Sequence[Gradient], upstream: Any) -> Any:
    gradients = [function(upstream) for function in gradient_functions]
    return sum(gradients[1:], gradients[0])
