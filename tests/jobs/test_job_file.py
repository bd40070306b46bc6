"""Job files: what they say, and what is said of them where they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeline
from pipeline.jobs import job_file as jobs
from pipeline.jobs import job_schema
from stylebank.bank import Bank
from stylebank.errors import UsageError
from tests.conftest import DATA

BYTES_PER_PIXEL = """\
# a night's work
[defaults]
size = 64
steps = 2

[[job]]
style = "wave"
subjects = [
  "in/a*.jpg",
  "in/r*.jpg",
]
output = "some"
match-color = false

[[job]]
styles = ["wave", "again"]
subjects = "in"
output = "all"
steps = 1
format = "png"
"""


@pytest.fixture
def two_styles(bank: Bank) -> Bank:
    pipeline.add(
        bank, DATA / "styles/poppies.jpg", name="again", scales=(64,), layers=("conv1_1", "conv2_1", "conv3_1")
    )
    return bank


def _write(folder: Path, text: str = BYTES_PER_PIXEL) -> Path:
    path = folder / "jobs.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "stylings"),
    [
        ('styles = ["wave", "again"]', (("wave",), ("again",))),
        ('styles = ["wave", ["wave:0.6", "again:0.4"]]', (("wave",), ("wave:0.6", "again:0.4"))),
        ("styles = { wave = 0.6, again = 0.4 }", (("wave:0.6", "again:0.4"),)),
        ('style = ["sky=wave", "rest=again"]', (("sky=wave", "rest=again"),)),
    ],
)
def test_styles_are_crossed_or_belong_together(
    text: str, stylings: tuple[tuple[str, ...], ...], tmp_path: Path
) -> None:
    path = tmp_path / "JOBS.toml"
    path.write_text(
        f'[[job]]\n{text}\nsubjects = "in"\nmask = ["sky=masks/sky.png"]\nlayer_weights = {{conv4 = 0.5}}\n'
    )
    (job,) = jobs.read(path)
    assert job.styles == stylings
    region = "sky=" in text  # else it is a part of the file's name
    assert job.options["mask"] == [
        f"sky={tmp_path / 'masks/sky.png'}" if region else str(tmp_path / "sky=masks/sky.png")
    ]
    assert job.options["layer_weights"] == {"conv4": 0.5}


def test_jobs_take_what_the_defaults_say_and_say_more(tmp_path: Path) -> None:
    first, second = jobs.read(_write(tmp_path))
    assert (first.line, first.styles, first.output) == (6, (("wave",),), "some")
    assert first.subjects == (str(tmp_path / "in/a*.jpg"), str(tmp_path / "in/r*.jpg"))
    assert first.options == {"size": 64, "steps": 2, "match_color": False}
    assert (second.line, second.styles) == (15, (("wave",), ("again",)))
    assert second.options == {"size": 64, "steps": 1, "format": "png"}


def test_styles_are_crossed_with_subjects_and_all_are_made_and_resumed(
    two_styles: Bank, photographs: Path, tmp_path: Path
) -> None:
    path = _write(tmp_path)
    entries = pipeline.run_jobs(two_styles, path, tmp_path / "out")
    assert [(entry.style, entry.output, entry.status) for entry in entries] == [
        ("wave", "astronaut.wave.jpg", "done"),
        ("wave", "rocket.wave.jpg", "done"),
        *[("wave", f"{name}.wave.png", "done") for name in ("astronaut", "chelsea", "rocket")],
        *[("again", f"{name}.again.png", "done") for name in ("astronaut", "chelsea", "rocket")],
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["all", "some"]
    assert [entry.settings["match_color"] for entry in entries[:3]] == [False, False, True]
    (tmp_path / "out/all/rocket.again.png").unlink()
    again = pipeline.run_jobs(two_styles, path, tmp_path / "out")
    assert [entry.status for entry in again] == ["skipped"] * 7 + ["done"]
    pipeline.report.write(tmp_path / "out")
    assert "8 done" in (tmp_path / "out/report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("match-color", "match-colour", r"line 13: match-colour: unknown key\. Did you mean match_color\?"),
        ("size = 64", "sise = 64", r"line 3: sise: unknown key\. Did you mean size\?"),
        ("[defaults]", "[default]", r"line 2: default: unknown key\. Did you mean defaults\?"),
        ("steps = 2", "jobs = 2", r"line 4: jobs: not a job's to say\. Give --jobs"),
        ("steps = 2", 'device = "cpu"', r"line 4: device: not a job's to say\. Give --device"),
        ("steps = 1", "steps = 1.5", r"line 19: steps = 1\.5: expected a whole number"),
        ("steps = 1", "steps = true", r"line 19: steps = True: expected a whole number"),
        ("match-color = false", 'match-color = "no"', r"line 13: match-color = 'no': expected true or false"),
        ('  "in/r*.jpg",', "  7,", r"line 8: subjects = .*expected a list of texts"),
        ('styles = ["wave", "again"]', 'styles = { wave = "0.5" }', r"line 16: styles = .*expected a list of texts"),
        ("steps = 1", "layer_weights = 3", r"line 19: layer_weights = 3: expected a list of texts such as"),
        ("steps = 1", "mask = [1]", r"line 19: mask = \[1\]: expected a text in quotes, or a list"),
        ('styles = ["wave", "again"]', 'styles = ["wave", "wave"]', "line 16: styles: one is named twice"),
        ('style = "wave"\n', "", r"line 6: no style\. Add style"),
        ('style = "wave"\n', 'style = "wave"\nstyles = ["again"]\n', "line 6: both style and styles"),
        ('subjects = "in"\n', "", "line 15: no subjects"),
        ("[[job]]", "[job]", "Mend the TOML there"),
        ("size = 64", "size = ", r"\(at line 3, column 8\)"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in BYTES_PER_PIXEL
    with pytest.raises(UsageError, match=said):
        jobs.read(_write(tmp_path, BYTES_PER_PIXEL.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"in/a*.jpg"', '"in/zz*.jpg"', r"job at line 6: .*no file matches"),
        ("steps = 2", "steps = 0", r"job at line 6: steps 0: expected 1"),
        ('style = "wave"', 'style = "wafe"', r"job at line 6: style 'wafe'.*Did you mean wave\?"),
        ('output = "all"', 'output = "../all"', r"job at line 15: output \.\./all: leads out of the output folder"),
        ('output = "all"', 'output = "/tmp/all"', r"leads out of the output folder"),
        ('output = "all"', 'output = "way/all"', r"leads out of the output folder"),
        ('"in"\noutput = "all"\nsteps = 1\nformat = "png"', '"in"\noutput = "some"', r"both become .*folder each"),
        ('output = "some"', 'output = "some"\nanimation = "../way.gif"', r"animation \.\./way\.gif: leads out"),
        ('format = "png"', 'format = "gif"', r"job at line 15: format 'gif': expected one of jpg, png"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(
    two_styles: Bank, photographs: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "way").symlink_to(tmp_path)
    assert old in BYTES_PER_PIXEL
    with pytest.raises(UsageError, match=said):
        jobs.prepare(two_styles, _write(tmp_path, BYTES_PER_PIXEL.replace(old, new)), out)
    assert [path.name for path in out.iterdir()] == ["way"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[defaults]\nsize = 64\n", b"x = " + b"[" * 100_000])
def test_files_that_are_no_job_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jobs.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"jobs\.toml"):
        jobs.read(path)
    with pytest.raises(UsageError, match=r"a folder\. Give a job file"):
        jobs.read(tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        jobs.read(tmp_path / "other.toml")


def test_an_animation_is_an_output_too_and_planning_makes_no_folder(
    two_styles: Bank, photographs: Path, tmp_path: Path
) -> None:
    text = '[[job]]\nstyle = "wave"\nsubjects = "in/rocket.jpg"\nsize = 64\nsteps = 2\nanimation = "ways/way.gif"\n'
    path = _write(tmp_path, text)
    jobs.prepare(two_styles, path, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path / "ways").exists()
    pipeline.run_jobs(two_styles, path, tmp_path / "out", device="cpu")
    assert (tmp_path / "out/ways/way.gif").exists() and not (tmp_path / "ways").exists()


def test_every_option_of_apply_about_pictures_is_known() -> None:
    import click

    from pipeline.cli import apply

    options = {parameter.name for parameter in apply.command.params if isinstance(parameter, click.Option)}
    executor = {
        "jobs",
        "devices",
        "cluster",
        "batch_size",
        "keep_going",
        "json",
        "device",
        "list_devices",
        "deterministic",
    }
    assert options - executor <= job_schema.known_keys()
