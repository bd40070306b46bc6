"""Fingerprints in words, and styles in groups that were measured alike."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from stylebank.bank.combine import require_comparable
from stylebank.bank.fingerprints import describe, differing, groups, listed, remedy
from stylebank.errors import FingerprintMismatch
from stylebank.style import CONVOLUTIONS, PIXELS, Fingerprint, Header
from tests import styles

OLD = Fingerprint("ab" * 32, (PIXELS, *CONVOLUTIONS), "avg", "reflect")
NEW = Fingerprint("ab" * 32, (PIXELS, *(f"relu{block}_1" for block in range(1, 6))), "max", "reflect")


def header(name: str, fingerprint: Fingerprint, recipe: str = "") -> Header:
    return dataclasses.replace(styles.style(name).header, fingerprint=fingerprint, recipe=recipe)


def test_a_measure_is_its_layers_and_its_pooling() -> None:
    assert describe(OLD) == "16 layers (conv1_1 to conv5_4), average pooling"
    assert describe(NEW) == "5 layers (relu1_1 to relu5_1), maximum pooling"
    assert describe(dataclasses.replace(OLD, layers=(PIXELS, "conv3_1")), ["layers"]) == "1 layer (conv3_1)"
    assert describe(dataclasses.replace(OLD, layers=(PIXELS,)), ["layers"]) == "no layers"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("network", "vgg\x1b[31m16", "network vgg\\x1b[31m16"),
        ("weights_sha256", "0123456789abcdef", "weights 0123456789ab"),
        ("pooling", "none", "no pooling"),
        ("padding", "zero", "zero padding"),
        ("color", "linear" * 10, "color linearlinearlinearlinear"),
        ("resampling", "box", "box resampling"),
        ("ridge", 0.001, "ridge 0.001"),
    ],
)
def test_every_field_has_words_and_those_of_a_file_are_printable(key: str, value: Any, words: str) -> None:
    other = dataclasses.replace(OLD, **{key: value})
    assert differing([OLD, other]) == [key]
    assert describe(other, [key]) == words
    with pytest.raises(FingerprintMismatch) as refused:
        require_comparable([header("a", OLD), header("b", other)])
    assert f"b: {words}. Choose" in str(refused.value)


def test_styles_that_do_not_fit_are_listed_in_groups_with_all_that_differs() -> None:
    headers = [header("monet", OLD), header("hokusai", NEW), header("klimt", OLD), header("monet", OLD)]
    listed_groups = (
        "monet, klimt: 16 layers (conv1_1 to conv5_4), average pooling; "
        "hokusai: 5 layers (relu1_1 to relu5_1), maximum pooling"
    )
    assert groups(headers) == listed_groups
    with pytest.raises(FingerprintMismatch) as refused:
        require_comparable(headers)
    assert str(refused.value) == (
        f"styles do not fit together: {listed_groups}. Choose styles of one kind, "
        "or measure the paintings alike with 'stylebank remeasure PAINTING...'."
    )


def test_styles_without_a_common_layer_do_not_fit_at_the_same_pooling() -> None:
    with pytest.raises(
        FingerprintMismatch, match=r"a: 16 layers \(conv1_1 to conv5_4\); b: 5 layers \(relu1_1 to relu"
    ):
        require_comparable([header("a", OLD), header("b", dataclasses.replace(NEW, pooling="avg"))])
    fewer = dataclasses.replace(OLD, layers=(PIXELS, "conv1_1", "relu1_1"))
    assert require_comparable([header("a", OLD), header("b", fewer)]) == (PIXELS, "conv1_1")


def test_mixes_are_mixed_again_after_their_paintings() -> None:
    headers = [header("a", OLD), header("storm", NEW, '{"kind": "mix"}')]
    assert remedy(headers[:1]) == "measure the paintings alike with 'stylebank remeasure PAINTING...'"
    assert remedy(headers).endswith("'stylebank remeasure PAINTING...', then mix or pool storm again")


def test_many_names_are_cut_short() -> None:
    assert listed(list("abcde")) == "a, b, c, d, e"
    assert listed([*"abcde", *"x" * 1200]) == "a, b, c, d, e and 1,200 more"


def test_styles_of_pixels_alone_have_no_layer_to_share() -> None:
    with pytest.raises(FingerprintMismatch, match="do not fit together: a, b: no layers"):
        require_comparable([header(name, dataclasses.replace(OLD, layers=(PIXELS,))) for name in "ab"])
