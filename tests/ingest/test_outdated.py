"""Styles that earlier defaults have measured, apart from those that were measured otherwise by choice."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pipeline.ingest import outdated
from pipeline.ingest.outdated import is_outdated, outdated_note, preset_of
from pipeline.settings import IngestSettings, ingest_settings
from stylebank.style import CONVOLUTIONS, PIXELS, Fingerprint, Header
from tests import styles

DEFAULT = IngestSettings()
EARLIER = IngestSettings(layers=("conv1_1", "conv2_1"), pooling="avg", padding="replicate")


@pytest.fixture(autouse=True)
def earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outdated, "EARLIER_DEFAULTS", (EARLIER, DEFAULT))


def measured(settings: IngestSettings, **fields: Any) -> Fingerprint:
    fingerprint = Fingerprint("ab" * 32, (PIXELS, *settings.layers), settings.pooling, settings.padding)
    return dataclasses.replace(fingerprint, **fields)


def header(name: str, settings: IngestSettings, recipe: str = "") -> Header:
    return dataclasses.replace(styles.style(name).header, fingerprint=measured(settings), recipe=recipe)


@pytest.mark.parametrize(
    ("fingerprint", "expected"),
    [
        (measured(EARLIER), True),
        (measured(EARLIER, weights_sha256="cd" * 32), True),
        (measured(DEFAULT), False),
        (measured(EARLIER, pooling="max"), False),
        (measured(EARLIER, padding="zero"), False),
        (measured(EARLIER, layers=(PIXELS, "conv1_1")), False),
        (measured(ingest_settings("original")), False),
    ],
)
def test_only_a_measure_by_earlier_defaults_is_outdated(fingerprint: Fingerprint, expected: bool) -> None:
    assert is_outdated(fingerprint) is expected


def test_all_convolutions_under_average_pooling_were_the_default_of_version_0_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    first = IngestSettings(layers=tuple(CONVOLUTIONS), pooling="avg", padding="reflect")
    assert is_outdated(measured(first)) is (first.layers != DEFAULT.layers or first.pooling != DEFAULT.pooling)


def test_a_preset_is_recognised_by_its_measure() -> None:
    assert preset_of(measured(ingest_settings("original"))) == "original"
    assert preset_of(measured(DEFAULT)) is None and preset_of(measured(EARLIER)) is None


def test_the_note_names_the_styles_and_the_command() -> None:
    assert outdated_note([header("new", DEFAULT)]) == ""
    assert outdated_note([header("new", DEFAULT), header("monet", EARLIER), header("monet", EARLIER)]) == (
        "style monet: measured by the defaults of an earlier version, 2 layers (conv1_1 to conv2_1), average pooling. "
        f"A new measure gives better pictures: stylebank remeasure {header('monet', EARLIER).source.filename}"
    )


def test_many_styles_are_counted_and_mixes_are_mixed_again() -> None:
    headers = [header(name, EARLIER) for name in "abcdefg"]
    note = outdated_note([*headers, header("storm", EARLIER, '{"kind": "mix"}')])
    assert note.startswith("8 styles (a, b, c, d, e and 3 more): measured by")
    assert note.endswith("stylebank remeasure PAINTING, then mix or pool storm again")
