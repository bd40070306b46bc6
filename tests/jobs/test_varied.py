"""Settings to vary, from texts and from Python."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.jobs import varied
from pipeline.settings import SynthesisSettings
from stylebank.errors import UsageError


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("strength=0.3,0.6,1", "strength", (0.3, 0.6, 1.0)),
        ("content-weight=0", "content_weight", (0.0,)),
        ("content_weight = 1, 2", "content_weight", (1.0, 2.0)),
        ("size=64,128", "size", (64, 128)),
        ("keep-color=none,luma", "keep_color", ("none", "luma")),
        ("match-color=yes,no", "match_color", (True, False)),
        ("init=noise,a b.png", "init", ("noise", "a b.png")),
        ("preset=mine", "preset", ("mine",)),
    ],
)
def test_values_have_the_type_of_their_setting(text: str, name: str, values: tuple[Any, ...]) -> None:
    parsed = varied.parse(text)
    assert parsed == (name, values)
    assert [type(value) for value in parsed[1]] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("strength", "expected NAME=VALUE"),
        ("strength=", "expected a number"),
        ("strength=0.3,,1", "expected a number"),
        ("size=1.5", "expected a whole number"),
        ("keep-color=lume", "expected one of none, luma"),
        ("match-color=2", "expected yes or no"),
        ("init=", "expected a value"),
        ("depth=8,16", "not a setting that can be varied"),
        ("=1", "not a setting that can be varied"),
        ("\x1b[1m=1", "not a setting that can be varied"),
    ],
)
def test_a_wrong_text_is_one_line(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as raised:
        varied.parse(text)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("vary", "fixed", "reason"),
    [
        ({"strength": [1], "size": [64], "seed": [1]}, {}, "at most 2"),
        ({"strength": []}, {}, "one value or more"),
        ({"init": "noise"}, {}, "one value or more"),
        ({"strength": [1, 1.0]}, {}, "a value repeats"),
        ({"content-weight": [1]}, {"content_weight": 2.0}, "both set and varied"),
        ({"preset": ["fine"]}, {"preset": "draft"}, "both set and varied"),
        ({"metadata": [True]}, {}, "not a setting"),
    ],
)
def test_values_that_contradict_are_refused(vary: dict[str, Any], fixed: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        varied.checked(vary, fixed)


def test_every_setting_is_one_of_synthesis_or_the_preset() -> None:
    assert set(varied.NAMES) <= {*SynthesisSettings.__dataclass_fields__, "preset"}
