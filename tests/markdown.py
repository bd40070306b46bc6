"""Reads the fenced blocks of a Markdown file: commands, their transcripts, and what a transcript leaves open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^( *)(`{3,})([\w-]*)\s*$")
_TOKEN = re.compile(
    r"""\s*(?:(?P<op>&&|\|\||\d?>>?(?:&\d)?|<<?|[|;&])|(?P<comment>\#.*)"""
    r"""|(?P<word>(?:[^\s"'\\&|;<>]|"(?:\\.|[^"\\])*"|'[^']*'|\\.)+))"""
)
_PROGRESS = re.compile(r"\[N/N\] [^:]+: step N/N, loss N")


class ExampleError(AssertionError):
    """An example that does not do what its guide says."""


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its first line of text, from 1."""

    language: str
    line: int
    text: str


@dataclass(frozen=True)
class Command:
    """A command of a block, with the output that the guide shows, if it shows any."""

    line: int
    text: str
    transcript: tuple[str, ...] = ()


def blocks(markdown: str) -> list[Block]:
    """Return the fenced blocks of a text."""
    found: list[Block] = []
    lines: list[str] = []
    opened: tuple[str, str, str, int] | None = None
    for number, line in enumerate(markdown.splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened = (*fence.groups(), number + 1)  # type: ignore[assignment]
            lines = []
        elif opened is not None and line.strip() == opened[1]:
            found.append(Block(opened[2], opened[3], "\n".join(lines)))
            opened = None
        elif opened is not None:
            lines.append(line.removeprefix(opened[0]))
    if opened is not None:
        raise ExampleError(f"line {opened[3] - 1}: the block does not end.")
    return found


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a block; a backslash continues a line, and a here-document belongs to its command."""
    numbered = list(enumerate(block.text.splitlines(), block.line))
    prompt = block.language == "console"
    while numbered:
        number, text = numbered.pop(0)
        if prompt:
            if not text.startswith("$ "):
                raise ExampleError(f"line {number}: expected a line that begins with '$ ', received {text!r}.")
            text = text[2:]
        while text.endswith("\\") and numbered:
            text = text[:-1] + numbered.pop(0)[1].strip()
        if heredoc := re.search(r"<<'?(\w+)'?", text):
            while numbered:
                line = numbered.pop(0)[1]
                text += f"\n{line}"
                if line == heredoc[1]:
                    break
        transcript = []
        while prompt and numbered and not numbered[0][1].startswith("$ "):
            transcript.append(numbered.pop(0)[1])
        if text.strip() and not text.lstrip().startswith("#"):
            yield Command(number, text, tuple(transcript))


def pieces(text: str) -> list[list[str]]:
    """Split a line at ``&&``, ``;`` and ``|`` into commands of words, in which quotes are kept; drop redirections."""
    found: list[list[str]] = [[]]
    redirected = False
    place = 0
    while text[place:].strip():
        token = _TOKEN.match(text, place)
        if token is None:
            raise ExampleError(f"{text!r}: a quote does not end.")
        place = token.end()
        if token["word"] and not redirected:
            found[-1].append(token["word"])
        elif token["op"] in ("&&", "||", "|", ";", "&"):
            found.append([])
            redirected = False
        elif token["op"]:
            redirected = True
    return [words for words in found if words]


def masked(line: str) -> str:
    """Replace what differs from run to run and with the size: numbers, digests, blocks of layers."""
    line = re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", line)
    line = re.sub(r"-[0-9a-f]{10}\b", "-DIGEST", line)
    line = re.sub(r"\b(conv|relu)\d(_\d)?\b|\bpixels \d+%", "LAYER 0%", line).replace("0% 0%", "0%")
    line = re.sub(r"LAYER 0% \d+%", "LAYER 0%", line)
    line = re.sub(r"\d(,?\d)*(\.\d+)?(e-?\d+)?(:\d\d)*", "N", line)
    line = re.sub(r", N left", "", line)
    line = re.sub(r"N(, ?N)+", "N", line)
    return re.sub(r"\s+", " ", line).strip()


def compare(command: Command, output: str) -> None:
    """Compare a transcript with what was printed.

    ``...`` stands for any lines. Progress depends on time, so its lines are compared in form only.
    """
    printed = [masked(line) for line in output.splitlines() if line.strip()]
    expected = [masked(line) for line in command.transcript if line.strip()]
    if command.text.startswith("stylebank similar"):  # other layers, another order
        printed, expected = ([f"STYLE {line.partition(' ')[2]}" for line in lines] for lines in (printed, expected))
    place, gap = 0, False
    for line in expected:
        if line == "...":
            gap = True
            continue
        if _PROGRESS.fullmatch(line):
            continue
        while place < len(printed) and printed[place] != line and (gap or _may_be_missing(printed[place])):
            place += 1
        if place == len(printed) or printed[place] != line:
            raise ExampleError(f"the guide shows {line!r}; stylebank prints {printed[place:] or printed}.")
        place, gap = place + 1, False
    extra = [line for line in printed[place:] if not _may_be_missing(line)]
    if extra and not gap:
        raise ExampleError(f"stylebank also prints {extra}.")


def _may_be_missing(line: str) -> bool:
    return bool(_PROGRESS.fullmatch(line)) or line.startswith("note: ")
