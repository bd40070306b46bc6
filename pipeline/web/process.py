"""The process that computes, as the server sees it: one job at a time, ended within seconds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from stylebank.errors import StylebankError

from .model import STOPPED
from .worker import Order

COMMAND = (sys.executable, "-m", "pipeline.web.worker")
#: Seconds in which a job may end by itself before its process is killed.
GRACE_SECONDS = 2.0
_LINE_BYTES = 1 << 20


class ProcessEnded(StylebankError):
    """The process ended in the middle of a job."""


class Process:
    """A process that computes, started with its first job.

    Parameters
    ----------
    command
        Its command line.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._job = ""
        self._stopped = ""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """Number of the process; None if none runs."""
        return self._process.pid if self._process is not None else None

    async def compute(self, order: Order, on_event: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Compute a job, and return the fields of its ``end``.

        Parameters
        ----------
        on_event
            Called with the other events.

        Raises
        ------
        ProcessEnded
            If the process ends, or is killed because a stop takes too long.
        """
        self._job = order.id
        try:
            process = await self._started()
            if self.was_stopped(order.id):  # before there was anything to stop
                return {"status": STOPPED}
            await self._send(order)
            assert process.stdout is not None
            while line := await process.stdout.readline():
                event: dict[str, Any] = msgspec.json.decode(line)
                if event.get("id") != order.id:
                    continue
                if event["event"] == "end":
                    return event
                on_event(event)
            code = await process.wait()
            await self._dispose()
            raise ProcessEnded(_ending(code))
        except asyncio.CancelledError:
            await self.close()
            raise
        finally:
            self._job = ""
            self._cancel_timer()

    async def stop(self, identifier: str) -> None:
        """End a job at its next step; kill the process if that takes more than `GRACE_SECONDS`."""
        self._stopped = identifier
        if identifier == self._job and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._kill)
            await self._send(Order(do="stop", id=identifier))

    def was_stopped(self, identifier: str) -> bool:
        """Return whether the last call of `stop` was about this job."""
        return self._stopped == identifier

    async def take(self, identifier: str) -> None:
        """Let a job end with the picture of its last step."""
        if identifier == self._job:
            await self._send(Order(do="take", id=identifier))

    async def close(self) -> None:
        """End the process."""
        self._cancel_timer()
        self._kill()
        await self._dispose()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is not None:
            await self._dispose()
        if self._process is None:
            root = str(Path(__file__).resolve().parents[2])  # also from a clone that is not installed
            path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
                limit=_LINE_BYTES,
                start_new_session=True,  # Ctrl-C in a terminal is for the server alone
            )
        return self._process

    async def _send(self, order: Order) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(msgspec.json.encode(order) + b"\n")
                await process.stdin.drain()

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _dispose(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.wait()
            if process.stdin is not None:
                process.stdin.close()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _ending(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return (
            f"The process that computes was ended by {name}. "
            "If nobody ended it, the memory is used up: choose a smaller size."
        )
    return f"The process that computes ended with code {code}. The terminal of the server may say why."
