"""Compute a style from several: Wasserstein barycentres and pooled moments."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..errors import FingerprintMismatch, UsageError
from ..math.barycenter import Convergence, barycenter, normalised
from ..math.gaussian import Array, sqrtm_psd
from ..names import check_name
from ..style import PIXELS, Gaussian, Header, Source, Style, nearest_scale
from .fingerprints import groups, remedy

#: Largest ratio of two scales that count as the same: half an octave.
SAME_SCALE = math.sqrt(2)
_FILENAME = 200


def mix(
    styles: Sequence[Style],
    weights: Sequence[float],
    name: str,
    *,
    tags: Sequence[str] = (),
    on_layer: Callable[[int, str, Convergence], None] = lambda scale, layer, convergence: None,
) -> Style:
    """Return the Wasserstein barycentre of styles, scale by scale and layer by layer.

    Parameters
    ----------
    styles
        Measured in the same way. The result has their common layers, and the scales that each has within half an
        octave.
    weights
        From 0 up; divided by their sum. A style of weight 0 is left out.
    name
        Name of the new style.
    tags
        Tags of the new style.
    on_layer
        Function of scale, layer and `Convergence`, called after each layer.

    Returns
    -------
    Style
        With a recipe, without a thumbnail.

    Raises
    ------
    UsageError, NameRefused
        If the styles cannot be combined, or the weights are not valid.
    """
    fractions = normalised(weights)
    if len(styles) != len(fractions):
        raise UsageError(f"{len(styles)} styles and {len(fractions)} weights: expected one weight per style.")
    used = [style for style, fraction in zip(styles, fractions, strict=True) if fraction > 0]
    fractions = fractions[fractions > 0]

    def combine_layer(scale: int, layer: str, parts: Sequence[Gaussian]) -> tuple[Array, Array]:
        mean, cov, convergence = barycenter(
            [part.mean for part in parts], [part.cov for part in parts], list(fractions)
        )
        on_layer(scale, layer, convergence)
        return mean, cov

    return _combine("mix", used, [float(fraction) for fraction in fractions], name, tags, combine_layer)


def pool(
    styles: Sequence[Style],
    name: str,
    *,
    weights: Literal["pixels", "equal"] = "pixels",
    tags: Sequence[str] = (),
) -> Style:
    """Return the pooled style of several paintings: the moments of all their activations together.

    With ``"pixels"`` every position has the same weight, as if all paintings were measured as one. With ``"equal"``
    every painting has the same weight. Unlike in a barycentre, differences of the means add to the covariance:

        m = sum_i w_i m_i,   S = sum_i w_i (S_i + (m_i - m) (m_i - m)^T)

    Parameters
    ----------
    styles, name, tags
        As for `mix`.
    weights : {"pixels", "equal"}

    Returns
    -------
    Style
        With a recipe, without a thumbnail.

    Raises
    ------
    UsageError, NameRefused
    """
    if weights not in ("pixels", "equal"):
        raise UsageError(f"weights {weights!r}: expected one of pixels, equal.")

    def combine_layer(scale: int, layer: str, parts: Sequence[Gaussian]) -> tuple[Array, Array]:
        counts = [part.count if weights == "pixels" else 1 for part in parts]
        return pooled([part.mean for part in parts], [part.cov for part in parts], counts)

    return _combine("pool", styles, _pixel_fractions(styles, weights), name, tags, combine_layer)


def _pixel_fractions(styles: Sequence[Style], weights: str) -> list[float]:
    """Return the weight of each style in the first layer of their largest common scale."""
    layers = require_comparable([style.header for style in styles])
    matched = common_scales([style.scales for style in styles])
    if weights == "equal" or not matched:
        return [1 / len(styles)] * len(styles)
    counts = [style.scales[scale][layers[0]].count for style, scale in zip(styles, matched[-1], strict=True)]
    return [count / sum(counts) for count in counts]


def pooled(means: Sequence[Any], covs: Sequence[Any], counts: Sequence[float]) -> tuple[Array, Array]:
    """Return mean and covariance of the union of several sets of vectors, from the moments of each set.

    Parameters
    ----------
    means : sequence of array_like, shape (c,)
    covs : sequence of array_like, shape (c, c)
        Population covariances.
    counts : sequence of float
        Above 0.

    Returns
    -------
    mean : ndarray, float64, shape (c,)
    cov : ndarray, float64, shape (c, c)
    """
    fractions = np.asarray(counts, np.float64) / np.sum(counts, dtype=np.float64)
    each = np.asarray(means, np.float64)
    mean = fractions @ each
    deviations = (each - mean) * np.sqrt(fractions)[:, None]
    within = np.asarray(
        sum(fraction * np.asarray(cov, np.float64) for fraction, cov in zip(fractions, covs, strict=True))
    )
    return mean, within + deviations.T @ deviations


def require_common_scales(kind: str, names: Sequence[str], scales: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return the `common_scales` of several styles.

    Raises
    ------
    UsageError
        If there is none; the message lists the scales of each style.
    """
    matched = common_scales([dict.fromkeys(sides) for sides in scales])
    if not matched:
        listed = "; ".join(
            f"{name!r} has {', '.join(map(str, sides))}" for name, sides in zip(names, scales, strict=True)
        )
        raise UsageError(f"{kind}: the styles have no scale in common: {listed}. Measure them at the same --scales.")
    return matched


