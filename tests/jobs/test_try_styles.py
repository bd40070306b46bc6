"""Sheets of styles and of settings, with negatives in place of synthesis, and once with the network."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.execution import worker
from pipeline.jobs.run import Run
from pipeline.jobs.try_styles import default_output
from pipeline.vgg import weights
from pipeline.vgg.network import VGG19
from stylebank.bank import Bank
from stylebank.errors import ImageRefused, OutputRefused, StyleDamaged, StyleNotFound, UsageError
from tests import styles
from tests.conftest import DATA, LAYERS
from tests.fakes import Stylizer

LIGHT: dict[str, Any] = {"precision": "float32", "batch_size": 1, "size": 64, "steps": 2}


class Negatives(Stylizer):
    """Fails for a style's name in `broken`, and interrupts at one in `interrupted`."""

    broken: tuple[str, ...] = ()
    interrupted: tuple[str, ...] = ()

    def __init__(self, context: Any) -> None:
        super().__init__(context.settings)
        self.name = context.styles[0].header.name

    def stylize(self, subject: Any, **options: Any) -> Any:
        if self.name in self.interrupted:
            raise KeyboardInterrupt
        if self.name in self.broken:
            raise ValueError("a broken style")
        result = super().stylize(subject, **options)
        strength = np.float32(self.settings.strength)
        return SimpleNamespace(**{**vars(result), "pixels": 255 - strength * (255 - result.pixels)})


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    context = Run.context
    monkeypatch.setattr(weights, "matching", lambda sha256, *arguments, **options: SimpleNamespace(sha256=sha256))
    monkeypatch.setattr(worker, "_make_stylizer", Negatives)
    monkeypatch.setattr(worker, "machine_info", lambda config, stylizer: {"backend": "none", "device": "cpu"})
    monkeypatch.setattr(worker, "_computing", lambda config: contextlib.nullcontext(lambda: 0.0))
    monkeypatch.setattr(worker, "init_process", lambda config: None)
    monkeypatch.setattr(worker, "clear_cache", lambda: None)
    monkeypatch.setattr(worker, "machine_info", lambda *_: {"backend": "none", "device": "cpu", "precision": "float32"})
    monkeypatch.setattr(Run, "context", lambda self, *, remote: context(self, remote=True))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.fixture
def four(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "bank")
    for number, name in enumerate(("wave", "storm", "field", "wood")):
        style = styles.varied(name, number)
        tags = ("sea",) if number < 2 else ()
        bank.add(dataclasses.replace(style, header=dataclasses.replace(style.header, tags=tags)))
    return bank


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a photo.png"
    Image.fromarray(np.full((40, 60, 3), (10, 20, 30), np.uint8)).save(path)
    return path


def try_it(bank: Bank, photo: Path, output: Path | None = None, **options: Any) -> Any:
    return pipeline.try_styles(bank, photo, output, **{**LIGHT, **options})


