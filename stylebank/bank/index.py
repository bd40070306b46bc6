"""The styles in a folder, and their files."""

from __future__ import annotations

import contextlib
import difflib
import os
from pathlib import Path

from ..errors import (
    NameRefused,
    StylebankError,
    StyleDamaged,
    StyleExists,
    StyleFileError,
    StyleNotFound,
    StyleUnreadable,
    printable,
)
from ..files import describe_os_error, describe_read_error
from ..names import SUFFIX, casefold_key, check_name, file_name, may_contain
from ..storage import reader
from ..style import Header
from .header_cache import HeaderCache


class StyleIndex:
    """The style files of a folder, read-only.

    Parameters
    ----------
    folder : path
        It need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cache = HeaderCache(folder)

    def paths(self) -> list[Path]:
        """Return all style files, whole or damaged; none if the folder does not exist.

        Raises
        ------
        StylebankError
            If there is a file in place of the folder.
        StyleUnreadable
            If the folder cannot be listed.
        """
        try:
            with os.scandir(self.folder) as entries:
                names = sorted(entry.name for entry in entries)
        except FileNotFoundError:
            return []
        except NotADirectoryError as error:
            raise StylebankError(f"{printable(self.folder)}: {describe_os_error(error)}") from error
        except OSError as error:
            reason = describe_read_error(error)
            raise StyleUnreadable(f"{printable(self.folder)}: {reason}").located(self.folder, reason) from error
        return [self.folder / name for name in names if name.endswith(SUFFIX) and not name.startswith(".")]

    def headers(self, *, fresh: bool = False) -> tuple[list[Header], list[StyleFileError]]:
        """Return the header of every whole style, by name, and an error for every other file.

        A file that this process may not read has a `StyleUnreadable`, any other a `StyleDamaged`.
        If two files have the same name, the second one has an error.

        Parameters
        ----------
        fresh
            Read every file. By default, a file that has not changed since the last list is not opened.
        """
        entries, damaged = self.entries(fresh=fresh)
        return [header for header, _path in entries], damaged

    def entries(self, *, fresh: bool = False) -> tuple[list[tuple[Header, Path]], list[StyleFileError]]:
        """Return the same as `headers`, each header with its file."""
        found: list[tuple[Header, Path]] = []
        damaged: list[StyleFileError] = []
        read_header = reader.read_header if fresh else self._cache.read_header
        paths = self.paths()
        for path in paths:
            try:
                found.append((read_header(path), path))
            except StyleFileError as error:
                # another process may have removed the file since it was listed
                if not isinstance(error.__cause__, FileNotFoundError) or path.is_symlink():
                    damaged.append(error)
        if not fresh:
            self._cache.save(paths)
        found.sort(key=lambda pair: (casefold_key(pair[0].name), pair[0].name, pair[1].name != file_name(pair[0].name)))
        unique: dict[str, tuple[Header, Path]] = {}
        for header, path in found:
            first = unique.setdefault(header.name, (header, path))[1]
            if first != path:
                reason = f"holds style {header.name!r}, as {printable(first.name)} does."
                damaged.append(StyleDamaged(f"{printable(path)}: {reason} Remove one of them.").located(path, reason))
        return list(unique.values()), damaged

    def names(self) -> list[str]:
        """Return the names of the whole styles."""
        return [header.name for header in self.headers()[0]]

    def __contains__(self, name: object) -> bool:
        """Tell whether a style of this name is present, whole or damaged; False for what cannot be a name."""
        try:
            return isinstance(name, str) and self.find(check_name(name)) is not None
        except NameRefused:
            return False

    def path(self, name: str) -> Path:
        """Return the file of a style, whole or damaged.

        Raises
        ------
        StyleNotFound
            The message suggests similar names.
        StyleDamaged
            If two files have this name, and neither has the file name that the bank would use.
        """
        name = check_name(name)
        path = self.find(name)
        if path is None:
            names = self.names()
            if not names and not self.paths():
                raise StyleNotFound(
                    f"style {name!r} is not in the bank {printable(self.folder)}, which is empty. Add a painting, or "
                    "choose another bank with --bank or STYLEBANK_BANK."
                )
            matches = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
            hint = f" Did you mean {', '.join(matches)}?" if matches else " 'stylebank list' shows all names."
            raise StyleNotFound(f"style {name!r} is not in the bank {printable(self.folder)}.{hint}")
        return path

    def header(self, name: str) -> Header:
        """Return a style's header, without reading its arrays."""
        return reader.read_header(self.path(name))

    def candidates(self, name: str) -> list[Path]:
        """Return the files that may contain a style of this name, ignoring case.

        The file names of a bank end in a digest of the style's name, so few files have to be opened. A file that
        was renamed by hand to another style's file name is not among them.
        """
        return [path for path in self.paths() if may_contain(path.name, name)]

    def find(self, name: str, *, thorough: bool = True) -> Path | None:
        """Return the file of a style, whole or damaged, or None.

        Parameters
        ----------
        thorough
            Search every file if none of the `candidates` has it.
        """
        expected = self.folder / file_name(name)
        if os.path.lexists(expected) and read_name(expected) in (name, None):
            return expected  # a damaged file is recognised by its file name
        # a file that was copied by hand may have any name
        found = [path for path in self.candidates(name) if read_name(path) == name]
        if not found and thorough:
            found = self._search(name)
        if len(found) > 1:
            both = " and ".join(printable(path.name) for path in found)
            raise StyleDamaged(f"{printable(self.folder)}: {both} both hold style {name!r}. Remove one of them.")
        return found[0] if found else None

    def _search(self, name: str) -> list[Path]:
        """Return the files with a style of this name, among all files."""
        paths = self.paths()
        found = []
        for path in paths:
            with contextlib.suppress(StyleFileError):
                if self._cache.read_header(path).name == name and read_name(path) == name:
                    found.append(path)
        self._cache.save(paths)
        return found

    def ensure_available(self, name: str, *, replace: bool = False) -> str:
        """Return `name` in NFC form if a style of that name may be written.

        Parameters
        ----------
        name
            In any Unicode form.
        replace
            Whether a style of exactly this name may exist.

        Raises
        ------
        NameRefused, StyleExists
        """
        name = check_name(name)
        for other in filter(None, map(read_name, self.candidates(name))):
            if other == name and not replace:
                raise StyleExists(f"style {name!r} is already in the bank. Choose another name, or add --replace.")
            if other != name and casefold_key(other) == casefold_key(name):
                raise StyleExists(
                    f"style {name!r} differs only in case from {other!r}, which is in the bank. Choose another name."
                )
        if not replace:
            self.free_path(name)
        return name

    def require_new(self, name: str) -> None:
        """Raise `StyleExists` if the bank has a style of this name, ignoring case, or its file."""
        for other in filter(None, map(read_name, self.candidates(name))):
            if casefold_key(other) == casefold_key(name):
                difference = "" if other == name else f", which differs from {name!r} only in case,"
                raise StyleExists(
                    f"style {other!r}{difference} is already in the bank. Choose another name, or remove it."
                )
        self.free_path(name)

    def free_path(self, name: str) -> Path:
        """Return the path for a new style of this name; raise `StyleExists` if another file has it."""
        path = self.folder / file_name(name)
        if os.path.lexists(path):
            try:
                other_name = reader.read_header(path).name
            except StyleDamaged:
                other_name = ""
            hint = (
                f"holds style {other_name!r}. Rename or remove that one first."
                if other_name
                else "is damaged. Remove it first, or add with --replace."
            )
            raise StyleExists(f"style {name!r}: {printable(path)} has its file name, and {hint}")
        return path


def read_name(path: Path) -> str | None:
    """Return the name of the style in a file; None if it is damaged or cannot be read."""
    try:
        return reader.read_header(path).name
    except StyleFileError:
        return None


def require_known(path: Path) -> None:
    """Refuse to replace a file that cannot be read: another style may be in it."""
    with contextlib.suppress(StyleDamaged):
        reader.read_header(path)
