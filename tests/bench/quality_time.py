"""Seconds until stylebank reaches the loss at which the original program's 80 iterations end.

The loss is the original's: the plain sum of the squared W2 of 16 layers with average pooling and zero padding at one
size, the style measured at that size, and no term for the subject; told in float32 of the whole covariances.

    the original   SciPy's L-BFGS-B from the photograph, bounds 0..255, on the loss and gradient of `reference.py`
    stylebank      its defaults otherwise: from half the size, its own L-BFGS, the precision found fastest; from the
                   photograph as it is, and from the photograph in the painting's palette, as its default is

Both are warm: traces and the style's measuring, which is done once and kept, are left out. The clock stands still while
stylebank's loss is looked at in float32. The original's time is the number of its evaluations times the median of a
few of its steps, taken before and after stylebank's runs; what its own run took by the clock is told beside it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import statistics
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import scipy.optimize

from pipeline.backends import runtime as backend
from pipeline.ingest.measure import measure_pixels
from pipeline.settings import SynthesisSettings
from pipeline.synthesis.losses.functional import EXACT_TOLERANCE, layer_target
from pipeline.synthesis.losses.objective import Objective
from pipeline.synthesis.losses.problem import StyleTarget
from pipeline.synthesis.pyramid import pyramid
from pipeline.synthesis.stylizer import StepInfo, Stylizer
from pipeline.vgg import weights
from pipeline.vgg.network import VGG19
from stylebank import images
from stylebank.images import Pixels
from stylebank.style import CONVOLUTIONS, PIXELS, Fingerprint, Header, Source, Style
from tests.bench import timing
from tests.bench.reference import Reference

PAIRS = ("china:starry_night", "rocket:great_wave", "astronaut:composition_viii")
LAYERS = tuple(CONVOLUTIONS)


class _Reached(Exception):
    """The loss wanted."""


def run_reference(reference: Reference, subject: Pixels, iterations: int) -> tuple[Pixels, dict[str, Any]]:
    """Run the original's L-BFGS-B; return the picture, its evaluations, iterations and seconds."""
    evaluations = 0

    def function(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal evaluations
        evaluations += 1
        losses, gradient = reference(flat.reshape(subject.shape).astype(np.float32))
        return float(losses.sum(dtype=np.float64)), gradient.ravel().astype(np.float64)

    began = time.perf_counter()
    found = scipy.optimize.minimize(
        function,
        subject.ravel().astype(np.float64),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 255.0)] * subject.size,
        options={"maxiter": iterations, "maxfun": 10 * iterations},
    )
    seconds = time.perf_counter() - began
    told = {"evaluations": evaluations, "iterations": int(found.nit), "wall seconds": seconds, "own loss": found.fun}
    return found.x.reshape(subject.shape).astype(np.float32), told


class Pair:
    """A photograph and a painting at one size, the loss, and both programs."""

    def __init__(self, pair: str, size: int) -> None:
        subject, style = pair.split(":")
        self.subject = timing.picture("subjects", subject, size)
        self._painting = timing.picture("styles", style, 1 << 20, enlarge=False)
        self._vgg = weights.load()
        self._trunk = VGG19(self._vgg, "avg", "zero")
        self.settings = SynthesisSettings(
            size=size, content_weight=0.0, tv_weight=0.0, normalise=False, match_color=False
        )
        sides = [max(at) for at in pyramid((self.subject.shape[1], self.subject.shape[0]), self.settings)]
        scaled = {side: self._painting_at(side) for side in sides}
        scales = {side: measure_pixels(pixels, self._trunk, LAYERS) for side, pixels in scaled.items()}
        header = Header(
            name="painting",
            fingerprint=Fingerprint(self._vgg.sha256, (PIXELS, *LAYERS), "avg", "zero"),
            source=Source("painting", "", size, size),
            sizes={side: (pixels.shape[1], pixels.shape[0]) for side, pixels in scaled.items()},
        )
        self._style = Style(header, scales)
        self.reference = Reference(self._vgg, scaled[size])
        self._objective = Objective(self._vgg, "avg", "zero", LAYERS)
        exact = [backend.to_tensors(layer_target(scales[size][layer], EXACT_TOLERANCE)) for layer in LAYERS]
        self._task = self._objective.problem([StyleTarget(exact, exact)], self.subject[None], normalise=False)

    def _painting_at(self, side: int) -> Pixels:
        own = (self._painting.shape[1], self._painting.shape[0])
        return images.resize(self._painting, images.fit(own, side))

    def loss(self, pixels: Pixels) -> float:
        """The loss in float32, of the whole covariances."""
        return float(self._objective.evaluate_exact(pixels[None], self._task).value[0])

    def seconds_until(self, wanted: float, *, match_color: bool) -> dict[str, Any]:
        """Run stylebank until the loss is no more than `wanted`."""
        stylizer = Stylizer(self._style, self._vgg, self._with(match_color=match_color))
        Stylizer(self._style, self._vgg, self._with(match_color=match_color, steps=1)).stylize(self.subject)
        waited, losses, steps, seconds = 0.0, [], 0, None

        def look(info: StepInfo) -> None:
            nonlocal waited, steps, seconds
            steps += 1
            # what a step is told is above the loss by the tail its thin factors leave out, which near the end is much
            if info.pixels.shape != self.subject.shape or steps % 2:
                return
            stopped = time.perf_counter()
            losses.append(self.loss(info.pixels))
            if losses[-1] <= wanted:
                seconds = stopped - began - waited
                raise _Reached
            waited += time.perf_counter() - stopped

        began = time.perf_counter()
        with contextlib.suppress(_Reached):
            stylizer.stylize(self.subject, on_step=look)
        return {"seconds": seconds, "steps": steps, "loss": losses[-1] if losses else None}

    def _with(self, **changed: Any) -> SynthesisSettings:
        return SynthesisSettings(
            **{
                **{key: getattr(self.settings, key) for key in ("size", "content_weight", "tv_weight", "normalise")},
                **changed,
            }
        )


