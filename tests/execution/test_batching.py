from __future__ import annotations

import numpy as np
import pytest

from pipeline.backends import errors
from pipeline.execution import batching
from pipeline.synthesis import memory
from stylebank.errors import UsageError
from tests.fakes import BatchStylizer, Stylizer


def flat(value: float) -> np.ndarray:
    return np.full((32, 32, 3), value, np.float32)


def results(stylizer: Stylizer, values: list[float]) -> batching.BatchOutcome:
    return batching.stylize_with_backoff(
        stylizer, [flat(value) for value in values], init=None, on_step=lambda index, info: None
    )


def pixels(outcome: batching.BatchOutcome) -> list[float]:
    return [float(255 - result.pixels[0, 0, 0]) for result in outcome.results]


def test_images_of_one_bucket_form_batches_in_the_order_of_the_first_one() -> None:
    groups = list(batching.iter_batches(["a1", "b1", "a2", "a3", "b2", "c1"], lambda item: item[0], lambda item: 2))
    assert groups == [["a1", "a2"], ["a3"], ["b1", "b2"], ["c1"]]


def test_a_bucket_has_a_batch_for_every_worker() -> None:
    groups = list(batching.iter_batches(range(8), lambda item: 0, lambda item: 32, workers=4))
    assert [len(group) for group in groups] == [2, 2, 2, 2]


def test_a_limit_found_out_on_the_way_holds_for_the_groups_that_follow() -> None:
    most = [4]
    lengths = []
    for group in batching.iter_batches(range(10), lambda item: 0, lambda item: most[0]):
        lengths.append(len(group))
        most[0] = 2
    assert lengths == [4, 2, 2, 2]


def test_automatic_batch_size_is_one_on_a_cpu_and_follows_the_memory_of_a_gpu() -> None:
    assert batching.auto_batch_size((512, 384), None) == 1
    small, large = batching.auto_batch_size((512, 384), 8 << 30), batching.auto_batch_size((512, 384), 16 << 30)
    assert 1 < small < large <= 32
    assert small * 512 * 384 * memory.BYTES_PER_PIXEL["float32"] < 8 << 30
    assert batching.auto_batch_size((512, 384), 8 << 30, "bfloat16") > small
    assert batching.auto_batch_size((4096, 4096), 8 << 30) == 1


@pytest.mark.parametrize(("text", "number"), [("auto", None), ("4", 4), (2, 2)])
def test_batch_sizes_are_read(text: str | int, number: int | None) -> None:
    assert batching.parse(text) == number


@pytest.mark.parametrize("text", ["0", "-1", "many", 0])
def test_other_batch_sizes_are_refused(text: str | int) -> None:
    with pytest.raises(UsageError, match="expected auto, or a whole number"):
        batching.parse(text)


def test_a_batch_that_fits_the_memory_is_one_call() -> None:
    stylizer = BatchStylizer(max_size=8)
    outcome = results(stylizer, [1, 2, 3, 4])
    assert (stylizer.batches, pixels(outcome), outcome.max_batch_size) == ([4], [1, 2, 3, 4], None)


def test_a_batch_is_halved_until_it_fits_and_the_size_that_fits_is_reported() -> None:
    stylizer = BatchStylizer(max_size=2)
    outcome = results(stylizer, [1, 2, 3, 4, 5, 6, 7])
    assert pixels(outcome) == [1, 2, 3, 4, 5, 6, 7]
    assert max(size for size in stylizer.batches[-2:]) <= 2 and outcome.max_batch_size == 2


def test_a_single_image_too_large_for_the_memory_fails() -> None:
    outcome = results(BatchStylizer(max_size=0), [1, 2])
    assert all(errors.is_out_of_memory(error) for error in outcome.results) and outcome.max_batch_size == 1


def test_one_bad_subject_in_a_batch_fails_alone() -> None:
    outcome = results(BatchStylizer(max_size=8, bad=3), [1, 2, 3, 4])
    assert isinstance(outcome.results.pop(2), ValueError)
    assert pixels(outcome) == [1, 2, 4] and outcome.max_batch_size is None


def test_batches_of_one_use_the_method_for_one_image() -> None:
    steps: list[tuple[int, int]] = []
    batching.stylize_with_backoff(
        Stylizer(), [flat(1), flat(2)], init=None, on_step=lambda index, info: steps.append((index, info.step))
    )
    assert steps == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]


def test_steps_of_a_batch_name_their_subject() -> None:
    steps: list[int] = []
    subjects = [flat(value) for value in range(5)]
    batching.stylize_with_backoff(
        BatchStylizer(max_size=3), subjects, init=None, on_step=lambda index, info: steps.append(index)
    )
    assert steps == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
