"""Job files: jobs, defaults, and the messages about faults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline.jobs import job_file as jobs
from pipeline.jobs import job_schema, toml_lines
from stylebank import images
from stylebank.bank import Bank
from stylebank.errors import UsageError
from tests.conftest import DATA

JOBS = """\
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


def _write(folder: Path, text: str = JOBS) -> Path:
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
def test_styles_are_crossed_or_combined(text: str, stylings: tuple[tuple[str, ...], ...], tmp_path: Path) -> None:
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


def test_jobs_extend_and_override_the_defaults(tmp_path: Path) -> None:
    first, second = jobs.read(_write(tmp_path))
    assert (first.line, first.styles, first.output) == (6, (("wave",),), "some")
    assert first.subjects == (str(tmp_path / "in/a*.jpg"), str(tmp_path / "in/r*.jpg"))
    assert first.options == {"size": 64, "steps": 2, "match_color": False}
    assert (second.line, second.styles) == (15, (("wave",), ("again",)))
    assert second.options == {"size": 64, "steps": 1, "format": "png"}


def test_styles_are_crossed_with_subjects_and_the_run_resumes(
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
    ("old", "new", "message"),
    [
        ("match-color", "match-colour", r"line 13: match-colour: unknown key\. Did you mean match_color\?"),
        ("size = 64", "sise = 64", r"line 3: sise: unknown key\. Did you mean size\?"),
        ("[defaults]", "[default]", r"line 2: default: unknown key\. Did you mean defaults\?"),
        ("steps = 2", "jobs = 2", r"line 4: jobs: an option of the whole run\. Give --jobs"),
        ("steps = 2", 'device = "cpu"', r"line 4: device: an option of the whole run\. Give --device"),
        ("steps = 1", "steps = 1.5", r"line 19: steps = 1\.5: expected 1 or more, a whole number"),
        ("steps = 1", "steps = true", r"line 19: steps = True: expected 1 or more, a whole number"),
        ("match-color = false", 'match-color = "no"', r"line 13: match-color = 'no': expected true or false"),
        ('  "in/r*.jpg",', "  7,", r"line 8: subjects = .*expected a list of texts"),
        ('styles = ["wave", "again"]', 'styles = { wave = "0.5" }', r"line 16: styles = .*expected a list of texts"),
        ("steps = 1", "layer_weights = 3", r"line 19: layer_weights = 3: expected a list of texts such as"),
        ("steps = 1", "mask = [1]", r"line 19: mask = \[1\]: expected a text in quotes, or a list"),
        ('styles = ["wave", "again"]', 'styles = ["wave", "wave"]', "line 16: styles: a style repeats"),
        ('style = "wave"\n', "", r"line 6: no style\. Add style"),
        ('style = "wave"\n', 'style = "wave"\nstyles = ["again"]\n', "line 6: both style and styles"),
        ('subjects = "in"\n', "", "line 15: no subjects"),
        ("[[job]]", "[job]", "Correct the TOML at that place"),
        ("size = 64", "size = ", r"\(at line 3, column 8\)"),
    ],
)
def test_a_fault_is_reported_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in JOBS
    with pytest.raises(UsageError, match=message):
        jobs.read(_write(tmp_path, JOBS.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"in/a*.jpg"', '"in/zz*.jpg"', r"job at line 6: .*no file matches"),
        ("steps = 2", "steps = 0", r"line 4: steps = 0: expected 1 or more"),
        ('style = "wave"', 'style = "wafe"', r"job at line 6: style 'wafe'.*Did you mean wave\?"),
        ('output = "all"', 'output = "../all"', r"job at line 15: output \.\./all: leads out of the output folder"),
        ('output = "all"', 'output = "/tmp/all"', r"leads out of the output folder"),
        ('output = "all"', 'output = "way/all"', r"leads out of the output folder"),
        ('output = "some"', 'output = "some"\nanimation = "../way.gif"', r"animation \.\./way\.gif: leads out"),
        ('format = "png"', 'format = "gif"', r"job at line 15: format 'gif': expected one of jpg, png"),
        ('format = "png"', "dpi = 0", r"job at line 15: dpi 0: expected 1 to 60000"),
    ],
)
def test_an_impossible_job_is_refused_before_any_image_is_computed(
    two_styles: Bank, photographs: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "way").symlink_to(tmp_path)
    assert old in JOBS
    with pytest.raises(UsageError, match=message):
        jobs.prepare(two_styles, _write(tmp_path, JOBS.replace(old, new)), out)
    assert [path.name for path in out.iterdir()] == ["way"]


