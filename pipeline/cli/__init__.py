"""The command line: ``stylebank``, a thin skin over `stylebank` and `pipeline`."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

import stylebank
from stylebank.errors import StylebankError, printable

#: Every command with the beginning of its help, for a list of them that loads none.
_COMMANDS = {
    "add": "Measure paintings and keep them in the bank.",
    "list": "List the styles in the bank.",
    "show": "Show what the bank knows of a style.",
    "remove": "Remove styles from the bank; none of them unless all are there.",
    "rename": "Give a style another name.",
    "tag": "Give tags to styles, or take them away.",
    "apply": "Make pictures of the SUBJECTs in a style, or several.",
    "batch": "Make the pictures of a job file.",
    "report": "Write a page to look over the pictures of an output folder.",
    "mix": "Make style NEW from others: their Wasserstein barycentre, at every scale and layer.",
    "pool": "Make style NEW from many paintings taken as one, such as all of an artist's.",
    "similar": "Find the styles nearest to one of the bank, or to a picture.",
    "map": "Draw the bank as a map: like styles lie together.",
    "gallery": "Make a page of the bank to look at: pictures, palettes, tags to filter by.",
    "export": "Write styles to files of their own, to share.",
    "import": "Take style files from elsewhere into the bank.",
    "verify": "Check style files in full; all of the bank by default.",
}
#: Modules that cannot have their command's name.
_MODULES = {"import": "import_"}
_INTERRUPTED = 130


class _Lazy(click.Group):
    """Loads the module of a command when it is asked for, so that the others cost nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f".{_MODULES.get(cmd_name, cmd_name)}", __name__).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        limit = formatter.width - 6 - max(map(len, _COMMANDS))
        rows = [(name, click.Command(name, help=text).get_short_help_str(limit)) for name, text in _COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [
            CompletionItem(name, help=click.Command(name, help=text).get_short_help_str())
            for name, text in _COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, _COMMANDS)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {' or '.join(near)}?" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=_Lazy, context_settings={"auto_envvar_prefix": "STYLEBANK", "help_option_names": ["-h", "--help"]})
@click.option(
    "--bank", type=click.Path(path_type=Path), help="The folder of styles.  [default: in the user's data folder]"
)
@click.option("-v", "--verbose", is_flag=True, help="Say more on the way.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors and results.")
@click.version_option(stylebank.__version__, prog_name="stylebank")
@click.pass_context
def group(ctx: click.Context, bank: Path | None, verbose: bool, quiet: bool) -> None:
    """Style transfer as optimal transport, with a bank of styles.

    \b
      $ stylebank add starry_night.jpg
      $ stylebank apply --style starry_night in/*.jpg --output out

    Every option can be given as an environment variable too: --bank as STYLEBANK_BANK, and
    an option of a command with the command's name, such as STYLEBANK_APPLY_SIZE.

    \b
    Exit codes: 0 done, 1 some items failed, 2 wrong usage, 3 the bank is
    damaged, 4 the bank is busy, 130 interrupted.
    """
    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet exclude each other. Give one of them.")
    from stylebank.bank import Bank

    from .options import CliContext

    ctx.obj = CliContext(Bank(bank), verbose, quiet)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code; every expected error is one line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file name that the terminal's encoding lacks is no reason to crash
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    try:
        result: Any = group.main(args=arguments, prog_name="stylebank", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except click.ClickException as error:
        error.show()
        return int(error.exit_code)
    except StylebankError as error:
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. What was finished is kept.", err=True)
        return _INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _unexpected(error)


def _unexpected(error: Exception) -> int:
    """Tell of an error that nobody foresaw in one line, and in full to who asks."""
    if {"-v", "--verbose"} & set(sys.argv):
        traceback.print_exc()
    if isinstance(error, OSError):
        where = f"{printable(error.filename)}: " if isinstance(error.filename, (str, os.PathLike)) else ""
        click.echo(f"Error: {where}{error.strerror or error}. Check the path and the permissions.", err=True)
    else:
        reason = printable(str(error).strip().split("\n")[0]) or "no reason given"
        click.echo(
            f"Error: {type(error).__name__}: {reason}. Run it again with -v and report what it prints.", err=True
        )
    return 1
