from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.jobs.plan import Plan, plan
from stylebank.errors import UsageError


@pytest.fixture
def to_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.jpg", "in/b.png", "in/notes.txt", "in/.hidden.jpg", "in/deep/c.JPEG", "other/a.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def _outputs(planned: Plan) -> list[str]:
    return [task.output.as_posix() for task in planned.tasks]


def test_a_folder_gives_its_pictures_and_names_what_it_leaves_out(to_tensors: Path) -> None:
    planned = plan(["in"], "monet", "out")
    assert _outputs(planned) == ["out/a.monet.jpg", "out/b.monet.jpg"]
    assert [path.name for path in planned.ignored] == ["notes.txt"]


def test_recursive_keeps_the_folders_below(to_tensors: Path) -> None:
    assert _outputs(plan(["in"], "monet", "out", recursive=True)) == [
        "out/a.monet.jpg",
        "out/b.monet.jpg",
        "out/deep/c.monet.jpg",
    ]


def test_quoted_patterns_are_expanded(to_tensors: Path) -> None:
    assert _outputs(plan(["in/*.jpg", "in/**/*.JPEG"], "monet", "out")) == ["out/a.monet.jpg", "out/c.monet.jpg"]


def test_one_subject_given_twice_is_made_once(to_tensors: Path) -> None:
    assert len(plan(["in/a.jpg", "in", "./in/a.jpg"], "monet", "out").tasks) == 2


def test_the_working_folder_is_the_default(to_tensors: Path) -> None:
    assert _outputs(plan(["in/a.jpg"], "monet")) == ["a.monet.jpg"]


def test_an_output_file_decides_the_format(to_tensors: Path) -> None:
    planned = plan(["in/a.jpg"], "monet", "print.tiff")
    assert (_outputs(planned), planned.format) == (["print.tiff"], "tiff")
    with pytest.raises(UsageError, match=r"tiff by its name.*--format says png"):
        plan(["in/a.jpg"], "monet", "print.tiff", format="png")


def test_format_decides_the_suffix(to_tensors: Path) -> None:
    assert _outputs(plan(["in/a.jpg"], "monet", "out", format="webp")) == ["out/a.monet.webp"]


@pytest.mark.parametrize(
    ("subjects", "output", "said"),
    [
        (["in/a.jpg", "other/a.jpg"], "out", r"in/a\.jpg and other/a\.jpg would both become out/a\.monet\.jpg"),
        (["in/a.jpg", "in/b.png"], "one.jpg", "one file cannot hold 2 pictures"),
        (["in/a.jpg"], "in/a.jpg", "this output is the subject"),
        (["in/*.bmp"], "out", "no file matches"),
        (["in/a.jpg"], "in/notes.txt", "no folder and no picture"),
        (["in/a.jpg"], "x.bmp", r"x\.bmp: unknown output format '\.bmp'"),
        (["empty"], "out", "no picture found.*--recursive"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_before_work(
    to_tensors: Path, subjects: list[str], output: str, said: str
) -> None:
    (to_tensors / "empty").mkdir()
    with pytest.raises(UsageError, match=said):
        plan(subjects, "monet", output)


def test_an_output_that_is_a_link_to_the_subject_is_refused(to_tensors: Path) -> None:
    (to_tensors / "out").mkdir()
    (to_tensors / "out/a.monet.jpg").symlink_to(to_tensors / "in/a.jpg")
    with pytest.raises(UsageError, match="this output is the subject"):
        plan(["in/a.jpg"], "monet", "out")


def test_a_name_too_long_for_a_file_is_refused_before_work(to_tensors: Path) -> None:
    with pytest.raises(UsageError, match="file name of 4"):
        plan(["in/a.jpg"], "\U0001f3a8" * 100, "out")


def test_a_missing_file_is_left_for_the_run_to_report(to_tensors: Path) -> None:
    assert _outputs(plan(["nowhere.jpg"], "monet", "out")) == ["out/nowhere.monet.jpg"]


def test_a_template_names_the_outputs_and_may_make_folders(to_tensors: Path) -> None:
    planned = plan(["in"], "monet", "out", name_template="{style}/{subject}_{size}", size=0, recursive=True)
    assert _outputs(planned) == ["out/monet/a_own.jpg", "out/monet/b_own.jpg", "out/deep/monet/c_own.jpg"]
    assert _outputs(plan(["in/a.jpg"], "monet", name_template="{preset}-{size}", size=768, format="png")) == [
        "standard-768.png"
    ]


@pytest.mark.parametrize(
    ("template", "output", "said"),
    [
        ("{style}", "out", r"in/a\.jpg and in/b\.png would both become out/monet\.jpg\. Put \{subject\} into"),
        ("{subject}", "in", r"in/a\.jpg: this output is the subject"),
        ("../{subject}", "out", "leads out of the output folder"),
        ("{artist}", "out", "unknown field"),
    ],
)
def test_a_template_that_cannot_be_is_refused_before_work(
    to_tensors: Path, template: str, output: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        plan(["in"], "monet", output, name_template=template)
    assert not (to_tensors / "out").exists()


def test_an_output_file_and_a_template_are_one_too_many(to_tensors: Path) -> None:
    with pytest.raises(UsageError, match="Give one of them"):
        plan(["in/a.jpg"], "monet", "print.png", name_template="{subject}")
