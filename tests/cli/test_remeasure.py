from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.ingest import measure as measuring
from stylebank.bank import Bank
from tests.conftest import DATA, Result

Run = Callable[..., Result]
WAVE = DATA / "styles/great_wave.jpg"
POPPIES = DATA / "styles/poppies.jpg"
OLD = ("--layers", "conv1_1,conv2_1,conv3_1", "--pooling", "avg", "--scales", "96")
NEW = ("--layers", "relu1_1,relu2_1", "--pooling", "max", "--scales", "48")


@pytest.fixture
def run(run: Run) -> Run:
    """The style of the tests' bank is measured in an old way."""
    assert run("add", WAVE, "--name", "wave", "--replace", *OLD).code == 0
    return run


def test_a_style_is_found_by_its_painting_and_measured_anew(run: Run) -> None:
    run("tag", "wave", "--add", "sea")
    planned = run("remeasure", WAVE, *NEW, "--dry-run")
    assert planned.code == 0
    assert planned.stdout == (
        "wave: would be measured at 48: 2 layers (relu1_1 to relu2_1), maximum pooling, "
        "before 3 layers (conv1_1 to conv3_1), average pooling\n"
    )
    assert json.loads(run("show", "wave", "--json").stdout)["pooling"] == "avg"
    result = run("remeasure", WAVE, *NEW)
    assert result.code == 0 and result.stdout.startswith("wave: measured at 48 (")
    assert "stylebank restore --replace NAME" in result.stderr
    style = json.loads(run("show", "wave", "--json").stdout)
    assert (style["layers"], style["pooling"], style["tags"]) == (["pixels", "relu1_1", "relu2_1"], "max", ["sea"])
    again = run("remeasure", WAVE, *NEW)
    assert again.stdout == "wave: unchanged, measured with these settings already\n" and again.stderr == ""
    assert run("restore", "wave", "--replace").code == 0
    assert json.loads(run("show", "wave", "--json").stdout)["pooling"] == "avg"


def test_a_painting_without_a_style_stops_nothing(run: Run) -> None:
    result = run("remeasure", POPPIES, WAVE, "--dry-run")
    assert result.code == 1 and result.stdout.startswith("wave: would be measured at 96")
    assert "poppies.jpg: no style in the bank" in result.stderr and "stylebank add" in result.stderr
    assert run("remeasure", POPPIES).code == 2


def test_wrong_settings_are_refused_before_any_painting_is_read(run: Run) -> None:
    result = run("remeasure", "none.jpg", "--layers", "conv9_1")
    assert result.code == 2 and "conv9_1" in result.stderr and "none.jpg" not in result.stderr


def test_a_mix_of_the_style_gets_the_command_that_computes_it_again(run: Run, bank: Bank, tmp_path: Path) -> None:
    assert run("add", POPPIES, *OLD).code == 0
    assert run("mix", "storm", "--from", "wave:3", "--from", "poppies:1", "--tag", "two words").code == 0
    assert run("pool", "both", "wave", "poppies").code == 0
    result = run("remeasure", WAVE, POPPIES, *NEW)
    assert result.code == 0
    lines = [line for line in result.stderr.splitlines() if line.startswith("note: ")]
    assert [line.split(":")[1].strip() for line in lines] == ["both", "storm"]
    for line in lines:
        words = shlex.split(line.split("again: ")[1])
        assert words[:3] == ["stylebank", "--bank", str(bank.folder)]
        assert run(*words[3:]).code == 0
    mixed = json.loads(run("show", "storm", "--json").stdout)
    assert (mixed["pooling"], mixed["tags"]) == ("max", ["two words"])
    assert [part["weight"] for part in mixed["recipe"]["parts"]] == [0.75, 0.25]
    assert "note" not in run("remeasure", WAVE, POPPIES, *NEW).stderr


def test_after_an_interruption_finished_styles_are_finished(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("add", POPPIES, *OLD).code == 0
    measure = measuring.measure

    def interrupted(path: Path, *arguments: Any, **options: Any) -> Any:
        if Path(path) == POPPIES:
            raise KeyboardInterrupt
        return measure(path, *arguments, **options)

    monkeypatch.setattr(measuring, "measure", interrupted)
    result = run("remeasure", WAVE, POPPIES, *NEW)
    assert result.code == 130 and result.stdout.startswith("wave: measured at 48")
    assert "The trash keeps what was replaced" in result.stderr and "Interrupted" in result.stderr
    assert json.loads(run("show", "wave", "--json").stdout)["pooling"] == "max"
    assert json.loads(run("show", "poppies", "--json").stdout)["pooling"] == "avg"
    monkeypatch.undo()
    result = run("remeasure", WAVE, POPPIES, *NEW)
    assert result.stdout.startswith("wave: unchanged") and "poppies: measured at 48" in result.stdout
