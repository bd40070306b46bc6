"""Operations that Keras lacks, or that need another implementation per backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .runtime import NAME, keras

if NAME == "tensorflow":
    import tensorflow as tf


def cond(condition: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """Return ``true_fn()`` or ``false_fn()``.

    Parameters
    ----------
    condition
        A bool calls one function only. A tensor, whose value may be unknown at compile time, selects at run time.
    """
    if isinstance(condition, bool):
        return true_fn() if condition else false_fn()
    return keras.ops.cond(condition, true_fn, false_fn)


def matmul(left: Any, right: Any, *, transpose_a: bool = False) -> Any:
    """Multiply matrices (n or 1, ..., a, b) and (n or 1, ..., b, c).

    Parameters
    ----------
    transpose_a
        Whether the left ones have shape (n or 1, ..., b, a). TensorFlow does not copy them.
    """
    single = left.shape[0] == right.shape[0] == 1  # TensorFlow multiplies a single matrix faster without the batch axis
    if single:
        left, right = left[0], right[0]
    if NAME == "tensorflow":
        product = tf.matmul(left, right, transpose_a=transpose_a)
    else:
        product = keras.ops.matmul(keras.ops.swapaxes(left, -1, -2) if transpose_a else left, right)
    return product[None] if single else product


def sum_of_squares(tensor: Any) -> Any:
    """Return the sum of squares of each of n tensors (n, ...), with shape (n,).

    TensorFlow does not store the squares.
    """
    if NAME == "tensorflow":
        return tf.stack([2 * tf.nn.l2_loss(part) for part in tf.unstack(tensor)])
    return keras.ops.sum(keras.ops.square(keras.ops.reshape(tensor, (tensor.shape[0], -1))), axis=1)


def pad_edges(x: Any, offset: int, *, top: bool = True, bottom: bool = True) -> Any:
    """Pad activations (n, h, w, c) by one row and one column on each side.

    Parameters
    ----------
    offset
        Distance from the border to the row or column that is copied: 0 replicates the border, 1 reflects.
        It is reduced where the activations are smaller.
    top, bottom
        Whether to pad at the top and at the bottom.
    """
    if NAME == "tensorflow":
        return _pad_edges_by_gather(x, offset, top, bottom)
    row, column = min(offset, x.shape[1] - 1), min(offset, x.shape[2] - 1)
    above = [x[:, row : row + 1]] if top else []
    below = [x[:, -1 - row : -row or None]] if bottom else []
    if above or below:
        x = keras.ops.concatenate([*above, x, *below], axis=1)
    return keras.ops.concatenate([x[:, :, column : column + 1], x, x[:, :, -1 - column : -column or None]], axis=2)


def _pad_edges_by_gather(x: Any, offset: int, top: bool, bottom: bool) -> Any:
    """Pad by one gather, whose gradient adds up the border alone. Slices and joins copy five times as much."""
    shape = tf.shape(x)
    count, height, width, channels = shape[0], shape[1], shape[2], x.shape[3]
    row, column = tf.minimum(offset, height - 1), tf.minimum(offset, width - 1)
    above, below = [[row]] if top else [], [[height - 1 - row]] if bottom else []
    rows = tf.concat([*above, tf.range(height), *below], 0)
    columns = tf.concat([[column], tf.range(width), [width - 1 - column]], 0)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def pad(x: Any) -> tuple[Any, Callable[[Any], Any]]:
        indices = tf.reshape(rows[:, None] * width + columns, [-1])
        padded = tf.gather(tf.reshape(x, [count, height * width, channels]), indices, axis=1)

        def gradient(upstream: Any) -> Any:
            interior = tf.reshape(
                tf.slice(upstream, [0, int(top), 1, 0], [count, height, width, channels]), [-1, channels]
            )
            rows_upstream = upstream[:, int(top) : -1 if bottom else None]
            parts = [(tf.range(height) * width + columns[0], rows_upstream[:, :, 0])]
            parts += [(tf.range(height) * width + columns[-1], rows_upstream[:, :, -1])]
            parts += [(rows[0] * width + columns, upstream[:, 0])] if top else []
            parts += [(rows[-1] * width + columns, upstream[:, -1])] if bottom else []
            indices = tf.range(count)[:, None] * (height * width) + tf.concat([index for index, _ in parts], 0)
            values = tf.concat([part for _, part in parts], 1)
            total = tf.tensor_scatter_nd_add(interior, tf.reshape(indices, [-1, 1]), tf.reshape(values, [-1, channels]))
            return tf.reshape(total, [count, height, width, channels])

        return tf.reshape(padded, [count, len(above) + height + len(below), width + 2, channels]), gradient

    return pad(x)


def after(tensor: Any, first: Any) -> Any:
    """Return `tensor`, computed from on TensorFlow only after `first` exists.

    Other backends, and a `first` of None, return it as it is.
    """
    if NAME == "tensorflow" and first is not None:
        with tf.control_dependencies([first]):
            return tf.identity(tensor)
    return tensor


def relu(x: Any) -> Any:
    """Return the ReLU of activations. The backward pass reuses its input, which style layers keep in memory anyway."""
    if NAME != "tensorflow":
        return keras.ops.relu(x)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def relu_keeping_input(x: Any) -> tuple[Any, Callable[[Any], Any]]:
        return tf.nn.relu(x), lambda upstream: tf.raw_ops.ReluGrad(gradients=upstream, features=x)

    return relu_keeping_input(x)
