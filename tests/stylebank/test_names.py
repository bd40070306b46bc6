from __future__ import annotations

import re
import unicodedata

import pytest

from stylebank.errors import NameRefused
from stylebank.names import MAX_LENGTH, SUFFIX, casefold_key, check_name, file_name

WAVE = "\u795e\u5948\u5ddd\u6c96\u6d6a\u88cf"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
GOOD = ["wave", "Great Wave", "a", "x" * MAX_LENGTH, "it's 1830; 50 %", "blå", WAVE, "\U0001f30a", FAMILY, "a.b-c_d"]


@pytest.mark.parametrize("name", GOOD)
def test_good_names_are_kept_as_they_are(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "1 to 100 characters, this one 0"),
        ("x" * 101, "1 to 100 characters, this one 101"),
        ("x" * 5000, "this one 5000"),
        ("..", "does not start with '.'"),
        (".hidden", "does not start with '.'"),
        ("-rf", "does not start with '-'"),
        ("/x", "holds no /"),
        ("a/b", "holds no /"),
        ("a\\b", r"holds no \\"),
        ("../../etc/passwd", "does not start with '.'"),
        ("a\0b", "U+0000"),
        ("a\nb", "U+000A"),
        ("a\x1b[2J", "U+001B"),
        ("a\x7fb", "U+007F"),
        ("a\x85b", "U+0085"),
        ("a\u2028b", "U+2028"),
        ("a\u202eb", "U+202E"),
        ("a\u2066b", "U+2066"),
        ("a\u200fb", "U+200F"),
        ("caf\udce9", "U+DCE9"),
        (" wave", "start or end with a space"),
        ("wave ", "start or end with a space"),
        ("wave\n", "start or end with a space"),
        ("\u3000wave", "start or end with a space"),
    ],
)
def test_bad_names_are_refused_with_the_rule_they_break(name: str, reason: str) -> None:
    with pytest.raises(NameRefused) as caught:
        check_name(name)
    message = str(caught.value)
    assert reason.replace(r"\\", "\\") in message
    assert message.endswith("Choose another.")
    assert message.isprintable() and len(message) < 200


def test_two_encodings_of_one_name_are_one_name() -> None:
    composed, decomposed = "café", unicodedata.normalize("NFD", "café")
    assert composed != decomposed
    assert check_name(decomposed) == composed
    assert file_name(decomposed) == file_name(composed)


def test_length_counts_after_normalisation() -> None:
    assert len(check_name("e\u0301" * MAX_LENGTH)) == MAX_LENGTH


@pytest.mark.parametrize(("one", "other"), [("Wave", "wave"), ("STRASSE", "straße"), ("Éclair", "e\u0301clair")])
def test_names_that_differ_in_case_alone_fold_together(one: str, other: str) -> None:
    assert casefold_key(one) == casefold_key(other)
    assert file_name(one).rpartition("-")[2] == file_name(other).rpartition("-")[2]


def test_names_that_differ_otherwise_have_files_of_their_own() -> None:
    names = [*GOOD, "great-wave", "great wave.", "Great  Wave", "blaa", "bla", "\U0001f30b"]
    assert len({file_name(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", [*GOOD, "con", "nul", "a" * 99 + "ß", "x.stylebank.h5"])
def test_a_file_name_is_a_plain_slug_on_any_system(name: str) -> None:
    made = file_name(name)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{10}" + re.escape(SUFFIX), made)
    assert len(made) < 80


def test_a_file_name_can_be_recognised() -> None:
    assert file_name("Great Wave!").startswith("great-wave-")
    assert file_name("Blå").startswith("bla-")
    assert file_name(WAVE).startswith("style-")
