"""The artist's controls: options that say how a picture looks."""

from __future__ import annotations

import functools
from typing import Any

import click
from click.core import ParameterSource

from ..settings import (
    KEEP_COLORS,
    LEARNING_RATES,
    OPTIMIZERS,
    PRECISIONS,
    SYNTHESIS_PRESETS,
    SynthesisSettings,
    synthesis_settings,
)
from . import options
from .path_types import MaskName, PathName

_DEFAULT = SynthesisSettings()


def controls(command: Any) -> Any:
    """Add the options to a command; their help shows the defaults of `SynthesisSettings`."""
    return _with(_without_defaults(command), _STYLE, *_look("standard"))


def draft_controls(command: Any) -> Any:
    """Add all of `controls` but ``--style`` to a command whose default is the preset ``draft``."""
    return _with(_without_defaults(command), *_look("draft"))


def optimisation(command: Any) -> Any:
    """Add the options of the optimiser, of its precision and of its start."""
    return _with(command, *_OPTIMISATION)


def _without_defaults(command: Any) -> Any:
    """Let the command have None where only the default of an option speaks, so that a preset decides."""

    @functools.wraps(command)
    def without_defaults(*arguments: Any, **values: Any) -> Any:
        from ..jobs.preset_files import preset_keys

        source = click.get_current_context().get_parameter_source
        keys = {key for key in values.keys() & preset_keys() if source(key) is ParameterSource.DEFAULT}
        sides = {key: source(key) for key in ("size", "print") if values.get(key) is not None}
        if len(set(sides.values())) > 1:  # the command line replaces the other in the environment
            keys |= {key for key, origin in sides.items() if origin is ParameterSource.ENVIRONMENT}
        return command(*arguments, **{**values, **dict.fromkeys(keys)})

    return without_defaults


def _with(command: Any, *options: Any) -> Any:
    for option in reversed(options):
        command = option(command)
    return command


_STYLE = click.option(
    "--style",
    required=True,
    multiple=True,
    type=options.StyleName(regions=True),
    metavar="NAME",
    help="Style in the bank; repeatable. NAME:WEIGHT, several times, mixes styles into their barycentre. "
    "REGION=NAME, with --mask, gives each region its style.",
)


def _look(preset: str) -> tuple[Any, ...]:
    default = synthesis_settings(preset)
    return (
        click.option(
            "--mask",
            multiple=True,
            type=MaskName(),
            metavar="[REGION=]FILE",
            help="Picture that is white where the style goes, and black where the subject stays. {subject} in its path "
            "stands for the SUBJECT's name. One region may lack a mask: it takes the rest.",
        ),
        click.option(
            "--preset",
            type=options.PresetName(),
            metavar="NAME",
            help=f"Set of settings: {', '.join(SYNTHESIS_PRESETS)}, or one of stylebank.toml, as 'stylebank presets' "
            f"lists them; single options override it.  [default: {preset}]",
        ),
        click.option(
            "--size",
            type=int,
            help=f"Longest side of the output in pixels; 0 keeps the subject's size.  [default: {default.size}]",
        ),
        click.option("--steps", type=int, help=f"Iterations at each size of the pyramid.  [default: {default.steps}]"),
        click.option(
            "--strength",
            type=float,
            metavar="0..1",
            help=f"Position between the subject, 0, and the style, 1.  [default: {_DEFAULT.strength:g}]",
        ),
        click.option(
            "--content-weight",
            type=float,
            help=f"Weight of the subject's features; 0 ignores them.  [default: {_DEFAULT.content_weight:g}]",
        ),
        click.option(
            "--content-detail",
            type=float,
            metavar="0..2",
            help="Concentration of the content weight on the subject's detail: 0 weighs all places alike, 1 leaves "
            f"skies and walls to the style.  [default: {_DEFAULT.content_detail:g}]",
        ),
        click.option(
            "--content-layers",
            type=options.Layers(),
            help="Layers whose features the content weight compares with the subject's.  "
            f"[default: {options.comma_separated(_DEFAULT.content_layers)}]",
        ),
        click.option(
            "--tv-weight",
            type=float,
            help="Weight of the total variation: 0 leaves grain, 10 also removes small strokes.  "
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
            help="Keep the subject's colours: 'luma' keeps only the result's luminance, 'transport' maps the result's "
            f"colours to the subject's.  [default: {_DEFAULT.keep_color}]",
        ),
        click.option(
            "--match-color/--no-match-color",
            default=None,
            help="Give the subject the painting's palette before the first step.  "
            f"[default: {'match-color' if _DEFAULT.match_color else 'no-match-color'}]",
        ),
        click.option(
            "--layers", type=options.Layers(), help="Style layers to use.  [default: all layers of the style]"
        ),
        click.option(
            "--layer-weight",
            "layer_weights",
            multiple=True,
            metavar="LAYER=WEIGHT",
            help="Weight of a layer, relu4_1=2, or of a block, relu4=0.5; repeatable.  [default: 1 each]",
        ),
    )


_OPTIMISATION = (
    click.option(
        "--optimizer", type=click.Choice(OPTIMIZERS), help=f"Optimiser of the pixels.  [default: {_DEFAULT.optimizer}]"
    ),
    click.option(
        "--learning-rate",
        type=float,
        help="Step size in grey levels, for adam and rmsprop.  "
        f"[default: {', '.join(f'{rate:g} for {name}' for name, rate in LEARNING_RATES.items())}]",
    ),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        help=f"Precision of the convolutions; auto times both and takes the faster.  [default: {_DEFAULT.precision}]",
    ),
    click.option(
        "--tolerance",
        type=float,
        help="Leave out of each step the eigenvalues of a style below this fraction of the largest.  "
        f"[default: {_DEFAULT.tolerance:g}]",
    ),
    click.option(
        "--init",
        type=PathName(),
        metavar="subject|noise|FILE",
        help=f"Picture to start from.  [default: {_DEFAULT.init}]",
    ),
    click.option("--seed", type=int, help=f"Seed of the noise.  [default: {_DEFAULT.seed}]"),
)
