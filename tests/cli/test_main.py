"""The command line as a whole: help, start-up, environment, exit codes."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import click
import filelock
import pytest
from click.shell_completion import ShellComplete

import pipeline
import stylebank
from pipeline import cli
from pipeline.cli.commands import COMMANDS as COMMAND_HELP
from pipeline.cli.options import StyleName
from stylebank import __version__
from stylebank.bank import Bank
from tests.conftest import DATA, Result

Run = Callable[..., Result]
REFERENCE = (Path(__file__).parents[2] / "pipeline/REFERENCE.md").read_text("utf-8")
COMMANDS = {
    name: command
    for name in cli.group.list_commands(click.Context(cli.group))
    if (command := cli.group.get_command(click.Context(cli.group), name)) is not None
}


def test_the_commands_are_those_of_the_contract() -> None:
    assert set(COMMANDS) >= {"add", "list", "show", "remove", "rename", "apply"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_a_line_in_the_reference(name: str, run: Run) -> None:
    result = run(name, "--help")
    assert result.code == 0
    assert f"$ stylebank {name}" in result.stdout
    assert f"stylebank {name}" in REFERENCE


def test_an_unknown_backend_is_one_line(bank_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline.cli", "--bank", str(bank_folder), "add", "--name", "x"]
    command += [str(DATA / "styles/poppies.jpg")]
    environment = {**os.environ, "KERAS_BACKEND": "nonsense"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert done.stderr == "Error: KERAS_BACKEND=nonsense: unknown. Set it to one of tensorflow, jax, torch.\n"


def test_a_mistyped_bank_is_not_made(run: Run, tmp_path: Path) -> None:
    assert run("--bank", tmp_path / "typo", "remove", "wave").code == 2
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help_and_stands_in_the_reference(name: str) -> None:
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            longest = max(parameter.opts, key=len)
            assert re.search(rf"{longest}\b", REFERENCE), longest


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_in_the_help_parse(name: str) -> None:
    command = COMMANDS[name]
    examples = re.findall(rf"\$ stylebank {name}(.*)", command.help or "")
    assert examples
    for example in examples:
        arguments = re.findall(r'"([^"]*)"|(\S+)', example.split("|")[0])
        command.make_context(name, [quoted or plain for quoted, plain in arguments])


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version").stdout.strip() == f"stylebank, version {__version__}"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list"], ["show", "wave"], ["apply", "--help"], ["remove", "wave"], ["rename", "wave", "w"]],
)
def test_looking_at_a_bank_loads_no_keras(bank_folder: Path, arguments: list[str]) -> None:
    program = (
        "import sys; from pipeline import cli\n"
        f"try: cli.main({['--bank', str(bank_folder), *arguments]!r})\n"
        "except SystemExit as stop: code = stop.code\n"
        "heavy = {'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["apply", "--style", "wave", "nosuch.jpg"], 1),
        (["apply", "--style", "wave", "nosuch.jpg", "--precision", "auto", "--batch-size", "auto"], 1),
        (["apply", "--style", "wave", "nosuch.jpg", "text.jpg", "--jobs", "2"], 1),
        (["apply", "--style", "wave", "text.jpg", "--fail-fast"], 1),
        (["batch", "jobs.toml"], 1),
        (["batch", "jobs.toml", "--dry-run"], 0),
        (["add", "nosuch.jpg"], 1),
        (["add", "text.jpg"], 1),
    ],
)
def test_subjects_that_cannot_be_read_are_reported_without_loading_a_backend(
    bank_folder: Path, tmp_path: Path, arguments: list[str], code: int
) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "jobs.toml").write_text('[[job]]\nstyle = "wave"\nsubjects = ["nosuch.jpg"]\n')
    program = (
        "import sys; from pipeline import cli\n"
        f"try: cli.main({['--bank', str(bank_folder), *arguments]!r})\n"
        "except SystemExit as stop: code = stop.code\n"
        "heavy = {'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)\n"
        f"sys.exit(f'loaded {{heavy}}' if heavy else code != {code})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    reported = done.stdout + done.stderr
    for name, reason in (("nosuch.jpg", "No such file"), ("text.jpg", "a text file, not an image")):
        assert (f"{name}: {reason}" in reported) == (
            name in arguments or (name == "nosuch.jpg" and "batch" in arguments)
        )


def test_the_list_of_commands_has_their_own_words_and_loads_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, command in COMMANDS.items():
        assert COMMAND_HELP[name] == command.get_short_help_str(1000), name
    for columns in ("80", "60", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        told = run("--help").stdout
        with monkeypatch.context() as patched:
            patched.setattr(type(cli.group), "format_commands", click.Group.format_commands)
            assert run("--help").stdout == told
    program = (
        "import sys; from pipeline import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(', '.join({'numpy', 'h5py', 'PIL', 'scipy', 'rich', 'pipeline.cli.apply'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_and_their_options_complete() -> None:
    def offered(arguments: str, incomplete: str) -> dict[str, str | None]:
        completion = ShellComplete(cli.group, {}, "stylebank", "_STYLEBANK_COMPLETE")
        return {item.value: item.help for item in completion.get_completions(arguments.split(), incomplete)}

    assert set(offered("", "")) == set(COMMANDS)
    assert offered("", "ve") == {"verify": COMMANDS["verify"].get_short_help_str()}
    assert "--bank" in offered("", "--") and "--steps" in offered("apply", "--st")


@pytest.mark.parametrize("package", [stylebank, pipeline])
def test_a_package_has_all_that_it_names_and_nothing_else(package: ModuleType) -> None:
    for name in package.__all__:
        assert name in dir(package) and getattr(package, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'frobnicate'"):
        _ = package.frobnicate


def test_the_ground_floor_loads_no_pipeline() -> None:
    program = "import sys, stylebank; sys.exit(bool({'pipeline', 'keras', 'tensorflow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_installed_command_enters_through_stylebank() -> None:
    scripts = entry_points(group="console_scripts", name="stylebank")
    assert {script.value for script in scripts} == {"stylebank.__main__:main"}


@pytest.mark.parametrize("module", ["stylebank", "pipeline.cli"])
def test_both_modules_run_the_command(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"stylebank, version {__version__}\n")


ENTRY = "import sys; from stylebank.__main__ import main; sys.exit(main(['list']))"  # as the installed script does


@pytest.mark.parametrize("arguments", [("-m", "stylebank", "list"), ("-c", ENTRY)])
@pytest.mark.parametrize("place", ["working folder", "PYTHONPATH"])
def test_a_file_named_pipeline_is_reported_in_one_line(tmp_path: Path, arguments: tuple[str, ...], place: str) -> None:
    (tmp_path / "pipeline.py").write_text("raise SystemExit('the file of the user ran')\n")
    (tmp_path / "elsewhere").mkdir()
    environment = {**os.environ, "STYLEBANK_BANK": str(tmp_path / "bank")}
    folder = tmp_path
    if place == "PYTHONPATH":
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(tmp_path), environment.get("PYTHONPATH")]))
        folder = tmp_path / "elsewhere"
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=folder, env=environment
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: {tmp_path / 'pipeline.py'}: hides the package 'pipeline' of stylebank. "
        "Rename it, or run from another folder.\n"
    )


def test_options_are_read_from_the_environment(
    run: Run, bank_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLEBANK_LIST_JSON", "1")
    monkeypatch.setenv("STYLEBANK_BANK", str(bank_folder))
    assert run("list").stdout.startswith("[")
    monkeypatch.setenv("STYLEBANK_APPLY_SIZE", "7")
    result = run("apply", "--style", "wave", DATA / "subjects/china.jpg", "-o", tmp_path / "out")
    assert result.code == 2 and "size 7: expected 32 or more" in result.stderr


def test_style_names_complete(bank_folder: Path) -> None:
    context = click.Context(cli.group)
    context.params["bank"] = bank_folder
    assert [item.value for item in StyleName().shell_complete(context, click.Option(["--style"]), "wa")] == ["wave"]
    assert StyleName().shell_complete(context, click.Option(["--style"]), "x") == []


def test_quiet_and_verbose_exclude_each_other(run: Run) -> None:
    result = run("-q", "-v", "list")
    assert result.code == 2 and "exclude each other" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "nobody"], 2, "style 'nobody' is not in the bank"),
        (["frobnicate"], 2, "No such command 'frobnicate'."),
        (["aply", "x.jpg"], 2, "No such command 'aply'. Did you mean apply?"),
        (["--frobnicate"], 2, "No such option"),
        (["apply", "--style", "wave"], 2, "no subjects. Give a SUBJECT, or --from-file FILE"),
        (["show"], 2, "Missing argument"),
        (["add", "nowhere.jpg"], 1, "nowhere.jpg: No such file"),
    ],
)
def test_errors_are_one_line_and_a_code(run: Run, arguments: list[str], code: int, said: str) -> None:
    result = run(*arguments)
    assert result.code == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        (
            ["apply", "--bank", "X", "--style", "wave", "x.jpg"],
            "--bank stands before the command: stylebank --bank FOLDER apply ...",
        ),
        (["list", "--bank=X"], "--bank stands before the command: stylebank --bank FOLDER list ..."),
        (["list", "-q"], "-q stands before the command: stylebank -q list ..."),
        (["apply", "photo.jpg", "--quiet"], "--quiet stands before the command: stylebank --quiet apply ..."),
        (["verify", "-v"], "-v stands before the command: stylebank -v verify ..."),
        (["batch", "--verbose", "jobs.toml"], "--verbose stands before the command: stylebank --verbose batch ..."),
    ],
)
def test_an_option_after_the_command_that_belongs_before_it_is_named_with_its_place(
    run: Run, arguments: list[str], usage: str
) -> None:
    result = run(*arguments)
    assert result.code == 2 and usage in result.stderr
    assert "Did you mean" not in result.stderr and "No such option" not in result.stderr


def test_a_misspelt_option_still_gets_the_nearest_one(run: Run) -> None:
    result = run("apply", "--stpes", "3")
    assert result.code == 2 and "No such option '--stpes'" in result.stderr and "--steps" in result.stderr


@pytest.mark.parametrize("arguments", [["apply", "photo.jpg"], ["show"], ["remove"], ["mix", "new"]])
def test_a_missing_style_lists_those_of_the_bank(run: Run, bank_folder: Path, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.code == 2 and "Missing " in result.stderr
    assert f"The bank {bank_folder} has 1 style: wave." in result.stderr


def test_ten_styles_are_listed_and_the_rest_counted(run: Run, bank: Bank) -> None:
    wave = bank.get("wave")
    for number in range(12):
        bank.add(dataclasses.replace(wave, header=dataclasses.replace(wave.header, name=f"style {number:02}")))
    listed = ", ".join(f"style {number:02}" for number in range(10))
    assert f"has 13 styles: {listed}, and 3 more." in run("apply", "photo.jpg").stderr


def test_a_missing_style_in_an_empty_bank_says_how_to_add_one(run: Run, tmp_path: Path) -> None:
    result = run("--bank", tmp_path / "empty", "apply", "photo.jpg")
    assert result.code == 2 and "Missing option '--style'." in result.stderr
    assert f"The bank {tmp_path / 'empty'} is empty. 'stylebank add IMAGE' adds a style." in result.stderr
    assert not (tmp_path / "empty").exists()


def test_a_damaged_style_is_exit_3_and_the_others_stay_usable(run: Run, bank_folder: Path) -> None:
    whole = next(bank_folder.glob("*.stylebank.h5"))
    (bank_folder / "broken.stylebank.h5").write_bytes(whole.read_bytes()[:5000])
    result = run("list")
    assert result.code == 3
    assert "wave" in result.stdout and "broken.stylebank.h5" in result.stderr
    assert run("show", "wave").code == 0


def test_a_busy_bank_is_exit_4(run: Run, bank_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Bank.__init__
    monkeypatch.setattr(Bank, "__init__", lambda self, folder=None: before(self, folder, lock_timeout=0.2))
    with filelock.FileLock(bank_folder / ".lock"):
        result = run("remove", "wave")
    assert result.code == 4 and "another process has been writing" in result.stderr
    assert run("show", "wave").code == 0
