from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from stylebank.bank import Bank
from stylebank.pages import gallery as pages
from stylebank.pages import map as atlas
from tests.stylebank.pages.conftest import NASTY, data_of, jpeg, style_with_pictures


def test_a_card_has_picture_palette_and_details(bank: Bank) -> None:
    found, damaged = pages.read_cards(bank)
    assert damaged == [] and [card.header.name for card in found] == ["poppies", "storm 🌊", "wave"]
    wave = data_of(pages.gallery(found))[2]
    assert wave["tags"] == ["sea"] and str(wave["thumbnail"]).startswith("data:image/jpeg;base64,")
    assert str(wave["swatch"]).startswith("data:image/jpeg;base64,")
    details = dict(wave["details"])  # type: ignore[call-overload]
    assert details["source"] == "wave.jpg" and details["size"] == "1280 x 800" and details["scales"] == "32"
    assert data_of(pages.gallery(found))[1]["swatch"] == ""


def test_the_palette_is_the_mean_amid_its_principal_axes(bank: Bank) -> None:
    (card,) = (card for card in pages.read_cards(bank)[0] if card.header.name == "wave")
    pixels = bank.get("wave").scales[32]["pixels"]
    rgb = np.array([list(bytes.fromhex(color[1:])) for color in card.palette], float)
    np.testing.assert_allclose(rgb[2], pixels.mean.clip(0, 255), atol=0.51)
    assert len(rgb) == 7 and (rgb[0] < rgb[2]).all() and (rgb[2] < rgb[6]).all()


def test_only_styles_with_all_the_tags_are_shown(bank: Bank) -> None:
    assert [card.header.name for card in pages.read_cards(bank, tags=["sea"])[0]] == ["storm 🌊", "wave"]
    assert [card.header.name for card in pages.read_cards(bank, tags=["sea", "night"])[0]] == ["storm 🌊"]


def test_texts_from_a_style_stay_texts(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    made = style_with_pictures("x", 1, (NASTY, "$data"))
    source = dataclasses.replace(made.header.source, filename=NASTY)
    bank.add(dataclasses.replace(made, header=dataclasses.replace(made.header, source=source)))
    page = pages.gallery(pages.read_cards(bank)[0])
    assert NASTY not in page and page.count("<script") == 2
    assert data_of(page)[0]["tags"] == [NASTY, "$data"]


def test_pages_name_no_other_place(bank: Bank) -> None:
    made = atlas.atlas(bank)[0]
    for page in (pages.gallery(pages.read_cards(bank)[0]), atlas.html(made)):
        assert "default-src 'none'" in page
        links = set(re.findall(r"""(?:https?:)?//[^\s"'<>]+""", page.split('id="data"')[0]))
        assert links == set()
        assert set(re.findall(r"https?://\S+?\"", page)) <= {'http://www.w3.org/2000/svg"'}


@pytest.mark.parametrize("data", [b"no picture", jpeg()[:100], jpeg(size=(2000, 1000))], ids=["text", "cut", "large"])
def test_what_is_no_small_picture_is_left_out_and_reported(tmp_path: Path, data: bytes) -> None:
    bank = Bank(tmp_path)
    bank.add(style_with_pictures("x", 1, thumbnail=data))
    notes: list[str] = []
    (card,), damaged = pages.read_cards(bank, note=notes.append)
    assert (
        card.thumbnail is None and notes == ["x: its thumbnail is not a small JPEG, and is left out"] and damaged == []
    )
    assert data_of(pages.gallery([card]))[0]["thumbnail"] == ""
