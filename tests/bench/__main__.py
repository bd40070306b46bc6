"""``python -m tests.bench`` prints what the README says of speed; with a part's name, that part alone.

Machines differ and are noisy: each figure stands beside one of the same run to compare it with.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import tempfile
from pathlib import Path

import click

#: The module of each part, with a click command `main` or `command` that takes ``--json FILE``. Those that are
#: not there are not listed.
PARTS = {
    "start": "start",
    "engine": "engine",
    "memory": "memory",
    "time-to-quality": "quality_time",
    "judged-time": "judged_time",
    "batch": "batch",
    "similar": "similar",
    "farm": "farm",
}


class _Parts(click.Group):
    """The parts as commands, each loaded when it is wanted."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [part for part, module in PARTS.items() if importlib.util.find_spec(f"{__package__}.{module}")]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(context):
            return None
        module = importlib.import_module(f"{__package__}.{PARTS[name]}")
        command = getattr(module, "main", None) or module.command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Parts, invoke_without_command=True)
@click.option("--json", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write every part's numbers.")
@click.pass_context
def main(context: click.Context, output: Path | None) -> None:
    """Measure and print tables: of every part, or of the one named."""
    if context.invoked_subcommand is not None:
        if output is not None:
            raise click.UsageError(f"--json: expected after {context.invoked_subcommand}.")
        return
    group = context.command
    assert isinstance(group, _Parts)
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for part in group.list_commands(context):
            command = group.get_command(context, part)
            assert command is not None
            written = Path(folder) / f"{part}.json"
            takes_json = any("--json" in option.opts for option in command.params)
            click.echo(f"\n{part}\n")
            command.main(["--json", str(written)] if takes_json else [], part, standalone_mode=False)
            if written.exists():
                figures[part] = json.loads(written.read_text("utf-8"))
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main(prog_name="python -m tests.bench")
