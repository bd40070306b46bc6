"""The command of a picture means the same in a shell as in Python."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from pipeline import cli
from pipeline.jobs.shell_command import apply_command
from stylebank.bank import Bank
from stylebank.bank.location import user_folder


def parsed(text: str) -> dict[str, Any]:
    words = shlex.split(text)
    assert words[0] == "stylebank"
    index = words.index("apply")
    command = cli.group.get_command(click.Context(cli.group), "apply")
    assert command is not None
    return {"group": words[1:index], **command.make_context("apply", words[index + 1 :]).params}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"strength": 0.1, "size": 64, "tolerance": 1e-7}, {"strength": 0.1, "size": 64, "tolerance": 1e-7}),
        ({"match_color": True}, {"match_color": True}),
        ({"match_color": False}, {"match_color": False}),
        ({"layers": ("conv1_1", "conv2_1")}, {"layers": ("conv1_1", "conv2_1")}),
        ({"content_layers": ("relu3_2", "relu4_2")}, {"content_layers": ("relu3_2", "relu4_2")}),
        ({"layer_weights": {"conv4": 0.5}}, {"layer_weights": ("conv4=0.5",)}),
        ({"layer_weights": (("conv4", 0.5), "conv1=2")}, {"layer_weights": ("conv4=0.5", "conv1=2")}),
        ({"mask": "a b.png"}, {"mask": (os.path.abspath("a b.png"),)}),
        ({"mask": ()}, {"mask": ()}),
        ({"init": "noise", "seed": 3}, {"init": "noise", "seed": 3}),
        ({"init": Path("x.png")}, {"init": os.path.abspath("x.png")}),
        ({"weights": "keras", "allow_unknown_weights": True}, {"weights": "keras", "allow_unknown_weights": True}),
        ({"weights": "w.h5"}, {"weights": os.path.abspath("w.h5")}),
        ({"memory_limit": 8_000_000_000}, {"memory_limit": 8_000_000_000}),
        ({"strength": None, "preset": "fine"}, {"strength": None, "preset": "fine"}),
    ],
)
def test_options_come_back(tmp_path: Path, options: dict[str, Any], expected: dict[str, Any]) -> None:
    values = parsed(apply_command(Bank(tmp_path), "wave", "photo.jpg", options))
    assert {key: values[key] for key in expected} == expected
    assert values["style"] == ("wave",) and values["output"] == "large"


@pytest.mark.parametrize("name", ["photo.jpg", "two words.jpg", "it's $HOME.jpg", "-o.jpg", "`x`;#.jpg"])
def test_paths_and_names_are_quoted_and_absolute(tmp_path: Path, name: str) -> None:
    values = parsed(apply_command(Bank(tmp_path), 'a style\'s "name"', name, {}))
    assert values["subjects"] == (os.path.abspath(name),)
    assert values["style"] == ('a style\'s "name"',)
    assert values["group"] == ["--bank", str(tmp_path)]


def test_the_bank_of_the_user_needs_no_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STYLEBANK_BANK", str(tmp_path))
    assert parsed(apply_command(Bank(user_folder()), "wave", "photo.jpg", {}))["group"] == []
    assert parsed(apply_command(Bank(), "wave", "photo.jpg", {}))["group"] == ["--bank", str(tmp_path)]
