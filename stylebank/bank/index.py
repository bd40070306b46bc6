"""What is in a folder of style files, and where."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from ..errors import NameRefused, StylebankError, StyleDamaged, StyleNotFound, printable
from ..files import describe_os_error
from ..names import SUFFIX, casefold_key, check_name, file_name, may_contain
from ..storage import reader
from ..style import Header


class StyleIndex:
    """The style files of a folder, looked at without changing any.

    Parameters
    ----------
    folder : path
        It need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paths(self) -> list[Path]:
        """Return the style files, whatever their state; none if the folder is not there yet.

        Raises
        ------
        StylebankError
            If the folder cannot be listed.
        """
        try:
            with os.scandir(self.folder) as entries:
                names = sorted(entry.name for entry in entries)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StylebankError(f"{printable(self.folder)}: {describe_os_error(error)}") from error
        return [self.folder / name for name in names if name.endswith(SUFFIX) and not name.startswith(".")]

    def headers(self) -> tuple[list[Header], list[StyleDamaged]]:
        """Return the header of every whole style, by name, and an error for every other file.

        Of two files that claim one name the second has an error.
        """
        entries, damaged = self.entries()
        return [header for header, _path in entries], damaged

    def entries(self) -> tuple[list[tuple[Header, Path]], list[StyleDamaged]]:
        """Return as `headers` does, each header with its file."""
        found: list[tuple[Header, Path]] = []
        damaged: list[StyleDamaged] = []
        for path in self.paths():
            try:
                found.append((reader.read_header(path), path))
            except StyleDamaged as error:
                # one that another process removed since it was listed is no damage
                if not isinstance(error.__cause__, FileNotFoundError) or path.is_symlink():
                    damaged.append(error)
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
            With the nearest names there are.
        StyleDamaged
            If two files claim the name, and neither is the one the bank would keep it in.
        """
        name = check_name(name)
        path = self.find(name)
        if path is None:
            matches = difflib.get_close_matches(name, self.names(), n=3, cutoff=0.5)
            hint = f" Did you mean {', '.join(matches)}?" if matches else " 'stylebank list' shows what there is."
            raise StyleNotFound(f"style {name!r} is not in the bank {printable(self.folder)}.{hint}")
        return path

    def header(self, name: str) -> Header:
        """Return what a style says of itself, without its arrays."""
        return reader.read_header(self.path(name))

    def candidates(self, name: str) -> list[Path]:
        """Return the files in which to expect a style of this name, in whatever case.

        The bank's own file names end in a digest of the name, so that of a thousand styles
        hardly one is opened. A file that somebody gave such a name of another style is not
        among them.
        """
        return [path for path in self.paths() if may_contain(path.name, name)]

    def find(self, name: str, *, thorough: bool = True) -> Path | None:
        """Return the file of a style if there is one, whole or damaged.

        Parameters
        ----------
        thorough
            Look into every file where those of `candidates` do not have it.
        """
        expected = self.folder / file_name(name)
        if os.path.lexists(expected) and read_name(expected) in (name, None):
            return expected  # also when damaged: its file name says whose it is
        # a file copied into the folder by hand may have any name
        found = [path for path in self.candidates(name) if read_name(path) == name]
        if not found and thorough:
            found = [path for path in self.paths() if read_name(path) == name]
        if len(found) > 1:
            both = " and ".join(printable(path.name) for path in found)
            raise StyleDamaged(f"{printable(self.folder)}: {both} both hold style {name!r}. Remove one of them.")
        return found[0] if found else None


def read_name(path: Path) -> str | None:
    """Return the name of the style in a file; None if it is damaged."""
    try:
        return reader.read_header(path).name
    except StyleDamaged:
        return None