def measure(pairs: tuple[str, ...], size: int, iterations: int, known: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Return the figures of every pair; `known` are those of an earlier run, whose reference is not run again."""
    figures: dict[str, Any] = {"size": size, "iterations": iterations, "pairs": {}}
    same = (known.get("size"), known.get("iterations")) == (size, iterations)
    for name in pairs:
        pair = Pair(name, size)
        found: dict[str, Any] = {"start loss": pair.loss(pair.subject)}
        pair.reference(pair.subject)
        earlier = known["pairs"].get(name, {}).get("reference") if same else None
        if earlier is None:
            picture, earlier = run_reference(pair.reference, pair.subject, iterations)
            earlier["loss"] = pair.loss(picture)
        found["reference"] = earlier
        step = {"": functools.partial(pair.reference, pair.subject)}
        steps = timing.interleaved(step, rounds)[""]
        found["plain"] = pair.seconds_until(earlier["loss"], match_color=False)
        steps += timing.interleaved(step, rounds)[""]
        found["palette"] = pair.seconds_until(earlier["loss"], match_color=True)
        steps += timing.interleaved(step, rounds)[""]
        found["reference seconds"] = statistics.median(steps) * earlier["evaluations"]
        figures["pairs"][name] = found
        click.echo(f"{name}: done", err=True)
    return figures


def tables(figures: dict[str, Any]) -> str:
    """The figures as text."""
    size, iterations = figures["size"], figures["iterations"]
    rows: list[tuple[str, ...]] = [
        (
            f"{iterations} iterations at {size}",
            "loss",
            "original, s",
            "stylebank, s",
            "sooner",
            "with palette, s",
            "sooner",
        )
    ]
    for name, found in figures["pairs"].items():
        seconds = found["reference seconds"]
        cells = []
        for way in ("plain", "palette"):
            own = found[way]["seconds"]
            cells += ["not reached", ""] if own is None else [f"{own:.1f}", f"{seconds / own:.1f} x"]
        loss = f"{found['start loss']:.3g} -> {found['reference']['loss']:.3g}"
        rows.append((name, loss, f"{seconds:.0f}", *cells))
    wall = ", ".join(f"{found['reference']['wall seconds']:.0f}" for found in figures["pairs"].values())
    count = ", ".join(str(found["reference"]["evaluations"]) for found in figures["pairs"].values())
    return (
        timing.table(rows)
        + f"\nThe original's seconds are its evaluations ({count}) times the median of some of its steps, taken in"
        + f" this run;\nits own runs took {wall} s."
    )


@click.command()
@click.option("--pairs", default=",".join(PAIRS), show_default=True, help="photograph:painting, samples' names.")
@click.option("--size", default=384, show_default=True, help="Longest side.")
@click.option("--reference-steps", default=80, show_default=True, help="Iterations of the original's L-BFGS-B.")
@click.option(
    "--known",
    type=click.Path(exists=True, path_type=Path),
    help="What --json wrote before: the original is not run again for pairs found there.",
)
@click.option("--rounds", default=5, show_default=True, help="Steps of the original timed each time.")
@timing.json_option
def main(pairs: str, size: int, reference_steps: int, known: Path | None, rounds: int, output: Path | None) -> None:
    """Time the way to the loss at which the original program ends."""
    earlier = json.loads(known.read_text("utf-8")) if known else {}
    figures = measure(tuple(pairs.split(",")), size, reference_steps, earlier.get("time-to-quality", earlier), rounds)
    click.echo(tables(figures))
    timing.write(output, figures)


if __name__ == "__main__":
    main()
