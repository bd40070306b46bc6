from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import Bank
from stylebank.bank.combine import mix
from stylebank.errors import OutputRefused, UsageError
from stylebank.pages import map as atlas
from tests.stylebank.pages.conftest import data_of, style_with_pictures
from tests.styles import LAYERS


def test_like_styles_lie_together(bank: Bank) -> None:
    near = bank.get("wave")
    pixels = {layer: dataclasses.replace(one, mean=one.mean * 1.01) for layer, one in near.scales[32].items()}
    header = dataclasses.replace(near.header, name="wave two")
    bank.add(dataclasses.replace(near, header=header, scales={32: pixels}))
    made, damaged = atlas.atlas(bank)
    positions = {card.header.name: place for card, place in zip(made.cards, made.positions, strict=True)}
    distances = {name: float(np.linalg.norm(place - positions["wave"])) for name, place in positions.items()}
    assert min((distances[name], name) for name in positions if name != "wave")[1] == "wave two"
    assert damaged == [] and made.exact and 0 <= made.stress <= 1
    rough = atlas.atlas(bank, exact=0)[0]
    assert not rough.exact and "roots" in rough.note


@pytest.mark.parametrize("number", [1, 2])
def test_few_styles_have_a_map_too(tmp_path: Path, number: int) -> None:
    bank = Bank(tmp_path / "bank")
    for seed in range(number):
        bank.add(style_with_pictures(f"style {seed}", seed))
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


def test_styles_measured_otherwise_are_left_out_and_reported(bank: Bank) -> None:
    other = style_with_pictures("other", 5)
    mark = dataclasses.replace(other.header.fingerprint, pooling="max")
    bank.add(dataclasses.replace(other, header=dataclasses.replace(other.header, fingerprint=mark)))
    told: list[str] = []
    made = atlas.atlas(bank, note=told.append)[0]
    assert "other" not in {card.header.name for card in made.cards} and len(made.cards) == 3
    assert told[0] == "1 of 4 styles left out, measured with maximum pooling, not average pooling: other"
    assert len(told) == 2 and "stylebank remeasure" in told[1]


def test_a_damaged_style_is_left_off_a_rough_map_and_named(bank: Bank) -> None:
    path = bank.path("wave")
    root = bank.get("wave").scales[32][LAYERS[-1]].cov_sqrt.tobytes()
    path.write_bytes(path.read_bytes().replace(root, np.full(2, np.nan, "<f4").tobytes() + root[8:]))
    made, damaged = atlas.atlas(bank, exact=0)
    assert [error.path for error in damaged] == [path] and len(made.positions) == len(made.cards) == 2
    assert "wave" not in {card.header.name for card in made.cards}
    for name in bank.names():
        if name != "wave":
            bank.remove(name)
    with pytest.raises(UsageError, match="all are damaged"):
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
