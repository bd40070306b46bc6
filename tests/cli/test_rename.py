from __future__ import annotations

import json
from collections.abc import Callable

from tests.conftest import Result

Run = Callable[..., Result]


def test_a_renamed_style_is_the_same_style(run: Run) -> None:
    before = json.loads(run("show", "wave", "--json").stdout)
    assert run("rename", "wave", "The Great Wave \U0001f30a").code == 0
    after = json.loads(run("show", "The Great Wave \U0001f30a", "--json").stdout)
    assert after["content_sha256"] == before["content_sha256"]
    assert run("show", "wave").code == 2


def test_only_the_case_may_change(run: Run) -> None:
    assert run("rename", "wave", "Wave").code == 0
    assert run("list").stdout.startswith("Wave ")


def test_a_name_that_is_not_allowed_is_refused(run: Run) -> None:
    result = run("rename", "wave", "../wave")
    assert result.code == 2 and "a name does not start with '.'" in result.stderr
    assert run("show", "wave").code == 0
