"""The routes of the page. Every answer but files and the page itself is JSON; an error is ``{"error": sentence}``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import stylebank
from stylebank.errors import StylebankError, UsageError, printable

from ..jobs import presets
from ..print_sizes import FORMATS
from ..settings import SYNTHESIS_PRESETS
from .model import PREVIEW, PaintingRequest, PictureRequest, picture_name
from .orders import MAX_SIZE
from .security import Guard
from .studio import QueueFull, Studio, UnknownItem
from .uploads import MAX_BYTES, StorageFull, TooLarge, TooSlow, read_limited
from .wall import Wall, defaults
from .wording import for_page

_REQUEST_BYTES = 64 << 10
#: Seconds after which an idle stream of events says that it lives.
_HEARTBEAT = 15.0
_PAGE = Path(__file__).with_name("page")
_STATUS: dict[type[Exception], int] = {
    TooLarge: 413,
    TooSlow: 408,
    StorageFull: 507,
    QueueFull: 503,
    UnknownItem: 404,
    UsageError: 400,
}
_log = logging.getLogger("stylebank")
T = TypeVar("T")


def make_app(studio: Studio, *, host: str, token: str | None, closing: asyncio.Event) -> Guard:
    """Return the application.

    Parameters
    ----------
    studio
        Started and closed with the application.
    host, token
        As for `Guard`.
    closing
        Set when the server ends, so that open streams end, too.
    """
    routes = Routes(studio, closing)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await studio.start()
        try:
            yield
        finally:
            await studio.close()

    errors = {StylebankError: _refused, OSError: _broken, HTTPException: _unknown, Exception: _failed}
    handlers: Any = {**errors, ClientDisconnect: _left}
    return Guard(Starlette(routes=routes.all(), lifespan=lifespan, exception_handlers=handlers), host, token)


class Routes:
    """The answers to requests."""

    def __init__(self, studio: Studio, closing: asyncio.Event) -> None:
        self._studio, self._closing = studio, closing
        self._wall = Wall(studio.bank)
        self._pages = {path.name: path.read_bytes() for path in _PAGE.iterdir() if path.is_file()}

    def all(self) -> list[Route]:
        """Return all routes."""
        get, post = ["GET"], ["POST"]
        table: list[tuple[str, Callable[[Request], Awaitable[Response]], list[str]]] = [
            ("/", self.page, get),
            ("/page/{file}", self.page, get),
            ("/api/studio", self.studio, get),
            ("/api/styles", self.styles, get),
            ("/api/thumbnails/{digest}", self.thumbnail, get),
            ("/api/likeness", self.likeness, get),
            ("/api/uploads", self.upload, post),
            ("/api/uploads/{id}/preview", self.upload_preview, get),
            ("/api/pictures", self.order, post),
            ("/api/paintings", self.order_painting, post),
            ("/api/jobs", self.jobs, get),
            ("/api/jobs/{id}", self.remove, ["DELETE"]),
            ("/api/jobs/{id}/stop", self.stop, post),
            ("/api/jobs/{id}/take", self.take, post),
            ("/api/jobs/{id}/command", self.command, get),
            ("/api/jobs/{id}/files/{file}", self.file, get),
            ("/api/events", self.events, get),
        ]
        return [Route(path, endpoint, methods=methods) for path, endpoint, methods in table]

    async def page(self, request: Request) -> Response:
        """Return a file of the page."""
        name = request.path_params.get("file", "index.html")
        if name not in self._pages:
            raise UnknownItem("The page has no such file.")
        kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
        return Response(self._pages[name], media_type=kind)

    async def studio(self, _request: Request) -> Response:
        """Return what the controls need."""
        own = [name for name in await asyncio.to_thread(presets.preset_names, self._studio.bank) if name != "original"]
        return JSONResponse(
            {
                "version": stylebank.__version__,
                "defaults": defaults(),
                "presets": own,
                "preset_values": {name: dict(values) for name, values in SYNTHESIS_PRESETS.items() if name in own},
                "prints": [*FORMATS, "30x20cm", "20x30cm", "12x8in"],
                "max_size": MAX_SIZE,
                "max_bytes": MAX_BYTES,
                "bank": _short(self._studio.bank.folder),
            }
        )

    async def styles(self, _request: Request) -> Response:
        """Return the styles of the bank."""
        return JSONResponse(await asyncio.to_thread(self._wall.styles))

    async def thumbnail(self, request: Request) -> Response:
        """Return the thumbnail of a style."""
        data = self._wall.thumbnail(request.path_params["digest"])
        if data is None:
            raise UnknownItem("This style has no thumbnail.")
        return Response(
            data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=31536000, immutable"}
        )

    async def likeness(self, request: Request) -> Response:
        """Return the distances of all styles from one."""
        name = request.query_params.get("name", "")
        return JSONResponse(await asyncio.to_thread(self._wall.likeness, name))

    async def upload(self, request: Request) -> Response:
        """Keep a picture, which is the body of the request."""
        length = request.headers.get("content-length", "")
        return JSONResponse(await self._studio.receive(request.stream(), int(length) if length.isdigit() else None))

    async def upload_preview(self, request: Request) -> Response:
        """Return what the page shows of an uploaded picture."""
        path = self._studio.uploads.preview(request.path_params["id"])
        if path is None or not path.is_file():
            raise UnknownItem("This picture is not on the server any more. Choose it again.")
        return FileResponse(path, media_type="image/jpeg")

    async def order(self, request: Request) -> Response:
        """Put pictures into the queue."""
        jobs = await self._studio.order(await _decoded(request, PictureRequest))
        return JSONResponse([self._studio.board.shown(job) for job in jobs])

    async def order_painting(self, request: Request) -> Response:
        """Put a painting into the queue, to be added to the bank."""
        jobs = await self._studio.order_painting(await _decoded(request, PaintingRequest))
        return JSONResponse([self._studio.board.shown(job) for job in jobs])

    async def jobs(self, _request: Request) -> Response:
        """Return all jobs."""
        return JSONResponse(await self._studio.board.changes(0, 0))

    async def stop(self, request: Request) -> Response:
        """Stop a job."""
        await self._studio.stop(request.path_params["id"])
        return JSONResponse({})

    async def take(self, request: Request) -> Response:
        """End a job with the picture as it is."""
        await self._studio.stop(request.path_params["id"], take=True)
        return JSONResponse({})

    async def remove(self, request: Request) -> Response:
        """Delete a job and its files."""
        await self._studio.remove(request.path_params["id"])
        return JSONResponse({})

    async def command(self, request: Request) -> Response:
        """Return the command that makes a picture."""
        identifier = request.path_params["id"]
        return JSONResponse({"command": await asyncio.to_thread(self._studio.command, identifier)})

    async def file(self, request: Request) -> Response:
        """Return a preview, or a picture to save."""
        identifier, name = request.path_params["id"], request.path_params["file"]
        path = self._studio.file(identifier, name)
        if name == PREVIEW or "show" in request.query_params:
            return FileResponse(path)
        return FileResponse(path, filename=picture_name(self._studio.job(identifier), name))

    async def events(self, request: Request) -> Response:
        """Return changes of jobs as they happen, as server-sent events."""
        return StreamingResponse(self._changes(request), media_type="text/event-stream")

    async def _changes(self, request: Request) -> AsyncIterator[bytes]:
        version, silence = 0, 0.0
        while not self._closing.is_set() and not await request.is_disconnected():
            changes = await self._studio.board.changes(version, 1.0)
            if changes["version"] > version:
                version, silence = changes["version"], 0.0
                yield b"data: " + msgspec.json.encode(changes) + b"\n\n"
            elif (silence := silence + 1.0) >= _HEARTBEAT:
                silence = 0.0
                yield b": alive\n\n"
            await asyncio.sleep(0.1)  # changes of a quick job come together


def _short(folder: Path) -> str:
    """Return a folder with the user's home as ``~``."""
    with contextlib.suppress(RuntimeError, ValueError):
        return printable(Path("~") / folder.absolute().relative_to(Path.home()))
    return printable(folder)


async def _decoded(request: Request, kind: type[T]) -> T:
    data = await read_limited(request.stream(), _REQUEST_BYTES)
    try:
        return msgspec.json.decode(data, type=kind)
    except ValueError as error:
        raise UsageError(f"The request is not as expected: {error}.") from None


async def _refused(_request: Request, error: Exception) -> Response:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 422)
    return JSONResponse({"error": for_page(str(error))}, status)


async def _broken(_request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    return JSONResponse({"error": f"The server's disk: {error.strerror or 'an error'}. Its owner has to look."}, 507)


async def _unknown(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": f"{error.detail}."}, error.status_code)


async def _failed(_request: Request, error: Exception) -> Response:
    _log.error("%s: %s", type(error).__name__, error)
    return JSONResponse({"error": f"{type(error).__name__} in the server. Its terminal says more."}, 500)


async def _left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)
