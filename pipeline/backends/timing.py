"""The seconds a process spends on what is done once for all pictures that follow."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

_setup_seconds = [0.0]


def setup_seconds() -> float:
    """Return the seconds this process has spent on what is done once for all pictures that follow.

    That is what stood under `setup_timer`, and compiling: what a function's first call takes beyond
    the second at the same shapes.
    """
    return _setup_seconds[0]


@contextlib.contextmanager
def setup_timer() -> Iterator[None]:
    """Count what is done here as done once for all pictures that follow; a decorator, too."""
    start = time.perf_counter()
    try:
        yield
    finally:
        _setup_seconds[0] += time.perf_counter() - start


def time_first_call(
    function: Callable[..., Any], compile_key: Callable[[Any], str], timing_key: Callable[[Any], str]
) -> Callable[..., Any]:
    """Count as `setup_timer` what a function's first call of a kind takes beyond the next with the same shapes.

    Parameters
    ----------
    kind, shapes
        Give of the tuple of arguments what decides on compiling, and what on the time a call takes.
    """
    first_calls: dict[str, tuple[str, float] | None] = {}

    def call(*arguments: Any) -> Any:
        key = compile_key(arguments)
        first_call = first_calls.get(key)
        if key in first_calls and first_call is None:
            return function(*arguments)
        start = time.perf_counter()
        result = function(*arguments)
        seconds = time.perf_counter() - start
        timed_as = timing_key(arguments)
        if first_call is None:
            first_calls[key] = timed_as, seconds
        elif timed_as == first_call[0]:
            first_calls[key] = None
            _setup_seconds[0] += max(0.0, first_call[1] - seconds)
        return result

    return call
