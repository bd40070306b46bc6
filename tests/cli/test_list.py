from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Result

Run = Callable[..., Result]


def test_a_style_is_a_line_with_its_scales_and_size(run: Run) -> None:
    assert run("list").stdout == "wave  96  657 x 442\n"


def test_json_is_a_list_of_all_fields(run: Run) -> None:
    (style,) = json.loads(run("list", "--json").stdout)
    assert style["name"] == "wave" and style["scales"] == {"96": [96, 65]}
    assert style["layers"] == ["pixels", "conv1_1", "conv2_1", "conv3_1"]


def test_an_empty_bank_says_how_to_fill_it(run: Run, bank_folder: Path) -> None:
    assert run("remove", "wave").code == 0
    result = run("list")
    assert (result.code, result.stdout) == (0, "")
    assert "stylebank add" in result.stderr
    assert run("list", "--json").stdout.strip() == "[]"