def common_scales(styles: Sequence[Mapping[int, Any]]) -> list[tuple[int, ...]]:
    """Return the scales that all styles have, each as a tuple with the scale of every style.

    Scales match if they differ by half an octave at most. A painting smaller than a scale is measured at its own
    size: one of 659 pixels matches others at 720.
    """
    matched: list[tuple[int, ...]] = []
    for scale in min((sorted(style) for style in styles), key=len):
        candidate = tuple(nearest_scale(style, scale) for style in styles)
        taken = any(first == second for match in matched for first, second in zip(match, candidate, strict=True))
        if max(candidate) <= SAME_SCALE * min(candidate) and not taken:
            matched.append(candidate)
    return matched


def _combine(
    kind: str,
    styles: Sequence[Style],
    fractions: Sequence[float],
    name: str,
    tags: Sequence[str],
    combine: Callable[[int, str, Sequence[Gaussian]], tuple[Array, Array]],
) -> Style:
    name = check_name(name)
    layers = require_comparable([style.header for style in styles])
    matched = require_common_scales(kind, [style.name for style in styles], [list(style.scales) for style in styles])
    sizes: dict[int, tuple[int, int]] = {}
    scales_of_parts: dict[str, list[int]] = {}
    scales: dict[int, dict[str, Gaussian]] = {}
    for style_scales in matched:
        longest = round(
            math.exp(sum(fraction * math.log(scale) for fraction, scale in zip(fractions, style_scales, strict=True)))
        )
        width, height = styles[0].header.sizes[style_scales[0]]
        size = round(width * longest / style_scales[0]), round(height * longest / style_scales[0])
        sizes[longest], scales_of_parts[str(longest)] = (max(1, size[0]), max(1, size[1])), list(style_scales)
        scales[longest] = {}
        for layer in layers:
            parts = [style.scales[scale][layer] for style, scale in zip(styles, style_scales, strict=True)]
            if len(parts) == 1:
                scales[longest][layer] = parts[0]
            else:
                mean, cov = combine(longest, layer, parts)
                scales[longest][layer] = _gaussian(mean, cov, sum(part.count for part in parts))
    parts_of = [
        {"name": style.name, "content_sha256": style.header.content_sha256, "weight": fraction}
        for style, fraction in zip(styles, fractions, strict=True)
    ]
    recipe = json.dumps({"kind": kind, "parts": parts_of, "scales": scales_of_parts}, ensure_ascii=False)
    first = styles[0].header
    header = Header(
        name=name,
        fingerprint=dataclasses.replace(first.fingerprint, layers=layers),
        source=Source(
            _description(kind, styles, fractions), hashlib.sha256(recipe.encode()).hexdigest(), *sizes[max(sizes)]
        ),
        sizes=sizes,
        tags=tuple(dict.fromkeys(tags)),
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        version=_version(),
        recipe=recipe,
    )
    return Style(header, scales)


def require_comparable(headers: Sequence[Header]) -> tuple[str, ...]:
    """Return the layers that styles have in common, `pixels` included where all have them.

    Raises
    ------
    UsageError
        If no style is passed.
    FingerprintMismatch
        If they have none, or the fingerprints have `Fingerprint.differences`. The message lists all styles in
        groups that were measured alike, with what differs.
    """
    if not headers:
        raise UsageError("no style given; name at least one.")
    first = headers[0].fingerprint
    layers = [layer for layer in first.layers if all(layer in header.fingerprint.layers for header in headers[1:])]
    if set(layers) <= {PIXELS} or any(first.differences(header.fingerprint) for header in headers[1:]):
        raise FingerprintMismatch(
            f"styles do not fit together: {groups(headers)}. Choose styles of one kind, or {remedy(headers)}."
        )
    return tuple(layers)


def _gaussian(mean: Array, cov: Array, count: int) -> Gaussian:
    cov_sqrt, eigenvalues = sqrtm_psd(cov)
    return Gaussian(
        mean=mean.astype(np.float32),
        cov=((cov + cov.T) / 2).astype(np.float32),
        cov_sqrt=cov_sqrt.astype(np.float32),
        eigenvalues=eigenvalues.astype(np.float32),
        count=count,
    )


def _description(kind: str, styles: Sequence[Style], fractions: Sequence[float]) -> str:
    description = f"{kind} of " + ", ".join(
        f"{style.name} {fraction:.3g}" for style, fraction in zip(styles, fractions, strict=True)
    )
    return description if len(description) <= _FILENAME else f"{description[: _FILENAME - 3]}..."


def _version() -> str:
    from .. import __version__

    return __version__
