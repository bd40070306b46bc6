"""``python -m tests.bench.quality`` compares ways to make a picture, by numbers and on contact sheets.

For every pair of a photograph and a painting and every variant it makes a picture with the library and measures
how near it is to the painting, how much is left of the photograph, the grain in its flat parts, and the
time. Pictures are kept in the output folder by what made them: a study goes on where it stopped, and a variant
added later costs its own pictures alone.

    $ python -m tests.bench.quality --out study --size 256
    $ python -m tests.bench.quality --out study --size 256 --pairs china:great_wave --variants mine.json --curve ''

A variant is a dictionary of the fields of `pipeline.SynthesisSettings`, with two more: "preset", and
"measure", a dictionary of `pipeline.IngestSettings` (or its "preset") for how the painting is
measured. --variants takes names of `VARIANTS`, or JSON files with such dictionaries by name.

The numbers:

    layers       W2 of the Gaussians at ReLU layers under maximum pooling, none of which is optimised by default
    scale        the same at 0.71 of the size
    sliced       sliced W2 of the activations themselves, not of their Gaussians
    patches      W2 of 5 x 5 patches of pixels at three octaves
    average      W2 at convolutions under average pooling
    efficientnet W2 at five resolutions of EfficientNet-Lite0, at two sizes: see `judges`
                 (these six over the plain photograph's: 1 is not stylised, 0 is the painting)
    content      1 - cosine of relu4_2 to the photograph's, 0 is the photograph's own; optimised by default
    content_average, content_efficientnet
                 the same at conv4_3 under average pooling and at three resolutions of EfficientNet-Lite0
    style, lost  means of the six, and of the last two
    arrangement  difference of relu4_2's self-similarity, 0 is the photograph's own
    ssim         of luminance, 1 is the photograph's own
    grain        grey levels that alternate from pixel to pixel where the photograph is flat
    seconds      for the whole picture; the first of a shape sets up the network, too
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

import pipeline
from pipeline.settings import ingest_settings, synthesis_settings
from stylebank import images
from stylebank.bank import Bank
from tests.bench import drawing, judges, metrics
from tests.bench.variants import VARIANTS

DATA = Path(__file__).parents[2] / "data"
PAIRS = (
    "china:starry_night",
    "rocket:great_wave",
    "astronaut:composition_viii",
    "chelsea:poppies",
    "coffee:moulin_de_la_galette",
    "china:village_street_in_auvers",
)
PHOTOGRAPH = "(photograph)"
CURVE_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
STYLE_MEASURES = judges.STYLE_JUDGES if judges.efficientnet_installed() else judges.STYLE_JUDGES[:-1]
CONTENT_MEASURES = judges.CONTENT_JUDGES if judges.efficientnet_installed() else judges.CONTENT_JUDGES[:-1]
MEASURES = (*STYLE_MEASURES, "content", *CONTENT_MEASURES, "arrangement", "ssim", "grain", "style", "lost", "seconds")
MEASURES = (*MEASURES, "steps")


@dataclass
class Study:
    """Pictures and their numbers.

    Attributes
    ----------
    out
        Where pictures, styles and results are kept.
    size, steps
        Of every picture, unless its variant says otherwise; no `steps` leaves each its own.
    rows
        One a picture: pair, variant, its path, and `MEASURES`.
    """

    out: Path
    size: int
    steps: int | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    _loaded: judges.Judges | None = None
    _seen: dict[Path, judges.Impression] = field(default_factory=dict)
    _plain: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    _measured: dict[tuple[str, Path], dict[str, float]] = field(default_factory=dict)

    def add(self, pair: str, name: str, variant: Mapping[str, Any]) -> dict[str, Any]:
        """Make the picture of a pair in a variant, or find it made, and measure it."""
        subject, style = _files(pair)
        path, entry = self._picture(subject, style, dict(variant))
        if (pair, path) not in self._measured:  # variants may come to the same settings
            self._measured[pair, path] = self.measure(pair, images.load(path).pixels)
        row = {"pair": pair, "variant": name, "picture": str(path), **self._measured[pair, path], **entry}
        self.rows.append(row)
        return row

    def add_subject(self, pair: str) -> dict[str, Any]:
        """Measure the photograph itself: what the numbers are when nothing was done."""
        subject = _files(pair)[0]
        pixels, path = _sized(subject, self.size), self.out / "subjects" / f"{subject.stem}-{self.size}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        images.save(path, pixels, format="png", quality=100)
        row = {"pair": pair, "variant": PHOTOGRAPH, "picture": str(path), **self.measure(pair, pixels)}
        self.rows.append({**row, "seconds": 0.0, "steps": 0})
        return self.rows[-1]

    def measure(self, pair: str, pixels: images.Pixels) -> dict[str, float]:
        """Return every number of a picture but its time."""
        subject, painting = (self._impression(path) for path in _files(pair))
        height, width = subject.description.luma.shape
        picture = self._judges.look(images.resize(pixels, (width, height)))
        if pair not in self._plain:
            self._plain[pair] = judges.style_distances(subject, painting)
        measures = {
            **metrics.relative(judges.style_distances(picture, painting), self._plain[pair]),
            **judges.content_distances(picture, subject),
        }
        style, lost = judges.verdict(measures)
        return {**measures, "style": style, "lost": lost}

    @property
    def _judges(self) -> judges.Judges:
        self._loaded = self._loaded or judges.Judges()
        return self._loaded

    def _impression(self, path: Path) -> judges.Impression:
        if path not in self._seen:
            self._seen[path] = self._judges.look(_sized(path, self.size))
        return self._seen[path]

    def _picture(self, subject: Path, style: Path, variant: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
        """The picture's file and its seconds and steps, from the library's own record."""
        measure = dict(variant.pop("measure", {}))
        preset = variant.pop("preset", None)
        wanted = {"size": self.size, "steps": self.steps, **variant, "format": "png"}
        bank = Bank(self.out / "banks" / _digest(vars(ingest_settings(**measure))))
        if style.stem not in bank.names():
            pipeline.add(bank, style, **measure)
        folder = self.out / "pictures" / _digest([bank.folder.name, synthesis_settings(preset, **wanted).recorded()])
        (entry,) = pipeline.apply(bank, style.stem, [subject], folder, preset=preset, **wanted)
        if entry.status == "failed":
            raise click.ClickException(str(entry.error))
        return folder / entry.output, {"seconds": entry.seconds, "steps": entry.steps}

    def table(self, rows: list[dict[str, Any]] | None = None) -> str:
        """Return the means over pairs as a table in Markdown, one line a variant."""
        rows = self.rows if rows is None else rows
        lines = [f"| variant | {' | '.join(MEASURES)} |", "|---|" + "---:|" * len(MEASURES)]
        for name in dict.fromkeys(row["variant"] for row in rows):
            own = [row for row in rows if row["variant"] == name]
            means = [float(np.mean([row[measure] for row in own])) for measure in MEASURES]
            lines.append(f"| {name} | {' | '.join(_shown(*x) for x in zip(MEASURES, means, strict=True))} |")
        return "\n".join(lines)

    def markdown(self) -> str:
        """Return all tables: the means, then one a pair."""
        pairs = list(dict.fromkeys(row["pair"] for row in self.rows))
        parts = [f"## Mean of {len(pairs)} pairs at {self.size} pixels", self.table()]
        for pair in pairs:
            parts += [f"## {pair}", self.table([row for row in self.rows if row["pair"] == pair])]
        return "\n\n".join(parts) + "\n"

    def draw(self, curve: Mapping[str, float]) -> list[Path]:
        """Draw the contact sheet and a trade-off curve a pair; return their files.

        Parameters
        ----------
        curve
            Content weights of the variants that make up the curve.
        """
        pairs = list(dict.fromkeys(row["pair"] for row in self.rows))
        names = list(dict.fromkeys(row["variant"] for row in self.rows))
        at = {(row["pair"], row["variant"]): row for row in self.rows}
        grid = {
            pair: [_files(pair)[1], *(Path(at[pair, name]["picture"]) for name in names if (pair, name) in at)]
            for pair in pairs
        }
        files = [self.out / "contact_sheet.jpg"]
        drawing.contact_sheet(["(painting)", *names], grid).save(files[0], quality=85)
        for pair in pairs:
            points = {name: (at[pair, name]["content"], at[pair, name]["sliced"]) for name in names}
            target = self.out / f"curve-{pair.replace(':', '-')}.svg"
            others = {name: point for name, point in points.items() if name not in curve and name != PHOTOGRAPH}
            drawing.trade_off(target, pair, {curve[name]: points[name] for name in curve}, others)
            files.append(target)
        return files


def _files(pair: str) -> tuple[Path, Path]:
    """Photograph and painting of ``subject:style``, names of samples or paths of files."""
    subject, _colon, style = pair.partition(":")
    found = []
    for kind, name in (("subjects", subject), ("styles", style)):
        path = Path(name) if Path(name).suffix else DATA / kind / f"{name}.jpg"
        if not path.is_file():
            raise click.BadParameter(f"{pair}: no file {path}. Give SUBJECT:STYLE, names of samples or files.")
        found.append(path)
    return found[0], found[1]


def _sized(path: Path, longest_side: int) -> images.Pixels:
    picture = images.load(path)
    return images.resize(
        images.composite_on_white(picture.pixels, picture.alpha), images.fit(picture.size, longest_side)
    )


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _shown(measure: str, value: float) -> str:
    return f"{value:.0f}" if measure == "steps" else f"{value:.1f}" if measure == "seconds" else f"{value:.3f}"


def read_variants(given: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Names of `VARIANTS` and JSON files into one dictionary; all of `VARIANTS` when nothing is given."""
    found: dict[str, dict[str, Any]] = {}
    for text in [part for item in given for part in item.split(",")] or list(VARIANTS):
        if text.endswith(".json"):
            found.update(json.loads(Path(text).read_text("utf-8")))
        elif text in VARIANTS:
            found[text] = VARIANTS[text]
        else:
            raise click.BadParameter(f"variant {text!r}: expected a .json file or one of {', '.join(VARIANTS)}.")
    return found


