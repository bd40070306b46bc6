"""One picture in memory: the pixels, metadata, events and errors of `stylize`."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline import apply, stylize
from pipeline.execution import worker
from stylebank.bank import Bank, combine
from stylebank.errors import FingerprintMismatch, ImageRefused, StyleNotFound, UsageError
from tests import pictures
from tests.fakes import BatchStylizer, Stylizer
from tests.picture_kinds import ALPHA, COLOUR, DEEP

SIZE = 64
FAST: dict[str, Any] = {"size": 0, "steps": 3, "precision": "float32"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Negatives in place of synthesis; the contexts of the stylizers that were set up."""
    contexts: list[Any] = []

    def make(context: Any) -> Stylizer:
        contexts.append(context)
        return Stylizer(context.settings)

    monkeypatch.setattr(worker, "_make_stylizer", functools.lru_cache(make))
    machine = {"backend": "none", "device": "cpu", "precision": "float32"}
    monkeypatch.setattr(worker, "machine_info", lambda config, stylizer: machine)
    monkeypatch.setattr(worker, "_computing", lambda config: contextlib.nullcontext(lambda: 0.0))
    yield contexts


def test_the_pixels_are_those_of_the_pngs_that_apply_writes(bank: Bank, tmp_path: Path) -> None:
    photo = Image.open(pictures.SUBJECTS / "chelsea.jpg").convert("RGB").resize((90, 60))
    exif = Image.Exif()
    exif[pictures.ORIENTATION], exif[0x010F] = 6, "Kamera"
    photo.save(tmp_path / "plain.png")
    photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    photo.save(tmp_path / "profile.png", icc_profile=pictures.swapped_profile())
    photo.convert("CMYK").save(tmp_path / "cmyk.jpg")
    photo.quantize(60).save(tmp_path / "palette.png")
    photo.putalpha(Image.linear_gradient("L").resize((90, 60)))
    photo.save(tmp_path / "transparent.png")
    paths = sorted(tmp_path.glob("*.*"))
    settings: dict[str, Any] = {"size": SIZE, "steps": 2, "precision": "float32"}
    entries = apply(bank, "wave", paths, tmp_path / "out", format="png", batch_size=1, **settings)
    for path, entry in zip(paths, entries, strict=True):
        sources = [Image.open(path)]
        if path.stem in {"plain", "transparent"}:
            sources += [path, np.asarray(Image.open(path))]
        with Image.open(tmp_path / "out" / entry.output) as written:
            for image in sources:
                returned = stylize(image, "wave", bank=bank, **settings)
                assert returned.mode == written.mode == ("RGBA" if path.stem == "transparent" else "RGB")
                assert returned.size == written.size == (64, 43)
                assert returned.tobytes() == written.tobytes(), path
                assert returned.info["icc_profile"] == written.info["icc_profile"]
            assert dict(returned.getexif()) == dict(written.getexif())


def test_a_mask_and_two_styles_give_the_pixels_of_apply(bank: Bank, tmp_path: Path) -> None:
    path, mask = tmp_path / "photo.png", np.zeros((60, 90), bool)
    mask[:, 40:] = True
    Image.open(pictures.SUBJECTS / "chelsea.jpg").resize((90, 60)).save(path)
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    bank.rename("wave", "sea")
    bank.add(combine.pool([bank["sea"]], "land"))
    styles = ["right=sea", "rest=land"]
    settings: dict[str, Any] = {"size": SIZE, "steps": 2, "precision": "float32"}
    (entry,) = apply(
        bank, styles, [path], tmp_path / "out", mask=f"right={tmp_path / 'mask.png'}", format="png", **settings
    )
    expected = Image.open(tmp_path / "out" / entry.output).tobytes()
    assert stylize(path, styles, bank=bank, mask={"right": mask}, **settings).tobytes() == expected
    assert stylize(path, styles, bank=bank, mask=f"right={tmp_path / 'mask.png'}", **settings).tobytes() == expected


@pytest.mark.usefixtures("fake")
def test_arrays_return_as_arrays_with_8_or_16_bits(bank: Bank) -> None:
    returned = stylize(COLOUR, "wave", bank=bank, as_array=True, **FAST)
    assert returned.dtype == np.uint8 and (returned == 255 - COLOUR).all()
    deep = stylize(DEEP, "wave", bank=bank, as_array=True, depth=16, **FAST)
    assert deep.dtype == np.uint16 and np.abs(deep.astype(int) - (65535 - DEEP.astype(int))).max() <= 1
    transparent = stylize(np.dstack([COLOUR, ALPHA]), "wave", bank=bank, as_array=True, **FAST)
    assert transparent.shape == (48, 64, 4) and (transparent[..., 3] == ALPHA).all()
    image = stylize(COLOUR / 255, "wave", bank=bank, **FAST)
    assert isinstance(image, Image.Image) and (np.asarray(image) == 255 - COLOUR).all()


