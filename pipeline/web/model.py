"""Requests of the page and the jobs of its queue, decoded strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stylebank.images import WRITE_FORMATS

from ..settings import SynthesisSettings

_FORMAT = SynthesisSettings().format
#: Names of the files of a job, beside its picture.
PREVIEW, DEEP = "preview.jpg", "deep.png"
WAITING, RUNNING = "waiting", "running"
DONE, TAKEN, STOPPED, FAILED = "done", "taken", "stopped", "failed"

Identifier = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Label = Annotated[str, Meta(max_length=300)]


class Photo(msgspec.Struct, forbid_unknown_fields=True):
    """An uploaded file: its identifier, and the name that the user knows it by."""

    id: Identifier
    name: Label = ""


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """A style of a blend with its weight."""

    name: Name
    weight: Annotated[float, Meta(gt=0, le=1000)] = 1.0


class PictureRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Photographs to put into a style or a blend, one job each."""

    photos: Annotated[list[Photo], Meta(min_length=1, max_length=50)]
    styles: Annotated[list[Part], Meta(min_length=1, max_length=12)]
    mask: Identifier | None = None
    settings: dict[str, Any] = {}


class PaintingRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A painting to add to the bank."""

    photo: Photo
    name: Name
    tags: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=20)] = []


class Job(msgspec.Struct, kw_only=True):
    """A picture to make, or a painting to measure, and how far it is.

    Attributes
    ----------
    state : str
        One of the constants of this module.
    preview : int
        Number of the last preview; 0 before the first.
    size : (int, int)
        Width and height of the picture; (0, 0) before it is written.
    cost : float
        Pixels of the longest side squared, times steps: proportional to the time.
    precision : str
        Precision that a run with ``auto`` has settled on.
    files : list of str
        Names of the pictures to download.
    """

    id: str
    kind: str
    photo: Photo
    styles: list[Part] = []
    mask: str | None = None
    settings: dict[str, Any] = {}
    name: str = ""
    tags: list[str] = []
    state: str = WAITING
    created: float = 0.0
    ended: float = 0.0
    seconds: float = 0.0
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    preview: int = 0
    size: tuple[int, int] = (0, 0)
    cost: float = 0.0
    precision: str = ""
    files: list[str] = []
    notes: list[str] = []
    error: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether it neither waits nor runs."""
        return self.state not in {WAITING, RUNNING}

    @property
    def uploads(self) -> set[str]:
        """Identifiers of the files it needs."""
        return {self.photo.id} | ({self.mask} if self.mask else set())


def style_texts(parts: Sequence[Part]) -> list[str]:
    """Return the values of ``--style`` for a style or a blend."""
    return [parts[0].name] if len(parts) == 1 else [f"{part.name}:{part.weight:g}" for part in parts]


def output_name(settings: Mapping[str, Any]) -> str:
    """Return the file name of a job's picture in its folder."""
    return "picture" + WRITE_FORMATS[settings.get("format") or _FORMAT][1]


def picture_name(job: Job, file: str = "") -> str:
    """Return the name under which a picture is saved: photograph, styles and the suffix of its file.

    Parameters
    ----------
    file
        Name of one of the job's files; by default the picture that `apply` writes.
    """
    photo = _plain(re.split(r"[/\\]", job.photo.name)[-1].rpartition(".")[0] or job.photo.name)
    styles = "+".join(_plain(part.name) for part in job.styles)
    suffix = "." + (file.rpartition(".")[2] if file else output_name(job.settings).rpartition(".")[2])
    sixteen = "-16" if file == DEEP else ""
    return f"{(photo or 'picture')[:80]}.{styles[:80]}{sixteen}{suffix}"


def shell_comment(name: str) -> str:
    """Return a line with the name of a photograph, as a comment of a shell; empty without a name.

    Some shells run comments that are typed as commands, so every character that a shell could act on becomes ``_``.
    The comment has its own line: after a command, such a shell would take its words for arguments.
    """
    shown = re.sub(r"[^\w.,+ -]", "_", name)
    return f"# {shown}\n" if shown.strip() else ""


def _plain(text: str) -> str:
    """Return a text as a part of a file name on every system."""
    return re.sub(r"[^\w+ -]+", "_", text).strip(" _-")
