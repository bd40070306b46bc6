from __future__ import annotations

from pathlib import Path

import pytest

from stylebank.errors import OutputRefused
from stylebank.pages import html


def test_a_page_goes_to_a_file_or_into_a_folder_and_over_nothing(tmp_path: Path) -> None:
    assert html.write_page(tmp_path / "a" / "x.html", "one") == tmp_path / "a" / "x.html"
    assert html.write_page(tmp_path / "b", "two") == tmp_path / "b" / "index.html"
    with pytest.raises(OutputRefused, match="--overwrite"):
        html.write_page(tmp_path / "b", "three")
    assert (tmp_path / "b" / "index.html").read_text() == "two"
    html.write_page(tmp_path / "b", "three", overwrite=True)
    assert (tmp_path / "b" / "index.html").read_text() == "three"
