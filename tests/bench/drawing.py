"""Contact sheets and trade-off curves of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

_CELL, _GAP, _LABEL = (256, 192), 6, 20


def contact_sheet(
    columns: Sequence[str], grid: Mapping[str, Sequence[Path]], cell: tuple[int, int] = _CELL
) -> Image.Image:
    """Return a page of one row a pair and one column a variant, named at the top and the left.

    Parameters
    ----------
    columns
        Their names.
    grid
        Pictures of a row by its name.
    cell
        Width and height of a picture on the page; larger ones are cut to its shape.
    """
    font = ImageFont.load_default(13)
    width = _GAP + len(columns) * (cell[0] + _GAP)
    height = _LABEL + len(grid) * (cell[1] + _LABEL + _GAP)
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    for x, name in enumerate(columns):
        draw.text((_GAP + x * (cell[0] + _GAP), 3), name, "black", font)
    for y, (pair, pictures) in enumerate(grid.items()):
        top = _LABEL + y * (cell[1] + _LABEL + _GAP)
        draw.text((_GAP, top + 2), pair, "#666666", font)
        for x, path in enumerate(pictures):
            with Image.open(path) as image:
                fitted = ImageOps.fit(image.convert("RGB"), cell, Image.Resampling.LANCZOS)
            page.paste(fitted, (_GAP + x * (cell[0] + _GAP), top + _LABEL))
    return page


def trade_off(
    target: Path, title: str, curve: Mapping[float, tuple[float, float]], others: Mapping[str, tuple[float, float]]
) -> None:
    """Draw style against content, the content weight beside each point; nearer the corner is better in both.

    Parameters
    ----------
    target
        An ``.svg`` or ``.png``.
    title
        What it is of.
    curve
        (content, style) by content weight.
    others
        (content, style) of variants by name.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot()
    if curve:
        points = [curve[weight] for weight in sorted(curve)]
        axes.plot(*zip(*points, strict=True), "o-", color="#1f4e79", label="content weight")
        for weight in sorted(curve):
            axes.annotate(f"{weight:g}", curve[weight], (5, 5), textcoords="offset points", color="#1f4e79")
    for number, (name, point) in enumerate(others.items()):
        axes.plot(*point, "Ds^vPX*"[number % 7], color=f"C{number % 9 + 1}", label=name)
    axes.margins(0.08)
    axes.set(
        title=title,
        xlabel="what is lost of the photograph (features at relu4_2)",
        ylabel="what is missing of the style (sliced Wasserstein)",
        xlim=(0, None),
        ylim=(0, None),
    )
    axes.legend(fontsize=8)
    figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None)
