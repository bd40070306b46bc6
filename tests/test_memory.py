from __future__ import annotations

import re

import pytest

from pipeline.memory import require_memory
from stylebank.errors import UsageError


def test_a_picture_too_large_is_refused_with_the_size_that_fits() -> None:
    with pytest.raises(UsageError, match=r"4000 x 3000 pixels need about 58\.1 GB of memory, and 24\.0 GB") as refusal:
        require_memory((4000, 3000), 1, "float32", available=24_000_000_000)
    named = re.search(r"--size (\d+)", str(refusal.value))
    assert named
    longest = int(named[1])
    assert 2000 < longest < 4000
    require_memory((longest, longest * 3 // 4), 1, "float32", available=24_000_000_000)


def test_a_phones_photograph_at_the_default_size_is_fine() -> None:
    require_memory((512, 384), 1, "bfloat16", available=4_000_000_000)
