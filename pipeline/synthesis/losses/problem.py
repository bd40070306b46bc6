"""Inputs and outputs of an objective: targets by region, a prepared problem, and an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stylebank.images import Pixels


@dataclass(frozen=True, eq=False)
class StyleTarget:
    """The target of one style, with its mask.

    Attributes
    ----------
    targets
        `layer_target` of every layer, as tensors, with the tolerance of a step.
    exact
        The same with `EXACT_TOLERANCE`.
    mask : ndarray, float32, shape (H, W), optional
        The style's weight at each pixel, 0 to 1, at the image's size. None weights all pixels equally.
    """

    targets: Sequence[Mapping[str, Any]]
    exact: Sequence[Mapping[str, Any]]
    mask: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """An objective prepared for some subjects, as `Objective.problem` returns it.

    Attributes
    ----------
    inputs
        Inputs of a step.
    exact
        Inputs of `Objective.evaluate_exact`.
    style_weights : ndarray, float64, shape (n, regions, layers)
        Factors of the squared distances.
    content_weight, tv_weight : float
        Factors of the content term and of total variation.
    """

    inputs: Any
    exact: Any
    style_weights: npt.NDArray[np.float64]
    content_weight: float
    tv_weight: float = 0.0

    @property
    def exact_style(self) -> Any:
        """The part of `exact` that concerns the styles."""
        return {"regions": self.exact["regions"]}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The objective at n images.

    Attributes
    ----------
    value : ndarray, float64, shape (n,)
        The loss.
    style : ndarray, float32, shape (n, regions, layers)
        Unweighted squared W2 distance of every layer.
    content : ndarray, float32, shape (n, content layers)
        Squared feature distance to the subject, divided by the variance of the features.
    gradient : ndarray, float32, shape (n, H, W, 3)
        Gradient of `value` by pixel values; empty if it was not requested.
    """

    value: npt.NDArray[np.float64]
    style: npt.NDArray[np.float32]
    content: npt.NDArray[np.float32]
    gradient: Pixels
