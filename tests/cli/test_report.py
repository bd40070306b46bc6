from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Result

Run = Callable[..., Result]


def test_what_apply_made_is_on_the_page(
    run: Run, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (photographs / "empty.jpg").touch()
    run("apply", "--style", "wave", "in", "-o", "out", "--size", "64", "--steps", "2")
    result = run("report", "out")
    assert result.code == 0 and result.stdout.startswith("out/report.html: ")
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert "3 done, 1 failed" in page and "empty.jpg: the file is empty" in page
    assert page.count("data:image/jpeg;base64,") == 6


def test_the_page_goes_where_it_is_asked_to(run: Run, photographs: Path, tmp_path: Path) -> None:
    run("apply", "--style", "wave", photographs, "-o", tmp_path / "out", "--size", "64", "--steps", "1")
    assert run("report", tmp_path / "out", "-o", tmp_path / "new/look.html").code == 0
    assert (tmp_path / "new/look.html").stat().st_size > 1000


def test_a_folder_without_a_record_is_one_line(run: Run, tmp_path: Path) -> None:
    result = run("report", tmp_path)
    assert result.code == 2 and "no record of pictures" in result.stderr and result.stdout == ""
