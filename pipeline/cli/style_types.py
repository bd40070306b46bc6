"""Types of parameters that complete from the bank."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from stylebank.bank import Bank, default_folder

from ..jobs.user_paths import expand_user, refuse_picture


class StyleName(click.ParamType):  # type: ignore[type-arg]
    """The name of a style; completes from the bank.

    Parameters
    ----------
    or_picture
        The command takes pictures, too.
    regions
        The option takes ``REGION=NAME``, too.
    """

    name = "style"
    envvar_list_splitter = ","

    def __init__(self, *, or_picture: bool = False, regions: bool = False) -> None:
        self._or_picture = or_picture
        self._regions = regions

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Say what to do with the path of a picture."""
        text = str(value)
        if self._or_picture:
            return expand_user(text)
        context = ctx.find_root().obj if ctx is not None else None
        if context is not None:
            refuse_picture(text.rpartition(":")[0] or text, context.bank.__contains__)
        return text

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names in the bank that begin with `incomplete`; with regions, also after ``REGION=``."""
        names = _bank_to_complete(ctx).names()
        matches = [name for name in names if name.startswith(incomplete)]
        region, equals, prefix = incomplete.partition("=")
        if equals and self._regions:
            matches += [f"{region}={name}" for name in names if name.startswith(prefix)]
        if self._or_picture and not matches:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(name) for name in matches]


class TrashedName(click.ParamType):  # type: ignore[type-arg]
    """The name of a style in the trash; completes from the trash of the bank."""

    name = "style"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names in the trash that begin with `incomplete`."""
        names = {version.name for version in _bank_to_complete(ctx).trash() if version.name}
        return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


class TagName(click.ParamType):  # type: ignore[type-arg]
    """A tag; completes from the styles of the bank."""

    name = "text"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the tags in the bank that begin with `incomplete`."""
        headers, _damaged = _bank_to_complete(ctx).headers()
        tags = {tag for header in headers for tag in header.tags}
        return [CompletionItem(tag) for tag in sorted(tags) if tag.startswith(incomplete)]


class PresetName(click.ParamType):  # type: ignore[type-arg]
    """The name of a preset; completes from the built-in ones and the files of presets."""

    name = "preset"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the presets that begin with `incomplete`."""
        from ..jobs.presets import preset_names

        names = preset_names(_bank_to_complete(ctx))
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _bank_to_complete(ctx: click.Context) -> Bank:
    """Return the bank that the line names; it is not opened by the group, which completion does not run."""
    return Bank(ctx.find_root().params.get("bank") or default_folder())
