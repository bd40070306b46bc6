from __future__ import annotations

import numpy as np
import pytest

from stylebank.math import mds


def test_points_of_a_plane_are_found_again() -> None:
    points = np.random.default_rng(0).normal(size=(12, 2)) * (3, 1)
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    places = mds.classical_mds(distances)
    np.testing.assert_allclose(np.linalg.norm(places[:, None] - places, axis=-1), distances, atol=1e-10)
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-12)
    assert places[:, 0].std() > places[:, 1].std()


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_few_points_have_places(number: int) -> None:
    places = mds.classical_mds(1.0 - np.eye(number))
    assert places.shape == (number, 2) and np.isfinite(places).all()
    if number == 2:
        np.testing.assert_allclose(np.abs(places), [[0.5, 0], [0.5, 0]], atol=1e-12)
