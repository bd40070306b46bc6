"""Operations with an implementation per backend, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.backends import ops, runtime
from pipeline.backends.compile import vjp


def tensor(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("offset", "mode"), [(1, "reflect"), (0, "edge")])
@pytest.mark.parametrize(("top", "bottom"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("shape", [(1, 5, 7, 3), (3, 2, 2, 4), (2, 6, 2, 1)], ids=lambda shape: f"{shape}")
def test_padding_and_its_gradient_equal_numpys(
    shape: tuple[int, ...], offset: int, mode: Any, top: bool, bottom: bool
) -> None:
    x = tensor(*shape)
    around = ((0, 0), (int(top), int(bottom)), (1, 1), (0, 0))
    expected = np.pad(x, around, mode=mode)
    slope = tensor(*expected.shape, seed=1)
    padded, pull = vjp(lambda x: [ops.pad_edges(x, offset, top=top, bottom=bottom)], runtime.to_tensors(x))
    np.testing.assert_array_equal(runtime.to_numpy(padded[0]), expected)
    # each position receives the gradients of all its copies
    places = np.pad(np.arange(x.size).reshape(shape), around, mode=mode)
    gathered = np.bincount(places.ravel(), slope.ravel().astype(np.float64), x.size).reshape(shape)
    np.testing.assert_allclose(runtime.to_numpy(pull([runtime.to_tensors(slope)])), gathered, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (2, 1, 4, 3), (1, 3, 1, 2)], ids=lambda shape: f"{shape}")
def test_a_single_row_or_column_is_replicated(shape: tuple[int, ...]) -> None:
    x = tensor(*shape)
    modes = ["edge" if side == 1 else "reflect" for side in shape[1:3]]
    expected = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)), mode=modes[0])  # type: ignore[call-overload]
    expected = np.pad(expected, ((0, 0), (0, 0), (1, 1), (0, 0)), mode=modes[1])  # type: ignore[call-overload]
    padded, pull = vjp(lambda x: [ops.pad_edges(x, 1)], runtime.to_tensors(x))
    np.testing.assert_array_equal(runtime.to_numpy(padded[0]), expected)
    back = runtime.to_numpy(pull([runtime.to_tensors(np.ones_like(expected))]))
    assert back.shape == shape and back.sum() == pytest.approx(expected.size)


def test_padding_is_exact_in_bfloat16() -> None:
    x = runtime.keras.ops.cast(runtime.to_tensors(tensor(1, 3, 4, 2)), "bfloat16")
    padded = runtime.keras.ops.cast(ops.pad_edges(x, 1), "float32")
    source = runtime.to_numpy(runtime.keras.ops.cast(x, "float32"))
    expected = np.pad(source, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(runtime.to_numpy(padded), expected)


@pytest.mark.parametrize(("left", "right"), [(1, 1), (3, 3), (1, 3), (3, 1)])
@pytest.mark.parametrize("transpose_a", [False, True])
def test_products_equal_numpys(left: int, right: int, transpose_a: bool) -> None:
    left_matrix, right_matrix = tensor(left, 4, 5), tensor(right, 5, 2, seed=1)
    stored = np.ascontiguousarray(left_matrix.swapaxes(1, 2)) if transpose_a else left_matrix
    product = runtime.to_numpy(
        ops.matmul(runtime.to_tensors(stored), runtime.to_tensors(right_matrix), transpose_a=transpose_a)
    )
    np.testing.assert_allclose(product, left_matrix @ right_matrix, rtol=1e-4, atol=1e-5)


def test_squares_are_summed_per_image() -> None:
    x = tensor(3, 4, 5)
    sums = runtime.to_numpy(ops.sum_of_squares(runtime.to_tensors(x)))
    np.testing.assert_allclose(sums, np.square(x).sum(axis=(1, 2)), rtol=1e-5)


def test_cond_with_a_bool_calls_one_function() -> None:
    called = []
    assert ops.cond(True, lambda: called.append("yes") or 1, lambda: called.append("no") or 2) == 1
    assert ops.cond(False, lambda: called.append("yes") or 1, lambda: called.append("no") or 2) == 2
    assert called == ["yes", "no"]
