"""A style: one Gaussian per scale and layer, and a header."""

from __future__ import annotations

import importlib
import json
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import FingerprintMismatch
from .layers import CONVOLUTIONS as CONVOLUTIONS
from .layers import PIXELS as PIXELS
from .layers import layer_channels as layer_channels
from .layers import layer_order as layer_order

NETWORK = "vgg19"
POOLINGS = ("avg", "max", "none")
PADDINGS = ("reflect", "replicate", "zero")


@dataclass(frozen=True, eq=False, repr=False)
class Gaussian:
    """Mean and covariance of one layer's activations.

    Attributes
    ----------
    mean : ndarray, float32, shape (c,)
    cov, cov_sqrt : ndarray, float32, shape (c, c)
        Population covariance (divided by `count`) and its principal square root.
    eigenvalues : ndarray, float32, shape (c,)
        Eigenvalues of `cov`, largest first, none below 0.
    count : int
        Number of positions: height times width of the layer.
    """

    mean: npt.NDArray[np.float32]
    cov: npt.NDArray[np.float32]
    cov_sqrt: npt.NDArray[np.float32]
    eigenvalues: npt.NDArray[np.float32]
    count: int

    def __repr__(self) -> str:
        """Return a summary: the arrays have up to half a million numbers."""
        variance = float(np.sum(self.eigenvalues, dtype=np.float64))
        return f"Gaussian(channels={len(self.mean)}, count={self.count}, variance={variance:.5g})"


@dataclass(frozen=True, repr=False)
class Fingerprint:
    """How a style was measured. Synthesis measures its picture in the same way or not at all.

    Attributes
    ----------
    weights_sha256 : str
        SHA-256 of the file of the network's weights.
    layers : tuple of str
        In the network's order, with `PIXELS` first.
    pooling : {"avg", "max", "none"}
    padding : {"reflect", "replicate", "zero"}
    network : str
    color : str
        Encoding of the pixels.
    resampling : str
        Filter that brought the painting to each scale.
    ridge : float
        Added to the diagonal of every covariance.
    """

    weights_sha256: str
    layers: tuple[str, ...]
    pooling: str
    padding: str
    network: str = NETWORK
    color: str = "srgb"
    resampling: str = "lanczos"
    ridge: float = 0.0

    def __repr__(self) -> str:
        """Return the weights' digest shortened, and the number of layers."""
        return (
            f"Fingerprint({self.network}, weights={self.weights_sha256[:12]!r}, layers={len(self.layers)}, "
            f"pooling={self.pooling!r}, padding={self.padding!r})"
        )

    def differences(self, other: Fingerprint) -> dict[str, tuple[Any, Any]]:
        """Return the fields that keep two styles from being compared, with both values; layers are not among them.

        Returns
        -------
        dict of str to (this value, the other's)
            In the order of the file format; empty where the two can be compared layer by layer.
        """
        return {
            key: (getattr(self, key), getattr(other, key))
            for key in _MEASUREMENT
            if getattr(self, key) != getattr(other, key)
        }

    def require(self, name: str, **required: Any) -> None:
        """Check that the style was measured as a run requires.

        Parameters
        ----------
        name
            The style's name, for the message.
        **required
            Values of fields. `layers` match if every required layer was measured.

        Raises
        ------
        FingerprintMismatch
            If a field has another value; the message names both.
        """
        for key, value in required.items():
            measured_value = getattr(self, key)
            if key == "layers":
                missing = [layer for layer in value if layer not in measured_value]
                if missing:
                    raise FingerprintMismatch(
                        f"style {name!r} was measured at {' '.join(each for each in measured_value if each != PIXELS)},"
                        f" and this run wants {' '.join(missing)} as well. Choose among its layers, or measure its "
                        "painting again with them: 'stylebank remeasure --layers LIST PAINTING'."
                    )
            elif measured_value != value:
                raise FingerprintMismatch(
                    f"style {name!r} was measured with {key} {measured_value!r}, and this run wants {value!r}. "
                    "Use another style, or add the painting again that way."
                )


#: Fields of `Fingerprint` that two styles must share before their layers can be compared.
_MEASUREMENT = ("network", "weights_sha256", "pooling", "padding", "color", "resampling", "ridge")


@dataclass(frozen=True)
class Source:
    """The painting that a style was measured from: file name, digest, and size in pixels."""

    filename: str
    sha256: str
    width: int
    height: int


