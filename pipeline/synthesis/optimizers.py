"""L-BFGS, Adam and RMSprop over pixels within 0..255, for several images side by side.

Each optimiser is a generator: it yields the image to evaluate next and receives its value and gradient. `minimize` runs
one generator per image and evaluates all images together.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stylebank.errors import StylebankError
from stylebank.images import Pixels

Array = npt.NDArray[np.float64]
#: ``function(pictures) -> (values, gradients)``: (n, H, W, 3), (n,), and (n, H, W, 3).
Function = Callable[[Pixels], tuple[Array, Pixels]]
#: ``on_step(picture, step, value, pixels)``. Steps count from 1.
OnStep = Callable[[int, int, float, Pixels], None]
#: Yields pixels to evaluate, receives value and gradient, and returns the result.
_Optimizer = Generator[Pixels, tuple[float, Pixels], "_RunResult"]

_LOWEST, _HIGHEST = np.float32(0.0), np.float32(255.0)
#: Root mean square of the first step of L-BFGS, in pixel values.
_FIRST_STEP = 10.0
#: Memory for the pairs of L-BFGS, which sets their number within the limits below.
_PAIR_BYTES = 1 << 29
_MIN_PAIRS, _MAX_PAIRS = 5, 30
#: Float32 arrays of the image's size that an optimiser uses besides the pairs.
_WORK_ARRAYS = 12
#: A step must achieve this fraction of the predicted decrease (Armijo's condition).
ARMIJO_C1 = 1e-4
#: The most trial steps of one line search.
MAX_BACKTRACKS = 12
#: L-BFGS stops once the relative decrease of the value is at most this.
FTOL = 1e-9


@dataclass(frozen=True, eq=False)
class OptimizeResult:
    """The result of `minimize`.

    Attributes
    ----------
    pixels : ndarray, float32, shape (n, H, W, 3)
        The images at the end.
    values : tuple of float
        Their values.
    steps : tuple of int
        Iterations of each image.
    """

    pixels: Pixels
    values: tuple[float, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _RunResult:
    pixels: Pixels
    value: float
    steps: int


_Report = Callable[[int, float, Pixels], None]
_Method = Callable[[Pixels, int, float, _Report], _Optimizer]


def minimize(
    function: Function,
    start: Pixels,
    *,
    optimizer: str,
    steps: int,
    learning_rate: float = 0.0,
    on_step: OnStep = lambda picture, step, value, pixels: None,
) -> OptimizeResult:
    """Minimise `function` over images whose values stay within 0..255.

    Parameters
    ----------
    function
        Returns values and gradients at float32 images, each independent of the others.
    start : ndarray, float32, shape (n, H, W, 3)
        Clipped to the bounds first.
    optimizer : {"lbfgs", "adam", "rmsprop"}
        ``lbfgs`` is limited-memory BFGS (Liu and Nocedal 1989). Variables that push against a bound are fixed there
        (Bertsekas 1982), and steps are projected into the bounds. ``adam`` is Kingma and Ba's (2015), ``rmsprop``
        Hinton's; both clip each step.
    steps
        The most iterations. L-BFGS may evaluate several images per iteration, and stops early once it converges.
    learning_rate
        In pixel values, for adam and rmsprop.
    on_step
        Called after every iteration with the image's index, the iteration, the value and the pixels.

    Returns
    -------
    OptimizeResult

    Raises
    ------
    StylebankError
        If a value or a gradient is not finite.
    """
    method: _Method = {"lbfgs": _lbfgs, "adam": _adam, "rmsprop": _rmsprop}[optimizer]
    pictures = np.clip(start, _LOWEST, _HIGHEST).astype(np.float32)
    runs: list[_Optimizer] = []
    results: dict[int, _RunResult] = {}
    for number, pixels in enumerate(pictures):

        def report_step(step: int, value: float, pixels: Pixels, number: int = number) -> None:
            on_step(number, step, value, pixels)

        runs.append(method(pixels.copy(), steps, learning_rate, report_step))
        pictures[number] = next(runs[-1])
    while len(results) < len(runs):
        values, gradients = function(pictures)
        if not (np.isfinite(values).all() and np.isfinite(gradients).all()):
            raise StylebankError(
                f"the loss or its gradient is not finite (loss {', '.join(map(str, values))}). "
                "Lower --learning-rate for adam or rmsprop; otherwise report a bug with this image."
            )
        for number, run in enumerate(runs):
            if number in results:  # finished images are evaluated again, so that the batch keeps its shape
                continue
            try:
                pictures[number] = run.send((float(values[number]), gradients[number]))
            except StopIteration as stop:
                results[number] = stop.value
                pictures[number] = stop.value.pixels
    ordered = [results[number] for number in range(len(runs))]
    return OptimizeResult(
        np.stack([end.pixels for end in ordered]),
        tuple(end.value for end in ordered),
        tuple(end.steps for end in ordered),
    )


def optimizer_bytes(optimizer: str, size: int) -> int:
    """Return the bytes that `minimize` needs for one image, without those of its function.

    Parameters
    ----------
    optimizer
        Name of the optimiser.
    size
        Number of values in the image.
    """
    pairs = _max_pairs(size) if optimizer == "lbfgs" else 0
    return 4 * size * (2 * pairs + _WORK_ARRAYS)


def _max_pairs(size: int) -> int:
    return int(np.clip(_PAIR_BYTES // (8 * size), _MIN_PAIRS, _MAX_PAIRS))


class LbfgsHistory:
    """The latest steps and changes of the gradient, which approximate the inverse Hessian."""

    def __init__(self, size: int) -> None:
        self._capacity = _max_pairs(size)
        self._pairs: list[tuple[Pixels, Pixels, float]] = []

    def __len__(self) -> int:
        return len(self._pairs)

    def clear(self) -> None:
        """Remove all pairs."""
        self._pairs.clear()

    def add(self, step: Pixels, change: Pixels) -> None:
        """Add a pair, unless its curvature is too small."""
        curvature = _dot(step, change)
        if curvature > 1e-10 * np.sqrt(_dot(step, step) * _dot(change, change)):
            self._pairs = [*self._pairs[-(self._capacity - 1) :], (step, change, curvature)]

    def solve(self, gradient: Pixels) -> Pixels:
        """Return the approximate inverse Hessian times the gradient, by the two-loop recursion (Nocedal 1980)."""
        direction: Pixels = gradient.copy()
        alphas = []
        for step, change, curvature in reversed(self._pairs):
            alphas.append(_dot(step, direction) / curvature)
            direction -= np.float32(alphas[-1]) * change
        step, change, curvature = self._pairs[-1]
        direction *= np.float32(curvature / _dot(change, change))
        for (step, change, curvature), alpha in zip(self._pairs, reversed(alphas), strict=True):
            direction += np.float32(alpha - _dot(change, direction) / curvature) * step
        return direction


def _dot(a: Pixels, b: Pixels) -> float:
    return float(np.dot(a.ravel(), b.ravel()))


def _lbfgs(pixels: Pixels, steps: int, _rate: float, report: _Report) -> _Optimizer:
    value, gradient = yield pixels
    # losses come in any unit; scaled by this one, products of gradients neither underflow nor overflow in float32
    unit = float(np.sqrt(np.mean(np.square(gradient, dtype=np.float64)))) / _FIRST_STEP
    if unit == 0.0:
        return _RunResult(pixels, value, 0)
    value, gradient = value / unit, gradient / np.float32(unit)
    history = LbfgsHistory(pixels.size)
    for step in range(1, steps + 1):
        at_bound = ((pixels <= _LOWEST) & (gradient > 0)) | ((pixels >= _HIGHEST) & (gradient < 0))
        free_gradient = np.where(at_bound, np.float32(0), gradient)
        direction = -history.solve(free_gradient) if len(history) else -free_gradient
        direction[at_bound] = 0
        if _dot(direction, free_gradient) >= 0:
            history.clear()
            direction = -free_gradient
        step_size = 1.0
        for _ in range(MAX_BACKTRACKS):
            trial = np.clip(pixels + np.float32(step_size) * direction, _LOWEST, _HIGHEST)
            predicted_decrease = _dot(gradient, trial - pixels)
            trial_value, trial_gradient = yield trial
            trial_value, trial_gradient = trial_value / unit, trial_gradient / np.float32(unit)
            if trial_value <= value + ARMIJO_C1 * predicted_decrease:
                break
            # the minimum of the interpolating parabola, within 0.1 to 0.5 of the last step
            curvature = trial_value - value - predicted_decrease
            step_size *= float(np.clip(-predicted_decrease / (2 * curvature), 0.1, 0.5)) if curvature > 0 else 0.5
        else:
            if not len(history):
                return _RunResult(pixels, value * unit, step - 1)
            history.clear()
            continue
        decrease = value - trial_value
        history.add(trial - pixels, trial_gradient - gradient)
        pixels, value, gradient = trial, trial_value, trial_gradient
        report(step, value * unit, pixels)
        if decrease <= FTOL * max(abs(value), abs(value + decrease)):
            return _RunResult(pixels, value * unit, step)
    return _RunResult(pixels, value * unit, steps)


Update = Callable[[int, Pixels], Pixels]


def _adam(pixels: Pixels, steps: int, rate: float, report: _Report) -> _Optimizer:
    beta1, beta2 = 0.9, 0.999
    first = second = np.float32(0)

    def update(step: int, gradient: Pixels) -> Pixels:
        nonlocal first, second
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * np.square(gradient)
        unbiased = rate * np.sqrt(1 - beta2**step) / (1 - beta1**step)
        return np.asarray(unbiased * first / _stable_sqrt(second), np.float32)

    return (yield from _descend(pixels, steps, update, report))


def _rmsprop(pixels: Pixels, steps: int, rate: float, report: _Report) -> _Optimizer:
    decay = 0.9
    second = np.float32(0)

    def update(step: int, gradient: Pixels) -> Pixels:
        nonlocal second
        second = decay * second + (1 - decay) * np.square(gradient)
        return np.asarray(rate * gradient / _stable_sqrt(second), np.float32)

    return (yield from _descend(pixels, steps, update, report))


def _stable_sqrt(second: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the root of a running mean of squares, plus an epsilon relative to its maximum, for losses in any unit."""
    root = np.sqrt(second)
    return np.asarray(root + 1e-7 * root.max() + np.finfo(np.float32).tiny)


def _descend(pixels: Pixels, steps: int, update: Update, report: _Report) -> _Optimizer:
    value, gradient = yield pixels
    for step in range(1, steps + 1):
        pixels = np.clip(pixels - update(step, gradient), _LOWEST, _HIGHEST).astype(np.float32)
        value, gradient = yield pixels
        report(step, value, pixels)
    return _RunResult(pixels, value, steps)
