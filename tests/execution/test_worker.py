"""What a worker keeps, and how it settles on a machine that it shares."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.backends.timing import preparing_seconds
from pipeline.execution import process, worker
from pipeline.execution.messages import Chunk, Parcel
from pipeline.jobs.apply import prepare
from stylebank.bank import Bank
from tests import fakes

HERE = process.Place(os.getpid())


@pytest.fixture
def parcel(bank: Bank, photographs: Path, tmp_path: Path) -> Parcel:
    worker.forget()
    return prepare(bank, "wave", [photographs], tmp_path / "out", size=64, steps=1).parcel(elsewhere=True)


def _chunk(number: int = 1, side: int = 64) -> Chunk:
    subject = np.random.default_rng(0).uniform(0, 255, (side, side, 3)).astype(np.float32)
    return Chunk((number,), [subject])


def test_a_style_is_set_up_once_and_the_packaged_weights_are_found(
    parcel: Parcel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.synthesis import stylizer as synthesis

    built: list[object] = []
    before = synthesis.Stylist.__init__

    def counted(self: object, *arguments: object) -> None:
        built.append(self)
        before(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(synthesis.Stylist, "__init__", counted)
    assert parcel.weights is None
    outcomes = [worker.work(HERE, parcel, _chunk(number)) for number in (1, 2)]
    assert len(built) == 1
    for number, outcome in enumerate(outcomes, start=1):
        made = outcome.made[number]
        assert made.error == "" and made.pixels is not None and made.pixels.shape == (64, 64, 3)
        assert made.losses and made.final_loss < made.start_loss
        assert outcome.machine["backend"] and outcome.machine["device"] in {"cpu", "gpu"}
    for key in ("second", "third"):
        worker.work(HERE, dataclasses.replace(parcel, key=key), _chunk())
    assert len(built) == 3 and len(worker._stylists) == 2
    worker.forget()


def test_compiling_counts_as_setting_up_and_once(parcel: Parcel, monkeypatch: pytest.MonkeyPatch) -> None:
    from keras import ops

    from pipeline.backends import compile as compiling

    class Slow(fakes.Stylist):
        def stylise(self, subject: Any, **more: Any) -> Any:
            compiled(ops.convert_to_tensor(subject))
            compiled(ops.convert_to_tensor(subject))
            time.sleep(0.2)
            return super().stylise(subject, **more)

    def traced(at: Any) -> Any:
        time.sleep(0.6)  # Python runs where it is compiled, and never again
        return at * 2

    compiled = compiling.compile_function(traced)
    stylist = Slow()
    monkeypatch.setattr(worker, "_set_up", lambda parcel: stylist)
    first, second = (worker.work(HERE, parcel, _chunk()) for _ in range(2))
    assert first.setup > 0.5 and first.setup - second.setup > 0.4
    assert first.compute >= 0.2 and second.compute >= 0.2


def test_the_styles_own_work_counts_as_setting_up(parcel: Parcel) -> None:
    from pipeline.synthesis.losses import functional as distance

    gaussian = next(iter(parcel.styles[0].scales.values()))["conv3_1"]
    before, began = preparing_seconds(), time.perf_counter()
    distance.layer_target(gaussian)
    spent = time.perf_counter() - began
    assert 0 < preparing_seconds() - before <= spent
    outcomes = [worker.work(HERE, parcel, _chunk()) for _ in range(2)]
    assert outcomes[0].setup > outcomes[1].setup
    worker.forget()


def test_weights_that_are_nowhere_are_everybodys_error(parcel: Parcel) -> None:
    outcome = worker.work(HERE, dataclasses.replace(parcel, key="x", weights_sha256="0" * 64), _chunk())
    assert outcome.fatal is not None and "000" in outcome.fatal[0] and outcome.made == {}


def test_a_subject_that_cannot_be_made_fails_alone(parcel: Parcel) -> None:
    subjects = [*_chunk().subjects, np.zeros((10, 200, 3), np.float32)]
    outcome = worker.work(HERE, parcel, Chunk((1, 2), subjects))
    assert outcome.made[1].error == "" and "needs at least" in outcome.made[2].error


def test_pictures_on_the_way_come_back_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_set_up", lambda parcel: fakes.Stylist())
    chunk = dataclasses.replace(_chunk(), every=1)
    way = worker.work(HERE, fakes.parcel(), chunk).made[1].way
    assert [step for step, _pixels in way] == [1, 2] and way[0][1].dtype == np.uint8
