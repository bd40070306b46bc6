"""The artist's controls: options that say what a picture is to look like."""

from __future__ import annotations

from typing import Any

import click

from ..settings import KEEP_COLORS, SYNTHESIS_PRESETS, SynthesisSettings
from . import options

_DEFAULT = SynthesisSettings()


def controls(command: Any) -> Any:
    """Add the options, with their defaults."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--style",
        required=True,
        multiple=True,
        type=options.StyleName(),
        metavar="NAME",
        help="A style in the bank. Several, NAME:WEIGHT each, give what lies between them (their barycentre); "
        "REGION=NAME each, with --mask, one a region.",
    ),
    click.option(
        "--mask",
        multiple=True,
        type=click.Path(),
        metavar="[REGION=]FILE",
        help="A picture that is white where the style goes, and black where the subject stays; {subject} in its path "
        "stands for the SUBJECT's name. With regions each has a mask but one, which takes the rest.",
    ),
    click.option(
        "--preset",
        type=click.Choice(list(SYNTHESIS_PRESETS)),
        help="Settings as a set; options given beside it win.  [default: standard]",
    ),
    click.option(
        "--size", type=int, help=f"Longest side in pixels; 0 keeps the subject's own.  [default: {_DEFAULT.size}]"
    ),
    click.option("--steps", type=int, help=f"Iterations at each size on the way.  [default: {_DEFAULT.steps}]"),
    click.option(
        "--strength",
        type=float,
        metavar="0..1",
        help="How far to go from the subject to the style: 0 leaves the picture as it is.  "
        f"[default: {_DEFAULT.strength:g}]",
    ),
    click.option(
        "--content-weight",
        type=float,
        help=f"How much the subject holds out against the style; 0 lets it go.  [default: {_DEFAULT.content_weight:g}]",
    ),
    click.option(
        "--tv-weight",
        type=float,
        help="How smooth: 0 leaves the grain of the optimisation, more takes it, and then strokes, away.  "
        f"[default: {_DEFAULT.tv_weight:g}]",
    ),
    click.option(
        "--style-scale",
        type=float,
        help=f"Size of the strokes: 2 doubles, 0.5 halves it.  [default: {_DEFAULT.style_scale:g}]",
    ),
    click.option(
        "--keep-color",
        type=click.Choice(KEEP_COLORS),
        help="Keep the subject's colours: 'luma' takes the style's luminance alone, 'transport' maps the result's "
        f"colours to the subject's.  [default: {_DEFAULT.keep_color}]",
    ),
    click.option(
        "--match-color/--no-match-color",
        default=None,
        help="Give the subject the painting's palette to begin with.  "
        f"[default: {'match-color' if _DEFAULT.match_color else 'no-match-color'}]",
    ),
    click.option("--layers", type=options.Layers(), help="Style layers.  [default: all the style was measured at]"),
    click.option(
        "--layer-weight",
        "layer_weights",
        multiple=True,
        metavar="LAYER=WEIGHT",
        help="What a layer (conv4_1) or block (conv4) counts beside the others, 1 unless given; repeatable.",
    ),
)
