"""The commands by name, loaded one at a time, and the options that stand before them."""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

import stylebank
from stylebank.errors import StylebankError, plural, printable

from . import logs
from .errors import report_refused_results

#: Every command with the first sentence of its help, so that a list of commands loads none of them.
COMMANDS = {
    "add": "Measure paintings and keep them in the bank.",
    "remeasure": "Measure paintings again and update the styles made from them.",
    "list": "List the styles in the bank.",
    "show": "Print the header of a style: source, scales, layers, digests and recipe.",
    "remove": "Remove styles from the bank.",
    "restore": "Bring back styles that were removed or replaced.",
    "rename": "Rename a style.",
    "tag": "Add tags to styles, or remove them.",
    "try": "Show a photograph in every style of the bank, on one sheet.",
    "apply": "Put photographs into a style, or into several.",
    "batch": "Run the jobs of a file.",
    "serve": "Serve a page to try styles on photographs.",
    "presets": "List the presets, built-in ones and those of stylebank.toml.",
    "status": "Print how far an output folder is: pictures done, failed and left.",
    "record": "Maintain the record of an output folder.",
    "report": "Write a page that shows the pictures of an output folder.",
    "mix": "Compute style NEW as the Wasserstein barycentre of other styles.",
    "pool": "Compute style NEW from several paintings, pooled as if they were one.",
    "similar": "List the styles nearest to a style of the bank or to a picture.",
    "map": "Draw the bank as a map on which similar styles lie together.",
    "gallery": "Write a page of the bank: pictures, palettes, and tags to filter by.",
    "export": "Write styles to files, to share them.",
    "import": "Check style files and add them to the bank.",
    "verify": "Check style files in full, all of the bank by default.",
}
#: Modules that cannot have their command's name, which is a keyword.
_MODULES = {"import": "import_", "try": "try_"}
#: Styles that an error lists.
_LISTED_STYLES = 10


class _LazyGroup(click.Group):
    """Loads the module of a command when the command is asked for, so that the others cost nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{_MODULES.get(cmd_name, cmd_name)}", __package__)
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        limit = formatter.width - 6 - max(map(len, COMMANDS))
        rows = [(name, click.Command(name, help=text).get_short_help_str(limit)) for name, text in COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        completions = [
            CompletionItem(name, help=click.Command(name, help=text).get_short_help_str())
            for name, text in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*completions, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, COMMANDS)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {' or '.join(near)}?" if near else ""))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        logs.configure(
            verbose=ctx.params["verbose"], quiet=ctx.params["quiet"], as_json=ctx.params["log_json"]
        )  # before a command is looked up, so that its errors are printed so, too
        try:
            code = super().invoke(ctx)
            refused = getattr(ctx.obj, "stdout_error", None)  # the command went on to its end
            return code if refused is None else max(code or 0, report_refused_results(refused))
        except click.NoSuchOption as error:
            raise _misplaced_option(self, error) or error from None
        except click.MissingParameter as error:
            raise _missing_style(error) or error from None


def _misplaced_option(group: click.Group, error: click.NoSuchOption) -> click.UsageError | None:
    """Say where an option of the group belongs if it stands after the command; None for any other option."""
    name = error.option_name
    option = next((option for option in group.params if name in option.opts), None)
    if option is None or error.ctx is None:
        return None
    usage = f"{name} {option.metavar}" if option.metavar else name
    return click.UsageError(f"{name} stands before the command: stylebank {usage} {error.ctx.info_name} ...", error.ctx)


def _missing_style(error: click.MissingParameter) -> click.UsageError | None:
    """List the bank's styles if the name of one is missing; None where something else is."""
    from .options import CliContext, StyleName

    if error.ctx is None or error.param is None or not isinstance(error.param.type, StyleName):
        return None
    context = error.ctx.find_object(CliContext)
    if context is None:
        return None
    try:
        headers, damaged = context.bank.headers()
    except StylebankError:
        return None
    folder = printable(context.bank.folder)
    names = [header.name for header in headers]
    if names:
        listed = ", ".join(map(printable, names[:_LISTED_STYLES]))
        more = len(names) - _LISTED_STYLES
        rest = f", and {more:,} more" if more > 0 else ""
        styles = f"The bank {folder} has {plural(len(names), 'style')}: {listed}{rest}."
    elif damaged:
        styles = f"The bank {folder} has {plural(len(damaged), 'file')}, none usable. 'stylebank list' says why."
    else:
        styles = f"The bank {folder} is empty. 'stylebank add IMAGE' adds a style."
    return click.UsageError(f"{error.format_message()} {styles}", error.ctx)


@click.group(
    cls=_LazyGroup, context_settings={"auto_envvar_prefix": "STYLEBANK", "help_option_names": ["-h", "--help"]}
)
@click.option(
    "--bank",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder that holds the styles.  [default: in the user's data folder]",
)
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Print details: device, precision, network; a traceback for unexpected errors.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors and results only.")
@click.option(
    "--log-json", is_flag=True, help="Print progress and errors on stderr as JSON, one event a line with its time."
)
@click.version_option(stylebank.__version__, prog_name="stylebank")
@click.pass_context
def group(ctx: click.Context, bank: Path | None, verbose: bool, quiet: bool, log_json: bool) -> None:
    """Style transfer as optimal transport, with a bank of styles.

    \b
      $ stylebank add starry_night.jpg
      $ stylebank apply --style starry_night in/*.jpg --output out

    The options below stand before the command. An environment variable sets any option:
    STYLEBANK_BANK sets --bank, and STYLEBANK_APPLY_SIZE sets --size of apply.

    \b
    Exit codes: 0 done, 1 some items failed, 2 wrong usage, 3 the bank is
    damaged, 4 the bank is busy, 5 a style cannot be read, 6 out of memory,
    130 interrupted, 143 or 129 ended by a signal.
    """
    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet exclude each other. Give one of them.")
    from stylebank.bank import Bank

    from .options import CliContext

    ctx.obj = CliContext(Bank(bank), verbose, quiet, log_json)
