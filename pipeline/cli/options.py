"""Context of a command, types of parameters, and options that several commands take."""

from __future__ import annotations

import functools
import json as json_text
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from stylebank.bank import Bank
from stylebank.errors import StyleFileError
from stylebank.images import MAX_PIXELS

from ..settings import MEASURE_PRESETS, ON_EXISTING
from . import logs, streams
from .path_types import PathName
from .style_types import PresetName as PresetName
from .style_types import StyleName as StyleName
from .style_types import TagName as TagName


@dataclass
class CliContext:
    """The bank and the verbosity, which the group passes to its commands.

    The messages go through `logs.log`. They have the same text as plain lines and as events of ``--log-json``.

    Attributes
    ----------
    bank : Bank
    verbose, quiet : bool
    log_json : bool
        Whether messages are JSON.
    stdout_error : OSError or None
        The first error of `print_result`.
    """

    bank: Bank
    verbose: bool
    quiet: bool
    log_json: bool = False
    stdout_error: OSError | None = None

    def print(self, text: str, *, event: str = "message", **fields: Any) -> None:
        """Print a line on stderr, unless ``--quiet`` is given; `event` and `fields` are those of its JSON."""
        logs.log(logging.INFO, event, text, **fields)

    def note(self, text: str) -> None:
        """Print a remark on stderr, unless ``--quiet`` is given."""
        logs.log(logging.INFO, "note", text)

    def detail(self, text: str) -> None:
        """Print a remark on stderr if ``--verbose`` is given."""
        logs.log(logging.DEBUG, "detail", text)

    def warn(self, text: str) -> None:
        """Print a warning on stderr."""
        logs.log(logging.WARNING, "warning", text)

    def error(self, error: object, **fields: Any) -> None:
        """Print an error on stderr that does not end the command."""
        logs.log(logging.ERROR, "error", str(error), **fields)

    def print_result(self, line: str) -> None:
        """Print a line of a run on stdout; keep the error of the first that cannot be printed, and drop the rest."""
        if self.stdout_error is None:
            try:
                click.echo(line)
            except OSError as error:
                streams.silence_stdout()
                self.stdout_error = error


class Integers(click.ParamType):  # type: ignore[type-arg]
    """Whole numbers with commas between."""

    name = "n,n,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Split and convert."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(",") if part.strip())
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers such as 256,512.", param, ctx)


class Layers(click.ParamType):  # type: ignore[type-arg]
    """Names of layers with commas between."""

    name = "layer,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split."""
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


