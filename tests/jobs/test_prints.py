"""Prints: pixels, paper, density, masks, record and notes, with negatives in place of synthesis."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.execution import worker
from pipeline.jobs import job_file, presets
from pipeline.jobs.estimate import estimate
from pipeline.jobs.notes import expected_notes, request_notes
from pipeline.jobs.print_plan import print_notes
from pipeline.jobs.run import Run
from pipeline.jobs.status import status
from pipeline.synthesis.memory import require_memory
from pipeline.synthesis.proof import tile_box
from pipeline.vgg import weights
from stylebank.bank import Bank
from stylebank.errors import UsageError
from tests import styles
from tests.fakes import Stylizer

LIGHT: dict[str, Any] = {"precision": "float32", "steps": 2, "dpi": 20}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """The subjects and masks that reach the stylizer."""
    pairs: list[tuple[Any, Any]] = []

    class Recording(Stylizer):
        def stylize(self, subject: Any, *, regions: Any = None, **options: Any) -> Any:
            pairs.append((subject, regions))
            return super().stylize(subject, **options)

    monkeypatch.setattr(weights, "matching", lambda sha256, *_arguments, **_options: SimpleNamespace(sha256=sha256))
    context: Any = Run.context
    monkeypatch.setattr(Run, "context", lambda self, *, remote: context(self, remote=True))
    make = functools.lru_cache(lambda context: Recording(context.settings))
    monkeypatch.setattr(worker, "_make_stylizer", make)
    machine = {"backend": "none", "device": "cpu", "precision": "float32"}
    monkeypatch.setattr(worker, "machine_info", lambda place, stylizer: machine)
    return pairs


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "bank")
    bank.add(styles.style("wave"))
    return bank


@pytest.fixture
def thirds(tmp_path: Path) -> Path:
    """A photograph of 120 x 40 pixels: black, grey, black."""
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, 40:80] = 128
    path = tmp_path / "in/thirds.png"
    path.parent.mkdir()
    Image.fromarray(pixels).save(path)
    return path


def make(bank: Bank, photo: Path, **options: Any) -> tuple[list[pipeline.Entry], list[str]]:
    notes: list[str] = []
    options = {"batch_size": 1, "format": "png", **LIGHT, **options}
    entries = pipeline.apply(
        bank,
        "wave",
        [photo],
        photo.parents[1] / "out",
        listener=lambda event: notes.append(event.text) if event.kind == "note" else None,
        **options,
    )
    return entries, notes


def test_crop_fills_the_paper_with_the_centre(bank: Bank, thirds: Path, seen: list[Any]) -> None:
    (entry,), notes = make(bank, thirds, print="10x10cm")
    picture = np.asarray(Image.open(thirds.parents[1] / "out/thirds.wave.png"))
    assert picture.shape == (79, 79, 3) and (entry.width, entry.height) == (79, 79)
    assert (np.abs(picture[:, 10:-10].astype(int) - 127) <= 1).all()  # the grey third
    assert [note for note in notes if "67 % of the picture is cropped" in note and "thirds.png" in note]
    assert [note for note in notes if note == "print 10x10cm at 20 dpi: 1 picture of 79 x 79 pixels, 1.1 GB of memory"]


def test_border_puts_all_of_it_on_white_paper(bank: Bank, thirds: Path, seen: list[Any]) -> None:
    (entry,), notes = make(bank, thirds, print="15x15cm", fit="border")
    picture = np.asarray(Image.open(thirds.parents[1] / "out/thirds.wave.png"))
    assert picture.shape == (118, 118, 3) and (entry.width, entry.height) == (118, 118)
    assert seen[0][0].shape == (39, 118, 3)
    assert (picture[:39] == 255).all() and (picture[78:] == 255).all()
    assert (picture[45:72, 45:75] == 127).all()
    assert not [note for note in notes if "cropped" in note]


@pytest.mark.parametrize("fit", ["crop", "border"])
def test_a_small_photograph_says_its_own_density_once(bank: Bank, thirds: Path, seen: list[Any], fit: str) -> None:
    _entries, notes = make(bank, thirds, print="30x10in", fit=fit)
    assert len([note for note in notes if "has 4 dots per inch at this print size" in note]) == 1
    assert not [note for note in make(bank, thirds, print="3x2in")[1] if "dots per inch" in note]


@pytest.mark.parametrize("format", ["jpg", "png", "webp", "tiff"])
def test_every_format_states_the_density(bank: Bank, thirds: Path, seen: list[Any], format: str) -> None:
    make(bank, thirds, print="4x4in", dpi=25, format=format)
    (path,) = (thirds.parents[1] / "out").glob("thirds.wave.*")
    with Image.open(path) as image:
        assert image.size == (100, 100)
        exif = image.getexif()
        dpi = image.info.get("dpi") or (exif[282], exif[283])
    assert [float(each) for each in dpi] == pytest.approx([25, 25], abs=0.02)  # PNG has whole dots per metre


def test_named_formats_turn_with_each_photograph(bank: Bank, thirds: Path, seen: list[Any]) -> None:
    Image.open(thirds).rotate(90, expand=True).save(thirds.with_name("upright.png"))
    entries, _notes = make(bank, thirds.parent, print="A5")
    assert [(entry.width, entry.height) for entry in entries] == [(165, 117), (117, 165)]


def test_masks_are_cropped_like_the_photograph(bank: Bank, thirds: Path, seen: list[Any]) -> None:
    mask = np.zeros((80, 240), np.uint8)
    mask[:, 80:120] = 255  # the left half of the grey third
    Image.fromarray(mask).save(thirds.parent / "mask.png")
    make(bank, thirds, print="10x10cm", mask=thirds.parent / "mask.png")
    (plane,) = seen[0][1].masks
    assert plane.shape == (79, 79)
    assert (plane[:, 2:37] == 1).all() and (plane[:, 42:] == 0).all()
    seen.clear()
    make(bank, thirds, print="30x30cm", fit="border", mask=thirds.parent / "mask.png")
    (plane,) = seen[0][1].masks
    assert plane.shape == (79, 236) and (plane[:, 81:115] == 1).all() and (plane[:, 121:] == 0).all()


def test_transparency_is_cropped_and_the_border_is_opaque(bank: Bank, thirds: Path, seen: list[Any]) -> None:
    pixels = np.full((40, 120, 4), 100, np.uint8)
    pixels[:, :60, 3] = 0
    Image.fromarray(pixels).save(thirds)
    make(bank, thirds, print="10x10cm")
    alpha = np.asarray(Image.open(thirds.parents[1] / "out/thirds.wave.png"))[..., 3]
    assert (alpha[:, :33] == 0).all() and (alpha[:, 46:] == 100).all()  # Lanczos rings beside the edge
    make(bank, thirds, print="15x15cm", fit="border", overwrite=True)
    alpha = np.asarray(Image.open(thirds.parents[1] / "out/thirds.wave.png"))[..., 3]
    assert (alpha[:39] == 255).all() and (alpha[45:70, :55] == 0).all()


def test_another_print_size_is_another_picture_and_the_same_one_is_finished(
    bank: Bank, thirds: Path, seen: list[Any]
) -> None:
    assert make(bank, thirds, print="10x10cm")[0][0].status == "done"
    assert make(bank, thirds, print="100x100mm")[0][0].status == "skipped"
    ((entry,), _notes) = make(bank, thirds, print="15x16cm")
    assert (entry.status, entry.output) == ("done", "thirds.wave-2.png")
    ((entry,), _notes) = make(bank, thirds, print="15x16cm", fit="border")
    assert (entry.status, entry.output) == ("done", "thirds.wave-3.png")
    lines = [json.loads(line) for line in (thirds.parents[1] / "out/stylebank.jsonl").read_text("utf-8").splitlines()]
    sizes = ["10x10cm", "15x16cm", "15x16cm"]
    assert [line["settings"]["print"] for line in lines if line["status"] == "done"] == sizes
    assert len(seen) == 3


def test_a_job_and_the_command_override_the_size_of_what_lies_below(bank: Bank, thirds: Path, seen: list[Any]) -> None:
    path = thirds.parents[1] / "jobs.toml"
    text = '[defaults]\nsize = 64\n[[job]]\nstyle = "wave"\nsubjects = ["in"]\nprint = "A6"\nfit = "border"\ndpi = 50\n'
    path.write_text(text, "utf-8")
    (run,) = job_file.prepare(bank, path)
    assert (run.settings.print, run.settings.fit, run.settings.size) == ("A6", "border", 291)
    path.write_text(text.replace("size = 64\n[[job]]", "[[job]]\nsize = 64"), "utf-8")
    with pytest.raises(UsageError, match=r"job at line 2: size 64: print A6 gives the size already"):
        job_file.prepare(bank, path)


def test_a_preset_can_name_a_print(bank: Bank, thirds: Path, seen: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(thirds.parents[1])
    Path("stylebank.toml").write_text('[presets.wall]\nsteps = 7\nprint = "A3"\nfit = "border"\n', "utf-8")
    run = presets.prepare(bank, "wave", [thirds], preset="wall", name_template="{subject}-{size}")
    assert (run.settings.print, run.settings.fit, run.settings.steps) == ("A3", "border", 7)
    assert run.planned.tasks[0].output.name == "thirds-4961.jpg"
    assert presets.prepare(bank, "wave", [thirds], preset="wall", size=64).settings.print is None


@pytest.mark.usefixtures("seen")
def test_a_picture_in_memory_is_printed_too(bank: Bank, thirds: Path) -> None:
    image = pipeline.stylize(thirds, "wave", bank=bank, print="15x15cm", fit="border", **LIGHT)
    assert isinstance(image, Image.Image) and image.size == (118, 118)
    assert image.info["dpi"] == (20, 20) and image.getpixel((59, 10)) == (255, 255, 255)
    values = pipeline.stylize(thirds, "wave", bank=bank, print="15x15cm", as_array=True, **LIGHT)
    assert isinstance(values, np.ndarray) and values.shape == (118, 118, 3)


@pytest.mark.usefixtures("seen")
def test_memory_and_tiles_are_estimated_for_the_paper(bank: Bank, thirds: Path) -> None:
    run = presets.prepare(
        bank, "wave", [thirds], print="A4", fit="border", precision="float32", memory_limit=6_000_000_000
    )
    (each,) = estimate([run], trial=False)
    assert dict(each.sizes) == {(3508, 1169): 1} and each.tiled and not each.problem
    # 1.1 GB, a tile of 0.8, and for each of 3508 x 1169 pixels at least 300 + 14 * 12 bytes
    assert each.memory is not None and 1.9e9 + 3508 * 1169 * 468 <= each.memory <= 6e9
    small = presets.prepare(bank, "wave", [thirds], print="A4", precision="float32", memory_limit=2_000_000_000)
    (each,) = estimate([small], trial=False)
    assert "3508 x 2480 pixels need about" in each.problem and "GB are allowed" in each.problem


def test_a_run_without_prints_has_no_notes_on_them(bank: Bank, thirds: Path, seen: list[Any]) -> None:
    run = presets.prepare(bank, "wave", [thirds], size=2000, precision="float32")
    assert print_notes([run], SimpleNamespace()) == []  # type: ignore[arg-type]


@pytest.fixture
def tiles(seen: list[Any], monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """Let the stylizer return the tile of a proof."""
    stylize = Stylizer.stylize

    def cut(self: Stylizer, subject: Any, **options: Any) -> Any:
        result = stylize(self, subject, **options)
        if self.settings.proof is not None:
            size = result.pixels.shape[1], result.pixels.shape[0]
            left, top, right, bottom = tile_box(subject, size, self.settings)
            result.pixels = result.pixels[top:bottom, left:right]
        return result

    monkeypatch.setattr(Stylizer, "stylize", cut)
    return seen


def test_a_proof_is_a_tile_of_the_picture_with_a_name_a_note_and_a_record_of_its_own(
    bank: Bank, thirds: Path, tiles: list[Any]
) -> None:
    ((entry,), _notes) = make(bank, thirds, size=360)
    whole = np.asarray(Image.open(thirds.parents[1] / "out/thirds.wave.png"))
    ((proof,), notes) = make(bank, thirds, size=360, proof=64, proof_at="40,50")
    assert (proof.status, proof.output, proof.width, proof.height) == ("done", "thirds.wave.proof.png", 64, 64)
    assert isinstance(proof.settings, dict) and proof.settings["proof"] == 64 and "proof" not in entry.settings
    tile = np.asarray(Image.open(thirds.parents[1] / "out/thirds.wave.proof.png"))
    np.testing.assert_array_equal(tile, whole[28:92, 112:176])
    assert [note for note in notes if note.endswith("proof of 64 x 64 pixels around 40,50 percent of 360 x 120")]
    assert make(bank, thirds, size=360, proof=64, proof_at="40,50")[0][0].status == "skipped"
    assert make(bank, thirds, size=360)[0][0].status == "skipped"
    assert make(bank, thirds, size=360, proof=64, proof_at="60,50")[0][0].output == "thirds.wave.proof-2.png"


def test_a_proof_never_counts_as_the_finished_picture(bank: Bank, thirds: Path, tiles: list[Any]) -> None:
    make(bank, thirds, size=360, proof=64)
    (folder,) = status(thirds.parents[1] / "out")
    assert (len(folder.done), len(folder.failed), folder.missing) == (0, 0, 0)
    assert make(bank, thirds, size=360)[0][0].status == "done"
    (folder,) = status(thirds.parents[1] / "out")
    assert [entry.output for entry in folder.done] == ["thirds.wave.png"]
    entries = pipeline.apply(
        bank, "wave", [thirds], thirds.parents[1] / "large.png", batch_size=1, **{**LIGHT, "proof": 64}
    )
    assert [entry.output for entry in entries] == ["large.proof.png"]


def test_a_proof_of_a_print_has_no_border_and_keeps_its_transparency(
    bank: Bank, thirds: Path, tiles: list[Any]
) -> None:
    pixels = np.full((40, 120, 4), 100, np.uint8)
    pixels[:, :60, 3] = 0
    Image.fromarray(pixels).save(thirds)
    ((entry,), notes) = make(bank, thirds, print="30x30cm", fit="border", proof=40, proof_at="50,50")
    assert (entry.width, entry.height) == (40, 40)
    with Image.open(thirds.parents[1] / "out/thirds.wave.proof.png") as image:
        alpha = np.asarray(image)[..., 3]
    assert (alpha[:, :14] == 0).all() and (alpha[:, 26:] == 100).all()
    assert [note for note in notes if "a proof of 40 pixels a side from each of 1 picture of 236 x 79 pixels" in note]


@pytest.mark.parametrize("options", [{"save_every": 2}, {"animation": "a.gif"}])
def test_a_proof_has_no_steps_to_show(bank: Bank, thirds: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"a proof is one tile, and has no steps to show\. Leave out --"):
        presets.prepare(bank, "wave", [thirds], proof=64, **options)


@pytest.mark.usefixtures("tiles")
def test_a_proof_in_memory(bank: Bank, thirds: Path) -> None:
    values = pipeline.stylize(thirds, "wave", bank=bank, size=360, proof=50, as_array=True, **LIGHT)
    assert isinstance(values, np.ndarray) and values.shape == (50, 50, 3)


@pytest.mark.usefixtures("seen")
def test_a_proof_of_a_large_picture_is_estimated_by_its_parts(bank: Bank, thirds: Path) -> None:
    options: dict[str, Any] = {"print": "A2", "precision": "float32", "memory_limit": 6_000_000_000}
    (whole,) = estimate([presets.prepare(bank, "wave", [thirds], **options)], trial=False)
    (proof,) = estimate([presets.prepare(bank, "wave", [thirds], proof=512, **options)], trial=False)
    assert whole.problem and not proof.problem and proof.memory is not None and proof.memory < 4e9


@pytest.mark.parametrize(
    ("size", "fit", "expected"),
    [
        ("10x15cm", "crop", "portrait and the photograph is landscape; --print 15x10cm cuts less off"),
        ("10x15cm", "border", "portrait and the photograph is landscape; --print 15x10cm leaves less paper white"),
        ("8.5x12in", "crop", "portrait and the photograph is landscape; --print 12x8.5in cuts less off"),
        ("15x10cm", "crop", ""),
        ("10x10cm", "crop", ""),
        ("A5", "crop", ""),
    ],
)
def test_a_size_in_the_wrong_orientation_names_the_other_one(
    bank: Bank, thirds: Path, seen: list[Any], size: str, fit: str, expected: str
) -> None:
    found = [note for note in make(bank, thirds, print=size, fit=fit, dpi=40)[1] if "the photograph is" in note]
    assert len(found) == bool(expected) and all(note == f"{thirds}: print {size} is {expected}" for note in found)


def _keep_note(notes: list[str], event: Any) -> None:
    if event.kind == "note" and not event.verbose:
        notes.append(event.text)


@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize("count", [1, 12])
def test_a_dry_run_expects_the_notes_of_the_run(bank: Bank, thirds: Path, count: int) -> None:
    for number in range(1, count):
        Image.open(thirds).save(thirds.with_name(f"copy{number}.png"))
    run = presets.prepare(
        bank, "wave", [thirds.parent], thirds.parents[1] / "dry", **{**LIGHT, "print": "80x120cm", "format": "png"}
    )
    (each,) = estimate([run], trial=False)
    expected = [*request_notes([run]), *expected_notes(each.pending)]
    notes: list[str] = []
    options: dict[str, Any] = {**LIGHT, "print": "80x120cm", "format": "png", "batch_size": 1}
    listener = functools.partial(_keep_note, notes)
    pipeline.apply(bank, "wave", [thirds.parent], thirds.parents[1] / "out", listener=listener, **options)
    assert sorted(note for note in notes if not note.startswith("print 80x120cm at")) == sorted(expected)
    # enlarged 40 pixels to 120 cm, cropped to 2/9 of the area, the other orientation, and styles of another scale
    for part in ("has 1 dots per inch", "78 % of the picture is cropped", "--print 120x80cm cuts", "style wave: "):
        assert len([note for note in expected if part in note]) == (1 if part == "style wave: " else count)


@pytest.mark.usefixtures("seen")
def test_a_print_too_large_for_the_memory_names_a_density_that_fits(bank: Bank, thirds: Path) -> None:
    options: dict[str, Any] = {"print": "A1", "precision": "float32", "memory_limit": 6_000_000_000}
    (each,) = estimate([presets.prepare(bank, "wave", [thirds], **options)], trial=False)
    named = re.search(r"Choose --dpi (\d+) or less, a smaller --print, or a higher --memory-limit\.", each.problem)
    assert named and "--size" not in each.problem and int(named[1]) < 300
    (each,) = estimate([presets.prepare(bank, "wave", [thirds], dpi=int(named[1]), **options)], trial=False)
    assert not each.problem
    (each,) = estimate([presets.prepare(bank, "wave", [thirds], proof=3000, **options)], trial=False)
    assert "Choose a smaller --proof" in each.problem and "--size" not in each.problem


def test_the_failure_of_a_print_names_its_options(
    bank: Bank, thirds: Path, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Stylizer, subject: Any, **options: Any) -> Any:
        height, width = subject.shape[:2]
        require_memory((100 * width, 100 * height), 1, "float32", limit=4_000_000_000)

    monkeypatch.setattr(Stylizer, "stylize", refuse)
    with pytest.raises(pipeline.ImagesFailed, match=r"Choose --dpi \d+ or less, a smaller --print, or a higher"):
        make(bank, thirds, print="10x10cm")
    with pytest.raises(pipeline.ImagesFailed, match=r"Choose --size \d+ or less, or a higher"):
        make(bank, thirds, size=120)
