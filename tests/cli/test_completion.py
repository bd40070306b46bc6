"""Completion, typed into real shells."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli.completion import quoted, split_line
from stylebank.bank import Bank
from tests import styles

NAMES = ("wave", "two words", "it's $5 (new)", "mo,net:1", "müller ü", "x=y")
#: Typed text, and the words that the command is to get.
CASES = [
    ("show wa", ["show", "wave"]),
    ("sh", ["show"]),
    ("show tw", ["show", "two words"]),
    ("show two\\ w", ["show", "two words"]),
    ("show 'two w", ["show", "two words"]),
    ('show "two w', ["show", "two words"]),
    ("show it", ["show", "it's $5 (new)"]),
    ("show mo,", ["show", "mo,net:1"]),
    ("show mü", ["show", "müller ü"]),
    ("show x=", ["show", "x=y"]),
    ("apply --style=wa", ["apply", "--style=wave"]),
    ("apply --style=tw", ["apply", "--style=two words"]),
    ("apply --style tw", ["apply", "--style", "two words"]),
    ("apply --style sky=tw", ["apply", "--style", "sky=two words"]),
    ("apply --style=sky=tw", ["apply", "--style=sky=two words"]),
    ("apply --style wave:0.6 --style tw", ["apply", "--style", "wave:0.6", "--style", "two words"]),
    ("apply --keep-color=tr", ["apply", "--keep-color=transport"]),
    ("apply --keep-c", ["apply", "--keep-color"]),
    ("apply --preset=fi", ["apply", "--preset=fine"]),
    ("apply --preset nig", ["apply", "--preset", "night"]),
    ("mix new --from tw", ["mix", "new", "--from", "two words"]),
    ("mix --from=tw", ["mix", "--from=two words"]),
    ("list --tag deep", ["list", "--tag", "deep sea"]),
    ("similar wa", ["similar", "wave"]),
]
BASH_CASES = [
    ("apply --style 'sky=tw", ["apply", "--style", "sky=two words"]),
    ('apply --style sky="tw', ["apply", "--style", "sky=two words"]),
    ("similar pic", ["similar", "picture.png"]),
    ("apply --style wave pic", ["apply", "--style", "wave", "picture.png"]),
    ("apply --style wave --output=pic", ["apply", "--style", "wave", "--output=picture.png"]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank, and a command named stylebank that writes its words, one a line, unless it completes."""
    folder = tmp_path_factory.mktemp("completion")
    for seed, name in enumerate(NAMES):
        Bank(folder / "bank").add(styles.style(name, seed, tags=("deep sea",)))
    (folder / "bank/stylebank.toml").write_text("[presets.night]\nsize = 64\n")
    program = folder / "bin/stylebank"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport os, sys\nif '_STYLEBANK_COMPLETE' in os.environ:\n"
        f"    sys.path.insert(0, {str(Path(__file__).parents[2])!r}); from pipeline.cli import main; main()\n"
        "else:\n    open('words', 'w').write('\\n'.join(sys.argv[1:]) + '\\n')\n"
    )
    program.chmod(0o755)
    (folder / "picture.png").touch()
    return folder


