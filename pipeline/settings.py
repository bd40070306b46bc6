"""Every default, preset and check of a setting. The command line's help and the record read them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from stylebank.errors import UsageError
from stylebank.images import SMALLEST_SIDE, WRITE_FORMATS, check_depth
from stylebank.style import CONVOLUTIONS, PADDINGS

from . import print_sizes
from .validation import (
    LAYER_WEIGHTS,
    Count,
    Exponent,
    Flag,
    Integer,
    Natural,
    Number,
    Percent,
    Side,
    Sides,
    Text,
    Texts,
    Weight,
    check_choice,
    check_fields,
    network_layers,
    proof_position,
    weight_pairs,
    weights_of_layers,
)

MEASURED_POOLINGS = ("avg", "max")
OPTIMIZERS = ("lbfgs", "adam", "rmsprop")
#: Precision that a benchmark chooses once per run.
AUTO = "auto"
PRECISIONS = (AUTO, "float32", "bfloat16")
MAX_DPI = 60_000  # JFIF has room for 65,535
KEEP_COLORS = ("none", "luma", "transport")
ON_EXISTING = ("number", "skip", "fail", "overwrite")  # the default is the first; fail for an output file
#: Pixel values per step, for the optimizers that have a learning rate.
LEARNING_RATES: Mapping[str, float] = {"adam": 4.0, "rmsprop": 1.0}
#: Version of the algorithm. It increases when the same settings give another image.
ALGORITHM = 4


@dataclass(frozen=True)
class IngestSettings:
    """Settings of `add`, which measures a painting.

    Attributes
    ----------
    scales : tuple of int
        Longest sides in pixels. A scale above the painting's side is replaced by that side;
        an empty tuple means the painting's side alone.
    layers : tuple of str
        ``convN_M`` before the ReLU, ``reluN_M`` after it.
    pooling : {"avg", "max"}
    padding : {"reflect", "replicate", "zero"}
    """

    scales: Sides = (256, 512, 1024)
    layers: Texts = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    pooling: Text = "max"
    padding: Text = "reflect"

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("pooling", self.pooling, MEASURED_POOLINGS)
        check_choice("padding", self.padding, PADDINGS)
        object.__setattr__(self, "layers", network_layers(self.layers))
        object.__setattr__(self, "scales", tuple(sorted(set(self.scales))))


@dataclass(frozen=True)
class SynthesisSettings:
    """Settings of `apply`, which stylizes an image.

    Attributes
    ----------
    size : int
        Longest side of the output in pixels; 0 keeps the subject's.
    steps : int
        Iterations of the optimizer per scale.
    optimizer : {"lbfgs", "adam", "rmsprop"}
        Optimizer of the pixel values, bounded by 0 and 255.
    learning_rate : float or None
        Pixel values per step, for adam and rmsprop; None is the default of `LEARNING_RATES`.
    layers : tuple of str
        Style layers; empty means all layers of the style.
    layer_weights : tuple of (str, float)
        Weight of each layer's distance, by layer (``conv4_1``) or block (``conv4``); the default is 1.
        A mapping and texts such as ``relu4=0.5`` are accepted too.
    content_weight : float
        Weight of the content loss: 0 ignores the subject, 1 balances it with the style.
    content_layers : tuple of str
        Layers whose activations the content loss compares with the subject's; each has the same weight.
    content_detail : float
        Concentration of the content loss on the subject's detail, so that skies and walls are free for the style's
        large forms: 0 weighs all positions alike, 1 in proportion to the local contrast of the features.
    tv_weight : float
        Weight of total variation: 0 keeps grain, 1 softens it, 10 removes small strokes too.
    strength : float
        Position from 0 to 1 on the geodesic from the subject's Gaussians to the style's.
        0 returns the subject.
    style_scale : float
        Size of the strokes: 2 uses the style as measured at twice the output size.
    keep_color : {"none", "luma", "transport"}
        Give the result the subject's colors: ``luma`` keeps only the luminance of the result, ``transport``
        maps its colors to the subject's mean and covariance.
    match_color : bool
        Map the subject's colors to the painting's before the first step, by the optimal transport map
        between the Gaussians of their pixels.
    coarse_to_fine : bool
        Start at a fraction of the size and double it from scale to scale.
    normalise : bool
        Divide each layer's distance by its value at the subject, so that no layer dominates.
        Without it, the loss is the plain sum.
    precision : {"auto", "float32", "bfloat16"}
        Precision of the convolutions in each step; ``auto`` uses bfloat16 where a short benchmark finds it
        faster. Reported losses are always float32.
    tolerance : float
        Fraction of a style's largest eigenvalue below which a step ignores eigenvalues.
    init : str
        ``"subject"``, ``"noise"``, or the path of an image to start from.
    seed : int
        Seed of the noise.
    format : {"jpg", "png", "webp", "tiff"}
    quality : int
        1 to 100, for jpg and webp.
    depth : {8, 16}
        Bits per channel of the output; 16 for png and tiff.
    metadata : bool
        Copy the subject's EXIF and XMP into the output, and keep the size of its print.
    dpi : float or None
        Dots per inch that the output states; None keeps the size of the subject's print.
    print : str or None
        Size of the print, as for `print_sizes.parse`: the output has its pixels at `dpi`, by default 300, and
        `size` becomes their longer side.
    fit : {"crop", "border"}
        What happens to a subject of another shape than the print: its edges are cut off, or it has a white border.
    proof : int or None
        Compute a tile of the output with this side in pixels, in place of all of it.
    proof_at : str or None
        Centre of that tile in percent of width and height, such as ``50,30``; None is where most detail is.
    memory_limit : int or None
        Bytes of memory per image; None means the free memory. A larger image is computed in tiles, with the
        same result within rounding, so the record leaves the limit out.
    """

    size: Integer = 512
    steps: Count = 20
    optimizer: Text = "lbfgs"
    learning_rate: Number | None = None
    layers: Texts = ()
    layer_weights: Annotated[tuple[tuple[str, Weight], ...], LAYER_WEIGHTS] = ()
    content_weight: Weight = 1.0
    content_layers: Texts = ("relu3_2", "relu4_2")
    content_detail: Exponent = 0.5
    tv_weight: Weight = 1.0
    strength: Number = 1.0
    style_scale: Number = 1.0
    keep_color: Text = "none"
    match_color: Flag = True
    coarse_to_fine: Flag = True
    normalise: Flag = True
    precision: Text = "auto"
    tolerance: Number = 3e-4
    init: Text = "subject"
    seed: Natural = 0
    format: Text = "jpg"
    quality: Percent = 95
    depth: Integer = 8
    metadata: Flag = True
    dpi: Number | None = None
    print: Text | None = None
    fit: Text = "crop"
    proof: Side | None = None
    proof_at: Text | None = None
    memory_limit: Count | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "init", os.fspath(self.init) if isinstance(self.init, os.PathLike) else self.init)
        object.__setattr__(self, "layer_weights", weight_pairs(self.layer_weights))
        check_fields(self)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("precision", self.precision, PRECISIONS)
        if not 0 <= self.tolerance < 1:
            raise UsageError(f"tolerance {self.tolerance:g}: expected 0 or more and less than 1.")
        check_choice("format", self.format, tuple(WRITE_FORMATS))
        check_choice("fit", self.fit, print_sizes.FITS)
        if self.size and self.size < SMALLEST_SIDE:
            raise UsageError(f"size {self.size}: expected {SMALLEST_SIDE} or more, or 0 for the subject's size.")
        if not 0 <= self.strength <= 1:
            raise UsageError(f"strength {self.strength:g}: expected 0 (the subject) to 1 (the full style).")
        if not 1 / 16 <= self.style_scale <= 16:
            raise UsageError(f"style_scale {self.style_scale:g}: expected 0.0625 to 16; 1 is the painting's scale.")
        check_choice("keep_color", self.keep_color, KEEP_COLORS)
        check_depth(self.depth, self.format)
        if self.dpi is not None and not 1 <= self.dpi <= MAX_DPI:
            raise UsageError(f"dpi {self.dpi:g}: expected 1 to {MAX_DPI}; 300 suits prints.")
        if self.print is not None:
            dpi = self.dpi or print_sizes.PRINT_DPI
            longest = print_sizes.longest_side(self.print, dpi)
            for name, value in {"print": print_sizes.parse(self.print).text, "dpi": dpi, "size": longest}.items():
                object.__setattr__(self, name, value)
        elif self.fit != "crop":
            raise UsageError(f"fit {self.fit}: there is no print to fit. Add --print, or leave it out.")
        if self.proof_at is not None:
            object.__setattr__(self, "proof_at", "{:g},{:g}".format(*proof_position(self.proof_at)))
            if self.proof is None:
                raise UsageError(f"proof_at {self.proof_at}: there is no proof to place. Add --proof, or leave it out.")
        if self.learning_rate is not None:
            if self.optimizer not in LEARNING_RATES:
                raise UsageError(
                    f"learning_rate {self.learning_rate:g}: {self.optimizer} has no learning rate. "
                    f"Leave it out, or choose optimizer {' or '.join(LEARNING_RATES)}."
                )
            if self.learning_rate <= 0:
                raise UsageError(f"learning_rate {self.learning_rate:g}: expected a number above 0.")
        if self.layers:
            object.__setattr__(self, "layers", network_layers(self.layers))
        object.__setattr__(self, "content_layers", network_layers(self.content_layers))

    @property
    def rate(self) -> float:
        """Learning rate in use: the setting, or the default of the optimizer."""
        return self.learning_rate if self.learning_rate is not None else LEARNING_RATES.get(self.optimizer, 0.0)

    def recorded(self) -> dict[str, Any]:
        """Return the settings for the record: all that decides the bytes of the output."""
        without = {"memory_limit"}
        optional = ("dpi", "print", "proof", "proof_at")
        without |= {name for name in optional if getattr(self, name) is None}  # as in records without them
        without |= {"fit"} if self.print is None else set()
        plain = {key: value for key, value in dataclasses.asdict(self).items() if key not in without}
        weights = dict(self.layer_weights)
        layers = {name: list(getattr(self, name)) for name in ("layers", "content_layers")}
        return {**plain, **layers, "layer_weights": weights, "algorithm": ALGORITHM}

    def weights_of(self, layers: Sequence[str]) -> tuple[float, ...]:
        """Return the weight of each of `layers`, as `weights_of_layers` does."""
        return weights_of_layers(dict(self.layer_weights), layers)


Presets = Mapping[str, Mapping[str, Any]]
#: Settings of each preset. A setting that is passed beside a preset overrides it.
MEASURE_PRESETS: Presets = {
    "original": {"scales": (), "layers": tuple(CONVOLUTIONS), "pooling": "avg", "padding": "zero"}
}
SYNTHESIS_PRESETS: Presets = {
    "draft": {"size": 256, "steps": 10},
    "standard": {},
    "fine": {"size": 1024, "steps": 40},
    "original": {
        "size": 0,
        "steps": 80,
        "optimizer": "lbfgs",
        "layers": tuple(CONVOLUTIONS),
        "content_weight": 0.0,
        "tv_weight": 0.0,
        "match_color": False,
        "coarse_to_fine": False,
        "normalise": False,
        "precision": "float32",
        "tolerance": 1e-7,
    },
}
#: Fingerprint values that a preset requires of a style.
PRESET_FINGERPRINTS: Presets = {"original": {"pooling": "avg", "padding": "zero"}}


def ingest_settings(preset: str | None = None, **values: Any) -> IngestSettings:
    """Return the defaults, overridden by a preset and then by `values`; a value of None is left out."""
    return IngestSettings(**_combined(preset, MEASURE_PRESETS, values, IngestSettings))


def synthesis_settings(preset: str | None = None, **values: Any) -> SynthesisSettings:
    """Return the defaults, overridden by a preset and then by `values`; a value of None is left out."""
    return SynthesisSettings(**_combined(preset, SYNTHESIS_PRESETS, values, SynthesisSettings))


def _combined(preset: str | None, presets: Presets, values: Mapping[str, Any], kind: type) -> dict[str, Any]:
    known = {field.name for field in dataclasses.fields(kind)}
    for key in values:
        if key not in known:
            raise UsageError(f"setting {key!r}: expected one of {', '.join(sorted(known))}.")
    if preset is not None:
        check_choice("preset", preset, tuple(presets))
    chosen = {key: value for key, value in values.items() if value is not None}
    if "print" in chosen and "size" in chosen:
        raise UsageError(
            f"size {chosen['size']}: print {chosen['print']} gives the size already. Leave out one of them."
        )
    return print_sizes.overridden(presets[preset] if preset else {}, chosen)
