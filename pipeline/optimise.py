"""L-BFGS-B, Adam and RMSprop over pixels, within 0..255."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.optimize

from stylebank.errors import StylebankError
from stylebank.images import Pixels

#: ``function(pixels) -> (value, gradient)``, the gradient shaped like the pixels.
Function = Callable[[Pixels], tuple[float, Pixels]]
#: ``on_step(step, value, pixels)`` after every iteration, counted from 1.
OnStep = Callable[[int, float, Pixels], None]

_LOWEST, _HIGHEST = 0.0, 255.0
#: Grey levels, root mean square, of the first step L-BFGS-B tries.
_FIRST_STEP = 10.0
#: L-BFGS-B keeps as many pairs of steps and gradients, in float64, as this holds.
_PAIR_BYTES = 1 << 29
_FEWEST_PAIRS, _MOST_PAIRS = 5, 30


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where an optimiser ended: the picture, its value, and the iterations taken."""

    pixels: Pixels
    value: float
    steps: int


def minimise(
    function: Function,
    start: Pixels,
    *,
    optimizer: str,
    steps: int,
    learning_rate: float = 0.0,
    on_step: OnStep = lambda step, value, pixels: None,
) -> Optimum:
    """Minimise `function` over pictures whose values stay within 0..255.

    Parameters
    ----------
    function
        Value and gradient at a float32 picture.
    start : ndarray, float32, shape (H, W, 3)
        Clipped to the bounds first.
    optimizer : {"lbfgs", "adam", "rmsprop"}
        ``lbfgs`` is SciPy's L-BFGS-B (Byrd, Lu, Nocedal and Zhu 1995); ``adam``
        Kingma and Ba's (2015) and ``rmsprop`` Hinton's, each step clipped to the bounds.
    steps
        Iterations; L-BFGS-B may look at a picture more than once in one, and ends sooner
        where nothing is left to gain.
    learning_rate
        Grey levels, for adam and rmsprop.
    on_step
        Told every iteration's number, value and picture.

    Returns
    -------
    Optimum

    Raises
    ------
    StylebankError
        If the value is not finite.
    """
    checked = _finite(function)
    first = np.clip(start, _LOWEST, _HIGHEST).astype(np.float32)
    if optimizer == "lbfgs":
        return _lbfgs(checked, first, steps, on_step)
    update = _adam(learning_rate) if optimizer == "adam" else _rmsprop(learning_rate)
    return _descend(checked, first, steps, update, on_step)


def _finite(function: Function) -> Function:
    """Check what `function` gives, and remember the last of it: SciPy begins where we have looked already."""
    last: list[tuple[Pixels, tuple[float, Pixels]]] = []

    def checked(pixels: Pixels) -> tuple[float, Pixels]:
        if last and np.array_equal(last[0][0], pixels):
            return last[0][1]
        value, gradient = function(pixels)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            raise StylebankError(
                f"the loss or its gradient is not finite (loss {value}). "
                "With adam or rmsprop lower --learning-rate; otherwise report this picture."
            )
        last[:] = [(pixels.copy(), (value, gradient))]
        return value, gradient

    return checked


def _lbfgs(function: Function, start: Pixels, steps: int, on_step: OnStep) -> Optimum:
    value, gradient = function(start)
    # boxed L-BFGS-B first tries a full gradient step: make that a sensible one in any unit of loss
    unit = float(np.sqrt(np.mean(np.square(gradient, dtype=np.float64)))) / _FIRST_STEP
    if unit == 0.0:
        return Optimum(start, value, 0)
    pairs = int(np.clip(_PAIR_BYTES // (16 * start.size), _FEWEST_PAIRS, _MOST_PAIRS))

    def flat(x: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        value, gradient = function(x.reshape(start.shape).astype(np.float32))
        return value / unit, gradient.ravel().astype(np.float64) / unit

    taken = 0

    def after(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        nonlocal taken
        taken += 1
        pixels = intermediate_result.x.reshape(start.shape).astype(np.float32)
        on_step(taken, float(intermediate_result.fun) * unit, pixels)

    result = scipy.optimize.minimize(
        flat,
        start.ravel().astype(np.float64),
        jac=True,
        method="L-BFGS-B",
        bounds=scipy.optimize.Bounds(_LOWEST, _HIGHEST),
        callback=after,
        options={"maxiter": steps, "maxfun": 20 * steps + 20, "maxcor": pairs, "ftol": 1e-9, "gtol": 0.0},
    )
    return Optimum(result.x.reshape(start.shape).astype(np.float32), float(result.fun) * unit, int(result.nit))


Update = Callable[[int, Pixels], Pixels]


def _descend(function: Function, start: Pixels, steps: int, update: Update, on_step: OnStep) -> Optimum:
    pixels = start
    value, gradient = function(pixels)
    for step in range(1, steps + 1):
        pixels = np.clip(pixels - update(step, gradient), _LOWEST, _HIGHEST).astype(np.float32)
        value, gradient = function(pixels)
        on_step(step, value, pixels)
    return Optimum(pixels, value, steps)


def _adam(learning_rate: float, beta1: float = 0.9, beta2: float = 0.999) -> Update:
    first = second = np.float32(0)

    def update(step: int, gradient: Pixels) -> Pixels:
        nonlocal first, second
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * np.square(gradient)
        rate = learning_rate * np.sqrt(1 - beta2**step) / (1 - beta1**step)
        return np.asarray(rate * first / _guarded_root(second))

    return update


def _rmsprop(learning_rate: float, decay: float = 0.9) -> Update:
    second = np.float32(0)

    def update(step: int, gradient: Pixels) -> Pixels:
        nonlocal second
        second = decay * second + (1 - decay) * np.square(gradient)
        return np.asarray(learning_rate * gradient / _guarded_root(second))

    return update


def _guarded_root(second: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Root of a running mean of squares; its epsilon is relative, for losses of any unit."""
    root = np.sqrt(second)
    return np.asarray(root + 1e-7 * root.max() + np.finfo(np.float32).tiny)
