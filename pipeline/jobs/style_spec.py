"""Which styles go where: ``monet``, ``monet:0.6`` beside ``hokusai:0.4``, ``sky=monet`` beside ``rest=hokusai``."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylebank.errors import UsageError, printable
from stylebank.math.barycenter import normalised
from stylebank.names import check_name

_REGION = re.compile(r"(\w[\w-]*)=(.+)", re.DOTALL)
#: Stands for the subject's name in the path of a mask.
SUBJECT = "{subject}"


@dataclass(frozen=True)
class RegionSpec:
    """A part of the picture with its styles.

    Attributes
    ----------
    name
        Empty where there is one region and it has none.
    parts : tuple of (str, float)
        Names of styles and their weights, which sum to 1: more than one stand for their barycentre.
    mask
        Path of the mask, with `SUBJECT` for the subject's name; None for all that other regions leave.
    """

    name: str
    parts: tuple[tuple[str, float], ...]
    mask: str | None = None


@dataclass(frozen=True)
class StyleSpec:
    """All regions, in the order given."""

    regions: tuple[RegionSpec, ...]

    @property
    def text(self) -> str:
        """The styling in words, for the record: a style's name where there is but one."""
        shown = []
        for region in self.regions:
            several = len(region.parts) > 1
            parts = [f"{name}:{weight:.4g}" if several else name for name, weight in region.parts]
            shown.append((f"{region.name}=" if region.name else "") + ",".join(parts))
        return " ".join(shown)

    @property
    def label(self) -> str:
        """The names of all styles, for a file's name."""
        return "+".join(dict.fromkeys(self.names))

    @property
    def names(self) -> list[str]:
        """Of all styles, region by region."""
        return [name for region in self.regions for name, _weight in region.parts]

    @property
    def masked(self) -> bool:
        """Whether any region has a mask."""
        return any(region.mask is not None for region in self.regions)

    def digest(self, digests: Mapping[str, str]) -> str:
        """Return a digest of the styles' own digests, by name: that of the style where there is but one."""
        if len(self.names) == 1:
            return digests[self.names[0]]
        content = [[region.name, [[digests[name], weight] for name, weight in region.parts]] for region in self.regions]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def parse(styles: Sequence[str], masks: Sequence[str] = (), *, exists: Callable[[str], bool]) -> StyleSpec:
    """Read what ``--style`` and ``--mask`` say.

    Parameters
    ----------
    styles
        ``[REGION=]NAME[:WEIGHT]`` each.
    masks
        ``FILE``, or ``REGION=FILE`` each.
    exists
        Tells whether a style has a name, which may hold ``=`` and ``:`` itself.

    Raises
    ------
    UsageError, NameRefused
        If the texts do not make sense together.
    """
    weights: dict[str, dict[str, float]] = {}
    for text in styles:
        region, name, weight = _style(text, exists)
        parts = weights.setdefault(region, {})
        if name in parts:
            raise UsageError(f"style {printable(text)}: named twice. Give it once, with a larger weight.")
        parts[name] = weight
    if not weights:
        raise UsageError("no style. Name one of the bank's.")
    if len(weights) > 1 and "" in weights:
        raise UsageError(
            f"style {printable(next(iter(weights[''])))}: no region, while others have one. Write REGION=NAME for each."
        )
    paths = _masks(masks, list(weights))
    without = [region for region in weights if region not in paths]
    if len(weights) == 1 and without and without != [""]:
        name = printable(without[0])
        raise UsageError(f"region {name}: no mask. Add --mask {name}=FILE, or leave the region out.")
    if len(without) > 1:
        raise UsageError(
            f"regions {' and '.join(map(printable, without))}: no masks. All but one need --mask REGION=FILE."
        )
    regions = []
    for region, parts in weights.items():
        if sum(parts.values()) == float("inf"):
            raise UsageError(f"style {printable(next(iter(parts)))}: the sum of the weights is not finite. Lower them.")
        fractions = normalised(list(parts.values()))
        pairs = tuple((name, float(fraction)) for name, fraction in zip(parts, fractions, strict=True) if fraction > 0)
        regions.append(RegionSpec(region, pairs, paths.get(region)))
    return StyleSpec(tuple(regions))


def _style(text: str, exists: Callable[[str], bool]) -> tuple[str, str, float]:
    if not {":", "="} & set(text) or exists(text):
        return "", check_name(text), 1.0
    region = _REGION.fullmatch(text)
    given = region[2] if region else text
    name, colon, weight = given.rpartition(":")
    if not exists(given) and colon:
        try:
            value = float(weight)
        except ValueError:
            return region[1] if region else "", check_name(given), 1.0
        if not 0 <= value < float("inf"):
            raise UsageError(f"style {printable(text)[:80]}: expected a finite weight, a number from 0 up.")
        return region[1] if region else "", check_name(name), value
    return region[1] if region else "", check_name(given), 1.0


def _masks(masks: Sequence[str], regions: Sequence[str]) -> dict[str, str]:
    paths: dict[str, str] = {}
    for text in masks:
        match = _REGION.fullmatch(text)
        region, path = (match[1], match[2]) if match and list(regions) != [""] else ("", text)
        if region not in regions:
            known = ", ".join(map(printable, regions))
            given = f"no region {printable(region)}" if region else "of no region"
            raise UsageError(f"mask {printable(text)}: {given}. Write REGION=FILE, with a region of {known}.")
        if region in paths:
            raise UsageError(f"mask {printable(text)}: a second one for the same region. Give one.")
        paths[region] = path
    return paths


def below(mask: str, folder: Path, *, regions: bool) -> str:
    """Return a mask's text with its path in `folder`, unless it is absolute; with `regions` it may name one."""
    match = _REGION.fullmatch(mask) if regions else None
    return f"{match[1]}={Path(folder, match[2])}" if match else str(Path(folder, mask))
