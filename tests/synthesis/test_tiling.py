from __future__ import annotations

import numpy as np

from pipeline.synthesis.tiling import Merged, blocks, divide
from stylebank.math.gaussian import moments


def test_blocks_end_with_the_last_feature_wanted() -> None:
    first, second, third = blocks(["relu1_2", "conv3_2", "conv1_1"])
    assert first.convolutions == ("conv1_1", "conv1_2") and first.wanted == ("conv1_1", "relu1_2")
    assert second.convolutions == ("conv2_1", "conv2_2") and second.wanted == () and second.pools
    assert third.convolutions == ("conv3_1", "conv3_2") and third.wanted == ("conv3_2",) and not third.pools


def test_strips_are_even_and_none_is_too_short() -> None:
    for height in (2, 8, 9, 31, 64, 101, 1000):
        for rows in (0, 8, 9, 30, 64, 2000):
            strips = divide(height, rows)
            assert [begin for begin, _ in strips] == [0, *(end for _, end in strips[:-1])]
            assert strips[-1][1] == height
            assert all(begin % 2 == 0 for begin, _ in strips)
            # a block sees up to 4 rows beyond a strip: no strip but an only one is shorter
            assert len(strips) == 1 or min(end - begin for begin, end in strips) >= 4
            assert max(end - begin for begin, end in strips) <= max(rows + 5, 12)


def test_moments_of_parts_are_the_moments_of_all() -> None:
    random = np.random.default_rng(0)
    parts = [random.normal(1e3 * number, 1 + number, (1, rows, 5)) for number, rows in enumerate((3, 50, 1, 200))]
    merged = Merged()
    for part in parts:
        mean, cov, count = moments(part[0])
        merged.add(mean[None, None], cov[None], np.array([count]))
        merged.add(np.full((1, 1, 5), np.nan), np.full((1, 5, 5), np.nan), np.zeros(1))
    mean, cov = merged.moments()
    expected_mean, expected_cov, count = moments(np.concatenate(parts, axis=1)[0])
    assert merged.count[0] == count
    np.testing.assert_allclose(mean[0, 0], expected_mean, rtol=1e-6)
    np.testing.assert_allclose(cov[0], expected_cov, rtol=1e-5, atol=1e-6 * expected_cov.max())
