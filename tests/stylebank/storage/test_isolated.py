"""A style file from elsewhere is parsed in a child process first, and nothing that it does there reaches the bank."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from stylebank.bank import Bank, transfer
from stylebank.errors import ImportRefused, StylebankError, StyleDamaged, StyleUnreadable
from stylebank.storage import isolated
from tests.conftest import Result
from tests.stylebank.storage.style_files import MEAN, changed, never_written, written
from tests.styles import style


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "new.stylebank.h5")


@pytest.fixture
def full(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "bank")
    bank.add(style("tide", 1))
    return bank


def instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Run other code in the child."""
    monkeypatch.setattr(isolated, "command", lambda path: [sys.executable, "-c", code, str(path)])


def refused(bank: Bank, file: Path) -> str:
    before = {path.name: path.read_bytes() for path in bank.paths()}
    with pytest.raises(ImportRefused) as caught:
        transfer.import_style(bank, file)
    assert {path.name: path.read_bytes() for path in bank.paths()} == before
    message = str(caught.value)
    assert message.startswith(f"{file}: ") and "\n" not in message and message.endswith(".")
    assert caught.value.exit_code == 1
    return message


def test_a_whole_file_passes_and_a_damaged_one_has_the_readers_own_reason(file: Path, tmp_path: Path) -> None:
    isolated.parse(file)
    with pytest.raises(StyleDamaged) as caught:
        isolated.parse(changed(tmp_path / "bad.stylebank.h5", never_written(MEAN)))
    assert caught.value.path == tmp_path / "bad.stylebank.h5"
    assert caught.value.reason == "/scales/32/conv1_1/mean declares 256 bytes and stores 0."
    assert str(caught.value).startswith(f"{caught.value.path}: {caught.value.reason}")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGKILL"])
