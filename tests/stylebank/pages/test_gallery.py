from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import Bank
from stylebank.bank.combine import mix
from stylebank.errors import OutputRefused, UsageError
from stylebank.pages import gallery as pages
from stylebank.pages import html
from stylebank.pages import map as atlas
from stylebank.style import Style
from tests.stylebank.bank.test_similarity import LAYERS, varied
from tests.styles import measured

NASTY = "</script><script>alert(1)</script>"


def jpeg(color: tuple[int, int, int] = (200, 30, 40), size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "JPEG")
    return buffer.getvalue()


def shown(name: str, seed: int, tags: tuple[str, ...] = (), **pictures: bytes) -> Style:
    made = varied(name, seed)
    colors = measured(np.random.default_rng(seed).normal(0, 1, (500, 1)) * (40, 30, 20) + (120, 90 + seed, 60))
    made = dataclasses.replace(made, scales={32: {**made.scales[32], "pixels": colors}})
    return dataclasses.replace(
        made, header=dataclasses.replace(made.header, tags=tags), **{"thumbnail": jpeg(), **pictures}
    )


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "bank")
    bank.add(shown("wave", 1, ("sea",), swatch=jpeg((0, 0, 250), (32, 32))))
    bank.add(shown("storm 🌊", 2, ("sea", "night")))
    bank.add(shown("poppies", 3))
    return bank