def test_a_picture_whose_output_belongs_to_another_job_fails_alone(
    two_styles: Bank, photographs: Path, tmp_path: Path
) -> None:
    text = JOBS.replace('"in"\noutput = "all"\nsteps = 1\nformat = "png"', '"in"\noutput = "some"')
    first, second, third = jobs.prepare(two_styles, _write(tmp_path, text), tmp_path / "out")
    assert [task.problem for run in (first, third) for task in run.planned.tasks] == [None] * 5
    problems = {task.subject.name: task.problem for task in second.planned.tasks}
    assert problems.pop("chelsea.jpg") is None
    assert all("have the same output" in str(problem) for problem in problems.values()) and len(problems) == 2
    assert all(str(problem).endswith("Give each job an output folder.") for problem in problems.values())


def test_jobs_of_which_none_can_write_are_refused(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    job = '[[job]]\nstyle = "wave"\nsubjects = "in"\noutput = "in"\nname_template = "{subject}"\n'
    with pytest.raises(UsageError, match=r"jobs\.toml: .*astronaut\.jpg is the subject .*astronaut\.jpg: "):
        jobs.prepare(bank, _write(tmp_path, job), tmp_path)
    first, second = jobs.prepare(bank, _write(tmp_path, job + '[[job]]\nstyle = "wave"\nsubjects = "in"\n'), tmp_path)
    assert all(task.problem is not None for task in first.planned.tasks)
    assert all(task.problem is None for task in second.planned.tasks)


def test_an_output_that_another_job_reads_fails_alone(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    images.save(tmp_path / "sky.jpg", np.full((64, 96, 3), 255, np.float32), format="jpg", quality=90)
    text = """\
[defaults]
style = "wave"
subjects = "in/rocket.jpg"
[[job]]
mask = "sky.jpg"
[[job]]
init = "start.jpg"
output = "second"
[[job]]
name_template = "sky"
subjects = "in/r*.jpg"
"""
    (tmp_path / "start.jpg").write_bytes((photographs / "rocket.jpg").read_bytes())
    text += '[[job]]\nname_template = "start"\n'
    runs = jobs.prepare(bank, _write(tmp_path, text), tmp_path)
    problems = [task.problem for run in runs for task in run.planned.tasks]
    assert problems[:2] == [None, None]
    assert "sky.jpg is a mask: " in str(problems[2])
    assert "start.jpg is the start picture of --init: " in str(problems[3])


@pytest.mark.parametrize("name", ["Trip [2024]", "a*b?", "{subject}", "[!a]"])
def test_the_folder_of_the_job_file_is_no_pattern(bank: Bank, photographs: Path, tmp_path: Path, name: str) -> None:
    folder, other = tmp_path / name, tmp_path / "Trip 2"
    for each in (folder, other):
        each.mkdir()
        (each / "x.jpg").write_bytes((photographs / "rocket.jpg").read_bytes())
    images.save(folder / "mask [1].png", np.full((64, 96, 3), 255, np.float32), format="png", quality=90)
    text = '[[job]]\nstyle = "wave"\nsubjects = ["*.jpg"]\nmask = "mask [1].png"\noutput = "out [{style}]"\n'
    (run,) = jobs.prepare(bank, _write(folder, text))
    (task,) = run.planned.tasks
    assert (task.subject, task.problem) == (folder / "x.jpg", None)
    assert task.output == folder / "out [{style}]/x.wave.jpg"
    assert run.mask_files.recorded(task.subject)["masks"] != {"": None}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[defaults]\nsize = 64\n", b"x = " + b"[" * 100_000])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
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


def test_every_image_option_of_apply_is_a_key() -> None:
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
        "retry_failed",
        "dry_run",
    }
    lists = {"from_file", "null"}  # subjects_from in a job file, whose lists have lines
    each = {"each"}  # styles = ["a", "b"] in a job file
    assert options - executor - lists - each <= set(job_schema.key_types())
    assert "subjects_from" in job_schema.key_types()


def test_each_names_the_key_that_does_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'line 3: each: .*styles = \["NAME"'):
        jobs.read(_write(tmp_path, '[[job]]\nstyle = ["a", "b"]\neach = true\nsubjects = ["x.jpg"]\n'))


DIGITS = "9" * 400


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "steps = 1",
            f"steps = {DIGITS}",
            r"line 19: steps = \(400 digits, more than 64 bits hold\): expected 1",
        ),
        ("steps = 1", f"steps = {DIGITS * 20}", r"jobs\.toml: a number has thousands of digits\. Use a shorter one\."),
        ("steps = 1", "steps = nan", "line 19: steps = nan: expected 1 or more"),
        ("steps = 1", "strength = inf", "line 19: strength = inf: expected a finite number"),
        ("steps = 1", "style_scale = 1e400", "line 19: style_scale = inf: expected a finite number"),
        ("steps = 1", f"content_weight = {DIGITS}", r"line 19: content_weight = \(400 digits.*expected 0 or more"),
        ("steps = 1", "layer_weights = { conv4 = 1e400 }", "line 19: layer_weights = {'conv4': inf}: expected"),
        ("steps = 1", f'layer_weights = ["conv4={DIGITS}"]', "job at line 15: layer_weights conv4 inf: expected 0 or"),
        ("steps = 1", f"max_pixels = {DIGITS}", r"line 19: max_pixels = \(400 digits.*expected a whole number"),
        ('["wave", "again"]', "{ wave = nan, again = 1 }", "line 16: styles = .*names and weights"),
        ('["wave", "again"]', f"{{ wave = {DIGITS}, again = 1 }}", "line 16: styles = .*names and weights"),
        (
            '["wave", "again"]',
            '[["wave:1e400", "again"]]',
            "job at line 15: style wave:1e400: expected a finite",
        ),
        ("steps = 1", "steps = 2020-01-01", "line 19: steps = .*2020.*: expected 1 or more, a whole number"),
        ("steps = 1", "size = 64.0", r"line 19: size = 64: expected a whole number"),
    ],
)
def test_numbers_that_are_not_finite_or_have_hundreds_of_digits_are_refused(
    bank: Bank, photographs: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in JOBS
    with pytest.raises(UsageError, match=message) as refused:
        jobs.prepare(bank, _write(tmp_path, JOBS.replace(old, new)), tmp_path / "out")
    assert len(str(refused.value)) < 400


SIMILAR_LINES = """\
# [[job]]
[[job]] # the first
style = "wave"
subjects = [ # [[job]]
  "in/[[job]].jpg",
  '''
[[job]]
''',
]
name_template = \"\"\"
[[job]]
steps = 1
\"\"\"
steps = 2

  [[ "job" ]]
  "style" = 'wave'
  subjects = "in"
  [job.layer-weights]
  conv4 = 1
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps = 2", "steps = 'two'", "line 14: steps = 'two'"),
        ("style = ", "[job.styel]\nx = ", "line 3: styel: unknown key"),
        ("conv4 = 1", "conv4 = -1", "line 19: layer-weights = "),
        ('"style"', '"stile"', "line 17: stile: unknown key"),
        ("conv4 = 1", "conv4 = 1\n[defaults]\nsize = 'x'", "line 22: size = 'x'"),
        ("conv4 = 1", "conv4 = 1\n[[jobs]]", "line 21: jobs: unknown key. Did you mean job?"),
        ('  subjects = "in"\n', "", "line 16: no subjects"),
        (
            "conv4 = 1",
            "conv4 = 1\n[[job]]\nstyle = 'wave'\nsubjects = 'in'\nsubject = 'in'",
            "line 24: subject: unknown",
        ),
    ],
)
def test_lines_that_look_like_headers_or_keys_inside_values_do_not_count(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    valid = SIMILAR_LINES.replace("conv4 = 1", "conv4 = 1")
    assert [job.line for job in jobs.read(_write(tmp_path, valid))] == [2, 16]
    with pytest.raises(UsageError, match=re.escape(message)):
        jobs.read(
            _write(tmp_path, SIMILAR_LINES.replace(old, new, 1) if "conv4" in old else valid.replace(old, new, 1))
        )


def test_a_thousand_jobs_are_parsed_once_and_a_fault_in_one_parses_little_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []

    def loads(text: str) -> Any:
        parsed.append(len(text))
        return tomllib_loads(text)

    tomllib_loads = toml_lines.tomllib.loads
    monkeypatch.setattr(toml_lines.tomllib, "loads", loads)
    job = '[[job]]\nstyle = "wave"\nsubjects = [\n  "in/{0}.jpg",\n]\noutput = "out/{0}"\nmatch-color = false\n\n'
    text = "[defaults]\nsize = 64\n\n" + "".join(job.format(number) for number in range(1000))
    entries = jobs.read(_write(tmp_path, text))
    assert [entry.line for entry in entries] == [4 + 8 * index for index in range(1000)]
    assert sum(parsed) < 1.2 * len(text) and len(parsed) <= 1 + 1001  # the text once, and each header
    parsed.clear()
    with pytest.raises(UsageError, match=f"line {4 + 8 * 900 + 6}: match-color = 'no': expected true or false"):
        jobs.read(
            _write(tmp_path, text.replace("match-color = false", 'match-color = "no"').replace('"no"', "true", 900))
        )
    assert sum(parsed) < 1.2 * len(text) and len(parsed) <= 1 + 1001 + 5  # and the statements of one job
