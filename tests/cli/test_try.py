"""`stylebank try` and `apply --each` as processes, with negatives in place of synthesis."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from PIL import Image

from pipeline import cli
from stylebank.bank import Bank
from tests import styles
from tests.cli.conftest import command
from tests.examples import parse
from tests.fake_cli import LIGHT

SMALL = (*LIGHT, "--size", "64", "--steps", "2")


@pytest.fixture
def two(folder: Path) -> Path:
    Bank(folder / "bank").add(styles.varied("storm", 1))
    (folder / "tmp").mkdir()
    return folder


def try_it(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return command(folder, "", "try", "in/b.png", *words, *SMALL, TMPDIR=str(folder / "tmp"))


def test_the_sheet_is_named_after_the_photograph_and_nothing_else_is_left(two: Path) -> None:
    before = set(two.rglob("*"))
    done = try_it(two)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("b.sheet.jpg: 2 pictures, ")
    assert "[2/2] b.png: " in done.stderr and "Traceback" not in done.stderr
    new = {path for path in set(two.rglob("*")) - before if "bank" not in path.parts}
    assert new == {two / "b.sheet.jpg"}
    assert try_it(two).stdout.startswith("b.sheet-2.jpg: 2 pictures, ")


def test_a_sheet_of_two_settings_is_a_page_whose_commands_parse(two: Path) -> None:
    vary = ("--vary", "strength=0.5,1", "--vary", "content-weight=1,4", "-o", "sheet.html")
    done = try_it(two, "--style", "wave", *vary)
    assert done.returncode == 0 and done.stdout.startswith("sheet.html: 4 pictures, "), done.stderr
    page = (two / "sheet.html").read_text("utf-8")
    commands = [unescape(part.split('"')[0]) for part in page.split('data-command="')[1:]]
    assert len(commands) == 4 and "--strength 0.5 --content-weight 1 " in commands[0]
    for text in commands:
        parse(shlex.split(text)[1:])


def test_a_damaged_style_is_named_and_the_exit_code_is_1(two: Path) -> None:
    Bank(two / "bank").path("storm").write_bytes(b"damaged")
    done = try_it(two, "-o", "sheet.png")
    assert done.returncode == 1
    assert "1 picture, 1 failed: storm-" in done.stdout and done.stderr.count("not a readable style file") == 1
    assert Image.open(two / "sheet.png").width > 2 * 64


def test_an_interruption_writes_the_sheet(two: Path) -> None:
    for number, name in enumerate(("field", "wood", "night"), start=2):
        Bank(two / "bank").add(styles.varied(name, number))
    program = (
        "import functools, time; from tests import fake_cli; from tests.fakes import Stylizer\n"
        "from pipeline.execution import worker\n"
        "fake_cli.install()\n"
        "def seen(pixels): time.sleep(2)\n"
        "worker._make_stylizer = functools.lru_cache(lambda context: Stylizer(context.settings, seen))\n"
        "fake_cli.main()\n"
    )
    words = [sys.executable, "-c", program, "--bank", "bank", "try", "in/b.png", "-o", "sheet.png", *SMALL]
    process = subprocess.Popen(words, cwd=two, stderr=subprocess.PIPE, text=True, env=environment(two))
    assert process.stderr is not None
    lines: list[str] = []
    signalled = False
    for line in process.stderr:
        lines.append(line)
        if line.startswith("[1/5]") and not signalled:  # a second signal ends the process at once
            signalled = True
            process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert any(re.match(r"note: sheet\.png: [1-4] pictures? of 5", line) for line in lines), lines
    assert Image.open(two / "sheet.png").format == "PNG" and list((two / "tmp").iterdir()) == []


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(folder / "tmp")}


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("--vary", "strength=1"), 2, "2 are chosen"),
        (("--style", "wave", "--vary", "nope=1"), 2, "Invalid value for '--vary': nope: not a setting"),
        (("--style", "wave", "--vary", "seed=1", "--vary", "seed=2"), 2, "twice"),
        (("--style", "wave", "--vary", "seed=1", "--seed", "2"), 2, "both set and varied"),
        (("-o", "sheet.tiff"), 2, "a sheet is a .jpg"),
        (("-o", "in/a.png"), 1, "already exists"),
        (("--style", "wav"), 2, "Did you mean wave?"),
    ],
)
def test_a_wrong_request_is_one_line(two: Path, words: tuple[str, ...], code: int, reason: str) -> None:
    done = try_it(two, *words)
    assert done.returncode == code and reason in done.stderr and done.stderr.count("Error:") == 1


def test_settings_complete() -> None:
    words = ShellComplete(cli.group, {}, "stylebank", "_X").get_completions(["try", "photo.jpg", "--vary"], "st")
    assert [word.value for word in words] == ["strength=", "style-scale=", "steps="]


def test_each_style_has_its_pictures_and_a_blend_has_a_note(two: Path) -> None:
    words = ("apply", "--style", "wave", "--style", "storm", "in/a.png", "-o", "out", *SMALL)
    blend = command(two, "", *words)
    assert blend.returncode == 0 and "note: styles wave and storm blend into one; --each" in blend.stderr
    each = command(two, "", *words, "--each")
    assert each.returncode == 0 and "blend" not in each.stderr
    names = {path.name for path in (two / "out").glob("*.jpg")}
    assert names == {"a.wave+storm.jpg", "a.wave.jpg", "a.storm.jpg"}
