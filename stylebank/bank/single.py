"""A style in memory in the place of a bank."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..errors import StyleNotFound, UsageError, printable
from ..storage.integrity import content_digest, scale_digest
from ..style import Header, Style


class SingleStyle:
    """The part of `Bank` that a run reads, with one style.

    Parameters
    ----------
    style
        With the scales that are loaded. Its digest is computed from its numbers: one that `combine.mix` returns has
        none, and one that was changed has that of another.
    """

    def __init__(self, style: Style) -> None:
        header = dataclasses.replace(
            style.header, sizes={scale: style.header.sizes[scale] for scale in sorted(style.scales)}
        )
        digests = {scale: scale_digest(layers, header) for scale, layers in style.scales.items()}
        header = dataclasses.replace(header, content_sha256=content_digest(header, digests))
        self._style = dataclasses.replace(style, header=header)

    def __contains__(self, name: object) -> bool:
        return name == self._style.name

    def header(self, name: str) -> Header:
        """Return the header with the loaded scales."""
        self._require(name)
        return self._style.header

    def get(self, name: str, *, scales: Sequence[int] | None = None) -> Style:
        """Return the style with some of its scales; errors are those of `Bank.get`."""
        self._require(name)
        chosen = self._style.scales if scales is None else scales
        for scale in chosen:
            if scale not in self._style.scales:
                known = ", ".join(map(str, self._style.scales))
                raise UsageError(f"style {name!r} has no scale {scale}. Choose among {known}.")
        return dataclasses.replace(self._style, scales={scale: self._style.scales[scale] for scale in chosen})

    def _require(self, name: str) -> None:
        if name not in self:
            raise StyleNotFound(f"style {printable(name)}: not the style {self._style.name!r}. Give its name.")
