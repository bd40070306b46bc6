from __future__ import annotations

import numpy as np
import pytest

from pipeline.backends import errors
from pipeline.execution import batching as buckets
from pipeline.synthesis import memory
from stylebank.errors import UsageError
from tests.fakes import BatchOutcome, Stylizer


def flat(value: float) -> np.ndarray:
    return np.full((32, 32, 3), value, np.float32)


def results(stylizer: Stylizer, values: list[float]) -> buckets.BatchOutcome:
    return buckets.stylize_with_backoff(
        stylizer, [flat(value) for value in values], init=None, on_step=lambda index, info: None
    )


def pixels(together: buckets.BatchOutcome) -> list[float]:
    return [float(255 - result.pixels[0, 0, 0]) for result in together.results]


def test_pictures_of_one_size_come_together_in_the_order_of_their_first() -> None:
    groups = list(buckets.iter_batches(["a1", "b1", "a2", "a3", "b2", "c1"], lambda item: item[0], lambda item: 2))
    assert groups == [["a1", "a2"], ["a3"], ["b1", "b2"], ["c1"]]


def test_workers_share_a_bucket_before_they_batch_it() -> None:
    groups = list(buckets.iter_batches(range(8), lambda item: 0, lambda item: 32, workers=4))
    assert [len(group) for group in groups] == [2, 2, 2, 2]


def test_a_limit_found_out_on_the_way_holds_for_the_groups_that_follow() -> None:
    most = [4]
    lengths = []
    for group in buckets.iter_batches(range(10), lambda item: 0, lambda item: most[0]):
        lengths.append(len(group))
        most[0] = 2
    assert lengths == [4, 2, 2, 2]


def test_automatic_is_one_on_a_cpu_and_by_memory_on_a_gpu() -> None:
    assert buckets.auto_batch_size((512, 384), None) == 1
    small, large = buckets.auto_batch_size((512, 384), 8 << 30), buckets.auto_batch_size((512, 384), 16 << 30)
    assert 1 < small < large <= 32
    assert small * 512 * 384 * memory.BYTES_PER_PIXEL["float32"] < 8 << 30
    assert buckets.auto_batch_size((512, 384), 8 << 30, "bfloat16") > small
    assert buckets.auto_batch_size((4096, 4096), 8 << 30) == 1


@pytest.mark.parametrize(("text", "number"), [("auto", None), ("4", 4), (2, 2)])
def test_batch_sizes_are_read(text: str | int, number: int | None) -> None:
    assert buckets.parse(text) == number


@pytest.mark.parametrize("text", ["0", "-1", "many", 0])
def test_other_batch_sizes_are_refused(text: str | int) -> None:
    with pytest.raises(UsageError, match="expected auto, or a whole number"):
        buckets.parse(text)


def test_a_batch_goes_through_in_one_call_where_the_memory_holds_it() -> None:
    stylizer = BatchOutcome(most=8)
    together = results(stylizer, [1, 2, 3, 4])
    assert (stylizer.batches, pixels(together), together.max_batch_size) == ([4], [1, 2, 3, 4], None)


def test_a_batch_is_halved_until_the_memory_holds_it_and_says_what_held() -> None:
    stylizer = BatchOutcome(most=2)
    together = results(stylizer, [1, 2, 3, 4, 5, 6, 7])
    assert pixels(together) == [1, 2, 3, 4, 5, 6, 7]
    assert max(size for size in stylizer.batches[-2:]) <= 2 and together.max_batch_size == 2


def test_a_picture_too_large_by_itself_fails_alone() -> None:
    together = results(BatchOutcome(most=0), [1, 2])
    assert all(errors.is_out_of_memory(error) for error in together.results) and together.max_batch_size == 1


def test_one_bad_subject_in_a_batch_fails_alone() -> None:
    together = results(BatchOutcome(most=8, bad=3), [1, 2, 3, 4])
    assert isinstance(together.results.pop(2), ValueError)
    assert pixels(together) == [1, 2, 4] and together.max_batch_size is None


def test_a_stylist_of_one_at_a_time_is_asked_one_at_a_time() -> None:
    heard: list[tuple[int, int]] = []
    buckets.stylize_with_backoff(
        Stylizer(), [flat(1), flat(2)], init=None, on_step=lambda index, info: heard.append((index, info.step))
    )
    assert heard == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]


def test_moments_of_a_batch_are_told_of_the_subject_they_are_of() -> None:
    heard: list[int] = []
    subjects = [flat(value) for value in range(5)]
    buckets.stylize_with_backoff(
        BatchOutcome(most=3), subjects, init=None, on_step=lambda index, info: heard.append(index)
    )
    assert heard == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
