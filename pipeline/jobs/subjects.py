"""Subjects of a run: the images of files, folders and patterns, and the files that are left out."""

from __future__ import annotations

import fnmatch
import functools
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylebank.errors import UsageError, plural, printable
from stylebank.images import READ_SUFFIXES, kinds

from .finished import FinishedOutputs, real_path
from .record import FILE_NAME, LOSSES_NAME
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
_OUTPUT_FOLDER = "an output folder of this job file"
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
    folders = sum(each.reason in {_SYSTEM_FOLDER, _OUTPUT_FOLDER} for each in ordered)
    noun = "files and folders" if 0 < folders < len(ordered) else "folder" if folders else "file"
    count = plural(len(ordered), noun) if noun[-1] != "s" else f"{len(ordered):,} {noun}"
    return f"left out {count}: {', '.join(names)}{f' and {rest:,} more' if rest else ''}"


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
            self._add_files(
                [path],
                (
                    (folder / name, folder.relative_to(path))
                    for folder, names in self._walk(path, self._recursive)
                    for name in names
                ),
            )
        elif os.path.lexists(path) or isinstance(argument, ListedPath) or not glob.has_magic(os.fspath(argument)):
            if path.name in {FILE_NAME, LOSSES_NAME}:  # the shell's * in an output folder
                self.ignored.append(Ignored(path, "the record of an output folder"))
            elif self._finished.in_this_style(
                self._real(path)
            ):  # the shell's *.jpg where outputs stand beside subjects
                self.ignored.append(Ignored(path, "an output in this style"))
            else:
                self._append(Subject(path))
        else:
            self._add_matches(path)

    def _add_files(self, tops: Iterable[Path], files: Iterable[tuple[Path, Path]]) -> None:
        """Add files but the outputs of earlier runs; these too if `tops` hold nothing else, and it is not this run's.

        So a style can be applied to a folder of outputs, and a folder of subjects can hold its outputs.
        """
        outputs: list[tuple[Path, Path]] = []
        count = len(self._subjects)
        for path, below in files:
            if self._real(path) not in self._finished:
                self._add_file(path, below)
            elif self._finished.recorded_in(self._real(path)) is not None:
                outputs.append((path, below))
        folders = {self._real_folder(top) for top in tops}
        nothing_else = len(self._subjects) == count
        for path, below in outputs:
            if nothing_else and self._finished.recorded_in(self._real(path)) in folders:
                self._add_file(path, below)
            else:
                self.ignored.append(Ignored(path, "an output of an earlier run"))

    def _add_file(self, path: Path, below: Path = Path()) -> None:
        if path.name in {FILE_NAME, LOSSES_NAME}:
            return
        suffix = path.suffix.lower()
        if suffix in READ_SUFFIXES:
            self._append(Subject(path, below))
        else:
            self.ignored.append(Ignored(path, kinds.SUFFIXES.get(suffix, NOT_AN_IMAGE), suffix in kinds.SUFFIXES))

    def _append(self, subject: Subject) -> None:
        self._subjects[self._real(subject.path)] = subject

    def _real(self, path: Path) -> str:
        return real_path(path, self._real_folder)

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
            if any(entry.name == FILE_NAME for entry in entries):
                self._finished.read(folder)
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
        if self._finished.is_output_folder(folder):
            self.ignored.append(Ignored(folder, _OUTPUT_FOLDER))
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
        parents = {path.parent for path in matches}
        for parent in parents:
            self._finished.read(parent)
        chosen = [path for path in matches if names[self._real(path)] == path and not is_folder(path)]
        self._add_files(parents, [(path, Path()) for path in chosen])

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
