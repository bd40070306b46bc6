"""The bar of notebooks and programs."""

from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pipeline.jobs import progress_bar as module
from pipeline.jobs.events import Finished, Listener, Notice, Started, Stepped
from pipeline.jobs.progress_bar import in_notebook, progress_bar
from stylebank.errors import UsageError

PHOTO, SECOND = Path("in/photo.jpg"), Path("in/<second>.jpg")


def two_pictures(listener: Listener) -> None:
    """Send the events of two pictures, the second with steps."""
    for number, subject in ((1, PHOTO), (2, SECOND)):
        facts: dict[str, Any] = {"subject": subject, "number": number, "total": 2}
        listener(Notice(text="a note"))
        listener(Started(**facts))
        for step in (1, 2, 3, 4):
            listener(Stepped(step=step, steps=4, loss=1.0, seconds_left=75.2, **facts))
        listener(Finished(**facts))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_fractions_grow_to_one_and_the_text_has_step_and_time() -> None:
    shown: list[tuple[float, str]] = []
    two_pictures(module._Fractions(lambda fraction, text: shown.append((fraction, text))))
    fractions = [fraction for fraction, _text in shown]
    assert fractions == [0, 0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.625, 0.75, 0.875, 1, 1]
    assert shown[2] == (0.25, "1/2 photo.jpg, step 2 of 4, 0:01:15 left")
    assert shown[-1] == (1, "2/2 <second>.jpg")


def test_pictures_of_one_batch_count_together() -> None:
    fractions: list[float] = []
    listener = module._Fractions(lambda fraction, text: fractions.append(fraction))
    for step in (1, 2):
        for number in (1, 2):
            listener(Stepped(subject=PHOTO, number=number, total=2, step=step, steps=2))
    assert fractions == [0.25, 0.5, 0.75, 1]


def test_a_program_shows_it_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as listener:
        two_pictures(listener)
    captured = capsys.readouterr()
    assert captured.out == "" and "100%" in captured.err and "2/2 <second>.jpg" in captured.err


@pytest.mark.parametrize("show", [False, "auto"])
def test_nothing_is_shown_where_nobody_looks(show: bool | str, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(show) as listener:
        two_pictures(listener)
    assert capsys.readouterr() == ("", "")


def test_auto_shows_it_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar("auto") as listener:
        two_pictures(listener)
    assert "100%" in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_auto_is_silent_without_a_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with progress_bar("auto") as listener:
        two_pictures(listener)


@pytest.mark.parametrize("value", ["yes", None, 2])
def test_another_value_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="expected True, False or 'auto'"), progress_bar(value):
        pass


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A kernel of Jupyter; the pages that are displayed."""
    pages: list[str] = []
    handle = SimpleNamespace(update=lambda page: pages.append(page.data))

    def display(page: Any, display_id: bool) -> Any:
        pages.append(page.data)
        return handle

    ipython, displays = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    displays.HTML, displays.display = lambda data: SimpleNamespace(data=data), display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    return pages


def test_a_notebook_has_a_page_that_is_updated(notebook: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert in_notebook()
    with progress_bar("auto") as listener:
        two_pictures(listener)
    assert 'value="0.250"' in notebook[3] and "25% 1/2 photo.jpg, step 2 of 4" in notebook[3]
    assert "&lt;second&gt;.jpg" in notebook[-1] and "100%" in notebook[-1]


def test_tqdm_shows_it_where_it_is_installed(notebook: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[Any] = []

    class Tqdm:
        def __init__(self, total: int, bar_format: str) -> None:
            self.n, self.total, self.states = 0, total, []  # type: ignore[var-annotated]
            bars.append(self)

        def set_postfix_str(self, text: str) -> None:
            self.states.append((self.n, text))

        def __enter__(self) -> Tqdm:
            return self

        def __exit__(self, *_error: object) -> None:
            self.states.append("closed")

    auto = ModuleType("tqdm.auto")
    auto.tqdm = Tqdm  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tqdm", ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", auto)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(RuntimeError), progress_bar(True) as listener:
        two_pictures(listener)
        raise RuntimeError
    (bar,) = bars
    assert bar.total == 100 and bar.states[2] == (25, "1/2 photo.jpg, step 2 of 4, 0:01:15 left")
    assert bar.states[-2:] == [(100, "2/2 <second>.jpg"), "closed"] and notebook == []
