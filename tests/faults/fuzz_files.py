"""Random style files, job files and records: each function gives a check of one input."""

from __future__ import annotations

import json
import random
from pathlib import Path

from pipeline.jobs import job_file
from pipeline.jobs.record import Record
from stylebank.errors import StylebankError, UsageError
from stylebank.storage import reader, writer
from stylebank.style import Style
from tests.faults import engine, harness
from tests.faults.fuzz_inputs import Check, mutated, one_line
from tests.styles import difference


def style_file(folder: Path) -> Check:
    """Bytes of a style file are changed."""
    wholes: list[tuple[Style, bytes]] = []
    for seed in (1, 2):
        style = engine.measured(seed, ("pixels", "conv1_1"))
        wholes.append((style, writer.encode(style)))

    def check(chance: random.Random, folder: Path) -> str:
        style, data = chance.choice(wholes)
        path = folder / "fuzzed.stylebank.h5"
        path.write_bytes(mutated(data, chance))
        for read in (reader.read_header, reader.read_pictures):
            try:
                read(path)
            except StylebankError as error:
                if wrong := one_line(error):
                    return wrong
        try:
            got = reader.read(path)
        except StylebankError as error:
            return one_line(error)
        whole = _whole(style)
        return difference(got, whole) and f"read as another style: {difference(got, whole)}"

    def _whole(style: Style) -> Style:
        path = folder / "whole.stylebank.h5"
        path.write_bytes(next(data for one, data in wholes if one is style))
        return reader.read(path)

    return check


# job files

JOBS = """\
# prints
[defaults]
size = 64
steps = 2
keep_color = "luma"
strength = 0.5
[[job]]
style = "wave"
subjects = ["in", "more/*.png"]
output = "prints"
quality = 90
[[job]]
styles = { wave = 0.5, poppies = 0.5 }
subjects = ["in/20.png"]
output = 'more "prints"'
layers = ["conv1_1", "conv2_1"]
format = "png"
mask = "sky.png"
"""
TOKENS = (
    *"[]{}=,.\"'#\n\\-_",
    "[[job]]",
    "[defaults]",
    "inf",
    "nan",
    "-1",
    "0",
    "1e400",
    "9" * 5000,
    "true",
    "[[[[[[",
    "1979-05-27",
    '"""',
    "..",
    "/etc",
    "~",
    "*",
    "**",
    "\0",
    "\x1b[31m",
    "\u202e",
    "é",
    "style",
    "styles",
    "subjects",
    "output",
    "size",
    "steps",
    "init",
    "weights",
    "mask",
    "preset",
    "nowhere",
)


def jobs(folder: Path) -> Check:
    """Words of a job file are changed; half of them are planned, too."""
    bank = harness.prepared(folder / "bank for jobs")
    subjects = folder / "in"
    subjects.mkdir()
    engine.painting(subjects, 20).rename(subjects / "20.png")

    def check(chance: random.Random, folder: Path) -> str:
        text = JOBS
        for _number in range(chance.choice((1, 1, 2, 5))):
            place = chance.randrange(len(text))
            length = chance.choice((0, 0, 1, 5, 30))
            text = text[:place] + chance.choice(TOKENS) + text[place + length :]
        path = folder / "fuzzed.toml"
        data = text.encode()
        path.write_bytes(mutated(data, chance) if chance.random() < 0.2 else data)
        try:
            if chance.random() < 0.5:
                job_file.read(path)
            else:
                job_file.prepare(bank, path, folder / "out of jobs")
        except StylebankError as error:
            named = path if isinstance(error, UsageError) else folder  # a mask that cannot be read is named itself
            return one_line(error) or ("" if str(named) in str(error) else f"no path: {error}")
        return ""

    return check


# records


def record(folder: Path) -> Check:
    """Lines of a record are changed, cut and repeated."""
    bank = harness.prepared(folder / "bank for records")
    subjects, out = folder / "in for records", folder / "out"
    subjects.mkdir()
    for number in range(3):
        engine.painting(subjects, 20 + number)
    options = ("apply", "--style", "wave", subjects, "-o", out, *engine.LIGHT)
    harness.command(bank.folder, *options)
    path = out / "stylebank.jsonl"
    whole = path.read_bytes()
    extras = [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"{" * 3000,
        b'{"output": "' + b"x" * 5000,
        b'{"a":' * 2000,
        whole.splitlines()[0].replace(b'"done"', b"NaN"),
        b"\0" * 4096,
    ]

    def check(chance: random.Random, folder: Path) -> str:
        lines = whole.splitlines()
        if chance.random() < 0.3:
            lines.insert(chance.randrange(len(lines) + 1), chance.choice(extras))
        data = b"\n".join(lines) + (b"\n" if chance.random() < 0.8 else b"")
        path.write_bytes(mutated(data, chance) if chance.random() < 0.9 else data)
        before = path.read_bytes()
        entries = list(Record(out).entries())
        for entry in entries:
            repr(entry)
            json.loads(entry.json())
        if chance.random() < 0.1:  # a run beside it keeps whole lines, and every picture that they vouch for
            outcome = engine.command(bank.folder, *options)
            wrong = list(engine.unclear(outcome))
            if not path.read_bytes().startswith(before):
                wrong.append("a run has changed earlier lines")
            for name in out.glob("*.png"):
                name.touch()
            return "; ".join(wrong)
        return ""

    return check
