"""The state of an output folder: finished, failed, left, and the runs that write into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import pipeline
from pipeline.jobs.leases import joined
from pipeline.jobs.status import state, status
from stylebank.bank import Bank
from stylebank.errors import UsageError
from tests.fakes import Stylizer
from tests.jobs.conftest import COUNT, make


def test_pictures_are_counted_by_the_record_and_failures_by_reason(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    stylizer(Stylizer())
    whole = (many / "00.png").read_bytes()
    for name in ("00.png", "01.png"):
        (many / name).write_bytes(b"")
    make(bank, many, tmp_path / "out")
    (tmp_path / "out/05.wave.png").unlink()
    (now,) = status(tmp_path)
    assert (len(now.done), len(now.failed), now.missing, now.runs, now.last) == (COUNT - 3, 2, 1, [], None)
    assert list(now.reasons.values()) == [2] and "the file is empty" in next(iter(now.reasons))
    (many / "00.png").write_bytes(whole)
    make(bank, many, tmp_path / "out")
    (now,) = status(tmp_path / "out")
    assert (len(now.done), len(now.failed), now.missing) == (COUNT - 1, 1, 0)


def test_a_run_shows_how_far_it_is_while_it_works_and_after_it_was_stopped(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    stylizer(Stylizer())

    def stop(progress: pipeline.Progress) -> None:
        if progress.kind == "begin" and progress.number == 10:
            (now,) = status(tmp_path / "out")
            assert [state(run) for run in now.runs] == ["working"] and now.runs[0].counts["total"] == COUNT
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(bank, many, tmp_path / "out", listener=stop)
    (now,) = status(tmp_path / "out")
    assert now.last is not None and state(now.last) == "ended early" and now.known_runs == [now.last]
    assert now.left == COUNT - len(now.done) and now.is_unfinished
    assert now.last.counts["total"] == COUNT and 0 < now.last.counts["done"] == len(now.done) < COUNT
    plain = now.to_dict()
    assert (plain["done"], plain["failed"]) == (len(now.done), 0)
    assert plain["runs"][0]["state"] == "ended early" and plain["runs"][0]["counts"]["total"] == COUNT


def test_a_folder_in_which_a_run_has_just_begun_has_a_status_and_an_empty_one_has_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no record of pictures"):
        status(tmp_path)
    with joined(tmp_path / "out"):
        (now,) = status(tmp_path)
        assert now.folder == tmp_path / "out" and len(now.runs) == 1


def test_pictures_of_other_settings_that_are_finished_do_not_hide_those_that_are_left(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer]
) -> None:
    stylizer(Stylizer())
    out = tmp_path / "out"
    make(bank, many, out)

    def stop(progress: pipeline.Progress) -> None:
        if progress.kind == "end" and progress.number == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(bank, many, out, steps=3, listener=stop)
    (now,) = status(out)
    assert now.left == 2 * COUNT - len(now.done) > 0 and now.is_unfinished
    with joined(out) as stopped:  # it only saw what was finished, and another one does the rest
        stopped.count(total=COUNT, skipped=len(now.done) - COUNT)
        make(bank, many, out, steps=3)
    (now,) = status(out)
    assert len(now.done) == 2 * COUNT and now.left == 0 and not now.is_unfinished
