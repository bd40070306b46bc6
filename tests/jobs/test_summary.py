from __future__ import annotations

import dataclasses

from pipeline.jobs.summary import summary
from tests.jobs.test_record import ENTRY


def test_a_summary_has_errors_rate_and_stages() -> None:
    timings = {"decode": 0.5, "setup": 1.0, "compute": 8.0, "encode": 0.5}
    done = dataclasses.replace(ENTRY, timings=timings, worker="gpu 0")
    failed = dataclasses.replace(ENTRY, status="failed", subject="in/a.jpg", error="in/a.jpg: the file is empty.")
    entries = [
        done,
        dataclasses.replace(done, worker="gpu 1"),
        failed,
        dataclasses.replace(failed, subject="b.jpg", error="b.jpg: the file is empty."),
        dataclasses.replace(ENTRY, status="skipped"),
    ]
    totals = summary(entries, elapsed=18.0)
    assert (totals.done, totals.skipped, totals.failed, totals.per_hour) == (2, 1, 2, 400)
    assert totals.failure_counts == {"the file is empty.": 2}
    text = "\n".join(totals.lines())
    assert "400 images per hour" in text and "2   the file is empty." in text
    assert "compute 16.0" in text and "gpu 0 1, gpu 1 1" in text


def test_many_errors_are_cut_and_the_rest_is_counted() -> None:
    entries = [dataclasses.replace(ENTRY, status="failed", error=f"reason {number}") for number in range(20)]
    lines = summary(entries, elapsed=1.0).lines()
    assert len(lines) < 13 and "and 12 other reasons" in lines[-1]
