"""The folder of a bank."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from ..errors import UsageError, printable


def default_folder() -> Path:
    """Return ``$STYLEBANK_BANK``, else a folder in the user's data folder.

    Raises
    ------
    UsageError
        If the user has no home folder.
    """
    folder = os.environ.get("STYLEBANK_BANK")
    return Path(folder) if folder else user_folder()


def user_folder() -> Path:
    """Return the bank's folder in the user's data folder.

    Raises
    ------
    UsageError
        If the user has no home folder.
    """
    try:
        return platformdirs.user_data_path("stylebank") / "bank"
    except RuntimeError:
        raise UsageError(
            "this user has no home folder, and so no bank by default. Set STYLEBANK_BANK or HOME, or name a bank."
        ) from None


def expand_user(folder: Path) -> Path:
    """Replace ``~`` at the start by the home folder.

    Raises
    ------
    UsageError
        If the user has none.
    """
    try:
        return folder.expanduser()
    except RuntimeError:
        raise UsageError(
            f"{printable(folder)}: no home folder is known for it. Set HOME, or write the path in full."
        ) from None
