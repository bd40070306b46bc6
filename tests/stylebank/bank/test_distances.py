"""Distances between styles, alone and of a whole bank."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import ot
import pytest

from pipeline import similar
from stylebank import Bank, Style, distance_matrix
from stylebank.bank import distances as module
from stylebank.errors import StyleNotFound, UsageError
from tests import styles
from tests.styles import style

NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    """Five styles of one kind."""
    bank = Bank(tmp_path / "bank")
    for seed, name in enumerate(NAMES):
        bank.add(styles.varied(name, seed))
    return bank


def by_pot(first: Style, second: Style, scale: int, layer: str) -> float:
    """The squared distance of a layer over the pooled variance, by another library."""
    ours, theirs = first.scales[scale][layer], second.scales[scale][layer]
    means = [each.mean.astype(np.float64) for each in (ours, theirs)]
    covs = [each.cov.astype(np.float64) for each in (ours, theirs)]
    squared = ot.gaussian.bures_wasserstein_distance(*means, *covs) ** 2
    return squared / (np.trace(covs[0] + covs[1]) / 2 + np.sum((means[0] - means[1]) ** 2) / 4)


def test_a_distance_agrees_with_another_library_and_is_symmetric() -> None:
    first, second = style("a", 1), style("b", 2)
    (scale,) = first.scales
    layers = first.header.fingerprint.layers
    expected = np.sqrt(np.mean([by_pot(first, second, scale, layer) for layer in layers]))
    assert first.distance(second, scale=scale) == pytest.approx(expected, rel=1e-3)
    assert second.distance(first, scale=scale) == pytest.approx(first.distance(second, scale=scale), rel=1e-6)
    assert first.distance(first, scale=scale) == pytest.approx(0, abs=1e-3)
    by_layer = first.layer_distances(second, scale=scale)
    assert by_layer == pytest.approx(
        {layer: np.sqrt(by_pot(first, second, scale, layer)) for layer in layers}, rel=1e-3
    )
    assert np.sqrt(np.mean(np.square(list(by_layer.values())))) == pytest.approx(expected, rel=1e-3)


def test_a_distance_is_that_of_similar(bank: Bank) -> None:
    (scale,) = bank["a"].scales
    for layers in ((), ("conv1_1", "pixels")):
        for neighbour in similar(bank, "a", number=4, scale=scale, layers=layers).neighbours:
            value = bank["a"].distance(bank[neighbour.name], scale=scale, layers=layers)
            assert value == pytest.approx(neighbour.distance, rel=1e-6)


def test_a_matrix_has_the_distance_of_every_pair(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 2)
    (scale,) = bank["a"].scales
    matrix = distance_matrix(bank, scale=scale)
    assert matrix.shape == (5, 5) and matrix.dtype == np.float64
    assert (matrix == matrix.T).all() and (np.diag(matrix) == 0).all()
    for (row, first), (column, second) in combinations(enumerate(NAMES), 2):
        assert matrix[row, column] == pytest.approx(bank[first].distance(bank[second], scale=scale), rel=1e-6)
    chosen = distance_matrix(bank, ["d", "a"], scale=scale)
    assert chosen[0, 1] == pytest.approx(matrix[3, 0], rel=1e-6)
    assert distance_matrix(bank, ["c"]).tolist() == [[0.0]]
    assert distance_matrix(bank, []).shape == (0, 0)


def test_few_styles_are_in_memory(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 2)
    loaded: list[str] = []
    get = Bank.get
    monkeypatch.setattr(Bank, "get", lambda self, name, **options: loaded.append(name) or get(self, name, **options))
    distance_matrix(bank, scale=64)
    assert loaded == ["a", "b", "c", "d", "e", "c", "d", "e", "e"]


def test_a_matrix_as_a_table(bank: Bank) -> None:
    pytest.importorskip("pandas")
    frame = distance_matrix(bank, as_frame=True)
    assert list(frame.index) == list(frame.columns) == list(NAMES)
    assert (frame.to_numpy() == distance_matrix(bank)).all()
    assert frame.loc["a"].drop("a").idxmin() == similar(bank, "a", number=1).neighbours[0].name


def test_without_pandas_the_message_says_what_to_do(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        distance_matrix(bank, as_frame=True)


def test_a_pair_that_cannot_be_compared_is_nan(bank: Bank) -> None:
    other = style("max", 9)
    fingerprint = dataclasses.replace(other.header.fingerprint, pooling="max")
    bank.add(dataclasses.replace(other, header=dataclasses.replace(other.header, fingerprint=fingerprint)))
    matrix = distance_matrix(bank, [*NAMES, "max"])
    assert np.isnan(matrix[-1, :-1]).all() and np.isnan(matrix[:-1, -1]).all() and matrix[-1, -1] == 0
    assert np.isfinite(matrix[:-1, :-1]).all()
    with pytest.raises(
        UsageError, match="styles 'a' and 'max': cannot be compared, 'a' is measured with average pooling"
    ):
        distance_matrix(bank, ["a", "max"])
    with pytest.raises(UsageError, match="cannot be compared"):
        bank["max"].distance(bank["a"])


def test_styles_are_compared_at_scales_near_each_other_by_the_layers_that_both_have() -> None:
    first = style("a", 1, sizes={32: (32, 20), 64: (64, 40)})
    second = style("b", 2, layers=("pixels", "conv1_1"), sizes={70: (70, 44), 32: (32, 20)})
    assert list(first.layer_distances(second)) == list(second.layer_distances(first)) == ["pixels", "conv1_1"]
    at_64 = {layer: np.sqrt(_pair(first, 64, second, 70, layer)) for layer in ("pixels", "conv1_1")}
    assert first.layer_distances(second, scale=512) == pytest.approx(at_64, rel=1e-3)
    at_32 = {layer: np.sqrt(_pair(first, 32, second, 32, layer)) for layer in ("pixels", "conv1_1")}
    assert first.layer_distances(second, scale=32) == pytest.approx(at_32, rel=1e-3)
    far = style("far", 3, sizes={200: (200, 120)})
    with pytest.raises(UsageError, match="no scales within half an octave of each other, 32, 64 and 200 pixels"):
        first.distance(far)
    with pytest.raises(UsageError, match="'b' is measured without conv2_1"):
        first.distance(second, layers=["conv2_1"])
    with pytest.raises(UsageError, match="conv9_1"):
        first.distance(second, layers=["conv9_1"])


def _pair(first: Style, first_scale: int, second: Style, second_scale: int, layer: str) -> float:
    moved = dataclasses.replace(second, scales={first_scale: second.scales[second_scale]})
    return by_pot(first, moved, first_scale, layer)


def test_an_unknown_name_and_a_single_text_are_refused(bank: Bank) -> None:
    with pytest.raises(StyleNotFound):
        distance_matrix(bank, ["a", "nobody"])
    with pytest.raises(UsageError, match="expected several names"):
        distance_matrix(bank, "ab")


def test_comparing_loads_no_network() -> None:
    code = "import stylebank, sys; stylebank.distance_matrix; assert not {'keras', 'pipeline'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