@pytest.mark.usefixtures("fake")
def test_the_metadata_of_the_subject_is_copied_unless_it_shall_not(bank: Bank, tmp_path: Path) -> None:
    pictures.with_metadata("JPEG")(tmp_path / "photo.jpg")
    for image in (tmp_path / "photo.jpg", Image.open(tmp_path / "photo.jpg")):
        returned = stylize(image, "wave", bank=bank, dpi=200, **FAST)
        assert returned.getexif()[0x010F] and returned.info["dpi"] == (200, 200)
        assert pictures.ORIENTATION not in returned.getexif()
    assert not dict(stylize(tmp_path / "photo.jpg", "wave", bank=bank, metadata=False, **FAST).getexif())


@pytest.mark.usefixtures("fake")
def test_nothing_is_written_or_read_beside_the_picture(bank: Bank, tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "stylebank.jsonl").mkdir()  # a record that cannot be read
    stylize(COLOUR, "wave", bank=bank, **FAST)
    assert [path.name for path in folder.iterdir()] == ["stylebank.jsonl"]


def test_a_style_itself_needs_no_bank(bank: Bank, fake: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEBANK_BANK", "/nowhere")
    wave = bank["wave"]
    mixed = combine.mix([wave], [1.0], "mixed") if len(bank) > 1 else combine.pool([wave], "mixed")
    assert mixed.header.content_sha256 == ""
    brighter = combine.pool([wave], "mixed")
    layers = brighter.scales[96]
    shifted = {key: _shifted(value) for key, value in layers.items()}
    object.__setattr__(brighter, "scales", {96: shifted})
    for style in (wave, mixed, brighter, mixed):
        assert stylize(COLOUR, style, **FAST).size == (64, 48)
    numbers = [context.styles[0].scales[96]["pixels"].mean[0] for context in fake]
    assert len(numbers) == 4 - 1 or len(set(numbers)) == 2  # two styles of one name are not taken for each other
    assert numbers[-1] != numbers[0]


def _shifted(gaussian: Any) -> Any:
    return type(gaussian)(gaussian.mean + 1, gaussian.cov, gaussian.cov_sqrt, gaussian.eigenvalues, gaussian.count)


def test_the_next_picture_in_the_same_style_needs_no_set_up(bank: Bank, fake: list[Any]) -> None:
    for picture in (COLOUR, COLOUR[::-1]):
        stylize(picture, "wave", bank=bank, **FAST)
    assert len(fake) == 1


@pytest.mark.usefixtures("fake")
def test_a_preset_and_settings_beside_it_count_as_for_apply(bank: Bank, fake: list[Any]) -> None:
    stylize(COLOUR, "wave", bank=os.fspath(bank.folder), preset="draft", steps=5, precision="float32")
    assert (fake[0].settings.size, fake[0].settings.steps) == (256, 5)


def test_a_preset_of_the_user_counts_but_for_what_it_says_about_files(
    bank: Bank, fake: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = ["[presets.mine]", "extends = 'draft'", "steps = 7", "format = 'tiff'", "depth = 16", "max_pixels = 5000"]
    (tmp_path / "stylebank.toml").write_text("\n".join(lines), encoding="utf-8")
    events: list[Any] = []
    image = stylize(COLOUR, "wave", bank=bank, preset="mine", precision="float32", size=64, listener=events.append)
    assert isinstance(image, Image.Image) and (fake[0].settings.size, fake[0].settings.steps) == (64, 7)
    assert next(event.text for event in events if event.kind == "note").startswith("preset mine: ")
    deep = stylize(COLOUR, "wave", bank=bank, preset="mine", precision="float32", as_array=True)
    assert deep.dtype == np.uint16
    with pytest.raises(ImageRefused, match="more than 5,000"):
        stylize(np.zeros((80, 80), np.uint8), "wave", bank=bank, preset="mine")
    with pytest.raises(UsageError, match="preset"):
        stylize(COLOUR, "wave", bank=bank, preset="mime")


@pytest.mark.usefixtures("fake")
def test_events_begin_step_and_end(bank: Bank, caplog: pytest.LogCaptureFixture) -> None:
    events: list[Any] = []
    with caplog.at_level(logging.INFO, "stylebank"):
        stylize(COLOUR, "wave", bank=bank, listener=events.append, **FAST)
    kinds = [event.kind for event in events if event.kind not in {"note", "detail"}]
    assert kinds == ["begin", "step", "step", "step", "end"]
    assert [event.step for event in events if event.kind == "step"] == [1, 2, 3]
    entry = events[-1].entry
    assert (entry.status, entry.subject, entry.output, entry.width, entry.height) == ("done", "the image", "", 64, 48)
    assert caplog.messages[-1] == "the image: the image: done"


@pytest.mark.usefixtures("fake")
def test_notes_name_the_picture(bank: Bank) -> None:
    events: list[Any] = []
    image = Image.fromarray(COLOUR)
    image.info["icc_profile"] = b"no profile"
    stylize(image, "wave", bank=bank, listener=events.append, **FAST)
    assert "the image: has a broken colour profile; sRGB is assumed" in [event.text for event in events]


@pytest.mark.usefixtures("fake")
def test_an_exception_of_the_listener_ends_the_call(bank: Bank) -> None:
    def listener(event: Any) -> None:
        if event.kind == "step":
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        stylize(COLOUR, "wave", bank=bank, listener=listener, **FAST)


@pytest.mark.usefixtures("fake")
def test_a_failure_of_the_synthesis_has_its_entry(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_make_stylizer", lambda context: BatchStylizer(0))
    events: list[Any] = []
    with pytest.raises(pipeline.ImagesFailed, match=r"the image: .*memory") as caught:
        stylize(COLOUR, "wave", bank=bank, listener=events.append, **FAST)
    (entry,) = caught.value.entries
    assert entry.status == "failed" and events[-1].entry == entry


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("image", "style", "options", "error", "text"),
    [
        (COLOUR, "wav", {}, StyleNotFound, "wav"),
        (COLOUR, [], {}, UsageError, "no style"),
        (COLOUR, ["wave:x", "wave"], {}, UsageError, "wave"),
        (COLOUR, "wave", {"format": "jpg"}, UsageError, "format 'jpg': of files, and no file is written"),
        (COLOUR, "wave", {"quality": 90}, UsageError, "quality 90"),
        (COLOUR, "wave", {"depth": 16}, UsageError, "depth 16: a PIL image has 8 bits per channel. Add as_array=True"),
        (COLOUR, "wave", {"sise": 64}, UsageError, "setting 'sise': expected one of"),
        (COLOUR, "wave", {"steps": 0}, UsageError, "steps"),
        (COLOUR, "wave", {"progress": "yes"}, UsageError, "progress 'yes': expected True, False or 'auto'"),
        (COLOUR, "wave", {"device": "tpu"}, UsageError, "device tpu"),
        (COLOUR, "wave", {"layers": ("conv5_1",)}, FingerprintMismatch, "conv5_1"),
        (COLOUR, "wave", {"max_pixels": 100}, ImageRefused, "the image: 64 x 48 is 3,072 pixels, more than 100"),
        (np.zeros((48, 64, 2), np.uint8), "wave", {}, UsageError, "an array of shape"),
        ("missing.jpg", "wave", {}, ImageRefused, r"missing\.jpg: No such file"),
        (
            COLOUR,
            "wave",
            {"mask": np.zeros((48, 64), np.uint8)},
            ImageRefused,
            "of the style: is black everywhere",
        ),
        (COLOUR, "wave", {"mask": np.full((48, 48), 255, np.uint8)}, UsageError, "mask of the style"),
        (COLOUR, "wave", {"mask": np.full((48, 64), 255)}, UsageError, "mask of the style: an array of int64"),
        (COLOUR, "wave", {"mask": {"sky": COLOUR}}, UsageError, "mask of region sky: no style has it"),
        (COLOUR, ["a=wave", "b=wave"], {"mask": COLOUR}, UsageError, "mask"),
    ],
)
def test_a_wrong_request_is_refused_in_words(
    image: Any, style: Any, options: dict[str, Any], error: type[Exception], text: str, bank: Bank
) -> None:
    with pytest.raises(error, match=text):
        stylize(image, style, bank=bank, **{**FAST, **options})


def test_the_stub_has_the_parameters_of_the_function() -> None:
    stub = (Path(pipeline.__file__).parent / "__init__.pyi").read_text()
    declared = re.findall(r"(?s)@overload\ndef stylize\((.*?)\n\) ->", stub)
    names = list(inspect.signature(stylize).parameters)
    assert [re.findall(r"(?m)^    (?:\*\*)?(\w+):", text) for text in declared] == [names, names]
