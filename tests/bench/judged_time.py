"""``python -m tests.bench judged-time``: seconds until the judges see no difference to a long run.

For each pair the picture is made with several numbers of steps per size, each from the beginning, as users do. Network
and compiled functions are warm: an untimed picture comes first. The judges of `judges` give each picture a style and a
loss of content. A picture is *settled* if the sum of the two is within 0.02 of the sum at the most steps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.ingest.measure import measure
from pipeline.settings import synthesis_settings
from pipeline.synthesis.stylizer import Stylizer
from pipeline.vgg import weights
from stylebank import images
from tests.bench import quality

TOLERANCE = 0.02
PAIRS = "china:starry_night,astronaut:composition_viii,chelsea:poppies"


def settled(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the first row, by steps, after which every sum is within `TOLERANCE` of the last one's."""
    ordered = sorted(rows, key=lambda row: row["steps"])
    end = ordered[-1]["sum"]
    first = ordered[-1]
    for row in reversed(ordered):
        if abs(row["sum"] - end) > TOLERANCE:
            break
        first = row
    return first


def run(study: quality.Study, pair: str, steps: Sequence[int]) -> list[dict[str, Any]]:
    """Make and judge the picture of a pair with each number of steps; return a row for each."""
    subject, style = quality._files(pair)
    painting = measure(style, weights.load())
    pixels = images.load(subject).pixels

    def picture(number: int) -> tuple[images.Pixels, float]:
        began = time.perf_counter()
        result = Stylizer(painting, weights.load(), synthesis_settings(size=study.size, steps=number)).stylize(pixels)
        return result.pixels, time.perf_counter() - began

    picture(1)
    rows = []
    for number in steps:
        stylized, seconds = picture(number)
        measures = study.measure(pair, stylized)
        style_left, lost = measures["style"], measures["lost"]
        row = {"pair": pair, "steps": number, "seconds": seconds, "style": style_left, "lost": lost}
        rows.append({**row, "sum": style_left + lost})
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows in Markdown, and where each pair is settled."""
    lines = ["| pair | steps per size | seconds | style | lost | sum |", "|---|" + "---:|" * 5]
    for row in rows:
        numbers = f"{row['style']:.3f} | {row['lost']:.3f} | {row['sum']:.3f}"
        lines.append(f"| {row['pair']} | {row['steps']} | {row['seconds']:.1f} | {numbers} |")
    lines.append("")
    for pair in dict.fromkeys(row["pair"] for row in rows):
        first = settled([row for row in rows if row["pair"] == pair])
        lines.append(f"{pair}: settled after {first['steps']} steps per size, {first['seconds']:.1f} s")
    return "\n".join(lines)


@click.command()
@click.option("--pairs", default=PAIRS, show_default=True, help="SUBJECT:STYLE with commas between.")
@click.option("--size", default=384, show_default=True)
@click.option(
    "--steps", default="3,5,10,15,20,30,40,100", show_default=True, help="Steps per size; the last is the end."
)
@click.option("--json", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the numbers.")
def main(pairs: str, size: int, steps: str, output: Path | None) -> None:
    """Print seconds until the judges see no difference to a long run."""
    study = quality.Study(Path(), size)
    numbers = [int(number) for number in steps.split(",")]
    rows = [row for pair in pairs.split(",") for row in run(study, pair, numbers)]
    if output:
        output.write_text(json.dumps(rows, indent=2))
    click.echo(table(rows))


if __name__ == "__main__":
    main()
