"""Recipes: how a style was computed from others, and the styles whose parts have changed since."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..style import Header


@dataclass(frozen=True)
class Part:
    """A style in a recipe: its name and digest at the time, and its weight."""

    name: str
    content_sha256: str
    weight: float


@dataclass(frozen=True)
class Recipe:
    """How a style was computed: ``mix`` or ``pool``, and its parts."""

    kind: str
    parts: tuple[Part, ...]


def recipe_of(header: Header) -> Recipe | None:
    """Return the recipe of a style; None for a measured style, and for a recipe that is not of `mix` or `pool`.

    The recipe of a file is text of its author, so nothing about it is taken for granted.
    """
    try:
        content = json.loads(header.recipe)
        parts = tuple(
            Part(str(part["name"]), str(part["content_sha256"]), float(part["weight"])) for part in content["parts"]
        )
        return Recipe(content["kind"], parts) if content["kind"] in ("mix", "pool") and parts else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def outdated_combinations(headers: Sequence[Header], replaced: Collection[str], names: Collection[str]) -> list[Header]:
    """Return the mixes and pools with a part that was replaced, and those computed from them.

    Parameters
    ----------
    headers
        Headers of the bank.
    replaced
        Digests of styles that were replaced.
    names
        Names of styles that may have been replaced earlier: a part of this name whose digest is not in the bank was.
    """
    present = {header.content_sha256 for header in headers}
    combined = [(header, recipe) for header in headers if (recipe := recipe_of(header)) is not None]
    old = set(replaced)
    outdated: list[Header] = []
    while True:
        further = [
            header
            for header, recipe in combined
            if header not in outdated
            and any(
                part.content_sha256 in old or (part.name in names and part.content_sha256 not in present)
                for part in recipe.parts
            )
        ]
        if not further:
            return [header for header in headers if header in outdated]
        outdated += further
        old |= {header.content_sha256 for header in further}
