"""Who computes, and workers that die: in a pool of processes, and in a real Dask cluster of this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.execution.dask_executor import Cluster
from pipeline.execution.executors import Here, choose_crew
from pipeline.execution.messages import RETRIES, Outcome
from pipeline.execution.process_executor import Pool
from stylebank.errors import UsageError
from tests.fakes import DEADLY, DEADLY_ONCE, chunks, deadly_work, parcel

CREWS: dict[str, Callable[[], Any]] = {"pool": lambda: Pool(2), "cluster": lambda: Cluster("local", 2)}


@pytest.fixture
def met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLEBANK_TEST_FOLDER", str(tmp_path))
    return tmp_path


def made_by(kind: str, values: list[float], most: int = 1) -> dict[int, Any]:
    crew = CREWS[kind]()
    crew.work = deadly_work
    style = parcel()
    with crew:
        outcomes: list[Outcome] = list(crew.outcomes(((style, chunk) for chunk in chunks(values, most)), print))
    made = [pair for outcome in outcomes for pair in outcome.made.items()]
    assert len(made) == len(dict(made)), "a picture came twice"
    return dict(made)


@pytest.mark.parametrize("kind", CREWS)
def test_a_dead_worker_stops_nothing_and_a_deadly_picture_is_tried_twice_more_and_reported(
    kind: str, met: Path
) -> None:
    values = [float(value) for value in range(20, 28)]
    values[2], values[5] = DEADLY, DEADLY_ONCE
    made = made_by(kind, values)
    assert sorted(made) == list(range(1, 9))
    assert f"died each of {RETRIES + 1} times" in made[3].error and "smaller --size" in made[3].error
    for number, value in enumerate(values, start=1):
        if number != 3:
            assert made[number].error == "" and np.all(made[number].pixels == value)
    assert (met / "met3").read_bytes() == b"." * (1 + RETRIES)


@pytest.mark.parametrize("kind", CREWS)
def test_the_others_of_a_deadly_batch_are_made(kind: str, met: Path) -> None:
    made = made_by(kind, [1, 2, DEADLY, 4, 5, 6, 7], most=4)
    assert sorted(made) == list(range(1, 8))
    assert [number for number, one in made.items() if one.error] == [3]


@pytest.mark.parametrize("kind", CREWS)
def test_what_travels_comes_back_whole_and_two_processes_share_it(kind: str, met: Path) -> None:
    made = made_by(kind, [float(value) for value in range(20, 60)])
    assert [float(made[number].pixels.mean()) for number in range(1, 41)] == [float(value) for value in range(20, 60)]
    assert all(one.steps == 1 for one in made.values())  # the style's arrays were there


def test_who_computes_is_chosen_by_what_is_asked_for() -> None:
    assert isinstance(choose_crew(), Here) and isinstance(choose_crew(1), Here)
    assert isinstance(choose_crew(devices=["0"]), Here)
    assert choose_crew(3).workers == 3
    pool = choose_crew(devices=(0, 1))
    assert isinstance(pool, Pool) and pool.workers == 2
    assert isinstance(choose_crew(cluster="tcp://10.0.0.1:8786"), Cluster)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"jobs": 0}, "jobs 0: expected 1"),
        ({"devices": ["0", "0"]}, "each once"),
        ({"devices": ["gpu"]}, "numbers of GPUs"),
        ({"devices": [0, 1], "jobs": 3}, "one process a device"),
        ({"cluster": "somewhere"}, "expected 'local', or a scheduler's"),
        ({"cluster": "local", "devices": [0]}, "exclude each other"),
    ],
)
def test_what_cannot_compute_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choose_crew(**given)


def test_a_device_is_one_of_those_there_are() -> None:
    assert choose_crew(device="auto").workers == 1
    assert choose_crew(2, device="cpu").workers == 2
    assert choose_crew(device="gpu:1")._place.devices == ("1",)
    with pytest.raises(UsageError, match=r"device tpu: expected auto, cpu, gpu"):
        choose_crew(device="tpu")
    with pytest.raises(UsageError, match="exclude each other"):
        choose_crew(devices=["0"], device="cpu")
