"""Properties of the distance on random rows, against a second implementation in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.backends import runtime
from pipeline.backends.compile import compile_function
from pipeline.synthesis.losses import wasserstein
from pipeline.synthesis.losses.functional import EXACT_TOLERANCE, distance, layer_target
from stylebank.math import gaussian
from stylebank.math.gaussian import Array, moments, wasserstein2
from stylebank.style import Gaussian
from tests.conftest import cosine

CHANNELS = 6
#: Rounding error of float32 activations and moments, relative to the larger spread.
ROUNDING = 2e-6
few = settings(max_examples=40, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Rows:
    """Random rows (n, CHANNELS) with a count, rank, scale, range of magnitudes and offset from 0."""

    seed: int
    count: int
    rank: int
    scale: float
    decades: float
    offset: float

    def array(self) -> Array:
        random = np.random.default_rng(self.seed)
        mixing = random.normal(size=(self.rank, CHANNELS)) * np.logspace(0, -self.decades, self.rank)[:, None]
        spread = random.normal(size=(self.count, self.rank)) @ mixing
        return np.asarray(self.scale * (spread + self.offset), np.float32).astype(np.float64)


rows = st.builds(
    Rows,
    seed=st.integers(0, 1 << 20),
    count=st.sampled_from([4, 9, 36, 144]),
    rank=st.integers(0, CHANNELS),
    scale=st.sampled_from([1e-3, 1.0, 1e4]),
    decades=st.floats(0, 2),
    offset=st.sampled_from([0.0, 3.0]),
)


def measured(style: Array) -> Gaussian:
    mean, cov, count = moments(style)
    cov_sqrt, values = gaussian.sqrtm_psd(cov)
    return Gaussian(mean, cov, cov_sqrt, values, count)


def _compiled(deepest: int) -> Callable[..., Any]:
    """Return value and gradient as a compiled function."""

    def traced(picture: Any, target: Any, one: Any) -> Any:
        with mock.patch.object(wasserstein, "MIN_FACTOR_CHANNELS", deepest):
            value, gradient = distance(picture, target, one)
            return value, gradient(None)  # type: ignore[misc]

    return compile_function(traced)


_methods = {"from covariance": _compiled(CHANNELS + 1), "from factor": _compiled(CHANNELS)}


def computed(subject: Array, style: Array, method: str) -> tuple[float, Array]:
    """Return the value and the gradient of a step."""
    picture = runtime.to_tensors(subject.astype(np.float32).reshape(1, 1, *subject.shape))
    target = runtime.to_tensors(layer_target(measured(style), EXACT_TOLERANCE))
    value, gradient = _methods[method](picture, target, runtime.to_tensors(np.ones(1, np.float32)))
    return float(runtime.to_numpy(value)[0]), runtime.to_numpy(gradient).reshape(subject.shape).astype(np.float64)


def by_svd(subject: Array, style: Array) -> tuple[float, Array, bool]:
    """Return the value, the gradient, and whether it is unique: W2^2 has a kink where the cross term loses rank.

    With the subject's centred rows Z and the style's W, both divided by the root of their counts, the cross term is the
    nuclear norm of Z W^T, whose derivative is U V^T.
    """
    z, w = ((rows_of - rows_of.mean(axis=0)) / np.sqrt(len(rows_of)) for rows_of in (subject, style))
    left, values, right = np.linalg.svd(z @ w.T, full_matrices=False)
    offset = subject.mean(axis=0) - style.mean(axis=0)
    value = offset @ offset + (z**2).sum() + (w**2).sum() - 2 * values.sum()
    rank = np.linalg.matrix_rank(w, tol=1e-3 * np.linalg.norm(w, 2)) if w.any() else 0
    low_rank = int((values > 1e-6 * values[0]).sum()) if values.size and values[0] > 0 else 0
    mapped = left[:, :low_rank] @ (right[:low_rank] @ w)
    gradient = 2 / len(subject) * offset + 2 / np.sqrt(len(subject)) * (z - mapped)
    # a gap separates the significant singular values from rounding
    unique = low_rank == 0 or (values[low_rank - 1] > 1e-3 * values[0] and low_rank == rank)
    return float(value), gradient, unique


def size_of(*pictures: Array) -> float:
    """Return the scale of rounding errors: the mean square of the rows."""
    return max(1e-6, *(float((rows_of**2).sum(axis=1).mean()) for rows_of in pictures))


@pytest.mark.parametrize("method", _methods)
@few
@given(rows, rows)
def test_any_two_pictures_have_the_distance_and_gradient_of_float64(method: str, first: Rows, second: Rows) -> None:
    subject, style = first.array(), second.array()
    value, gradient = computed(subject, style, method)
    exact, expected, unique = by_svd(subject, style)
    slack = ROUNDING * size_of(subject, style)
    assert np.isfinite(value) and np.isfinite(gradient).all()
    assert value >= -slack
    assert value == pytest.approx(exact, rel=1e-3, abs=slack)
    assert exact == pytest.approx(wasserstein2(*moments(subject)[:2], *moments(style)[:2]) ** 2, rel=1e-6, abs=slack)
    # at a kink there are many gradients; none moves the image beyond the style's spread
    moved = moments(subject - len(subject) / 2 * gradient)[1]
    assert np.trace(moved) <= 1.2 * np.trace(moments(style)[1]) + 10 * slack
    noise = 2 * np.sqrt(slack / len(subject))
    if unique and np.linalg.norm(expected) > 30 * noise:
        assert cosine(gradient, expected) >= 0.9999
        assert np.linalg.norm(gradient) == pytest.approx(np.linalg.norm(expected), rel=1e-2)


@pytest.mark.parametrize("method", _methods)
@few
@given(rows)
def test_an_image_has_distance_and_gradient_zero_from_itself(method: str, picture: Rows) -> None:
    same = picture.array()
    value, gradient = computed(same, same, method)
    slack = ROUNDING * size_of(same)
    assert abs(value) <= slack
    assert np.isfinite(gradient).all()
    # a step of natural length down the gradient moves no row beyond rounding
    assert np.linalg.norm(gradient) * np.sqrt(len(same)) <= 2e-3 * np.sqrt(size_of(same)) + 1e-12


@few
@given(rows, rows, st.floats(1e-6, 0.9))
def test_a_low_rank_style_keeps_the_factors_bound(first: Rows, second: Rows, tolerance: float) -> None:
    cov, style = moments(first.array())[1], moments(second.array())[1]
    thin, zero = gaussian.low_rank_factor(style, tolerance), np.zeros(CHANNELS)
    tail = max(0.0, float(np.trace(style) - np.square(thin).sum()))
    exact, low_rank = (wasserstein2(zero, cov, zero, other) ** 2 for other in (style, thin @ thin.T))
    rounding = 1e-9 * (np.trace(cov) + np.trace(style))
    assert abs(low_rank - exact) <= 2 * np.sqrt(tail * np.trace(cov)) + tail + rounding


@few
@given(rows, rows, rows)
def test_the_distance_is_a_metric(first: Rows, second: Rows, third: Rows) -> None:
    a, b, c = (moments(each.array())[:2] for each in (first, second, third))
    between = wasserstein2(*a, *b)
    # a distance is a square root, which magnifies the rounding error of its square
    rounding = 1e-6 * np.sqrt(sum(mean @ mean + np.trace(cov) for mean, cov in (a, b, c)))
    assert between >= 0 and wasserstein2(*a, *a) <= rounding
    assert wasserstein2(*b, *a) == pytest.approx(between, rel=1e-9, abs=rounding)
    assert between <= wasserstein2(*a, *c) + wasserstein2(*c, *b) + rounding
