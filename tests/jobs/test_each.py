"""Several styles one by one, in place of a blend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline.jobs import style_spec
from pipeline.jobs.each import blend_note, single_styles
from stylebank.bank import Bank
from stylebank.errors import UsageError
from tests import styles
from tests.jobs.test_try_styles import no_network

__all__ = ["no_network"]
LIGHT: dict[str, Any] = {"size": 0, "steps": 1, "batch_size": 1, "precision": "float32", "format": "png"}


@pytest.fixture
def pair(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "bank")
    for number, name in enumerate(("wave", "storm", "a:1", "x=y")):
        bank.add(styles.varied(name, number))
    return bank


@pytest.mark.usefixtures("no_network")
class TestEach:
    def test_each_style_makes_every_picture(self, pair: Bank, many: Path, tmp_path: Path) -> None:
        entries = pipeline.apply(pair, ["wave", "storm"], [many], tmp_path / "out", each=True, **LIGHT)
        assert len(entries) == 80 and {entry.status for entry in entries} == {"done"}
        assert {entry.style for entry in entries} == {"wave", "storm"}
        assert (
            len(list((tmp_path / "out").glob("*.wave.png"))) == len(list((tmp_path / "out").glob("*.storm.png"))) == 40
        )
        again = pipeline.apply(pair, ["wave", "storm"], [many], tmp_path / "out", each=True, **LIGHT)
        assert {entry.status for entry in again} == {"skipped"}

    def test_one_output_for_several_styles_is_refused(self, pair: Bank, many: Path, tmp_path: Path) -> None:
        subject = [many / "01.png"]
        with pytest.raises(UsageError, match="one file for 2 styles"):
            pipeline.apply(pair, ["wave", "storm"], subject, tmp_path / "o.png", each=True, **LIGHT)
        with pytest.raises(UsageError, match="one animation for 2 styles"):
            options = {**LIGHT, "animation": tmp_path / "a.gif"}
            pipeline.apply(pair, ["wave", "storm"], subject, tmp_path / "o", each=True, **options)
        (entry,) = pipeline.apply(pair, ["wave"], subject, tmp_path / "o.png", each=True, **LIGHT)
        assert entry.status == "done"

    def test_outputs_of_one_name_hold_one_picture(self, pair: Bank, many: Path, tmp_path: Path) -> None:
        options = {**LIGHT, "name_template": "{subject}", "on_error": "return"}
        first, second = pipeline.apply(pair, ["wave", "storm"], [many / "01.png"], tmp_path / "o", each=True, **options)
        assert (first.status, second.status) == ("done", "failed") and "{style}" in str(second.error)

    @pytest.mark.parametrize(
        ("names", "each", "count"),
        [
            (["wave", "storm"], False, 1),
            (["wave", "storm:2"], False, 1),
            (["wave:1", "storm:2"], False, 0),
            (["wave", "storm"], True, 0),
            (["wave"], False, 0),
        ],
    )
    def test_a_blend_without_weights_has_a_note(
        self, pair: Bank, many: Path, tmp_path: Path, names: list[str], each: bool, count: int
    ) -> None:
        notes: list[str] = []
        pipeline.apply(
            pair,
            names,
            [many / "01.png"],
            tmp_path / "o",
            each=each,
            listener=lambda event: notes.append(event.text),
            **LIGHT,
        )
        assert sum("blend into one; --each" in note for note in notes) == count


@pytest.mark.parametrize("text", ["wave:0.5", "sky=wave", "nope:1"])
def test_weights_and_regions_are_refused(pair: Bank, text: str) -> None:
    with pytest.raises(UsageError, match="without weights and regions"):
        single_styles(["storm", text], exists=pair.__contains__)


def test_names_with_colons_are_names(pair: Bank) -> None:
    assert single_styles(["a:1", "x=y"], exists=pair.__contains__) == ["a:1", "x=y"]
    with pytest.raises(UsageError, match="repeats"):
        single_styles(["wave", "wave"], exists=pair.__contains__)


def test_regions_of_one_style_each_have_no_note(pair: Bank, many: Path, tmp_path: Path) -> None:
    spec = style_spec.parse(["sky=wave", "rest=storm"], ["sky=m.png"], exists=pair.__contains__)
    run = type("Run", (), {"style_spec": spec})
    assert blend_note(["sky=wave", "rest=storm"], run) == ""  # type: ignore[arg-type]
    spec = style_spec.parse(["sky=wave", "sky=storm", "rest=storm"], ["sky=m.png"], exists=pair.__contains__)
    run = type("Run", (), {"style_spec": spec})
    assert blend_note(["sky=wave", "sky=storm", "rest=storm"], run).startswith("styles wave and storm")  # type: ignore[arg-type]
