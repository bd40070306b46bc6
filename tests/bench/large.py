"""Peak memory and seconds a step of one picture, whole or in strips; one process a measurement."""

from __future__ import annotations

import itertools
import json
import resource
import sys
import time
from pathlib import Path

import click

from pipeline.cli.options import Bytes
from pipeline.ingest.measure import measure
from pipeline.settings import PRECISIONS, IngestSettings, SynthesisSettings
from pipeline.synthesis import memory
from pipeline.synthesis import stylizer as synthesis
from pipeline.vgg import weights
from stylebank import images

DATA = Path(__file__).parents[2] / "data"


@click.command()
@click.option("--width", type=int, default=1024, show_default=True)
@click.option("--height", type=int, default=683, show_default=True)
@click.option("--steps", type=int, default=2, show_default=True, help="At this size alone.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True)
@click.option("--memory-limit", type=Bytes(), help="As for 'stylebank apply'; small enough, it asks for strips.")
@click.option("--strips/--whole", "strips", default=None, help="Whatever the memory says.")
@click.option("-o", "--output", type=click.Path(), help="Keep the picture, to look at.")
def main(
    width: int,
    height: int,
    steps: int,
    precision: str,
    memory_limit: int | None,
    strips: bool | None,
    output: str | None,
) -> None:
    """Make china.jpg in the style of The Starry Night, with all 16 layers and content, and print what it took."""
    vgg = weights.load()
    settings = SynthesisSettings(
        size=0, steps=steps, coarse_to_fine=False, precision=precision, memory_limit=memory_limit
    )
    if strips is not None:
        synthesis.require_memory = lambda *_, **__: strips  # type: ignore[assignment]
    style = measure(DATA / "styles/starry_night.jpg", vgg, IngestSettings(scales=(512,)))
    stylizer = synthesis.Stylizer(style, vgg, settings)
    subject = images.resize(images.load(DATA / "subjects/china.jpg").pixels, (width, height))
    before = peak()
    times = [time.perf_counter()]
    began = times[0]
    made = stylizer.stylize(subject, on_step=lambda info: times.append(time.perf_counter()))
    size = width, height
    told = {
        "size": size,
        "precision": stylizer.precision,
        "seconds": round(time.perf_counter() - began, 1),
        "seconds a step": [round(later - earlier, 2) for earlier, later in itertools.pairwise(times)],
        "peak GB": round(peak() / 1e9, 2),
        "before GB": round(before / 1e9, 2),
        "told GB": {
            name: round(memory.estimate_bytes(size, 1, stylizer.precision, tiled=name == "strips") / 1e9, 2)
            for name in ("whole", "strips")
        },
        "loss": [round(made.start_loss, 5), round(made.final_loss, 5)],
    }
    click.echo(json.dumps(told))
    if output:
        images.save(Path(output), made.pixels, format="jpg", quality=92)


def peak() -> int:
    """Bytes this process has held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
