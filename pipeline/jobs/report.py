"""A page to look a run over: one HTML file from the record, with no server and no network."""

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

from .record import FILE_NAME, Entry, Record

#: Longest side of a thumbnail in pixels: the first for pages of up to so many pictures.
_SIDES = ((100, 320), (300, 220), (1000, 160))
_SMALLEST_SIDE = 112
_CURVE_WIDTH, _CURVE_HEIGHT, _CURVE_POINTS = 120, 36, 60
_STAGES = ("decode", "setup", "compute", "encode")


@dataclass(frozen=True)
class Card:
    """What the page shows of one picture; all text, fit for a terminal and not yet for HTML.

    Attributes
    ----------
    before, after : str
        ``data:`` addresses of thumbnails; empty where there is no picture to show.
    remarks : tuple of str
        What is to be known of the thumbnails: a file missing or changed.
    curve : str
        Points of a polyline in a box of 120 x 36, or empty.
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
        Holds the record, ``stylebank.jsonl``, or folders below it do.
    output
        The page; ``report.html`` in `folder` unless given.
    on_card
        Called with how many pictures are read, and how many there are.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    UsageError
        If there is no record, or `output` is not named as a page.
    OutputRefused
        If the page cannot be written.
    """
    folder = Path(folder)
    target = Path(output) if output is not None else folder / "report.html"
    if target.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"{printable(target)}: not the name of a page. Give --output a name that ends in .html.")
    records = sorted({folder / FILE_NAME, *folder.rglob(FILE_NAME)})
    placed = [(record.parent, entry) for record in records for entry in latest(Record(record.parent).entries())]
    entries = [entry for _folder, entry in placed]
    if not entries:
        raise UsageError(
            f"{printable(folder)}: no record of pictures ({FILE_NAME}). "
            "Give the --output folder of 'stylebank apply' or 'stylebank batch'."
        )
    side = next((side for count, side in _SIDES if len(entries) <= count), _SMALLEST_SIDE)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        cards = []
        for card in pool.map(lambda pair: _card(pair[0], pair[1], side), placed):
            cards.append(card)
            on_card(len(cards), len(entries))
    make_folder(target.parent)
    page = _page(cards, entries, side)
    with shared_lock(target.parent):
        replace_page(target, page)
    return target


def latest(entries: Iterable[Entry]) -> list[Entry]:
    """Return the last line of each output, in the order the outputs first came up.

    That a picture was found made says less of it than the line of its making, which stays.
    """
    last: dict[str, Entry] = {}
    for entry in entries:
        known = last.get(entry.output)
        if known is None or entry.status != "skipped" or known.output_sha256 != entry.output_sha256:
            last[entry.output] = entry
    return list(last.values())


def _page(cards: Sequence[Card], entries: Sequence[Entry], side: int) -> str:
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
    """Seconds by stage over all pictures that say so."""
    told = [entry.timings for entry in entries if isinstance(entry.timings, dict)]
    sums = {stage: sum(_number(timings.get(stage)) or 0 for timings in told) for stage in _STAGES}
    return sums if any(sums.values()) else {}


def _card(folder: Path, entry: Entry, side: int) -> Card:
    remarks: list[str] = []
    made = entry.status in {"done", "skipped"}
    # a subject was named from the folder the run was started in, which is often one above
    subject = Path(str(entry.subject))
    whole = folder.absolute()
    places = [subject] if subject.is_absolute() else [subject, *(place / subject for place in (whole, *whole.parents))]
    before = _thumbnail(places, entry.subject_sha256, side, "the subject", remarks)
    after = _thumbnail([folder / entry.output], entry.output_sha256, side, "the output", remarks) if made else ""
    size = f"{entry.width} x {entry.height}" if made and entry.width and entry.height else ""
    settings = entry.settings if isinstance(entry.settings, dict) else {}
    return Card(
        name=printable(Path(entry.output).name),
        subject=printable(str(entry.subject)),
        style=printable(entry.style),
        status="done" if made else "failed",
        error=printable(str(entry.error)) if entry.error else "",
        before=before,
        after=after,
        remarks=tuple(remarks),
        curve=_curve(entry.losses),
        start_loss=_number(entry.start_loss),
        final_loss=_number(entry.final_loss),
        seconds=_number(entry.seconds),
        size=size,
        settings={printable(str(key)): printable(_shown(value)) for key, value in settings.items()},
    )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


def _number(value: Any) -> float | None:
    """Return a finite number as it is; anything else, as in a foreign record, is none."""
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def _thumbnail(places: Sequence[Path], sha256: str | None, side: int, what: str, remarks: list[str]) -> str:
    """Return a small JPEG of the first of `places` that is there and is the file recorded."""
    there = [place for place in places if os.path.lexists(place)]
    remark = f"{what} is not where it was"
    for place in there:
        try:
            picture = images.load(place, preview=side)
        except StylebankError as error:
            remark = f"{what} cannot be read: {error}"
            continue
        if sha256 is not None and picture.sha256 != sha256:
            remark = f"{what} was changed since"
            continue
        small = images.thumbnail(images.composite_on_white(picture.pixels, picture.alpha), side, quality=72)
        return jpeg_uri(small)
    remarks.append(remark)
    return ""


def _curve(losses: Any) -> str:
    """Losses as points of a polyline, their logarithm downwards; at most 60 of them."""
    if not isinstance(losses, list):
        return ""
    known = [number for number in map(_number, losses) if number is not None]
    if len(known) < 2:
        return ""
    last = len(known) - 1
    places = sorted({round(index * last / (_CURVE_POINTS - 1)) for index in range(_CURVE_POINTS)})
    heights = [math.log(max(known[place], 1e-12)) for place in places]
    low, high = min(heights), max(heights)
    spread = (high - low) or 1.0
    return " ".join(
        f"{place / last * _CURVE_WIDTH:.1f},{(high - height) / spread * (_CURVE_HEIGHT - 4) + 2:.1f}"
        for place, height in zip(places, heights, strict=True)
    )
