from __future__ import annotations

import numpy as np

from pipeline.synthesis.losses.functional import total_variation


def test_flat_pictures_are_smooth_and_a_checkerboard_is_not(china: np.ndarray) -> None:
    board = np.indices((64, 96)).sum(axis=0)[..., None] % 2 * np.float32(40)
    rough = np.clip(china + board - 20, 0, 255)
    values, gradients = total_variation(np.stack([np.full_like(china, 90), china, rough]))
    assert values[0] == 0 and not gradients[0].any()
    assert values[2] > values[1] + 10
    smoother = np.clip(rough - 1e5 * gradients[2], 0, 255)
    assert total_variation(smoother[None])[0][0] < values[2] - 5


def test_the_gradient_is_the_slope(china: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    _values, gradient = total_variation(china[None])
    assert gradient.dtype == np.float32 and gradient.shape == (1, *china.shape)
    for _ in range(3):
        way = rng.normal(size=china.shape).astype(np.float32)
        ahead, behind = (total_variation(china[None] + sign * way)[0][0] for sign in (0.1, -0.1))
        np.testing.assert_allclose((ahead - behind) / 0.2, float((gradient[0] * way).sum()), rtol=2e-2, atol=1e-4)


def test_pictures_side_by_side_do_not_touch(china: np.ndarray) -> None:
    both = total_variation(np.stack([china, china[::-1]]))
    alone = total_variation(china[None])
    np.testing.assert_allclose(both[0][0], alone[0][0])
    np.testing.assert_array_equal(both[1][0], alone[1][0])
