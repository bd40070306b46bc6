"""The report of an output folder: one HTML page that needs no server and no network."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylebank import images
from stylebank.errors import StylebankError, UsageError, printable
from stylebank.files import make_folder, shared_lock
from stylebank.pages.html import jpeg_uri, render, replace_page

from .compact import find_records
from .record import Entry, Record

#: Longest side of a thumbnail in pixels, by the largest number of pictures on the page.
_SIDES = ((100, 320), (300, 220), (1000, 160))
_SMALLEST_SIDE = 112
_CURVE_WIDTH, _CURVE_HEIGHT, _CURVE_POINTS = 120, 36, 60
_STAGES = ("decode", "setup", "compute", "encode")


@dataclass(frozen=True)
class ResultCard:
    """A picture on the page. Its texts have no control characters; the template escapes them for HTML.

    Attributes
    ----------
    before, after : str
        ``data:`` addresses of thumbnails; may be empty.
    remarks : tuple of str
        Notes on the thumbnails, such as a missing or changed file.
    curve : str
        Points of the loss curve in a box of 120 x 36; may be empty.
    settings : mapping of str to str
    """

    name: str
    subject: str
    style: str
    status: str
    error: str
    before: str
    after: str
    remarks: tuple[str, ...]
    curve: str
    start_loss: float | None
    final_loss: float | None
    seconds: float | None
    size: str
    settings: Mapping[str, str]


def write(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    on_card: Callable[[int, int], None] = lambda number, total: None,
) -> Path:
    """Write the report of an output folder.

    Parameters
    ----------
    folder
        Folder with a record, ``stylebank.jsonl``, in it or below it.
    output
        Page; ``report.html`` in `folder` by default.
    on_card
        Function of the number of pictures read and of all pictures.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    UsageError
        If there is no record, or the name of `output` does not end in ``.html``.
    OutputRefused
        If the page cannot be written.
    """
    folder = Path(folder)
    target = Path(output) if output is not None else folder / "report.html"
    if target.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"{printable(target)}: not the name of a page. Give an --output that ends in .html.")
    entries_with_folders = [
        (record.parent, entry) for record in find_records(folder) for entry in latest(Record(record.parent).entries())
    ]
    entries = [entry for _folder, entry in entries_with_folders]
    if not entries:
        raise UsageError(f"{printable(folder)}: the record has no picture. Run 'stylebank apply' or 'batch' first.")
    side = next((side for count, side in _SIDES if len(entries) <= count), _SMALLEST_SIDE)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        cards = []
        for card in pool.map(lambda pair: _card(pair[0], pair[1], side), entries_with_folders):
            cards.append(card)
            on_card(len(cards), len(entries))
    make_folder(target.parent)
    page = _page(cards, entries, side)
    with shared_lock(target.parent):
        replace_page(target, page)
    return target


def latest(entries: Iterable[Entry]) -> list[Entry]:
    """Return the last entry of each output and subject, in the order of the outputs' first entries.

    An entry ``skipped`` does not replace the entry of the same file, which has more information. The failure of
    one subject does not hide the picture of another one with the same output.
    """
    last: dict[tuple[str, str], Entry] = {}
    finished: dict[str, tuple[str, str]] = {}
    for entry in entries:
        key = (entry.output, entry.subject)
        if entry.status != "failed":  # one file has one entry, however its subject is spelled
            key = finished.setdefault(entry.output, key)
        known = last.get(key)
        if known is None or entry.status != "skipped" or known.output_sha256 != entry.output_sha256:
            last[key] = entry
    return list(last.values())


def _page(cards: Sequence[ResultCard], entries: Sequence[Entry], side: int) -> str:
    return render(
        "report.html.j2",
        package="pipeline.jobs",
        cards=cards,
        side=side,
        styles=sorted({card.style for card in cards}),
        counts=Counter(card.status for card in cards),
        stages=_stage_seconds(entries),
        seconds=sum(card.seconds or 0 for card in cards),
        curve_box=f"0 0 {_CURVE_WIDTH} {_CURVE_HEIGHT}",
    )


def _stage_seconds(entries: Sequence[Entry]) -> dict[str, float]:
    """Return the sum of seconds per stage; empty if no entry has timings."""
    recorded = [entry.timings for entry in entries if isinstance(entry.timings, dict)]
    sums = {stage: sum(_number(timings.get(stage)) or 0 for timings in recorded) for stage in _STAGES}
    return sums if any(sums.values()) else {}


def _card(folder: Path, entry: Entry, side: int) -> ResultCard:
    remarks: list[str] = []
    finished = entry.status in {"done", "skipped"}
    # a relative path is relative to the folder in which the run started, often a parent of this one
    subject = Path(str(entry.subject))
    root = folder.absolute()
    paths = [subject] if subject.is_absolute() else [subject, *(path / subject for path in (root, *root.parents))]
    before = _thumbnail(paths, entry.subject_sha256, side, "the subject", remarks)
    after = _thumbnail([folder / entry.output], entry.output_sha256, side, "the output", remarks) if finished else ""
    size = f"{entry.width} x {entry.height}" if finished and entry.width and entry.height else ""
    settings = entry.settings if isinstance(entry.settings, dict) else {}
    return ResultCard(
        name=printable(Path(entry.output).name),
        subject=printable(str(entry.subject)),
        style=printable(entry.style),
        status="done" if finished else "failed",
        error=printable(str(entry.error)) if entry.error else "",
        before=before,
        after=after,
        remarks=tuple(remarks),
        curve=_curve(entry.losses),
        start_loss=_number(entry.start_loss),
        final_loss=_number(entry.final_loss),
        seconds=_number(entry.seconds),
        size=size,
        settings={printable(str(key)): printable(_setting_text(value)) for key, value in settings.items()},
    )


def _setting_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


def _number(value: Any) -> float | None:
    """Return a finite number as float; None for anything else, which a foreign record may have."""
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def _thumbnail(paths: Sequence[Path], sha256: str | None, side: int, what: str, remarks: list[str]) -> str:
    """Return a ``data:`` address with a thumbnail of the first of `paths` that is the recorded file."""
    existing = [path for path in paths if os.path.lexists(path)]
    remark = f"{what} is missing"
    for path in existing:
        try:
            picture = images.load(path, preview=side)
        except StylebankError as error:
            remark = f"{what} cannot be read: {error}"
            continue
        if sha256 is not None and picture.sha256 != sha256:
            remark = f"{what} has changed since the run"
            continue
        small = images.thumbnail(images.composite_on_white(picture.pixels, picture.alpha), side, quality=72)
        return jpeg_uri(small)
    remarks.append(remark)
    return ""


def _curve(losses: Any) -> str:
    """Return the losses as points of a polyline on a logarithmic scale, 60 points at most."""
    if not isinstance(losses, list):
        return ""
    values = [number for number in map(_number, losses) if number is not None]
    if len(values) < 2:
        return ""
    last = len(values) - 1
    indices = sorted({round(index * last / (_CURVE_POINTS - 1)) for index in range(_CURVE_POINTS)})
    heights = [math.log(max(values[index], 1e-12)) for index in indices]
    low, high = min(heights), max(heights)
    spread = (high - low) or 1.0
    return " ".join(
        f"{index / last * _CURVE_WIDTH:.1f},{(high - height) / spread * (_CURVE_HEIGHT - 4) + 2:.1f}"
        for index, height in zip(indices, heights, strict=True)
    )
