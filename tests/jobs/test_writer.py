"""Lines that the writer adds to the record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pipeline
from pipeline.jobs.writer import Writer
from stylebank.bank import Bank
from tests.jobs.test_apply import QUICK


def test_a_line_has_the_losses_and_the_timings(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    (entry, *_rest) = pipeline.apply(bank, "wave", [photographs], tmp_path / "out", **QUICK)
    assert entry.losses is not None and len(entry.losses) == entry.steps
    assert entry.losses[-1] == pytest.approx(entry.final_loss, rel=0.1) and entry.losses[0] > entry.losses[-1]
    assert entry.timings is not None and set(entry.timings) == {"decode", "setup", "compute", "encode"}
    assert sum(entry.timings.values()) == pytest.approx(entry.seconds, abs=0.01)
    assert entry.weights_sha256 == bank.header("wave").fingerprint.weights_sha256
    line = json.loads((tmp_path / "out/stylebank.jsonl").read_text().splitlines()[0])
    assert "losses" not in line and "worker" not in line
    losses = json.loads((tmp_path / "out/stylebank.losses.jsonl").read_text().splitlines()[0])
    assert losses == {"output_sha256": entry.output_sha256, "losses": entry.losses}


def test_a_report_that_a_signal_interrupts_is_not_lost() -> None:
    calls: list[int] = []

    def on_written(pairs: list[object]) -> None:
        calls.append(len(pairs))
        if len(calls) == 1:
            raise KeyboardInterrupt

    with Writer(on_written) as writer:
        writer.record([])
        with pytest.raises(KeyboardInterrupt):
            writer.drain(wait=True)
        writer.drain(wait=True)
        writer.drain(wait=True)
    assert calls == [0, 0]


def test_a_report_that_raises_an_error_is_not_repeated() -> None:
    calls: list[int] = []

    def on_written(pairs: list[object]) -> None:
        calls.append(len(pairs))
        raise ValueError

    with Writer(on_written) as writer:
        writer.record([])
        with pytest.raises(ValueError):
            writer.drain(wait=True)
        writer.drain(wait=True)
    assert calls == [0]
