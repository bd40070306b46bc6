"""Presets of the user: where they are read, what overrides what, and what a file from somebody else may do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.jobs import job_file, preset_files, presets
from pipeline.jobs.presets import find, preset_names
from pipeline.settings import SYNTHESIS_PRESETS
from stylebank.bank import Bank
from stylebank.errors import UsageError


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The folders of the three files; the working folder is the first."""
    folders = {
        "working folder": tmp_path / "work",
        "user": tmp_path / "config/stylebank",
        "bank": tmp_path / "bank",
    }
    for folder in folders.values():
        folder.mkdir(parents=True)
    monkeypatch.setattr(preset_files.platformdirs, "user_config_path", lambda name: folders["user"])
    monkeypatch.chdir(folders["working folder"])
    return folders


@pytest.fixture
def bank(places: dict[str, Path]) -> Bank:
    return Bank(places["bank"])


def _write(folder: Path, text: str) -> Path:
    path = folder / "stylebank.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_working_folder_comes_before_the_user_and_the_user_before_the_bank(
    places: dict[str, Path], bank: Bank
) -> None:
    for number, (source, folder) in enumerate(places.items(), start=1):
        path = _write(folder, f"[presets.mine]\nsteps = {number}\n")
        if source == "working folder":
            first = path
    for number, (source, folder) in enumerate(places.items(), start=1):
        preset = find(bank, "mine")
        assert (preset.source, preset.values, preset.path) == (source, {"steps": number}, folder / "stylebank.toml")
        listed, errors = presets.presets(bank)
        mine = [each for each in listed if each.name == "mine"]
        assert errors == [] and len(mine) == 4 - number
        hidden = {each.source: each.overridden_by for each in mine[1:]}
        assert hidden == dict.fromkeys(list(places)[number:], folder / "stylebank.toml")
        (folder / "stylebank.toml").unlink()
    assert not first.exists()
    with pytest.raises(UsageError, match="preset 'mine': unknown"):
        find(bank, "mine")


def test_a_preset_extends_a_built_in_one_and_presets_of_other_files(places: dict[str, Path], bank: Bank) -> None:
    _write(places["bank"], '[presets.soft]\nextends = "original"\ntv-weight = 3\nsteps = 7\n')
    _write(places["user"], '[presets.mine]\nextends = "soft"\nsteps = 9\n')
    preset = find(bank, "mine")
    assert (preset.base, preset.extends, preset.own) == ("original", "soft", {"steps": 9})
    assert preset.values == {"tv_weight": 3, "steps": 9}
    settings = preset.to_dict()["settings"]
    assert settings == {**SYNTHESIS_PRESETS["original"], "tv_weight": 3, "steps": 9}


@pytest.mark.parametrize(
    "text",
    [
        "presets = 3",
        "[presets",
        "[presets.mine]\nsise = 1",
        '[presets.mine]\nextends = "mine"',
        "\udcff",
        "x" * 70_000,
        "a = " + "[" * 5_000,
        "[presets.draft]\nsize = 64",
        "".join(f"[presets.a{number}]\nsize = 64\n" for number in range(101)),
    ],
)
@pytest.mark.parametrize("place", ["working folder", "user", "bank"])
def test_a_broken_file_stops_no_built_in_preset_and_is_one_error_in_the_list(
    places: dict[str, Path], bank: Bank, place: str, text: str
) -> None:
    (places[place] / "stylebank.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert find(bank, "draft").values == {} and find(bank, None).name == "standard"
    assert set(SYNTHESIS_PRESETS) <= set(preset_names(bank))
    found, errors = presets.presets(bank)
    assert [preset.name for preset in found] == list(SYNTHESIS_PRESETS) and len(errors) == 1
    assert str(places[place] / "stylebank.toml") in str(errors[0])


def test_a_broken_preset_stops_no_other_one_of_its_file_and_a_file_is_read_only_if_needed(
    places: dict[str, Path], bank: Bank
) -> None:
    _write(places["working folder"], "[presets.bad]\nsise = 1\n[presets.good]\nsize = 64\n")
    _write(places["user"], "[presets")
    assert find(bank, "good").values == {"size": 64}
    with pytest.raises(UsageError, match=r"line 2: sise: unknown key\. Did you mean size"):
        find(bank, "bad")
    with pytest.raises(UsageError, match="Correct the TOML"):  # it could have the preset
        find(bank, "other")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[preset.mine]\nsize = 64", r"line 1: preset: unknown key. Did you mean presets\?"),
        ("[presets.mine]\n\nstregth = 1", r"line 3: stregth: unknown key. Did you mean strength\?"),
        ("presets.mine = { size = 64, stregth = 1 }", r"line 1: stregth: unknown key"),
        ("# first\n[presets.a]\nsize = 64\n[presets]\nmine = {size = 64, stregth = 1}", r"line 5: stregth: unknown"),
        ("[presets.mine]\nsize = 64\nstrength = 2", "line 3: strength 2: expected 0"),
        ("[presets.mine]\nsize = 3.5", "line 2: size = 3.5: expected a whole number"),
        ('[presets.mine]\non-existing = "ask"', "line 2: on_existing 'ask': expected one of number"),
        ('[presets.mine]\nname_template = "{nobody}"', r"line 2: .*unknown field \{nobody\}"),
        ("[presets.mine]\njobs = 2", "line 2: jobs: an option of the whole run. Give --jobs to the command"),
        ('[presets.mine]\nstyle = "wave"', "line 2: style: a preset says how a picture looks"),
        ('[presets.mine]\noutput = "out"', "line 2: output: a preset says how a picture looks"),
        ('[presets.mine]\npreset = "draft"', "line 2: preset: a preset builds on another one by extends"),
        ('[presets.mine]\nextends = "drift"', r"line 2: extends = 'drift': no such preset. Did you mean draft\?"),
        ('[presets.mine]\nextends = "b"\n[presets.b]\nextends = "mine"', "line 4: extends = 'mine': a circle"),
        ("[presets]\nmine = 3", r"line 2: mine = 3: expected a table. Write \[presets.mine\]"),
        ("[[presets.mine]]\nsize = 64", r"line 1: mine = .*expected a table"),
    ],
)
def test_a_fault_is_reported_with_file_and_line(places: dict[str, Path], bank: Bank, text: str, message: str) -> None:
    path = _write(places["user"], text + "\n")
    with pytest.raises(UsageError, match=message) as error:
        find(bank, "mine")
    assert str(error.value).startswith(f"{path}, line ")


