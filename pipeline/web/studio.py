"""The studio: the queue of jobs, the files they need, and the process that computes them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylebank.bank import Bank
from stylebank.errors import OutputRefused, StylebankError, printable
from stylebank.files import make_folder

from ..jobs.shell_command import apply_command
from . import queue_file
from .board import Board
from .live import remove_folder
from .model import (
    FAILED,
    PREVIEW,
    RUNNING,
    STOPPED,
    WAITING,
    Job,
    PaintingRequest,
    Photo,
    PictureRequest,
    picture_name,
    shell_comment,
    style_texts,
)
from .orders import MAX_PAGE_PIXELS, check_order
from .process import COMMAND, Process, ProcessEnded
from .storage import Storage
from .uploads import Uploads
from .wording import for_page
from .worker import Order

_MAX_WAITING = 100
_log = logging.getLogger("stylebank")
#: Seconds without a job after which the process that computes ends, and frees its memory.
_IDLE_SECONDS = 900.0


@dataclass(frozen=True)
class StudioOptions:
    """What the command says about the studio.

    Attributes
    ----------
    keep_bytes : int
        Bytes of uploaded files and pictures to keep.
    max_pixels : int
        Largest number of pixels of an uploaded picture.
    device, deterministic
        As for `make_executor`.
    command : tuple of str
        Command line of the process that computes.
    """

    keep_bytes: int = 4_000_000_000
    max_pixels: int = MAX_PAGE_PIXELS
    device: str | None = None
    deterministic: bool = False
    command: tuple[str, ...] = COMMAND


class QueueFull(StylebankError):
    """Too many jobs wait."""


class UnknownItem(StylebankError):
    """A job or a file that is not there, or not any more."""


class Studio:
    """Jobs in the order of their arrival, computed one at a time.

    All methods run in the thread of the event loop.

    Parameters
    ----------
    bank
    folder
        Folder of the queue, the uploads and the pictures; this process alone writes to it.
    options
    """

    def __init__(self, bank: Bank, folder: Path, options: StudioOptions | None = None) -> None:
        self.bank, self.folder = bank, folder
        self.options = options or StudioOptions()
        self.board = Board(queue_file.read(folder))
        self.uploads = Uploads(folder / "uploads", self.options.max_pixels, lambda: self._storage.make_room())
        self._process = Process(self.options.command)
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._loop: asyncio.Task[None] | None = None
        self._storage = Storage(folder, self.uploads, self.board, self.options.keep_bytes)

    async def start(self) -> None:
        """Begin with the jobs that wait."""
        self._loop = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End the process that computes; its job stays in the queue."""
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
        await self._process.close()

    async def receive(self, chunks: AsyncIterator[bytes], expected: int | None) -> dict[str, object]:
        """Keep an uploaded picture; parameters, result and errors are those of `Uploads.receive`."""
        facts = await self.uploads.receive(chunks, expected)
        await self._storage.measure()
        return facts

    async def order(self, request: PictureRequest) -> list[Job]:
        """Put a job for each photograph into the queue.

        Raises
        ------
        StylebankError
            If the request is wrong, or the queue is full.
        """
        settings, cost = await asyncio.to_thread(check_order, self.bank, request)
        for photo in request.photos:
            self._require_upload(photo.id)
        if request.mask is not None:
            self._require_upload(request.mask)
        jobs = [
            self._new_job("picture", photo, styles=request.styles, mask=request.mask, settings=settings, cost=cost)
            for photo in request.photos
        ]
        return await self._enqueue(jobs)

    async def order_painting(self, request: PaintingRequest) -> list[Job]:
        """Put the measuring of a painting into the queue.

        Raises
        ------
        StylebankError
        """
        self._require_upload(request.photo.id)
        name = await asyncio.to_thread(self.bank.ensure_available, request.name)
        return await self._enqueue([self._new_job("painting", request.photo, name=name, tags=request.tags)])

    def _require_upload(self, identifier: str) -> None:
        if self.uploads.path(identifier) is None:
            raise UnknownItem("This photograph is not on the server any more. Choose it again.")

    def _new_job(self, kind: str, photo: Photo, **fields: Any) -> Job:
        return Job(id=secrets.token_hex(8), kind=kind, photo=photo, created=time.time(), **fields)

    async def _enqueue(self, jobs: Sequence[Job]) -> list[Job]:
        waiting = sum(job.state == WAITING for job in self.board.jobs.values())
        if waiting + len(jobs) > _MAX_WAITING:
            raise QueueFull(f"{_MAX_WAITING} jobs wait already. Wait for one, or remove one.")
        self.board.jobs.update((job.id, job) for job in jobs)
        try:
            await self._save(*jobs)
        except BaseException:  # what the disk does not have, a restart would lose
            for job in jobs:
                self.board.jobs.pop(job.id, None)
            self.board.note()
            raise
        self._wake.set()
        return list(jobs)

    def file(self, identifier: str, name: str) -> Path:
        """Return a file of a job; raise `UnknownItem` if there is none of this name."""
        job = self.job(identifier)
        path = self._storage.job_folder(job) / name
        if name not in {PREVIEW, *job.files} or not path.is_file():
            raise UnknownItem("This picture is not on the server.")
        return path

    def command(self, identifier: str) -> str:
        """Return the command line that makes the picture of a job, below a comment with the photograph's name."""
        job = self.job(identifier)
        photo, mask = self.uploads.path(job.photo.id), self.uploads.path(job.mask or "")
        if job.kind != "picture" or photo is None or (job.mask and mask is None):
            raise UnknownItem("Its photograph is not on the server any more.")
        options = {**job.settings, **({"mask": str(mask)} if mask else {})}
        if job.precision and "precision" not in options:
            options["precision"] = job.precision
        if self.options.device not in {None, "auto"}:
            options["device"] = self.options.device
        if self.options.deterministic:
            options["deterministic"] = True
        line = apply_command(self.bank, style_texts(job.styles), photo, options, output=picture_name(job))
        return shell_comment(job.photo.name) + line

    def job(self, identifier: str) -> Job:
        """Return a job; raise `UnknownItem` if there is none."""
        try:
            return self.board.jobs[identifier]
        except KeyError:
            raise UnknownItem("This job is not in the queue any more.") from None

    async def stop(self, identifier: str, *, take: bool = False) -> None:
        """Stop a job that waits or runs; with `take`, keep the picture of its last step."""
        job = self.job(identifier)
        if job.state == WAITING:
            job.state, job.ended = STOPPED, time.time()
            await self._save(job)
        elif job.state == RUNNING:
            await (self._process.take if take else self._process.stop)(identifier)

    async def remove(self, identifier: str) -> None:
        """Delete a job and its files; stop it first if it runs."""
        job = self.job(identifier)
        await self.stop(identifier)
        self.board.jobs.pop(identifier, None)  # another request may have removed it meanwhile
        if job.state != RUNNING:
            remove_folder(self._storage.job_folder(job))
        await self._save()

    async def _run(self) -> None:
        while True:
            job = next((job for job in self.board.jobs.values() if job.state == WAITING), None)
            if job is None:
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), _IDLE_SECONDS if self._process.pid else None)
                except asyncio.TimeoutError:
                    await self._process.close()
                continue
            job.state = RUNNING
            try:
                await self._save(job)
                await self._compute(job)
            except (StylebankError, OSError) as error:  # such as a disk that is full
                job.state, job.error = FAILED, for_page(str(error))
            except Exception as error:  # a job that fails in an unknown way must not end the queue
                _log.exception("job %s", job.id)
                job.state, job.error = FAILED, f"{type(error).__name__} in the server. Its terminal says more."
            job.ended, job.seconds_left = time.time(), None
            if job.id not in self.board.jobs:  # removed meanwhile
                remove_folder(self._storage.job_folder(job))
            if job.kind == "painting":
                self.board.bank_version += 1
            with contextlib.suppress(OutputRefused, OSError):
                await self._save(job)
                await self._storage.measure()

    async def _compute(self, job: Job) -> None:
        remove_folder(self._storage.job_folder(job))
        make_folder(self._storage.job_folder(job))
        photo = self.uploads.path(job.photo.id)
        mask = self.uploads.path(job.mask) if job.mask else None
        if photo is None or (job.mask and mask is None):
            raise UnknownItem("Its photograph or its mask is not on the server any more. Choose it again.")
        order = Order(
            do="job",
            id=job.id,
            job=job,
            bank=str(self.bank.folder),
            photo=str(photo),
            mask=str(mask or ""),
            folder=str(self._storage.job_folder(job)),
            device=self.options.device,
            deterministic=self.options.deterministic,
            max_pixels=self.options.max_pixels,
        )
        began = time.monotonic()
        try:
            end = await self._process.compute(order, lambda event: self._on_event(job, event))
        except ProcessEnded as error:
            end = {"status": FAILED, "error": str(error)}
            if self._process.was_stopped(job.id):
                end = {"status": STOPPED}
        job.seconds = round(time.monotonic() - began, 2)
        job.state = end["status"]
        reason = end.get("error", "").replace(printable(photo), printable(job.photo.name) or "the photograph")
        job.error = for_page(reason)
        job.size, job.files, job.precision = (
            tuple(end.get("size", (0, 0))),
            end.get("files", []),
            end.get("precision", ""),
        )

    def _on_event(self, job: Job, event: dict[str, Any]) -> None:
        if event["event"] == "step":
            job.step, job.steps, job.seconds_left = event["step"], event["steps"], event["seconds_left"]
        elif event["event"] == "preview":
            job.preview = event["number"]
        elif event["event"] == "note":
            job.notes = [*job.notes, for_page(event["text"])][-10:]
        self.board.note(job)

    async def _save(self, *changed: Job) -> None:
        self.board.note(*changed)
        async with self._writing:
            await asyncio.to_thread(queue_file.write, self.folder, queue_file.encode(self.board.jobs.values()))