class Shell:
    """A shell on a terminal."""

    def __init__(self, folder: Path, command: list[str], setup: str) -> None:
        self._words = folder / "words"
        environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "STYLEBANK_BANK": str(folder / "bank"),
            "TERM": "dumb",
            "LANG": "C.UTF-8",
            "PS1": "$ ",
        }
        self._process, self._terminal = pty.fork()
        if not self._process:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)
        self._printed = b""
        self._type(f"{setup}; echo re''ady\n")
        self._wait(b"ready")

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _wait(self, text: bytes = b"", seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (text and text in self._printed):
            if select.select([self._terminal], [], [], 0.1)[0]:
                self._printed += os.read(self._terminal, 1 << 16)
            elif not text:
                return

    def complete(self, text: str) -> list[str]:
        """Type the start of a command and TAB; return the words that the command then gets."""
        self._words.unlink(missing_ok=True)
        self._printed = b""
        self._type(f"stylebank {text}\t")
        self._wait(b"\x07", 0.1)
        self._type("\n")
        end = time.monotonic() + 30
        while not (self._words.exists() and self._words.read_text().endswith("\n")) and time.monotonic() < end:
            self._wait(b"", 0.1)
        return self._words.read_text().splitlines() if self._words.exists() else [self._printed.decode()]

    def close(self) -> None:
        os.close(self._terminal)
        os.waitpid(self._process, 0)


def script(folder: Path, shell: str) -> Path:
    """Write the shell's completion script."""
    path = folder / f"complete.{shell}"
    environment = {**os.environ, "_STYLEBANK_COMPLETE": f"{shell}_source"}
    path.write_bytes(subprocess.check_output([folder / "bin/stylebank"], env=environment))
    return path


@pytest.fixture(scope="module")
def bash(folder: Path) -> Iterator[Shell]:
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    shell = Shell(folder, ["bash", "--norc", "--noprofile", "-i"], f"source {script(folder, 'bash')}")
    yield shell
    shell.close()


@pytest.mark.parametrize(("typed", "words"), [*CASES, *BASH_CASES])
def test_bash(bash: Shell, typed: str, words: list[str]) -> None:
    assert bash.complete(typed) == words


@pytest.fixture(scope="module")
def zsh(folder: Path) -> Iterator[Shell]:
    if shutil.which("zsh") is None:
        pytest.skip("no zsh")
    setup = f"autoload -Uz compinit && compinit -u -D && source {script(folder, 'zsh')}"
    shell = Shell(folder, ["zsh", "-f", "-i"], setup)
    yield shell
    shell.close()


@pytest.mark.parametrize(("typed", "words"), CASES)
def test_zsh(zsh: Shell, typed: str, words: list[str]) -> None:
    assert zsh.complete(typed) == words


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
@pytest.mark.parametrize(("typed", "words"), CASES)
def test_fish(folder: Path, typed: str, words: list[str]) -> None:
    """Fish lists what it would put in place of the last word, and quotes it by itself."""
    path = folder / "complete.fish"
    if not path.exists():
        script(folder, "fish")
    program = f"source {path}; complete -C {shlex.quote('stylebank ' + typed)}"
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder)}
    environment |= {"STYLEBANK_BANK": str(folder / "bank"), "LANG": "C.UTF-8"}
    done = subprocess.run(["fish", "--no-config", "-c", program], capture_output=True, text=True, env=environment)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [words[-1]], done.stderr


def test_a_bank_that_cannot_be_read_completes_nothing_and_prints_nothing(folder: Path) -> None:
    line = f"stylebank --bank {folder / 'picture.png'} show wa"
    environment = {**os.environ, "_STYLEBANK_COMPLETE": "bash_complete", "COMP_LINE": line, "COMP_WORDBREAKS": "="}
    done = subprocess.run([folder / "bin/stylebank"], capture_output=True, env=environment)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("name", [*NAMES, "~", "a\\b", "`x`", "#1", "*[?]{a,b}", "🎨 e\u0301"])
def test_a_candidate_means_its_name_in_bash(quote: str, name: str) -> None:
    (text,) = quoted([name], quote)
    done = subprocess.run(["bash", "-c", f"printf %s {quote}{text}{quote}"], capture_output=True, check=True)
    assert done.stdout.decode() == name


@pytest.mark.parametrize(
    "values", [["mo net", "mo'x"], ["mo net", "monet"], ["a b c", "a b d"], ["mo (", "mo '", "mo $"]]
)
def test_what_candidates_have_in_common_is_whole(values: list[str]) -> None:
    candidates = quoted(values)
    common = os.path.commonprefix(candidates)  # noqa: RUF071
    done = subprocess.run(["bash", "-c", f"printf %s {common}"], capture_output=True, check=True)
    assert done.stdout.decode() == os.path.commonprefix(values)  # noqa: RUF071
    for value, candidate in zip(values, candidates, strict=True):
        done = subprocess.run(["bash", "-c", f"printf %s {candidate}"], capture_output=True, check=True)
        assert done.stdout.decode() == value


@pytest.mark.parametrize(
    ("text", "words", "quote", "start"),
    [
        ("s show ", ["s", "show", ""], "", 0),
        ("s a\\ b", ["s", "a b"], "", 0),
        ("s --o=a:b", ["s", "--o=a:b"], "", 6),
        ("s a\\=b", ["s", "a=b"], "", 0),
        ("s 'a=b c", ["s", "a=b c"], "'", 0),
        ('s x="a\\"', ["s", 'x=a"'], '"', 2),
        ("s '' \"", ["s", "", ""], '"', 0),
    ],
)
def test_a_line_is_split_as_bash_does(text: str, words: list[str], quote: str, start: int) -> None:
    line = split_line(text, " \t\n\"'><=;|&(:")
    assert (line.words, line.quote, line.start) == (words, quote, start)
    closed = f"printf '%s\\n' {text.removeprefix('s ')}{quote}"
    done = subprocess.run(["bash", "-c", closed], capture_output=True, check=True, text=True)
    assert [*done.stdout.splitlines(), *([""] if text.endswith(" ") else [])] == words[1:]
