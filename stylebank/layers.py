"""Layers of VGG-19: their names, order and channels."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from .errors import UsageError

#: The 16 convolutions of VGG-19 in order, with their number of channels.
CONVOLUTIONS: Mapping[str, int] = {
    f"conv{block}_{index}": channels
    for block, (count, channels) in enumerate(((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)), start=1)
    for index in range(1, count + 1)
}
#: The image itself as a layer: red, green and blue in 0..255.
PIXELS = "pixels"
_LAYER = re.compile(r"(conv|relu)(\d_\d)")


def layer_channels(layer: str) -> int:
    """Return the number of channels of a layer: ``convN_M`` before its ReLU, ``reluN_M`` after it, or ``pixels``.

    Raises `UsageError` if VGG-19 has no such layer; the message names the nearest one.
    """
    if layer == PIXELS:
        return 3
    match = _LAYER.fullmatch(layer)
    convolution = f"conv{match[2]}" if match else ""
    if convolution not in CONVOLUTIONS:
        known = [prefix + name[4:] for prefix in ("conv", "relu") for name in CONVOLUTIONS]
        matches = difflib.get_close_matches(layer, known, n=1)
        hint = f" Did you mean {matches[0]}?" if matches else ""
        raise UsageError(f"layer {layer!r}: VGG-19 has conv1_1 to conv5_4 and relu1_1 to relu5_4.{hint}")
    return CONVOLUTIONS[convolution]


def layer_order(layers: Sequence[str]) -> tuple[str, ...]:
    """Return each layer once, in the network's order; `UsageError` for no layer, or an unknown one."""
    if not layers:
        raise UsageError("no layer given; name at least one, such as conv3_1.")
    for layer in layers:
        layer_channels(layer)
    return tuple(sorted(set(layers), key=lambda layer: (layer != PIXELS, layer[4:], layer[:4])))
