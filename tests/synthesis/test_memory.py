from __future__ import annotations

import re

import pytest

from pipeline.synthesis.memory import estimate_bytes, require_memory
from stylebank.errors import UsageError

GB = 1_000_000_000


def test_an_image_too_large_for_tiles_is_refused_with_the_size_that_fits() -> None:
    with pytest.raises(
        UsageError, match=r"40000 x 30000 pixels need about \d+\.\d GB of memory, and 24\.0 GB"
    ) as refusal:
        require_memory((40000, 30000), 1, "float32", available=24 * GB)
    named = re.search(r"Choose --size (\d+) or less", str(refusal.value))
    assert named
    longest = int(named[1])
    assert 4096 < longest < 40000
    assert require_memory((longest, longest * 3 // 4), 1, "float32", available=24 * GB)
    with pytest.raises(UsageError):
        require_memory((longest + 40, (longest + 40) * 3 // 4), 1, "float32", available=24 * GB)


def test_the_default_size_needs_no_tiles() -> None:
    assert not require_memory((512, 384), 1, "bfloat16", available=4 * GB)


@pytest.mark.parametrize(("size", "available"), [((2048, 1536), 8 * GB), ((4096, 3072), 16 * GB)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_large_images_need_tiles(size: tuple[int, int], available: int, precision: str) -> None:
    assert require_memory(size, 1, precision, available=available)
    assert not require_memory(size, 1, precision, available=100 * GB)


def test_a_limit_applies_even_if_more_is_free() -> None:
    assert not require_memory((1024, 768), 1, "float32", available=24 * GB)
    assert require_memory((1024, 768), 1, "float32", available=24 * GB, limit=3 * GB)
    assert require_memory((1024, 768), 1, "float32", available=3 * GB, limit=24 * GB)
    with pytest.raises(
        UsageError, match=r"3\.0 GB are allowed\. Choose --size \d+ or less, or a higher --memory-limit"
    ):
        require_memory((4096, 3072), 1, "float32", available=24 * GB, limit=3 * GB)
    with pytest.raises(UsageError, match=r"0\.1 GB are allowed\. No size fits\. Raise --memory-limit"):
        require_memory((512, 384), 1, "float32", limit=GB // 10)


def test_batches_and_the_optimisers_memory_count() -> None:
    single, four = (estimate_bytes((512, 384), count, "float32", tiled=False) for count in (1, 4))
    assert four > 2 * single
    # the pairs of steps and gradients are most of it in strips, and at least five pairs are kept
    with_pairs, without = (
        estimate_bytes((4096, 3072), 1, "float32", tiled=True, optimizer=optimizer) for optimizer in ("lbfgs", "adam")
    )
    assert with_pairs - without == 5 * 2 * 4 * 3 * 4096 * 3072
