"""The command: ``stylebank``, or ``python -m stylebank``."""

from __future__ import annotations

import sys

from . import _pipeline
from .errors import PipelineShadowed


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code.

    Parameters
    ----------
    arguments
        Words after the command's name; by default those of the process.
    """
    try:
        cli = _pipeline.load("pipeline.cli")
    except PipelineShadowed as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    cli.main(arguments)


if __name__ == "__main__":  # a worker process imports this module and must not run the command again
    main()
