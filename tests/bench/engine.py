"""A step's time beside the convolutions' own and beside the original program's, and both beside each other.

    floor         VGG-19 forward and backward on stylebank's trunk, the loss being the sum of the style layers' means
    last layer    the same with the last layer's mean alone for a loss: nothing is added on the way back
    reference     the original program, written plainly: `reference.py`
    float32       stylebank
    bfloat16      stylebank in what `--precision auto` finds fastest here, and that precision's own floors

All of one size take turns within one process. A ratio is the median over the rounds of what it was in one round,
so that a machine which is busy for a while does no harm. The optimiser's own work, in NumPy, is told apart.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from pipeline.backends import devices, runtime
from pipeline.backends.compile import compile_step
from pipeline.ingest.measure import measure_pixels
from pipeline.settings import IngestSettings, SynthesisSettings
from pipeline.synthesis.losses.functional import EXACT_TOLERANCE, layer_target
from pipeline.synthesis.losses.objective import Objective
from pipeline.synthesis.losses.problem import StyleTarget
from pipeline.synthesis.optimizers import minimize
from pipeline.vgg import weights
from pipeline.vgg.network import VGG19
from stylebank.images import Pixels
from stylebank.style import CONVOLUTIONS
from tests.bench import timing
from tests.bench.reference import Reference

ops = runtime.keras.ops  # with the backend's own silence while it loads
LAYERS = tuple(CONVOLUTIONS)
#: How a painting is measured: by today's defaults, or at all convolutions as for the original program.
MEASURES = {"default": IngestSettings(), "sixteen": IngestSettings(layers=LAYERS, pooling="avg")}
SIZES = (256, 512, 1024)
#: As many as make the medians of two runs agree, without 1024 taking all the time.
_ROUNDS = {256: 15, 512: 9, 1024: 5}
_OPTIMISER_STEPS = 60
#: Load a processor above which a table says so.
_BUSY = 0.3

Action = Callable[[], object]


def floor(network: VGG19, pixels: Pixels, *, last: bool, layers: Sequence[str] = LAYERS) -> Action:
    """VGG-19 forward and backward with the sum of means for a loss, of all `layers` or of the last."""
    layers = layers[-1:] if last else layers

    def forward(images: Any, parameters: Any) -> list[Any]:
        features = network.features(images, parameters, layers)
        return [features[layer] for layer in layers]

    def head(features: Any, _inputs: Any) -> tuple[Any, list[Any]]:
        means = [ops.mean(ops.cast(at, "float32")) for at in features]
        shares = [ops.ones_like(at) / ops.cast(ops.size(at), at.dtype) for at in features]
        return ops.stack(means)[None], shares

    step = compile_step(forward, head, network.parameters)
    nothing = runtime.to_tensors(np.zeros(1, np.float32))
    return lambda: step(pixels[None], nothing)


def stylebank_step(objective: Objective, style: Pixels, subject: Pixels) -> Action:
    """One evaluation of the objective and its gradient: the default padding and tolerance, styles alone."""
    network = VGG19(_weights(), objective.network.pooling, objective.network.padding)
    measured = measure_pixels(style, network, objective.layers)
    targets, exact = (
        [runtime.to_tensors(layer_target(measured[layer], tolerance)) for layer in objective.layers]
        for tolerance in (SynthesisSettings().tolerance, EXACT_TOLERANCE)
    )
    problem = objective.problem([StyleTarget(targets, exact)], subject[None])
    return lambda: objective(subject[None], problem)


def optimiser_seconds(shape: tuple[int, ...]) -> float:
    """Seconds an iteration of L-BFGS takes besides the objective, its memory of pairs being full."""
    random = np.random.default_rng(0)
    curvature = np.geomspace(1, 1e4, int(np.prod(shape))).reshape(1, *shape).astype(np.float32)
    wanted = random.uniform(20, 230, (1, *shape)).astype(np.float32)

    def valley(pixels: Pixels) -> tuple[Any, Pixels]:
        difference = pixels - wanted
        slope = curvature * difference
        return np.array([float(np.vdot(slope, difference))]), 2 * slope

    start = np.full((1, *shape), 128, np.float32)
    own = timing.median(lambda: valley(start))
    looks = 0

    def counted(pixels: Pixels) -> tuple[Any, Pixels]:
        nonlocal looks
        looks += 1
        return valley(pixels)

    steps: list[int] = []
    whole = timing.median(
        lambda: steps.append(minimize(counted, start, optimizer="lbfgs", steps=_OPTIMISER_STEPS).steps[0]), 1
    )
    return max(0.0, whole - looks * own) / max(1, steps[0])


@functools.lru_cache(maxsize=1)
def _weights() -> weights.Weights:
    return weights.load()


def measure(
    sizes: tuple[int, ...] = SIZES,
    rounds: int | None = None,
    told: Callable[[str], None] = lambda text: None,
    way: IngestSettings = MEASURES["default"],
) -> dict[str, Any]:
    """Return seconds of every round, medians and ratios by size."""
    fastest = devices.resolve_precision("auto")
    kinds = list(dict.fromkeys(["float32", fastest]))
    pooling, padding, layers = way.pooling, way.padding, way.layers
    trunks = {kind: VGG19(_weights(), pooling, padding, kind) for kind in kinds}
    objectives = {kind: Objective(_weights(), pooling, padding, layers, precision=kind) for kind in kinds}
    figures: dict[str, Any] = {"fastest precision": fastest, "device": devices.devices()[0]}
    figures |= {"load before": timing.load(), "sizes": {}}
    for size in sizes:
        subject = timing.picture("subjects", "china", size)
        style = timing.picture("styles", "starry_night", size, enlarge=False)
        reference = Reference(_weights(), style)
        actions: dict[str, Action] = {}
        for kind in kinds:
            actions[f"floor, {kind}"] = floor(trunks[kind], subject, last=False, layers=layers)
            actions[f"last layer, {kind}"] = floor(trunks[kind], subject, last=True, layers=layers)
            actions[f"stylebank, {kind}"] = stylebank_step(objectives[kind], style, subject)
        actions["reference"] = functools.partial(reference, subject)
        timing.interleaved(actions, 1)  # traces, and the first use of a shape
        told(f"{size}: warm")
        seconds = timing.interleaved(actions, rounds or _ROUNDS.get(size, 3))
        figures["sizes"][str(size)] = {
            "width": subject.shape[1],
            "height": subject.shape[0],
            "seconds": seconds,
            "median": {name: statistics.median(taken) for name, taken in seconds.items()},
            "over floor": {
                name: timing.ratio(taken, seconds[f"floor, {_kind(name)}"]) for name, taken in seconds.items()
            },
            "reference over": {name: timing.ratio(seconds["reference"], taken) for name, taken in seconds.items()},
            "optimiser": optimiser_seconds(subject.shape),
        }
    return figures


def _kind(name: str) -> str:
    """Whose floor an action is compared with."""
    return name.rsplit(", ", 1)[-1] if ", " in name else "float32"


def tables(figures: dict[str, Any]) -> str:
    """The figures as text: one table of steps a size, and one of time a pixel."""
    texts = []
    for size, found in figures["sizes"].items():
        rows = [(f"{size}: {found['width']} x {found['height']}", "ms", "over its floor", "reference over it")]
        for name, taken in found["median"].items():
            rows.append(
                (name, f"{1e3 * taken:.0f}", f"{found['over floor'][name]:.2f}", f"{found['reference over'][name]:.2f}")
            )
        rows.append(("L-BFGS's own work, an iteration", f"{1e3 * found['optimiser']:.0f}", "", ""))
        texts.append(timing.table(rows))
    if {"512", "1024"} <= set(figures["sizes"]):
        rows = [("microseconds a pixel", "512", "1024", "1024 over 512")]
        for name in figures["sizes"]["512"]["median"]:
            each = [
                1e6 * found["median"][name] / (found["width"] * found["height"])
                for found in (figures["sizes"][size] for size in ("512", "1024"))
            ]
            rows.append((name, f"{each[0]:.2f}", f"{each[1]:.2f}", f"{each[1] / each[0]:.2f}"))
        texts.append(timing.table(rows))
    if figures.get("load before", 0.0) > _BUSY:
        texts.append(
            f"The machine was busy before this began (load {figures['load before']:.1f} a processor): "
            "what runs on one processor suffers less than what runs on all, and ratios are not an idle machine's."
        )
    return "\n\n".join(texts)


@click.command()
@click.option("--sizes", default=",".join(map(str, SIZES)), show_default=True, help="Longest sides.")
@click.option("--rounds", type=click.IntRange(1), help="Of every size; fewer of the larger ones unless given.")
@click.option("--measure", "way", type=click.Choice(list(MEASURES)), default="default", show_default=True)
@timing.json_option
def main(sizes: str, rounds: int | None, way: str, output: Path | None) -> None:
    """Time a step against the convolutions' own time and the original program's step."""
    figures = measure(tuple(map(int, sizes.split(","))), rounds, lambda text: click.echo(text, err=True), MEASURES[way])
    click.echo(tables(figures))
    timing.write(output, figures)


if __name__ == "__main__":
    main()
