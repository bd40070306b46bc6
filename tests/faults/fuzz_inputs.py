"""What the inputs of the fuzzing harness share."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from stylebank.errors import StylebankError

#: Function of a source of chance and a folder; it returns what is wrong, or an empty string.
Check = Callable[[random.Random, Path], str]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change some bytes, often near the start, where formats keep their structure."""
    content = bytearray(data)
    if chance.random() < 0.15:
        del content[chance.randrange(len(content)) :]
    for _number in range(chance.choice((1, 1, 2, 4, 10))):
        if not content:
            break
        reach = chance.choice((64, 1024, len(content), len(content)))
        place = chance.randrange(min(reach, len(content)))
        kind = chance.random()
        if kind < 0.5:
            content[place] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
        elif kind < 0.7:
            content[place] ^= 1 << chance.randrange(8)
        elif kind < 0.8:
            content[place : place + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\0\0\0\x80", b"\x7f\xff\xff\xff"))
        elif kind < 0.9:
            length = chance.randrange(1, 40)
            content[place : place + length] = b""
        else:
            other = chance.randrange(len(content))
            content[place:place] = content[other : other + chance.randrange(1, 40)]
    return bytes(content)


def one_line(error: StylebankError) -> str:
    """Return what is wrong with a message; empty for one line, which may quote a word of 5,000 letters twice."""
    text = str(error)
    return "" if text.isprintable() and len(text) < 12_000 else f"the message is no line: {text[:200]!r}"
