"""The library's `pipeline.add` and `pipeline.apply`, on small real pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline import Entry, Progress
from pipeline.jobs.apply import ImagesFailed
from pipeline.jobs.record import Record
from stylebank import images
from stylebank.bank import Bank
from stylebank.errors import FingerprintMismatch, StyleDamaged, StyleExists, StyleNotFound, UsageError
from tests.conftest import DATA, LAYERS

QUICK = {"size": 64, "steps": 2}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def folder_digests(folder: Path) -> dict[str, str]:
    return {path.name: digest(path) for path in sorted(folder.iterdir()) if path.is_file()}


def test_every_photograph_becomes_a_picture_with_a_line_in_the_record(
    bank: Bank, photographs: Path, tmp_path: Path
) -> None:
    before = folder_digests(photographs)
    entries = pipeline.apply(bank, "wave", [photographs], tmp_path / "out", **QUICK)
    assert [entry.output for entry in entries] == ["astronaut.wave.jpg", "chelsea.wave.jpg", "rocket.wave.jpg"]
    for entry in entries:
        output = tmp_path / "out" / entry.output
        assert entry.status == "done" and entry.error is None
        assert entry.output_sha256 == digest(output)
        assert entry.subject_sha256 == digest(Path(entry.subject))
        assert entry.style_sha256 == bank.header("wave").content_sha256
        assert Image.open(output).size == (entry.width, entry.height) and max(entry.width, entry.height) == 64
        assert entry.final_loss < entry.start_loss
        assert entry.device in {"cpu", "gpu"} and entry.precision in {"float32", "bfloat16"}
    lines = (tmp_path / "out/stylebank.jsonl").read_text().splitlines()
    assert [Entry(**json.loads(line)) for line in lines] == [
        dataclasses.replace(entry, losses=None) for entry in entries
    ]
    assert Record(tmp_path / "out").entries() == entries
    assert folder_digests(photographs) == before


def test_a_bad_image_does_not_stop_the_others(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    (photographs / "broken.jpg").write_bytes((photographs / "rocket.jpg").read_bytes()[:300])
    subjects = [photographs, tmp_path / "nowhere.jpg"]
    with pytest.raises(ImagesFailed, match=r"2 of 5 images failed: .*broken\.jpg.* And 1 more") as raised:
        pipeline.apply(bank, "wave", subjects, tmp_path / "out", **QUICK)
    assert [entry.status for entry in raised.value.entries] == ["done", "failed", "done", "done", "failed"]
    with pytest.raises(UsageError, match="on_error 'ignore': expected 'raise' or 'return'"):
        pipeline.apply(bank, "wave", subjects, tmp_path / "out", on_error="ignore", **QUICK)
    entries = pipeline.apply(bank, "wave", subjects, tmp_path / "new", on_error="return", **QUICK)
    assert [entry.status for entry in entries] == ["done", "failed", "done", "done", "failed"]
    assert "broken.jpg" in str(entries[1].error) and "nowhere.jpg" in str(entries[4].error)
    assert not (tmp_path / "new/broken.wave.jpg").exists()


def test_an_interruption_keeps_finished_images_and_the_next_run_resumes(
    bank: Bank, photographs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def interrupt(progress: Progress) -> None:
        if progress.number == 2 and progress.kind == "step":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.apply(bank, "wave", [photographs], out, listener=interrupt, **QUICK)
    names = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    assert names == ["astronaut.wave.jpg", "stylebank.jsonl", "stylebank.losses.jsonl"]
    entries = pipeline.apply(bank, "wave", [photographs], out, **QUICK)
    assert [entry.status for entry in entries] == ["skipped", "done", "done"]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_settings_of_any_number_type_are_recorded(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    (entry,) = pipeline.apply(
        bank,
        "wave",
        [photographs / "rocket.jpg"],
        tmp_path / "out",
        size=np.int64(64),
        steps=np.int32(1),
        init=photographs / "chelsea.jpg",
    )
    assert entry.status == "done" and type(entry.settings["size"]) is int
    with pytest.raises(UsageError, match="is the start picture of --init: a picture that is read is never overwritten"):
        pipeline.apply(bank, "wave", [photographs / "rocket.jpg"], tmp_path / "x.jpg", init=tmp_path / "x.jpg", **QUICK)


def test_a_damaged_style_stops_the_run_with_its_own_error(
    bank: Bank, bank_folder: Path, photographs: Path, tmp_path: Path
) -> None:
    path = next(bank_folder.glob("*.h5"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # in the arrays: the header is whole
    path.write_bytes(data)
    with pytest.raises(StyleDamaged):
        pipeline.apply(bank, "wave", [photographs], tmp_path / "out", **QUICK)


def test_progress_names_the_picture_its_place_and_the_time_left(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    events: list[Progress] = []
    pipeline.apply(bank, "wave", [photographs], tmp_path / "out", listener=events.append, **QUICK)
    steps = [progress for progress in events if progress.kind == "step"]
    assert {(progress.number, progress.total) for progress in steps} == {(1, 3), (2, 3), (3, 3)}
    left = [progress.seconds_left for progress in steps if progress.step > 1]
    assert all(seconds is not None and seconds >= 0 for seconds in left)
    assert left[-1] == pytest.approx(0) and left[0] > 0
    assert [progress.entry.status for progress in events if progress.entry] == ["done"] * 3


def test_the_initial_image_is_part_of_the_settings(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    start = photographs / "chelsea.jpg"
    (entry,) = pipeline.apply(
        bank, "wave", [photographs / "rocket.jpg"], tmp_path / "out", init=str(start), size=64, steps=1
    )
    assert entry.settings["init_sha256"] == digest(start)
    pixels = images.load(tmp_path / "out" / entry.output).pixels
    cat = images.load(start).pixels
    cat = images.resize(
        images.crop_to_shape(cat, (pixels.shape[1], pixels.shape[0])), (pixels.shape[1], pixels.shape[0])
    )
    rocket = images.resize(images.load(photographs / "rocket.jpg").pixels, (pixels.shape[1], pixels.shape[0]))
    assert np.corrcoef(pixels.ravel(), cat.ravel())[0, 1] > np.corrcoef(pixels.ravel(), rocket.ravel())[0, 1]


def test_the_original_preset_refuses_a_style_with_another_fingerprint(bank: Bank, photographs: Path) -> None:
    with pytest.raises(FingerprintMismatch, match=r"'wave' was measured with pooling 'max'.*wants 'avg'"):
        pipeline.apply(bank, "wave", [photographs], preset="original")


def test_the_original_preset_accepts_a_style_added_with_it(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    header = pipeline.add(bank, photographs / "chelsea.jpg", preset="original", name="cat")
    assert (header.fingerprint.padding, list(header.sizes)) == ("zero", [72])
    (entry,) = pipeline.apply(
        bank, "cat", [photographs / "rocket.jpg"], tmp_path / "out", preset="original", size=48, steps=2
    )
    assert entry.status == "done" and entry.start_loss > 1e6  # the plain sum of the layers


def test_errors_come_before_any_image_is_computed(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(StyleNotFound, match=r"'wafe'.*Did you mean wave"):
        pipeline.apply(bank, "wafe", [photographs], out)
    with pytest.raises(FingerprintMismatch, match="conv5_1"):
        pipeline.apply(bank, "wave", [photographs], out, layers=["conv5_1"])
    with pytest.raises(UsageError, match="save_every 0"):
        pipeline.apply(bank, "wave", [photographs], out, save_every=0)
    with pytest.raises(StyleExists, match="--replace"):
        pipeline.add(bank, DATA / "styles/poppies.jpg", name="wave")
    assert not out.exists()


def test_layers_can_be_chosen_among_the_styles(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    (entry,) = pipeline.apply(bank, "wave", [photographs / "rocket.jpg"], tmp_path / "out", layers=["conv2_1"], **QUICK)
    assert entry.settings["layers"] == ["conv2_1"]


def test_adding_twice_gives_the_same_digest(bank: Bank) -> None:
    header = pipeline.add(bank, DATA / "styles/great_wave.jpg", name="again", scales=(96,), layers=LAYERS)
    assert header.content_sha256 == bank.header("wave").content_sha256