@click.command()
@click.option("--pairs", default=",".join(PAIRS), show_default=True, help="SUBJECT:STYLE with commas between.")
@click.option("--variants", multiple=True, help=f"Names or .json files.  [default: {','.join(VARIANTS)}]")
@click.option("--size", default=256, show_default=True, help="Best one of the scales the styles are measured at.")
@click.option("--steps", type=int, help="Instead of each variant's own.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("study"), show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="[default: results.json in --out]")
@click.option(
    "--curve",
    default=",".join(f"{weight:g}" for weight in CURVE_WEIGHTS),
    show_default=True,
    help="Content weights to make a trade-off curve of; '' for none.",
)
@click.option("--curve-variant", default="default", show_default=True, help="What to vary the weight of.")
def main(
    pairs: str,
    variants: tuple[str, ...],
    size: int,
    steps: int | None,
    out: Path,
    json_file: Path | None,
    curve: str,
    curve_variant: str,
) -> None:
    """Make, measure, print and draw."""
    chosen = read_variants(variants)
    base = {**VARIANTS, **chosen}.get(curve_variant)
    if base is None:
        raise click.BadParameter(
            f"curve variant {curve_variant!r}: expected one of {', '.join({**VARIANTS, **chosen})}."
        )
    try:
        weights = {f"content {float(weight):g}": float(weight) for weight in curve.split(",") if weight.strip()}
    except ValueError:
        raise click.BadParameter(f"curve {curve!r}: expected numbers with commas between.") from None
    chosen |= {name: {**base, "content_weight": weight} for name, weight in weights.items()}
    named = pairs.split(",")
    for pair in named:
        _files(pair)
    out.mkdir(parents=True, exist_ok=True)
    study = Study(out, size, steps)
    for pair in named:
        study.add_subject(pair)
        for name, variant in chosen.items():
            row = study.add(pair, name, variant)
            shown = ", ".join(f"{measure} {_shown(measure, row[measure])}" for measure in MEASURES)
            click.echo(f"{pair}, {name}: {shown}", err=True)
    (json_file or out / "results.json").write_text(json.dumps(study.rows, indent=2))
    (out / "results.md").write_text(study.markdown())
    click.echo(study.markdown())
    for path in study.draw(weights):
        click.echo(path, err=True)


if __name__ == "__main__":
    main()
