"""``--preset`` with presets of the user, and ``stylebank presets``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import command
from tests.fake_cli import LIGHT

PRESETS = """\
[presets.mine]
steps = 3
size = 40
format = "png"
layer_weights = ["conv1=0.5"]
name_template = "{subject}-{preset}"
max_pixels = 5000
"""


@pytest.fixture
def user(folder: Path) -> dict[str, str]:
    """Environment with a configuration folder that has a file of presets."""
    (folder / "config/stylebank").mkdir(parents=True)
    (folder / "config/stylebank/stylebank.toml").write_text(PRESETS)
    return {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}


def _apply(folder: Path, user: dict[str, str], *options: str) -> dict[str, Any]:
    """Put a subject into the style; return the line of the record."""
    words = ["apply", "--style", "wave", "in/a.png", "--json", *LIGHT, *options]
    done = command(folder, "", *words, **user)
    assert done.returncode == 0, done.stderr
    entry: dict[str, Any] = json.loads(done.stdout)
    return {**entry, "stderr": done.stderr}


def test_the_command_line_overrides_the_environment_and_that_overrides_the_preset(
    folder: Path, user: dict[str, str]
) -> None:
    entry = _apply(folder, user, "--preset", "mine", "-o", "out")
    settings = entry["settings"]
    assert (settings["steps"], settings["size"], settings["format"]) == (3, 40, "png")
    assert settings["layer_weights"] == {"conv1": 0.5} and settings["strength"] == 1
    assert entry["output"] == "a-mine.png"
    assert f"note: preset mine: {folder / 'config/stylebank/stylebank.toml'}\n" in entry["stderr"]
    variables = {"STYLEBANK_APPLY_PRESET": "mine", "STYLEBANK_APPLY_STEPS": "4", "STYLEBANK_APPLY_SIZE": "44"}
    settings = _apply(folder, {**user, **variables}, "--size", "48", "-o", "out2")["settings"]
    assert (settings["steps"], settings["size"], settings["layer_weights"]) == (4, 48, {"conv1": 0.5})
    settings = _apply(folder, user, "--preset", "mine", "--layer-weight", "conv1=2", "-o", "out3")["settings"]
    assert settings["layer_weights"] == {"conv1": 2}


def test_an_output_file_overrides_name_and_format_of_a_preset(folder: Path, user: dict[str, str]) -> None:
    entry = _apply(folder, user, "--preset", "mine", "-o", "out/photo.jpg")
    assert (entry["output"], entry["settings"]["format"], entry["settings"]["steps"]) == ("photo.jpg", "jpg", 3)


def test_a_default_of_an_option_overrides_no_preset_and_the_option_does(folder: Path, user: dict[str, str]) -> None:
    (folder / "config/stylebank/stylebank.toml").write_text("[presets.mine]\nmax_pixels = 100\nsize = 40\n")
    words = ("apply", "--style", "wave", "in/a.png", "-o", "out", "--preset", "mine", *LIGHT)
    refused = command(folder, "", *words, **user)
    assert refused.returncode == 1 and "pixels" in refused.stderr  # 48 x 40 pixels
    assert command(folder, "", *words, "--max-pixels", "5000", **user).returncode == 0


def test_a_job_file_takes_a_preset_under_its_own_keys(folder: Path, user: dict[str, str]) -> None:
    (folder / "jobs.toml").write_text(
        '[defaults]\npreset = "mine"\nprecision = "float32"\n'
        '[[job]]\nstyle = "wave"\nsubjects = "in/a.png"\noutput = "one"\n'
        '[[job]]\nstyle = "wave"\nsubjects = "in/b.png"\noutput = "two"\nsteps = 5\n'
    )
    done = command(folder, "", "batch", "jobs.toml", "--json", "--batch-size", "1", **user)
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    steps = {entry["output"]: entry["settings"]["steps"] for entry in entries}
    assert steps == {"a-mine.png": 3, "b-mine.png": 5}, done.stderr
    assert done.stderr.count("note: preset mine: ") == 1
    (folder / "jobs.toml").write_text('[[job]]\nstyle = "wave"\nsubjects = "in"\npreset = "mien"\n')
    done = command(folder, "", "batch", "jobs.toml", **user)
    message = "Error: jobs.toml, job at line 1: preset 'mien': unknown. Did you mean mine?\n"
    assert (done.returncode, done.stderr) == (2, message)


def test_a_preset_extends_the_original_and_refuses_a_style_measured_otherwise(
    folder: Path, user: dict[str, str]
) -> None:
    (folder / "config/stylebank/stylebank.toml").write_text('[presets.old]\nextends = "original"\n')
    done = command(folder, "", "apply", "--style", "wave", "in/a.png", "--preset", "old", *LIGHT, **user)
    assert done.returncode == 2 and "'stylebank add --preset original'" in done.stderr


def test_the_presets_are_listed_with_their_files(folder: Path, user: dict[str, str]) -> None:
    (folder / "bank/stylebank.toml").write_text(
        '[presets.mine]\nsteps = 9\n[presets.theirs]\nextends = "draft"\nseed = 4\n'
    )
    done = command(folder, "", "presets", **user)
    lines = {line.split()[0]: line for line in reversed(done.stdout.splitlines())}
    assert done.returncode == 0 and set(lines) == {"draft", "standard", "fine", "original", "mine", "theirs"}
    assert lines["draft"] == "draft     size 256, steps 10  [built-in]"
    assert lines["theirs"] == f"theirs    extends draft, seed 4  [bank: {folder / 'bank/stylebank.toml'}]"
    assert f"[user: {folder / 'config/stylebank/stylebank.toml'}]" in lines["mine"]
    listed = json.loads(command(folder, "", "presets", "--json", **user).stdout)
    (theirs,) = (each for each in listed if each["name"] == "theirs")
    assert theirs["settings"] == {"size": 256, "steps": 10, "seed": 4}
    assert [each["overridden_by"] for each in listed if each["name"] == "mine"] == [
        None,
        str(folder / "config/stylebank/stylebank.toml"),
    ]


def test_a_broken_file_is_reported_where_it_is_needed_only(folder: Path, user: dict[str, str]) -> None:
    path = folder / "stylebank.toml"
    path.write_text("[presets.mine]\nstrenth = 1\n")
    for words in (
        ["list"],
        ["presets", "--help"],
        ["apply", "--style", "wave", "in/a.png", "--preset", "draft", *LIGHT],
    ):
        assert command(folder, "", *words, **user).returncode == 0
    error = f"Error: {path}, line 2: strenth: unknown key. Did you mean strength?\n"
    done = command(folder, "", "apply", "--style", "wave", "in/a.png", "--preset", "mine", **user)
    assert (done.returncode, done.stderr) == (2, error)
    done = command(folder, "", "presets", **user)
    assert (done.returncode, done.stderr) == (1, error) and "draft" in done.stdout


@pytest.mark.parametrize("broken", [False, True])
def test_presets_complete(folder: Path, user: dict[str, str], broken: bool) -> None:
    (folder / "bank/stylebank.toml").write_text("[presets.ours]\nsize = 64\n")
    if broken:
        (folder / "config/stylebank/stylebank.toml").write_text("[presets")
    names = {
        command(
            folder,
            "",
            **user,
            _STYLEBANK_COMPLETE="zsh_complete",
            COMP_WORDS=f"stylebank --bank {folder / 'bank'} apply --preset {start}",
            COMP_CWORD="5",
        ).stdout.splitlines()[1]
        for start in ("o", "dr", *([] if broken else ["mi"]))
    }
    assert names == {"original", "draft", *([] if broken else ["mine"])}
