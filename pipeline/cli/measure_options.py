"""Options that say how a painting is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from stylebank.style import CONVOLUTIONS, PADDINGS

from ..settings import MEASURED_POOLINGS, IngestSettings
from . import options

_DEFAULT = IngestSettings()
#: Settings of a measurement among the options.
SETTINGS = ("preset", "scales", "layers", "pooling", "padding")


def measuring(*, scales_default: str = options.comma_separated(_DEFAULT.scales)) -> Callable[[Any], Any]:
    """Return a decorator that adds scales, layers, pooling, padding, weights and preset.

    Parameters
    ----------
    scales_default
        What the help names as the default of ``--scales``.
    """

    def decorate(command: Any) -> Any:
        for option in reversed(
            (
                click.option(
                    "--scales",
                    type=options.Integers(),
                    help="Longest sides in pixels to measure at; a painting is never enlarged.  "
                    f"[default: {scales_default}]",
                ),
                click.option(
                    "--layers",
                    type=options.Layers(),
                    help="Layers to measure: convN_M before the ReLU, reluN_M after it.  "
                    f"[default: {_default_layers()}]",
                ),
                click.option(
                    "--pooling",
                    type=click.Choice(MEASURED_POOLINGS),
                    help=f"Pooling of the network.  [default: {_DEFAULT.pooling}]",
                ),
                click.option(
                    "--padding",
                    type=click.Choice(PADDINGS),
                    help="Padding of the convolutions; zero draws a frame around pictures.  "
                    f"[default: {_DEFAULT.padding}]",
                ),
                options.weights,
                options.allow_unknown_weights,
                options.preset,
            )
        ):
            command = option(command)
        return command

    return decorate


def _default_layers() -> str:
    if _DEFAULT.layers == tuple(CONVOLUTIONS):
        return f"all {len(CONVOLUTIONS)} convolutions"
    return options.comma_separated(_DEFAULT.layers)
