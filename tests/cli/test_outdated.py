"""Styles of earlier defaults: a note once in a run, and what commands say of styles that do not fit together."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline.execution import worker
from pipeline.ingest import outdated
from pipeline.settings import IngestSettings
from stylebank import images
from stylebank.bank import Bank
from tests.conftest import DATA, LAYERS, Result
from tests.fake_cli import LIGHT
from tests.fakes import Stylizer

Run = Callable[..., Result]
NOTE = "measured by the defaults of an earlier version"
COMMAND = "stylebank remeasure "


@pytest.fixture(autouse=True)
def earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    """The styles of the tests' bank are of an earlier default, and pictures are negatives."""
    settings = IngestSettings(layers=LAYERS, pooling="avg", padding="reflect")
    monkeypatch.setattr(outdated, "EARLIER_DEFAULTS", (settings,))
    monkeypatch.setattr(worker, "_make_stylizer", functools.lru_cache(lambda context: Stylizer(context.settings)))
    machine = {"backend": "none", "device": "cpu", "precision": "float32"}
    monkeypatch.setattr(worker, "machine_info", lambda config, stylizer: machine)
    monkeypatch.setattr(worker, "_computing", lambda config: contextlib.nullcontext(lambda: 0.0))


@pytest.fixture(autouse=True)
def several(run: Run, bank: Bank) -> None:
    """Give the style of the tests' bank the earlier measure, and add two of it and one of fewer layers."""
    style = bank.get("wave")
    fingerprint = dataclasses.replace(style.header.fingerprint, pooling="avg", padding="reflect")
    small = dataclasses.replace(style, header=dataclasses.replace(style.header, fingerprint=fingerprint))
    bank.add(small, replace=True)
    layers = small.header.fingerprint.layers[:2]
    fingerprint = dataclasses.replace(small.header.fingerprint, layers=layers)
    scales = {scale: {layer: parts[layer] for layer in layers} for scale, parts in small.scales.items()}
    header = dataclasses.replace(small.header, name="chosen", fingerprint=fingerprint)
    bank.add(dataclasses.replace(small, header=header, scales=scales))
    for name in ("second", "third"):
        bank.add(dataclasses.replace(small, header=dataclasses.replace(small.header, name=name)))


def notes(result: Result) -> list[str]:
    assert result.code == 0, result.stderr
    assert NOTE not in result.stdout
    return [line for line in result.stderr.splitlines() if NOTE in line]


def test_apply_notes_each_style_once_for_all_pictures(run: Run, photographs: Path, tmp_path: Path) -> None:
    arguments = ("apply", "--style", "wave", photographs, "-o", tmp_path / "out", "--size", "48", *LIGHT)
    (line,) = notes(run(*arguments))
    assert line.startswith("note: style wave: ") and COMMAND in line
    assert notes(run("-q", *arguments, "--overwrite")) == []
    (line,) = notes(run(*arguments, "--style", "chosen", "--style", "second", "--each"))
    assert "2 styles (wave, second)" in line


def test_styles_measured_by_choice_and_layers_that_are_chosen_have_no_note(
    run: Run, photographs: Path, tmp_path: Path
) -> None:
    common = (photographs, "-o", tmp_path / "out", "--size", "48", *LIGHT)
    assert notes(run("apply", "--style", "chosen", *common)) == []
    assert notes(run("apply", "--style", "wave", "--layers", "conv1_1,conv2_1", *common)) == []


def test_batch_and_try_note_all_styles_in_one_line(run: Run, photographs: Path, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.toml"
    table = '[[job]]\nstyles = ["{}"]\nsubjects = ["in"]\noutput = "out{}"\nsize = 48\nprecision = "float32"\n'
    jobs.write_text(table.format('wave", "second', 1) + table.format('wave", "third', 2))
    (line,) = notes(run("batch", jobs, "--batch-size", "1"))
    assert "3 styles (wave, second, third)" in line
    sheet = ("try", photographs / "rocket.jpg", "-o", tmp_path / "sheet.jpg", "--size", "48", *LIGHT)
    (line,) = notes(run(*sheet))
    assert all(name in line for name in ("wave", "second", "third")) and "chosen" not in line


def test_show_says_so_on_stderr_and_list_with_verbose(run: Run) -> None:
    assert len(notes(run("show", "wave"))) == 1 and notes(run("show", "chosen")) == []
    assert notes(run("show", "wave", "--json")) == [] and notes(run("list")) == []
    assert len(notes(run("-v", "list"))) == 1


def test_python_gets_it_as_a_notice(bank: Bank, photographs: Path) -> None:
    events: list[pipeline.Progress] = []
    image = images.load(photographs / "rocket.jpg").pixels / 255
    settings: dict[str, Any] = {"size": 48, "steps": 2, "precision": "float32", "listener": events.append}
    pipeline.stylize(image, "wave", bank=bank, **settings)
    assert [COMMAND in event.text for event in events if NOTE in event.text] == [True]


def test_other_commands_take_an_old_measure_as_it_is(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "shared"
    for arguments in (("verify",), ("export", "wave", "-o", file), ("similar", "wave"), ("rename", "wave", "big")):
        result = run(*arguments)
        assert result.code == 0 and NOTE not in result.stderr, arguments
    (exported,) = file.glob("*.h5") if file.is_dir() else [file]
    result = run("import", exported)
    assert result.code == 0 and NOTE not in result.stderr


def test_styles_that_do_not_fit_together_are_listed_in_groups(run: Run, bank: Bank, tmp_path: Path) -> None:
    other = bank.get("wave")
    fingerprint = dataclasses.replace(other.header.fingerprint, pooling="max")
    bank.add(dataclasses.replace(other, header=dataclasses.replace(other.header, name="max", fingerprint=fingerprint)))
    message = (
        "styles do not fit together: wave, second: average pooling; max: maximum pooling. Choose styles of one kind, "
        "or measure the paintings alike with 'stylebank remeasure PAINTING...'."
    )
    photo, mask = DATA / "subjects/china.jpg", DATA / "subjects/rocket.jpg"
    names = ("wave", "second", "max")
    blend = [word for name in names for word in ("--style", name)]
    regions = ["--style", "sky=wave", "--style", "sea=second", "--style", "rest=max", "--mask", f"sky={mask}"]
    for arguments in (
        ["mix", "new", *(word for name in names for word in ("--from", name))],
        ["pool", "new", *names],
        ["apply", *blend, photo, "-o", tmp_path / "out"],
        ["apply", *regions, "--mask", f"sea={mask}", photo, "-o", tmp_path / "out"],
    ):
        result = run(*arguments)
        assert (result.code, result.stderr) == (2, f"Error: {message}\n"), arguments
    result = run("similar", "wave")
    assert result.code == 0 and result.stdout.startswith("second") and "max" not in result.stdout
    assert "1 of 4 styles left out, measured with maximum pooling, not average pooling: max" in result.stderr
    assert "stylebank remeasure PAINTING" in result.stderr
