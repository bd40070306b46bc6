from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.jobs.plan import Plan, plan
from stylebank.errors import UsageError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.jpg", "in/b.png", "in/notes.txt", "in/.hidden.jpg", "in/deep/c.JPEG", "other/a.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def _outputs(planned: Plan) -> list[str]:
    return [task.output.as_posix() for task in planned.tasks]


def test_a_folder_gives_its_pictures_and_names_what_it_leaves_out(tree: Path) -> None:
    planned = plan(["in"], "monet", "out")
    assert _outputs(planned) == ["out/a.monet.jpg", "out/b.monet.jpg"]
    assert [path.name for path in planned.ignored] == ["notes.txt"]


def test_recursive_keeps_the_folders_below(tree: Path) -> None:
    assert _outputs(plan(["in"], "monet", "out", recursive=True)) == [
        "out/a.monet.jpg",
        "out/b.monet.jpg",
        "out/deep/c.monet.jpg",
    ]


def test_quoted_patterns_are_expanded(tree: Path) -> None:
    assert _outputs(plan(["in/*.jpg", "in/**/*.JPEG"], "monet", "out")) == ["out/a.monet.jpg", "out/c.monet.jpg"]


def test_a_repeated_subject_is_planned_once(tree: Path) -> None:
    assert len(plan(["in/a.jpg", "in", "./in/a.jpg"], "monet", "out").tasks) == 2


def test_the_working_folder_is_the_default(tree: Path) -> None:
    assert _outputs(plan(["in/a.jpg"], "monet")) == ["a.monet.jpg"]


def test_an_output_file_decides_the_format(tree: Path) -> None:
    planned = plan(["in/a.jpg"], "monet", "print.tiff")
    assert (_outputs(planned), planned.format) == (["print.tiff"], "tiff")
    with pytest.raises(UsageError, match=r"tiff by its name, png by --format"):
        plan(["in/a.jpg"], "monet", "print.tiff", format="png")


def test_format_decides_the_suffix(tree: Path) -> None:
    assert _outputs(plan(["in/a.jpg"], "monet", "out", format="webp")) == ["out/a.monet.webp"]


@pytest.mark.parametrize(
    ("subjects", "output", "message"),
    [
        (["in/a.jpg", "other/a.jpg"], "out", r"in/a\.jpg and other/a\.jpg have the same output out/a\.monet\.jpg"),
        (["in/a.jpg", "in/b.png"], "one.jpg", "one file cannot hold 2 images"),
        (["in/a.jpg"], "in/a.jpg", "this output is the subject"),
        (["in/*.bmp"], "out", "no file matches"),
        (["in/a.jpg"], "in/notes.txt", "without the suffix of an image"),
        (["in/a.jpg"], "x.bmp", r"x\.bmp: unknown output format '\.bmp'"),
        (["empty"], "out", "no image found.*--recursive"),
    ],
)
def test_an_impossible_plan_is_refused(tree: Path, subjects: list[str], output: str, message: str) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(UsageError, match=message):
        plan(subjects, "monet", output)


def test_an_output_that_is_a_link_to_the_subject_is_refused(tree: Path) -> None:
    (tree / "out").mkdir()
    (tree / "out/a.monet.jpg").symlink_to(tree / "in/a.jpg")
    with pytest.raises(UsageError, match="this output is the subject"):
        plan(["in/a.jpg"], "monet", "out")


def test_a_name_too_long_for_a_file_is_refused(tree: Path) -> None:
    with pytest.raises(UsageError, match="file name of 4"):
        plan(["in/a.jpg"], "\U0001f3a8" * 100, "out")


def test_a_missing_file_is_left_for_the_run_to_report(tree: Path) -> None:
    assert _outputs(plan(["nowhere.jpg"], "monet", "out")) == ["out/nowhere.monet.jpg"]


def test_a_template_names_the_outputs_and_may_make_folders(tree: Path) -> None:
    planned = plan(["in"], "monet", "out", name_template="{style}/{subject}_{size}", size=0, recursive=True)
    assert _outputs(planned) == ["out/monet/a_own.jpg", "out/monet/b_own.jpg", "out/deep/monet/c_own.jpg"]
    assert _outputs(plan(["in/a.jpg"], "monet", name_template="{preset}-{size}", size=768, format="png")) == [
        "standard-768.png"
    ]


@pytest.mark.parametrize(
    ("template", "output", "message"),
    [
        ("{style}", "out", r"in/a\.jpg and in/b\.png have the same output out/monet\.jpg\. Put \{subject\} into"),
        ("{subject}", "in", r"in/a\.jpg: this output is the subject"),
        ("../{subject}", "out", "leads out of the output folder"),
        ("{artist}", "out", "unknown field"),
    ],
)
def test_an_impossible_template_is_refused(tree: Path, template: str, output: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan(["in"], "monet", output, name_template=template)
    assert not (tree / "out").exists()


def test_an_output_file_and_a_template_are_one_too_many(tree: Path) -> None:
    with pytest.raises(UsageError, match="Give one of them"):
        plan(["in/a.jpg"], "monet", "print.png", name_template="{subject}")
