"""pandas, which is optional."""

from __future__ import annotations

from typing import Any

from .errors import UsageError


def load_pandas() -> Any:
    """Return the module pandas.

    Raises
    ------
    UsageError
        If it is not installed, or cannot be loaded.
    """
    try:
        import pandas
    except ImportError as error:
        raise UsageError(
            f"as_frame: pandas cannot be loaded ({error}). Install it with 'pip install pandas', or leave as_frame out."
        ) from error
    return pandas
