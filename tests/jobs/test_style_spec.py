from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.jobs.style_spec import StyleSpec, below, parse
from stylebank.errors import StylebankError, UsageError


def read(*styles: str, masks: tuple[str, ...] = (), known: tuple[str, ...] = ()) -> StyleSpec:
    return parse(styles, masks, exists=lambda name: name in known)


def test_a_single_style_is_its_name() -> None:
    style_spec = read("monet")
    assert (style_spec.text, style_spec.label, style_spec.names, style_spec.masked) == (
        "monet",
        "monet",
        ["monet"],
        False,
    )
    assert style_spec.digest({"monet": "abc"}) == "abc"
    assert read("monet:0.3").regions == style_spec.regions  # alone it is all there is


def test_weights_are_normalized_and_decide_the_digest() -> None:
    style_spec = read("a:3", "b:1")
    assert style_spec.regions[0].parts == (("a", 0.75), ("b", 0.25))
    assert (style_spec.text, style_spec.label) == ("a:0.75,b:0.25", "a+b")
    digests = {"a": "1", "b": "2"}
    assert style_spec.digest(digests) == read("a:6", "b:2").digest(digests)
    assert len({read(*two).digest(digests) for two in (("a:3", "b"), ("a", "b:3"), ("b", "a:3"))}) == 3


def test_regions_have_styles_and_all_but_one_a_mask() -> None:
    style_spec = read("sky=a:0.6", "sky=b:0.4", "rest=c", masks=("sky=sky.png",))
    assert [(region.name, region.mask) for region in style_spec.regions] == [("sky", "sky.png"), ("rest", None)]
    assert style_spec.text == "sky=a:0.6,b:0.4 rest=c" and style_spec.label == "a+b+c" and style_spec.masked


def test_a_mask_alone_needs_no_region_and_may_hold_an_equals_sign() -> None:
    assert read("a", masks=("x=1.png",)).regions[0].mask == "x=1.png"


def test_names_in_the_bank_come_before_the_grammar() -> None:
    assert read("a:0.5", known=("a:0.5",)).names == ["a:0.5"]
    assert read("sky=a", known=("sky=a",)).names == ["sky=a"]
    assert read("a:b").names == ["a:b"]


@pytest.mark.parametrize(
    ("styles", "masks", "message"),
    [
        ((), (), "no style"),
        (("a", "a"), (), "repeats"),
        (("a:-1", "b"), (), "expected a finite weight"),
        (("a:nan", "b"), (), "expected a finite weight"),
        (("a:1e400", "b"), (), "expected a finite weight"),
        ((f"a:{'9' * 400}", "b"), (), "expected a finite weight"),
        (("a:1e308", "b:1e308"), (), "the sum of the weights is not finite"),
        (("a:0", "b:0"), (), "at least one above 0"),
        (("a", "sky=b"), (), r"a: no region.*REGION=NAME"),
        (("sky=a", "rest=b"), (), "no masks.*--mask REGION=FILE"),
        (("sky=a",), (), "region sky: no mask"),
        (("sky=a", "rest=b"), ("ground=x.png",), "no region ground.*sky, rest"),
        (("sky=a", "rest=b"), ("x.png",), "of no region.*REGION=FILE"),
        (("sky=a", "rest=b"), ("sky=x.png", "sky=y.png"), "a second mask"),
        (("a/b",), (), "a/b"),
    ],
)
def test_a_contradictory_specification_is_refused(
    styles: tuple[str, ...], masks: tuple[str, ...], message: str
) -> None:
    with pytest.raises(StylebankError, match=message):
        read(*styles, masks=masks)


def test_masks_of_a_job_lie_below_its_folder(tmp_path: Path) -> None:
    assert below("sky=sky.png", tmp_path, regions=True) == f"sky={tmp_path / 'sky.png'}"
    assert below("sky.png", tmp_path, regions=True) == str(tmp_path / "sky.png")
    assert below("/masks/sky.png", tmp_path, regions=True) == "/masks/sky.png"
    assert below("w=1/a.png", tmp_path, regions=False) == str(tmp_path / "w=1/a.png")
    with pytest.raises(UsageError):
        read("sky=a", "rest=b", masks=(below("other=x.png", tmp_path, regions=True),))
