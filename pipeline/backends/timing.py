"""The seconds a process spends on what is done once for all pictures that follow."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

_preparing = [0.0]


def setup_seconds() -> float:
    """Return the seconds this process has spent on what is done once for all pictures that follow.

    That is what stood under `setup_timer`, and compiling: what a function's first call takes beyond
    the second at the same shapes.
    """
    return _preparing[0]


@contextlib.contextmanager
def setup_timer() -> Iterator[None]:
    """Count what is done here as done once for all pictures that follow; a decorator, too."""
    began = time.perf_counter()
    try:
        yield
    finally:
        _preparing[0] += time.perf_counter() - began


def time_first_call(
    function: Callable[..., Any], kind: Callable[[Any], str], shapes: Callable[[Any], str]
) -> Callable[..., Any]:
    """Count as `setup_timer` what a function's first call of a kind takes beyond the next with the same shapes.

    Parameters
    ----------
    kind, shapes
        Give of the tuple of arguments what decides on compiling, and what on the time a call takes.
    """
    first: dict[str, tuple[str, float] | None] = {}

    def call(*arguments: Any) -> Any:
        of = kind(arguments)
        before = first.get(of)
        if of in first and before is None:
            return function(*arguments)
        began = time.perf_counter()
        result = function(*arguments)
        seconds = time.perf_counter() - began
        asked = shapes(arguments)
        if before is None:
            first[of] = asked, seconds
        elif asked == before[0]:
            first[of] = None
            _preparing[0] += max(0.0, before[1] - seconds)
        return result

    return call