def test_a_file_that_ends_the_process_is_refused(
    full: Bank, file: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    instead(monkeypatch, f"import os; os.kill(os.getpid(), {int(getattr(signal, name))})")
    message = refused(full, file)
    assert message == (
        f"{file}: reading it ends the process ({name}). Nothing was imported. Get the file again from its author."
    )


def test_a_file_that_never_ends_is_refused(full: Bank, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(isolated, "MAX_SECONDS", 0.3)
    started = time.monotonic()
    assert "takes more than 0.3 seconds. Nothing was imported." in refused(full, file)
    assert time.monotonic() - started < 10


# the limits of the real child


def slow(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Put code into the reader of the child, after its limits."""
    real = isolated.command

    def command(path: Path | None) -> list[str]:
        line = real(path)
        index = line.index("-c") + 1
        line[index] = line[index].replace(
            "main()",
            "import stylebank.storage.reader as r\n"
            f"r.read = lambda path: exec({code!r}, {{'path': path, 'r': r}})\nmain()",
        )
        return line

    monkeypatch.setattr(isolated, "command", command)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux'")
def test_memory_is_limited(full: Bank, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "MAX_BYTES", 200 << 20)
    isolated.parse(file)  # enough for a small file
    slow(monkeypatch, "bytearray(1 << 30)")
    assert "reading it takes more memory than is free, or than 0.195 GiB. Nothing was imported." in refused(full, file)
    slow(monkeypatch, "with r.hdf5.opened(path): bytearray(1 << 30)")
    assert "reading it takes more memory than is free, or than 0.195 GiB. Nothing was imported." in refused(full, file)


def test_a_file_that_the_system_does_not_let_read_is_no_damaged_one(
    full: Bank, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(
        monkeypatch,
        "from stylebank import errors; raise errors.StyleUnreadable(f'{path}: no. Go.').located(path, 'no.')",
    )
    with pytest.raises(StyleUnreadable) as caught:
        transfer.import_style(full, file)
    assert (str(caught.value), caught.value.path, caught.value.reason) == (f"{file}: no. Go.", file, "no.")
    assert full.names() == ["tide"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_processor_time_is_limited(full: Bank, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "MAX_CPU_SECONDS", 2)
    slow(monkeypatch, "while True: pass")
    assert "reading it takes more than 2 seconds of processor time. Nothing was imported." in refused(full, file)


@pytest.mark.skipif(not hasattr(os, "WCOREDUMP"), reason="no core dumps here")
def test_a_crash_leaves_no_core_dump(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, "import resource, sys; sys.exit(20 + resource.getrlimit(resource.RLIMIT_CORE)[0])")
    assert subprocess.run(isolated.command(file), check=False).returncode == 20


def test_where_the_system_has_no_limits_the_file_is_parsed_all_the_same(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    isolated._limit(1, 1)
    monkeypatch.setattr(sys, "executable", "")
    isolated.parse(file)


def test_a_process_that_cannot_start_is_an_error_with_advice(
    full: Bank, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "run", refuse)
    assert "cannot start (Resource temporarily unavailable). Nothing was imported. Free" in refused(full, file)


def test_modules_in_the_working_folder_are_not_imported(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stylebank", "h5py", "numpy", "os", "subprocess"):
        (tmp_path / f"{name}.py").write_text("import pathlib; pathlib.Path('ran').touch(); raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    isolated.parse(Path(file.name))
    assert not Path("ran").exists()


def test_a_name_that_is_not_utf8_and_errors_of_other_classes_come_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / os.fsdecode(b"\xff \x1b[31m.stylebank.h5")
    try:
        odd.write_text("no style")
    except (OSError, UnicodeError):
        pytest.skip("the file system takes UTF-8 only")
    with pytest.raises(StyleDamaged) as caught:
        isolated.parse(odd)
    assert caught.value.path == odd and str(caught.value).isprintable()
    instead(monkeypatch, "import sys; sys.stdout.write('Unheard\\0of: it. Stop.\\0'); sys.exit(3)")
    with pytest.raises(StylebankError, match="of: it"):
        isolated.parse(odd)


def test_the_command_goes_on_with_the_next_file(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = tmp_path / "bad.stylebank.h5", tmp_path / "good.stylebank.h5"
    written(bad, style("bad"))
    written(good, style("good"))
    real = isolated.command
    crash = [sys.executable, "-c", "import os; os.abort()"]
    monkeypatch.setattr(isolated, "command", lambda path: crash if path in (bad, None) else real(path))
    result = run("import", bad, good)
    assert result.code == 1 and result.stdout.startswith("good: imported, ")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: {bad}: reading it ends the process (SIGABRT).")
    assert "bad" not in run("list").stdout


def test_memory_of_a_file_with_holes_is_bounded_by_its_declared_shapes(tmp_path: Path) -> None:
    def sparse(content: h5py.File) -> None:
        del content[MEAN]
        content.create_dataset(MEAN, (1 << 40,), np.float32, chunks=(64,))

    with pytest.raises(StyleDamaged, match="has shape"):
        isolated.parse(changed(tmp_path / "x.stylebank.h5", sparse))


# many files in one child


def commands(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """The files of the children that start; None for a child that reads many."""
    started: list[Path | None] = []
    real = isolated.command

    def command(path: Path | None) -> list[str]:
        started.append(path)
        return real(path)

    monkeypatch.setattr(isolated, "command", command)
    return started


def test_whole_files_have_one_child_and_any_other_one_of_its_own(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = changed(tmp_path / "bad.stylebank.h5", never_written(MEAN))
    odd = written(tmp_path / "new\nline.stylebank.h5")
    started = commands(monkeypatch)
    with isolated.Parser() as parser:
        for path in (file, odd, file):
            parser.parse(path)
        assert started == [None]
        with pytest.raises(StyleDamaged, match="declares 256 bytes and stores 0"):
            parser.parse(bad)
        assert started == [None, bad]
        parser.parse(file)
        parser.parse(odd)
        assert started == [None, bad, None]
        child = parser._child
        assert child is not None and child.poll() is None
    assert child.poll() is not None


CODES = ["__import__('os').abort()", "bytearray(1 << 33)", "__import__('time').sleep(60)", "raise SystemExit(0)"]


@pytest.mark.parametrize("code", CODES)
def test_what_an_earlier_file_did_to_the_process_refuses_no_whole_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(isolated, "MAX_SHARED_SECONDS", 3)
    real = isolated.command
    slow(monkeypatch, code)
    shared = isolated.command
    monkeypatch.setattr(isolated, "command", lambda path: shared(path) if path is None else real(path))
    with isolated.Parser() as parser:
        parser.parse(file)
        assert parser._child is None
    monkeypatch.setattr(isolated, "command", shared)
    monkeypatch.setattr(isolated, "MAX_SECONDS", 3)
    if "Exit" not in code:
        with isolated.Parser() as parser, pytest.raises(ImportRefused, match=str(file)):
            parser.parse(file)


def test_an_answer_that_was_not_awaited_is_not_that_of_the_next_file(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = changed(tmp_path / "bad.stylebank.h5", never_written(MEAN))
    with isolated.Parser() as parser:
        parser.parse(file)
        assert parser._child is not None

        def interrupted() -> bytes:
            raise KeyboardInterrupt

        monkeypatch.setattr(parser._child, "stdout", SimpleNamespace(readline=interrupted, close=lambda: None))
        with pytest.raises(KeyboardInterrupt):
            parser.parse(file)
        with pytest.raises(StyleDamaged):
            parser.parse(bad)


def test_the_child_for_many_files_ends_with_the_process_that_reads_it(file: Path) -> None:
    child = subprocess.Popen(isolated.command(None), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.communicate(os.fsencode(file).hex().encode() + b"\n", timeout=60)[0] == b"whole\n"
    assert child.returncode == 0


def test_an_import_of_many_files_starts_one_child(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [written(tmp_path / f"{name}.stylebank.h5", style(name)) for name in ("one", "two", "three")]
    started = commands(monkeypatch)
    assert run("import", *files).code == 0
    assert started == [None]
