"""Subjects of a run: the images of files, folders and patterns, and the files that are left out."""

from __future__ import annotations

import fnmatch
import functools
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylebank.errors import UsageError, plural, printable
from stylebank.images import READ_SUFFIXES, kinds

from .naming import steps_folder
from .record import FILE_NAME as RECORD_NAME
from .record import Record
from .subject_lists import ListedPath

#: Folders of previews, deleted files and snapshots that systems and NAS devices add, in lower case.
SYSTEM_FOLDERS = frozenset(
    {
        "@eadir",
        "@recycle",
        "@recently-snapshot",
        "@tmp",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        ".thumbnails",
        "__macosx",
        "lost+found",
        "system volume information",
    }
)
NOT_AN_IMAGE = "not an image by its name"
_SYSTEM_FOLDER = "a system folder"
_MOST_NAMES = 5


@dataclass(frozen=True)
class Subject:
    """An image to stylize, or a folder that cannot be listed.

    Attributes
    ----------
    path
    below
        Its subfolder in the output folder.
    problem : str or None
        Reason why a folder cannot be listed; None for an image.
    """

    path: Path
    below: Path = Path()
    problem: str | None = None


@dataclass(frozen=True)
class Ignored:
    """A file or system folder that is left out.

    Attributes
    ----------
    path
    reason : str
        What it is, such as ``HEIC photograph`` or ``an output in this style``.
    is_picture : bool
        Whether it is a picture of a kind that is not read.
    """

    path: Path
    reason: str
    is_picture: bool = False


def ignored_line(ignored: Sequence[Ignored]) -> str:
    """Return one line that names at most five of the files, pictures first, and counts the rest; "" for none."""
    distinct = list({each.path: each for each in ignored}.values())
    if not distinct:
        return ""
    ordered = sorted(distinct, key=lambda each: not each.is_picture)
    names = [
        printable(each.path.name) + ("" if each.reason == NOT_AN_IMAGE else f" ({each.reason})")
        for each in ordered[:_MOST_NAMES]
    ]
    rest = len(ordered) - len(names)
    folders = sum(each.reason == _SYSTEM_FOLDER for each in ordered)
    noun = "files and folders" if 0 < folders < len(ordered) else "folder" if folders else "file"
    count = plural(len(ordered), noun) if noun[-1] != "s" else f"{len(ordered):,} {noun}"
    return f"left out {count}: {', '.join(names)}{f' and {rest:,} more' if rest else ''}"


class FinishedOutputs:
    """Outputs of earlier runs, by the record; folders and patterns skip them."""

    def __init__(self, folder: Path, style: str) -> None:
        done = [entry for entry in Record(folder).entries() if entry.status == "done"]
        parent = functools.cache(os.path.realpath)
        self._outputs = {_real(folder / entry.output, parent): entry.style for entry in done}
        self._steps = {_real(steps_folder(folder / entry.output), parent) for entry in done}
        self._style = style

    def __contains__(self, path: str) -> bool:
        """Return whether an output has this path, with its folder resolved."""
        return path in self._outputs

    def in_this_style(self, path: str) -> bool:
        """Return whether an output in the style of the run has this path, with its folder resolved."""
        return self._outputs.get(path) == self._style

    def holds_steps(self, folder: str) -> bool:
        """Return whether a folder, with its parent resolved, holds the snapshots of an output."""
        return folder in self._steps


