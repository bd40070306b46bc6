from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Result

Run = Callable[..., Result]


def test_show_says_where_a_style_is_from_and_how_it_was_measured(run: Run) -> None:
    shown = run("show", "wave").stdout
    for text in ("great_wave.jpg", "657 x 442", "96 x 65", "reflect", "max", "conv3_1"):
        assert text in shown


def test_json_holds_the_file_and_the_digests(run: Run) -> None:
    style = json.loads(run("show", "wave", "--json").stdout)
    assert Path(style["file"]).stat().st_size == style["bytes"]
    assert len(style["content_sha256"]) == len(style["weights_sha256"]) == len(style["source_sha256"]) == 64
