"""How long `stylebank similar` takes in a large bank: ``python -m tests.bench.similar [STYLES]``.

The styles are generated, of VGG-19's first layers of each block at their full widths: families
of styles around common ones, as an artist's paintings are. The bank needs 5 MB a style.
"""

from __future__ import annotations

import tempfile
import time

import click
import numpy as np

from pipeline.ingest.similar import similar
from stylebank.bank import Bank, similarity
from stylebank.math import gaussian
from stylebank.style import Fingerprint, Gaussian, Header, Source, Style, layer_channels

LAYERS = ("pixels", "conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
SIZE = 20


def base(random: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Roots of covariances whose spectra fall as those of paintings do, and means."""
    layers = {}
    for layer in LAYERS:
        channels = layer_channels(layer)
        axes = np.linalg.qr(random.normal(size=(channels, channels)))[0]
        sizes = np.logspace(0, -random.uniform(1, 2), channels) * random.uniform(0.5, 2)
        layers[layer] = axes * sizes, random.normal(size=channels) / np.sqrt(channels)
    return layers


def member(family: dict[str, tuple[np.ndarray, np.ndarray]], name: str, random: np.random.Generator) -> Style:
    """One style of a family: its directions stretched and turned a little."""
    layers = {}
    for layer, (root, mean) in family.items():
        channels = len(mean)
        stretch = random.lognormal(0, 0.15, channels)
        turned = root + 0.02 * np.linalg.norm(root) / channels * random.normal(size=root.shape)
        cov = (stretch[:, None] * turned) @ (stretch[:, None] * turned).T
        cov_sqrt, eigenvalues = gaussian.sqrtm_psd(cov)
        moved = mean + 0.1 * random.normal(size=channels) / np.sqrt(channels)
        layers[layer] = Gaussian(*(a.astype(np.float32) for a in (moved, cov, cov_sqrt, eigenvalues)), count=10_000)
    header = Header(
        name=name,
        fingerprint=Fingerprint("ab" * 32, LAYERS, "avg", "reflect"),
        source=Source(f"{name}.jpg", "cd" * 32, 512, 400),
        sizes={512: (512, 400)},
    )
    return Style(header, {512: layers})


@click.command()
@click.argument("number", metavar="STYLES", type=click.IntRange(2), default=1000)
def main(number: int) -> None:
    """Generate, search, compare with brute force, and print."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(folder)
        families = [base(random) for _ in range(-(-number // SIZE))]
        began = time.perf_counter()
        last = 0.0
        for index in range(number):
            made = member(families[index % len(families)], f"style {index}", random)
            at = time.perf_counter()
            bank.add(made)
            last = time.perf_counter() - at
        print(f"{number} styles in families of {SIZE}: {time.perf_counter() - began:.0f} s; the last add {last:.2f} s")
        for query in ("style 0", f"style {number // 2}"):
            began = time.perf_counter()
            search = similar(bank, query)
            print(f"similar {query!r}: {time.perf_counter() - began:.1f} s, {search.compared} compared in full")
        began = time.perf_counter()
        one = bank.get(query).scales[512]
        every = sorted(
            (similarity.distance(one, bank.get(name).scales[512], LAYERS), name)
            for name in bank.names()
            if name != query
        )
        same = [(found.distance, found.name) for found in search.neighbours] == every[: len(search.neighbours)]
        print(f"comparing with all: {time.perf_counter() - began:.0f} s, the same result: {same}")


if __name__ == "__main__":
    main()
