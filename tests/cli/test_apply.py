from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests import pictures
from tests.conftest import Result

Run = Callable[..., Result]
QUICK = ("--size", "64", "--steps", "2")


def test_a_folder_becomes_a_folder_of_pictures(run: Run, photographs: Path, tmp_path: Path) -> None:
    (photographs / "notes.txt").write_text("not a picture")
    out = tmp_path / "out"
    result = run("apply", "--style", "wave", photographs, "-o", out, *QUICK)
    assert result.code == 0
    assert {path.name for path in out.glob("*.jpg")} == {
        "astronaut.wave.jpg",
        "chelsea.wave.jpg",
        "rocket.wave.jpg",
    }
    assert "note: left out 1 file: notes.txt\n" in result.stderr
    assert "[2/3] chelsea.jpg" in result.stderr and "3 done" in result.stderr
    assert len((out / "stylebank.jsonl").read_text().splitlines()) == 3


def test_verbose_says_what_computes_and_more_often(run: Run, photographs: Path, tmp_path: Path) -> None:
    result = run("-v", "apply", "--style", "wave", photographs / "rocket.jpg", "-o", tmp_path / "out", *QUICK)
    assert re.search(r"on [cg]pu, (float32|bfloat16); style wave", result.stderr)
    assert "reflect padding" in result.stderr
    plain = run("apply", "--style", "wave", photographs / "rocket.jpg", "-o", tmp_path / "other", *QUICK)
    assert "reflect padding" not in plain.stderr


def test_an_original_is_never_overwritten_by_a_picture_on_the_way(run: Run, photographs: Path) -> None:
    original = photographs / "rocket.wave.steps/0001.jpg"
    original.parent.mkdir()
    original.write_bytes((photographs / "chelsea.jpg").read_bytes())
    before = original.read_bytes()
    arguments = (photographs, original, "-o", photographs, *QUICK, "--save-every", "1")
    result = run("apply", "--style", "wave", *arguments)
    assert result.code == 1 and "is one of the subjects" in result.stderr
    assert original.read_bytes() == before


def test_quiet_says_nothing_and_json_prints_the_record(run: Run, photographs: Path, tmp_path: Path) -> None:
    result = run("-q", "apply", "--style", "wave", photographs, "-o", tmp_path / "out", *QUICK, "--json")
    assert result.code == 0 and result.stderr == ""
    printed = [json.loads(line) for line in result.stdout.splitlines()]
    recorded = [json.loads(line) for line in (tmp_path / "out/stylebank.jsonl").read_text().splitlines()]
    assert all(len(line.pop("losses")) == line["steps"] for line in printed) and printed == recorded
    assert [json.loads(line)["status"] for line in result.stdout.splitlines()] == ["done"] * 3


def test_a_failed_subject_is_named_with_its_reason_and_exit_1(run: Run, photographs: Path, tmp_path: Path) -> None:
    (photographs / "empty.jpg").touch()
    result = run("apply", "--style", "wave", f"{photographs}/*.jpg", "-o", tmp_path / "out", *QUICK)
    assert result.code == 1
    assert "empty.jpg: the file is empty" in result.stderr and "3 done, 1 failed" in result.stderr


@pytest.mark.parametrize("format", ["png", "webp", "tiff"])
def test_the_format_is_the_one_asked_for(run: Run, photographs: Path, tmp_path: Path, format: str) -> None:
    run("apply", "--style", "wave", photographs / "rocket.jpg", "-o", tmp_path, *QUICK, "--format", format)
    with Image.open(tmp_path / f"rocket.wave.{format}") as image:
        assert image.format == format.upper()


