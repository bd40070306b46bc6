"""Every example of the README and of the guides runs, at a small size."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click
import pytest
from PIL import Image, ImageOps

from pipeline import add, cli
from stylebank.bank import Bank
from tests.conftest import DATA
from tests.examples import LAYERS, ROOT, SCALE, Session
from tests.markdown import Command, ExampleError, blocks, compare, masked, pieces

GUIDES = (
    "README.md",
    "data/README.md",
    "pipeline/BATCH.md",
    "pipeline/CHANGES.md",
    "pipeline/LARGE.md",
    "pipeline/README.md",
    "pipeline/REFERENCE.md",
    "pipeline/SERVE.md",
    "stylebank/MATHEMATICS.md",
    "stylebank/PYTHON.md",
    "stylebank/storage/FORMAT.md",
    "tests/bench/README.md",
    "tests/bench/peer/README.md",
    "tests/faults/README.md",
    "tests/stylebank/images/README.md",
)
PAINTINGS = ("great_wave", "poppies", "starry_night", "village_street_in_auvers")
PHOTOGRAPHS = ("chelsea", "china")
PAINTING, PHOTOGRAPH = (64, 48), (96, 64)
#: A command of stylebank in a block, after the options that stand before it.
_NAMES = "|".join(cli.group.list_commands(click.Context(cli.group)))
COMMAND = re.compile(rf"(?m)(?:^|[ /])stylebank (?:-\S+ (?:\S+/\S+ )?)*(?:{_NAMES}|--help)\b")
#: Copies of the samples, by the names that the examples use.
COPIES = {
    "painting.jpg": "styles/great_wave.jpg",
    "photo.jpg": "subjects/china.jpg",
    "scan.tif": "subjects/china.jpg",
    "photos/china.jpg": "subjects/china.jpg",
    "photos/chelsea.jpg": "subjects/chelsea.jpg",
    "more/china.png": "subjects/china.jpg",
    "garden/chelsea.jpg": "subjects/chelsea.jpg",
}
MASKS = ("sky.png", "data/sky.png", "masks/china.png", "masks/chelsea.png", "masks/photo.png")


def _small(source: Path, target: Path, size: tuple[int, int]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as image:
        ImageOps.fit(image, size).save(target)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small pictures under the names of the examples, and a bank of the sample paintings.

    All paintings have one size, and all photographs: a step is compiled once for each size.
    """
    folder = tmp_path_factory.mktemp("samples")
    for kind, names, size in (("styles", PAINTINGS, PAINTING), ("subjects", PHOTOGRAPHS, PHOTOGRAPH)):
        for name in names:
            _small(DATA / kind / f"{name}.jpg", folder / "data" / kind / f"{name}.jpg", size)
    for name, source in COPIES.items():
        _small(DATA / source, folder / name, PAINTING if name == "painting.jpg" else PHOTOGRAPH)
    for name in MASKS:
        _small(DATA / "sky.png", folder / name, PHOTOGRAPH)
    for name in PAINTINGS:
        add(Bank(folder / "bank"), folder / f"data/styles/{name}.jpg", scales=(SCALE,), layers=LAYERS)
    return folder


