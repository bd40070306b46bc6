"""Styles of a painting measured anew: what stays, what is replaced, and what is left alone."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.ingest import measure as measuring
from pipeline.ingest.add import add
from pipeline.ingest.remeasure import remeasure
from pipeline.settings import IngestSettings, ingest_settings
from pipeline.vgg.weights import load
from stylebank import images
from stylebank.bank import Bank
from stylebank.bank.combine import mix
from stylebank.errors import ImageRefused, StylebankError, StyleNotFound
from stylebank.files import digest_file
from stylebank.style import CONVOLUTIONS, PIXELS, Fingerprint, Source, Style
from tests import styles
from tests.conftest import DATA

POPPIES = DATA / "styles/poppies.jpg"
WAVE = DATA / "styles/great_wave.jpg"
NEW: dict[str, Any] = {"layers": ("relu1_1", "relu2_1"), "pooling": "max"}


def style_of(painting: Path, name: str, **fields: Any) -> Style:
    """Random numbers under the header of a measured painting."""
    style = styles.style(name, sizes={64: (64, 44)})
    fingerprint = dataclasses.replace(style.header.fingerprint, weights_sha256=load().sha256)
    source = Source(painting.name, digest_file(painting), 647, 443)
    header = dataclasses.replace(style.header, source=source, fingerprint=fingerprint, **fields)
    return dataclasses.replace(style, header=header)


@pytest.fixture
def stored(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "bank")
    bank.add(style_of(POPPIES, "poppies", tags=("red",)))
    bank.add(dataclasses.replace(style_of(POPPIES, "field", tags=("green", "large")), thumbnail=b""))
    bank.add(style_of(WAVE, "wave"))
    return bank


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, IngestSettings]]:
    """Replace the network by random numbers, and list the measurements."""
    calls: list[tuple[str, IngestSettings]] = []

    def measure(image: Any, weights: Any, settings: IngestSettings, *, name: str, **_options: Any) -> Style:
        calls.append((name, settings))
        layers = (PIXELS, *settings.layers)
        style = styles.style(
            name,
            seed=len(calls),
            layers=layers,
            sizes={scale: images.fit((647, 443), scale) for scale in settings.scales},
        )
        fingerprint = Fingerprint(weights.sha256, layers, settings.pooling, settings.padding)
        source = Source(Path(image).name, digest_file(Path(image)), 647, 443)
        header = dataclasses.replace(style.header, fingerprint=fingerprint, source=source, tags=(), created="later")
        return dataclasses.replace(style, header=header)

    monkeypatch.setattr(measuring, "measure", measure)
    return calls


def test_a_real_painting_is_measured_as_add_measures_it(tmp_path: Path) -> None:
    bank, fresh = Bank(tmp_path / "bank"), Bank(tmp_path / "fresh")
    add(bank, POPPIES, name="flowers", tags=["red"], scales=(64,), layers=("conv1_1",))
    (result,) = remeasure(bank, POPPIES, **NEW)
    add(fresh, POPPIES, name="flowers", tags=["red"], scales=(64,), **NEW)
    assert (result.status, result.name) == ("measured", "flowers")
    assert result.after == bank.header("flowers")
    assert result.after.content_sha256 == fresh.header("flowers").content_sha256
    assert bank.get("flowers").thumbnail == fresh.get("flowers").thumbnail


@pytest.mark.usefixtures("measurements")
def test_every_style_of_the_painting_keeps_what_a_user_gave_it(stored: Bank, tmp_path: Path) -> None:
    copy = tmp_path / "another name.jpg"
    shutil.copy(POPPIES, copy)
    wave = stored.header("wave")
    results = remeasure(stored, copy, **NEW)
    assert [(result.name, result.status) for result in results] == [("field", "measured"), ("poppies", "measured")]
    assert stored.header("poppies").tags == ("red",) and stored.header("field").tags == ("green", "large")
    assert stored.get("poppies").thumbnail and not stored.get("field").thumbnail
    for name in ("poppies", "field"):
        fingerprint = stored.header(name).fingerprint
        assert (fingerprint.layers, fingerprint.pooling) == ((PIXELS, "relu1_1", "relu2_1"), "max")
        assert list(stored.header(name).sizes) == [64]
    assert stored.header("wave") == wave


@pytest.mark.usefixtures("measurements")
def test_the_trash_keeps_the_style_as_it_was(stored: Bank) -> None:
    before = stored.get("poppies")
    remeasure(stored, POPPIES, **NEW)
    stored.restore("poppies", replace=True)
    assert styles.difference(stored.get("poppies"), before) == ""


def test_styles_with_these_settings_are_unchanged(stored: Bank, measurements: list[Any]) -> None:
    remeasure(stored, POPPIES, **NEW)
    stored.rename("field", "meadow")
    count = len(measurements)
    results = remeasure(stored, POPPIES, **NEW)
    assert {result.status for result in results} == {"unchanged"} and len(measurements) == count
    (field,) = (result for result in remeasure(stored, POPPIES, scales=(48,), **NEW) if result.name == "meadow")
    assert field.status == "measured" and list(stored.header("meadow").sizes) == [48]


def test_styles_of_equal_scales_share_one_measurement(stored: Bank, measurements: list[Any]) -> None:
    remeasure(stored, POPPIES, **NEW)
    assert len(measurements) == 1
    remeasure(stored, WAVE, scales=(48, 96), **NEW)
    assert measurements[1][1].scales == (48, 96)


def test_without_options_the_defaults_decide(stored: Bank, measurements: list[Any]) -> None:
    remeasure(stored, WAVE)
    default = IngestSettings()
    fingerprint = stored.header("wave").fingerprint
    measured = (fingerprint.layers, fingerprint.pooling, fingerprint.padding)
    assert measured == ((PIXELS, *default.layers), default.pooling, default.padding)
    assert measurements[0][1].scales == (64,)


def test_a_dry_run_says_what_would_be_measured_and_writes_nothing(stored: Bank, measurements: list[Any]) -> None:
    before = stored.header("poppies")
    results = remeasure(stored, POPPIES, dry_run=True, **NEW)
    assert [(result.name, result.status) for result in results] == [("field", "planned"), ("poppies", "planned")]
    assert results[1].before == before and results[1].after.fingerprint.pooling == "max"
    assert stored.header("poppies") == before and measurements == [] and stored.trash() == []


@pytest.mark.usefixtures("measurements")
def test_a_style_of_a_preset_is_left_unless_a_setting_is_passed(stored: Bank) -> None:
    original = ingest_settings("original")
    fingerprint = Fingerprint(load().sha256, (PIXELS, *CONVOLUTIONS), original.pooling, original.padding)
    style = style_of(POPPIES, "first")
    layers = styles.style(layers=fingerprint.layers, sizes={64: (64, 44)}).scales
    stored.add(
        dataclasses.replace(style, header=dataclasses.replace(style.header, fingerprint=fingerprint), scales=layers)
    )
    first = next(result for result in remeasure(stored, POPPIES) if result.name == "first")
    assert first.status == "unchanged" and "--preset original" in first.reason
    first = next(result for result in remeasure(stored, POPPIES, **NEW) if result.name == "first")
    assert first.status == "measured" and stored.header("first").fingerprint.pooling == "max"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda folder: DATA / "styles/starry_night.jpg", StyleNotFound, "'stylebank add' measures it"),
        (lambda folder: changed_copy(folder / "wave.jpg"), StyleNotFound, "other bytes.*add --replace"),
        (lambda folder: "wave", StyleNotFound, r"a style, not a file\. Give its painting, great_wave\.jpg"),
        (lambda folder: "storm", StyleNotFound, "a mix of wave, poppies, which has no painting.*mix --replace"),
        (lambda folder: folder / "none.jpg", ImageRefused, "No such file"),
        (lambda folder: folder, ImageRefused, "a folder"),
        (lambda folder: Path(__file__), ImageRefused, "a text file"),
    ],
)
def test_what_is_no_painting_of_a_style_is_refused(
    stored: Bank, tmp_path: Path, make: Callable[[Path], Any], error: type[StylebankError], message: str
) -> None:
    stored.add(mix([stored["wave"], stored["poppies"]], [1, 1], "storm"))
    with pytest.raises(error, match=message):
        remeasure(stored, make(tmp_path), **NEW)


def changed_copy(path: Path) -> Path:
    path.write_bytes(WAVE.read_bytes() + b"\0")
    return path


def test_a_style_changed_during_the_measurement_keeps_its_new_tags(
    stored: Bank, measurements: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = measuring.measure

    def slow(*arguments: Any, **options: Any) -> Style:
        stored.update(
            "wave",
            lambda style: dataclasses.replace(style, header=dataclasses.replace(style.header, tags=("meanwhile",))),
        )
        return measure(*arguments, **options)

    monkeypatch.setattr(measuring, "measure", slow)
    remeasure(stored, WAVE, **NEW)
    assert stored.header("wave").tags == ("meanwhile",)


@pytest.mark.usefixtures("measurements")
def test_a_style_of_another_painting_meanwhile_is_not_replaced(stored: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = measuring.measure

    def slow(*arguments: Any, **options: Any) -> Style:
        stored.add(style_of(POPPIES, "wave"), replace=True)
        return measure(*arguments, **options)

    monkeypatch.setattr(measuring, "measure", slow)
    with pytest.raises(StylebankError, match="'wave' was replaced during the measurement"):
        remeasure(stored, WAVE, **NEW)
    assert stored.header("wave").source.filename == "poppies.jpg"
