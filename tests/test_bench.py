from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.weights import Weights

from .bench.reference import Reference
from .conftest import cosine

_FILE = Path(__file__).parent / "data" / "original_reference.npz"


def test_the_reference_is_the_original_program(vgg: Weights) -> None:
    with np.load(_FILE, allow_pickle=False) as file:
        losses, gradient = Reference(vgg, file["style"].astype(np.float32))(file["subject"].astype(np.float32))
        np.testing.assert_allclose(losses, file["layer_loss"], rtol=0.01)
        assert losses.sum() == pytest.approx(float(file["loss"]), rel=0.001)
        assert cosine(gradient, file["gradient"]) > 0.9999
