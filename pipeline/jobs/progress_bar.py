"""A progress bar for notebooks and Python programs, as a listener."""

from __future__ import annotations

import contextlib
import datetime
import html
import importlib.util
import sys
from collections.abc import Callable, Iterator
from typing import Any

from stylebank.errors import UsageError, printable

from .events import Listener, Progress

#: Called with the fraction that is done, 0 to 1, and a text.
_Show = Callable[[float, str], None]


@contextlib.contextmanager
def progress_bar(show: bool | str = True) -> Iterator[Listener]:
    """Yield a listener that shows a bar while the block runs.

    In a notebook it is that of ``tqdm.auto`` if tqdm and ipywidgets are installed, else that of IPython. Elsewhere it
    is that of rich, on stderr.

    Parameters
    ----------
    show : bool or "auto"
        ``auto`` shows a bar in notebooks and on terminals, and none elsewhere.

    Raises
    ------
    UsageError
        For another value of `show`.

    Examples
    --------
    >>> with progress_bar() as listener:
    ...     apply(bank, "starry_night", ["in/"], "out", listener=listener)
    """
    if not isinstance(show, bool) and show != "auto":
        raise UsageError(f"progress {show!r}: expected True, False or 'auto'.")
    notebook = in_notebook()
    if not (notebook or _on_terminal() if show == "auto" else show):
        yield lambda progress: None
        return
    if not notebook:
        bar = _rich_bar()
    elif importlib.util.find_spec("tqdm") and importlib.util.find_spec("ipywidgets"):
        bar = _tqdm_bar()
    else:
        bar = _notebook_bar()
    with bar as update:
        yield _Fractions(update)


def in_notebook() -> bool:
    """Return whether the program runs in a kernel of Jupyter."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


class _Fractions:
    """Turns events into the fraction of all images that is done, and a text."""

    def __init__(self, show: _Show) -> None:
        self._show = show
        self._fractions: dict[int, float] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.subject is None or progress.kind not in {"begin", "step", "end"}:
            return
        done = 1.0 if progress.kind == "end" else progress.step / progress.steps if progress.steps else 0.0
        self._fractions[progress.number] = done
        text = printable(progress.subject.name)
        if progress.total > 1:
            text = f"{progress.number}/{progress.total} {text}"
        if progress.kind == "step":
            text += f", step {progress.step} of {progress.steps}"
        if progress.seconds_left is not None and progress.kind != "end":
            text += f", {datetime.timedelta(seconds=round(progress.seconds_left))} left"
        self._show(sum(self._fractions.values()) / max(1, progress.total), text)


@contextlib.contextmanager
def _rich_bar() -> Iterator[_Show]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = BarColumn(bar_width=24), TaskProgressColumn(), TextColumn("{task.description}", markup=False)
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("", total=1.0)
        yield lambda fraction, text: bars.update(task, completed=fraction, description=text)


@contextlib.contextmanager
def _tqdm_bar() -> Iterator[_Show]:
    from tqdm.auto import tqdm

    with tqdm(total=100, bar_format="{percentage:3.0f}%|{bar}| {postfix}") as bar:

        def show(fraction: float, text: str) -> None:
            bar.n = round(100 * fraction)
            bar.set_postfix_str(text)

        yield show


@contextlib.contextmanager
def _notebook_bar() -> Iterator[_Show]:
    from IPython.display import HTML, display

    def page(fraction: float, text: str) -> Any:
        bar = f'<progress max="1" value="{fraction:.3f}" style="width: 24em"></progress>'
        return HTML(f"<label>{bar} {fraction:.0%} {html.escape(text)}</label>")

    handle = display(page(0, ""), display_id=True)
    yield lambda fraction, text: handle.update(page(fraction, text))
