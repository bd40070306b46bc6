from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.execution import worker
from pipeline.vgg.weights import Weights
from tests.bench import engine, farm, quality_time, timing
from tests.bench.__main__ import _Parts, main
from tests.bench.reference import Reference
from tests.conftest import cosine

_FILE = Path(__file__).parents[1] / "data" / "original_reference.npz"


def test_the_reference_is_the_original_program(vgg: Weights) -> None:
    with np.load(_FILE, allow_pickle=False) as file:
        losses, gradient = Reference(vgg, file["style"].astype(np.float32))(file["subject"].astype(np.float32))
        np.testing.assert_allclose(losses, file["layer_loss"], rtol=0.01)
        assert losses.sum() == pytest.approx(float(file["loss"]), rel=0.001)
        assert cosine(gradient, file["gradient"]) > 0.9999


def test_the_parts_that_are_there_are_listed_and_loaded_when_named() -> None:
    listed = CliRunner().invoke(main, ["--help"])
    assert listed.exit_code == 0
    assert "engine" in listed.output and "time-to-quality" in listed.output
    assert "--rounds" in CliRunner().invoke(main, ["engine", "--help"]).output
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2


def test_every_part_runs_and_writes_into_one_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @click.command()
    @timing.json_option
    def part(output: Path | None) -> None:
        click.echo("a table")
        timing.write(output, {"figure": 2})

    monkeypatch.setattr(_Parts, "list_commands", lambda self, context: ["one", "other"])
    monkeypatch.setattr(_Parts, "get_command", lambda self, context, name: part)
    ended = CliRunner().invoke(main, ["--json", str(tmp_path / "all.json")])
    assert ended.exit_code == 0 and ended.output.count("a table") == 2
    assert json.loads((tmp_path / "all.json").read_text()) == {"one": {"figure": 2}, "other": {"figure": 2}}


def test_a_ratio_is_taken_round_by_round() -> None:
    assert timing.ratio([2.0, 20.0, 4.0], [1.0, 10.0, 1.0]) == 2.0


def test_the_engines_table_has_every_size_and_what_a_pixel_takes() -> None:
    one = {"median": {"floor, float32": 0.5, "reference": 2.0}, "optimiser": 0.01}
    ratios = {"over floor": {"floor, float32": 1.0, "reference": 4.0}, "reference over": {"floor, float32": 4.0}}
    ratios["reference over"]["reference"] = 1.0
    sizes = {
        "512": {"width": 512, "height": 342, **one, **ratios},
        "1024": {"width": 1024, "height": 683, **one, **ratios},
    }
    told = engine.tables({"sizes": sizes})
    assert "512 x 342" in told and "1024 over 512" in told
    assert told.count("4.00") >= 2 and "busy" not in told
    assert "busy" in engine.tables({"sizes": sizes, "load before": 2.5})


@pytest.mark.parametrize("found", [{"seconds": 10.0}, {"seconds": None}], ids=["reached", "not reached"])
def test_what_is_not_reached_is_told_as_such(found: dict[str, float | None]) -> None:
    reference = {"loss": 2e6, "evaluations": 90, "wall seconds": 100.0}
    pair = {"start loss": 3e8, "reference": reference, "reference seconds": 120.0, "plain": found, "palette": found}
    told = quality_time.tables({"size": 384, "iterations": 80, "pairs": {"china:starry_night": pair}})
    assert ("12.0 x" in told) == (found["seconds"] is not None)
    assert ("not reached" in told) == (found["seconds"] is None)


@pytest.mark.parametrize("kind", ["threads", "cluster"])
def test_a_farm_writes_every_picture_and_tells_what_it_took(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    monkeypatch.setattr(farm, "_INTERVAL", 0.02)
    monkeypatch.setattr(worker, "device_info", worker.device_info)  # the part replaces it
    options = ["--pictures", "6", "--threads", "3", "--seconds", "0.1", "--only", kind]
    ended = CliRunner().invoke(farm.main, [*options, "--json", str(tmp_path / "farm.json")])
    assert ended.exit_code == 0, ended.output
    figures = json.loads((tmp_path / "farm.json").read_text())[kind]
    assert figures["pictures"] == 6
    assert 0 < figures["pictures per second"] < 3 / 0.1  # three threads of 0.1 s
    assert {"decode", "encode and record", "plan, batches, events"} <= figures["CPU, s"].keys()
    assert figures["peak memory, MB"] > 10 and figures["limited by"] in ended.output


def test_what_limits_a_farm_is_named() -> None:
    figures = {"pictures per second": 40.0, "CPU cores in use": 1.4, "CPU, s": {"decode": 30.0, "encode": 95.0}}
    assert farm.limit(figures, 100.0, 128.0) == "the thread of: encode"
    assert farm.limit({**figures, "CPU, s": {"decode": 50.0}}, 100.0, 128.0).startswith("one interpreter")
    assert farm.limit({**figures, "pictures per second": 125.0}, 100.0, 128.0).startswith("the workers")