@dataclass(frozen=True, repr=False)
class Header:
    """Metadata of a style file: all but the arrays and pictures.

    Attributes
    ----------
    name : str
    fingerprint : Fingerprint
    source : Source
    sizes : dict of int to (int, int)
        Longest side of each measured scale, with the picture's width and height there.
    content_sha256 : str
        Digest of the numbers and the fingerprint; empty before the style is written.
    tags : tuple of str
    created : str
        Time in ISO 8601.
    version : str
        Version of stylebank that measured the style.
    recipe : str
        JSON that describes how the style was computed from others; empty for a measured style.
    """

    name: str
    fingerprint: Fingerprint
    source: Source
    sizes: Mapping[int, tuple[int, int]]
    content_sha256: str = ""
    tags: tuple[str, ...] = ()
    created: str = ""
    version: str = ""
    recipe: str = ""

    @property
    def color(self) -> str:
        """Encoding of the pixels, as in the fingerprint."""
        return self.fingerprint.color

    @property
    def resampling(self) -> str:
        """Filter that brought the painting to each scale, as in the fingerprint."""
        return self.fingerprint.resampling

    @property
    def ridge(self) -> float:
        """Value added to the diagonal of every covariance, as in the fingerprint."""
        return self.fingerprint.ridge

    def __repr__(self) -> str:
        """Return name, source, scales and digest, shortened."""
        return f"Header({_summary(self, self.sizes)})"

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as dictionaries, lists, strings and numbers for JSON."""
        return {
            "name": self.name,
            "tags": list(self.tags),
            "created": self.created,
            "source": self.source.filename,
            "source_sha256": self.source.sha256,
            "source_size": [self.source.width, self.source.height],
            "scales": {str(scale): list(size) for scale, size in self.sizes.items()},
            "network": self.fingerprint.network,
            "weights_sha256": self.fingerprint.weights_sha256,
            "layers": list(self.fingerprint.layers),
            "pooling": self.fingerprint.pooling,
            "padding": self.fingerprint.padding,
            "color": self.color,
            "resampling": self.resampling,
            "ridge": self.ridge,
            "content_sha256": self.content_sha256,
            "version": self.version,
            "recipe": json.loads(self.recipe) if self.recipe else None,
        }


def nearest_scale(scales: Iterable[int], longest_side: int) -> int:
    """Return the scale nearest to `longest_side` by ratio; of two equally near, the smaller one."""
    return min(scales, key=lambda scale: (max(scale, longest_side) / min(scale, longest_side), scale))


@dataclass(frozen=True, eq=False, repr=False)
class Style:
    """A header with the Gaussians of at least one scale: ``style.scales[512]["conv1_1"].cov``.

    Attributes
    ----------
    header : Header
    scales : dict of int to dict of str to Gaussian
    thumbnail : bytes
        Small JPEG of the painting; may be empty.
    swatch : bytes
        Small JPEG of texture synthesised from the Gaussians; may be empty.
    """

    header: Header
    scales: Mapping[int, Mapping[str, Gaussian]]
    thumbnail: bytes = field(default=b"", repr=False)
    swatch: bytes = field(default=b"", repr=False)

    @property
    def name(self) -> str:
        """The style's name in its bank."""
        return self.header.name

    def distance(self, other: Style, *, scale: int = 512, layers: Sequence[str] = ()) -> float:
        """Return the Wasserstein-2 distance to another style, as `similar` computes it.

        Parameters
        ----------
        other
        scale
            Longest side in pixels. The pair of scales nearest to it and within half an octave of each other counts.
        layers
            Layers to compare, among them ``pixels``; by default those that both styles have.

        Returns
        -------
        float
            0 for equal styles, and at most 2.

        Raises
        ------
        UsageError
            If the styles were measured in different ways, or have no common scale or not all of `layers`.
        """
        return float(_distances().style_distance(self, other, scale, layers))

    def layer_distances(self, other: Style, *, scale: int = 512, layers: Sequence[str] = ()) -> dict[str, float]:
        """Return the distance of each layer, 0 to 2; parameters and errors are those of `distance`.

        The distance of the styles is the root of the mean of the squares.
        """
        return dict(_distances().layer_distances(self, other, scale, layers))

    def __repr__(self) -> str:
        """Return name, source, scales and digest, shortened."""
        return f"Style({_summary(self.header, self.scales)})"


def _distances() -> Any:
    """Load the module that compares styles, which stands above this one, on first use."""
    return importlib.import_module(".bank.distances", __package__)


def _summary(header: Header, scales: Iterable[int]) -> str:
    return (
        f"{reprlib.repr(header.name)}, source={reprlib.repr(header.source.filename)}, "
        f"scales={reprlib.repr(tuple(scales))}, layers={len(header.fingerprint.layers)}, "
        f"sha256={header.content_sha256[:12]!r}"
    )
