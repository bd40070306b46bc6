"""Environment variables of this process, set for a while and then restored."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables within the context, and restore what they were.

    Parameters
    ----------
    variables
        Values by name. An empty mapping changes nothing.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        restore(before)


def restore(values: Mapping[str, str | None]) -> None:
    """Set environment variables by name; None removes one."""
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
