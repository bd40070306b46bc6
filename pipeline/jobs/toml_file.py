"""A TOML file of a user, read within limits; every error names the file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from stylebank.errors import UsageError, printable
from stylebank.files import describe_os_error

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MOST_BYTES = 1 << 22


def read_toml(path: Path, kind: str = "job file", most_bytes: int = _MOST_BYTES) -> tuple[str, dict[str, Any]]:
    """Return the text and the content of a TOML file.

    Parameters
    ----------
    path
        The file.
    kind
        What a message calls the file.
    most_bytes
        Largest size of the file, in bytes.

    Raises
    ------
    UsageError
        If it cannot be read, is too large, or is no TOML in UTF-8.
    """
    text = _text(path, kind, most_bytes)
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{printable(path)}: {printable(str(error))}. Correct the TOML at that place.") from None
    except ValueError:  # Python reads no integer of more than 4300 digits
        raise UsageError(f"{printable(path)}: a number has thousands of digits. Use a shorter one.") from None
    except RecursionError:
        raise UsageError(f"{printable(path)}: nested too deeply. A {kind} holds tables of plain values.") from None


def _text(path: Path, kind: str, most_bytes: int) -> str:
    try:
        if path.is_dir():
            raise UsageError(f"{printable(path)}: a folder. Give a {kind}, such as JOBS.toml in it.")
        if not path.is_file():
            raise UsageError(f"{printable(path)}: no such file. Give a {kind}, JOBS.toml.")
        if path.stat().st_size > most_bytes:
            raise UsageError(
                f"{printable(path)}: {path.stat().st_size:,} bytes; a {kind} has at most {most_bytes:,}. Shorten it."
            )
        return path.read_text("utf-8-sig")  # editors on Windows put a byte order mark first
    except UnicodeDecodeError as error:
        raise UsageError(f"{printable(path)}: not UTF-8 ({error.reason}). Save it as UTF-8.") from error
    except OSError as error:
        raise UsageError(f"{printable(path)}: {describe_os_error(error)}") from error
