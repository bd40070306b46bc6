"""Styles that share tags, and styles that are alike, stand side by side."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from stylebank.bank import Bank
from stylebank.bank.ordering import by_tags_and_similarity
from stylebank.style import Style
from tests import styles


def tagged(style: Style, *tags: str) -> Style:
    return dataclasses.replace(style, header=dataclasses.replace(style.header, tags=tags))


def order(bank: Bank) -> list[str]:
    return [header.name for header, _path in by_tags_and_similarity(bank.entries()[0])]


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "bank")


def test_equal_styles_are_neighbours(bank: Bank) -> None:
    for name, seed in (("a", 1), ("b", 2), ("c", 3), ("d", 1), ("e", 2), ("f", 3)):
        bank.add(styles.varied(name, seed))
    names = order(bank)
    for pair in ("ad", "be", "cf"):
        assert abs(names.index(pair[0]) - names.index(pair[1])) == 1, names
    assert names[0] < names[-1]


def test_tags_come_before_similarity(bank: Bank) -> None:
    for name, seed, tag in (("a", 1, "sea"), ("b", 1, "town"), ("c", 2, "sea"), ("d", 2, "town")):
        bank.add(tagged(styles.varied(name, seed), tag))
    names = order(bank)
    assert {frozenset(names[:2]), frozenset(names[2:])} == {frozenset("ac"), frozenset("bd")}


def test_a_style_measured_in_another_way_stays_beside_its_tag(bank: Bank) -> None:
    bank.add(tagged(styles.varied("a", 1), "sea"))
    bank.add(tagged(styles.varied("b", 2), "town"))
    bank.add(tagged(styles.varied("c", 3), "town"))
    other = styles.style("other", layers=("pixels", "conv1_1"), tags=("sea",))
    bank.add(other)
    names = order(bank)
    assert abs(names.index("other") - names.index("a")) == 1, names


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_styles_stand_by_name(bank: Bank, count: int) -> None:
    for name in "ba"[:count]:
        bank.add(styles.varied(name, 1))
    assert order(bank) == sorted("ba"[:count])
