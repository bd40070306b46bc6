from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jinja2
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


@pytest.mark.parametrize("template", ["gallery.html.j2", "map.html.j2"])
def test_pages_share_one_base_with_one_policy(template: str) -> None:
    data = {"gallery.html.j2": [], "map.html.j2": {"styles": [], "view": [0, 0, 1, 1], "font": 11, "note": ""}}[
        template
    ]
    page = html.render(template, data=data)
    assert page.startswith("<!DOCTYPE html>") and page.count("Content-Security-Policy") == 1
    assert "default-src 'none'" in page and page.rstrip().endswith("</html>")


def test_text_in_the_data_cannot_leave_its_script() -> None:
    page = html.render("gallery.html.j2", data=["</script><script>&'\u2028"])
    assert page.count("</script>") == 2
    assert r'["\u003c/script\u003e\u003cscript\u003e\u0026\u0027\u2028"]' in page


def test_a_template_without_its_variables_is_refused() -> None:
    with pytest.raises(jinja2.UndefinedError):
        html.render("report.html.j2", package="pipeline.jobs", read_cards=[])


def test_a_command_without_a_page_loads_no_jinja2(tmp_path: Path) -> None:
    code = (
        "import atexit, sys\n"
        "from stylebank.__main__ import main\n"
        "atexit.register(lambda: print('jinja2' in sys.modules, 'keras' in sys.modules))\n"
        "main(['--bank', sys.argv[1], 'list', '--json'])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False False"
