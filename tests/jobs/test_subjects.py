"""Search for subjects: folders, links, patterns, and what is left out."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs.plan import Plan, plan
from pipeline.jobs.record import Record
from pipeline.jobs.subjects import NOT_AN_IMAGE, Ignored, ignored_line
from stylebank.errors import UsageError
from tests.jobs.test_record import ENTRY


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Close folders to the user: listing them, and looking at their entries, is denied, for root too."""
    names: set[str] = set()
    scandir, lstat = os.scandir, Path.lstat

    def closed_scandir(path: Any = ".") -> Any:
        if os.path.abspath(path) in names:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    def closed_lstat(path: Path) -> os.stat_result:
        if os.path.abspath(path.parent) in names:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return lstat(path)

    monkeypatch.setattr(os, "scandir", closed_scandir)
    monkeypatch.setattr(Path, "lstat", closed_lstat)
    yield lambda name: names.add(os.path.abspath(name))


def write(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")


def subjects(planned: Plan) -> list[str]:
    return [task.subject.as_posix() for task in planned.tasks if task.problem is None]


def problems(planned: Plan) -> list[str]:
    return [task.problem for task in planned.tasks if task.problem is not None]


def outputs(planned: Plan) -> list[str]:
    return [task.output.as_posix() for task in planned.tasks if task.problem is None]


@pytest.mark.parametrize("suffix", ["jfif", "mpo", "pjpeg", "pjp", "apng", "JFIF"])
def test_other_suffixes_of_jpeg_and_png_are_pictures(folder: Path, suffix: str) -> None:
    write(f"in/a.{suffix}")
    assert outputs(plan(["in"], "monet", "out")) == ["out/a.monet.jpg"]
    assert outputs(plan(["in/*"], "monet", "out")) == ["out/a.monet.jpg"]


def test_linked_folders_are_searched_once_and_loops_end(folder: Path) -> None:
    write("in/b/x.jpg", "elsewhere/y.jpg", "elsewhere/z/z.jpg")
    (folder / "in/a").symlink_to("b")  # by name before the folder that it leads to
    (folder / "in/b/up").symlink_to("..")
    (folder / "in/b/loop").symlink_to("loop")
    (folder / "in/c").symlink_to(folder / "elsewhere")
    (folder / "in/d").symlink_to(folder / "elsewhere")
    (folder / "elsewhere/back").symlink_to(folder / "in")
    planned = plan(["in"], "monet", "out", recursive=True)
    assert outputs(planned) == ["out/b/x.monet.jpg", "out/c/y.monet.jpg", "out/c/z/z.monet.jpg"]
    assert problems(planned) == [] and [each.path.name for each in planned.ignored] == ["loop"]
    (folder / "top").symlink_to("in")
    assert outputs(plan(["top"], "monet", "out", recursive=True)) == outputs(planned)
    assert subjects(plan(["in/**/*.jpg"], "monet", "out")) == ["in/b/x.jpg", "in/c/y.jpg", "in/c/z/z.jpg"]
    assert subjects(plan(["in/*/*.jpg"], "monet", "out")) == ["in/b/x.jpg", "in/c/y.jpg"]


def test_one_file_by_two_arguments_through_a_link_is_one_subject(folder: Path) -> None:
    write("in/x.jpg")
    (folder / "link").symlink_to("in")
    assert len(plan(["in", "link", "link/x.jpg", "link/*.jpg"], "monet", "out").tasks) == 1


def test_outputs_of_an_earlier_run_behind_a_link_are_no_subjects(folder: Path) -> None:
    write("in/x.jpg", "out/x.monet.jpg", "out/x.monet.steps/0001.jpg")
    Record(Path("out")).append(dataclasses.replace(ENTRY, output="x.monet.jpg", status="done", style="monet"))
    (folder / "in/results").symlink_to(folder / "out")
    assert subjects(plan(["in"], "monet", "out", recursive=True)) == ["in/x.jpg"]
    assert subjects(plan(["in/**/*.jpg"], "monet", "out")) == ["in/x.jpg"]


def test_system_folders_are_left_out_and_named(folder: Path) -> None:
    names = ["@eaDir", ".thumbnails", "__MACOSX", "#recycle", "lost+found", "$RECYCLE.BIN"]
    write("in/x.jpg", "in/.hidden/x.jpg", *(f"in/{name}/x.jpg" for name in names))
    planned = plan(["in"], "monet", "out", recursive=True)
    assert subjects(planned) == ["in/x.jpg"]
    assert {(each.path.name, each.reason) for each in planned.ignored} == {(name, "a system folder") for name in names}
    assert plan(["in"], "monet", "out").ignored == ()  # no folder is searched without --recursive
    assert subjects(plan(["in/**/*.jpg"], "monet", "out")) == ["in/x.jpg"]
    assert subjects(plan(["in/@eaDir"], "monet", "out")) == ["in/@eaDir/x.jpg"]


@pytest.mark.parametrize("argument", ["in", "in/**/*.jpg", "in/*/*.jpg"])
def test_an_unreadable_folder_fails_and_the_rest_goes_on(
    folder: Path, closed: Callable[[str], None], argument: str
) -> None:
    write("in/a/x.jpg", "in/b/y.jpg", "in/c/z.jpg")
    closed("in/b")
    planned = plan([argument], "monet", "out", recursive=True)
    assert subjects(planned) == ["in/a/x.jpg", "in/c/z.jpg"]
    reason = "the folder cannot be listed (Permission denied). Check its permissions, or leave it out."
    assert problems(planned) == [f"in/b: {reason}"]


@pytest.mark.parametrize("argument", ["in", "in/*.jpg", "in/*/cover.jpg", "in/x?.jpg"])
def test_an_unreadable_top_folder_fails_too(folder: Path, closed: Callable[[str], None], argument: str) -> None:
    write("in/x.jpg", "more/y.jpg")
    closed("in")
    planned = plan([argument, "more"], "monet", "out")
    assert subjects(planned) == ["more/y.jpg"]
    assert len(problems(planned)) == 1 and problems(planned)[0].startswith("in: the folder cannot be listed")


def test_folders_without_permission_are_reported_to_a_user_without_rights(folder: Path) -> None:
    write("in/a.jpg", "in/closed/b.jpg", "in/blind/c.jpg")
    Path("in/link").symlink_to(folder / "in/closed/deeper")
    Path("in/closed/deeper").mkdir()
    Path("in/closed").chmod(0o000)
    program = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from pipeline.jobs.plan import plan
if os.geteuid() == 0:
    for parent in {[str(folder), *map(str, folder.parents)][:3]!r}:
        os.chmod(parent, 0o755)
    os.setgroups([]); os.setegid(65534); os.seteuid(65534)
for task in plan(["in"], "monet", "out", recursive=True).tasks:
    print(task.subject.as_posix(), task.problem is None)
"""
    try:
        result = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=folder
        )
    finally:
        Path("in/closed").chmod(0o755)
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "in/a.jpg True",
        "in/blind/c.jpg True",
        "in/closed False",
        "in/link False",
    ]


@pytest.mark.parametrize(
    ("name", "pattern", "other"),
    [("Trip [2024]", "*.jpg", "Trip 2"), ("a*", "x?.jpg", "ab"), ("what?", "**/*.jpg", "whats"), ("[!x]", "x1.*", "a")],
)
def test_a_folder_that_exists_is_no_pattern(folder: Path, name: str, pattern: str, other: str) -> None:
    write(f"{name}/x1.jpg", f"{other}/x1.jpg", f"{other}/x2.jpg")
    assert subjects(plan([f"{name}/{pattern}"], "monet", "out")) == [f"{name}/x1.jpg"]
    assert subjects(plan([folder / name / pattern], "monet", "out")) == [f"{folder}/{name}/x1.jpg"]


def test_a_file_that_exists_is_no_pattern(folder: Path) -> None:
    write("in/IMG_[1].jpg", "in/IMG_1.jpg", "more/IMG_1.jpg")
    assert subjects(plan(["in/IMG_[1].jpg"], "monet", "out")) == ["in/IMG_[1].jpg"]
    assert subjects(plan(["*/IMG_[1].jpg"], "monet", "out")) == ["in/IMG_[1].jpg", "more/IMG_1.jpg"]


def test_patterns_match_as_the_shells_do(folder: Path) -> None:
    write("in/a.jpg", "in/b.jpg", "in/.c.jpg", "in/deep/d.jpg", "in/deep/.e/f.jpg", ".out/g.jpg")
    assert subjects(plan(["in/[ab].jpg"], "monet", "out")) == ["in/a.jpg", "in/b.jpg"]
    assert subjects(plan(["in/*"], "monet", "out")) == ["in/a.jpg", "in/b.jpg"]
    assert subjects(plan(["in/.*.jpg"], "monet", "out")) == ["in/.c.jpg"]
    assert subjects(plan([".o*/*.jpg"], "monet", "out")) == [".out/g.jpg"]
    assert subjects(plan(["**/*.jpg"], "monet", "out")) == ["in/a.jpg", "in/b.jpg", "in/deep/d.jpg"]
    assert subjects(plan(["in/**"], "monet", "out")) == ["in/a.jpg", "in/b.jpg", "in/deep/d.jpg"]
    assert subjects(plan(["in/**/**/d.jpg"], "monet", "out")) == ["in/deep/d.jpg"]
    assert subjects(plan(["in/../in/?.jpg"], "monet", "out")) == ["in/../in/a.jpg", "in/../in/b.jpg"]
    for pattern in ("in/z*.jpg", "nowhere/*.jpg", "in/a.jpg/*.jpg", "x" * 300 + "*"):
        with pytest.raises(UsageError, match=r"no file matches\. Check the pattern"):
            plan([pattern], "monet", "out")


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ([], ""),
        ([("notes.txt", NOT_AN_IMAGE, False)], "left out 1 file: notes.txt"),
        (
            [("notes.txt", NOT_AN_IMAGE, False), ("IMG_1.heic", "HEIC photograph", True)],
            "left out 2 files: IMG_1.heic (HEIC photograph), notes.txt",
        ),
        ([("@eaDir", "a system folder", False)], "left out 1 folder: @eaDir (a system folder)"),
        (
            [("@eaDir", "a system folder", False), ("a\n.txt", NOT_AN_IMAGE, False)],
            r"left out 2 files and folders: @eaDir (a system folder), a\n.txt",
        ),
        (
            [(f"{number}.txt", NOT_AN_IMAGE, False) for number in range(1200)],
            "left out 1,200 files: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 1,195 more",
        ),
    ],
    ids=["none", "one", "pictures first", "folder", "both", "many"],
)
def test_the_line_names_some_files_and_counts_the_rest(names: list[tuple[str, str, bool]], line: str) -> None:
    ignored = [Ignored(Path("in", name), reason, is_picture) for name, reason, is_picture in names]
    assert ignored_line([*ignored, *ignored]) == line


def test_pictures_that_are_not_read_are_named_for_what_they_are(folder: Path) -> None:
    write("in/a.jpg", "in/b.psd", "in/c.CR2", "in/d.pdf", "in/notes.txt", "in/.DS_Store")
    planned = plan(["in"], "monet", "out")
    assert [(each.path.name, each.is_picture) for each in planned.ignored] == [
        ("b.psd", True),
        ("c.CR2", True),
        ("d.pdf", True),
        ("notes.txt", False),
    ]
    assert ignored_line(planned.ignored).startswith("left out 4 files: b.psd (Photoshop file), c.CR2 (")


def _finished(folder: str, *outputs: str, style: str = "monet") -> None:
    write(*(f"{folder}/{output}" for output in outputs))
    entries = [dataclasses.replace(ENTRY, output=output, status="done", style=style) for output in outputs]
    Record(Path(folder)).append(*entries)


def test_outputs_that_a_record_met_on_the_way_vouches_for_are_no_subjects(folder: Path) -> None:
    write("in/x.jpg", "in/sub/y.jpg", "in/A/unrecorded.jpg")
    _finished("in/A", "x.monet.jpg", "sub/y.monet.jpg")
    write("in/A/x.monet.steps/0001.jpg")
    for argument in ("in", "in/**/*.jpg"):
        planned = plan([argument], "wave", "in/B", recursive=True)
        assert sorted(subjects(planned)) == ["in/A/unrecorded.jpg", "in/sub/y.jpg", "in/x.jpg"]
        assert {each.reason for each in planned.ignored} == {"an output of an earlier run"}


def test_a_folder_that_holds_outputs_alone_can_get_another_style(folder: Path) -> None:
    _finished("stage1", "x.monet.jpg", "sub/y.monet.jpg")
    expected = ["stage1/sub/y.monet.jpg", "stage1/x.monet.jpg"]
    assert sorted(subjects(plan(["stage1"], "wave", "stage2", recursive=True))) == expected
    assert subjects(plan(["stage1/*.jpg"], "wave", "stage2")) == ["stage1/x.monet.jpg"]
    assert subjects(plan(["stage1/x.monet.jpg"], "wave", "stage2")) == ["stage1/x.monet.jpg"]
    write("stage1/z.jpg")  # beside a subject, outputs are outputs
    assert subjects(plan(["stage1"], "wave", "stage2")) == ["stage1/z.jpg"]


def test_three_rounds_of_two_styles_stylize_two_pictures_twice(folder: Path) -> None:
    write("k/p0.jpg", "k/p1.jpg")
    for _round in range(3):
        for style in "AB":
            planned = plan(["k"], style, f"k/{style}", recursive=True)
            assert subjects(planned) == ["k/p0.jpg", "k/p1.jpg"]
            _finished(f"k/{style}", *(task.output.name for task in planned.tasks), style=style)


def test_output_folders_of_other_jobs_are_left_out_by_real_path(folder: Path) -> None:
    write("x.jpg", "one/made by hand.jpg", "two/y.jpg")
    (folder / "link").symlink_to("one")
    planned = plan(["."], "wave", "two", recursive=True, output_folders=["one", "two"])
    assert subjects(planned) == ["x.jpg"]
    assert {each.path.name: each.reason for each in planned.ignored} == dict.fromkeys(
        ("one", "two", "link"), "an output folder of this job file"
    )
    assert subjects(plan(["two"], "wave", "two", output_folders=["two"])) == ["two/y.jpg"]
