"""L-BFGS, Adam and RMSprop over pixels, within 0..255; several pictures side by side.

Each optimiser is a generator that gives the picture to look at next and takes its value and
gradient; `minimize` runs one for each picture and has all of them evaluated together.
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
#: ``on_step(picture, step, value, pixels)`` after every iteration of a picture, counted from 1.
OnStep = Callable[[int, int, float, Pixels], None]
#: Gives pixels to look at and whether they end an iteration's search; takes value and gradient.
_Optimizer = Generator[Pixels, tuple[float, Pixels], "_RunResult"]

_LOWEST, _HIGHEST = np.float32(0.0), np.float32(255.0)
#: Grey levels, root mean square, of the first step L-BFGS tries.
_FIRST_STEP = 10.0
#: L-BFGS keeps as many pairs of steps and gradients as this holds.
_PAIR_BYTES = 1 << 29
_MIN_PAIRS, _MAX_PAIRS = 5, 30
#: Arrays of a picture's size that an optimiser works with at a time, beside the pairs.
_WORK_ARRAYS = 12
#: A step must gain at least this share of what the slope promises (Armijo's condition).
ARMIJO_C1 = 1e-4
#: Shorter steps that L-BFGS tries before it ends.
MAX_BACKTRACKS = 12
#: L-BFGS ends where an iteration gains less than this share of the value.
FTOL = 1e-9


@dataclass(frozen=True, eq=False)
class OptimizeResult:
    """Where an optimiser ended: the pictures, their values, and the iterations each took.

    Attributes
    ----------
    pixels : ndarray, float32, shape (n, H, W, 3)
    values : tuple of float
    steps : tuple of int
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
    """Minimise `function` over pictures whose values stay within 0..255.

    Parameters
    ----------
    function
        Values and gradients at float32 pictures, each independent of the others.
    start : ndarray, float32, shape (n, H, W, 3)
        Clipped to the bounds first.
    optimizer : {"lbfgs", "adam", "rmsprop"}
        ``lbfgs`` is limited-memory BFGS (Liu and Nocedal 1989) with the variables at a bound
        they push against held there (Bertsekas 1982) and steps bent back into the bounds;
        ``adam`` Kingma and Ba's (2015) and ``rmsprop`` Hinton's, each step clipped.
    steps
        Iterations; L-BFGS may look at a picture more than once in one, and ends sooner
        where nothing is left to gain.
    learning_rate
        Grey levels, for adam and rmsprop.
    on_step
        Told every iteration's picture, number, value and pixels.

    Returns
    -------
    OptimizeResult

    Raises
    ------
    StylebankError
        If a value is not finite.
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
                "With adam or rmsprop lower --learning-rate; otherwise report this picture."
            )
        for number, run in enumerate(runs):
            if number in results:  # looked at again beside those that go on: the batch keeps its shape
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
    """Return the memory `minimize` takes for one picture of so many numbers, beside what its function takes."""
    pairs = _max_pairs(size) if optimizer == "lbfgs" else 0
    return 4 * size * (2 * pairs + _WORK_ARRAYS)


def _max_pairs(size: int) -> int:
    return int(np.clip(_PAIR_BYTES // (8 * size), _MIN_PAIRS, _MAX_PAIRS))


class LbfgsHistory:
    """The last steps and what they changed the gradient by: an approximation of the inverse Hessian."""

    def __init__(self, size: int) -> None:
        self._capacity = _max_pairs(size)
        self._pairs: list[tuple[Pixels, Pixels, float]] = []

    def __len__(self) -> int:
        return len(self._pairs)

    def clear(self) -> None:
        """Drop all pairs."""
        self._pairs.clear()

    def add(self, step: Pixels, change: Pixels) -> None:
        """Remember a pair unless it shows no curvature."""
        curvature = _dot(step, change)
        if curvature > 1e-10 * np.sqrt(_dot(step, step) * _dot(change, change)):
            self._pairs = [*self._pairs[-(self._capacity - 1) :], (step, change, curvature)]

    def solve(self, gradient: Pixels) -> Pixels:
        """The approximation times the gradient, by the two loops of Nocedal (1980)."""
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
    # losses come in any unit: in this one, products of gradients neither vanish nor overflow in float32
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
            # the lowest point of the parabola through what is known, neither too near nor too far
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
    """Root of a running mean of squares; its epsilon is relative, for losses of any unit."""
    root = np.sqrt(second)
    return np.asarray(root + 1e-7 * root.max() + np.finfo(np.float32).tiny)


def _descend(pixels: Pixels, steps: int, update: Update, report: _Report) -> _Optimizer:
    value, gradient = yield pixels
    for step in range(1, steps + 1):
        pixels = np.clip(pixels - update(step, gradient), _LOWEST, _HIGHEST).astype(np.float32)
        value, gradient = yield pixels
        report(step, value, pixels)
    return _RunResult(pixels, value, steps)
