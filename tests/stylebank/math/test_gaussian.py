from __future__ import annotations

import itertools

import numpy as np
import pytest

from stylebank.math import gaussian
from stylebank.math.gaussian import Array, wasserstein2
from stylebank.style import Gaussian
from tests.styles import LAYERS, varied


def covariance(channels: int, rank: int, seed: int = 0, spread: float = 0.0) -> Array:
    """Of `rank`, its axes' sizes spread over that many orders of magnitude."""
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.normal(size=(channels, rank)))[0]
    return (basis * random.uniform(1, 2, rank) * np.logspace(0, -spread, rank)) @ basis.T


def truth(mean1: Array, cov1: Array, mean2: Array, cov2: Array) -> float:
    """The definition by way of the eigenvalues of S1 S2, which nothing in the module uses."""
    cross = np.sqrt(np.linalg.eigvals(cov1 @ cov2).real.clip(0)).sum()
    return float(np.sqrt(((mean1 - mean2) ** 2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * cross))


# root and factor


@pytest.mark.parametrize(("channels", "rank"), [(1, 1), (3, 3), (64, 64), (64, 20), (64, 1), (512, 300)])
def test_the_root_squared_is_the_covariance(channels: int, rank: int) -> None:
    cov = covariance(channels, rank, spread=4)
    cov_sqrt, eigenvalues = gaussian.sqrtm_psd(cov)
    np.testing.assert_allclose(cov_sqrt @ cov_sqrt, cov, rtol=0, atol=1e-13 * np.trace(cov))
    assert (cov_sqrt == cov_sqrt.T).all()
    assert np.linalg.eigvalsh(cov_sqrt)[0] >= -1e-12
    assert (np.diff(eigenvalues) <= 0).all() and eigenvalues[-1] >= 0
    assert eigenvalues.sum() == pytest.approx(np.trace(cov), rel=1e-12)


def test_the_root_of_a_diagonal_is_that_of_each_number() -> None:
    cov_sqrt, eigenvalues = gaussian.sqrtm_psd(np.diag([4.0, 9.0, 0.0]))
    np.testing.assert_allclose(cov_sqrt, np.diag([2.0, 3.0, 0.0]), atol=1e-15)
    np.testing.assert_allclose(eigenvalues, [9, 4, 0], atol=1e-15)


def test_roundings_negative_eigenvalues_count_as_nothing() -> None:
    values, vectors = gaussian.eigh_descending(np.diag([1.0, -1e-9]))
    assert values.tolist() == [1.0, 0.0]
    assert np.abs(vectors[:, 0]).tolist() == [1.0, 0.0]


def test_the_factor_of_a_singular_covariance_is_thin_and_exact() -> None:
    cov = covariance(64, 5)
    thin = gaussian.low_rank_factor(cov)
    assert thin.shape == (64, 5)
    np.testing.assert_allclose(thin @ thin.T, cov, atol=1e-13)


def test_the_factor_of_nothing_is_a_column_of_zeros() -> None:
    assert gaussian.low_rank_factor(np.zeros((8, 8))).tolist() == [[0.0]] * 8


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tolerance", [1e-6, 1e-4, 1e-2, 0.1, 0.9])
def test_leaving_out_a_tail_changes_the_distance_by_no_more_than_promised(seed: int, tolerance: float) -> None:
    style_cov, subject_cov = covariance(32, 32, seed, spread=7), covariance(32, 32, seed + 100, spread=2)
    thin = gaussian.low_rank_factor(style_cov, tolerance)
    zero = np.zeros(32)
    tail = np.trace(style_cov) - np.sum(thin**2)
    assert thin.shape[1] < 32
    exact = wasserstein2(zero, subject_cov, zero, style_cov) ** 2
    kept = wasserstein2(zero, subject_cov, zero, thin @ thin.T) ** 2
    assert 0 < abs(kept - exact) <= 2 * np.sqrt(tail * np.trace(subject_cov)) + tail


# distance


def test_two_numbers_ten_apart_are_ten_apart() -> None:
    assert wasserstein2([0.0], [[4.0]], [10.0], [[4.0]]) == pytest.approx(10, rel=1e-14)


def test_in_one_dimension_spreads_differ_as_numbers_do() -> None:
    assert wasserstein2([1.0], [[9.0]], [1.0], [[4.0]]) == pytest.approx(1, rel=1e-14)
    assert wasserstein2([0.0], [[25.0]], [3.0], [[1.0]]) == pytest.approx(5, rel=1e-14)


def test_commuting_covariances_differ_by_their_roots() -> None:
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(16, 16)))[0]
    first, second = np.linspace(0, 3, 16), np.linspace(2, 1, 16)
    got = wasserstein2(np.zeros(16), turn * first**2 @ turn.T, np.ones(16), turn * second**2 @ turn.T)
    # one eigenvalue is 0, and the root of its rounding is what is left
    assert got == pytest.approx(np.sqrt(16 + ((first - second) ** 2).sum()), rel=1e-7)


