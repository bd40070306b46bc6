from __future__ import annotations

import os
from pathlib import Path

import pytest

from stylebank import errors
from stylebank.errors import StylebankError, StyleNotFound, printable


@pytest.mark.parametrize("text", ["wave.jpg", "great wave", "Blå", "\u795e\u5948\u5ddd", "\U0001f30a"])
def test_ordinary_names_are_shown_as_they_are(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("a\0b", "a\\x00b"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2028b", "a\\u2028b"),
        ("caf\udce9.png", "caf\\udce9.png"),
        ("", ""),
    ],
)
def test_what_would_disturb_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_file_name_that_is_no_utf8_can_be_shown_and_printed() -> None:
    path = Path(os.fsdecode(b"/tmp/caf\xe9.png"))
    assert printable(path) == "/tmp/caf\\udce9.png"
    printable(path).encode("utf-8")


def test_exit_codes_are_those_promised() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StylebankError)]
    codes = {kind.__name__: kind.exit_code for kind in kinds}
    assert codes == {
        "StylebankError": 1,
        "ImageRefused": 1,
        "ImportRefused": 1,
        "OutputRefused": 1,
        "WeightsRefused": 1,
        "UsageError": 2,
        "StyleNotFound": 2,
        "StyleExists": 2,
        "NameRefused": 2,
        "PipelineShadowed": 2,
        "FingerprintMismatch": 2,
        "StyleDamaged": 3,
        "StyleFileError": 1,
        "StyleUnreadable": 5,
        "BankBusy": 4,
        "LockTimeout": 4,
        "OutOfMemory": 6,
    }


def test_a_missing_style_is_a_key_error_with_an_unquoted_message() -> None:
    error = StyleNotFound("style 'wave' is not in the bank.")
    assert isinstance(error, KeyError) and str(error) == "style 'wave' is not in the bank."
