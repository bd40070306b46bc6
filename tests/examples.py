"""Runs the examples of a guide: the fenced blocks of a Markdown file, at a small size, in one process.

==========  ====================================================================================
language    what happens to the block
==========  ====================================================================================
sh          each command of stylebank is executed, the others are checked for their form
console     like sh, for the lines that begin with ``$``; the lines below are the transcript
python      executed, in one namespace per guide
toml        read as a job file where it has jobs, and kept under the names that the guide uses; presets are checked,
            and kept as stylebank.toml
bash, ini   recipes for another machine: each command of stylebank is checked for its form
others      not run
==========  ====================================================================================

A command is also only checked for its form where it needs several processes, a cluster, a GPU or another backend.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest

from pipeline import cli
from pipeline.jobs import job_file
from pipeline.jobs.preset_files import FILE_NAME, WORKING_FOLDER, PresetFile
from stylebank.errors import UsageError
from tests.markdown import Block, Command, ExampleError, blocks, commands, compare, pieces

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SIZE = 80  # two regions of 1,024 pixels fit into a picture of this size
SCALE = 64
PRINT_DPI = 10
LAYERS = ("relu1_1", "relu2_1", "relu3_1")  # deeper ones, with 512 channels, take most of the time

#: What is appended to a command, so that it is quick. The last value of an option counts.
SMALL = {
    "add": ["--scales", str(SCALE)],
    "apply": ["--size", str(SIZE), "--steps", "1", "--precision", "float32"],
    "similar": ["--scale", str(SCALE)],
    "try": ["--size", str(SIZE), "--steps", "1", "--precision", "float32", "--overwrite"],
    "map": ["--scale", str(SCALE)],
}
#: A command with one of these is not executed.
ELSEWHERE = {"--cluster", "--devices", "--jobs", "-j", "--weights"}
#: Options that take minutes at any size.
LEFT_OUT = {"--swatches"}
#: Programs whose lines are checked for their form only.
KNOWN_PROGRAMS = {
    *("git", "cd", "source", "python3", "pip", "export", "eval", "exec", "dask", "nvidia-smi"),
    *("ruff", "mypy", "lint-imports", "pre-commit", "pytest", "python"),
}
#: Programs that prepare files for the next command; they are executed.
FILE_PROGRAMS = {"cp", "mkdir", "echo", "cat", "printf", "ls"}

_ASSIGNMENT = re.compile(r"[A-Z_]+=")


def parse(arguments: Sequence[str]) -> None:
    """Check that the command line accepts these arguments, without doing anything."""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        if rest.pop(0) == "--bank":
            rest.pop(0)
    if not rest:
        return
    context = click.Context(cli.group, info_name="stylebank")
    command = cli.group.get_command(context, rest[0])
    if command is None:
        raise ExampleError(f"stylebank has no command {rest[0]!r}.")
    _parse_with(command, rest[0], rest[1:])


def _parse_with(command: click.Command, name: str, arguments: list[str]) -> None:
    try:
        command.make_context(name, arguments)
    except click.exceptions.Exit:
        pass  # --help, --list-devices
    except click.ClickException as error:
        raise ExampleError(f"{name}: {error.format_message()}") from error


@dataclass
class Session:
    """The state of a guide's examples: a folder, the environment, the namespace, and what was executed."""

    folder: Path
    guide: str
    environment: dict[str, str] = field(default_factory=dict)
    namespace: dict[str, Any] = field(default_factory=lambda: {"__name__": "example"})
    executed: int = 0
    checked: int = 0
    python: int = 0
    job_files: int = 0

    def run(self, markdown: str) -> None:
        """Run all blocks of a guide; name the line of the first that fails."""
        names = set(re.findall(r"stylebank batch ([\w.-]+\.toml)", markdown)) | {"jobs.toml"}
        for block in blocks(markdown):
            line = block.line
            try:
                if block.language in ("sh", "console"):
                    for command in commands(block):
                        line = command.line
                        self._line(command)
                elif block.language == "python":
                    self._python(block)
                elif block.language == "toml":
                    self._toml(block.text, names)
                elif block.language in ("bash", "ini"):
                    for command in commands(block):
                        line = command.line
                        self._recipe(command)
            except ExampleError as error:
                raise ExampleError(f"{self.guide}:{line}: {error}") from error

    def _line(self, command: Command) -> None:
        if "<<" in command.text:
            self._shell(command.text)
            return
        for words in pieces(command.text):
            assignments = []
            while words and _ASSIGNMENT.match(words[0]):
                assignments.append(words.pop(0))
            if words[0] == "export":
                self.environment |= dict(word.partition("=")[::2] for word in shlex.split(" ".join(words[1:])))
            elif words[0] == "stylebank":
                self._stylebank(command, words[1:], dict(word.partition("=")[::2] for word in assignments))
            elif words[0] in FILE_PROGRAMS:
                self._shell(command.text)
                return
            else:
                _check_program(words)

    def _stylebank(self, command: Command, words: list[str], environment: dict[str, str]) -> None:
        arguments = self._expanded(words, environment)
        parse(arguments)
        options = {argument.partition("=")[0] for argument in arguments}
        if options & ELSEWHERE or "KERAS_BACKEND" in environment or any(a.startswith("gpu") for a in arguments):
            self.checked += 1
            return
        self.executed += 1
        code, output = self._main(_small(arguments), environment)
        fails = any(line.startswith("Error: ") or ": failed: " in line for line in command.transcript)
        if (code != 0) != fails:
            raise ExampleError(f"exit code {code}, expected {'another' if fails else 0}. It prints: {output}")
        if command.transcript:
            compare(command, output)

    def _main(self, arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
        output = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
            patch.chdir(self.folder)
            for name, value in {**self.environment, **environment}.items():
                patch.setenv(name, value)
            with contextlib.redirect_stderr(output), pytest.raises(SystemExit) as stop:
                cli.main(arguments)
        return int(stop.value.code or 0), output.getvalue()

    def _expanded(self, words: list[str], environment: dict[str, str]) -> list[str]:
        """Let the shell remove quotes and expand patterns and variables."""
        return self._shell(f"printf '%s\\0' {' '.join(words)}", environment).split("\0")[:-1] if words else []

    def _shell(self, text: str, environment: dict[str, str] | None = None) -> str:
        command = ["bash", "-euo", "pipefail", "-c", text]
        variables = {**os.environ, **self.environment, **(environment or {})}
        ended = subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise ExampleError(f"{text!r}: exit code {ended.returncode}: {ended.stderr}")
        return ended.stdout

    def _recipe(self, command: Command) -> None:
        for words in pieces(command.text.removeprefix("ExecStart=")):
            words = [word for word in words if not _ASSIGNMENT.match(word)]
            place = next((n for n, word in enumerate(words) if Path(word).name == "stylebank"), None)
            if place is not None and words[place + 1 :]:
                parse(shlex.split(" ".join(words[place + 1 :])))
                self.checked += 1

    def _toml(self, text: str, names: set[str]) -> None:
        if "[presets." in text:
            (self.folder / FILE_NAME).write_text(text, "utf-8")
            file = PresetFile(self.folder / FILE_NAME, WORKING_FOLDER)
            try:
                for name in file.tables:
                    file.read(name)
            except UsageError as error:
                raise ExampleError(str(error)) from error
        if "[[job]]" not in text:
            return
        path = self.folder / "as_it_stands.toml"
        path.write_text(text, "utf-8")
        try:
            job_file.read(path)
        except Exception as error:
            raise ExampleError(str(error)) from error
        small = re.sub(r"(?m)^(size|steps|precision) *=.*\n", "", _shallow(text))
        header = f'[defaults]\nsize = {SIZE}\nsteps = 1\nprecision = "float32"\n'
        small = small.replace("[defaults]\n", header) if "[defaults]\n" in small else f"{header}\n{small}"
        for name in names:
            (self.folder / name).write_text(small, "utf-8")
        path.unlink()
        self.job_files += 1

    def _python(self, block: Block) -> None:
        to_tensors = _Small().visit(ast.parse("\n" * (block.line - 1) + block.text, self.guide))
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
            patch.chdir(self.folder)
            try:
                exec(compile(ast.fix_missing_locations(to_tensors), self.guide, "exec"), self.namespace)
            except Exception as error:
                raise ExampleError(f"{type(error).__name__}: {error}") from error
        self.python += 1


def _small(arguments: list[str]) -> list[str]:
    """Append what makes a command quick."""
    arguments = [argument for argument in arguments if argument not in LEFT_OUT]
    command = next((argument for argument in arguments if argument in SMALL), None)
    if command is None or "--help" in arguments:
        return arguments
    more = list(SMALL[command])
    if command == "add" and not {"--layers", "original"} & set(arguments):
        more += ["--layers", ",".join(LAYERS)]
    if command == "apply" and "--print" in arguments:  # which gives the size, so that --size is refused
        more = ["--dpi", str(PRINT_DPI), *more[2:]]
    if command == "apply":
        arguments = [_shallow(argument) for argument in arguments]
    return [*arguments, *more]


def _shallow(text: str) -> str:
    """Put the deepest layer that is measured in place of deeper ones."""
    return re.sub(r"\b(conv|relu)[45]", r"\g<1>3", text)


class _Small(ast.NodeTransformer):
    """Makes the sizes in a piece of Python small: those of `add`, `apply` and `similar`, and the keys of scales."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        keywords = {keyword.arg: keyword for keyword in node.keywords}
        small: dict[str, Any] = {}
        if name == "apply":
            small = {"size": SIZE, "steps": 1, "precision": "float32"}
            for keyword in node.keywords:
                keyword.value = _Shallow().visit(keyword.value)
        elif name == "add" and len(node.args) > 1:
            small = {"scales": (SCALE,)} | ({} if {"layers", "preset"} & set(keywords) else {"layers": LAYERS})
        elif name == "similar":
            small = {"scale": SCALE}
        if "scales" in keywords and name != "add":
            keywords["scales"].value = _Scales().visit(keywords["scales"].value)
        left = [keyword for keyword in node.keywords if keyword.arg not in {*small, "jobs", "devices", "cluster"}]
        node.keywords = [*left, *(ast.keyword(key, ast.parse(repr(v)).body[0].value) for key, v in small.items())]  # type: ignore[attr-defined]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if getattr(node.value, "attr", "") in ("scales", "sizes"):
            node.slice = _Scales().visit(node.slice)
        return node


class _Scales(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(SCALE if isinstance(node.value, int) else node.value)


class _Shallow(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(_shallow(node.value) if isinstance(node.value, str) else node.value)


def _check_program(words: list[str]) -> None:
    """Check the form of a line for another program: that it is known, and that what it names exists here."""
    program, *rest = words
    if program not in KNOWN_PROGRAMS:
        raise ExampleError(f"{program}: not a program that the examples use. Add it to KNOWN_PROGRAMS.")
    if program == "pip":
        for extra in re.findall(r"\[([\w,]+)\]", " ".join(rest)):
            if unknown := set(extra.split(",")) - set(PROJECT["project"]["optional-dependencies"]):
                raise ExampleError(f"pip: pyproject.toml has no extra {', '.join(unknown)}.")
    elif program == "pytest":
        for word in rest:
            if "/" in word and not (ROOT / word.split("::")[0]).exists():
                raise ExampleError(f"pytest: {word} does not exist.")
    elif program == "python" and rest[:1] == ["-m"] and rest[1].startswith("tests.bench"):
        name = rest[1] if rest[1] != "tests.bench" else "tests.bench.__main__"
        command, arguments = importlib.import_module(name).main, shlex.split(" ".join(rest[2:]))
        if isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
            group, part = command, arguments.pop(0)
            command = group.get_command(click.Context(group), part)
            if command is None:
                raise ExampleError(f"tests.bench has no part {part!r}.")
        _parse_with(command, rest[1], arguments)