class Bytes(click.ParamType):  # type: ignore[type-arg]
    """A size of memory or of files."""

    name = "size"
    _UNITS = ("", "k", "m", "g", "t")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Turn 8GB, 512MB, 1.5GiB or plain bytes into a number."""
        parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)(?:b|)\s*", str(value), re.IGNORECASE)
        number = float(parts[1]) * (1024 if parts[3] else 1000) ** self._UNITS.index(parts[2].lower()) if parts else 0
        if number < 1:
            self.fail(f"{value!r} is not a size such as 8GB or 512MB.", param, ctx)
        return int(number)


def comma_separated(values: tuple[Any, ...]) -> str:
    """Return values as they would be typed."""
    return ",".join(map(str, values))


preset = click.option(
    "--preset",
    type=click.Choice(list(MEASURE_PRESETS)),
    help="Set of settings: 'original' measures like the 2018 program. Single options override it.",
)
weights = click.option(
    "--weights",
    type=PathName(),
    metavar="PATH|keras",
    help="Weights of VGG-19: an .h5, .mat or .npy file, or 'keras' to download those of Keras.  "
    "[default: the weights in the package]",
)
allow_unknown_weights = click.option(
    "--allow-unknown-weights", is_flag=True, help="Accept a weights file whose digest is unknown."
)
max_pixels = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=MAX_PIXELS,
    show_default=True,
    help="Refuse pictures with more pixels.",
)
memory_limit = click.option(
    "--memory-limit",
    type=Bytes(),
    metavar="8GB",
    help="Memory a picture may take; a larger one is computed in tiles, with the same result.  "
    "[default: the free memory]",
)
tags = click.option("--tag", multiple=True, type=TagName(), help="Tag to find the style by; repeatable.")
replace = click.option("--replace", is_flag=True, help="Replace a style of the same name.")
no_thumbnail = click.option("--no-thumbnail", is_flag=True, help="Leave thumbnail and swatch out of the style.")
json_flag = click.option("--json", is_flag=True, help="Print JSON.")


def resuming(command: Any) -> Any:
    """Add the options that say what happens to pictures that exist, and to those that failed."""
    for option in reversed(
        (
            click.option("--overwrite", is_flag=True, help="Compute every picture again, finished ones too."),
            click.option(
                "--on-existing",
                type=click.Choice(ON_EXISTING),
                help="What to do where another picture has the name of an output, such as one with other settings: "
                "number the new one (photo.monet-2.jpg), skip it, fail before any work, or overwrite the old one.  "
                "[default: number; fail if --output is a file]",
            ),
            click.option(
                "--checksum",
                is_flag=True,
                help="Read SUBJECTs and outputs to see whether they changed, instead of comparing size and time.",
            ),
            click.option(
                "--retry-failed", is_flag=True, help="Only compute pictures that failed before, by the record."
            ),
        )
    ):
        command = option(command)
    return command


def _list_devices(ctx: click.Context, _param: click.Parameter, requested: bool) -> None:
    if requested and not ctx.resilient_parsing:
        from ..backends import devices

        for name in devices.devices():
            click.echo(name)
        ctx.exit()


def _with_single_device(command: Any) -> Any:
    @functools.wraps(command)
    def with_single_device(*arguments: Any, **options: Any) -> Any:
        from ..execution.executors import single_device_visible

        with single_device_visible(options) as visible:
            return command(*arguments, **visible)

    return with_single_device


def execution_options(command: Any) -> Any:
    """Add the options that say where a run computes, in what batches, and whether a failure stops it."""
    command = _with_single_device(command)
    for option in reversed(
        (
            click.option(
                "-j",
                "--jobs",
                type=click.IntRange(1),
                metavar="N",
                help="Number of processes; with --devices, one per GPU.  [default: 1]",
            ),
            click.option("--devices", type=Names(), default=(), help="Numbers of GPUs, with one process each."),
            click.option(
                "--device",
                metavar="auto|cpu|gpu|gpu:N",
                help="Device that computes.  [default: auto, a GPU if there is one]",
            ),
            click.option(
                "--list-devices",
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_list_devices,
                help="Print the available devices and exit.",
            ),
            click.option(
                "--deterministic", is_flag=True, help="Give the same bytes on every run on a GPU, at some cost in time."
            ),
            click.option(
                "--cluster",
                metavar="ADDRESS",
                help="Address of a Dask scheduler, tcp://HOST:PORT, or 'local' to start --jobs workers here.",
            ),
            click.option(
                "--batch-size",
                default="auto",
                show_default=True,
                metavar="auto|N",
                help="Number of pictures of one size that are optimised together.",
            ),
            click.option(
                "--keep-going/--fail-fast",
                "keep_going",
                default=True,
                help="Continue after a picture that fails, or stop.  [default: keep-going]",
            ),
        )
    ):
        command = option(command)
    return command


class Names(click.ParamType):  # type: ignore[type-arg]
    """Names with commas between."""

    name = "n,n,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split."""
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


def print_json(content: Any) -> None:
    """Print `content` as JSON, with its characters unescaped."""
    click.echo(json_text.dumps(content, indent=2, ensure_ascii=False))


def print_damaged(damaged: list[StyleFileError]) -> int:
    """Print styles that are damaged or cannot be read on stderr, and return the exit code; damage comes first."""
    for error in damaged:
        logs.log(logging.ERROR, "error", str(error))
    return min((error.exit_code for error in damaged), default=0)


def file_size(path: Path) -> str:
    """Return the size of a file, such as ``57.9 MB``."""
    return f"{path.stat().st_size / 1e6:.1f} MB"
