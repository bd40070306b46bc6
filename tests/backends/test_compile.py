"""Compiled functions, and gradients through a network, on every backend."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from pipeline.backends import runtime
from pipeline.backends.compile import compile_function, vjp
from pipeline.backends.ops import after, cond, relu


def tensor(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_one_compiled_choice_serves_either_size() -> None:
    traces = []

    def shortened(x: Any) -> Any:
        traces.append(1)
        few = runtime.keras.ops.shape(x)[0] < 4
        return cond(few, lambda: runtime.keras.ops.sum(x), lambda: -runtime.keras.ops.sum(x))

    compiled = compile_function(shortened)
    found = [
        float(runtime.to_numpy(compiled(runtime.to_tensors(np.ones((rows, 2), np.float32))))) for rows in (3, 5, 2)
    ]
    assert found == [6, -10, 4]
    assert runtime.NAME != "tensorflow" or len(traces) == 1


def test_cotangents_may_be_made_one_after_another() -> None:
    """From the last feature to the first, each when what comes back from the one after it is known."""
    x, slopes = tensor(1, 4, 5, 3), [tensor(1, 4, 5, 3, seed=seed) for seed in (1, 2, 3)]

    def chain(at: Any) -> list[Any]:
        first = relu(at)
        second = 3 * first
        return [first, second, runtime.keras.ops.square(second)]

    features, pull = vjp(chain, runtime.to_tensors(x))
    at_once = runtime.to_numpy(pull([runtime.to_tensors(slope) for slope in slopes]))
    called: list[Any] = []

    def late(number: int, above: Any) -> Any:
        called.append((number, None if above is None else tuple(above.shape)))
        return after(features[number], above) * 0 + runtime.to_tensors(slopes[number])

    features, pull = vjp(chain, runtime.to_tensors(x))
    in_turn = runtime.to_numpy(pull([partial(late, number) for number in range(3)]))
    positive = np.maximum(x, 0)
    expected = np.where(x > 0, slopes[0] + 3 * slopes[1] + 18 * positive * slopes[2], 0)
    np.testing.assert_allclose(at_once, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(in_turn, expected, rtol=1e-5, atol=1e-5)
    if runtime.NAME != "jax":
        assert called == [(2, None), (1, x.shape), (0, x.shape)]


@pytest.mark.skipif(runtime.NAME == "jax", reason="pulls back from all features together")
def test_features_that_are_no_chain_are_not_pulled_back_in_turn() -> None:
    _features, pull = vjp(lambda at: [2 * at, 3 * at], runtime.to_tensors(tensor(1, 2, 2, 1)))
    with pytest.raises(ValueError, match="computed from the one before"):
        pull([lambda above: runtime.to_tensors(tensor(1, 2, 2, 1))] * 2)


@pytest.mark.skipif(runtime.NAME != "tensorflow", reason="others compute in the order of the calls, or in their own")
def test_what_is_made_late_waits_for_what_comes_back() -> None:
    tf = runtime.tf

    def chain(at: Any) -> list[Any]:
        doubled = 2 * at
        return [doubled, tf.exp(doubled)]

    def traced(x: Any) -> Any:
        features, pull = vjp(chain, x)
        return pull([lambda above, own=own: tf.sin(after(own, above)) for own in features])

    graph = tf.function(traced).get_concrete_function(tf.TensorSpec([3], tf.float32)).graph
    sines = [found for found in graph.get_operations() if found.type == "Sin"]
    waiting = [found.inputs[0].op.control_inputs for found in sines]
    assert sorted(map(len, waiting)) == [0, 1]  # nothing comes back to the last one
