"""Print sizes: texts, pixels, and the place of a photograph on the paper."""

from __future__ import annotations

import itertools

import pytest

from pipeline.print_sizes import FORMATS, lay_out, overridden, parse
from pipeline.settings import SynthesisSettings, synthesis_settings
from stylebank.errors import UsageError

TOO_LARGE = ("1" * 400 + "x1cm", "100001x1in")


@pytest.mark.parametrize(
    ("text", "dpi", "pixels", "normalised"),
    [  # 1 inch = 25.4 mm
        ("30x20cm", 300, (3543, 2362), "30x20cm"),
        ("300x200mm", 300, (3543, 2362), "30x20cm"),
        (" 30 \u00d7 20 CM ", 300, (3543, 2362), "30x20cm"),
        ("12x8in", 300, (3600, 2400), "12x8in"),
        ('8.5x11"', 100, (850, 1100), "8.5x11in"),
        ("8x12 inches", 10, (80, 120), "8x12in"),
        ("a4", 300, (2480, 3508), "A4"),
        ("A3", 300, (3508, 4961), "A3"),
        ("letter", 300, (2550, 3300), "Letter"),
    ],
)
def test_a_size_has_the_pixels_of_its_inches(text: str, dpi: float, pixels: tuple[int, int], normalised: str) -> None:
    size = parse(text)
    assert (size.pixels(dpi), size.text) == (pixels, normalised)


def test_named_formats_turn_with_the_photograph_and_written_ones_stay() -> None:
    assert parse("A4").pixels(300, (640, 427)) == (3508, 2480)
    assert parse("A4").pixels(300, (427, 640)) == (2480, 3508)
    assert parse("20x30cm").pixels(100, (640, 427)) == (787, 1181)


def test_each_iso_format_is_half_of_the_one_before() -> None:
    names = [name for name in FORMATS if name.startswith("A")]
    for larger, smaller in itertools.pairwise(names):
        assert FORMATS[smaller][1] == FORMATS[larger][0]
        assert FORMATS[smaller][0] == FORMATS[larger][1] // 2


@pytest.mark.parametrize(
    "text",
    ["", "30x20", "30cm", "A", "B4", "0x20cm", "30x-20cm", "30x20pt", "1e3x2cm", "30x20cmx", "1e9x1cm", *TOO_LARGE],
)
def test_other_texts_are_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected width x height with a unit, such as 30x20cm.* A4"):
        SynthesisSettings(print=text)


def test_settings_have_the_longer_side_as_size_and_300_dpi() -> None:
    settings = synthesis_settings("draft", print="a4", steps=7)
    assert (settings.print, settings.size, settings.dpi, settings.steps) == ("A4", 3508, 300, 7)
    assert SynthesisSettings(print="10x20in", dpi=50).size == 1000
    recorded = settings.recorded()
    assert (recorded["print"], recorded["fit"], recorded["size"]) == ("A4", "crop", 3508)
    assert not {"print", "fit", "dpi"} & set(SynthesisSettings().recorded())


def test_a_print_beside_a_size_is_refused_and_so_are_a_fit_alone_and_a_tiny_print() -> None:
    with pytest.raises(UsageError, match=r"size 800: print A4 gives the size already\. Leave out one"):
        synthesis_settings(print="A4", size=800)
    with pytest.raises(UsageError, match="fit border: there is no print"):
        synthesis_settings(fit="border")
    with pytest.raises(UsageError, match="fit 'stretch': expected one of crop, border"):
        synthesis_settings(print="A4", fit="stretch")
    with pytest.raises(UsageError, match=r"print 2x0.5cm: 79 x 20 pixels at 100 dpi; each side needs at least 32"):
        synthesis_settings(print="2x0.5cm", dpi=100)


def test_crop_keeps_the_centre_at_full_width_or_height() -> None:
    placed = lay_out((400, 200), "10x10in", 30, "crop")
    assert (placed.paper, placed.size, placed.box, placed.dpi) == ((300, 300), (300, 300), (0.25, 0, 0.75, 1), 20)
    placed = lay_out((100, 400), "2x4in", 50, "crop")
    assert (placed.size, placed.box, placed.dpi) == ((100, 200), (0, 0.25, 1, 0.75), 50)


def test_border_keeps_the_whole_picture() -> None:
    placed = lay_out((400, 200), "10x10in", 30, "border")
    assert (placed.paper, placed.size, placed.box, placed.dpi) == ((300, 300), (300, 150), (0, 0, 1, 1), 40)


@pytest.mark.parametrize("how", ["crop", "border"])
@pytest.mark.parametrize("text", ["A4", "30x20cm", "8x12in", "13x13cm"])
@pytest.mark.parametrize(
    "size", [(640, 427), (427, 640), (999, 1000), (1000, 1000), (4000, 3), (101, 32), (3508, 2480)]
)
def test_a_picture_that_has_been_laid_out_keeps_its_size(how: str, text: str, size: tuple[int, int]) -> None:
    try:
        placed = lay_out(size, text, 97, how)
    except UsageError as error:
        assert size == (4000, 3) and "less than 32 on its shorter side" in str(error)
        return
    again = lay_out(placed.size, text, 97, how)
    assert (again.size, again.paper) == (placed.size, placed.paper)
    assert all(side <= paper for side, paper in zip(placed.size, placed.paper, strict=True))


def test_a_nearer_size_replaces_a_print_and_a_nearer_print_a_size() -> None:
    assert overridden({"size": 800, "steps": 3}, {"print": "A4"}) == {"steps": 3, "print": "A4"}
    assert overridden({"print": "A4", "fit": "border", "dpi": 200}, {"size": 64}) == {"dpi": 200, "size": 64}
    assert overridden({"print": "A4"}, {"size": None}) == {"print": "A4", "size": None}
