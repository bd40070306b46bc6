"""Style specifications: ``monet``; ``monet:0.6`` and ``hokusai:0.4``; ``sky=monet`` and ``rest=hokusai``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylebank.errors import UsageError, printable
from stylebank.math.barycenter import normalised
from stylebank.names import check_name

from .user_paths import REGION, expand_user, refuse_picture, region_and_path

#: Stands for the subject's name in the path of a mask.
SUBJECT = "{subject}"


@dataclass(frozen=True)
class RegionSpec:
    """A region of the image with its styles.

    Attributes
    ----------
    name
        Empty for a single region without a name.
    parts : tuple of (str, float)
        Names of styles and their weights, which sum to 1. Several styles mean their barycenter.
    mask
        Path of the mask, with `SUBJECT` for the subject's name; None for the rest of the image.
    """

    name: str
    parts: tuple[tuple[str, float], ...]
    mask: str | None = None


@dataclass(frozen=True)
class StyleSpec:
    """All regions, in the order of the arguments."""

    regions: tuple[RegionSpec, ...]

    @property
    def text(self) -> str:
        """The styles as a text for the record; for a single style, its name."""
        shown = []
        for region in self.regions:
            several = len(region.parts) > 1
            parts = [f"{name}:{weight:.4g}" if several else name for name, weight in region.parts]
            shown.append((f"{region.name}=" if region.name else "") + ",".join(parts))
        return " ".join(shown)

    @property
    def label(self) -> str:
        """Names of all styles, joined for a file name."""
        return "+".join(dict.fromkeys(self.names))

    @property
    def names(self) -> list[str]:
        """Names of all styles, region by region."""
        return [name for region in self.regions for name, _weight in region.parts]

    @property
    def masked(self) -> bool:
        """Whether any region has a mask."""
        return any(region.mask is not None for region in self.regions)

    def digest(self, digests: Mapping[str, str]) -> str:
        """Return a digest of the styles' digests, by name; for a single style, its digest."""
        if len(self.names) == 1:
            return digests[self.names[0]]
        content = [[region.name, [[digests[name], weight] for name, weight in region.parts]] for region in self.regions]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def parse(styles: Sequence[str], masks: Sequence[str] = (), *, exists: Callable[[str], bool]) -> StyleSpec:
    """Parse the values of ``--style`` and ``--mask``.

    Parameters
    ----------
    styles
        Each is ``[REGION=]NAME[:WEIGHT]``.
    masks
        Each is ``FILE`` or ``REGION=FILE``.
    exists
        Returns whether the bank has a style of that name, which can contain ``=`` and ``:``.

    Raises
    ------
    UsageError, NameRefused
        If the texts contradict each other.
    """
    weights: dict[str, dict[str, float]] = {}
    for text in styles:
        region, name, weight = _style(text, exists)
        parts = weights.setdefault(region, {})
        if name in parts:
            raise UsageError(f"style {printable(text)}: repeats. Give it once, with a larger weight.")
        parts[name] = weight
    if not weights:
        raise UsageError("no style. Give the name of a style in the bank.")
    if len(weights) > 1 and "" in weights:
        raise UsageError(
            f"style {printable(next(iter(weights[''])))}: no region, but others have one. Write REGION=NAME for each."
        )
    paths = _masks(masks, list(weights))
    without = [region for region in weights if region not in paths]
    if len(weights) == 1 and without and without != [""]:
        name = printable(without[0])
        raise UsageError(f"region {name}: no mask. Add --mask {name}=FILE, or leave the region out.")
    if len(without) > 1:
        raise UsageError(
            f"regions {' and '.join(map(printable, without))}: no masks. All regions but one need --mask REGION=FILE."
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
    region, name, weight = _split(text, exists)
    refuse_picture(name, exists)
    return region, check_name(name), weight


def _split(text: str, exists: Callable[[str], bool]) -> tuple[str, str, float]:
    if not {":", "="} & set(text) or exists(text):
        return "", text, 1.0
    region = REGION.fullmatch(text)
    given = region[2] if region else text
    name, colon, weight = given.rpartition(":")
    if not exists(given) and colon:
        try:
            value = float(weight)
        except ValueError:
            return region[1] if region else "", given, 1.0
        if not 0 <= value < float("inf"):
            raise UsageError(f"style {printable(text)[:80]}: expected a finite weight, a number from 0 up.")
        return region[1] if region else "", name, value
    return region[1] if region else "", given, 1.0


def _masks(masks: Sequence[str], regions: Sequence[str]) -> dict[str, str]:
    paths: dict[str, str] = {}
    for text in masks:
        match = REGION.fullmatch(text)
        region, path = (match[1], match[2]) if match and list(regions) != [""] else ("", text)
        if region not in regions:
            known = ", ".join(map(printable, regions))
            given = f"no region {printable(region)}" if region else "of no region"
            raise UsageError(f"mask {printable(text)}: {given}. Write REGION=FILE, with a region of {known}.")
        if region in paths:
            raise UsageError(f"mask {printable(text)}: a second mask for the same region. Give one.")
        paths[region] = path
    return paths


def below(mask: str, folder: Path, *, regions: bool) -> str:
    """Return the text of a mask with its relative path put in `folder`; with `regions`, it can be REGION=FILE."""
    region, path = region_and_path(mask) if regions else ("", mask)
    return region + str(Path(folder, expand_user(path)))