def test_sixteen_bits_and_a_template(run: Run, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("apply", "--style", "wave", photographs, "-o", out, *QUICK, "--format", "tiff", "--depth", "16")
    result = run(*arguments, "--name-template", "{style}/{subject}-{size}")
    assert result.code == 0
    made = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.tiff"))
    assert made == ["wave/astronaut-64.tiff", "wave/chelsea-64.tiff", "wave/rocket-64.tiff"]
    values = tifffile.imread(out / made[0])
    assert values.dtype == np.uint16 and (values % 257 != 0).mean() > 0.5
    again = run(*arguments, "--name-template", "{style}/{subject}-{size}")
    assert again.code == 0 and "3 skipped" in again.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--depth", "16"), "depth 16: jpg has 8 bits per channel. Choose --format png or tiff"),
        (("--depth", "10"), "depth 10: expected 8 or 16"),
        (
            ("--name-template", "{painter}"),
            "unknown field {painter}. Use {subject}, {style}, {preset}, {suffix}, {size}, ",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_before_work(
    run: Run, photographs: Path, tmp_path: Path, options: tuple[str, str], said: str
) -> None:
    result = run("apply", "--style", "wave", photographs, "-o", tmp_path / "out", *QUICK, *options)
    assert result.code == 2 and said in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_metadata_goes_along_unless_the_user_says_no(run: Run, tmp_path: Path) -> None:
    pictures.with_metadata("JPEG")(tmp_path / "cat.jpg")
    arguments = ("apply", "--style", "wave", tmp_path / "cat.jpg", *QUICK)
    assert run(*arguments, "-o", tmp_path / "with").code == 0
    with Image.open(tmp_path / "with/cat.wave.jpg") as image:
        assert image.getexif()[0x010F] == "Kamera" and pictures.ORIENTATION not in image.getexif()
        assert image.size == (64, 48) and b"Zo" in image.info["xmp"]
    assert run(*arguments, "-o", tmp_path / "without", "--no-metadata").code == 0
    with Image.open(tmp_path / "without/cat.wave.jpg") as image:
        assert not image.getexif() and "xmp" not in image.info and image.info["icc_profile"]


def test_a_single_output_file_is_named_as_given(run: Run, photographs: Path, tmp_path: Path) -> None:
    assert run("apply", "--style", "wave", photographs / "rocket.jpg", "-o", tmp_path / "x.png", *QUICK).code == 0
    assert Image.open(tmp_path / "x.png").format == "PNG"


def test_an_existing_output_stays_without_overwrite(run: Run, photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "rocket.wave.jpg").write_bytes(b"precious")
    arguments = ("apply", "--style", "wave", photographs / "rocket.jpg", "-o", tmp_path, *QUICK)
    result = run(*arguments, "--on-existing", "fail")
    assert result.code == 1 and "--on-existing number, skip, fail or overwrite" in result.stderr
    result = run(*arguments)
    assert result.code == 0 and "exists already, and it is not in the record" in result.stderr
    assert Image.open(tmp_path / "rocket.wave-2.jpg").size == (64, 43)
    assert (tmp_path / "rocket.wave.jpg").read_bytes() == b"precious"
    assert run(*arguments, "--overwrite").code == 0
    assert (tmp_path / "rocket.wave.jpg").read_bytes() != b"precious"


def test_the_original_preset_says_what_does_not_fit(run: Run, photographs: Path) -> None:
    result = run("apply", "--style", "wave", "--preset", "original", photographs)
    assert result.code == 2
    assert "measured with pooling 'max'" in result.stderr and "wants 'avg'" in result.stderr


def test_an_output_folder_that_cannot_be_made_is_one_line(run: Run, photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("apply", "--style", "wave", photographs, "-o", tmp_path / "file/out", *QUICK)
    assert result.code == 1 and "A file stands where a folder is needed" in result.stderr


def test_a_terminal_gets_a_bar_with_name_loss_and_time_left(
    bank_folder: Path, photographs: Path, tmp_path: Path
) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "pipeline.cli", "--bank", str(bank_folder), "apply", "--style", "wave"]
    command += [str(photographs / "rocket.jpg"), "-o", str(tmp_path / "out"), "--size", "64", "--steps", "30"]
    process = subprocess.Popen(command, stderr=follower, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"})
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    assert process.wait() == 0
    text = shown.decode()
    assert "[1/1] rocket.jpg" in text and "loss" in text and "left" in text and "1 done" in text


def test_ctrl_c_keeps_what_is_finished_and_ends_with_130(bank_folder: Path, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "pipeline.cli", "--bank", str(bank_folder), "apply", "--style", "wave"]
    command += [str(photographs), "-o", str(out), "--size", "64", "--steps", "60"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (out / "stylebank.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _out, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted. What was finished is kept." in said and "Traceback" not in said
    names = sorted(path.name for path in out.iterdir())
    assert "astronaut.wave.jpg" in names and "rocket.wave.jpg" not in names
    assert [name for name in names if name.startswith(".")] == [".stylebank-runs"]  # what `stylebank status` reads
    Image.open(out / "astronaut.wave.jpg").verify()


def test_devices_are_listed_without_style_or_subject(run: Run) -> None:
    result = run("apply", "--list-devices")
    assert result.code == 0 and result.stdout.splitlines()[-1] == "cpu"


def test_a_picture_is_made_on_the_cpu_in_float32_the_same_twice(run: Run, photographs: Path, tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        arguments = ("--size", 64, "--steps", 2, "--device", "cpu", "--precision", "float32", "--deterministic")
        output = tmp_path / f"{name}.png"
        result = run("apply", "--style", "wave", photographs / "chelsea.jpg", "--output", output, "--json", *arguments)
        assert result.code == 0, result.stderr
        line = json.loads(result.stdout)
        assert (line["precision"], line["device"]) == ("float32", "cpu")
        made.append(output.read_bytes())
    assert made[0] == made[1]


def test_a_memory_limit_that_no_picture_fits_is_told_before_work(run: Run, photographs: Path, tmp_path: Path) -> None:
    arguments = ("apply", "--style", "wave", photographs / "rocket.jpg", "-o", tmp_path / "out")
    result = run(*arguments, "--size", "2048", "--memory-limit", "2GiB")
    assert result.code == 1 and "step" not in result.stderr
    assert "2.1 GB are allowed. Choose --size " in result.stderr
    longest = int(result.stderr.split("Choose --size ")[1].split()[0])
    assert 64 < longest < 2048
    result = run(*arguments, *QUICK, "--memory-limit", "lots")
    assert result.code == 2 and "'lots' is not a size such as 8GB" in result.stderr
    assert run(*arguments, *QUICK, "--memory-limit", "8g").code == 0