@pytest.mark.parametrize("name", ["draft", "Draft", "FINE", "a b", "../x", "-x", "a\\u001bb", "x" * 65, ""])
def test_a_name_is_a_word_and_no_built_in_one(places: dict[str, Path], bank: Bank, name: str) -> None:
    _write(places["user"], f'[presets."{name}"]\nsize = 64\n')
    found, (error,) = presets.presets(bank)
    assert len(found) == len(SYNTHESIS_PRESETS) and "line 1: " in str(error) and str(error).isprintable()


@pytest.mark.parametrize("value", ["depth = 16", "learning_rate = 2.0", 'extends = "fine"', 'keep-color = "luma"'])
def test_a_value_that_is_valid_beside_others_is_no_fault(places: dict[str, Path], bank: Bank, value: str) -> None:
    _write(places["bank"], f"[presets.mine]\n{value}\n")
    assert find(bank, "mine").source == "bank"


PATHS = ('mask = "a.png"', 'init = "a.png"', 'weights = "a.h5"')


@pytest.mark.parametrize("value", PATHS)
def test_paths_start_from_the_folder_of_the_file(places: dict[str, Path], bank: Bank, value: str) -> None:
    key = value.split()[0]
    for place in ("working folder", "user"):
        _write(places[place], f"[presets.mine]\n{value}\n")
        path = str(places[place] / ("a.h5" if key == "weights" else "a.png"))
        assert find(bank, "mine").values == {key: [path] if key == "mask" else path}
        (places[place] / "stylebank.toml").unlink()


@pytest.mark.parametrize(
    "value",
    [
        *PATHS,
        'mask = ["sky=/etc/passwd"]',
        'init = ["noise"]',
        'weights = "keras"',
        "allow-unknown-weights = true",
        'name-template = "{subject}"',
        "overwrite = true",
        'on_existing = "overwrite"',
        "max_pixels = 9_000_000_000",
        "save_every = 1",
        "memory_limit = 1",
        "recursive = true",
    ],
)
def test_a_bank_has_only_settings_of_the_picture(places: dict[str, Path], bank: Bank, value: str) -> None:
    path = _write(places["bank"], f'[presets.mine]\nsize = 64\n{value}\n[presets.noisy]\ninit = "noise"\nseed = 3\n')
    with pytest.raises(UsageError, match=r"not allowed in a bank, .*somebody else") as error:
        find(bank, "mine")
    assert str(error.value).startswith(f"{path}, line 3: {value.split()[0]}: ")
    assert find(bank, "noisy").values == {"init": "noise", "seed": 3}


def test_a_bank_that_is_the_working_folder_has_the_rules_of_a_bank(
    places: dict[str, Path], bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(places["bank"], '[presets.mine]\ninit = "a.png"\n')
    monkeypatch.chdir(places["bank"])
    with pytest.raises(UsageError, match="not allowed in a bank"):
        find(bank, "mine")
    assert len(presets.presets(bank)[1]) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link"])
def test_what_is_no_regular_file_is_an_error_and_no_wait(places: dict[str, Path], bank: Bank, kind: str) -> None:
    path = places["bank"] / "stylebank.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")
    with pytest.raises(UsageError, match="not a regular file"):
        find(bank, "mine")
    assert find(bank, "fine").name == "fine"


def test_a_user_without_a_home_folder_has_the_other_presets(
    places: dict[str, Path], bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home(name: str) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(preset_files.platformdirs, "user_config_path", no_home)
    _write(places["bank"], "[presets.mine]\nsize = 64\n")
    assert find(bank, "mine").values == {"size": 64}


@pytest.mark.parametrize("preset", [3, ["draft"], True])
def test_a_preset_that_is_no_text_is_refused(bank: Bank, preset: object) -> None:
    with pytest.raises(UsageError, match="expected a text"):
        find(bank, preset)  # type: ignore[arg-type]


def test_a_job_file_names_presets_and_leaves_them_to_the_run(places: dict[str, Path]) -> None:
    path = places["working folder"] / "jobs.toml"
    path.write_text('[defaults]\npreset = "mine"\n[[job]]\nstyle = "wave"\nsubjects = "in"\nsteps = 5\n')
    (job,) = job_file.read(path)
    assert job.options == {"preset": "mine", "steps": 5}
