"""Several styles one by one, in place of a blend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stylebank.errors import UsageError, plural, printable

from .run import Run


def single_styles(styles: Sequence[str], *, exists: Callable[[str], bool]) -> list[str]:
    """Return the names of styles that get a picture each.

    Parameters
    ----------
    styles
        Values of ``--style``.
    exists
        Returns whether the bank has a style of that name, which can contain ``=`` and ``:``.

    Raises
    ------
    UsageError
        For a weight or a region, for a style that repeats, and without a style.
    """
    if not styles:
        raise UsageError("no style. Give the name of a style in the bank.")
    for index, text in enumerate(styles):
        if text in styles[:index]:
            raise UsageError(f"style {printable(text)}: repeats. Give it once.")
        if {":", "="} & set(text) and not exists(text):
            raise UsageError(
                f"style {printable(text)}: --each gives every style its own pictures, without weights and regions. "
                "Give the name alone, or leave out --each."
            )
    return list(styles)


def blend_note(styles: Sequence[str], run: Run) -> str:
    """Return a note on styles that blend, if one of them has no weight; else an empty text."""
    for region in run.style_spec.regions:
        names = [name for name, _weight in region.parts]
        without_weight = {f"{region.name}={name}" if region.name else name for name in names} & set(styles)
        if len(names) > 1 and without_weight:
            listed = f"{', '.join(map(printable, names[:-1]))} and {printable(names[-1])}"
            return f"styles {listed} blend into one; --each gives each its own pictures"
    return ""


def require_folder(runs: Sequence[Run]) -> None:
    """Refuse one output file, or one animation, for several styles.

    Raises
    ------
    UsageError
    """
    count = plural(len(runs), "style")
    for run in runs:
        if run.planned.template is None:
            output = printable(run.planned.tasks[0].output)
            raise UsageError(f"{output}: one file for {count}. Give --output a folder, or leave out --each.")
        if run.outputs.animation is not None:
            raise UsageError(f"{printable(run.outputs.animation)}: one animation for {count}. Give one style.")
