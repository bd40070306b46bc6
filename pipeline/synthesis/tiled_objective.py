"""The objective of an image too large for the memory, computed exactly, tile by tile.

A layer's loss depends on the image through the mean and covariance of its activations alone, and these are sums over
positions. So a step passes over the image twice, in strips of rows (see `tiling`):

1. Forward, block by block of VGG-19. Every strip adds its moments to the layers' (Chan, Golub and LeVeque 1983), and
   writes its part of the next block's input.
2. Backward, from the last block to the first. Every strip's activations are computed again. With the moments of the
   whole image, their gradient is (X - mu) L + d (see `wasserstein.w2_from_moments`), which is pulled back to the input.

A block of k convolutions sees k rows beyond a strip, the halo, which are included. Padding happens at the border of the
image only, as for the whole image. Nothing is blended, and there are no seams. The inputs of all blocks stay on the
host; the device holds the activations of one strip. The second forward pass makes a step a third more expensive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank.images import Pixels
from stylebank.math.gaussian import MomentAccumulator

from ..backends.compile import compile_bound, compile_step
from ..backends.errors import memory_errors
from ..backends.ops import relu
from ..backends.runtime import ops, to_numpy, to_tensors
from ..vgg.network import VGG19, Block, blocks
from .losses.functional import feature_distance
from .losses.moments import moments
from .losses.objective import Objective
from .losses.wasserstein import affine_gradient, w2_from_moments
from .tiling import Strip, strips

#: Activations per tile, over all convolutions of a block: about half a gigabyte with their gradients.
ELEMENTS = 1 << 25

Array = npt.NDArray[Any]


def in_strips(objective: Objective, elements: int = ELEMENTS) -> Objective:
    """Return the same objective, computed tile by tile: with the memory of one tile plus a few hundred bytes per pixel.

    Parameters
    ----------
    objective
        The result shares its layers, weights and precision.
    elements
        Activations per tile. More are slightly faster.
    """
    step = _Passes(objective, objective.network, elements)
    exact = (
        step if objective.exact_network is objective.network else _Passes(objective, objective.exact_network, elements)
    )
    return objective.with_backend(step.step, exact.distances, exact.moments)


class _Passes:
    """The two passes with one network. `step`, `distances` and `moments` have the signatures of `Objective`."""

    def __init__(self, objective: Objective, network: VGG19, elements: int) -> None:
        self._network = network
        self._elements = elements
        self._layers = objective.layers
        self._content_layers = objective.content_layers
        self._blocks = blocks([*objective.layers, *objective.content_layers])
        self._compiled: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def step(self, pictures: Pixels, inputs: Any) -> tuple[Array, Pixels]:
        """Return (terms, gradient) in NumPy, for `Objective.__call__`."""
        with memory_errors():
            block_inputs, accumulators, _ = self._forward(pictures, inputs, with_content=False)
            style_gradients = self._style_gradients(accumulators, inputs)
            content = np.zeros((len(pictures), len(self._content_layers)), np.float32)
            gradient: Array | None = None
            for number in reversed(range(len(self._blocks))):
                gradient = self._backward(
                    number, block_inputs.pop(), gradient, inputs, style_gradients, accumulators, content
                )
        assert gradient is not None
        distances = [
            style_gradients[layer, region][0] for region in range(len(inputs["regions"])) for layer in self._layers
        ]
        return np.concatenate([np.stack(distances, axis=1), content], axis=1), gradient

    def distances(self, pictures: Any, inputs: Any) -> tuple[Any, list[Any]]:
        """Return (distances, content features) as tensors, for `Objective.problem` and `Objective.evaluate_exact`."""
        with memory_errors():
            _, accumulators, content = self._forward(to_numpy(pictures), inputs, with_content=True)
            style_gradients = self._style_gradients(accumulators, inputs, weighted=False)
            distances = [
                style_gradients[layer, region][0] for region in range(len(inputs["regions"])) for layer in self._layers
            ]
            return to_tensors(np.stack(distances, axis=1)), [
                to_tensors(content[layer]) for layer in self._content_layers
            ]

    def moments(self, pictures: Any, inputs: Any) -> list[Any]:
        """Return (mean, covariance) of every style layer, for `Objective.gaussians`."""
        with memory_errors():
            _, accumulators, _ = self._forward(to_numpy(pictures), inputs, with_content=False)
            return [tuple(map(to_tensors, accumulators[layer, 0].moments())) for layer in self._layers]

    def _forward(
        self, pictures: Pixels, inputs: Any, *, with_content: bool
    ) -> tuple[list[Array], dict[tuple[str, int], MomentAccumulator], dict[str, Array]]:
        """Return every block's input, the moments by style layer and region, and the content features if requested."""
        block_inputs: list[Array] = [np.asarray(pictures, np.float32)]
        accumulators = {
            (layer, region): MomentAccumulator() for layer in self._layers for region in range(len(inputs["regions"]))
        }
        content: dict[str, Array] = {}
        for number, block in enumerate(self._blocks):
            block_input = block_inputs[-1]
            count, height, width = block_input.shape[:3]
            divisor = 1 if self._network.pooling == "none" else 2
            if block.pools:
                block_inputs.append(
                    np.empty((count, -(-height // divisor), -(-width // divisor), block.channels), np.float32)
                )
            else:
                block_inputs.append(np.empty(0, np.float32))
            for layer in self._content_layers_of(block) if with_content else ():
                content[layer] = np.empty((count, height, width, block.channels), np.float32)
            for strip in strips(block, height, width, self._elements):
                masks = [self._masks(region, block, strip) for region in inputs["regions"]]
                function = self._compiled_function("forward", number, strip, with_content=with_content)
                gaussians, features, pooled = function(_tensor(block_input[:, strip.padded]), masks)
                positions = (strip.end - strip.begin) * width
                for region, (mask, layer_gaussians) in enumerate(zip(masks, gaussians, strict=True)):
                    for index, (layer, (mean, cov)) in enumerate(
                        zip(self._style_layers_of(block), layer_gaussians, strict=True)
                    ):
                        weight = _sum(mask[index]) if mask else np.full(1, positions)
                        accumulators[layer, region].update(to_numpy(mean), to_numpy(cov), weight)
                for layer, feature in zip(self._content_layers_of(block), features, strict=False):
                    content[layer][:, strip.interior] = to_numpy(feature)
                for part in pooled:
                    block_inputs[-1][:, strip.begin // divisor : -(-strip.end // divisor)] = to_numpy(part)
        return block_inputs[:-1], accumulators, content

    def _style_gradients(
        self, accumulators: dict[tuple[str, int], MomentAccumulator], inputs: Any, *, weighted: bool = True
    ) -> dict[tuple[str, int], tuple[Array, Any]]:
        """Return, by layer and region, the distance, and mean, L and d of its gradient at a row."""
        gradients = {}
        for number, region in enumerate(inputs["regions"]):
            for index, layer in enumerate(self._layers):
                accumulator = accumulators[layer, number]
                mean, cov = (to_tensors(part) for part in accumulator.moments())
                weight = None
                if weighted:
                    count = np.maximum(accumulator.count, 1e-12).astype(np.float32)
                    weight = region["weights"][:, index] / to_tensors(count)
                value, linear, constant = w2_from_moments(mean, cov, region["targets"][index], weight)
                parts = {"mean": mean, "linear": linear, "constant": constant} if weighted else None
                gradients[layer, number] = to_numpy(value), parts
        return gradients

    def _backward(
        self,
        number: int,
        x: Array,
        pooled: Array | None,
        inputs: Any,
        style_gradients: dict[tuple[str, int], tuple[Array, Any]],
        accumulators: dict[tuple[str, int], MomentAccumulator],
        content: Array,
    ) -> Pixels:
        """Return the gradient by a block's input, and add the block's content terms to `content`."""
        block = self._blocks[number]
        height, width = x.shape[1:3]
        divisor = 1 if self._network.pooling == "none" else 2
        gradient = np.zeros_like(x)
        for strip in strips(block, height, width, self._elements):
            head_inputs: Any = {"regions": [], "content": [], "pooled": []}
            for region, region_inputs in enumerate(inputs["regions"]):
                layers = [style_gradients[layer, region][1] for layer in self._style_layers_of(block)]
                head_inputs["regions"].append({"layers": layers, "masks": self._masks(region_inputs, block, strip)})
            for layer in self._content_layers_of(block):
                subject = inputs["content"][self._content_layers.index(layer)]
                fraction = np.float32((strip.end - strip.begin) / height)
                by_position = subject.keys() & {"features", "position_weights"}
                head_inputs["content"].append(
                    {
                        **{key: subject[key][:, strip.interior] for key in by_position},
                        "variance": subject["variance"],
                        "weight": inputs["content_weight"] * fraction,
                        "fraction": to_tensors(np.full(len(x), fraction)),
                    }
                )
            if pooled is not None:
                pooled_gradient = pooled[:, strip.begin // divisor : -(-strip.end // divisor)]
                head_inputs["pooled"].append(_tensor(pooled_gradient))
            function = self._compiled_function("backward", number, strip)
            differences, input_gradient = function(np.ascontiguousarray(x[:, strip.padded]), head_inputs)
            gradient[:, strip.padded] += input_gradient
            for index, layer in enumerate(self._content_layers_of(block)):
                content[:, self._content_layers.index(layer)] += differences[:, index]
        return gradient

    def _masks(self, region_inputs: Any, block: Block, strip: Strip) -> list[Any]:
        if "masks" not in region_inputs:
            return []
        return [
            region_inputs["masks"][self._layers.index(layer)][:, strip.interior]
            for layer in self._style_layers_of(block)
        ]

    def _style_layers_of(self, block: Block) -> list[str]:
        return [layer for layer in block.features if layer in self._layers]

    def _content_layers_of(self, block: Block) -> list[str]:
        return [layer for layer in block.features if layer in self._content_layers]

    def _compiled_function(
        self, kind: str, number: int, strip: Strip, *, with_content: bool = False
    ) -> Callable[..., Any]:
        """Compile once per block, and per combination of image borders at the strip."""
        key = kind, number, strip.top, strip.bottom, with_content
        if key not in self._compiled:
            block = self._blocks[number]
            network = partial(self._features, block, strip.top, strip.bottom)
            if kind == "forward":
                function = partial(self._forward_outputs, block, network, with_content)
                self._compiled[key] = compile_bound(function, self._network.parameters)
            else:
                head = partial(self._cotangents, block)
                self._compiled[key] = compile_step(network, head, self._network.parameters)
        return self._compiled[key]

    def _features(self, block: Block, top: bool, bottom: bool, x: Any, parameters: Any) -> list[Any]:
        """Return the block's features and its pooled output, at the strip's interior rows."""
        if block.convolutions[0] == "conv1_1":
            x = x - parameters["mean"]
        x = ops.cast(x, self._network.precision)
        margin = len(block.convolutions)
        features = []
        for name in block.convolutions:
            margin -= 1
            rows = slice(0 if top else margin, None if bottom else -margin or None)
            kernel, bias = parameters["layers"][name]
            x = self._network.convolve(x, kernel, top=top, bottom=bottom) + bias
            if name in block.features:
                features.append(x[:, rows])
            x = relu(x)
            if f"relu{name[4:]}" in block.features:
                features.append(x[:, rows])
        return [*features, self._network.pool(x)] if block.pools else features

    def _forward_outputs(
        self, block: Block, network: Callable[..., Any], with_content: bool, x: Any, masks: Any, parameters: Any
    ) -> Any:
        features = network(x, parameters)
        by_layer = dict(zip(block.features, features, strict=False))
        gaussians = []
        for mask in masks:
            region_moments = [
                moments(by_layer[layer], mask[number] if mask else None)
                for number, layer in enumerate(self._style_layers_of(block))
            ]
            gaussians.append([(layer_moments["mean"], layer_moments["cov"]) for layer_moments in region_moments])
        content = (
            [ops.cast(by_layer[layer], "float32") for layer in self._content_layers_of(block)] if with_content else []
        )
        return gaussians, content, [ops.cast(part, "float32") for part in features[len(block.features) :]]

    def _cotangents(self, block: Block, features: Sequence[Any], inputs: Any) -> tuple[Any, list[Any]]:
        by_layer = dict(zip(block.features, features, strict=False))
        cotangents: dict[str, list[Any]] = {name: [] for name in block.features}
        for region in inputs["regions"]:
            for number, layer in enumerate(self._style_layers_of(block)):
                coefficients = region["layers"][number]
                gradient = affine_gradient(
                    by_layer[layer], coefficients["mean"], coefficients["linear"], coefficients["constant"]
                )
                if region["masks"]:
                    gradient = gradient * ops.cast(region["masks"][number], gradient.dtype)
                cotangents[layer].append(gradient)
        values = []
        for subject, layer in zip(inputs["content"], self._content_layers_of(block), strict=True):
            value, gradient = feature_distance(by_layer[layer], subject, subject["weight"])
            values.append(value * subject["fraction"])
            cotangents[layer].append(gradient)
        summed = [sum(cotangents[name][1:], cotangents[name][0]) for name in block.features]
        summed += [ops.cast(part, features[-1].dtype) for part in inputs["pooled"]]
        parts = ops.stack(values, axis=1) if values else ops.zeros((features[0].shape[0], 0), "float32")
        return parts, summed


def _tensor(part: Array) -> Any:
    return ops.convert_to_tensor(np.ascontiguousarray(part))


def _sum(mask: Any) -> Array:
    return np.asarray(to_numpy(mask).sum(axis=(1, 2, 3), dtype=np.float64))
