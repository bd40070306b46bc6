"""Summary of a run: images by status, throughput, and time by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stylebank.errors import printable

from .record import Entry

#: Keys of `Entry.timings` and their labels.
STAGES = {"decode": "decode", "setup": "set-up", "compute": "compute", "encode": "encode"}


@dataclass(frozen=True)
class Summary:
    """Totals of a run.

    Attributes
    ----------
    done, skipped, failed : int
    failure_counts : Counter of str
        Images by error, without their names.
    elapsed : float
        Wall-clock seconds of the run.
    stages : dict of str to float
        Seconds by stage, summed over images and workers. Stages overlap.
    workers : Counter of str
        Images by worker; empty if this process computed them.
    """

    done: int
    skipped: int
    failed: int
    failure_counts: Counter[str]
    elapsed: float
    stages: dict[str, float]
    workers: Counter[str]

    @property
    def per_hour(self) -> float:
        """Images per hour."""
        return 3600 * self.done / self.elapsed if self.elapsed > 0 else 0.0

    def lines(self) -> list[str]:
        """Return the summary as a table."""
        rows = [("done", f"{self.done:>7,}   {self.per_hour:,.0f} images per hour" if self.done else f"{0:>7}")]
        rows += [
            (name, f"{count:>7,}") for name, count in (("skipped", self.skipped), ("failed", self.failed)) if count
        ]
        rows += [("", f"{count:>7,}   {reason}") for reason, count in self.failure_counts.most_common(_MOST_REASONS)]
        rest = len(self.failure_counts) - _MOST_REASONS
        if rest > 0:
            rows.append(("", f"{'':>7}   and {rest} other reasons, in the record"))
        if self.done:
            spent = ", ".join(f"{STAGES[stage]} {seconds:.1f}" for stage, seconds in self.stages.items())
            rows.append(("seconds", f"{self.elapsed:>7.1f}   elapsed; by stage, overlapping: {spent}"))
        if len(self.workers) > 1:
            counts = ", ".join(f"{printable(name)} {count}" for name, count in sorted(self.workers.items()))
            rows.append(("workers", f"{len(self.workers):>7}   {counts}"))
        return [f"{name:<8}{text}".rstrip() for name, text in rows]


_MOST_REASONS = 8


def summary(entries: Sequence[Entry], elapsed: float) -> Summary:
    """Return the summary of the entries of a run that took `elapsed` seconds."""
    counts = Counter(entry.status for entry in entries)
    done = [entry for entry in entries if entry.status == "done"]
    return Summary(
        counts["done"],
        counts["skipped"],
        counts["failed"],
        Counter(failure_reason(entry) for entry in entries if entry.status == "failed"),
        elapsed,
        {stage: sum((entry.timings or {}).get(stage, 0.0) for entry in done) for stage in STAGES},
        Counter(entry.worker for entry in done if entry.worker),
    )


def failure_reason(entry: Entry) -> str:
    """Return an error without the image's name, so that equal reasons count together."""
    reason = entry.error or "no reason given"
    for prefix in (entry.subject, entry.output):
        shown = printable(prefix)
        if shown in reason:
            reason = reason.split(shown, 1)[1]
    return reason.lstrip(": ") or "no reason given"


def format_duration(seconds: float) -> str:
    """Return seconds as ``M:SS``, or ``H:MM:SS`` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
