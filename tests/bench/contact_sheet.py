"""``python -m tests.bench.contact_sheet FOLDER data/contact_sheet.jpg`` puts outputs beside what they were made of.

FOLDER holds the outputs of `stylebank apply` for every sample style and subject.
"""

from __future__ import annotations

from pathlib import Path

import click
from PIL import Image, ImageOps

DATA = Path(__file__).parents[2] / "data"
CELL, GAP = (208, 148), 5


def sheet(outputs: Path) -> Image.Image:
    """Return a grid: photographs in the first row, paintings in the first column, outputs between."""
    subjects = sorted((DATA / "subjects").glob("*.jpg"))
    styles = sorted((DATA / "styles").glob("*.jpg"))
    grid: list[list[Path | None]] = [[None, *subjects]]
    for style in styles:
        row = [next(outputs.glob(f"{subject.stem}.{style.stem}.*")) for subject in subjects]
        grid.append([style, *row])
    width, height = ((size + GAP) * count + GAP for size, count in zip(CELL, (len(grid[0]), len(grid)), strict=True))
    page = Image.new("RGB", (width, height), "white")
    for y, line in enumerate(grid):
        for x, path in enumerate(line):
            if path is not None:
                with Image.open(path) as image:
                    cell = ImageOps.fit(image.convert("RGB"), CELL, centering=(0.5, 0.3))
                page.paste(cell, (GAP + x * (CELL[0] + GAP), GAP + y * (CELL[1] + GAP)))
    return page


@click.command()
@click.argument("outputs", type=click.Path(path_type=Path, exists=True))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--quality", default=72, show_default=True)
def main(outputs: Path, target: Path, quality: int) -> None:
    """Write the sheet and say how large it is."""
    sheet(outputs).save(target, quality=quality, optimize=True)
    click.echo(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
