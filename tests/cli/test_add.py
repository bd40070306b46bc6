from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import DATA, Result

Run = Callable[..., Result]
POPPIES = DATA / "styles/poppies.jpg"
QUICK = ("--scales", "48", "--layers", "conv1_1,relu2_1")


def test_a_painting_becomes_a_style_named_after_its_file(run: Run) -> None:
    result = run("add", POPPIES, *QUICK, "--tag", "japan", "--tag", "flowers")
    assert result.code == 0 and result.stdout.startswith("poppies: measured at 48 (")
    style = json.loads(run("show", "poppies", "--json").stdout)
    assert style["layers"] == ["pixels", "conv1_1", "relu2_1"] and style["tags"] == ["japan", "flowers"]
    assert "[japan flowers]" in run("list").stdout


def test_an_existing_name_needs_replace(run: Run) -> None:
    assert run("add", POPPIES, "--name", "wave", *QUICK).code == 2
    result = run("add", POPPIES, "--name", "wave", *QUICK, "--replace")
    assert result.code == 0
    assert json.loads(run("show", "wave", "--json").stdout)["source"] == "poppies.jpg"


def test_the_measure_is_part_of_the_style(run: Run) -> None:
    run("add", POPPIES, *QUICK, "--pooling", "max", "--padding", "replicate")
    style = json.loads(run("show", "poppies", "--json").stdout)
    assert (style["pooling"], style["padding"]) == ("max", "replicate")


def test_one_bad_painting_stops_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    result = run("add", tmp_path / "text.jpg", POPPIES, *QUICK)
    assert result.code == 1
    assert "text.jpg: a text file, not an image" in result.stderr and "poppies: measured" in result.stdout


def test_one_name_is_for_one_painting(run: Run) -> None:
    result = run("add", POPPIES, DATA / "styles/great_wave.jpg", "--name", "both")
    assert result.code == 2 and "--name 'both' names a single IMAGE" in result.stderr


def test_unknown_weights_need_a_flag_that_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "weights.npy").write_bytes(b"not numpy")
    result = run("add", POPPIES, "--weights", tmp_path / "weights.npy")
    assert result.code == 1 and "--allow-unknown-weights" in result.stderr


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("..", "does not start with '.'"),
        ("/x", "holds no /"),
        ("a/b", "holds no /"),
        ("a\\b", "holds no \\"),
        ("-rf", "does not start with '-'"),
        (".hidden", "does not start with '.'"),
        ("two\nlines", "U+000A"),
        ("evil\u202egpj", "U+202E"),
        ("tab\there", "U+0009"),
        ("x" * 5000, "this one 5000"),
        ("", "this one 0"),
        (" space", "start or end with a space"),
    ],
)
def test_a_name_that_is_not_allowed_is_refused_with_its_rule(run: Run, name: str, reason: str) -> None:
    result = run("add", POPPIES, f"--name={name}", *QUICK)
    assert result.code == 2
    assert reason in result.stderr and "Choose another" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert run("list").stdout.count("\n") == 1


def test_nul_in_a_name_is_refused(run: Run) -> None:
    assert run("add", POPPIES, "--name", "nul\0", *QUICK).code == 2


@pytest.mark.parametrize("name", ["\U0001f3a8 poppies", "Hokusai, K.", "\u5317\u658e", "a b"])
def test_emoji_and_other_scripts_are_fine(run: Run, name: str) -> None:
    assert run("add", POPPIES, "--name", name, *QUICK).code == 0
    assert json.loads(run("show", name, "--json").stdout)["name"] == name


def test_both_forms_of_an_accent_are_one_name(run: Run) -> None:
    assert run("add", POPPIES, "--name", "Se\u0301rusier", *QUICK).code == 0
    assert json.loads(run("show", "S\u00e9rusier", "--json").stdout)["name"] == "S\u00e9rusier"
    assert run("add", POPPIES, "--name", "S\u00e9rusier", *QUICK).code == 2


def test_names_that_differ_in_case_alone_cannot_stand_together(run: Run) -> None:
    result = run("add", POPPIES, "--name", "WAVE", *QUICK)
    assert result.code == 2 and "only in case" in result.stderr


def test_a_file_name_that_is_not_utf8_does_not_crash(run: Run, tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")
    Path(odd).write_bytes(POPPIES.read_bytes())
    result = run("add", odd, *QUICK)
    assert result.code == 2 and "Traceback" not in result.stderr and "--name" in result.stderr
    assert run("add", odd, "--name", "cafe", *QUICK).code == 0
    assert json.loads(run("show", "cafe", "--json").stdout)["source"] == "caf\\udce9.jpg"
