from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from stylebank.bank import Bank, similarity
from stylebank.errors import UsageError
from stylebank.math import gaussian
from stylebank.storage import reader as format
from stylebank.style import Gaussian, Style
from tests.styles import measured, random_gaussian, style

LAYERS = ("pixels", "conv1_1", "conv2_1")
SIZES = {32: (32, 20)}


def varied(name: str, seed: int) -> Style:
    """Random activations with axes and spreads of its own, some of them singular."""
    random = np.random.default_rng(seed)
    layers = {}
    for layer, channels in zip(LAYERS, (3, 64, 128), strict=True):
        rank = int(random.integers(2, channels + 1))
        mixing = random.normal(size=(rank, channels)) * np.logspace(0, -random.uniform(0, 3), rank)[:, None]
        rows = random.normal(size=(300, rank)) @ mixing * random.uniform(0.5, 4) + random.normal(size=channels)
        layers[layer] = measured(rows)
    return dataclasses.replace(style(name, layers=LAYERS, sizes=SIZES), scales={32: layers})


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    bank = Bank(tmp_path_factory.mktemp("crowd"))
    for seed in range(30):
        bank.add(varied(f"style {seed}", seed))
    return bank


def entries(bank: Bank, query: str, scale: int = 32) -> list[similarity.Entry]:
    located, _damaged = bank.located()
    others = [(header, path) for header, path in located if header.name != query]
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
    search = similarity.nearest(crowd.get(query).scales[32], entries(crowd, query), number, LAYERS)
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
    search = similarity.nearest(near.scales[32], entries(bank, "style 3"), 3, LAYERS)
    assert [one.name for one in search.neighbours] == ["like 0", "like 1", "like 2"]
    assert search.compared == 3


def pairs() -> list[tuple[Gaussian, Gaussian]]:
    crowd = [varied("x", seed).scales[32] for seed in range(8)]
    return [(a[layer], b[layer]) for a in crowd for b in crowd for layer in LAYERS]


def test_a_layers_distance_is_w2_over_the_variance_of_both_pooled() -> None:
    for one, other in pairs():
        squared = gaussian.wasserstein2(one.mean, one.cov, other.mean, other.cov) ** 2
        both = (np.trace(one.cov) + np.trace(other.cov)) / 2 + ((one.mean - other.mean) ** 2).sum() / 4
        assert gaussian.layer_distance(one, other) == pytest.approx(squared / both, rel=1e-3, abs=2e-6)
        assert gaussian.layer_distance(one, other) == pytest.approx(gaussian.layer_distance(other, one), abs=1e-6)


def test_the_bounds_are_never_above_the_distance_and_the_closer_look_is_closer() -> None:
    closer, far = [], []
    for one, other in pairs():
        exact = gaussian.layer_distance(one, other)
        first = gaussian.spectral_bound(one, other.mean, other.eigenvalues)
        second = gaussian._Axes(one).bound(other.mean, other.cov_sqrt, other.eigenvalues)
        assert max(first, second) <= exact
        closer.append(second)
        far.append(first)
    assert sum(closer) > 1.2 * sum(far)


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
    search = similarity.nearest(crowd.get("style 0").scales[32], entries(crowd, "style 0"), 4, LAYERS)
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
    assert [entry.scale for entry in found] == [32, 40] and left_out == 3


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
    search = similarity.nearest(bank.get("style 0").scales[32], wanted, 9, LAYERS)
    assert sorted(one.name for one in search.neighbours) == ["style 1", "style 3"]
    assert [error.path for error in search.damaged] == [path]


def test_parts_that_are_not_finite_are_damage(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    bank.add(varied("x", 1))
    path = bank.path("x")
    root = bank.get("x").scales[32]["conv2_1"].cov_sqrt.tobytes()
    path.write_bytes(path.read_bytes().replace(root, np.full(2, np.nan, "<f4").tobytes() + root[8:]))
    with pytest.raises(format.StyleDamaged, match="not finite"):
        format.read_parts(path, 32, ("cov_sqrt",), LAYERS)


def test_none_is_no_number() -> None:
    with pytest.raises(UsageError, match="expected 1 or more"):
        similarity.nearest({}, [], 0, ())


def test_parts_whose_eigenvalues_no_covariance_has_are_damage(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    bank.add(varied("x", 1))
    path = bank.path("x")
    values = bank.get("x").scales[32]["conv2_1"].eigenvalues.tobytes()
    path.write_bytes(path.read_bytes().replace(values, np.float32(-1).tobytes() + values[4:]))
    with pytest.raises(format.StyleDamaged, match="negative or not in descending order"):
        format.read_parts(path, 32, ("eigenvalues",), LAYERS)