@pytest.fixture
def session(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session in a copy of the samples; the bank is the default one of commands and Python."""
    folder = tmp_path / "examples"
    shutil.copytree(samples, folder)
    monkeypatch.setenv("STYLEBANK_BANK", str(folder / "bank"))
    return Session(folder, "guide.md")


@pytest.mark.parametrize("guide", GUIDES)
def test_the_examples_of_a_guide_run(guide: str, session: Session) -> None:
    markdown = (ROOT / guide).read_text("utf-8")
    session.guide = guide
    if guide == "README.md":  # begins with an empty bank, like its reader
        shutil.rmtree(session.folder / "bank")
    session.run(markdown)
    # counted here without the runner's own reading of the file
    fenced = dict.fromkeys(("sh", "console", "bash", "ini", "python", "toml"), "")
    for language, text in re.findall(r"(?ms)^ *```(\w+)\n(.*?)^ *```$", markdown):
        fenced[language] = fenced.get(language, "") + f"{text}\n###\n"
    examples = "".join(fenced[language] for language in ("sh", "console", "bash", "ini"))
    assert session.executed + session.checked == len(COMMAND.findall(examples))
    assert session.python == fenced["python"].count("###")
    assert session.job_files == sum("[[job]]" in text for text in fenced["toml"].split("###"))
    if guide == "README.md":
        assert (session.executed, session.checked, session.python, session.job_files) == (37, 0, 1, 1)


def test_every_guide_is_listed_here() -> None:
    folders = ("data", "pipeline", "stylebank", "tests")
    found = {path for folder in folders for path in (ROOT / folder).rglob("*.md")} | set(ROOT.glob("*.md"))
    names = {path.relative_to(ROOT).as_posix() for path in found}
    assert names - {"pipeline/vgg/data/README.md", "tests/data/README.md"} == set(GUIDES)


@pytest.mark.parametrize("guide", GUIDES)
def test_the_links_of_a_guide_lead_somewhere(guide: str) -> None:
    markdown = (ROOT / guide).read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", markdown):
        if target.startswith("https://"):
            continue
        name, _, heading = target.partition("#")
        path = (ROOT / guide).parent / name if name else ROOT / guide
        assert path.exists(), target
        if heading:
            headings = re.findall(r"(?m)^#+ (.+)$", path.read_text("utf-8"))
            assert heading in {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}, target


@pytest.mark.parametrize("guide", GUIDES)
def test_the_commands_in_a_guides_sentences_exist(guide: str) -> None:
    markdown = re.sub(r"(?ms)^ *```.*?^ *```$", "", (ROOT / guide).read_text("utf-8"))
    for text in re.findall(r"`stylebank ([a-z][^`]*)`", markdown):
        name, *rest = text.split()
        command = cli.group.get_command(click.Context(cli.group), name)
        assert command is not None, text
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= options | {"--help"}, text


def test_the_readme_is_short_and_sets_up_in_two_lines() -> None:
    markdown = (ROOT / "README.md").read_text("utf-8")
    assert len(markdown.splitlines()) <= 250
    first = blocks(markdown.partition("## Quick start\n")[2])[0]
    install, test = first.text.splitlines()
    assert first.language == "sh" and install.startswith("pip install . && ") and "&& pytest" in test
    assert all("--bank out/bank" in line for line in install.split(" && ")[1:])  # never the reader's own bank


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("```sh\nstylebank list --sorted\n```", "guide.md:2: list: No such option.*--sorted"),
        ("```sh\nstylebank list\nstylebank shew wave\n```", "guide.md:3: stylebank has no command 'shew'"),
        ("```sh\nstylebank show nobody\n```", "guide.md:2: exit code 2, expected 0"),
        ("```sh\nstylebank apply --style poppies nowhere.jpg\n```", "guide.md:2: exit code"),
        ("```sh\nfrobnicate --all\n```", "guide.md:2: frobnicate: not a program"),
        ("```sh\npip install '.[daks]'\n```", "pyproject.toml has no extra daks"),
        ("```sh\npython -m tests.bench engin\n```", "no part 'engin'"),
        ("```sh\npython -m tests.bench.large --wide 3\n```", "No such option.*--wide"),
        ("```bash\nexec stylebank batch jobs.toml --resume\n```", "guide.md:2: batch: No such option.*--resume"),
        ("```sh\nstylebank batch jobs.toml --cluster tcp://a:1 --fast\n```", "No such option.*--fast"),
        ("```console\n$ stylebank list --tag sea\npoppies 64 64 x 43\n```", "the guide shows 'poppies N N x N'"),
        ("```console\n$ stylebank remove poppies\nremoved 3\n```", "the guide shows 'removed N'"),
        ("```console\n$ stylebank show nobody\nError: style 'somebody'\n```", "the guide shows"),
        ("```console\nstylebank list\n```", "expected a line that begins with"),
        ("```python\nfrom stylebank import Bonk\n```", "guide.md:2: ImportError"),
        ("```python\nx = 1\n```\n```python\nassert x == 2\n```", "guide.md:5: AssertionError"),
        ("```toml\n[[job]]\nstyel = 'poppies'\nsubjects = ['photos']\n```", "guide.md:2: .*styel"),
        ("```sh\nstylebank list", "line 1: the block does not end"),
    ],
)
def test_an_example_that_does_not_hold_is_reported_with_its_line(block: str, reason: str, session: Session) -> None:
    with pytest.raises(ExampleError, match=reason):
        session.run(block)


def test_commands_are_split_like_in_a_shell() -> None:
    line = """a "b c" 'd && e' {f}.{g} && h > i.txt | jq '.[0]' # stylebank"""
    assert pieces(line) == [["a", '"b c"', "'d && e'", "{f}.{g}"], ["h"], ["jq", "'.[0]'"]]
    assert pieces('X="a b" stylebank list') == [['X="a b"', "stylebank", "list"]]


def test_a_transcript_differs_from_the_output_in_numbers_only() -> None:
    printed = "poppies: measured at 32, 64 (0.7 MB) in 12.1 s\n[1/1] a.jpg: step 1/1, loss 0.4, 0:03 left\n1 done\n"
    shown = ("poppies: measured at 256, 512, 1,024 (57.9 MB) in 7 s", "1 done")
    compare(Command(1, "stylebank add", shown), printed)
    compare(Command(1, "stylebank add", ("...", "2 done")), printed)
    for wrong in ((shown[0].replace("MB", "GB"), "1 done"), shown[:1], (shown[1],), (*shown, "2 done")):
        with pytest.raises(ExampleError):
            compare(Command(1, "stylebank add", wrong), printed)
    assert masked(f"x-249dbf0b43.h5 {'0a' * 32} 1e-3") == "x-DIGEST.hN DIGEST N"
