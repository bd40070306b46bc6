"""What an objective is given and gives: styles with their regions, a prepared task, and an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank.images import Pixels


@dataclass(frozen=True, eq=False)
class StyleTarget:
    """A style, and where it is wanted.

    Attributes
    ----------
    targets
        `layer_target` of every layer, through `backend.to_tensors`, with the tolerance of a step.
    exact
        The same with `EXACT`.
    mask : ndarray, float32, shape (H, W), optional
        0 to 1, at the picture's size; everywhere alike unless given.
    """

    targets: Sequence[Mapping[str, Any]]
    exact: Sequence[Mapping[str, Any]]
    mask: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """What `Objective` needs beside the pictures: `Objective.problem` makes it."""

    inputs: Any
    exact: Any
    style_weights: npt.NDArray[np.float64]
    content_weight: float
    tv_weight: float = 0.0

    @property
    def exact_style(self) -> Any:
        """What the styles alone need of `exact`."""
        return {"regions": self.exact["regions"]}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The objective at n pictures.

    Attributes
    ----------
    value : ndarray, float64, shape (n,)
    style : ndarray, float32, shape (n, regions, layers)
        Squared W2 of every layer, not weighted.
    content : ndarray, float32, shape (n, content layers)
        Squared feature distance to the subject over the features' variance.
    gradient : ndarray, float32, shape (n, H, W, 3)
        Of `value`, by grey levels; empty where none was asked for.
    """

    value: npt.NDArray[np.float64]
    style: npt.NDArray[np.float32]
    content: npt.NDArray[np.float32]
    gradient: Pixels