@pytest.mark.usefixtures("no_network")
class TestWithoutNetwork:
    def test_every_style_has_a_picture_and_those_of_a_tag_stand_together(
        self, four: Bank, photo: Path, tmp_path: Path
    ) -> None:
        sheet = try_it(four, photo, tmp_path / "sheet.png")
        names = [panel.label for panel in sheet.panels]
        assert set(names) == {"wave", "storm", "field", "wood"} and not sheet.failed
        assert abs(names.index("wave") - names.index("storm")) == 1
        assert {panel.image.getpixel((5, 5)) for panel in sheet.panels} == {(245, 235, 225)}
        assert sheet.photo.image.getpixel((5, 5)) == (10, 20, 30) and sheet.photo.image.size == (64, 43)
        assert sheet.path == tmp_path / "sheet.png" and Image.open(sheet.path).format == "PNG"

    def test_nothing_is_left_behind(self, four: Bank, photo: Path, tmp_path: Path) -> None:
        before = {path for path in tmp_path.rglob("*") if "bank" not in path.parts}
        try_it(four, photo, tmp_path / "sheet.png")
        after = {path for path in tmp_path.rglob("*") if "bank" not in path.parts}
        assert after - before == {tmp_path / "sheet.png"}

    def test_styles_and_tags_choose(self, four: Bank, photo: Path) -> None:
        def labels(**options: Any) -> set[str]:
            return {panel.label for panel in try_it(four, photo, **options).panels}

        assert labels(tags=["sea"]) == {"wave", "storm"}
        assert labels(styles=["wood", "wave", "wood"]) == {"wood", "wave"}
        assert labels(styles=["wood", "wave"], tags=["sea"]) == {"wave"}

    def test_two_settings_are_columns_and_rows(self, four: Bank, photo: Path) -> None:
        vary = {"strength": [0.5, 1], "content-weight": [0.5, 1, 4]}
        sheet = try_it(four, photo, styles=["wave"], vary=vary)
        assert sheet.columns == ("strength 0.5", "strength 1")
        assert sheet.rows == ("content-weight 0.5", "content-weight 1", "content-weight 4")
        assert [panel.label for panel in sheet.panels[:3]] == [
            "strength 0.5, content-weight 0.5",
            "strength 1, content-weight 0.5",
            "strength 0.5, content-weight 1",
        ]
        reds = [panel.image.getpixel((5, 5))[0] for panel in sheet.panels]
        assert reds == [250, 245] * 3  # 255 - strength * 10

    def test_the_command_has_the_settings_of_the_picture_at_full_size(self, four: Bank, photo: Path) -> None:
        sheet = try_it(four, photo, styles=["wave"], vary={"strength": [0.5, 1]}, tv_weight=2.0)
        words = sheet.panels[0].command
        assert "--style wave --precision float32 --tv-weight 2 --strength 0.5" in words
        assert f"'{photo}' --output large" in words
        assert "--size" not in words and "--steps" not in words and "--preset" not in words
        sheet = pipeline.try_styles(
            four, photo, styles=["wave"], vary={"size": [48, 64]}, precision="float32", batch_size=1, preset="fine"
        )
        assert "--preset fine --size 48" in sheet.panels[0].command
        assert [max(panel.image.size) for panel in sheet.panels] == [48, 64]

    def test_a_picture_that_fails_stands_on_the_sheet(
        self, four: Bank, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Negatives, "broken", ("storm",))
        events: list[Any] = []
        sheet = try_it(four, photo, tmp_path / "sheet.html", listener=events.append)
        assert [(panel.label, panel.image) for panel in sheet.failed] == [("storm", None)]
        assert "a broken style" in sheet.failed[0].error
        assert "a broken style" in (tmp_path / "sheet.html").read_text("utf-8")
        finished = {event.entry.output: event.entry.status for event in events if event.kind == "end"}
        assert finished == {"storm": "failed", "wave": "done", "field": "done", "wood": "done"}

    def test_if_all_fail_there_is_no_sheet(
        self, four: Bank, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Negatives, "broken", ("wave", "storm"))
        with pytest.raises(pipeline.ImagesFailed, match="2 of 2"):
            try_it(four, photo, tmp_path / "sheet.png", tags=["sea"])
        assert not (tmp_path / "sheet.png").exists()

    def test_a_damaged_style_stands_on_the_sheet(self, four: Bank, photo: Path, tmp_path: Path) -> None:
        data = bytearray(four.path("wave").read_bytes())
        middle = len(data) // 2
        data[middle : middle + 4000] = bytes(4000)
        four.path("wave").write_bytes(data)
        four.path("wood").write_bytes(b"not a style")
        refused: list[str] = []
        sheet = try_it(four, photo, on_refused=refused.append)
        assert len(sheet.failed) == 2 and len(refused) == 2
        assert {panel.label for panel in sheet.panels if panel.image} == {"storm", "field"}
        with pytest.raises(StyleDamaged):
            try_it(four, photo, styles=["wave"])

    def test_an_interruption_leaves_the_sheet_of_what_is_finished(
        self, four: Bank, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [panel.label for panel in try_it(four, photo).panels]
        monkeypatch.setattr(Negatives, "interrupted", (names[2],))
        notes: list[str] = []
        with pytest.raises(KeyboardInterrupt):
            try_it(four, photo, tmp_path / "sheet.html", listener=lambda event: notes.append(event.text))
        page = (tmp_path / "sheet.html").read_text("utf-8")
        assert page.count("<img") == 3 and page.count("the run ended before") == 2
        assert any("2 pictures of 4" in note for note in notes)
        assert list((tmp_path / "tmp").iterdir()) == []

    def test_an_interruption_before_the_first_picture_leaves_nothing(
        self, four: Bank, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Negatives, "interrupted", tuple(four.names()))
        with pytest.raises(KeyboardInterrupt):
            try_it(four, photo, tmp_path / "sheet.png")
        assert not (tmp_path / "sheet.png").exists() and list((tmp_path / "tmp").iterdir()) == []

    def test_a_sheet_that_appears_meanwhile_stays(self, four: Bank, photo: Path, tmp_path: Path) -> None:
        def listener(event: Any) -> None:
            (tmp_path / "sheet.png").write_bytes(b"another")

        sheet = try_it(four, photo, tmp_path / "sheet.png", listener=listener)
        assert (tmp_path / "sheet.png").read_bytes() == b"another"
        assert sheet.path == tmp_path / "sheet-2.png" and sheet.path.exists()

    @pytest.mark.parametrize(
        ("options", "kind", "reason"),
        [
            ({"styles": ["wav"]}, StyleNotFound, "Did you mean wave"),
            ({"tags": ["nope"]}, UsageError, "no such style with these tags"),
            ({"vary": {"strength": [1]}}, UsageError, "4 are chosen"),
            ({"styles": ["wave"], "vary": {"strength": [0.5, 2]}}, UsageError, "expected 0"),
            ({"strength": 2}, UsageError, "expected 0"),
            ({"sise": 2}, UsageError, "sise"),
            ({"layers": ("conv5_1",)}, UsageError, "conv5_1"),
        ],
    )
    def test_a_wrong_request_is_refused_before_any_work(
        self, four: Bank, photo: Path, tmp_path: Path, options: dict[str, Any], kind: type[Exception], reason: str
    ) -> None:
        refused: list[str] = []
        with pytest.raises(kind, match=reason):
            try_it(four, photo, tmp_path / "sheet.png", on_refused=refused.append, **options)
        assert refused == [] and not (tmp_path / "sheet.png").exists()

    def test_a_photograph_that_cannot_be_used_is_named_once(self, four: Bank, photo: Path, tmp_path: Path) -> None:
        with pytest.raises(ImageRefused, match="No such file"):
            try_it(four, tmp_path / "nosuch.jpg")
        with pytest.raises(ImageRefused, match="a folder"):
            try_it(four, tmp_path)
        Image.new("RGB", (900, 40)).save(tmp_path / "thin[1].png")
        with pytest.raises(UsageError, match=r"thin\[1\]\.png: 900 x 40"):
            try_it(four, tmp_path / "thin[1].png")
        with pytest.raises(UsageError, match="is empty"):
            try_it(Bank(tmp_path / "other"), photo)
        (tmp_path / "old.png").write_bytes(b"old")
        with pytest.raises(OutputRefused, match="already exists"):
            try_it(four, photo, tmp_path / "old.png")


def test_the_default_name_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_output("in/photo.one.jpg") == Path("photo.one.sheet.jpg")
    Path("photo.one.sheet.jpg").touch()
    Path("photo.one.sheet-2.jpg").touch()
    assert default_output("in/photo.one.jpg") == Path("photo.one.sheet-3.jpg")


def test_a_second_style_of_the_same_fingerprint_compiles_nothing(
    bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorflow")
    from pipeline.backends.runtime import NAME

    if NAME != "tensorflow":
        pytest.skip("PyTorch compiles nothing, and JAX compiles for each shape of a style")
    pipeline.add(bank, DATA / "styles/poppies.jpg", scales=(96,), layers=LAYERS)
    pipeline.add(bank, DATA / "styles/starry_night.jpg", scales=(96,), layers=LAYERS)
    traces = 0
    features = VGG19.features

    def counted(self: VGG19, *arguments: Any) -> Any:
        nonlocal traces
        traces += 1  # TensorFlow calls it while it traces, and never again
        return features(self, *arguments)

    monkeypatch.setattr(VGG19, "features", counted)
    by_style: list[int] = []

    def listener(event: Any) -> None:
        if event.kind == "end":
            by_style.append(traces)

    options: dict[str, Any] = {"precision": "float32", "size": 96, "steps": 3, "tv_weight": 2.0}
    sheet = pipeline.try_styles(bank, DATA / "subjects/china.jpg", listener=listener, **options)
    assert len(sheet.panels) == 3 and not sheet.failed
    assert by_style == [by_style[0]] * 3
    pictures = {panel.image.tobytes() for panel in sheet.panels if panel.image is not None}
    assert len(pictures) == 3
