"""Mask files of the subjects: paths, digests for the record, and a cache."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank import images
from stylebank.errors import StylebankError, UsageError, printable
from stylebank.files import digest_file
from stylebank.images import shown_size

from ..print_sizes import Box
from ..synthesis import masks
from ..synthesis.masks import Mask, RegionMasks
from .style_spec import SUBJECT, RegionSpec, StyleSpec

#: Cached masks: as read, in 8 bits, and resized to an output.
_KEPT_WHOLE, _KEPT_FITTED = 4, 8

#: Path, modification time and bytes of a file: what its content is cached by.
FileState = tuple[str, int, int]


class MaskFiles:
    """The masks of a run's subjects.

    Parameters
    ----------
    style_spec
        Regions with the paths of their masks.
    max_pixels
        Refuse masks larger than this.

    Raises
    ------
    UsageError
        If a mask that all subjects share does not exist.
    ImageRefused
        If a mask that all subjects share cannot be read.
    """

    def __init__(self, style_spec: StyleSpec, max_pixels: int = images.MAX_PIXELS) -> None:
        self._regions = style_spec.regions if style_spec.masked else ()
        self._max_pixels = max_pixels
        self._notes: dict[str, tuple[str, ...]] = {}
        self._taken: set[str] = set()
        for region in self._masked:
            if SUBJECT not in str(region.mask):
                if not os.path.lexists(str(region.mask)):
                    raise UsageError(f"mask {printable(str(region.mask))}: no such file. Check the path.")
                self._read(str(region.mask))

    @property
    def _masked(self) -> list[RegionSpec]:
        return [region for region in self._regions if region.mask is not None]

    def paths(self, subjects: Iterable[Path]) -> set[str]:
        """Return the real paths of all masks of some subjects."""
        named = {_path(region, subject) for subject in subjects for region in self._masked}
        return {os.path.realpath(path) for path in named}

    def check(
        self, subject: Path, subject_size: tuple[int, int], size: tuple[int, int], box: Box | None = None
    ) -> None:
        """Refuse masks that do not fit a subject, without decoding masks that belong to it alone.

        Parameters and errors as for `regions`.
        """
        for region in self._masked:
            path = _path(region, subject)
            shown = shown_size(path)
            if shown is None:
                self._read(path)
            else:
                masks.check_shape(shown, subject_size, path)
        if all(SUBJECT not in str(region.mask) for region in self._masked):
            self.regions(subject, subject_size, size, box)

    def regions(
        self, subject: Path, subject_size: tuple[int, int], size: tuple[int, int], box: Box | None = None
    ) -> tuple[RegionMasks | None, dict[str, Any]]:
        """Read the masks of a subject for an output.

        Parameters
        ----------
        subject
        subject_size, size
            Width and height of the whole subject and of the output.
        box
            Part of the subject in the output; by default all of it.

        Returns
        -------
        RegionMasks or None
            None where there are no masks.
        dict
            Digests of the masks, for the settings in the record.

        Raises
        ------
        StylebankError
            If a mask cannot be read, its shape differs, or a region has too few pixels.
        """
        if not self._regions:
            return None, {}
        planes: list[Mask | None] = []
        digests = {}
        for region in self._regions:
            if region.mask is None:
                planes.append(None)
                continue
            path = _path(region, subject)
            whole, digest = self._read(path)
            masks.check_shape((whole.shape[1], whole.shape[0]), subject_size, path)
            planes.append(_fitted(_state(path), self._max_pixels, size, box))
            digests[region.name] = digest
        return masks.regions(planes, size, [region.name for region in self._regions]), {"masks": digests}

    def take_notes(self, subject: Path) -> list[str]:
        """Return notes about the masks of a subject that `regions` read, once per mask."""
        paths = dict.fromkeys(_path(region, subject) for region in self._masked)
        new = [path for path in paths if path in self._notes and path not in self._taken]
        self._taken.update(new)
        return [f"mask {printable(path)}: {note}" for path in new for note in self._notes[path]]

    def recorded(self, subject: Path) -> dict[str, Any]:
        """Return the digests of the masks by region, for the settings in the record; None for a missing mask."""
        if not self._regions:
            return {}
        return {"masks": {region.name: _digest(_path(region, subject)) for region in self._masked}}

    def recorded_in(self, settings: Any) -> dict[str, Any]:
        """Return the masks of recorded settings, if this run has masks."""
        recorded = self._regions and isinstance(settings, dict) and "masks" in settings
        return {"masks": settings["masks"]} if recorded else {}

    def _read(self, path: str) -> tuple[npt.NDArray[np.uint8], str]:
        whole, digest, self._notes[path] = _whole(_state(path), self._max_pixels)
        return whole, digest


def _path(region: RegionSpec, subject: Path) -> str:
    """Return the path of a subject's mask; ``{subject}`` in a folder that exists is part of its name."""
    path = Path(str(region.mask))
    literal = next((folder for folder in (path, *path.parents) if os.path.lexists(folder)), Path())
    return str(literal / str(path.relative_to(literal)).replace(SUBJECT, subject.stem))


def _state(path: str) -> FileState:
    """Return a cache key for the content of a file: path, modification time and size."""
    try:
        status = Path(path).stat()
    except OSError:  # reading it reports why
        return path, 0, 0
    return path, status.st_mtime_ns, status.st_size


def _digest(path: str) -> str | None:
    """Return the digest of a mask file; None where there is none to read."""
    try:
        return _file_digest(_state(path)) if Path(path).is_file() else None
    except (OSError, StylebankError):
        return None


@lru_cache(maxsize=64)
def _file_digest(state: FileState) -> str:
    return digest_file(Path(state[0]))


@lru_cache(maxsize=_KEPT_WHOLE)
def _whole(state: FileState, max_pixels: int) -> tuple[npt.NDArray[np.uint8], str, tuple[str, ...]]:
    """Return a mask as read, in 8 bits, the digest of its file, and notes for the user."""
    mask = masks.load(state[0], max_pixels)
    return np.rint(mask.values * 255).astype(np.uint8), mask.sha256, mask.notes


@lru_cache(maxsize=_KEPT_FITTED)
def _fitted(state: FileState, max_pixels: int, size: tuple[int, int], box: Box | None) -> Mask:
    """Return a mask, or its part in a box, resized to an output of `size` (width, height)."""
    whole, _digest, _notes = _whole(state, max_pixels)
    return masks.resample(whole.astype(np.float32) / np.float32(255), size, box)
