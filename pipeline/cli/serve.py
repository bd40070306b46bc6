"""``stylebank serve``."""

from __future__ import annotations

from typing import Any

import click

from stylebank.errors import UsageError

from . import options
from .path_types import PathName


@click.command("serve")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on. The default is reached from this machine only; 0.0.0.0 is reached from other "
    "machines, and the page then asks for a token.",
)
@click.option(
    "--token",
    metavar="TEXT",
    help="Secret of 12 characters or more that a browser has to know.  [default: a new one with --host, else none]",
)
@click.option(
    "--folder",
    type=PathName(),
    help="Folder of the queue, the uploads and the pictures.  [default: in the user's data folder]",
)
@click.option(
    "--keep",
    "keep_bytes",
    type=options.Bytes(),
    default="4GB",
    show_default=True,
    help="Size of the folder on disk. Above it, unused uploads and the oldest finished pictures are deleted.",
)
@options.max_pixels
@click.option(
    "--device", metavar="auto|cpu|gpu|gpu:N", help="Device that computes.  [default: auto, a GPU if there is one]"
)
@click.option("--deterministic", is_flag=True, help="Give the same bytes on every run on a GPU, at some cost in time.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.pass_obj
def command(
    context: options.CliContext,
    /,
    port: int,
    host: str,
    token: str | None,
    folder: str | None,
    open_page: bool,
    **limits: Any,
) -> None:
    """Serve a page to try styles on photographs.

    The page shows the bank as a wall, and a picture while it grows. It makes the pictures that
    'stylebank apply' makes. The queue stays in a folder, so that it resumes after a restart.
    Ctrl-C ends the server. Needs the extra 'web'.

    \b
      $ stylebank serve
      $ stylebank serve --port 9000 --open
      $ stylebank serve --host 0.0.0.0 --keep 20GB
    """
    try:
        from ..web import server
        from ..web.studio import StudioOptions
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in {"starlette", "uvicorn", "anyio", "h11"}:
            raise
        raise UsageError(
            f"serve: {error.name} is not installed. Run pip install '.[web]' in the clone of stylebank."
        ) from error

    def on_start(address: str) -> None:
        click.echo(address)
        context.print("Open this address in a browser. Ctrl-C ends the server.", event="serving", address=address)
        if open_page:
            click.launch(address)

    server.serve(
        context.bank,
        folder=folder,
        host=host,
        port=port,
        token=token,
        options=StudioOptions(**limits),
        on_start=on_start,
    )
