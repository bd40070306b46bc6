"""The jobs with their changes, which every open page waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

import msgspec

from .model import DONE, RUNNING, WAITING, Job


class Board:
    """Jobs in the order of their arrival, with a version that grows with each change.

    Attributes
    ----------
    jobs : dict of str to Job
    version : int
    bank_version : int
        Grows when the page has changed the bank.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.version = 1
        self.bank_version = 0
        self._versions = dict.fromkeys(self.jobs, 1)
        self._changed = asyncio.Event()

    def note(self, *jobs: Job) -> None:
        """Tell the pages that these jobs have changed, or that one is gone."""
        self.version += 1
        self._versions.update((job.id, self.version) for job in jobs)
        for gone in self._versions.keys() - self.jobs.keys():
            del self._versions[gone]
        self.wake()

    def wake(self) -> None:
        """Let all pages look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changes(self, since: int, seconds: float) -> dict[str, Any]:
        """Wait for a change, at most some seconds; return the jobs that changed since a version, and all that are left.

        Changes in quick succession come together, so that a slow page is not behind.
        """
        if self.version <= since:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)
        jobs = [job for job in self.jobs.values() if self._versions[job.id] > since]
        return {
            "version": self.version,
            "bank": self.bank_version,
            "ids": list(self.jobs),
            "jobs": [self.shown(job) for job in jobs],
        }

    def shown(self, job: Job) -> dict[str, Any]:
        """Return a job as the page gets it, with the seconds until it is finished as ``wait``."""
        return {**msgspec.to_builtins(job), "wait": self._wait(job)}

    def _wait(self, job: Job) -> float | None:
        """Estimate the seconds until a waiting job is finished, from those before it; None without experience."""
        finished = [each for each in self.jobs.values() if each.state == DONE and each.cost]
        if job.state != WAITING or not finished:
            return None
        rate = finished[-1].seconds / finished[-1].cost
        seconds = 0.0
        for each in self.jobs.values():
            if each.state == RUNNING:
                seconds += each.cost * rate if each.seconds_left is None else each.seconds_left
            elif each.state == WAITING:
                seconds += each.cost * rate
            if each is job:
                break
        return seconds
