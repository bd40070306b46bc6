from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from stylebank.bank import Bank
from stylebank.bank.combine import common_scales, mix, pool, pooled
from stylebank.errors import StyleDamaged, UsageError
from stylebank.math import gaussian
from stylebank.math.barycenter import barycenter
from stylebank.style import Style
from tests.styles import difference, measured, style

SMALL = ("pixels", "conv1_1")
TWO = {32: (32, 20), 64: (64, 40)}


def stored(folder: Path, made: Style) -> Style:
    """As it comes back from a bank, with its digest."""
    bank = Bank(folder)
    bank.add(made, replace=True)
    return bank.get(made.name)


@pytest.fixture
def wave(tmp_path: Path) -> Style:
    return stored(tmp_path, style("wave", 0, layers=SMALL, sizes=TWO))


@pytest.fixture
def poppies(tmp_path: Path) -> Style:
    return stored(tmp_path, style("poppies", 1, layers=SMALL, sizes=TWO))


def test_a_mix_is_the_barycenter_of_every_layer_at_every_scale(wave: Style, poppies: Style, tmp_path: Path) -> None:
    made = stored(tmp_path, mix([wave, poppies], (3, 2), "sea of poppies", tags=["both"]))
    assert list(made.scales) == [32, 64] and made.header.tags == ("both",)
    for scale, layers in made.scales.items():
        for layer, got in layers.items():
            parts = [part.scales[scale][layer] for part in (wave, poppies)]
            mean, cov, _convergence = barycenter([p.mean for p in parts], [p.cov for p in parts], (0.6, 0.4))
            np.testing.assert_allclose(got.mean, mean, rtol=1e-6)
            np.testing.assert_allclose(got.cov, cov, atol=1e-6 * np.abs(cov).max())
            moments = 0.6 * parts[0].cov + 0.4 * parts[1].cov
            assert np.linalg.norm(got.cov - moments) > 1e-4 * np.linalg.norm(moments)


def test_a_mix_keeps_its_recipe_in_a_whole_file(wave: Style, poppies: Style, tmp_path: Path) -> None:
    made = stored(tmp_path, mix([wave, poppies], (3, 2), "both"))
    recipe = json.loads(made.header.recipe)
    assert recipe == made.header.to_dict()["recipe"]
    assert recipe["kind"] == "mix" and recipe["scales"] == {"32": [32, 32], "64": [64, 64]}
    assert [(part["name"], part["weight"]) for part in recipe["parts"]] == [("wave", 0.6), ("poppies", 0.4)]
    assert recipe["parts"][0]["content_sha256"] == wave.header.content_sha256
    assert made.header.source.filename == "mix of wave 0.6, poppies 0.4"
    assert made.header.source.sha256 == hashlib.sha256(made.header.recipe.encode()).hexdigest()


@pytest.mark.parametrize("weights", [(1, 0), (0, 5)])
def test_a_mix_of_one_has_the_numbers_of_that_one(wave: Style, poppies: Style, weights: tuple[float, float]) -> None:
    made = mix([wave, poppies], weights, "wave again")
    one = wave if weights[0] else poppies
    assert difference(dataclasses.replace(made, header=one.header, thumbnail=one.thumbnail), one) == ""


def test_three_report_how_they_converged(wave: Style, poppies: Style) -> None:
    third = style("third", 2, layers=SMALL, sizes=TWO)
    ended: dict[tuple[int, str], bool] = {}
    mix(
        [wave, poppies, third],
        (1, 1, 1),
        "three",
        on_layer=lambda scale, layer, convergence: ended.update({(scale, layer): convergence.converged}),
    )
    assert ended == dict.fromkeys(((scale, layer) for scale in TWO for layer in SMALL), True)


def test_pooled_moments_are_those_of_all_positions_together() -> None:
    random = np.random.default_rng(0)
    sets = [random.normal(index, 1 + index, (count, 16)) for index, count in enumerate((30, 500, 7))]
    each = [gaussian.moments(rows) for rows in sets]
    mean, cov = pooled([m for m, _s, _n in each], [s for _m, s, _n in each], [n for _m, _s, n in each])
    expected_mean, expected_cov, _count = gaussian.moments(np.concatenate(sets))
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-12)
    np.testing.assert_allclose(cov, expected_cov, rtol=1e-9, atol=1e-12)


def with_rows(name: str, rows: np.ndarray, height: int) -> Style:
    made = style(name, layers=("conv1_1",), sizes={32: (32, height)})
    return dataclasses.replace(made, scales={32: {"conv1_1": measured(rows)}})


