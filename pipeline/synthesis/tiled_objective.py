"""The objective of a picture too large for the memory, strip by strip, and exactly.

A layer's loss depends on the whole picture by the mean and covariance of its activations alone, and those
are sums over positions. So a step goes over the picture twice, in strips of rows:

1. Forward, block by block of VGG-19: every strip adds its moments to the layers' (Chan, Golub and LeVeque
   1983), and leaves what it gives the next block.
2. Backward, from the last block to the first: every strip's activations are made again; with the
   moments of the whole its gradient is (X - mu) L + d (see `wasserstein.w2_from_moments`), pulled back to
   what the block took.

A block of k convolutions sees k rows beyond a strip: these are taken along, and only where the picture ends
is there padding, before every layer as in the whole picture. Nothing is blended, and there is no seam to hide. Kept
whole are the blocks' inputs, on the host; the activations of one strip are all there is at a time, made twice:
four thirds of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank.images import Pixels
from stylebank.math.gaussian import MomentAccumulator

from ..backends import compile as compiling
from ..backends import ops as backend_ops
from ..backends import runtime as backend
from ..backends.errors import memory_errors
from ..backends.runtime import ops
from ..vgg.network import VGG19, Block, blocks
from .losses.functional import feature_distance
from .losses.moments import moments
from .losses.objective import Objective
from .losses.wasserstein import affine_gradient, w2_from_moments
from .tiling import Strip, strips

#: Activations of all of a block's convolutions together in one strip: half a gigabyte or so with their gradients.
ELEMENTS = 1 << 25

Array = npt.NDArray[Any]


def in_strips(objective: Objective, elements: int = ELEMENTS) -> Objective:
    """Return the same objective, which takes the memory of a strip and a few hundred bytes a pixel.

    Parameters
    ----------
    objective
        Its layers, weights and precision are shared.
    elements
        Activations a strip may have; more are a little faster.
    """
    step = _Passes(objective, objective.network, elements)
    exact = (
        step if objective.exact_network is objective.network else _Passes(objective, objective.exact_network, elements)
    )
    return objective.with_backend(step.step, exact.distances, exact.moments)


class _Passes:
    """The two passes with one trunk; `step` and `distances` are as `Objective` has them."""

    def __init__(self, objective: Objective, network: VGG19, elements: int) -> None:
        self._trunk = network
        self._elements = elements
        self._layers = objective.layers
        self._content_layers = objective.content_layers
        self._blocks = blocks([*objective.layers, *objective.content_layers])
        self._compiled: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def step(self, pictures: Pixels, inputs: Any) -> tuple[Array, Pixels]:
        """Return (parts, gradient) in NumPy, for `Objective.__call__`."""
        with memory_errors():
            taken, merged, _ = self._forward(pictures, inputs, with_content=False)
            found = self._matched(merged, inputs)
            content = np.zeros((len(pictures), len(self._content_layers)), np.float32)
            gradient: Array | None = None
            for number in reversed(range(len(self._blocks))):
                gradient = self._backward(number, taken.pop(), gradient, inputs, found, merged, content)
        assert gradient is not None
        style = [found[layer, region][0] for region in range(len(inputs["regions"])) for layer in self._layers]
        return np.concatenate([np.stack(style, axis=1), content], axis=1), gradient

    def distances(self, pictures: Any, inputs: Any) -> tuple[Any, list[Any]]:
        """Return (distances, content features) in tensors, for `Objective.problem` and `Objective.evaluate_exact`."""
        with memory_errors():
            _, merged, content = self._forward(backend.to_numpy(pictures), inputs, with_content=True)
            found = self._matched(merged, inputs, weighted=False)
            style = [found[layer, region][0] for region in range(len(inputs["regions"])) for layer in self._layers]
            return backend.to_tensors(np.stack(style, axis=1)), [
                backend.to_tensors(content[at]) for at in self._content_layers
            ]

    def moments(self, pictures: Any, inputs: Any) -> list[Any]:
        """Return (mean, covariance) of every style layer, for `Objective.gaussians`."""
        with memory_errors():
            _, merged, _ = self._forward(backend.to_numpy(pictures), inputs, with_content=False)
            return [tuple(map(backend.to_tensors, merged[layer, 0].moments())) for layer in self._layers]

    def _forward(
        self, pictures: Pixels, inputs: Any, *, with_content: bool
    ) -> tuple[list[Array], dict[tuple[str, int], MomentAccumulator], dict[str, Array]]:
        """Every block's input, the moments of every style layer by region, and the content features if wanted."""
        taken: list[Array] = [np.asarray(pictures, np.float32)]
        merged = {
            (layer, region): MomentAccumulator() for layer in self._layers for region in range(len(inputs["regions"]))
        }
        content: dict[str, Array] = {}
        for number, block in enumerate(self._blocks):
            x = taken[-1]
            count, height, width = x.shape[:3]
            divisor = 1 if self._trunk.pooling == "none" else 2
            if block.pools:
                taken.append(np.empty((count, -(-height // divisor), -(-width // divisor), block.channels), np.float32))
            else:
                taken.append(np.empty(0, np.float32))
            for layer in self._content_here(block) if with_content else ():
                content[layer] = np.empty((count, height, width, block.channels), np.float32)
            for strip in strips(block, height, width, self._elements):
                masks = [self._masks(region, block, strip) for region in inputs["regions"]]
                run = self._function("forward", number, strip, with_content=with_content)
                gaussians, features, pooled = run(_tensor(x[:, strip.seen]), masks)
                positions = (strip.end - strip.begin) * width
                for region, (mask, here) in enumerate(zip(masks, gaussians, strict=True)):
                    for at, (layer, (mean, cov)) in enumerate(zip(self._styles_here(block), here, strict=True)):
                        weight = _sum(mask[at]) if mask else np.full(1, positions)
                        merged[layer, region].update(backend.to_numpy(mean), backend.to_numpy(cov), weight)
                for layer, feature in zip(self._content_here(block), features, strict=False):
                    content[layer][:, strip.own] = backend.to_numpy(feature)
                for part in pooled:
                    taken[-1][:, strip.begin // divisor : -(-strip.end // divisor)] = backend.to_numpy(part)
        return taken[:-1], merged, content

    def _matched(
        self, merged: dict[tuple[str, int], MomentAccumulator], inputs: Any, *, weighted: bool = True
    ) -> dict[tuple[str, int], tuple[Array, Any]]:
        """By layer and region the distance, and the mean, L and d of its gradient at a row."""
        found = {}
        for number, region in enumerate(inputs["regions"]):
            for at, layer in enumerate(self._layers):
                sums = merged[layer, number]
                mean, cov = (backend.to_tensors(part) for part in sums.moments())
                weight = None
                if weighted:
                    counted = np.maximum(sums.count, 1e-12).astype(np.float32)
                    weight = region["weights"][:, at] / backend.to_tensors(counted)
                value, linear, constant = w2_from_moments(mean, cov, region["targets"][at], weight)
                parts = {"mean": mean, "linear": linear, "constant": constant} if weighted else None
                found[layer, number] = backend.to_numpy(value), parts
        return found

    def _backward(
        self,
        number: int,
        x: Array,
        pooled: Array | None,
        inputs: Any,
        found: dict[tuple[str, int], tuple[Array, Any]],
        merged: dict[tuple[str, int], MomentAccumulator],
        content: Array,
    ) -> Pixels:
        """The gradient by a block's input; adds to `content` what its strips differ from the subject by."""
        block = self._blocks[number]
        height, width = x.shape[1:3]
        divisor = 1 if self._trunk.pooling == "none" else 2
        gradient = np.zeros_like(x)
        for strip in strips(block, height, width, self._elements):
            given: Any = {"regions": [], "content": [], "pooled": []}
            for region, own in enumerate(inputs["regions"]):
                layers = [found[layer, region][1] for layer in self._styles_here(block)]
                given["regions"].append({"layers": layers, "masks": self._masks(own, block, strip)})
            for layer in self._content_here(block):
                subject = inputs["content"][self._content_layers.index(layer)]
                share = np.float32((strip.end - strip.begin) / height)
                given["content"].append(
                    {
                        "features": subject["features"][:, strip.own],
                        "variance": subject["variance"],
                        "weight": inputs["content_weight"] * share,
                        "share": backend.to_tensors(np.full(len(x), share)),
                    }
                )
            if pooled is not None:
                part = pooled[:, strip.begin // divisor : -(-strip.end // divisor)]
                given["pooled"].append(_tensor(part))
            run = self._function("backward", number, strip)
            differences, slope = run(np.ascontiguousarray(x[:, strip.seen]), given)
            gradient[:, strip.seen] += slope
            for at, layer in enumerate(self._content_here(block)):
                content[:, self._content_layers.index(layer)] += differences[:, at]
        return gradient

    def _masks(self, region: Any, block: Block, strip: Strip) -> list[Any]:
        if "masks" not in region:
            return []
        return [region["masks"][self._layers.index(layer)][:, strip.own] for layer in self._styles_here(block)]

    def _styles_here(self, block: Block) -> list[str]:
        return [layer for layer in block.wanted if layer in self._layers]

    def _content_here(self, block: Block) -> list[str]:
        return [layer for layer in block.wanted if layer in self._content_layers]

    def _function(self, kind: str, number: int, strip: Strip, *, with_content: bool = False) -> Callable[..., Any]:
        """Compile once a block and whether the picture ends at a strip's top and bottom."""
        key = kind, number, strip.top, strip.bottom, with_content
        if key not in self._compiled:
            block = self._blocks[number]
            network = partial(self._features, block, strip.top, strip.bottom)
            if kind == "forward":
                function = partial(self._gathered, block, network, with_content)
                self._compiled[key] = compiling.compile_bound(function, self._trunk.parameters)
            else:
                head = partial(self._cotangents, block)
                self._compiled[key] = compiling.compile_step(network, head, self._trunk.parameters)
        return self._compiled[key]

    def _features(self, block: Block, top: bool, bottom: bool, x: Any, parameters: Any) -> list[Any]:
        """The features wanted of a block, and what it gives the next, at a strip's own rows."""
        if block.convolutions[0] == "conv1_1":
            x = x - parameters["mean"]
        x = ops.cast(x, self._trunk.precision)
        beyond = len(block.convolutions)
        found = []
        for name in block.convolutions:
            beyond -= 1
            own = slice(0 if top else beyond, None if bottom else -beyond or None)
            kernel, bias = parameters["layers"][name]
            x = self._trunk.convolved(x, kernel, top=top, bottom=bottom) + bias
            if name in block.wanted:
                found.append(x[:, own])
            x = backend_ops.relu(x)
            if f"relu{name[4:]}" in block.wanted:
                found.append(x[:, own])
        return [*found, self._trunk.pooled(x)] if block.pools else found

    def _gathered(
        self, block: Block, network: Callable[..., Any], with_content: bool, x: Any, masks: Any, parameters: Any
    ) -> Any:
        features = network(x, parameters)
        at = dict(zip(block.wanted, features, strict=False))
        gaussians = []
        for mask in masks:
            here = [
                moments(at[layer], mask[number] if mask else None)
                for number, layer in enumerate(self._styles_here(block))
            ]
            gaussians.append([(own["mean"], own["cov"]) for own in here])
        content = [ops.cast(at[layer], "float32") for layer in self._content_here(block)] if with_content else []
        return gaussians, content, [ops.cast(part, "float32") for part in features[len(block.wanted) :]]

    def _cotangents(self, block: Block, features: Sequence[Any], inputs: Any) -> tuple[Any, list[Any]]:
        at = dict(zip(block.wanted, features, strict=False))
        cotangents: dict[str, list[Any]] = {name: [] for name in block.wanted}
        for region in inputs["regions"]:
            for number, layer in enumerate(self._styles_here(block)):
                own = region["layers"][number]
                gradient = affine_gradient(at[layer], own["mean"], own["linear"], own["constant"])
                if region["masks"]:
                    gradient = gradient * ops.cast(region["masks"][number], gradient.dtype)
                cotangents[layer].append(gradient)
        values = []
        for subject, layer in zip(inputs["content"], self._content_here(block), strict=True):
            value, gradient = feature_distance(at[layer], subject, subject["weight"])
            values.append(value * subject["share"])
            cotangents[layer].append(gradient)
        summed = [sum(cotangents[name][1:], cotangents[name][0]) for name in block.wanted]
        summed += [ops.cast(part, features[-1].dtype) for part in inputs["pooled"]]
        parts = ops.stack(values, axis=1) if values else ops.zeros((features[0].shape[0], 0), "float32")
        return parts, summed


def _tensor(part: Array) -> Any:
    return ops.convert_to_tensor(np.ascontiguousarray(part))


def _sum(mask: Any) -> Array:
    return np.asarray(backend.to_numpy(mask).sum(axis=(1, 2, 3), dtype=np.float64))
