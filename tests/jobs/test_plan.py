from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.jobs.naming import setting_fields
from pipeline.jobs.plan import Plan, mark_clashes, plan, require_possible
from pipeline.settings import synthesis_settings
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
    assert [each.path.name for each in planned.ignored] == ["notes.txt"]


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
        (["in/a.jpg", "in/b.png"], "one.jpg", "one file cannot hold 2 images"),
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


def test_a_missing_file_is_left_for_the_run_to_report(tree: Path) -> None:
    assert _outputs(plan(["nowhere.jpg"], "monet", "out")) == ["out/nowhere.monet.jpg"]


def test_a_template_names_the_outputs_and_may_make_folders(tree: Path) -> None:
    planned = plan(
        ["in"],
        "monet",
        "out",
        name_template="{style}/{subject}_{size}",
        fields=setting_fields(synthesis_settings(size=0)),
        recursive=True,
    )
    assert _outputs(planned) == ["out/monet/a_own.jpg", "out/monet/b_own.jpg", "out/deep/monet/c_own.jpg"]
    assert _outputs(
        plan(
            ["in/a.jpg"],
            "monet",
            name_template="{preset}-{size}",
            fields=setting_fields(synthesis_settings(size=768)),
            format="png",
        )
    ) == ["standard-768.png"]


