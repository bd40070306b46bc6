"""A bank: a folder with one file per style."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import reprlib
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from pathlib import Path
from typing import Any, TypeVar, cast, overload

from ..errors import (
    NameRefused,
    StyleExists,
    StyleNotFound,
    printable,
)
from ..files import flush_folder
from ..names import casefold_key, check_name, file_name
from ..storage import reader
from ..style import Header, Style
from .commit import commit, rename_note, writing
from .index import StyleIndex, require_known
from .location import default_folder, expand_user
from .trash import TrashedStyle, copy_to_trash, move_to_trash, newest_whole, trashed, versions_of

_Default = TypeVar("_Default")
#: Stands for a default that was not passed, since None is one.
_RAISE: Any = object()
_shorten = reprlib.Repr()
_shorten.maxstring = 150


class Bank(StyleIndex):
    """Styles in a folder: a mapping from names to styles.

    ``bank[name]`` loads a style. Iteration, `len` and `keys` cover the whole styles, as `names` does, and read
    every header. `values` and `items` load one style at a time. A damaged style is not listed, but ``name in bank``
    is true, and ``bank[name]`` raises `StyleDamaged`.

    `get` differs from `dict.get`: without a default it raises `StyleNotFound`. Therefore a bank is no instance of
    `collections.abc.Mapping`. Two banks are equal only if they are the same object.

    Readers take no lock: a style file is complete when it gets its name, and does not change afterwards. Writers
    take a lock, so that none overwrites another's work.

    Parameters
    ----------
    folder : path, optional
        `default_folder` by default. The first write creates it.
    lock_timeout : float
        Seconds to wait for another writer.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, lock_timeout: float = 30.0) -> None:
        super().__init__(expand_user(Path(folder) if folder is not None else default_folder()))
        self.lock_timeout = lock_timeout

    def __repr__(self) -> str:
        return f"Bank({_shorten.repr(printable(self.folder))})"

    def __getitem__(self, name: str) -> Style:
        """Load a style with all its scales, as `get` does."""
        return self.get(name)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the whole styles, in the order of `names`."""
        return iter(self.names())

    def __len__(self) -> int:
        """Return the number of whole styles."""
        return len(self.names())

    def keys(self) -> KeysView[str]:
        """Return a view of the names of the whole styles."""
        return KeysView(cast(Mapping[str, Style], self))

    def values(self) -> ValuesView[Style]:
        """Return a view of the styles, each loaded when iteration reaches it.

        Iteration raises `StyleDamaged` for damaged numbers, and `StyleNotFound` for a style removed meanwhile.
        """
        return ValuesView(cast(Mapping[str, Style], self))

    def items(self) -> ItemsView[str, Style]:
        """Return a view of (name, style), each style loaded when iteration reaches it; it raises as `values` does."""
        return ItemsView(cast(Mapping[str, Style], self))

    @overload
    def get(self, name: str, *, scales: Sequence[int] | None = None) -> Style: ...

    @overload
    def get(self, name: str, default: _Default, *, scales: Sequence[int] | None = None) -> Style | _Default: ...

    def get(self, name: str, default: Any = _RAISE, *, scales: Sequence[int] | None = None) -> Any:
        """Load a style, with every number checked.

        Parameters
        ----------
        default
            Returned if the bank has no style of this name. Without it the style must be present.
        scales
            Load only these of its `Header.sizes`; all of them by default.

        Raises
        ------
        StyleNotFound, NameRefused
            If the style is missing and there is no default.
        StyleDamaged, StyleUnreadable
            Whether or not there is a default.
        UsageError
            If the style has none of these scales.
        """
        try:
            path = self.path(name)
        except (StyleNotFound, NameRefused):
            if default is _RAISE:
                raise
            return default
        return reader.read(path, scales)

    def add(self, style: Style, *, replace: bool = False) -> Header:
        """Write a style into the bank atomically.

        Parameters
        ----------
        style
            With all the scales of its header.
        replace
            Whether to replace a style of the same name; the trash keeps it.

        Returns
        -------
        Header
            As written, with the digest.

        Raises
        ------
        NameRefused, StyleExists, BankBusy, OutputRefused
        """
        with writing(self.folder, self.lock_timeout):
            name = self.ensure_available(style.name, replace=replace)
            target = self.find(name, thorough=replace)
            if target is None:
                target = self.free_path(name)
            else:
                require_known(target)
            named = dataclasses.replace(style, header=dataclasses.replace(style.header, name=name))
            return commit(target, named, before_rename=copy_to_trash if os.path.lexists(target) else None)

    def remove(self, *names: str, forever: bool = False) -> None:
        """Remove styles. If one is missing, none is removed.

        Parameters
        ----------
        *names
            Names of styles.
        forever
            Delete the files, and all versions of these styles in the trash. By default the trash keeps the files.
            With it, a name may be in the trash only.

        Raises
        ------
        StyleNotFound, BankBusy, OutputRefused
        """
        names = tuple(map(check_name, names))
        versions = [version for version in self.trash() if any(map(version.holds, names))] if forever else []
        for name in names:
            if not any(version.holds(name) for version in versions):
                self.path(name)  # before the lock: its file would create the folder of a mistyped bank
        with writing(self.folder, self.lock_timeout):
            paths = [path for name in names if (path := self.find(name))]
            if not forever:
                paths = [self.path(name) for name in names]
            for path in dict.fromkeys(paths):
                path.unlink(missing_ok=True) if forever else move_to_trash(path)
            for version in self.trash() if forever else ():
                if any(map(version.holds, names)):
                    version.path.unlink(missing_ok=True)
            flush_folder(self.folder)

    def trash(self) -> list[TrashedStyle]:
        """Return the versions that `remove` and `add` with ``replace`` have kept, newest first.

        A version that is damaged or cannot be read has no header, and a reason.
        A version is deleted after 30 days, with 3 newer ones of its style, or after a day when all have over 20 GiB.
        """
        return trashed(self.folder)

    def restore(self, *names: str, replace: bool = False) -> list[Header]:
        """Bring back the newest whole version of each style from the trash. If one cannot come back, none does.

        A warning of the log names a newer version that is damaged.

        Parameters
        ----------
        *names
            As in `trash`.
        replace
            Whether styles of these names may exist; the trash then keeps those.

        Returns
        -------
        list of Header
            Of the restored styles, in the order of `names`.

        Raises
        ------
        StyleNotFound, StyleExists, StyleDamaged, StyleUnreadable, BankBusy, OutputRefused
        """
        names = tuple(dict.fromkeys(map(check_name, names)))
        versions_of(self.folder, names)  # before the lock, as in `remove`
        with writing(self.folder, self.lock_timeout, empty_trash=False):
            versions = versions_of(self.folder, names)
            targets: dict[str, Path] = {}
            for name in names:
                self.ensure_available(name, replace=replace)
                target = self.find(name) or self.free_path(name)
                if target in targets.values():
                    raise StyleExists(f"style {name!r} differs only in case from another one. Restore one of them.")
                targets[name] = target
            chosen = {name: newest_whole(name, versions[name]) for name in names}
            for name, target in targets.items():
                if os.path.lexists(target):
                    require_known(target)
                    copy_to_trash(target)
                chosen[name][1].replace(target)
            flush_folder(self.folder)
            return [header for header, _path in chosen.values()]

    def rename(self, old: str, new: str) -> Header:
        """Rename a style. Its content digest stays the same.

        Returns
        -------
        Header
            As written.

        Raises
        ------
        StyleNotFound, NameRefused, StyleExists, StyleDamaged, BankBusy, OutputRefused
        """
        self.path(old)
        with writing(self.folder, self.lock_timeout):
            path = self.path(old)
            new = check_name(new)
            if casefold_key(new) != casefold_key(old):
                self.require_new(new)
            target = self.folder / file_name(new)
            if target != path:
                target = self.free_path(new)
            style = reader.read(path)
            renamed = dataclasses.replace(style, header=dataclasses.replace(style.header, name=new))
            with rename_note(path) if target != path else contextlib.nullcontext():
                return commit(path, renamed)

    def update(self, name: str, change: Callable[[Style], Style], *, keep: bool = False) -> Header:
        """Change a style, for example its tags.

        Parameters
        ----------
        name
            As in `names`.
        change
            Function of the complete style that returns the changed one, with the same name. If it returns the
            same object, nothing is written.
        keep
            Whether the trash keeps the style as it was.

        Returns
        -------
        Header
            As written.

        Raises
        ------
        StyleNotFound, StyleDamaged, BankBusy, OutputRefused
        """
        self.path(name)
        with writing(self.folder, self.lock_timeout):
            path = self.path(name)
            style = reader.read(path)
            changed = change(style)
            if changed is style:
                return style.header
            return commit(path, changed, before_rename=copy_to_trash if keep else None)
