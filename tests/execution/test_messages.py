"""Messages to workers: their pixels arrive unchanged, and take no more room than they need."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from pipeline.execution.messages import ImageBatch


def sent(subject: np.ndarray) -> tuple[np.ndarray, int]:
    """Return a subject as a worker receives it, and the bytes of the message."""
    message = pickle.dumps(ImageBatch((7,), [subject], 5), pickle.HIGHEST_PROTOCOL)
    batch = pickle.loads(message)
    assert (batch.indices, batch.snapshot_every, list(batch.regions)) == ((7,), 5, [])
    return batch.subjects[0], len(message)


def test_pixels_of_eight_bits_travel_as_bytes() -> None:
    subject = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.float32)
    received, size = sent(subject)
    assert received.dtype == np.float32 and received.flags.writeable
    np.testing.assert_array_equal(received, subject)
    assert size < 1.1 * subject.size + 1000


@pytest.mark.parametrize("value", [0.5, -1.0, 256.0, np.nan, np.inf, 254.99999])
def test_one_other_value_keeps_every_bit(value: float) -> None:
    subject = np.full((48, 64, 3), 17, np.float32)
    subject[3, 5, 1] = value
    received, size = sent(subject)
    assert received.dtype == np.float32 and received.tobytes() == subject.tobytes()
    assert size > 4 * subject.size
