"""Recipes of styles that were computed from others, and those whose parts were replaced."""

from __future__ import annotations

import dataclasses
import json

import pytest

from stylebank.bank.combine import mix, pool
from stylebank.bank.recipes import Part, Recipe, outdated_combinations, recipe_of
from stylebank.style import Header
from tests import styles


def header(name: str, digest: str, recipe: str = "") -> Header:
    return dataclasses.replace(styles.style(name).header, content_sha256=digest, recipe=recipe)


def recipe(kind: str, *parts: tuple[str, str]) -> str:
    return json.dumps(
        {"kind": kind, "parts": [{"name": name, "content_sha256": digest, "weight": 0.5} for name, digest in parts]}
    )


def test_the_recipes_of_mixes_and_pools_are_read() -> None:
    a, b = styles.style("a"), styles.style("b", seed=1)
    assert recipe_of(a.header) is None
    assert recipe_of(mix([a, b], [3, 1], "m").header) == Recipe("mix", (Part("a", "", 0.75), Part("b", "", 0.25)))
    assert recipe_of(pool([a, b], "p").header) == Recipe("pool", (Part("a", "", 0.5), Part("b", "", 0.5)))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        '"mix"',
        '{"kind": "mix"}',
        '{"kind": "mix", "parts": []}',
        '{"kind": "mix", "parts": [1]}',
        '{"kind": ["mix"], "parts": [{"name": "a", "content_sha256": "", "weight": 1}]}',
        '{"kind": "mix", "parts": [{"name": "a", "content_sha256": "", "weight": "much"}]}',
        "[" * 100_000,
    ],
)
def test_a_recipe_that_a_stranger_wrote_is_no_recipe(text: str) -> None:
    assert recipe_of(header("m", "1", text)) is None


def test_combinations_of_replaced_parts_are_outdated_and_those_of_them() -> None:
    headers = [
        header("a", "new a"),
        header("b", "b"),
        header("further", "3", recipe("pool", ("old", "1"), ("b", "b"))),
        header("old", "1", recipe("mix", ("a", "old a"), ("b", "b"))),
        header("other", "2", recipe("mix", ("b", "b"))),
        header("renamed", "4", recipe("mix", ("former", "old a"))),
    ]
    found = outdated_combinations(headers, {"old a"}, {"a"})
    assert [each.name for each in found] == ["further", "old", "renamed"]


def test_a_part_that_was_replaced_earlier_is_recognised_by_its_name() -> None:
    headers = [header("a", "new a"), header("m", "1", recipe("mix", ("a", "old a")))]
    assert outdated_combinations(headers, set(), set()) == []
    assert outdated_combinations(headers, set(), {"a"}) == headers[1:]
    kept = [*headers, header("renamed", "old a")]
    assert outdated_combinations(kept, set(), {"a"}) == []
