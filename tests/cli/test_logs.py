"""Messages as JSON, and Python's logging behind them."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import logs
from pipeline.jobs.events import Stepped
from pipeline.settings import SynthesisSettings
from tests.cli.conftest import NAMES, apply, command
from tests.conftest import Result
from tests.fake_cli import LIGHT

Run = Callable[..., Result]
STEPS = SynthesisSettings().steps


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_log_json_prints_one_event_a_line(folder: Path) -> None:
    (folder / "in/text.png").write_text("no picture")
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
    result = command(folder, "", "--log-json", "apply", "--style", "wave", "in", "-o", "out", *LIGHT)
    printed = events(result.stderr)
    assert result.returncode == 1
    times = [datetime.datetime.fromisoformat(event["time"]) for event in printed]
    assert times == sorted(times) and before < times[0] and times[0].utcoffset() == datetime.timedelta(0)
    finished = {event["subject"]: event for event in printed if event["event"] == "end"}
    assert {subject: event["status"] for subject, event in finished.items()} == {
        **{f"in/{name}.png": "done" for name in NAMES},
        "in/text.png": "failed",
    }
    done, failed = finished["in/a.png"], finished["in/text.png"]
    assert (done["output"], done["level"]) == ("a.wave.jpg", "info")
    assert done["loss"] == pytest.approx(1 / STEPS)  # the fake loses 1 / step
    assert failed["level"] == "error" and failed["message"] == failed["error"]
    assert {event["total"] for event in printed if event["event"] == "begin"} == {4}
    first_step = next(event for event in printed if event["event"] == "step")
    assert (first_step["loss"], first_step["step"], first_step["steps"]) == (1.0, 1, STEPS)
    counts = {"done": 3, "failed": 1, "skipped": 0, "total": 4}
    assert printed[-1] | {"event": "summary", **counts} == printed[-1]


def test_log_json_is_set_by_the_environment_and_quiet_leaves_errors(folder: Path) -> None:
    (folder / "in/text.png").write_text("no picture")
    result = command(folder, "", "-q", "apply", "--style", "wave", "in", "-o", "out", *LIGHT, STYLEBANK_LOG_JSON="1")
    assert [(event["event"], event["status"]) for event in events(result.stderr)] == [("end", "failed")]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["show", "nobody"], 2, "style 'nobody' is not in the bank"),
        (["show"], 2, "Missing argument 'NAME'"),
        (["--nosuch"], 2, "No such option"),
        (["nosuch"], 2, "No such command 'nosuch'"),
        (["apply", "--nosuch"], 2, "No such option"),
    ],
)
def test_errors_are_events_with_their_exit_code(run: Run, arguments: list[str], code: int, text: str) -> None:
    result = run("--log-json", *arguments)
    (event,) = events(result.stderr)
    assert (result.code, event["event"], event["level"], event["exit_code"]) == (code, "error", "error", code)
    assert text in event["message"]


def test_what_no_json_has_stays_parsable(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.handled():
        logs.configure(as_json=True)
        logs.log(logging.INFO, "message", "two\nlines \x1b \udc80 ä", loss=float("nan"))
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and line.isascii()
    (event,) = events(line)
    assert event["message"] == "two\nlines \x1b \udc80 ä" and event["loss"] is None


def test_steps_are_printed_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    logger = logging.getLogger("stylebank")
    with logs.handled():
        logs.configure(as_json=True)
        for step in range(1, 41):
            now[0] += 1
            progress = Stepped(subject=Path("a.png"), step=step, steps=40, loss=0.5)
            logger.debug("a step", extra={"event": "step", "progress": progress})
    assert [event["step"] for event in events(capsys.readouterr().err)] == [1, 11, 21, 31]


def test_the_loggers_are_left_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    def state() -> list[Any]:
        loggers = [logging.getLogger(name) for name in logs.LOGGERS]
        return [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]

    before = state()
    with logs.handled():
        assert state() != before
        logging.getLogger("pipeline.execution").warning("a warning of a library")
    assert state() == before
    assert capsys.readouterr().err == "Warning: a warning of a library\n"


def test_plain_lines_stay_as_they_are(folder: Path) -> None:
    lines = apply(folder, "").stderr.splitlines()
    (line,) = [line for line in lines if "a.png" in line]
    assert line.startswith(f"[1/3] a.png: a.wave.jpg, 512 x 427, loss 1 -> {1 / STEPS:g} in ")
    assert lines[-1] == "3 done"
