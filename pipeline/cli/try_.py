"""``stylebank try``."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

import pipeline
from stylebank.errors import UsageError, plural, printable

from ..jobs import varied
from . import options
from .console import reporter
from .path_types import PathName
from .style_options import draft_controls, optimisation


class _Vary(click.ParamType):  # type: ignore[type-arg]
    """``NAME=VALUE,VALUE,...``."""

    name = "name=value,value,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse."""
        if isinstance(value, tuple):
            return value
        try:
            return varied.parse(str(value))
        except UsageError as error:
            self.fail(str(error).removeprefix("vary "), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the settings that begin with `incomplete`."""
        names = [f"{varied.option_name(name)}=" for name in varied.NAMES]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command("try")
@click.argument("photo", metavar="PHOTO", type=PathName())
@click.option(
    "--style",
    multiple=True,
    type=options.StyleName(),
    metavar="NAME",
    help="Style in the bank; repeatable.  [default: all styles]",
)
@click.option(
    "--tag",
    multiple=True,
    type=options.TagName(),
    help="Only styles with this tag; repeatable, and styles need all tags given.",
)
@click.option(
    "--vary",
    multiple=True,
    type=_Vary(),
    metavar="NAME=VALUE,...",
    help="Values of a setting, for a single style. Given twice, the first setting has columns and the second rows.",
)
@click.option(
    "-o",
    "--output",
    type=PathName(),
    metavar="FILE",
    help="Sheet: a .jpg, .png or .html file.  [default: PHOTO.sheet.jpg, with a number if it exists]",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@draft_controls
@optimisation
@options.weights
@options.allow_unknown_weights
@options.max_pixels
@options.memory_limit
@options.execution_options
@click.pass_obj
def command(
    context: options.CliContext,
    /,
    photo: str,
    style: tuple[str, ...],
    tag: tuple[str, ...],
    vary: tuple[tuple[str, tuple[Any, ...]], ...],
    output: str | None,
    keep_going: bool,
    **settings: Any,
) -> int:
    """Show a photograph in every style of the bank, on one sheet.

    The pictures are drafts of 256 pixels, with the photograph first. Styles that share tags, and
    similar ones, stand side by side. With one style, --vary shows the values of one or two settings.
    A .html sheet has a button for each picture, which copies the command that makes it large.
    Ctrl-C ends the run early: the sheet then has the pictures that are finished.

    \b
      $ stylebank try photo.jpg
      $ stylebank try photo.jpg --tag impressionism -o sheet.html
      $ stylebank try photo.jpg --style great_wave --style poppies --keep-color luma
      $ stylebank try photo.jpg --style great_wave --vary strength=0.3,0.6,1 --vary content-weight=0.5,1,4
    """
    from ..jobs.try_styles import default_output

    twice = [name for index, (name, _values) in enumerate(vary) if name in dict(vary[:index])]
    if twice:
        raise UsageError(f"--vary {varied.option_name(twice[0])}: twice. Give all its values in one --vary.")
    try:
        with reporter(context, with_json=False) as listener:
            sheet = pipeline.try_styles(
                context.bank,
                photo,
                default_output(photo) if output is None else output,
                styles=style,
                tags=tag,
                vary=dict(vary),
                fail_fast=not keep_going,
                listener=listener,
                on_refused=context.error,
                **settings,
            )
    except pipeline.ImagesFailed:  # each is reported already
        context.print("no picture is finished, so there is no sheet")
        return 1
    failed = sheet.failed
    assert sheet.path is not None
    missing = f", {len(failed)} failed: {', '.join(printable(panel.label) for panel in failed)}" if failed else ""
    pictures = plural(len(sheet.panels) - len(failed), "picture")
    click.echo(f"{printable(sheet.path)}: {pictures}{missing}, {options.file_size(sheet.path)}")
    return 1 if failed else 0
