"""Time that a process spends once on set-up: loading, compiling, and preparing styles."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

_setup_seconds = [0.0]


def setup_seconds() -> float:
    """Return this process' set-up time: the time in `setup_timer`, and the compile time `time_first_call` finds."""
    return _setup_seconds[0]


@contextlib.contextmanager
def setup_timer() -> Iterator[None]:
    """Add the time of a block, or of a decorated function, to the set-up time."""
    start = time.perf_counter()
    try:
        yield
    finally:
        _setup_seconds[0] += time.perf_counter() - start


def time_first_call(
    function: Callable[..., Any], compile_key: Callable[[Any], str], timing_key: Callable[[Any], str]
) -> Callable[..., Any]:
    """Estimate compile time: the first call's time minus the second's, for the same shapes.

    Parameters
    ----------
    function
        The compiled function.
    compile_key
        Maps the tuple of arguments to a key. A new key compiles again.
    timing_key
        Maps the tuple of arguments to a key. Calls with equal keys take about equal time.

    Returns
    -------
    callable
        `function`, which adds the estimate to the set-up time.
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
