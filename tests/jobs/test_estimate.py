from __future__ import annotations

from pathlib import Path

import pipeline
from pipeline.jobs import apply
from pipeline.jobs.estimate import estimate, free_bytes
from stylebank.bank import Bank
from tests.jobs.test_apply import QUICK


def test_an_estimate_counts_pending_images_by_size_and_grows_with_their_cost(
    bank: Bank, photographs: Path, tmp_path: Path
) -> None:
    (photographs / "empty.jpg").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/chelsea.wave.jpg").touch()  # somebody else's
    pipeline.apply(bank, "wave", [photographs / "rocket.jpg"], tmp_path / "out", **QUICK)
    runs = [
        apply.prepare(bank, "wave", [photographs], tmp_path / "out", **{**QUICK, "steps": steps}) for steps in (2, 200)
    ]
    few, many = estimate(runs)
    assert (few.to_make, few.finished, few.failed) == (1, 1, 2)
    assert dict(few.sizes) == {(64, 64): 1}
    assert "exists already" in few.reasons[0] and "empty.jpg: the file is empty" in few.reasons[1]
    assert few.seconds is not None and many.seconds is not None and many.seconds > 20 * few.seconds > 0
    assert few.setup is not None and many.setup is not None  # the library and the compiled step are there for the next
    assert 0 < many.setup < few.setup
    assert 500 < few.disk < 20_000
    assert estimate(runs[:1], trial=False)[0].seconds is None


def test_the_disk_of_a_missing_folder_is_that_of_its_parent(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not/yet") > 0