@pytest.mark.parametrize(("channels", "rank"), [(1, 1), (8, 8), (64, 64), (64, 9), (256, 256), (256, 40)])
def test_a_gaussian_is_no_distance_from_itself(channels: int, rank: int) -> None:
    cov, mean = covariance(channels, rank, spread=3), np.arange(float(channels))
    assert wasserstein2(mean, cov, mean, cov) < 1e-6 * np.sqrt(np.trace(cov))


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_is_that_of_the_definition_both_ways(seed: int) -> None:
    one, other = covariance(24, 24, seed), covariance(24, 24, seed + 50, spread=2)
    mean1, mean2 = np.random.default_rng(seed).normal(size=(2, 24))
    expected = truth(mean1, one, mean2, other)
    assert wasserstein2(mean1, one, mean2, other) == pytest.approx(expected, rel=1e-9)
    assert wasserstein2(mean2, other, mean1, one) == pytest.approx(expected, rel=1e-9)


def test_singular_covariances_have_a_distance() -> None:
    first, second = np.diag([4.0, 0, 0]), np.diag([0, 9.0, 0])
    assert wasserstein2(np.zeros(3), first, np.zeros(3), second) == pytest.approx(np.sqrt(13), rel=1e-14)
    assert wasserstein2(np.zeros(3), first, np.zeros(3), np.zeros((3, 3))) == pytest.approx(2, rel=1e-14)
    assert wasserstein2(np.zeros(3), np.zeros((3, 3)), np.full(3, 2.0), np.zeros((3, 3))) == pytest.approx(np.sqrt(12))
    flat1, flat2 = covariance(64, 7, 1), covariance(64, 7, 2)
    assert wasserstein2(np.zeros(64), flat1, np.zeros(64), flat2) == pytest.approx(
        truth(np.zeros(64), flat1, np.zeros(64), flat2), rel=1e-6
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_bounds_from_stored_fields_hold(seed: int) -> None:
    one, other = covariance(32, 32, seed, spread=3), covariance(32, 12, seed + 50)
    squared = wasserstein2(np.zeros(32), one, np.ones(32), other) ** 2
    lower = 32 + (np.sqrt(np.trace(one)) - np.sqrt(np.trace(other))) ** 2
    upper = 32 + np.linalg.norm(gaussian.sqrtm_psd(one)[0] - gaussian.sqrtm_psd(other)[0]) ** 2
    assert lower <= squared <= upper


def test_a_detour_is_never_shorter() -> None:
    points = [(np.full(16, float(seed)), covariance(16, 16 - seed, seed, spread=2)) for seed in range(5)]
    for a, b, c in itertools.permutations(points, 3):
        assert wasserstein2(*a, *c) <= wasserstein2(*a, *b) + wasserstein2(*b, *c) + 1e-12


def test_float32_covariances_are_measured_in_float64() -> None:
    cov = (covariance(64, 64) * 1e4).astype(np.float32)
    assert wasserstein2(np.zeros(64), cov, np.full(64, 1e-3, np.float32), cov) == pytest.approx(8e-3, rel=0.05)


# transport


@pytest.mark.parametrize("rank", [16, 5])
def test_the_optimal_map_carries_one_covariance_to_the_other(rank: int) -> None:
    start, end = covariance(16, 16, 1), covariance(16, rank, 2)
    carried = gaussian.transport_map(start, end)
    np.testing.assert_allclose(carried @ start @ carried, end, atol=1e-9)
    np.testing.assert_allclose(carried, carried.T, atol=1e-10)
    assert np.linalg.eigvalsh((carried + carried.T) / 2)[0] >= -1e-9
    cost = np.trace((carried - np.eye(16)) @ start @ (carried - np.eye(16)).T)
    assert cost == pytest.approx(wasserstein2(np.zeros(16), start, np.zeros(16), end) ** 2, rel=1e-6)


def test_the_map_from_a_singular_covariance_stays_finite() -> None:
    start, end = covariance(16, 4, 1), covariance(16, 16, 2)
    for ridge in (0.0, 1e-3):
        assert np.isfinite(gaussian.transport_map(start, end, ridge)).all()


# moments


def test_moments_are_those_numpy_gives_whatever_the_block() -> None:
    rows = np.random.default_rng(0).normal(1000, 1, (7, 11, 5)).astype(np.float32)
    flat = rows.reshape(-1, 5).astype(np.float64)
    for block in (1, 10, 77, 1000):
        mean, cov, count = gaussian.moments(rows, block)
        assert count == 77
        np.testing.assert_allclose(mean, flat.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(cov, np.cov(flat.T, bias=True), rtol=1e-9, atol=1e-12)


def test_moments_of_parts_are_the_moments_of_all() -> None:
    random = np.random.default_rng(0)
    parts = [random.normal(1e3 * number, 1 + number, (1, rows, 5)) for number, rows in enumerate((3, 50, 1, 200))]
    merged = gaussian.MomentAccumulator()
    for part in parts:
        mean, cov, count = gaussian.moments(part[0])
        merged.update(mean[None, None], cov[None], np.array([count]))
        merged.update(np.full((1, 1, 5), np.nan), np.full((1, 5, 5), np.nan), np.zeros(1))
    mean, cov = merged.moments()
    expected_mean, expected_cov, count = gaussian.moments(np.concatenate(parts, axis=1)[0])
    assert merged.count[0] == count
    np.testing.assert_allclose(mean[0, 0], expected_mean, rtol=1e-6)
    np.testing.assert_allclose(cov[0], expected_cov, rtol=1e-5, atol=1e-6 * expected_cov.max())


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
        second = gaussian.PrincipalAxes(one).bound(other.mean, other.cov_sqrt, other.eigenvalues)
        assert max(first, second) <= exact
        closer.append(second)
        far.append(first)
    assert sum(closer) > 1.2 * sum(far)
