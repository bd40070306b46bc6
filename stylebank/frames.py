"""pandas, which is optional."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import UsageError

if TYPE_CHECKING:
    import pandas


def data_frame(data: Any, **options: Any) -> pandas.DataFrame:
    """Return ``pandas.DataFrame(data, **options)``.

    Raises
    ------
    UsageError
        If pandas is not installed.
    """
    return load_pandas().DataFrame(data, **options)


def load_pandas() -> Any:
    """Return the module pandas, or raise `UsageError`."""
    try:
        import pandas
    except ImportError as error:
        raise UsageError(
            f"as_frame: pandas cannot be loaded ({error}). Install it with 'pip install pandas', or leave as_frame out."
        ) from error
    return pandas
