"""Subjects decoded ahead of what computes, and not too far ahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs.outputs import Outputs
from pipeline.jobs.run import Run
from stylebank.bank import Bank
from tests.fakes import Stylizer
from tests.jobs.conftest import COUNT, make


def test_decoding_and_encoding_overlap_with_computing(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    stylizer(Stylizer(seen=lambda pixels: time.sleep(0.04)))
    load, save = Run.load, Outputs._save
    threads: set[str] = set()

    def slow_load(self: Run, task: Any) -> Any:
        threads.add(threading.current_thread().name)
        time.sleep(0.03)
        return load(self, task)

    def slow_save(self: Outputs, *arguments: Any) -> Any:
        threads.add(threading.current_thread().name)
        time.sleep(0.03)
        return save(self, *arguments)

    monkeypatch.setattr(Run, "load", slow_load)
    monkeypatch.setattr(Outputs, "_save", slow_save)
    began = time.monotonic()
    entries = make(bank, many, tmp_path / "out")
    wall = time.monotonic() - began
    stages = {
        stage: sum((entry.timings or {})[stage] for entry in entries) for stage in ("decode", "compute", "encode")
    }
    assert sum(stages.values()) > 0.1 * COUNT * 0.95
    assert wall < 0.8 * sum(stages.values())
    assert threading.current_thread().name not in threads


def test_subjects_are_not_all_in_memory_at_once(
    bank: Bank, many: Path, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Any] = []
    load = Run.load
    monkeypatch.setattr(Run, "load", lambda self, task: loaded.append(task) or load(self, task))
    ahead: list[int] = []
    computed: list[int] = []
    stylizer(Stylizer(seen=lambda pixels: (ahead.append(len(loaded) - len(computed)), computed.append(1))[0]))
    make(bank, many, tmp_path / "out")
    assert max(ahead) <= 4
