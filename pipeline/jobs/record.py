"""The record: ``stylebank.jsonl`` in an output folder, one line per subject and run."""

from __future__ import annotations

import dataclasses
import json
import os
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stylebank.errors import OutputRefused, printable
from stylebank.files import describe_os_error

FILE_NAME = "stylebank.jsonl"
_repr = reprlib.Repr()
_repr.maxstring = 45
_shorten = _repr.repr


@dataclass(frozen=True, repr=False)
class Entry:
    """Line of the record: the outcome of one subject.

    Attributes
    ----------
    output
        Relative to the record's folder.
    status : {"done", "failed", "skipped"}
    start_loss, final_loss, steps, seconds
        Results of the synthesis; None without one.
    weights_sha256
        Digest of the network's weights. This field and those below are optional: None leaves them out of
        the line.
    losses
        Loss after each iteration, over all scales, rounded to four digits.
    timings
        Seconds by stage: ``decode``, ``setup``, ``compute``, ``encode``. Stages of several images overlap.
    worker
        Name of the process, if there were several.
    threads
        CPU threads of one operation. Together with `precision`, `device` and `libraries` they decide the last
        bits of a picture.
    libraries
        Versions of the backend, Keras, NumPy, Pillow and SciPy, by name.
    """

    subject: str
    subject_sha256: str | None
    style: str
    style_sha256: str
    settings: dict[str, Any]
    output: str
    output_sha256: str | None
    width: int | None
    height: int | None
    status: str
    error: str | None
    start_loss: float | None
    final_loss: float | None
    steps: int | None
    seconds: float | None
    backend: str
    device: str
    precision: str
    version: str
    weights_sha256: str | None = None
    losses: list[float] | None = None
    timings: dict[str, float] | None = None
    worker: str | None = None
    threads: int | None = None
    libraries: dict[str, str] | None = None

    def __repr__(self) -> str:
        """Return output, status, style and loss or error, shortened."""
        result = f"error={_shorten(self.error)}" if self.error else f"final_loss={_shorten(self.final_loss)}"
        return f"Entry({_shorten(self.output)}, {_shorten(self.status)}, style={_shorten(self.style)}, {result})"

    def json(self) -> str:
        """Return the entry as one line of JSON, in ASCII."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.dumps({key: value for key, value in plain.items() if key not in _LATER or value is not None})

    def same_work(self, other: Entry) -> bool:
        """Return whether both give the same image: subject, style, weights, algorithm, and deciding settings.

        The digest of the style covers the weights it was measured with. The weights are compared if both
        lines name them.
        """
        weights = {self.weights_sha256, other.weights_sha256} - {None}
        keys = ("subject_sha256", "style_sha256", "output")
        return (
            len(weights) <= 1
            and all(getattr(self, key) == getattr(other, key) for key in keys)
            and self.same_settings(other.settings)
        )

    def same_settings(self, settings: Mapping[str, Any]) -> bool:
        """Return whether recorded `settings` equal these in all that decides the image."""
        return isinstance(self.settings, dict) and _deciding(self.settings) == _deciding(settings)


_LATER = ("weights_sha256", "losses", "timings", "worker", "threads", "libraries")


def _deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that decide the bytes of the output, which for a png leave out the quality."""
    without: set[str] = set()
    if settings.get("init") != "noise":
        without.add("seed")
    if settings.get("format") in {"png", "tiff"}:
        without.add("quality")
    if "init_sha256" in settings:  # the image counts, not its path
        without.add("init")
    return {key: value for key, value in settings.items() if key not in without}


_decoder = msgspec.json.Decoder(Entry)


def _decode(line: bytes) -> Entry | None:
    """Return a line's entry; None for a line that holds none."""
    try:
        return _decoder.decode(line)
    except (msgspec.ValidationError, RecursionError):
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # Python writes NaN, and half of a surrogate pair for a file name that is not UTF-8; msgspec reads neither
    try:
        return msgspec.convert(json.loads(line), Entry)
    except (ValueError, RecursionError):
        return None


class Record:
    """The record of an output folder.

    Parameters
    ----------
    folder
        Folder of the outputs. It must exist before `append`.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    def entries(self) -> list[Entry]:
        """Return the entries in order.

        Keys of a newer version are ignored. A torn line, and a line with a missing key or a value of another
        type, is passed over.

        Raises
        ------
        OutputRefused
            If the file cannot be read.
        """
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OutputRefused(f"{printable(self.path)}: {describe_os_error(error)}") from error
        return [entry for line in lines if (entry := _decode(line)) is not None]

    def append(self, *entries: Entry) -> None:
        """Append entries and flush them to the disk."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                line = "".join(f"{entry.json()}\n" for entry in entries).encode()
                if not self._ends_whole(descriptor):
                    line = b"\n" + line
                while line:
                    line = line[os.write(descriptor, line) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OutputRefused(f"{printable(self.path)}: {describe_os_error(error)}") from error

    @staticmethod
    def _ends_whole(descriptor: int) -> bool:
        size = os.fstat(descriptor).st_size
        return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
