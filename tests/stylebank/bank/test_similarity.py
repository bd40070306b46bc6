from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from stylebank.bank import Bank, similarity
from stylebank.errors import StyleDamaged, UsageError
from stylebank.storage import reader
from stylebank.style import Gaussian
from tests.styles import LAYERS, measured, random_gaussian, style, varied

SIZES = {32: (32, 20)}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    bank = Bank(tmp_path_factory.mktemp("crowd"))
    for seed in range(30):
        bank.add(varied(f"style {seed}", seed))
    return bank


def entries(bank: Bank, query: str, scale: int = 32) -> list[similarity.Candidate]:
    entries, _damaged = bank.entries()
    others = [(header, path) for header, path in entries if header.name != query]
    return similarity.comparable(others, bank.header(query), scale, LAYERS)[0]


def brute_force(bank: Bank, query: str) -> list[tuple[str, float]]:
    one = bank.get(query).scales[32]
    distances = [
        (name, similarity.distance(one, bank.get(name).scales[32], LAYERS)) for name in bank.names() if name != query
    ]
    return sorted(distances, key=lambda pair: pair[1])


@pytest.mark.parametrize("number", [1, 5, 29, 100])
@pytest.mark.parametrize("query", ["style 0", "style 7", "style 23"])
def test_the_nearest_are_those_of_comparing_with_all(crowd: Bank, query: str, number: int) -> None:
    search = similarity.nearest(crowd.get(query).scales, entries(crowd, query), number, LAYERS)
    assert [(one.name, one.distance) for one in search.neighbours] == brute_force(crowd, query)[:number]
    assert search.damaged == ()


