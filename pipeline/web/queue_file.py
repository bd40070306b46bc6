"""The queue on disk: all jobs in one JSON file, written atomically."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from stylebank.errors import StylebankError, printable
from stylebank.files import replace_file

from .model import RUNNING, WAITING, Job

FILE_NAME = "queue.json"


def read(folder: Path) -> list[Job]:
    """Return the jobs of the queue; one that was running waits again.

    Raises
    ------
    StylebankError
        If the file is no queue.
    """
    path = folder / FILE_NAME
    try:
        jobs = msgspec.json.decode(path.read_bytes(), type=list[Job])
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise StylebankError(
            f"{printable(path)}: cannot be read as a queue ({printable(str(error))}). Move it away to begin a new one."
        ) from error
    for job in jobs:
        if job.state == RUNNING:
            job.state, job.step, job.preview, job.seconds_left, job.notes = WAITING, 0, 0, None, []
    return jobs


def write(folder: Path, data: bytes) -> None:
    """Write what `encode` returns."""

    def fill(path: Path) -> None:
        path.write_bytes(data)

    replace_file(folder / FILE_NAME, fill)


def encode(jobs: Iterable[Job]) -> bytes:
    """Return the jobs as the file has them."""
    return msgspec.json.encode(list(jobs))
