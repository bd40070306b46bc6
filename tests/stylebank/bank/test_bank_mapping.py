"""A bank as a mapping from names to styles."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from stylebank.bank import Bank
from stylebank.errors import NameRefused, StyleDamaged, StyleNotFound
from stylebank.style import Style
from tests.stylebank.bank.conftest import damage
from tests.styles import difference


def test_a_name_gives_the_style(two: Bank) -> None:
    assert isinstance(two["wave"], Style) and difference(two["wave"], two.get("wave")) == ""


def test_length_and_iteration_are_those_of_the_names(two: Bank) -> None:
    assert len(two) == 2 and list(two) == two.names() == ["poppies", "wave"]


def test_keys_values_and_items_go_together(two: Bank) -> None:
    assert two.keys() & {"wave", "storm"} == {"wave"}
    assert [style.name for style in two.values()] == list(two.keys())
    assert [(name, style.name) for name, style in two.items()] == [("poppies", "poppies"), ("wave", "wave")]
    assert list(dict(two)) == ["poppies", "wave"]


def test_an_empty_bank_is_empty(bank: Bank) -> None:
    assert len(bank) == 0 and not bank and list(bank.items()) == []


def test_a_missing_name_is_a_key_error_with_advice(two: Bank) -> None:
    with pytest.raises(KeyError) as caught:
        two["wav"]
    assert isinstance(caught.value, StyleNotFound)
    assert str(caught.value) == f"style 'wav' is not in the bank {two.folder}. Did you mean wave?"


def test_get_raises_without_a_default_and_returns_a_default(two: Bank) -> None:
    with pytest.raises(StyleNotFound):
        two.get("storm")
    with pytest.raises(NameRefused):
        two.get("-")
    assert two.get("storm", None) is None and two.get("-", 7) == 7
    default = two["poppies"]
    assert two.get("storm", default) is default
    assert list(two.get("wave", None, scales=[32]).scales) == [32]
    assert not isinstance(two, Mapping)  # code for mappings may rely on their `get`


@pytest.mark.parametrize("name", ["storm", "-", "a/b", "", 7, None])
def test_what_is_no_name_of_a_style_is_not_in_the_bank(two: Bank, name: object) -> None:
    assert name not in two


def test_a_damaged_style_is_not_listed_and_is_refused_by_name(two: Bank) -> None:
    damage(two.path("wave"))
    assert list(two) == list(two.keys()) == two.names() == ["poppies"] and len(two) == 1
    assert "wave" in two  # its file name says whose it is, and it would be in the way of a new one
    with pytest.raises(StyleDamaged):
        two["wave"]
    with pytest.raises(StyleDamaged):
        two.get("wave", None)


def test_the_repr_is_the_folder(two: Bank) -> None:
    assert repr(two) == f"Bank({str(two.folder)!r})"
    assert len(repr(Bank("/bank/" + "x" * 500))) < 200
