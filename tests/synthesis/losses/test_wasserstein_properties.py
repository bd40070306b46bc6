"""The mathematics on any rows hypothesis thinks of, against float64 NumPy written another way."""

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
#: What float32 activations and moments round away, of the larger spread.
ROUNDING = 2e-6
few = settings(max_examples=40, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Rows:
    """Random rows (n, CHANNELS): how many, of what rank, how large, how far spread and how far from 0."""

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
    """As a step has it."""

    def traced(picture: Any, target: Any, one: Any) -> Any:
        with mock.patch.object(wasserstein, "MIN_FACTOR_CHANNELS", deepest):
            value, gradient = distance(picture, target, one)
            return value, gradient(None)  # type: ignore[misc]

    return compile_function(traced)


_ways = {"as shallow layers": _compiled(CHANNELS + 1), "as deep layers": _compiled(CHANNELS)}


def by_the_engine(subject: Array, style: Array, way: str) -> tuple[float, Array]:
    """Value and gradient as a step has them."""
    picture = runtime.to_tensors(subject.astype(np.float32).reshape(1, 1, *subject.shape))
    target = runtime.to_tensors(layer_target(measured(style), EXACT_TOLERANCE))
    value, gradient = _ways[way](picture, target, runtime.to_tensors(np.ones(1, np.float32)))
    return float(runtime.to_numpy(value)[0]), runtime.to_numpy(gradient).reshape(subject.shape).astype(np.float64)


def by_singular_values(subject: Array, style: Array) -> tuple[float, Array, bool]:
    """Value, gradient, and whether there is but one: W2^2 has a kink where the cross term loses rank.

    With the subject's centred rows Z and the style's W, both over the root of their counts,
    the cross term is the nuclear norm of Z W^T, whose derivative is U V^T.
    """
    z, w = ((at - at.mean(axis=0)) / np.sqrt(len(at)) for at in (subject, style))
    left, values, right = np.linalg.svd(z @ w.T, full_matrices=False)
    apart = subject.mean(axis=0) - style.mean(axis=0)
    value = apart @ apart + (z**2).sum() + (w**2).sum() - 2 * values.sum()
    rank = np.linalg.matrix_rank(w, tol=1e-3 * np.linalg.norm(w, 2)) if w.any() else 0
    kept = int((values > 1e-6 * values[0]).sum()) if values.size and values[0] > 0 else 0
    turned = left[:, :kept] @ (right[:kept] @ w)
    gradient = 2 / len(subject) * apart + 2 / np.sqrt(len(subject)) * (z - turned)
    # well apart: nothing between what counts and what is rounding
    clear = kept == 0 or (values[kept - 1] > 1e-3 * values[0] and kept == rank)
    return float(value), gradient, clear


def size_of(*pictures: Array) -> float:
    """What rounding is to be compared with: the mean square of the rows."""
    return max(1e-6, *(float((at**2).sum(axis=1).mean()) for at in pictures))


@pytest.mark.parametrize("way", _ways)
@few
@given(rows, rows)
def test_any_two_pictures_have_the_distance_and_gradient_of_float64(way: str, first: Rows, second: Rows) -> None:
    subject, style = first.array(), second.array()
    value, gradient = by_the_engine(subject, style, way)
    exact, expected, clear = by_singular_values(subject, style)
    slack = ROUNDING * size_of(subject, style)
    assert np.isfinite(value) and np.isfinite(gradient).all()
    assert value >= -slack
    assert value == pytest.approx(exact, rel=1e-3, abs=slack)
    assert exact == pytest.approx(wasserstein2(*moments(subject)[:2], *moments(style)[:2]) ** 2, rel=1e-6, abs=slack)
    # at a kink there are many gradients, yet none carries a picture beyond the style's spread
    carried = moments(subject - len(subject) / 2 * gradient)[1]
    assert np.trace(carried) <= 1.2 * np.trace(moments(style)[1]) + 10 * slack
    noise = 2 * np.sqrt(slack / len(subject))
    if clear and np.linalg.norm(expected) > 30 * noise:
        assert cosine(gradient, expected) >= 0.9999
        assert np.linalg.norm(gradient) == pytest.approx(np.linalg.norm(expected), rel=1e-2)


@pytest.mark.parametrize("way", _ways)
@few
@given(rows)
def test_a_picture_is_no_distance_from_itself_and_is_left_alone(way: str, picture: Rows) -> None:
    same = picture.array()
    value, gradient = by_the_engine(same, same, way)
    slack = ROUNDING * size_of(same)
    assert abs(value) <= slack
    assert np.isfinite(gradient).all()
    # a step down the gradient, the picture's own size of it, would move no row that can be told
    assert np.linalg.norm(gradient) * np.sqrt(len(same)) <= 2e-3 * np.sqrt(size_of(same)) + 1e-12


@few
@given(rows, rows, st.floats(1e-6, 0.9))
def test_a_thinner_style_is_off_by_no_more_than_the_factors_bound(first: Rows, second: Rows, tolerance: float) -> None:
    cov, style = moments(first.array())[1], moments(second.array())[1]
    thin, zero = gaussian.low_rank_factor(style, tolerance), np.zeros(CHANNELS)
    tail = max(0.0, float(np.trace(style) - np.square(thin).sum()))
    exact, kept = (wasserstein2(zero, cov, zero, other) ** 2 for other in (style, thin @ thin.T))
    rounding = 1e-9 * (np.trace(cov) + np.trace(style))
    assert abs(kept - exact) <= 2 * np.sqrt(tail * np.trace(cov)) + tail + rounding


@few
@given(rows, rows, rows)
def test_the_distance_is_a_metric(first: Rows, second: Rows, third: Rows) -> None:
    a, b, c = (moments(each.array())[:2] for each in (first, second, third))
    between = wasserstein2(*a, *b)
    # a distance is a root: what rounds away of its square shows
    rounding = 1e-6 * np.sqrt(sum(mean @ mean + np.trace(cov) for mean, cov in (a, b, c)))
    assert between >= 0 and wasserstein2(*a, *a) <= rounding
    assert wasserstein2(*b, *a) == pytest.approx(between, rel=1e-9, abs=rounding)
    assert between <= wasserstein2(*a, *c) + wasserstein2(*c, *b) + rounding
