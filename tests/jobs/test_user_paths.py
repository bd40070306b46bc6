"""Paths with ~, and pictures in place of styles."""

from __future__ import annotations

import pwd
import shlex
import subprocess

import pytest

from pipeline.jobs import style_spec
from pipeline.jobs.user_paths import expand_mask, expand_user
from stylebank.errors import UsageError


@pytest.mark.parametrize(
    "path",
    ["~", "~/", "~/in", "~/in/*.jpg", "~root", "~root/x", "~nobody-of-this-name/x", "~$draft.jpg", "a~/b", "./~/x", ""],
)
def test_a_path_is_expanded_as_bash_does(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of a user")
    head, slash, tail = path.partition("/")
    word = head if "$" not in head else shlex.quote(head)
    script = f"set -f; printf %s {word}{slash}{shlex.quote(tail) if tail else ''}"
    assert expand_user(path) == subprocess.run(["bash", "-c", script], capture_output=True, text=True).stdout


def test_a_user_without_a_home_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(UsageError, match=r"^~/in: no home folder is known.* Set HOME, or write the path"):
        expand_user("~/in")


@pytest.mark.parametrize(
    ("mask", "expanded"),
    [
        ("~/m.png", "/home/u/m.png"),
        ("sky=~/m.png", "sky=/home/u/m.png"),
        ("sky=m~.png", "sky=m~.png"),
        ("m.png", "m.png"),
        ("/a=~/b.png", "/a=~/b.png"),
    ],
)
def test_a_mask_is_expanded_after_its_region(mask: str, expanded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    assert expand_mask(mask) == expanded


@pytest.mark.parametrize(
    ("text", "picture"),
    [
        ("painting.jpg", "painting.jpg"),
        ("in/two words.PNG", "in/two words.PNG"),
        ("sky=in/p.png:0.6", "in/p.png"),
        ("in/p.webp:2", "in/p.webp"),
    ],
)
def test_a_picture_in_place_of_a_style_says_how_to_add_it(text: str, picture: str) -> None:
    with pytest.raises(UsageError) as error:
        style_spec.parse([text], ["sky=m.png"] if text.startswith("sky") else [], exists=lambda name: False)
    message = str(error.value)
    assert message.startswith(f"style {picture}: a picture, not a style of the bank. To add it, run: stylebank add ")
    assert shlex.split(message.split("run: ")[1].split("; its name")[0]) == ["stylebank", "add", picture]


def test_a_style_with_the_name_of_a_picture_stays_usable() -> None:
    assert style_spec.parse(["wave.jpg"], exists=lambda name: name == "wave.jpg").names == ["wave.jpg"]
