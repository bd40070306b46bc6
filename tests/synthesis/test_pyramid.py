from __future__ import annotations

import pytest

from pipeline.settings import SynthesisSettings
from pipeline.synthesis.pyramid import neighbouring_scales, pyramid, scales_for
from stylebank.errors import UsageError


def test_sizes_double_up_to_the_outputs() -> None:
    assert pyramid((4000, 3000), SynthesisSettings(size=1024)) == [(256, 192), (512, 384), (1024, 768)]
    assert pyramid((640, 427), SynthesisSettings(size=0)) == [(160, 107), (320, 214), (640, 427)]
    assert pyramid((640, 427), SynthesisSettings(size=384, coarse_to_fine=False)) == [(384, 256)]
    assert pyramid((100, 1000), SynthesisSettings(size=512)) == [(51, 512)]


def test_a_picture_too_thin_for_the_network_is_refused() -> None:
    with pytest.raises(UsageError, match="each side needs at least"):
        pyramid((4000, 40), SynthesisSettings(size=512))


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (512, (512, 512, 0.0)),
        (500, (512, 512, 0.0)),
        (362.04, (256, 512, 0.5)),
        (100, (256, 256, 0.0)),
        (4096, (720, 720, 0.0)),
    ],
)
def test_a_size_lies_between_two_scales_or_at_one(side: float, expected: tuple[int, int, float]) -> None:
    assert neighbouring_scales([720, 256, 512], side) == pytest.approx(expected, abs=1e-3)


def test_a_run_needs_the_neighbouring_scales_of_its_sizes() -> None:
    scales = [256, 512, 720]
    assert scales_for(scales, SynthesisSettings(size=512)) == [256, 512]
    assert scales_for(scales, SynthesisSettings(size=512, style_scale=0.5)) == [256]
    assert scales_for(scales, SynthesisSettings(size=384)) == [256, 512]
    assert scales_for(scales, SynthesisSettings(size=600)) == [256, 512, 720]
    assert scales_for(scales, SynthesisSettings(size=0)) is None
