"""The order of styles on a page: styles that share tags, and styles that look alike, stand side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

from ..math.gaussian import Array
from ..style import Header, nearest_scale
from . import similarity
from .embedding import approximate_distances

#: Weight of the tags against the similarity, whose distances are at most 1: styles that share no tag stand apart.
_TAG_WEIGHT = 2.0


def by_tags_and_similarity(
    entries: Sequence[tuple[Header, Path]], *, scale: int = similarity.SCALE
) -> list[tuple[Header, Path]]:
    """Order styles so that neighbours have tags in common and are similar.

    The order is that of the leaves of a hierarchical clustering (average linkage), by the distance
    ``approximate_distances / 2 + 2 (1 - shared tags / all tags)``, with the least sum of distances between
    neighbours that the clustering allows (Bar-Joseph et al. 2001).

    Parameters
    ----------
    entries
        Headers with their files. A style that cannot be read or compared has the largest distance.
    scale
        Longest side in pixels at which to compare, if possible.

    Returns
    -------
    list of (Header, Path)
        The first name comes before the last in the alphabet.
    """
    if len(entries) < 3:
        return sorted(entries, key=lambda entry: entry[0].name)
    tags = [set(header.tags) for header, _path in entries]
    apart = np.array([[_TAG_WEIGHT * (1 - _shared(one, other)) for other in tags] for one in tags])
    condensed = squareform(apart + _dissimilarities(entries, scale), checks=False)
    order = leaves_list(optimal_leaf_ordering(linkage(condensed, "average"), condensed))
    ordered = [entries[int(index)] for index in order]
    return ordered if ordered[0][0].name <= ordered[-1][0].name else ordered[::-1]


def _shared(one: set[str], other: set[str]) -> float:
    """Return the fraction of tags that two styles share; 1 for two styles without tags."""
    return len(one & other) / len(one | other) if one | other else 1.0


def _dissimilarities(entries: Sequence[tuple[Header, Path]], scale: int) -> Array:
    """Return distances from 0 to 1, shape (n, n); 1 where two styles cannot be compared."""
    result = np.ones((len(entries), len(entries)))
    np.fill_diagonal(result, 0)
    fingerprint = Counter(header.fingerprint for header, _path in entries).most_common(1)[0][0]
    reference = next(header for header, _path in entries if header.fingerprint == fingerprint)
    layers = fingerprint.layers
    candidates, _left_out = similarity.comparable(entries, reference, nearest_scale(reference.sizes, scale), layers)
    distances, readable, _damaged = approximate_distances(candidates, layers)
    places = {path: index for index, (_header, path) in enumerate(entries)}
    indices = [places[candidate.path] for candidate in readable]
    if indices:
        result[np.ix_(indices, indices)] = np.minimum(distances / 2, 1)
    return result