def test_a_pool_is_what_measuring_all_paintings_together_gives(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    first, second = random.normal(0, 1, (32 * 32, 64)), random.normal(2, 3, (32 * 8, 64))
    one, other = (stored(tmp_path, with_rows(n, r, h)) for n, r, h in (("one", first, 32), ("other", second, 8)))
    made = stored(tmp_path, pool([one, other], "both"))
    expected = measured(np.concatenate([first, second]))
    got = made.scales[32]["conv1_1"]
    assert got.count == expected.count == 1280
    for key in ("mean", "cov", "cov_sqrt", "eigenvalues"):
        want = getattr(expected, key)
        np.testing.assert_allclose(getattr(got, key), want, atol=2e-6 * np.abs(want).max())
    shares = [part["weight"] for part in json.loads(made.header.recipe)["parts"]]
    assert shares == pytest.approx([0.8, 0.2])
    equal = pool([one, other], "equal", weights="equal").scales[32]["conv1_1"]
    np.testing.assert_allclose(
        equal.mean, (one.scales[32]["conv1_1"].mean + other.scales[32]["conv1_1"].mean) / 2, rtol=1e-5, atol=1e-6
    )


def test_pooling_in_two_steps_is_pooling_in_one() -> None:
    random = np.random.default_rng(2)
    parts = [with_rows(str(index), random.normal(index, 1, (32 * 20, 64)), 20) for index in range(3)]
    at_once = pool(parts, "all").scales[32]["conv1_1"]
    in_two = pool([pool(parts[:2], "two"), parts[2]], "all").scales[32]["conv1_1"]
    np.testing.assert_allclose(in_two.cov, at_once.cov, atol=1e-5)
    assert in_two.count == at_once.count


@pytest.mark.parametrize(
    ("scales", "expected"),
    [
        (([256, 512, 659], [256, 512, 720]), [(256, 256), (512, 512), (659, 720)]),
        (([256, 512, 1024], [256, 512, 520]), [(256, 256), (512, 512)]),
        (([256, 512], [512]), [(512, 512)]),
        (([96], [100], [128]), [(96, 100, 128)]),
        (([64], [512]), []),
        (([512, 520], [512, 1024]), [(512, 512)]),
    ],
)
def test_scales_meet_within_half_an_octave(scales: tuple[list[int], ...], expected: list[tuple[int, ...]]) -> None:
    assert common_scales([dict.fromkeys(each) for each in scales]) == expected


def test_the_common_layers_are_taken(wave: Style) -> None:
    made = mix([wave, style("x", 3, layers=("conv1_1", "conv2_1"), sizes=TWO)], (1, 1), "new")
    assert made.header.fingerprint.layers == ("conv1_1",) and list(made.scales[32]) == ["conv1_1"]


def test_what_does_not_fit_together_is_refused(wave: Style) -> None:
    def fingerprint(**other: str) -> Style:
        mark = dataclasses.replace(wave.header.fingerprint, **other)
        return dataclasses.replace(wave, header=dataclasses.replace(wave.header, name="odd", fingerprint=mark))

    for odd, reason in (
        (fingerprint(pooling="max"), "fit together: wave: average pooling; odd: maximum pooling. Choose .* remeasure"),
        (fingerprint(weights_sha256="12" * 32), "wave: weights abababababab; odd: weights 121212121212"),
        (style("odd", layers=("pixels", "conv2_1"), sizes=TWO), r"wave: .*; odd: 1 layer \(conv2_1\)\."),
        (style("odd", layers=SMALL, sizes={512: (512, 400)}), "no scale in common: 'wave' has 32, 64; 'odd' has 512"),
    ):
        for make in (lambda odd=odd: mix([wave, odd], (1, 1), "new"), lambda odd=odd: pool([wave, odd], "new")):
            with pytest.raises(UsageError, match=reason):
                make()
    with pytest.raises(UsageError, match="2 styles and 1 weights"):
        mix([wave, wave], (1,), "new")
    with pytest.raises(UsageError, match="expected one of pixels, equal"):
        pool([wave], "new", weights="count")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no style given"):
        pool([], "new")


def test_a_recipe_that_was_changed_is_damage(wave: Style, poppies: Style, tmp_path: Path) -> None:
    bank = Bank(tmp_path / "other")
    bank.add(mix([wave, poppies], (3, 2), "both"))
    path = bank.path("both")
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"weight": 0.6', b'"weight": 0.7'))
    with pytest.raises(StyleDamaged, match="recipe does not match source_sha256"):
        bank.header("both")


def test_a_pool_of_pools_tells_how_much_each_counted() -> None:
    rows = np.random.default_rng(3).normal(0, 1, (32 * 20, 64))
    parts = [with_rows(str(index), rows + index, 20) for index in range(3)]
    made = pool([pool(parts[:2], "two"), parts[2]], "all")
    assert [part["weight"] for part in json.loads(made.header.recipe)["parts"]] == pytest.approx([2 / 3, 1 / 3])
    np.testing.assert_allclose(made.scales[32]["conv1_1"].mean, rows.mean(axis=0) + 1, atol=1e-5)
