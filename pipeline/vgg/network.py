"""The convolutions of VGG-19 (Simonyan and Zisserman, arXiv 1409.1556) in `keras.ops`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stylebank.errors import UsageError
from stylebank.style import CONVOLUTIONS, PADDINGS, POOLINGS

from ..backends.ops import pad_edges, relu
from ..backends.runtime import ops, to_tensors
from .weights import Weights


class VGG19:
    """VGG-19's 16 convolutions, with a choice of pooling and padding.

    Parameters
    ----------
    weights
        As `weights.load` returns them.
    pooling : {"avg", "max", "none"}
        Pooling over 2 x 2 positions. A last odd row or column forms a window of its own, as in the original program.
    padding : {"reflect", "replicate", "zero"}
        Padding of the image, and of every layer's activations, before a 3 x 3 convolution.
    precision : {"float32", "bfloat16"}
        Dtype of the convolutions and activations.

    Attributes
    ----------
    parameters : dict
        Tensors of the network, as `iter_layers` expects them.

    Raises
    ------
    UsageError
        If the pooling or the padding is unknown.
    """

    def __init__(self, weights: Weights, pooling: str, padding: str, precision: str = "float32") -> None:
        if pooling not in POOLINGS:
            raise UsageError(f"pooling {pooling!r}: expected one of {', '.join(POOLINGS)}.")
        if padding not in PADDINGS:
            raise UsageError(f"padding {padding!r}: expected one of {', '.join(PADDINGS)}.")
        self.pooling = pooling
        self.padding = padding
        self.precision = precision
        layers = {name: list(layer) for name, layer in weights.layers.items()}
        # images are RGB: reverse the first kernel once instead of every image
        layers["conv1_1"][0] = np.ascontiguousarray(layers["conv1_1"][0][:, :, ::-1, :])
        tensors = {name: [ops.cast(part, precision) for part in layer] for name, layer in layers.items()}
        self.parameters: Any = {
            "layers": tensors,
            "mean": to_tensors(np.ascontiguousarray(weights.mean_pixel_bgr[::-1])),
        }

    def iter_layers(self, image: Any, parameters: Any, last: str = "conv5_4") -> Iterator[tuple[str, Any]]:
        """Yield (name, activations) layer by layer: ``convN_M`` before its ReLU, then ``reluN_M``.

        Parameters
        ----------
        image : tensor, float32, shape (H, W, 3) or (n, H, W, 3)
            RGB in 0..255. Each side is at least 32, which leaves 2 x 2 positions in the last block.
        parameters
            `self.parameters`, as an argument so that a compiled function can take them as one.
        last
            The last layer to yield, ``convN_M`` or ``reluN_M``.

        Yields
        ------
        str, tensor of shape (n, h, w, c) in the network's precision
        """
        x = ops.cast(image - parameters["mean"], self.precision)
        if len(x.shape) == 3:
            x = ops.expand_dims(x, 0)
        for name in CONVOLUTIONS:
            if name.endswith("_1") and name != "conv1_1":
                x = self.pool(x)
            kernel, bias = parameters["layers"][name]
            x = self.convolve(x, kernel) + bias
            yield name, x
            if name == last:
                return
            x = relu(x)
            yield name.replace("conv", "relu"), x
            if name[4:] == last[4:]:
                return

    @staticmethod
    def last_of(layers: Sequence[str]) -> str:
        """Return the deepest of `layers`."""
        return max(layers, key=lambda layer: (layer[4:], layer[:4]))

    def features(self, image: Any, parameters: Any, layers: Sequence[str]) -> dict[str, Any]:
        """Return the activations of `layers` by name. The arguments are those of `iter_layers`."""
        selected = set(layers)
        return {name: x for name, x in self.iter_layers(image, parameters, self.last_of(layers)) if name in selected}

    def convolve(self, x: Any, kernel: Any, *, top: bool = True, bottom: bool = True) -> Any:
        """Return a padded 3 x 3 convolution of activations (n, h, w, c).

        Parameters
        ----------
        top, bottom
            Whether the image ends there. Otherwise nothing is padded, and the output has one row less.
        """
        if self.padding == "zero" and top and bottom:
            return ops.conv(x, kernel, padding="same", data_format="channels_last")
        if self.padding == "zero":
            x = ops.pad(x, [[0, 0], [int(top), int(bottom)], [1, 1], [0, 0]])
            return ops.conv(x, kernel, padding="valid", data_format="channels_last")
        x = pad_edges(x, 1 if self.padding == "reflect" else 0, top=top, bottom=bottom)
        return ops.conv(x, kernel, padding="valid", data_format="channels_last")

    def pool(self, x: Any) -> Any:
        """Return activations (n, h, w, c) at half the height and width, rounded up; unchanged without pooling."""
        if self.pooling == "none":
            return x
        pooling_function = ops.average_pool if self.pooling == "avg" else ops.max_pool
        return pooling_function(x, 2, strides=2, padding="same", data_format="channels_last")


@dataclass(frozen=True)
class Block:
    """A block of the network, cut to what a set of features needs.

    Attributes
    ----------
    convolutions
        Names of the convolutions to run.
    features
        Names of the layers to return.
    pools
        Whether another block follows.
    """

    convolutions: tuple[str, ...]
    features: tuple[str, ...]
    pools: bool

    @property
    def channels(self) -> int:
        """Number of channels, the same for all convolutions of the block."""
        return CONVOLUTIONS[self.convolutions[0]]


def blocks(features: Sequence[str]) -> list[Block]:
    """Return the blocks that `features` need, from the first."""
    last = VGG19.last_of(features)
    convolution_names = [name for name in CONVOLUTIONS if name[4:] <= last[4:]]
    network_blocks = []
    for number in range(1, int(last[4]) + 1):
        convolutions = tuple(name for name in convolution_names if name[4] == str(number))
        layers = tuple(f"{kind}{name[4:]}" for name in convolutions for kind in ("conv", "relu"))
        network_blocks.append(
            Block(convolutions, tuple(name for name in layers if name in features), number < int(last[4]))
        )
    return network_blocks
