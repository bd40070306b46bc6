from __future__ import annotations

import time

import numpy as np
import ot
import pytest

from stylebank.errors import UsageError
from stylebank.math.barycenter import Convergence, barycenter, geodesic
from stylebank.math.gaussian import Array, sqrtm_psd, transport_map, wasserstein2
from tests.stylebank.math.test_gaussian import covariance

THREE = (0.5, 0.3, 0.2)


def several(channels: int, rank: int, number: int = 3, spread: float = 1.0) -> tuple[list[Array], list[Array]]:
    means = list(np.random.default_rng(7).normal(size=(number, channels)))
    return means, [covariance(channels, rank, seed, spread) * (1 + seed) for seed in range(number)]


def cost(mean: Array, cov: Array, means: list[Array], covs: list[Array], weights: tuple[float, ...]) -> float:
    """What a barycentre has the least of."""
    return sum(w * wasserstein2(mean, cov, m, s) ** 2 for w, m, s in zip(weights, means, covs, strict=True))


# geodesic


def test_the_ends_of_a_geodesic_are_the_inputs_to_the_bit() -> None:
    means, covs = several(16, 16, 2)
    for t in (0, 1):
        mean, cov = geodesic(means[0], covs[0], means[1], covs[1], t)
        assert (mean == means[t]).all() and (cov == covs[t]).all()
        assert mean is not means[t] and cov is not covs[t]


@pytest.mark.parametrize("ranks", [(12, 12), (12, 4), (4, 12), (5, 3), (1, 1)])
@pytest.mark.parametrize("t", [0.1, 0.5, 0.8])
def test_a_point_of_the_geodesic_divides_the_distance(ranks: tuple[int, int], t: float) -> None:
    first, second = covariance(12, ranks[0], 1, 2.0), covariance(12, ranks[1], 2, 1.0)
    mean1, mean2 = np.random.default_rng(0).normal(size=(2, 12))
    whole = wasserstein2(mean1, first, mean2, second)
    mean, cov = geodesic(mean1, first, mean2, second, t)
    assert wasserstein2(mean1, first, mean, cov) == pytest.approx(t * whole, rel=1e-6)
    assert wasserstein2(mean, cov, mean2, second) == pytest.approx((1 - t) * whole, rel=1e-6)
    assert np.linalg.eigvalsh(cov)[0] > -1e-12


def test_the_geodesic_is_mccanns_where_the_first_can_be_inverted() -> None:
    first, second = covariance(16, 16, 1, 2.0), covariance(16, 9, 2)
    step = 0.7 * np.eye(16) + 0.3 * transport_map(first, second)
    _mean, cov = geodesic(np.zeros(16), first, np.zeros(16), second, 0.3)
    np.testing.assert_allclose(cov, step @ first @ step, atol=1e-9)


