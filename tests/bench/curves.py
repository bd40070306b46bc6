"""``python -m tests.bench.curves`` compares ways to make a picture at equal content.

A way that keeps more of the photograph is further from the painting, so means at one setting do not compare ways.
For each way this study makes pictures at several content weights, which is a curve of style over content, and reads off
the style at the content of another picture: the peer's where there is one, else a content that all curves share.

    $ python -m tests.bench.curves --out study --size 384 --ways default,mine.json --weights 0.5,1,2
    $ python -m tests.bench.curves --out study --size 384 --peer tests/bench/peer

A way is a variant of `tests.bench.quality`; ``--weights`` multiply its content weight. ``--peer`` is a folder of
pictures named ``SUBJECT.STYLE.SIZE.png``; those of the size of the study are judged, too.

``style`` and ``lost`` are the means of the judges of style and of content (see `judges`): 0 is the painting and 1 the
plain photograph, 0 keeps all of the photograph and 1 nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from stylebank import images
from tests.bench import quality

Point = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """One way on one pair.

    Attributes
    ----------
    pair, way : str
    content : float
        The content to compare at.
    style : float or None
        Style at that content; None outside the way's curve.
    peer : float or None
        The peer's style at that content.
    """

    pair: str
    way: str
    content: float
    style: float | None
    peer: float | None


def style_at(curve: Sequence[Point], content: float) -> float | None:
    """Return the style of a curve of (content, style) at a content, by linear interpolation.

    Only the lower left hull in content counts: a point that loses more of the photograph than another one and is no
    nearer to the painting is skipped. None if the content lies outside the curve.
    """
    points: list[Point] = []
    for point in sorted(curve):
        if not points or point[1] < points[-1][1]:
            points.append(point)
    contents = [point[0] for point in points]
    if not points or not contents[0] <= content <= contents[-1]:
        return None
    return float(np.interp(content, contents, [point[1] for point in points]))


def shared_content(curves: Sequence[Sequence[Point]]) -> float:
    """Return the middle of the contents that all curves reach; the mean of all points if there are none."""
    low = max(min(content for content, _style in curve) for curve in curves)
    high = min(max(content for content, _style in curve) for curve in curves)
    if low > high:
        return float(np.mean([content for curve in curves for content, _style in curve]))
    return (low + high) / 2


def compare(rows: Sequence[Mapping[str, Any]], peers: Mapping[str, Point]) -> list[Comparison]:
    """Compare the ways on each pair.

    Parameters
    ----------
    rows
        One per picture: ``pair``, ``way``, ``lost`` and ``style``.
    peers
        (content, style) of the peer's picture by pair.
    """
    comparisons = []
    for pair in dict.fromkeys(row["pair"] for row in rows):
        curves: dict[str, list[Point]] = {}
        for row in rows:
            if row["pair"] == pair:
                curves.setdefault(row["way"], []).append((row["lost"], row["style"]))
        peer = peers.get(pair)
        content = peer[0] if peer else shared_content(list(curves.values()))
        comparisons += [
            Comparison(pair, way, content, style_at(curve, content), peer[1] if peer else None)
            for way, curve in curves.items()
        ]
    return comparisons


def markdown(comparisons: Sequence[Comparison]) -> str:
    """Return a table of styles at equal content: a line per way, a column per pair."""
    pairs = list(dict.fromkeys(one.pair for one in comparisons))
    at = {(one.way, one.pair): one for one in comparisons}
    contents = {one.pair: one.content for one in comparisons}
    lines = [
        "| style at equal content | " + " | ".join(f"{pair} at {contents[pair]:.3f}" for pair in pairs) + " | mean |"
    ]
    lines.append("|---|" + "---:|" * (len(pairs) + 1))
    peers = [next((one.peer for one in comparisons if one.pair == pair), None) for pair in pairs]
    if any(peer is not None for peer in peers):
        lines.append(_line("(peer)", peers))
    for way in dict.fromkeys(one.way for one in comparisons):
        lines.append(_line(way, [at[way, pair].style if (way, pair) in at else None for pair in pairs]))
    return "\n".join(lines)


def _line(name: str, styles: Sequence[float | None]) -> str:
    known = [style for style in styles if style is not None]
    mean = f"{np.mean(known):.3f}" if len(known) == len(styles) else ""
    return f"| {name} | " + " | ".join("" if style is None else f"{style:.3f}" for style in styles) + f" | {mean} |"


def points_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return every point of every curve: means over the pairs."""
    lines = ["| way | content weight | style | lost | sum | grain | seconds |", "|---|" + "---:|" * 6]
    for way, weight in dict.fromkeys((row["way"], row["weight"]) for row in rows):
        group = [row for row in rows if row["way"] == way and row["weight"] == weight]
        style, lost, grain, seconds = (
            float(np.mean([row[key] for row in group])) for key in ("style", "lost", "grain", "seconds")
        )
        numbers = f"{style:.3f} | {lost:.3f} | {style + lost:.3f} | {grain:.1f} | {seconds:.1f}"
        lines.append(f"| {way} | {weight:g} | {numbers} |")
    return "\n".join(lines)


def peer_points(study: quality.Study, folder: Path, pairs: Sequence[str]) -> dict[str, Point]:
    """Judge the peer's pictures of these pairs at the size of the study."""
    points = {}
    for pair in pairs:
        path = folder / f"{pair.replace(':', '.')}.{study.size}.png"
        if path.is_file():
            measures = study.measure(pair, images.load(path).pixels)
            points[pair] = (measures["lost"], measures["style"])
    return points


def run(
    study: quality.Study, pairs: Sequence[str], ways: Mapping[str, Mapping[str, Any]], weights: Sequence[float]
) -> list[dict[str, Any]]:
    """Make and judge the pictures of every curve; return a row per picture."""
    rows = []
    for pair in pairs:
        for way, variant in ways.items():
            base = float(variant.get("content_weight", 1.0))
            for weight in weights:
                name = f"{way} x {weight:g}"
                row = study.add(pair, name, {**variant, "content_weight": base * weight})
                rows.append({**row, "way": way, "weight": base * weight})
                click.echo(f"{pair}, {name}: style {row['style']:.3f}, lost {row['lost']:.3f}", err=True)
    return rows


@click.command()
@click.option("--pairs", default=",".join(quality.PAIRS), show_default=True, help="SUBJECT:STYLE with commas between.")
@click.option("--ways", multiple=True, help="Variants: names or .json files.  [default: default]")
@click.option("--weights", default="0.5,1,2", show_default=True, help="Factors of the content weight.")
@click.option("--size", default=384, show_default=True)
@click.option(
    "--peer", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder of the peer's pictures."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("study"), show_default=True)
def main(pairs: str, ways: tuple[str, ...], weights: str, size: int, peer: Path | None, out: Path) -> None:
    """Make pictures on a curve per way, and print style at equal content."""
    chosen = quality.read_variants(ways or ("default",))
    try:
        factors = [float(weight) for weight in weights.split(",")]
    except ValueError:
        raise click.BadParameter(f"weights {weights!r}: expected numbers with commas between.") from None
    names = pairs.split(",")
    out.mkdir(parents=True, exist_ok=True)
    study = quality.Study(out, size)
    peers = peer_points(study, peer, names) if peer else {}
    rows = run(study, names, chosen, factors)
    table = markdown(compare(rows, peers))
    (out / "curves.json").write_text(json.dumps({"rows": rows, "peers": peers}, indent=2))
    (out / "curves.md").write_text(f"{table}\n\n{points_table(rows)}\n")
    click.echo(f"{table}\n\n{points_table(rows)}")


if __name__ == "__main__":
    main()