def data_of(page: str) -> list[dict[str, object]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_a_card_has_picture_palette_and_details(bank: Bank) -> None:
    found, damaged = pages.cards(bank)
    assert damaged == [] and [card.header.name for card in found] == ["poppies", "storm 🌊", "wave"]
    wave = data_of(pages.gallery(found))[2]
    assert wave["tags"] == ["sea"] and str(wave["thumbnail"]).startswith("data:image/jpeg;base64,")
    assert str(wave["swatch"]).startswith("data:image/jpeg;base64,")
    details = dict(wave["details"])  # type: ignore[call-overload]
    assert details["source"] == "wave.jpg" and details["size"] == "1280 x 800" and details["scales"] == "32"
    assert data_of(pages.gallery(found))[1]["swatch"] == ""


def test_the_palette_is_the_mean_amid_its_principal_axes(bank: Bank) -> None:
    (card,) = (card for card in pages.cards(bank)[0] if card.header.name == "wave")
    pixels = bank.get("wave").scales[32]["pixels"]
    rgb = np.array([list(bytes.fromhex(color[1:])) for color in card.palette], float)
    np.testing.assert_allclose(rgb[2], pixels.mean.clip(0, 255), atol=0.51)
    assert len(rgb) == 7 and (rgb[0] < rgb[2]).all() and (rgb[2] < rgb[6]).all()


def test_only_styles_with_all_the_tags_are_shown(bank: Bank) -> None:
    assert [card.header.name for card in pages.cards(bank, tags=["sea"])[0]] == ["storm 🌊", "wave"]
    assert [card.header.name for card in pages.cards(bank, tags=["sea", "night"])[0]] == ["storm 🌊"]


def test_texts_from_a_style_stay_texts(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    made = shown("x", 1, (NASTY, "$data"))
    source = dataclasses.replace(made.header.source, filename=NASTY)
    bank.add(dataclasses.replace(made, header=dataclasses.replace(made.header, source=source)))
    page = pages.gallery(pages.cards(bank)[0])
    assert NASTY not in page and page.count("<script") == 2
    assert data_of(page)[0]["tags"] == [NASTY, "$data"]


def test_pages_name_no_other_place(bank: Bank) -> None:
    made = atlas.atlas(bank)[0]
    for page in (pages.gallery(pages.cards(bank)[0]), atlas.html(made)):
        assert "default-src 'none'" in page
        links = set(re.findall(r"""(?:https?:)?//[^\s"'<>]+""", page.split('id="data"')[0]))
        assert links == set()
        assert set(re.findall(r"https?://\S+?\"", page)) <= {'http://www.w3.org/2000/svg"'}


@pytest.mark.parametrize("data", [b"no picture", jpeg()[:100], jpeg(size=(2000, 1000))], ids=["text", "cut", "large"])
def test_what_is_no_small_picture_is_left_out_and_told(tmp_path: Path, data: bytes) -> None:
    bank = Bank(tmp_path)
    bank.add(shown("x", 1, thumbnail=data))
    told: list[str] = []
    (card,), damaged = pages.cards(bank, note=told.append)
    assert card.thumbnail is None and told == ["x: its thumbnail is no small JPEG, and is left out"] and damaged == []
    assert data_of(pages.gallery([card]))[0]["thumbnail"] == ""


def test_a_page_goes_to_a_file_or_into_a_folder_and_over_nothing(tmp_path: Path) -> None:
    assert html.write_page(tmp_path / "a" / "x.html", "one") == tmp_path / "a" / "x.html"
    assert html.write_page(tmp_path / "b", "two") == tmp_path / "b" / "index.html"
    with pytest.raises(OutputRefused, match="--overwrite"):
        html.write_page(tmp_path / "b", "three")
    assert (tmp_path / "b" / "index.html").read_text() == "two"
    html.write_page(tmp_path / "b", "three", overwrite=True)
    assert (tmp_path / "b" / "index.html").read_text() == "three"


# the map


def test_like_styles_lie_together(bank: Bank) -> None:
    near = bank.get("wave")
    pixels = {layer: dataclasses.replace(one, mean=one.mean * 1.01) for layer, one in near.scales[32].items()}
    header = dataclasses.replace(near.header, name="wave two")
    bank.add(dataclasses.replace(near, header=header, scales={32: pixels}))
    made, damaged = atlas.atlas(bank)
    places = {card.header.name: place for card, place in zip(made.shown, made.places, strict=True)}
    distances = {name: float(np.linalg.norm(place - places["wave"])) for name, place in places.items()}
    assert min((distances[name], name) for name in places if name != "wave")[1] == "wave two"
    assert damaged == [] and made.exact and 0 <= made.stress <= 1
    rough = atlas.atlas(bank, exact=0)[0]
    assert not rough.exact and "roots" in rough.note


@pytest.mark.parametrize("number", [1, 2])
def test_few_styles_have_a_map_too(tmp_path: Path, number: int) -> None:
    bank = Bank(tmp_path / "bank")
    for seed in range(number):
        bank.add(shown(f"style {seed}", seed))
    made = atlas.atlas(bank)[0]
    atlas.write(made, tmp_path / "map.png")
    atlas.write(made, tmp_path / "map.html")
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.size == (1600, 1200)
        red = np.asarray(picture.convert("RGB"))[..., 0].astype(int) - np.asarray(picture.convert("RGB"))[..., 1]
        assert (red > 100).mean() > 0.005 * number  # the thumbnails are there


def test_a_mix_without_a_picture_is_marked_by_its_palette(bank: Bank, tmp_path: Path) -> None:
    bank.add(mix([bank.get("wave"), bank.get("poppies")], (1, 1), "both"))
    made = atlas.atlas(bank)[0]
    both = next(style for style in data_of(atlas.html(made))["styles"] if style["name"] == "both")  # type: ignore
    assert both["thumbnail"] == "" and len(both["palette"]) == 7
    atlas.write(made, tmp_path / "map.png")


def test_styles_measured_otherwise_are_left_out_and_told(bank: Bank) -> None:
    other = shown("other", 5)
    mark = dataclasses.replace(other.header.fingerprint, pooling="max")
    bank.add(dataclasses.replace(other, header=dataclasses.replace(other.header, fingerprint=mark)))
    told: list[str] = []
    made = atlas.atlas(bank, note=told.append)[0]
    assert "other" not in {card.header.name for card in made.shown} and len(made.shown) == 3
    assert told == ["1 of 4 styles were measured in another way or at other scales, and are left out"]


def test_a_damaged_style_is_left_off_a_rough_map_and_named(bank: Bank) -> None:
    path = bank.path("wave")
    root = bank.get("wave").scales[32][LAYERS[-1]].cov_sqrt.tobytes()
    path.write_bytes(path.read_bytes().replace(root, np.full(2, np.nan, "<f4").tobytes() + root[8:]))
    made, damaged = atlas.atlas(bank, exact=0)
    assert [error.path for error in damaged] == [path] and len(made.places) == len(made.shown) == 2
    assert "wave" not in {card.header.name for card in made.shown}
    for name in bank.names():
        if name != "wave":
            bank.remove(name)
    with pytest.raises(UsageError, match="none is whole"):
        atlas.atlas(bank, exact=0)


def test_a_map_of_nothing_or_to_nowhere_is_refused(bank: Bank, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the bank is empty"):
        atlas.atlas(Bank(tmp_path / "empty"))
    with pytest.raises(UsageError, match=r"\.html or a \.png"):
        atlas.write(atlas.atlas(bank, layers=LAYERS[:1])[0], tmp_path / "map.jpg")
    (tmp_path / "map.png").write_bytes(b"mine")
    with pytest.raises(OutputRefused):
        atlas.write(atlas.atlas(bank)[0], tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes() == b"mine"
