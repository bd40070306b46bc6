from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.jobs.naming import DEFAULT_TEMPLATE, output_key, output_path, too_long
from stylebank.errors import UsageError

FIELDS = {"subject": "cat", "style": "monet v1.2", "size": "1024", "preset": "fine", "suffix": "png"}


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (DEFAULT_TEMPLATE, "cat.monet v1.2.jpg"),
        ("{style}/{subject}", "monet v1.2/cat.jpg"),
        ("{subject}-{size}-{preset}", "cat-1024-fine.jpg"),
        ("{subject}.{suffix}", "cat.png.jpg"),
        ("{{{subject}}}", "{cat}.jpg"),
        ("print", "print.jpg"),
        ("é {subject}", "é cat.jpg"),
    ],
)
def test_a_template_gives_the_name(template: str, name: str) -> None:
    assert output_path(template, ".jpg", FIELDS) == Path(name)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{subject}.{styel}",
            r"unknown field \{styel\}. Use \{subject\}, \{style\}, \{preset\}, \{suffix\}, \{size\}, ",
        ),
        ("{}", "unknown field"),
        ("{0}", "unknown field"),
        ("{subject.__class__}", "unknown field"),
        ("{subject[0]}", "unknown field"),
        ("{subject!r}", "unknown field"),
        ("{size:>8}", "unknown field"),
        ("{subject", "Use .* for a brace"),
        ("subject}", "Use .* for a brace"),
        ("../{subject}", "leads out of the output folder"),
        ("a/../../{subject}", "leads out of the output folder"),
        ("/tmp/{subject}", "leads out of the output folder"),
        ("", "an empty name"),
        ("a//{subject}", "an empty name"),
        ("{subject}/", "an empty name"),
        ("./{subject}", "an empty name"),
        ("{subject}\n", "control character"),
        ("{subject}\0", "control character"),
    ],
)
def test_a_wrong_template_is_refused_with_the_fields(template: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        output_path(template, ".jpg", FIELDS)
    assert str(refused.value).isprintable()


def test_the_name_of_a_subject_cannot_lead_out_of_the_folder() -> None:
    with pytest.raises(UsageError, match="leads out"):
        output_path("{subject}/x", ".jpg", {**FIELDS, "subject": ".."})


def test_braces_in_a_name_are_no_fields() -> None:
    assert output_path("{subject}", ".png", {**FIELDS, "subject": "{style}"}) == Path("{style}.png")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("A.jpg", "a.jpg", True),
        ("\u00c9.jpg", "e\u0301.jpg", True),
        ("\u1e9b\u0323", "\u017f\u0323\u0307", True),  # composed of a letter and two marks in another order
        ("Straße", "Strasse", False),
        ("ﬁn", "fin", False),
        ("a.jpg", "a.png", False),
        ("out/a.jpg", "a.jpg", False),
        ("\udcff.jpg", "\udcfe.jpg", False),  # bytes that are not UTF-8
    ],
)
def test_names_that_some_file_system_takes_for_one_have_one_key(one: str, other: str, same: bool) -> None:
    assert (output_key(one) == output_key(other)) == same


def test_a_name_of_255_bytes_is_possible() -> None:
    assert too_long(Path("out", "x" * 251 + ".jpg")) is None
    assert "a file name of 256 bytes" in str(too_long(Path("out", "x" * 252 + ".jpg")))
    assert "a file name of 256 bytes" in str(too_long(Path("é" * 128, "x.jpg")))
    assert "a file name of 256 bytes" in str(too_long(Path("out", "\udcff" * 256)))
