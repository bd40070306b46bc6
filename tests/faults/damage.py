"""Single bits flipped in a style file, and files cut short."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stylebank.bank import Bank, library
from stylebank.errors import StylebankError
from stylebank.storage import reader
from stylebank.style import Style
from tests.faults import engine, harness
from tests.faults.harness import Result
from tests.styles import difference

DAMAGED_CODE = 3
#: Style that is damaged.
NAME = "wave"


def bit_flips(count: int, seed: int, folder: Path) -> Result:
    """Flip one bit of a style file, anywhere."""

    def flip(path: Path, chance: random.Random) -> str:
        data = bytearray(path.read_bytes())
        place = chance.randrange(8 * len(data))
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        return f"bit {place}"

    return damage(count, seed, folder, flip)


def truncations(count: int, seed: int, folder: Path) -> Result:
    """Cut a style file off, anywhere."""

    def cut(path: Path, chance: random.Random) -> str:
        data = path.read_bytes()
        place = chance.randrange(len(data))
        path.write_bytes(data[:place])
        return f"cut at {place}"

    return damage(count, seed, folder, cut)


def damage(count: int, seed: int, folder: Path, change: Callable[[Path, random.Random], str]) -> Result:
    """Change a style's file `count` times.

    `verify` names the file, or every number and text is as before; no reader lets another error out; other styles
    stay as they are.

    Parameters
    ----------
    change
        Changes the file and returns how, in words.
    """
    result = Result()
    bank = harness.prepared(folder / "bank")
    path = bank.path(NAME)
    whole = path.read_bytes()
    sound = {name: bank.get(name) for name in harness.OLD}
    chance = random.Random(seed)
    for _trial in range(count):
        path.write_bytes(whole)
        how = change(path, chance)
        ended = harness.in_child(lambda: _look(bank, path, sound), 60)
        if ended.died:
            kind, found = "reader", [f"a reader let this out: {ended.died}"]
        else:
            kind, found = ended.value
        if found:
            kept = Path(tempfile.gettempdir()) / f"fault-{change.__name__}-{result.count + 1}.stylebank.h5"
            kept.write_bytes(path.read_bytes())
            found.append(f"the file is kept as {kept}")
        result.trial(kind, [f"{how}: {finding}" for finding in found])
    return result


def _look(bank: Bank, path: Path, sound: dict[str, Style]) -> tuple[str, list[str]]:
    """Read a bank with one changed file in every way; return whether the change is reported, and what is wrong."""
    harness.limit_memory()
    found = []
    outcome = engine.command(bank.folder, "verify", "--json")
    found += list(engine.unclear(outcome))
    if not outcome.out:
        return "no report", [f"verify prints nothing: {outcome}"]
    checks = {Path(check["file"]).name: check for check in json.loads(outcome.out)}
    damaged = [name for name, check in checks.items() if not check["whole"]]
    if damaged not in ([], [path.name]) or len(checks) != len(harness.OLD):
        found.append(f"verify reports {damaged}")
    if outcome.code != (DAMAGED_CODE if damaged else 0):
        found.append(f"verify ends with {outcome.code}")
    if damaged and not checks[path.name]["reason"]:
        found.append("verify has no reason")
    for name, style in sound.items():
        try:
            read = bank.get(name)
        except StylebankError as error:
            if name != NAME or not damaged:
                found.append(f"{name} cannot be read: {error}")
        else:
            if different := difference(read, style):
                found.append(f"{name} reads as another style: {different}")
            elif damaged and name == NAME:
                found.append("verify reports a file that reads as it was")
    text = engine.command(bank.folder, "verify", NAME)
    found += list(engine.unclear(text))
    if damaged and path.name not in text.err and "not in the bank" not in text.err:
        found.append(f"verify by name does not say which file: {text.err!r}")
    for way in _ways(bank, path):
        try:
            way()
        except StylebankError as error:
            if "\n" in str(error) or not str(error).isprintable():
                found.append(f"an error of several lines: {error!r}")
    for arguments in (("list",), ("list", "--json"), ("similar", "poppies"), ("show", NAME), ("show", "poppies")):
        outcome = engine.command(bank.folder, *arguments)
        found += [f"{' '.join(arguments)}: {each}" for each in engine.unclear(outcome)]
        if arguments == ("show", "poppies") and outcome.code:
            found.append(f"show poppies: {outcome.err}")
    return "reported" if damaged else "no data changed", found


def _ways(bank: Bank, path: Path) -> list[Callable[[], Any]]:
    layers = ("conv1_1", "conv2_1")
    return [
        lambda: reader.read_header(path),
        lambda: reader.read_pictures(path),
        lambda: reader.read_parts(path, 32, ("mean", "cov", "eigenvalues"), layers),
        lambda: bank.get(NAME, scales=[32]),
        lambda: bank.headers(),
        lambda: library.export(bank, [NAME], path.parent.parent / "exported", overwrite=True),
    ]