def test_there_and_back_is_one_way() -> None:
    first, second = covariance(10, 4, 1), covariance(10, 7, 2)
    there = geodesic(np.zeros(10), first, np.ones(10), second, 0.3)
    back = geodesic(np.ones(10), second, np.zeros(10), first, 0.7)
    for one, other in zip(there, back, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_spreads_that_do_not_see_each_other_are_independent() -> None:
    _mean, cov = geodesic([0, 0], np.diag([4.0, 0]), [0, 0], np.diag([0, 16.0]), 0.5)
    np.testing.assert_allclose(cov, np.diag([1.0, 4.0]), atol=1e-15)


@pytest.mark.parametrize("t", [-0.1, 1.1, float("nan")])
def test_a_share_outside_the_way_is_refused(t: float) -> None:
    with pytest.raises(UsageError, match="from 0 to 1"):
        geodesic([0.0], [[1.0]], [1.0], [[1.0]], t)


# barycentre


@pytest.mark.parametrize("seed", range(3))
def test_the_barycenter_is_the_one_pot_finds(seed: int) -> None:
    random = np.random.default_rng(seed)
    means = random.normal(size=(4, 20))
    covs = np.stack([covariance(20, 20, 10 * seed + index, 1.0) + 0.1 * np.eye(20) for index in range(4)])
    weights = random.dirichlet(np.ones(4))
    mean, cov, convergence = barycenter(list(means), list(covs), list(weights), tolerance=1e-12)
    expected_mean, expected_cov = ot.gaussian.bures_wasserstein_barycenter(
        means, covs, weights, num_iter=1000, eps=1e-14
    )
    np.testing.assert_allclose(mean, expected_mean, atol=1e-12)
    np.testing.assert_allclose(cov, expected_cov, atol=1e-9)
    assert convergence.converged and 0 < convergence.iterations < 100 and convergence.residual <= 1e-12


@pytest.mark.parametrize("rank", [12, 5])
def test_two_have_the_closed_form_which_is_where_the_fixed_point_ends(rank: int) -> None:
    means, covs = several(12, rank, 2)
    _mean, closed, convergence = barycenter(means, covs, [0.6, 0.4])
    assert convergence == Convergence(0, 0.0, True)
    np.testing.assert_array_equal(closed, geodesic(means[0], covs[0], means[1], covs[1], 0.4)[1])
    thrice = barycenter([means[0], *means], [covs[0], *covs], [0.3, 0.3, 0.4], tolerance=1e-12)
    assert thrice[2].iterations > 0
    assert wasserstein2(means[0], closed, means[0], thrice[1]) < 1e-6


@pytest.mark.parametrize("weights", [(1, 0), (0, 1), (0, 0, 5), (0, 1, 0, 0)])
def test_a_weight_of_everything_gives_back_the_input(weights: tuple[float, ...]) -> None:
    means, covs = several(8, 5, len(weights))
    mean, cov, convergence = barycenter(means, covs, weights)
    chosen = int(np.argmax(weights))
    assert (mean == means[chosen]).all() and (cov == covs[chosen]).all() and convergence.converged


def test_weights_count_by_their_share() -> None:
    means, covs = several(8, 8)
    for one, other in zip(barycenter(means, covs, (5, 3, 2))[:2], barycenter(means, covs, THREE)[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("number", [2, 3, 5])
def test_commuting_covariances_have_the_mean_of_their_roots(number: int) -> None:
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(16, 16)))[0]
    sizes = np.random.default_rng(4).uniform(0, 3, (number, 16))
    sizes[:, :4] = 0
    weights = np.arange(1.0, number + 1) / sum(range(number + 1))
    _mean, cov, _convergence = barycenter(
        [np.zeros(16)] * number, [turn * size**2 @ turn.T for size in sizes], list(weights)
    )
    np.testing.assert_allclose(cov, turn * (weights @ sizes) ** 2 @ turn.T, atol=1e-10)


def test_the_barycenter_has_the_least_cost_and_the_mean_of_the_roots_squared_does_not() -> None:
    means, covs = several(12, 12, spread=2.0)
    mean, cov, _convergence = barycenter(means, covs, THREE, tolerance=1e-12)
    least = cost(mean, cov, means, covs, THREE)
    roots = sum(w * sqrtm_psd(s)[0] for w, s in zip(THREE, covs, strict=True))
    squares = roots @ roots
    moments = sum(w * s for w, s in zip(THREE, covs, strict=True))
    assert cost(mean, squares, means, covs, THREE) > 1.002 * least
    assert cost(mean, moments, means, covs, THREE) > 1.03 * least
    assert np.linalg.norm(squares - cov) > 0.05 * np.linalg.norm(cov)
    for seed in range(10):
        nearby = cov + 0.05 * covariance(12, 3, seed)
        assert cost(mean, nearby, means, covs, THREE) > least


@pytest.mark.parametrize(("channels", "rank"), [(24, 6), (24, 15), (64, 5), (8, 1)])
def test_singular_covariances_have_a_barycenter_too(channels: int, rank: int) -> None:
    means, covs = several(channels, rank)
    mean, cov, convergence = barycenter(means, covs, THREE, tolerance=1e-5, most_iterations=2000)
    assert convergence.converged
    values = np.linalg.eigvalsh(cov)
    assert values[0] > -1e-12 and np.count_nonzero(values > 1e-12) <= 3 * rank
    least = cost(mean, cov, means, covs, THREE)
    ridged = barycenter(means, [s + 1e-9 * np.eye(channels) for s in covs], THREE, most_iterations=2000)
    assert least <= cost(*ridged[:2], means, covs, THREE) + 1e-5


def test_nothing_has_a_barycenter_of_nothing() -> None:
    _mean, cov, convergence = barycenter([np.zeros(4)] * 3, [np.zeros((4, 4))] * 3, THREE)
    assert not cov.any() and convergence.converged


def test_flat_and_varied_meet_in_the_middle() -> None:
    _mean, cov, _convergence = barycenter([np.zeros(4)] * 3, [np.zeros((4, 4)), np.eye(4), np.zeros((4, 4))], (1, 2, 1))
    np.testing.assert_allclose(cov, np.eye(4) / 4, atol=1e-12)


def test_too_few_iterations_are_reported() -> None:
    means, covs = several(12, 12, spread=2.0)
    convergence = barycenter(means, covs, THREE, tolerance=1e-12, most_iterations=2)[2]
    assert convergence.iterations == 2 and not convergence.converged and convergence.residual > 1e-12


@pytest.mark.parametrize("weights", [(1, -1), (0, 0), (float("nan"), 1), (float("inf"), 1), ()])
def test_what_is_no_weight_is_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="expected numbers from 0 up"):
        barycenter([np.zeros(2)] * 2, [np.eye(2)] * 2, weights)


def test_numbers_that_differ_are_refused() -> None:
    with pytest.raises(UsageError, match="2 means, 2 covariances and 3 weights"):
        barycenter([np.zeros(2)] * 2, [np.eye(2)] * 2, (1, 1, 1))


def test_inputs_are_left_alone_and_float32_will_do() -> None:
    means, covs = several(16, 9)
    small = [m.astype(np.float32) for m in means], [s.astype(np.float32) for s in covs]
    copies = [array.copy() for group in small for array in group]
    mean, cov, convergence = barycenter(*small, THREE)
    assert mean.dtype == cov.dtype == np.float64 and convergence.converged
    assert all((a == b).all() for a, b in zip(copies, [array for group in small for array in group], strict=True))
    expected = barycenter(means, covs, THREE)
    assert wasserstein2(mean, cov, *expected[:2]) < 1e-3 * np.sqrt(np.trace(expected[1]))


def test_a_wide_layer_of_two_styles_takes_no_time() -> None:
    means, covs = several(512, 300, 2, spread=4.0)
    began = time.perf_counter()
    barycenter(means, covs, (1, 1))
    assert time.perf_counter() - began < 3
