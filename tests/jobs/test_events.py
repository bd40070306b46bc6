from __future__ import annotations

import logging
from pathlib import Path

import pytest

import pipeline
from pipeline.jobs import events
from pipeline.jobs.events import Finished, Notice, Progress, Started, Stepped


def test_the_time_left_goes_by_cost_and_not_by_the_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    clock = events.EtaEstimator(total=40)
    assert clock.seconds_left() is None
    now[0] = 150  # setting up
    clock.start(current=1)
    assert clock.seconds_left(1) is None
    now[0] = 152
    assert clock.seconds_left(2) == pytest.approx(2 * 38)
    clock.finished(10)
    now[0] = 168
    assert clock.seconds_left() == pytest.approx(2 * 30)
    clock.finished(10, counted=False)  # it took no time
    assert clock.seconds_left() == pytest.approx(2 * 20)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (Started(number=1), "begin"),
        (Stepped(step=3), "step"),
        (Finished(), "end"),
        (Notice(text="a"), "note"),
        (Notice(text="a", verbose=True), "detail"),
    ],
)
def test_a_listener_can_read_the_kind_and_every_field_of_every_event(event: Progress, kind: str) -> None:
    assert isinstance(event, pipeline.Progress) and event.kind == kind
    assert event.entry is None and event.subject is None and event.together == 1
    assert event.text == ("a" if isinstance(event, Notice) else "")
    with pytest.raises(AttributeError):
        event.step = 1  # type: ignore[misc]


def test_a_host_program_catches_events_by_logging(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Progress] = []
    listener = events.logged(seen.append)
    sent = [
        Notice(text="a note"),
        Notice(text="a detail", verbose=True),
        Started(subject=Path("in/a.png"), number=1, total=2),
        Stepped(subject=Path("in/a.png"), step=3, steps=40, loss=0.25),
    ]
    with caplog.at_level(logging.DEBUG, "stylebank"):
        for event in sent:
            listener(event)
    assert seen == sent
    assert [(record.name, record.levelname, record.message) for record in caplog.records] == [
        ("stylebank", "INFO", "a note"),
        ("stylebank", "DEBUG", "a detail"),
        ("stylebank", "INFO", "a.png: started"),
        ("stylebank", "DEBUG", "a.png: step 3 of 40, loss 0.25"),
    ]
    assert [vars(record)["progress"] for record in caplog.records] == sent


@pytest.mark.parametrize("name", ["stylebank", "pipeline"])
def test_a_library_prints_nothing_unasked(name: str) -> None:
    assert [type(handler) for handler in logging.getLogger(name).handlers] == [logging.NullHandler]
