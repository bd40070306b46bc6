"""Uploaded files: read within limits, checked as any picture, and kept under the digest of their bytes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import numpy as np
from PIL import Image

from stylebank import images
from stylebank.errors import ImageRefused, StylebankError, printable
from stylebank.files import TEMPORARY_PREFIX, make_folder, remove_temporaries, replace_file

from .wording import for_page

#: Bytes of one file. A larger picture goes through `stylebank apply`.
MAX_BYTES = 256 << 20
#: Longest side of what the page shows, in pixels.
PREVIEW_SIDE = 1400
#: Seconds without a byte, and seconds in all, after which an upload is given up.
CHUNK_SECONDS, UPLOAD_SECONDS = 30.0, 1800.0
#: Seconds for which a file that no job needs stays: the page may be about to order with it.
_UNUSED_SECONDS = 3600.0
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")


class TooLarge(StylebankError):
    """A request with more bytes than allowed."""


class StorageFull(StylebankError):
    """The folder has no room left for another file."""


class TooSlow(StylebankError):
    """A request whose bytes do not arrive."""


class Uploads:
    """The uploaded files of a folder.

    Parameters
    ----------
    folder
        Folder of the files; this process alone writes to it.
    max_pixels
        Largest number of pixels of a picture.
    make_room
        Function that deletes what is finished if the files are too many; it returns whether they fit then.
    """

    def __init__(self, folder: Path, max_pixels: int, make_room: Callable[[], bool]) -> None:
        self.folder = folder
        self._max_pixels = max_pixels
        self._make_room = make_room
        self._decoders = asyncio.Semaphore(1)  # a picture of the largest size takes more than a gigabyte
        make_folder(folder)
        remove_temporaries(folder)
        #: Bytes that are on their way.
        self.incoming = 0

    def path(self, identifier: str) -> Path | None:
        """Return the file of an identifier; None if there is none."""
        if not _IDENTIFIER.fullmatch(identifier):
            return None
        path = self.folder / identifier
        return path if path.is_file() else None

    def preview(self, identifier: str) -> Path | None:
        """Return the JPEG that the page shows of a file; None if there is none."""
        path = self.path(identifier)
        return None if path is None else path.with_name(f"{identifier}.preview.jpg")

    async def receive(self, chunks: AsyncIterator[bytes], expected: int | None) -> dict[str, object]:
        """Keep a picture that arrives in chunks.

        Parameters
        ----------
        chunks
            The bytes.
        expected
            Their number as announced; None if it is not.

        Returns
        -------
        dict
            Its ``id``, ``width`` and ``height`` in pixels, and the ``notes`` of the decoder.

        Raises
        ------
        StylebankError
            If the file is too large, is no picture that can be read, or finds no room.
        """
        if expected is not None and expected > MAX_BYTES:
            raise TooLarge(_too_large())
        temporary = self.folder / f"{TEMPORARY_PREFIX}{time.monotonic_ns():x}"
        digest, size = hashlib.sha256(), 0
        try:
            with temporary.open("xb") as file:
                async for chunk in _in_time(chunks):
                    size += len(chunk)
                    self.incoming += len(chunk)
                    if size > MAX_BYTES:
                        raise TooLarge(_too_large())
                    if not self._make_room():
                        raise StorageFull(
                            "No room is left for another file. "
                            "Remove finished pictures from the queue, or let the server keep more."
                        )
                    digest.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
            identifier = digest.hexdigest()
            async with self._decoders:
                facts = await asyncio.to_thread(self._inspect, temporary, identifier)
            temporary.replace(self.folder / identifier)
            return {"id": identifier, **facts}
        finally:
            self.incoming -= size
            temporary.unlink(missing_ok=True)

    def _inspect(self, path: Path, identifier: str) -> dict[str, object]:
        """Decode a picture within the limits and write its preview; return its facts."""
        facts_path = self.folder / f"{identifier}.json"
        try:
            known: dict[str, object] = json.loads(facts_path.read_bytes())
            if (self.folder / f"{identifier}.preview.jpg").is_file():
                return known
        except (OSError, ValueError):
            pass
        try:
            picture = images.load(path, max_pixels=self._max_pixels)
        except ImageRefused as error:
            raise ImageRefused(str(error).replace(printable(path), "This file")) from None
        width, height = picture.size
        pixels = images.composite_on_white(picture.pixels, picture.alpha)
        write_preview(self.folder / f"{identifier}.preview.jpg", pixels, PREVIEW_SIDE)
        facts: dict[str, object] = {
            "width": width,
            "height": height,
            "notes": [for_page(note) for note in picture.notes],
        }

        def write(temporary: Path) -> None:
            temporary.write_text(json.dumps(facts), encoding="utf-8")

        replace_file(facts_path, write)
        return facts

    def remove_unused(self, needed: Collection[str], *, all_ages: bool) -> bool:
        """Delete the oldest file that no job needs; return whether there was one.

        Parameters
        ----------
        needed
            Identifiers of the files of jobs.
        all_ages
            Whether files of the last hour count, too.
        """
        paths = [path for path in self.folder.iterdir() if _IDENTIFIER.fullmatch(path.name) and path.name not in needed]
        oldest = min(paths, key=lambda path: path.stat().st_mtime, default=None)
        if oldest is None or not (all_ages or time.time() - oldest.stat().st_mtime > _UNUSED_SECONDS):
            return False
        self.remove(oldest.name)
        return True

    def remove(self, identifier: str) -> None:
        """Delete a file with its preview."""
        for name in (identifier, f"{identifier}.preview.jpg", f"{identifier}.json"):
            (self.folder / name).unlink(missing_ok=True)


def write_preview(path: Path, pixels: images.Pixels, side: int, *, quality: int = 85) -> None:
    """Write a JPEG of at most `side` pixels, atomically."""
    width, height = pixels.shape[1], pixels.shape[0]
    ratio = min(1.0, side / max(width, height))
    image = Image.fromarray(images.to_uint8(np.asarray(pixels)))
    if ratio < 1:
        image = image.resize((max(1, round(width * ratio)), max(1, round(height * ratio))), Image.Resampling.BILINEAR)
    replace_file(path, lambda temporary: image.save(temporary, format="JPEG", quality=quality))


async def _in_time(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the chunks; raise `TooSlow` if the next one does not come in time."""
    iterator, end = chunks.__aiter__(), time.monotonic() + UPLOAD_SECONDS
    while True:
        try:
            yield await asyncio.wait_for(iterator.__anext__(), min(CHUNK_SECONDS, end - time.monotonic()))
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            raise TooSlow("The bytes of the file come too slowly. Send it again.") from None


async def read_limited(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    """Return the bytes of a small request.

    Raises
    ------
    TooLarge, TooSlow
    """
    data = bytearray()
    async for chunk in _in_time(chunks):
        data += chunk
        if len(data) > limit:
            raise TooLarge(f"The request has more than {limit:,} bytes.")
    return bytes(data)


def _too_large() -> str:
    return f"The file has more than {MAX_BYTES >> 20} MB. Use a smaller one, or 'stylebank apply'."