@pytest.mark.parametrize(
    ("template", "output", "message"),
    [
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


def _problems(*plans: Plan) -> list[str | None]:
    """Return the problem of each task."""
    return [task.problem for planned in mark_clashes(plans) for task in planned.tasks]


def _write(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")


@pytest.mark.parametrize(
    ("subjects", "template", "message"),
    [
        (
            ["in/a.jpg", "in/a.png"],
            None,
            "in/a.jpg and in/a.png have the same output out/a.monet.jpg: an output holds one",
        ),
        (["in/a.jpg", "in/a.png"], None, "Add {suffix} to --name-template."),
        (["in/a.jpg", "other/a.jpg"], None, "Rename one, or write them into different folders."),
        (["in/a.jpg", "in/A.jpg"], None, "Rename one, or write them into different folders."),
        (["in/\u00e9.jpg", "in/e\u0301.jpg"], None, "Rename one, or write them into different folders."),
        (["in/a.jpg", "in/b.jpg"], "{style}", "Put {subject} into --name-template."),
    ],
    ids=["suffixes", "advice", "folders", "case", "composed and decomposed", "template"],
)
def test_second_picture_of_one_output_fails_alone(
    tree: Path, subjects: list[str], template: str | None, message: str
) -> None:
    _write(*subjects, "in/z.jpg")
    first, second, third = _problems(plan([*subjects, "in/z.jpg"], "monet", "out", name_template=template))
    assert first is None and second is not None and message in second
    assert (third is None) == (template is None)


def test_suffix_in_the_template_tells_two_pictures_apart(tree: Path) -> None:
    _write("in/IMG_1.jpg", "in/IMG_1.PNG", "in/IMG_1")
    planned = plan(["in/IMG_1.jpg", "in/IMG_1.PNG", "in/IMG_1"], "monet", "out", name_template="{subject}-{suffix}")
    assert _outputs(planned) == ["out/IMG_1-jpg.jpg", "out/IMG_1-png.jpg", "out/IMG_1-none.jpg"]
    assert _problems(planned) == [None] * 3


def test_sharp_s_and_ss_are_two_names(tree: Path) -> None:
    _write("street/Straße.jpg", "street/Strasse.jpg")
    assert _problems(plan(["street"], "monet", "out")) == [None, None]


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f3a8"])
def test_name_of_more_than_255_bytes_fails_alone(tree: Path, letter: str) -> None:
    count = 251 // len(letter.encode())
    long, short = _problems(plan([f"in/{letter * count}", "in/a.jpg"], "monet", "out"))
    size = count * len(letter.encode()) + len(".monet.jpg")
    assert short is None and long is not None and f"a file name of {size} bytes; at most 255 are possible" in long


def test_folder_of_a_template_can_be_too_long_too(tree: Path) -> None:
    problems = _problems(plan(["in/a.jpg"], "\U0001f3a8" * 100, "out", name_template="{style}/{subject}"))
    assert problems[0] is not None and "a file name of 400 bytes" in problems[0]


def test_an_output_that_is_a_subject_fails_alone(tree: Path) -> None:
    (tree / "out").mkdir()
    (tree / "out/a.monet.jpg").symlink_to(tree / "in/b.png")
    linked, other = _problems(plan(["in"], "monet", "out"))
    assert linked is not None and linked.startswith("out/a.monet.jpg is the subject in/b.png: ") and other is None
    itself, other = _problems(plan(["in"], "monet", "in", name_template="{subject}"))
    assert itself is not None and itself.startswith("in/a.jpg is the subject in/a.jpg: ") and other is None


def test_an_output_that_is_a_subject_in_another_case_fails_where_names_have_no_case(tree: Path) -> None:
    _write("in/UPPER.jpg", "in/lower.jpg")
    assert _problems(plan(["in/UPPER.jpg"], "monet", "in", name_template="{subject}x")) == [None]
    Path("in/upper.jpg").hardlink_to("in/UPPER.jpg")  # as if the file system had one file of these names
    assert _problems(plan(["in/UPPER.jpg", "in/lower.jpg"], "upper", "in", name_template="{style}"))[0] is not None


def test_plans_of_one_batch_share_their_names(tree: Path) -> None:
    first, second = plan(["in"], "monet", "out"), plan(["other/a.jpg", "in/deep/c.JPEG"], "monet", "out")
    problems = _problems(first, second)
    assert [problem is None for problem in problems] == [True, True, False, True]
    assert problems[2] is not None and problems[2].endswith("Give each job an output folder.")
    crossed = [plan(["in/a.jpg"], style, "out", name_template="{subject}") for style in ("monet", "hokusai")]
    assert "Put {style} into --name-template, or give each job an output folder." in str(_problems(*crossed)[1])


def test_a_run_without_any_possible_output_is_refused(tree: Path) -> None:
    with pytest.raises(UsageError, match=r"is the subject in/a\.jpg"):
        require_possible(mark_clashes([plan(["in/a.jpg"], "monet", "in/a.jpg")]))
    require_possible(mark_clashes([plan(["in"], "monet", "in", name_template="{subject}")]))


def test_masks_and_other_files_that_are_read_are_never_overwritten(tree: Path) -> None:
    inputs = {str(tree / "out/a.monet.jpg"): "a mask"}
    (planned,) = mark_clashes([plan(["in"], "monet", "out")], inputs)
    mask, other = (task.problem for task in planned.tasks)
    assert other is None and mask is not None and mask.startswith("out/a.monet.jpg is a mask: ")


@pytest.mark.parametrize("suffix", [".avif", ".heic", ".jxl", ".bmp", ".gif", ".psd", ".JXL", ".cr2"])
def test_suffix_of_a_picture_that_cannot_be_written_is_no_folder(tree: Path, suffix: str) -> None:
    with pytest.raises(UsageError, match=r"Use one of \.jpg, \.jpeg, \.png, \.webp, \.tif, \.tiff\."):
        plan(["in/a.jpg"], "monet", f"photo{suffix}")


def test_another_suffix_is_a_folder(tree: Path) -> None:
    assert _outputs(plan(["in/a.jpg"], "monet", "out.v2")) == ["out.v2/a.monet.jpg"]
    (tree / "photo.avif").mkdir()
    assert _outputs(plan(["in/a.jpg"], "monet", "photo.avif")) == ["photo.avif/a.monet.jpg"]


def test_refusal_of_a_folder_without_images_names_what_is_left_out(tree: Path) -> None:
    _write("phone/IMG_1.dng", "phone/notes.txt")
    with pytest.raises(
        UsageError, match=r"phone: no image found; left out 2 files: IMG_1\.dng \(.*raw.*\), notes\.txt\. C"
    ):
        plan(["phone"], "monet", "out")


def test_a_name_that_leads_out_of_the_folder_fails_alone(tree: Path) -> None:
    _write("in/..jpg")
    planned = plan(["in/..jpg", "in/a.jpg"], "monet", "out", name_template="{subject}")
    problem, other = _problems(planned)
    assert other is None and problem is not None and "empty name" in problem


def test_an_output_file_with_a_name_that_is_too_long_needs_another_output(tree: Path) -> None:
    (problem,) = _problems(plan(["in/a.jpg"], "monet", "y" * 300 + ".jpg"))
    assert problem is not None and problem.endswith("at most 255 are possible. Give --output a shorter name.")


@pytest.mark.parametrize(("subject", "output"), [("in/a\0.jpg", "out"), ("in/\0*", "out"), ("in/a.jpg", "o\0ut")])
def test_a_nul_character_is_refused(tree: Path, subject: str, output: str) -> None:
    with pytest.raises(UsageError, match=r"\\x00.*: no file name contains a NUL character"):
        plan([subject], "monet", output)
