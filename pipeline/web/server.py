"""The server: its address, its start, and its end within seconds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import platformdirs
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from stylebank.bank import Bank
from stylebank.errors import LockTimeout, UsageError, printable
from stylebank.files import make_folder
from stylebank.locks import exclusive_lock

from .app import make_app
from .security import choose_token
from .studio import Studio, StudioOptions

HOST = "127.0.0.1"
PORT = 8787
_CONNECTIONS = 200
_CLOSE_SECONDS = 2
#: Seconds after which a connection is looked at for a request; one without any twice in a row is closed.
_IDLE_SECONDS = 15.0


def default_folder() -> Path:
    """Return the folder of the queue in the user's data folder.

    Raises
    ------
    UsageError
        If the user has no home folder.
    """
    try:
        return platformdirs.user_data_path("stylebank") / "serve"
    except RuntimeError:
        raise UsageError("this user has no home folder. Name one with --folder.") from None


def serve(
    bank: Bank,
    *,
    folder: str | os.PathLike[str] | None = None,
    host: str = HOST,
    port: int = PORT,
    token: str | None = None,
    options: StudioOptions | None = None,
    on_start: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve the page until a signal ends it.

    Parameters
    ----------
    bank
    folder
        Folder of the queue, the uploads and the pictures; `default_folder` by default.
    host, port
        Address to listen on; port 0 takes a free one.
    token
        What a browser has to know, once. Without one, a new one is asked for if other machines reach `host`.
    options
        Limits, device, and the process that computes.
    on_start
        Called with the address to open, which has the token in it.

    Raises
    ------
    UsageError
        If the address cannot be used, or the token is too short.
    LockTimeout
        If another server uses the folder.
    KeyboardInterrupt
        When a signal ends the server, after its process has ended.
    """
    token = choose_token(host, token)
    place = Path(folder) if folder is not None else default_folder()
    make_folder(place)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(place / "lock"))
        except LockTimeout as error:
            text = f"{printable(place)}: {error.holder} serves this folder. End it, or give another --folder."
            raise LockTimeout(text, error.holder) from None
        listener = stack.enter_context(_listening(host, port))
        address = _address(host, listener.getsockname()[1], token)
        asyncio.run(_run(bank, place, host, token, options, listener, lambda: on_start(address)))


async def _run(
    bank: Bank,
    folder: Path,
    host: str,
    token: str | None,
    options: StudioOptions | None,
    listener: socket.socket,
    on_start: Callable[[], None],
) -> None:
    closing = asyncio.Event()
    app = make_app(Studio(bank, folder, options), host=host, token=token, closing=closing)
    config = uvicorn.Config(
        app,
        log_config=None,  # its access log would have the token
        access_log=False,
        lifespan="on",
        http=_Protocol,
        ws="none",
        loop="asyncio",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=_CLOSE_SECONDS,
    )
    for name in ("uvicorn.error", "uvicorn.asgi"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # errors reach the page and `stylebank`
    server = _Server(config, closing, on_start)
    with _hangup(server):
        await server.serve(sockets=[listener])


class _Protocol(H11Protocol):
    """Closes a connection that neither asks nor waits for anything."""

    _was_idle = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look after a connection."""
        super().connection_made(transport)
        self.loop.call_later(_IDLE_SECONDS, self._look)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self._was_idle:
            self.transport.abort()
            return
        self._was_idle = idle
        self.loop.call_later(_IDLE_SECONDS, self._look)


class _Server(uvicorn.Server):
    """Ends open streams first, and says when it listens."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._closing, self._on_start = closing, on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all connections."""
        self._closing.set()
        await super().shutdown(sockets)


@contextlib.contextmanager
def _hangup(server: uvicorn.Server) -> Iterator[None]:
    """Let SIGHUP end the server as SIGTERM does, unless it is ignored as under nohup."""
    number: Any = getattr(signal, "SIGHUP", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(number)
    if before == signal.SIG_IGN:
        yield
        return
    arrived = []

    def end(_number: int, _frame: Any) -> None:
        arrived.append(number)
        server.should_exit = True

    signal.signal(number, end)
    try:
        yield
    finally:
        signal.signal(number, before)
    if arrived:
        signal.raise_signal(number)


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError, OverflowError) as error:
        raise UsageError(f"--host {printable(host)}: {getattr(error, 'strerror', None) or error}. Check it.") from None
    with contextlib.closing(listener):
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{printable(host)}:{port}: {reason}. Give another --port, or end what uses it.") from None
        yield listener


def _address(host: str, port: int, token: str | None) -> str:
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/" + (f"?token={quote(token)}" if token else "")
