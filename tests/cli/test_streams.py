"""Standard streams that are closed, full, or no longer read; terminals that cannot redraw."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import streams
from stylebank.bank import Bank
from tests import styles
from tests.cli.conftest import NAMES, apply, command
from tests.fake_cli import LIGHT

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")


def outputs(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").glob("*.jpg"))


ALL = [f"{name}.wave.jpg" for name in NAMES]


@pytest.mark.parametrize(
    "redirections",
    ["2>&-", pytest.param("2>/dev/full", marks=needs_full), "<&- >&-", "<&- >&- 2>&-", "2> >(exec 0<&-)"],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_run_needs_no_stream(folder: Path, redirections: str, unbuffered: str) -> None:
    result = apply(folder, redirections, PYTHONUNBUFFERED=unbuffered)
    assert result.returncode == 0
    assert outputs(folder) == ALL
    assert len((folder / "out/stylebank.jsonl").read_text().splitlines()) == 3


def test_no_file_takes_the_number_of_a_closed_stderr(folder: Path) -> None:
    program = (
        "import os, sys; from pipeline.cli import streams; streams.prepare()\n"
        f"file = os.open({str(folder / 'file')!r}, os.O_CREAT | os.O_RDWR); os.write(2, b'a library speaks')\n"
        "print('an error', file=sys.stderr); os.write(3, b'') if file == 3 else None\n"
        "os._exit(0 if file > 2 and os.get_inheritable(2) else 1)"
    )
    closed = ["bash", "-c", '"$@" <&- >&- 2>&-', "bash", sys.executable, "-c", program]
    assert subprocess.run(closed, check=False).returncode == 0
    assert (folder / "file").read_bytes() == b""


def test_a_closed_stderr_keeps_the_exit_code(folder: Path) -> None:
    assert command(folder, "2>&-", "show", "nobody").returncode == 2
    assert command(folder, "2>&-", "show").returncode == 2


@needs_full
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_results_that_stdout_refuses_are_an_error_in_one_line(folder: Path, unbuffered: str) -> None:
    advice = "results are missing there. Send them elsewhere, or free some space."
    for arguments in (["list"], ["list", "--json"], ["--help"]):
        full = command(folder, ">/dev/full", *arguments, PYTHONUNBUFFERED=unbuffered)
        assert (full.returncode, full.stderr) == (1, f"Error: stdout: {os.strerror(28)}; {advice}\n")
    closed = command(folder, ">&-", "list")
    assert (closed.returncode, closed.stderr) == (1, f"Error: stdout: {os.strerror(9)}; {advice}\n")


@needs_full
@pytest.mark.parametrize("redirections", [">/dev/full", ">&-", "| head -c 0"])
def test_a_run_goes_on_where_its_lines_cannot_be_printed(folder: Path, redirections: str) -> None:
    result = apply(folder, redirections + "; exit ${PIPESTATUS[0]}", "--json")
    assert result.returncode == 1
    assert outputs(folder) == ALL
    assert result.stderr.splitlines()[-1].startswith("Error: stdout: ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("redirections", [">&-", pytest.param(">/dev/full", marks=needs_full)])
def test_a_command_over_several_styles_goes_on_where_its_lines_cannot_be_printed(
    folder: Path, redirections: str
) -> None:
    bank = Bank(folder / "bank")
    for name in ("a", "b"):
        bank.add(styles.style(name, tags=()))
    result = command(folder, redirections, "tag", "a", "b", "--add", "new")
    assert result.returncode == 1 and result.stderr.startswith("Error: stdout: ")
    assert bank.header("a").tags == bank.header("b").tags == ("new",)
    result = command(folder, redirections, "verify")
    assert result.returncode == 1 and result.stderr.count("Error: stdout: ") == 1


def test_a_reader_that_ends_early_gets_no_error(folder: Path) -> None:
    result = command(folder, "| head -c 1; exit ${PIPESTATUS[0]}", "list", "--json")
    assert (result.returncode, result.stdout, result.stderr) in {(0, "[", ""), (1, "[", "")}


@pytest.mark.parametrize(("term", "escapes"), [("dumb", False), ("xterm", True)])
def test_a_dumb_terminal_gets_plain_lines(folder: Path, term: str, escapes: bool) -> None:
    main_end, end = pty.openpty()
    words = ["apply", "--style", "wave", str(folder / "in"), "-o", str(folder / "out"), *LIGHT]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fake_cli", "--bank", str(folder / "bank"), *words],
        stderr=end,
        env={**os.environ, "TERM": term},
        cwd=Path(__file__).parents[2],
    ) as process:
        os.close(end)
        printed = b""
        while chunk := read(main_end):
            printed += chunk
    os.close(main_end)
    assert process.returncode == 0
    assert (b"\x1b" in printed) == escapes
    assert b"a.png: a.wave.jpg" in printed


def read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # Linux reports the end of a terminal as an error
        return b""


def test_a_pipe_that_is_full_and_does_not_block_drops_messages() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    raw = streams._Stderr(writing, "w", closefd=False)
    assert raw.write(b"x" * (1 << 20)) > 0
    assert raw.write(b"y" * 4096) == 4096
    os.close(reading)
    assert raw.write(b"z") == 1
    os.close(writing)
