from __future__ import annotations

from pathlib import Path

import numpy as np

from stylebank.bank import Bank, similarity
from stylebank.bank import embedding as placing
from tests.styles import LAYERS, varied


def test_the_matrix_has_the_distances() -> None:
    crowd = [varied("x", seed).scales[32] for seed in range(4)]
    distances = placing.matrix(crowd, LAYERS)
    assert (distances == distances.T).all() and (np.diag(distances) == 0).all()
    assert distances[1, 3] == similarity.distance(crowd[3], crowd[1], LAYERS)


def test_the_sketch_is_near_the_distances_of_the_roots(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    for seed in range(12):
        bank.add(varied(f"style {seed}", seed))
    wanted = similarity.comparable(bank.entries()[0], bank.header("style 0"), 32, LAYERS)[0]
    crowd = [bank.get(entry.header.name).scales[32] for entry in wanted]
    sketched, whole, damaged = placing.approximate_distances(wanted, LAYERS)
    assert whole == wanted and damaged == []
    expected = np.zeros((12, 12))
    for i, one in enumerate(crowd):
        for j, other in enumerate(crowd):
            for layer in LAYERS:
                a, b = one[layer], other[layer]
                apart = ((a.mean.astype(float) - b.mean) ** 2).sum()
                roots = ((a.cov_sqrt.astype(float) - b.cov_sqrt) ** 2).sum()
                expected[i, j] += (apart + roots) / ((np.trace(a.cov) + np.trace(b.cov)) / 2 + apart / 4) / 3
    np.testing.assert_allclose(sketched, np.sqrt(expected), rtol=0.2)
    upper = sketched[~np.eye(12, dtype=bool)] - placing.matrix(crowd, LAYERS)[~np.eye(12, dtype=bool)]
    assert upper.mean() > 0
    np.testing.assert_array_equal(sketched, placing.approximate_distances(wanted, LAYERS)[0])
