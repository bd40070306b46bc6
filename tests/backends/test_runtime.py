"""What the backends do each in their own way, against NumPy."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.backends import runtime as backend


def tensor(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("inside", "mode"), [(1, "reflect"), (0, "edge")])
@pytest.mark.parametrize(("top", "bottom"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("shape", [(1, 5, 7, 3), (3, 2, 2, 4), (2, 6, 2, 1)], ids=lambda shape: f"{shape}")
def test_a_frame_is_numpys_and_its_gradient_what_was_copied(
    shape: tuple[int, ...], inside: int, mode: Any, top: bool, bottom: bool
) -> None:
    x = tensor(*shape)
    around = ((0, 0), (int(top), int(bottom)), (1, 1), (0, 0))
    expected = np.pad(x, around, mode=mode)
    slope = tensor(*expected.shape, seed=1)
    framed, pull = backend.pull_back(lambda at: [backend.framed(at, inside, top=top, bottom=bottom)], backend.tree(x))
    np.testing.assert_array_equal(backend.to_numpy(framed[0]), expected)
    # each place gets the slopes of all that it was copied to
    places = np.pad(np.arange(x.size).reshape(shape), around, mode=mode)
    gathered = np.bincount(places.ravel(), slope.ravel().astype(np.float64), x.size).reshape(shape)
    np.testing.assert_allclose(backend.to_numpy(pull([backend.tree(slope)])), gathered, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (2, 1, 4, 3), (1, 3, 1, 2)], ids=lambda shape: f"{shape}")
def test_what_has_nothing_to_reflect_stands_beside_itself(shape: tuple[int, ...]) -> None:
    x = tensor(*shape)
    modes = ["edge" if side == 1 else "reflect" for side in shape[1:3]]
    expected = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)), mode=modes[0])  # type: ignore[call-overload]
    expected = np.pad(expected, ((0, 0), (0, 0), (1, 1), (0, 0)), mode=modes[1])  # type: ignore[call-overload]
    framed, pull = backend.pull_back(lambda at: [backend.framed(at, 1)], backend.tree(x))
    np.testing.assert_array_equal(backend.to_numpy(framed[0]), expected)
    back = backend.to_numpy(pull([backend.tree(np.ones_like(expected))]))
    assert back.shape == shape and back.sum() == pytest.approx(expected.size)


def test_a_frame_is_exact_in_bfloat16() -> None:
    x = backend.keras.ops.cast(backend.tree(tensor(1, 3, 4, 2)), "bfloat16")
    framed = backend.keras.ops.cast(backend.framed(x, 1), "float32")
    given = backend.to_numpy(backend.keras.ops.cast(x, "float32"))
    expected = np.pad(given, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(backend.to_numpy(framed), expected)


@pytest.mark.parametrize(("left", "right"), [(1, 1), (3, 3), (1, 3), (3, 1)])
@pytest.mark.parametrize("turned", [False, True])
def test_products_are_numpys(left: int, right: int, turned: bool) -> None:
    one, other = tensor(left, 4, 5), tensor(right, 5, 2, seed=1)
    given = np.ascontiguousarray(one.swapaxes(1, 2)) if turned else one
    found = backend.to_numpy(backend.products(backend.tree(given), backend.tree(other), turned=turned))
    np.testing.assert_allclose(found, one @ other, rtol=1e-4, atol=1e-5)


def test_squares_are_summed_picture_by_picture() -> None:
    x = tensor(3, 4, 5)
    found = backend.to_numpy(backend.sum_of_squares(backend.tree(x)))
    np.testing.assert_allclose(found, np.square(x).sum(axis=(1, 2)), rtol=1e-5)


def test_a_choice_known_beforehand_computes_one_side_alone() -> None:
    asked = []
    assert backend.either(True, lambda: asked.append("yes") or 1, lambda: asked.append("no") or 2) == 1
    assert backend.either(False, lambda: asked.append("yes") or 1, lambda: asked.append("no") or 2) == 2
    assert asked == ["yes", "no"]


def test_one_compiled_choice_serves_either_size() -> None:
    traces = []

    def shortened(x: Any) -> Any:
        traces.append(1)
        few = backend.keras.ops.shape(x)[0] < 4
        return backend.either(few, lambda: backend.keras.ops.sum(x), lambda: -backend.keras.ops.sum(x))

    compiled = backend.compile_function(shortened)
    found = [float(backend.to_numpy(compiled(backend.tree(np.ones((rows, 2), np.float32))))) for rows in (3, 5, 2)]
    assert found == [6, -10, 4]
    assert backend.NAME != "tensorflow" or len(traces) == 1


@pytest.mark.parametrize("other", ["tensorflow", "torch", "jax"])
def test_the_engine_is_exact_on_every_backend_installed(other: str) -> None:
    """In a process of its own, since a process has one backend."""
    if other == backend.NAME or os.environ.get("STYLEBANK_ONE_BACKEND"):
        pytest.skip("this very backend")
    if importlib.util.find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    files = [
        "tests/backends/test_runtime.py",
        "tests/synthesis/losses/test_functional.py",
        "tests/synthesis/losses/test_objective.py",
    ]
    chosen = "frame or products or squares or choice or distance.py"
    chosen += " or cotangents or chain or gradient_is_the or layers_loss or the_gradient_points"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", chosen],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "KERAS_BACKEND": other, "STYLEBANK_ONE_BACKEND": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert " passed" in ran.stdout


def test_cotangents_may_be_made_one_after_another() -> None:
    """From the last feature to the first, each when what comes back from the one after it is known."""
    x, slopes = tensor(1, 4, 5, 3), [tensor(1, 4, 5, 3, seed=seed) for seed in (1, 2, 3)]

    def chain(at: Any) -> list[Any]:
        first = backend.rectified(at)
        second = 3 * first
        return [first, second, backend.keras.ops.square(second)]

    features, pull = backend.pull_back(chain, backend.tree(x))
    at_once = backend.to_numpy(pull([backend.tree(slope) for slope in slopes]))
    called: list[Any] = []

    def late(number: int, above: Any) -> Any:
        called.append((number, None if above is None else tuple(above.shape)))
        return backend.later(features[number], above) * 0 + backend.tree(slopes[number])

    features, pull = backend.pull_back(chain, backend.tree(x))
    in_turn = backend.to_numpy(pull([partial(late, number) for number in range(3)]))
    positive = np.maximum(x, 0)
    expected = np.where(x > 0, slopes[0] + 3 * slopes[1] + 18 * positive * slopes[2], 0)
    np.testing.assert_allclose(at_once, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(in_turn, expected, rtol=1e-5, atol=1e-5)
    if backend.NAME != "jax":
        assert called == [(2, None), (1, x.shape), (0, x.shape)]


@pytest.mark.skipif(backend.NAME == "jax", reason="pulls back from all features together")
def test_features_that_are_no_chain_are_not_pulled_back_in_turn() -> None:
    _features, pull = backend.pull_back(lambda at: [2 * at, 3 * at], backend.tree(tensor(1, 2, 2, 1)))
    with pytest.raises(ValueError, match="made of the one before"):
        pull([lambda above: backend.tree(tensor(1, 2, 2, 1))] * 2)


@pytest.mark.skipif(backend.NAME != "tensorflow", reason="others compute in the order of the calls, or in their own")
def test_what_is_made_late_waits_for_what_comes_back() -> None:
    tf = backend.tf

    def chain(at: Any) -> list[Any]:
        doubled = 2 * at
        return [doubled, tf.exp(doubled)]

    def traced(x: Any) -> Any:
        features, pull = backend.pull_back(chain, x)
        return pull([lambda above, own=own: tf.sin(backend.later(own, above)) for own in features])

    graph = tf.function(traced).get_concrete_function(tf.TensorSpec([3], tf.float32)).graph
    sines = [found for found in graph.get_operations() if found.type == "Sin"]
    waiting = [found.inputs[0].op.control_inputs for found in sines]
    assert sorted(map(len, waiting)) == [0, 1]  # nothing comes back to the last one
