"""The record: ``stylebank.jsonl`` in an output folder, one line per computed or failed image.

The losses of every step are most of what there is to record, and only a report reads them. They stand in a second
file, ``stylebank.losses.jsonl``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stylebank.errors import OutputRefused, printable
from stylebank.files import describe_os_error, flush, follow_group
from stylebank.locks import exclusive_lock

FILE_NAME = "stylebank.jsonl"
LOSSES_NAME = "stylebank.losses.jsonl"
_LOCK_SECONDS = 60.0
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
        Loss after each iteration, over all scales, rounded to four digits. The record keeps them in
        `LOSSES_NAME`; lines of versions before 0.2.0 hold them themselves.
    timings
        Seconds by stage: ``decode``, ``setup``, ``compute``, ``encode``. Stages of several images overlap.
    worker
        Name of the process, if there were several.
    threads
        CPU threads of one operation. Together with `precision`, `device` and `libraries` they decide the last
        bits of a picture.
    libraries
        Versions of the backend, Keras, NumPy, Pillow and SciPy, by name.
    subject_stat, output_stat
        Size in bytes and modification time in nanoseconds when the digest was computed. A file with both
        unchanged is not read again.
    copy
        Number in the name of an output beside which another picture has the name without one.
    animation
        Path of the animation, relative to the record's folder.
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
    subject_stat: list[int] | None = None
    output_stat: list[int] | None = None
    copy: int | None = None
    animation: str | None = None

    def __repr__(self) -> str:
        """Return output, status, style and loss or error, shortened."""
        result = f"error={_shorten(self.error)}" if self.error else f"final_loss={_shorten(self.final_loss)}"
        return f"Entry({_shorten(self.output)}, {_shorten(self.status)}, style={_shorten(self.style)}, {result})"

    def json(self, *, losses: bool = True) -> str:
        """Return the entry as one line of JSON, in ASCII, with or without the losses."""
        plain = {name: getattr(self, name) for name in FIELDS if losses or name != "losses"}
        return json.dumps({key: value for key, value in plain.items() if key not in _LATER or value is not None})

    @property
    def planned_output(self) -> str:
        """Output without the number of a copy: what the run asked for."""
        if self.copy is None:
            return self.output
        stem, suffix = os.path.splitext(self.output)  # noqa: PTH122  # a text, of any system
        return stem.removesuffix(f"-{self.copy}") + suffix

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
        return isinstance(self.settings, dict) and deciding(self.settings) == deciding(settings)


FIELDS = tuple(field.name for field in dataclasses.fields(Entry))
_LATER = frozenset(FIELDS[FIELDS.index("weights_sha256") :])


def deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
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


def decode(line: bytes) -> Entry | None:
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


@dataclass(frozen=True)
class _Losses:
    output_sha256: str
    losses: list[float]


_losses_decoder = msgspec.json.Decoder(_Losses)


class Record:
    """The record of an output folder.

    Parameters
    ----------
    folder
        Folder of the outputs. It must exist before `append`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self.losses_path = folder / LOSSES_NAME

    def entries(self, *, losses: bool = True) -> list[Entry]:
        """Return the entries in order.

        Keys of a newer version are ignored. A torn line, and a line with a missing key or a value of another
        type, is passed over.

        Parameters
        ----------
        losses
            Whether to read the file of the losses too.

        Raises
        ------
        OutputRefused
            If a file cannot be read.
        """
        entries = [entry for line in self.iter_lines() if (entry := decode(line)) is not None]
        missing = losses and any(entry.losses is None for entry in entries)
        by_digest: dict[str | None, list[float]] = dict(self.iter_losses()) if missing else {}
        return [
            dataclasses.replace(entry, losses=by_digest[entry.output_sha256])
            if entry.losses is None and entry.status == "done" and entry.output_sha256 in by_digest
            else entry
            for entry in entries
        ]

    def iter_lines(self) -> Iterator[bytes]:
        """Yield the lines of the file, torn ones included; none if there is no file."""
        return _lines(self.path)

    def iter_losses(self) -> Iterator[tuple[str, list[float]]]:
        """Yield the digest of an output and its losses, from the file of the losses."""
        for line in _lines(self.losses_path):
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                decoded = _losses_decoder.decode(line)
                yield decoded.output_sha256, decoded.losses

    def append(self, *entries: Entry) -> None:
        """Append entries and flush them to the disk; the losses go to their own file, which is not flushed.

        The record is locked meanwhile: on a network disk, appending alone does not keep machines apart.

        Raises
        ------
        OutputRefused
            If a file cannot be written.
        LockTimeout
            If another process holds the lock for a minute.
        """
        with_losses = [entry for entry in entries if entry.losses and entry.output_sha256]
        try:
            with exclusive_lock(self.path, timeout=_LOCK_SECONDS):
                if with_losses:
                    _append(
                        self.losses_path,
                        (losses_line(str(entry.output_sha256), entry.losses or ()) for entry in with_losses),
                        to_disk=False,
                    )
                _append(self.path, (entry.json(losses=False) for entry in entries), to_disk=True)
        except OSError as error:
            raise OutputRefused(f"{printable(self.path)}: {describe_os_error(error)}") from error


def losses_line(output_sha256: str, losses: Sequence[float]) -> str:
    """Return a line of the file of the losses."""
    return json.dumps({"output_sha256": output_sha256, "losses": losses})


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from (line.rstrip(b"\r\n") for line in file)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputRefused(f"{printable(path)}: {describe_os_error(error)}") from error


def _append(path: Path, lines: Iterable[str], *, to_disk: bool) -> None:
    """Append lines in one write, on a line of their own if the last writer was killed in the middle of one."""
    try:
        new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            if new:
                follow_group(path)
            data = "".join(f"{line}\n" for line in lines).encode()
            if not _ends_whole(descriptor):
                data = b"\n" + data
            while data:
                data = data[os.write(descriptor, data) :]
            if to_disk:
                flush(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OutputRefused(f"{printable(path)}: {describe_os_error(error)}") from error


def _ends_whole(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
