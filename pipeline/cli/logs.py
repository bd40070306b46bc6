"""Messages of the commands: Python's `logging`, printed on stderr as plain lines or, with ``--log-json``, as JSON."""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..jobs.events import Progress

#: Loggers that the commands print; a host program can have handlers of them, too.
LOGGERS = ("stylebank", "pipeline")
_logger = logging.getLogger("stylebank")
_PREFIXES = {logging.DEBUG: "detail: ", logging.INFO: "note: ", logging.WARNING: "Warning: ", logging.ERROR: "Error: "}
#: Prefixes of plain lines by the event, where the level does not decide.
_EVENT_PREFIXES = {"message": "", "summary": "", "interrupted": "", "measure": ""}
_SECONDS_BETWEEN_STEPS = 10.0
_VERBOSE_SECONDS_BETWEEN_STEPS = 1.0


def log(level: int, event: str, text: str, **fields: Any) -> None:
    """Log a message.

    Parameters
    ----------
    level
        Level of `logging`.
    event
        Name of the event.
    **fields
        Fields of the JSON line beside time, level, event and message.
    """
    _logger.log(level, "%s", text, extra={"event": event, "fields": fields})


def configure(*, verbose: bool = False, quiet: bool = False, as_json: bool = False) -> None:
    """Set what the handler of `handled` prints, and how.

    Parameters
    ----------
    verbose, quiet
        Print details too, or warnings and errors only.
    as_json
        Print one JSON object a line.
    """
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    _handler.as_json = as_json
    _handler.threshold = level
    _handler.steps_between = _VERBOSE_SECONDS_BETWEEN_STEPS if verbose else _SECONDS_BETWEEN_STEPS
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG if as_json and not quiet else level)


def is_json() -> bool:
    """Return whether messages are printed as JSON."""
    return _handler.as_json


@contextlib.contextmanager
def handled(*, as_json: bool = False) -> Iterator[None]:
    """Print the messages on stderr; restore the loggers on exit."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.level, logger.propagate) for logger in loggers]
    configure(as_json=as_json)
    for logger in loggers:
        logger.addHandler(_handler)
        logger.propagate = False  # libraries add handlers to the root, which would print a message twice
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(_handler)
            logger.setLevel(level)
            logger.propagate = propagate


class _Handler(logging.Handler):
    """Prints records on stderr. Plain lines leave out the events of a run, which the console shows."""

    def __init__(self) -> None:
        super().__init__()
        self.as_json = False
        self.threshold = logging.INFO
        self.steps_between = _SECONDS_BETWEEN_STEPS
        self._next_step = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        progress: Progress | None = getattr(record, "progress", None)
        if progress is not None and progress.kind == "step":  # a step is for debugging, but one now and then is not
            if self.as_json and self._is_due():
                _print(_json_line(record, progress))
        elif record.levelno >= self.threshold and self.as_json:
            _print(_json_line(record, progress))
        elif record.levelno >= self.threshold and progress is None:
            _print(_plain_line(record))

    def _is_due(self) -> bool:
        """Return whether a step is to be printed: one now and then."""
        now = time.monotonic()
        if now < self._next_step:
            return False
        self._next_step = now + self.steps_between
        return True


def _print(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # a message that cannot be printed ends no run
        click.echo(line, err=True)


def _plain_line(record: logging.LogRecord) -> str:
    prefix = _EVENT_PREFIXES.get(getattr(record, "event", ""), _PREFIXES.get(record.levelno, ""))
    return prefix + record.getMessage()


def _json_line(record: logging.LogRecord, progress: Progress | None) -> str:
    time_utc = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
    content: dict[str, Any] = {
        "time": time_utc.isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": getattr(record, "event", record.levelname.lower()),
        "message": record.getMessage(),
    }
    content |= getattr(record, "fields", {}) if progress is None else _fields(progress)
    return json.dumps({key: _finite(value) for key, value in content.items()})


def _fields(progress: Progress) -> dict[str, Any]:
    if progress.subject is None:
        return {}
    fields: dict[str, Any] = {"subject": str(progress.subject), "number": progress.number, "total": progress.total}
    if progress.kind == "step":
        fields |= {"step": progress.step, "steps": progress.steps, "loss": progress.loss}
    entry = progress.entry
    if entry is not None:
        fields |= {"status": entry.status, "output": entry.output, "loss": entry.final_loss}
        fields |= {"seconds": entry.seconds, "error": entry.error, "worker": entry.worker}
    fields["seconds_left"] = progress.seconds_left
    return {key: value for key, value in fields.items() if value is not None}


def _finite(value: Any) -> Any:
    """Return None for a number that JSON lacks."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


_handler = _Handler()
