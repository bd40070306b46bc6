"""Style at equal content, where the answer is known by hand, and a study of two ways on a small picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.bench import curves, judged_time, judges
from tests.conftest import DATA


def test_style_at_a_content_lies_on_the_line_between_two_points() -> None:
    curve = [(0.6, 0.2), (0.2, 0.6), (0.4, 0.5)]
    assert curves.style_at(curve, 0.3) == pytest.approx(0.55)
    assert curves.style_at(curve, 0.5) == pytest.approx(0.35)
    assert curves.style_at(curve, 0.2) == pytest.approx(0.6)
    assert curves.style_at(curve, 0.1) is None and curves.style_at(curve, 0.7) is None


def test_a_point_that_loses_on_both_axes_does_not_count() -> None:
    assert curves.style_at([(0.2, 0.5), (0.3, 0.6), (0.4, 0.3)], 0.3) == pytest.approx(0.4)


def test_curves_are_compared_in_the_middle_of_the_contents_that_they_share() -> None:
    assert curves.shared_content([[(0.1, 1), (0.5, 0)], [(0.3, 1), (0.9, 0)]]) == pytest.approx(0.4)
    rows = [
        {"pair": "a:b", "way": way, "lost": lost, "style": style}
        for way, lost, style in (("x", 0.1, 0.9), ("x", 0.5, 0.1), ("y", 0.3, 0.6), ("y", 0.7, 0.2))
    ]
    at_shared = {one.way: one for one in curves.compare(rows, {})}
    assert at_shared["x"].style == pytest.approx(0.3) and at_shared["y"].style == pytest.approx(0.5)
    at_peer = curves.compare(rows, {"a:b": (0.2, 0.8)})
    assert [one.style for one in at_peer] == [pytest.approx(0.7), None] and at_peer[0].peer == 0.8
    table = curves.markdown(at_peer)
    assert "| (peer) | 0.800 | 0.800 |" in table and "| x | 0.700 | 0.700 |" in table and "| y |  |  |" in table


def test_the_verdict_is_the_mean_of_the_judges_that_are_present() -> None:
    measures = dict.fromkeys(judges.STYLE_JUDGES[:4], 0.25) | {"average": 0.75, "content_average": 0.5}
    assert judges.verdict(measures) == (pytest.approx(0.35), 0.5)


@pytest.mark.skipif(not judges.efficientnet_installed(), reason="the packages of EfficientNet-Lite0 are not installed")
def test_efficientnet_sees_a_picture_at_five_resolutions() -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (96, 64, 3)).astype(np.float32)
    seen = judges.Judges().look(pixels)
    assert [features.shape[:2] for features in seen.efficientnet] == [(48, 32), (24, 16), (12, 8), (6, 4), (3, 2)]
    assert judges.content_distances(seen, seen)["content_efficientnet"] == pytest.approx(0, abs=1e-6)


def test_a_study_prints_every_curve_and_the_peer(tmp_path: Path) -> None:
    ways = tmp_path / "ways.json"
    measure = {"layers": ["relu1_1", "relu2_1"], "pooling": "max", "scales": [64]}
    ways.write_text(json.dumps({"two": {"measure": measure, "steps": 2}}))
    peer = tmp_path / "peer"
    peer.mkdir()
    with Image.open(DATA / "subjects/chelsea.jpg") as image:
        image.resize((64, 43)).save(peer / "chelsea.poppies.64.png")
    arguments = ["--pairs", "chelsea:poppies", "--ways", str(ways), "--weights", "0.5,8", "--size", "64"]
    result = CliRunner().invoke(curves.main, [*arguments, "--peer", str(peer), "--out", str(tmp_path / "study")])
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "study/curves.json").read_text())
    assert [row["weight"] for row in kept["rows"]] == [0.5, 8.0]
    assert kept["rows"][0]["lost"] > kept["rows"][1]["lost"] and kept["rows"][0]["style"] < kept["rows"][1]["style"]
    lost, style = kept["peers"]["chelsea:poppies"]  # the photograph itself
    assert lost < 0.1 and style == pytest.approx(1, abs=0.1)
    assert "(peer)" in result.output and "| two | 0.5 |" in (tmp_path / "study/curves.md").read_text()


def test_a_run_is_settled_where_all_later_sums_are_near_the_last() -> None:
    sums = {3: 0.9, 5: 0.705, 10: 0.73, 20: 0.71, 40: 0.69, 100: 0.7}
    rows = [{"pair": "a:b", "steps": steps, "seconds": steps / 2, "sum": value} for steps, value in sums.items()]
    assert judged_time.settled(rows)["steps"] == 20
