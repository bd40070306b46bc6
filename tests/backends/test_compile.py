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


def test_a_compiled_cond_selects_by_size() -> None:
    traces = []

    def shortened(x: Any) -> Any:
        traces.append(1)
        few = runtime.keras.ops.shape(x)[0] < 4
        return cond(few, lambda: runtime.keras.ops.sum(x), lambda: -runtime.keras.ops.sum(x))

    compiled = compile_function(shortened)
    results = [
        float(runtime.to_numpy(compiled(runtime.to_tensors(np.ones((rows, 2), np.float32))))) for rows in (3, 5, 2)
    ]
    assert results == [6, -10, 4]
    assert runtime.NAME != "tensorflow" or len(traces) == 1


def test_cotangents_are_computed_from_the_last_output_to_the_first() -> None:
    """Each function receives the upstream gradient of the output after it."""
    x, slopes = tensor(1, 4, 5, 3), [tensor(1, 4, 5, 3, seed=seed) for seed in (1, 2, 3)]

    def chain(x: Any) -> list[Any]:
        first = relu(x)
        second = 3 * first
        return [first, second, runtime.keras.ops.square(second)]

    features, pull = vjp(chain, runtime.to_tensors(x))
    at_once = runtime.to_numpy(pull([runtime.to_tensors(slope) for slope in slopes]))
    called: list[Any] = []

    def late(number: int, upstream: Any) -> Any:
        called.append((number, None if upstream is None else tuple(upstream.shape)))
        return after(features[number], upstream) * 0 + runtime.to_tensors(slopes[number])

    features, pull = vjp(chain, runtime.to_tensors(x))
    in_turn = runtime.to_numpy(pull([partial(late, number) for number in range(3)]))
    positive = np.maximum(x, 0)
    expected = np.where(x > 0, slopes[0] + 3 * slopes[1] + 18 * positive * slopes[2], 0)
    np.testing.assert_allclose(at_once, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(in_turn, expected, rtol=1e-5, atol=1e-5)
    if runtime.NAME != "jax":
        assert called == [(2, None), (1, x.shape), (0, x.shape)]


@pytest.mark.skipif(runtime.NAME == "jax", reason="JAX pulls back all outputs together")
def test_outputs_that_do_not_form_a_chain_are_refused() -> None:
    _features, pull = vjp(lambda x: [2 * x, 3 * x], runtime.to_tensors(tensor(1, 2, 2, 1)))
    with pytest.raises(ValueError, match="computed from the one before"):
        pull([lambda upstream: runtime.to_tensors(tensor(1, 2, 2, 1))] * 2)


@pytest.mark.skipif(runtime.NAME != "tensorflow", reason="other backends have no control dependencies")
def test_a_late_cotangent_waits_for_the_upstream_gradient() -> None:
    tf = runtime.tf

    def chain(x: Any) -> list[Any]:
        doubled = 2 * x
        return [doubled, tf.exp(doubled)]

    def traced(x: Any) -> Any:
        features, pull = vjp(chain, x)
        return pull([lambda upstream, output=output: tf.sin(after(output, upstream)) for output in features])

    graph = tf.function(traced).get_concrete_function(tf.TensorSpec([3], tf.float32)).graph
    sines = [operation for operation in graph.get_operations() if operation.type == "Sin"]
    waiting = [operation.inputs[0].op.control_inputs for operation in sines]
    assert sorted(map(len, waiting)) == [0, 1]  # the last output has no upstream gradient