class SubjectSearch:
    """Collects the subjects of a run.

    Parameters
    ----------
    recursive
        Search the folders below a folder, too. Links to folders are followed; a folder is searched once.
    finished
        Outputs to skip.

    Attributes
    ----------
    ignored : list of Ignored
    """

    def __init__(self, recursive: bool, finished: FinishedOutputs) -> None:
        self.ignored: list[Ignored] = []
        self._recursive = recursive
        self._finished = finished
        self._subjects: dict[str, Subject] = {}
        self._real_folder = functools.cache(os.path.realpath)

    @property
    def subjects(self) -> list[Subject]:
        """The subjects in the order of the arguments; each file once."""
        return list(self._subjects.values())

    def add(self, argument: str | os.PathLike[str]) -> None:
        """Add the images of a file, a folder or a pattern.

        A path that exists is never a pattern, and neither is one from a list. A missing file is a subject, which
        fails when it is read.

        Raises
        ------
        UsageError
            If no file matches a pattern.
        """
        path = Path(argument)
        if is_folder(path):
            for folder, names in self._walk(path, self._recursive):
                for name in names:
                    self._add_file(folder / name, folder.relative_to(path))
        elif os.path.lexists(path) or isinstance(argument, ListedPath) or not glob.has_magic(os.fspath(argument)):
            if self._finished.in_this_style(self._real(path)):  # the shell's *.jpg where outputs stand beside subjects
                self.ignored.append(Ignored(path, "an output in this style"))
            else:
                self._append(Subject(path))
        else:
            self._add_matches(path)

    def _add_file(self, path: Path, below: Path = Path()) -> None:
        if path.name == RECORD_NAME or self._real(path) in self._finished:
            return
        suffix = path.suffix.lower()
        if suffix in READ_SUFFIXES:
            self._append(Subject(path, below))
        else:
            self.ignored.append(Ignored(path, kinds.SUFFIXES.get(suffix, NOT_AN_IMAGE), suffix in kinds.SUFFIXES))

    def _append(self, subject: Subject) -> None:
        self._subjects[self._real(subject.path)] = subject

    def _real(self, path: Path) -> str:
        return _real(path, self._real_folder)

    def _walk(self, top: Path, recursive: bool) -> Iterator[tuple[Path, list[str]]]:
        """Yield folders from `top` down, each once, with the names of their files; linked folders come last."""
        folders = [top]
        links: list[Path] = []
        walked: set[str] = set()
        while folders or links:
            folder = folders.pop() if folders else links.pop(0)
            real = self._real_folder(folder)
            if real in walked:
                continue
            walked.add(real)
            entries = self._entries(folder, folder.relative_to(top))
            if entries is None:
                continue
            below = {entry.name: entry for entry in entries if _is_folder(entry)}
            yield folder, [entry.name for entry in entries if entry.name not in below and entry.name[0] != "."]
            if not recursive:
                continue
            searched = [below[name] for name in below if self._is_searched(folder / name) and name[0] != "."]
            folders += [folder / entry.name for entry in reversed(searched) if not entry.is_symlink()]
            links += [folder / entry.name for entry in searched if entry.is_symlink()]

    def _is_searched(self, folder: Path) -> bool:
        """Return whether the files of a subfolder can be subjects."""
        if folder.name.lower() in SYSTEM_FOLDERS:
            self.ignored.append(Ignored(folder, _SYSTEM_FOLDER))
            return False
        return not self._finished.holds_steps(self._real(folder))

    def _entries(self, folder: Path, below: Path = Path()) -> list[os.DirEntry[str]] | None:
        """Return the entries of a folder by name; None if it cannot be listed, which is a failure if it exists."""
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._append_unreadable(folder, below, error)
            return None

    def _append_unreadable(self, folder: Path, below: Path, error: OSError) -> None:
        problem = (
            f"{printable(folder)}: the folder cannot be listed ({error.strerror or error}). "
            "Check its permissions, or leave it out."
        )
        self._append(Subject(folder, below, problem))

    def _add_matches(self, pattern: Path) -> None:
        anchor = Path(pattern.anchor)
        unreadable = len(self._subjects)
        matches = sorted(set(self._matches(anchor, pattern.relative_to(anchor).parts)), key=str)
        if not matches and len(self._subjects) == unreadable:
            raise UsageError(f"{printable(pattern)}: no file matches. Check the pattern.")
        names: dict[str, Path] = {}  # one of each file, without linked folders if there is one
        for path in sorted(matches, key=lambda path: self._real(path) != os.path.abspath(path)):
            names.setdefault(self._real(path), path)
        for path in matches:
            if names[self._real(path)] == path and not is_folder(path):
                self._add_file(path)

    def _matches(self, folder: Path, parts: Sequence[str]) -> Iterator[Path]:
        """Yield what matches a pattern's `parts` in `folder`; a part that exists is no pattern."""
        head, rest = parts[0], parts[1:]
        path = folder / head
        try:
            path.lstat()
        except PermissionError as error:
            self._append_unreadable(folder, Path(), error)
            return
        except (OSError, ValueError):
            if not glob.has_magic(head):
                return
        else:
            yield from self._matches(path, rest) if rest else [path]
            return
        if head == "**":
            for below, names in self._walk(folder, recursive=True):
                yield from self._matches(below, rest) if rest else [below / name for name in names]
            return
        for entry in self._entries(folder) or ():
            if not fnmatch.fnmatch(entry.name, head) or (entry.name[0] == "." and head[0] != "."):
                continue
            if not rest:
                yield folder / entry.name
            elif _is_folder(entry) and self._is_searched(folder / entry.name):
                yield from self._matches(folder / entry.name, rest)


def _real(path: Path, real_folder: Callable[[Path], str]) -> str:
    """Return the path with its folder resolved: two names of a folder are one, two names of a file are not."""
    return os.path.join(real_folder(path.parent), path.name)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder, or a link to one; False where the system does not tell."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except PermissionError:  # a link into a folder that is closed to the user
        return not Path(entry.name).suffix
    except OSError:  # a link that leads to itself
        return False
