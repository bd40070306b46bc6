from __future__ import annotations

import re

import pytest

from pipeline.backends import devices, host_memory
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


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU, with 16 GB free."""
    monkeypatch.setattr(devices, "device", lambda: "cpu")
    monkeypatch.setattr(host_memory, "_free_bytes", lambda root: 16 * GB)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_each_of_several_processes_has_its_part_of_the_free_memory(free: None, processes: int) -> None:
    for side in (512, 1024, 1536):
        with host_memory.shared_by(processes):
            shared = require_memory((side, side), 1, "float32")
        assert shared == require_memory((side, side), 1, "float32", available=16 * GB // processes)
    assert not require_memory((1536, 1536), 1, "float32")
    with host_memory.shared_by(4):
        assert require_memory((1536, 1536), 1, "float32")


def test_a_picture_too_large_for_a_process_names_the_number_of_processes(free: None) -> None:
    with (
        host_memory.shared_by(4),
        pytest.raises(UsageError, match=r"4\.0 GB are free for each of 4 processes\. Choose"),
    ):
        require_memory((4096, 4096), 1, "float32")
    with host_memory.shared_by(64), pytest.raises(UsageError, match=r"No size fits\. Give fewer --jobs\."):
        require_memory((512, 512), 1, "float32")
