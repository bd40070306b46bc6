"""One precision a run: decided once, kept when the run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline.backends import devices as precision
from pipeline.execution.process import DeviceInfo
from pipeline.jobs.apply import prepare
from pipeline.jobs.precision import settle_precision
from pipeline.jobs.run import Run
from stylebank import images
from stylebank.bank import Bank
from tests.conftest import DATA
from tests.jobs.test_apply import QUICK

CPU = DeviceInfo("tensorflow", "cpu")


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the timing find one of the two precisions faster."""

    def let(kind: str) -> None:
        precision._fastest_precision.cache_clear()
        monkeypatch.setattr(precision, "_convolution_seconds", lambda timed: 0.1 if timed == kind else 1.0)

    precision._fastest_precision.cache_clear()
    yield let  # type: ignore[misc]
    precision._fastest_precision.cache_clear()


def test_a_resumed_run_keeps_its_precision_when_the_benchmark_changes(
    bank: Bank, tmp_path: Path, faster: Callable[[str], None]
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("chelsea", "rocket"):
        picture = images.load(DATA / f"subjects/{name}.jpg").pixels
        images.save(tmp_path / f"in/{name}.png", images.resize(picture, (256, 160)), format="png", quality=90)
    out = tmp_path / "out"

    def results(**more: Any) -> list[tuple[str, str]]:
        options = {"size": 256, "steps": 1, "coarse_to_fine": False, "format": "png", **more}
        entries = pipeline.apply(bank, "wave", [tmp_path / "in"], out, **options)
        assert {entry.settings["precision"] for entry in entries} == {"auto"}
        return [(entry.status, entry.precision) for entry in entries]

    faster("bfloat16")
    assert results() == [("done", "bfloat16")] * 2
    whole = (out / "rocket.wave.png").read_bytes()
    faster("float32")
    (out / "rocket.wave.png").unlink()
    assert results() == [("skipped", "bfloat16"), ("done", "bfloat16")]
    assert (out / "rocket.wave.png").read_bytes() == whole
    assert results(overwrite=True) == [("done", "float32")] * 2
    assert hashlib.sha256((out / "rocket.wave.png").read_bytes()).digest() != hashlib.sha256(whole).digest()
    faster("bfloat16")
    assert results() == [("skipped", "float32")] * 2


def _settled(runs: list[Run], machine: DeviceInfo, timed: str = "timed") -> list[str]:
    asked: list[int] = []
    settle_precision(runs, machine, lambda: (asked.append(1), timed)[1])
    assert len(asked) <= 1
    return [run.precision for run in runs]


def test_the_newest_line_with_the_same_settings_and_device_decides_the_precision(
    bank: Bank, photographs: Path, tmp_path: Path
) -> None:
    def run(folder: str, **settings: Any) -> Run:
        return prepare(bank, "wave", [photographs], tmp_path / folder, **{**QUICK, **settings})

    pipeline.apply(bank, "wave", [photographs / "rocket.jpg"], tmp_path / "one", **QUICK)
    record = tmp_path / "one/stylebank.jsonl"
    line = json.loads(record.read_text())
    lines = [
        {"precision": "bfloat16"},
        {"precision": "float32", "device": "gpu"},
        {"precision": "x"},
        {"device": ["cpu"]},
    ]
    record.write_text(
        "".join(json.dumps({**line, "backend": "tensorflow", "device": "cpu", **more}) + "\n" for more in lines)
    )
    assert _settled([run("one")], CPU) == ["bfloat16"]
    assert _settled([run("one")], DeviceInfo("tensorflow", "gpu", 1 << 33)) == ["float32"]
    assert _settled([run("one")], DeviceInfo("jax", "cpu")) == ["timed"]
    assert _settled([run("one", steps=3)], CPU) == ["timed"]
    assert _settled([run("one", overwrite=True)], CPU) == ["timed"]
    assert _settled([run("one", precision="float32")], CPU) == ["float32"]
    # a job that was not come to goes with the one that was
    assert _settled([run("two"), run("one")], CPU) == ["bfloat16", "bfloat16"]
    assert _settled([run("two"), run("three", steps=3)], CPU) == ["timed", "timed"]


def test_the_settled_precision_reaches_workers_and_is_part_of_their_key(
    bank: Bank, photographs: Path, tmp_path: Path
) -> None:
    contexts = []
    for kind in ("float32", "bfloat16"):
        run = prepare(bank, "wave", [photographs], tmp_path / "out", **QUICK)
        settle_precision([run], CPU, lambda kind=kind: kind)  # type: ignore[misc]
        assert run.recorded["precision"] == "auto"
        contexts.append(run.context(remote=True))
    assert [context.settings.precision for context in contexts] == ["float32", "bfloat16"]
    assert contexts[0].key != contexts[1].key
