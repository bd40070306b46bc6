"""The numbers of the study, where the answer is known, and the study itself on a small picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from stylebank import images
from tests.bench import drawing, judges, metrics, quality
from tests.conftest import DATA

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def photograph() -> images.Pixels:
    return images.resize(images.load(DATA / "subjects/chelsea.jpg").pixels, (96, 64))


def test_ssim_is_one_for_the_same_and_falls_with_noise(photograph: images.Pixels) -> None:
    luma = metrics.luminance(photograph)
    assert metrics.ssim(luma, luma) == pytest.approx(1, abs=1e-12)
    likeness = [metrics.ssim(luma, luma + RANDOM.normal(0, sigma, luma.shape)) for sigma in (5, 20, 60)]
    assert 1 > likeness[0] > likeness[1] > likeness[2] > 0
    assert metrics.ssim(luma, 255 - luma) < 0


def test_ssim_of_two_flat_pictures_is_its_formula() -> None:
    a, b = np.full((32, 32), 100.0), np.full((32, 32), 150.0)
    c1 = (0.01 * 255) ** 2
    assert metrics.ssim(a, b) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1), rel=1e-6)


def test_sliced_wasserstein_is_the_shift_of_a_shifted_cloud_and_0_of_the_same() -> None:
    cloud = RANDOM.normal(size=(4000, 8))
    assert metrics.sliced_wasserstein(cloud, cloud) == 0
    assert metrics.sliced_wasserstein(cloud, cloud[::-1]) < 1e-9
    shift = np.full(8, 3.0)
    assert metrics.sliced_wasserstein(cloud, cloud + shift, 4000) == pytest.approx(3 * 8**0.5, rel=0.05)
    # twice as wide: on every direction N(0, 1) against N(0, 2)
    assert metrics.sliced_wasserstein(cloud, 2 * cloud) == pytest.approx(8**0.5, rel=0.1)


def test_sliced_wasserstein_compares_unequal_numbers_and_sees_more_than_gaussians() -> None:
    normal = RANDOM.normal(size=(5000, 4))
    two_clouds = np.sign(RANDOM.normal(size=(8000, 4)))  # the same mean and covariance
    assert metrics.wasserstein(normal, two_clouds) < 0.1
    assert metrics.sliced_wasserstein(normal, two_clouds) > 0.3


def test_wasserstein_of_scaled_clouds_is_the_formula() -> None:
    cloud = RANDOM.normal(size=(20_000, 3))
    assert metrics.wasserstein(cloud, cloud) == pytest.approx(0, abs=1e-5)
    assert metrics.wasserstein(cloud, 3 * cloud) == pytest.approx(2 * 3**0.5, rel=0.02)


def test_structure_is_kept_by_what_only_changes_its_strength() -> None:
    features = RANDOM.normal(size=(12, 10, 32)).astype(np.float32)
    features -= features.mean(axis=(0, 1))
    assert metrics.feature_distance(features, features) == pytest.approx(0, abs=1e-6)
    assert metrics.feature_distance(2 * features, features) == pytest.approx(0, abs=1e-5)
    assert metrics.feature_distance(-features, features) == pytest.approx(2, abs=1e-5)
    other = RANDOM.normal(size=features.shape).astype(np.float32)
    assert metrics.feature_distance(other, features) == pytest.approx(1, abs=0.05)


def test_self_similarity_sees_arrangement_and_not_material() -> None:
    features = RANDOM.normal(size=(9, 9, 16))
    turn = np.linalg.qr(RANDOM.normal(size=(16, 16)))[0]
    assert metrics.self_similarity_distance(features, features) == 0
    assert metrics.self_similarity_distance(features @ turn, features) == pytest.approx(0, abs=1e-9)
    assert metrics.self_similarity_distance(features[::-1], features) > 0.1
    large = RANDOM.normal(size=(70, 60, 4)).astype(np.float32)
    assert metrics.self_similarity_distance(large, large) == 0


def test_grain_is_the_amplitude_of_what_alternates_and_of_nothing_slower() -> None:
    y, x = np.mgrid[:64, :96]
    everywhere = np.ones((64, 96), bool)
    everywhere[:3] = everywhere[-3:] = everywhere[:, :3] = everywhere[:, -3:] = False
    flat = np.full((64, 96), 120.0)
    assert metrics.grain(flat, everywhere) == pytest.approx(0, abs=1e-12)
    for pattern in ((-1.0) ** (x + y), (-1.0) ** x, (-1.0) ** y):
        assert metrics.grain(flat + 7 * pattern, everywhere) == pytest.approx(7)
    assert metrics.grain(flat + 50 * np.sin(2 * np.pi * x / 8), everywhere) < 50 * 0.022
    assert metrics.grain(flat + 50 * np.sin(2 * np.pi * x / 16), everywhere) < 0.1


def test_grain_is_looked_for_where_the_photograph_is_flat() -> None:
    luma = RANDOM.uniform(0, 255, (64, 96))
    luma[:, :40] = 120
    flat = metrics.flat_part(luma)
    assert flat[:, :25].all() and not flat[:, 60:].any()
    checked = luma.copy()
    checked[:, 60:] += 9 * (-1.0) ** np.add(*np.mgrid[:64, :36])
    assert metrics.grain(checked, flat) == metrics.grain(luma, flat)


def test_patches_are_all_pixels_in_their_neighbourhoods(photograph: images.Pixels) -> None:
    found = metrics.patches(photograph)
    assert [x.shape for x in found] == [(60 * 92, 75), (28 * 44, 75), (12 * 20, 75)]
    assert np.array_equal(np.sort(found[0][0]), np.sort(photograph[:5, :5].ravel()))
    assert metrics.wasserstein(found[0], metrics.patches(photograph[:, ::-1])[0]) > 0


def test_the_photograph_is_1_and_the_painting_0(photograph: images.Pixels) -> None:
    painting = images.resize(images.load(DATA / "styles/great_wave.jpg").pixels, (96, 65))
    extract = metrics.Extractor()
    subject, style = metrics.describe(extract, photograph), metrics.describe(extract, painting)
    plain = metrics.style_distances(subject, style)
    assert set(plain) == set(judges.STYLE_JUDGES[:4])
    assert all(value == 1 for value in metrics.relative(plain, plain).values())
    assert all(value < 0.01 for value in metrics.relative(metrics.style_distances(style, style), plain).values())
    blend = metrics.describe(extract, (photograph + images.resize(painting, (96, 64))) / 2)
    between = metrics.relative(metrics.style_distances(blend, style), plain)
    assert all(0.1 < value < 1 for value in between.values()), between
    kept = metrics.structure_distances(subject, subject)
    assert kept["content"] == pytest.approx(0, abs=1e-5) and kept["arrangement"] == 0
    assert kept["ssim"] == pytest.approx(1)
    assert (
        metrics.structure_distances(style if style.luma.shape == subject.luma.shape else blend, subject)["ssim"] < 0.9
    )


def test_a_sheet_has_a_row_a_pair_and_a_column_a_variant(tmp_path: Path) -> None:
    for name, color in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        Image.new("RGB", (50, 40), color).save(tmp_path / f"{name}.png")
    row = [tmp_path / "red.png", tmp_path / "blue.png"]
    page = drawing.contact_sheet(["one", "two"], {"a:b": row, "c:d": row, "e:f": row}, (40, 30))
    assert page.size == (6 + 2 * 46, 20 + 3 * 56)
    assert page.getpixel((26, 55)) == (255, 0, 0) and page.getpixel((72, 55 + 2 * 56)) == (0, 0, 255)


def test_a_study_measures_draws_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    variants = tmp_path / "mine.json"
    layers = ["conv1_1", "conv2_1", "conv3_1"]
    measure = {"layers": layers, "scales": [64]}
    variants.write_text(json.dumps({"small": {"measure": measure}, "soft": {"measure": measure, "content_weight": 4}}))
    arguments = ["--pairs", "chelsea:great_wave", "--variants", str(variants), "--size", "64", "--steps", "2"]
    arguments += ["--out", str(tmp_path / "study"), "--curve-variant", "small", "--curve", "0,1,4"]
    first = CliRunner().invoke(quality.main, arguments, catch_exceptions=False)
    assert first.exit_code == 0, first.output
    rows = json.loads((tmp_path / "study/results.json").read_text())
    assert [row["variant"] for row in rows] == ["(photograph)", "small", "soft", "content 0", "content 1", "content 4"]
    by_name = {row["variant"]: row for row in rows}
    assert by_name["(photograph)"]["sliced"] == 1 and by_name["(photograph)"]["ssim"] == pytest.approx(1)
    assert by_name["small"]["layers"] < 1 and by_name["small"]["steps"] == 2 and by_name["small"]["seconds"] > 0
    assert by_name["small"]["picture"] == by_name["content 1"]["picture"]  # the same settings are the same work
    assert by_name["content 4"]["content"] < by_name["content 0"]["content"]
    assert "| small |" in first.output and "## chelsea:great_wave" in (tmp_path / "study/results.md").read_text()
    assert Image.open(tmp_path / "study/contact_sheet.jpg").width == 6 + 7 * 262
    assert "<svg" in (tmp_path / "study/curve-chelsea-great_wave.svg").read_text()
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "study/pictures").rglob("*.png")}
    assert len(made) == 3
    again = CliRunner().invoke(quality.main, [*arguments, "--json", str(tmp_path / "again.json")])
    assert again.exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "study/pictures").rglob("*.png")} == made
    assert json.loads((tmp_path / "again.json").read_text()) == rows


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pairs", "chelsea:nobody"], "Give SUBJECT:STYLE"),
        (["--pairs", "chelsea"], "Give SUBJECT:STYLE"),
        (["--variants", "nothing"], "expected a .json file or one of default, original"),
        (["--curve-variant", "nothing"], "expected one of default, original"),
        (["--curve", "1,two"], "expected numbers"),
    ],
)
def test_a_study_of_what_is_not_there_says_so(arguments: list[str], said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(quality.main, [*arguments, "--out", str(tmp_path / "study")])
    assert result.exit_code == 2 and said in " ".join(result.output.replace("│", "").split())
    assert not (tmp_path / "study").exists()