def test_few_are_compared_in_full_where_some_are_near(crowd: Bank, tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    for seed in range(10):
        bank.add(varied(f"style {seed}", seed))
    near = bank.get("style 3")
    for index in range(3):
        layers = {
            layer: dataclasses.replace(one, mean=one.mean * (1 + 0.001 * (index + 1)))
            for layer, one in near.scales[32].items()
        }
        header = dataclasses.replace(near.header, name=f"like {index}")
        bank.add(dataclasses.replace(near, header=header, scales={32: layers}))
    search = similarity.nearest(near.scales, entries(bank, "style 3"), 3, LAYERS)
    assert [one.name for one in search.neighbours] == ["like 0", "like 1", "like 2"]
    assert search.compared == 3


def test_a_style_is_no_distance_from_itself_and_two_at_most_from_any() -> None:
    one = varied("x", 1).scales[32]
    assert similarity.distance(one, one, LAYERS) < 1e-3
    flat = {
        layer: Gaussian(np.full_like(g.mean, 1e4), 0 * g.cov, 0 * g.cov, 0 * g.eigenvalues, g.count)
        for layer, g in one.items()
    }
    assert similarity.distance(flat, flat, LAYERS) == 0
    assert 1.9 < similarity.distance(one, flat, LAYERS) <= 2


def test_no_layer_drowns_the_rest() -> None:
    one, other = (
        {"conv1_1": random_gaussian(64, 500, seed), "conv2_1": random_gaussian(128, 500, seed)} for seed in (1, 2)
    )
    rows = [np.random.default_rng(seed).normal(9, 3, (500, 128)) for seed in (1, 2)]
    loud = [{**quiet, "conv2_1": measured(1e4 * each)} for quiet, each in zip((one, other), rows, strict=True)]
    layers = ("conv1_1", "conv2_1")
    assert similarity.distance(*loud, layers) == pytest.approx(similarity.distance(one, other, layers), rel=0.2)


def test_shares_sum_to_one(crowd: Bank) -> None:
    search = similarity.nearest(crowd.get("style 0").scales, entries(crowd, "style 0"), 4, LAYERS)
    for one in search.neighbours:
        assert set(one.shares) == set(LAYERS) and sum(one.shares.values()) == pytest.approx(1)


def test_what_was_measured_otherwise_is_left_out() -> None:
    like = style("like", layers=LAYERS, sizes=SIZES).header
    header = style("x", layers=LAYERS, sizes=SIZES).header
    other_way = dataclasses.replace(header, fingerprint=dataclasses.replace(header.fingerprint, pooling="max"))
    fewer = dataclasses.replace(header, fingerprint=dataclasses.replace(header.fingerprint, layers=("conv1_1",)))
    far = dataclasses.replace(header, sizes={512: (512, 400)})
    near = dataclasses.replace(header, sizes={512: (512, 400), 40: (40, 30)})
    given = [(one, Path("x")) for one in (header, other_way, fewer, far, near)]
    found, left_out = similarity.comparable(given, like, 32, LAYERS)
    assert [entry.scale for entry in found] == [32, 40]
    assert [each.reason for each in left_out] == [
        "measured with maximum pooling, not average pooling",
        "measured without pixels, conv2_1",
        "measured at 512 pixels, not near 32",
    ]
    remedy = "to compare them, too, measure the paintings alike with 'stylebank remeasure PAINTING...'"
    assert list(similarity.left_out_notes(left_out[:2], 5)) == [
        "1 of 5 styles left out, measured with maximum pooling, not average pooling: x",
        "1 of 5 styles left out, measured without pixels, conv2_1: x",
        f"{remedy} and the same --scales",
    ]
    assert list(similarity.left_out_notes([], 2)) == []


@pytest.mark.parametrize(
    ("first", "second", "scale", "pair"),
    [
        ([512], [512], 512, (512, 512)),
        ([256, 512], [256], 512, (256, 256)),
        ([256, 512, 1024], [256, 1024], 512, (256, 256)),
        ([512], [370], 512, (512, 370)),  # 512 / 370 = 1.38, half an octave is 1.414
        ([512], [360], 512, None),  # 1.42
        ([300], [512, 256], 512, (300, 256)),
        ([], [512], 512, None),
    ],
)
def test_scales_are_compared_within_half_an_octave_nearest_to_the_wanted_one(
    first: list[int], second: list[int], scale: int, pair: tuple[int, int] | None
) -> None:
    assert similarity.common_scales(first, second, scale) == pair


def test_styles_of_different_scales_are_compared_where_they_meet(tmp_path: Path) -> None:
    """A query at two scales finds the style of each: the nearest at distance 0, because it is the same."""
    bank = Bank(tmp_path)
    small, other = varied("small", 1), varied("large", 2)
    header = dataclasses.replace(other.header, sizes={256: (256, 160)})
    large = dataclasses.replace(other, header=header, scales={256: other.scales[32]})
    for one in (small, large):
        bank.add(one)
    query = {32: small.scales[32], 256: large.scales[256]}
    found, left_out = similarity.comparable(bank.entries()[0], small.header, 32, LAYERS, (32, 256))
    assert left_out == []
    assert {each.header.name: (each.query_scale, each.scale) for each in found} == {
        "small": (32, 32),
        "large": (256, 256),
    }
    search = similarity.nearest(query, found, 2, LAYERS)
    assert [one.distance for one in search.neighbours] == pytest.approx([0, 0], abs=1e-3)  # float32


@pytest.mark.parametrize("stage", ["parts", "whole"])
def test_a_damaged_style_is_named_and_the_others_are_found(tmp_path: Path, stage: str) -> None:
    bank = Bank(tmp_path)
    for seed in range(4):
        bank.add(varied(f"style {seed}", seed))
    wanted = entries(bank, "style 0")
    path = bank.path("style 2")
    if stage == "parts":
        path.write_bytes(path.read_bytes()[:-2000])
    else:
        cov = bank.get("style 2").scales[32]["conv2_1"].cov.tobytes()
        path.write_bytes(path.read_bytes().replace(cov, b"\0" * 8 + cov[8:]))
    search = similarity.nearest(bank.get("style 0").scales, wanted, 9, LAYERS)
    assert sorted(one.name for one in search.neighbours) == ["style 1", "style 3"]
    assert [error.path for error in search.damaged] == [path]


def test_parts_that_are_not_finite_are_damage(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    bank.add(varied("x", 1))
    path = bank.path("x")
    root = bank.get("x").scales[32]["conv2_1"].cov_sqrt.tobytes()
    path.write_bytes(path.read_bytes().replace(root, np.full(2, np.nan, "<f4").tobytes() + root[8:]))
    with pytest.raises(StyleDamaged, match="not finite"):
        reader.read_parts(path, 32, ("cov_sqrt",), LAYERS)


def test_none_is_no_number() -> None:
    with pytest.raises(UsageError, match="expected 1 or more"):
        similarity.nearest({}, [], 0, ())


def test_parts_whose_eigenvalues_no_covariance_has_are_damage(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    bank.add(varied("x", 1))
    path = bank.path("x")
    values = bank.get("x").scales[32]["conv2_1"].eigenvalues.tobytes()
    path.write_bytes(path.read_bytes().replace(values, np.float32(-1).tobytes() + values[4:]))
    with pytest.raises(StyleDamaged, match="negative or not in descending order"):
        reader.read_parts(path, 32, ("eigenvalues",), LAYERS)
