from __future__ import annotations

import pytest

from pipeline.settings import ingest_settings, synthesis_settings
from stylebank.errors import UsageError
from stylebank.style import CONVOLUTIONS


def test_the_defaults_are_the_sixteen_convolutions_at_three_scales() -> None:
    settings = ingest_settings()
    assert settings.layers == tuple(CONVOLUTIONS) and len(settings.layers) == 16
    assert settings.scales == (256, 512, 1024)


def test_the_original_preset_is_the_original_program() -> None:
    measured, made = ingest_settings("original"), synthesis_settings("original")
    assert (measured.pooling, measured.padding, measured.scales) == ("avg", "zero", ())
    assert (made.optimizer, made.steps, made.content_weight, made.coarse_to_fine) == ("lbfgs", 80, 0, False)
    assert not made.normalise and not made.match_color and made.layers == tuple(CONVOLUTIONS)


def test_what_is_given_beside_a_preset_wins() -> None:
    assert synthesis_settings("original", steps=3).steps == 3
    assert synthesis_settings("original", steps=None).steps == 80


def test_layers_are_put_in_the_networks_order_once_each() -> None:
    assert ingest_settings(layers=["relu3_1", "conv1_1", "conv3_1", "conv1_1"]).layers == (
        "conv1_1",
        "conv3_1",
        "relu3_1",
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": -5}, "size -5"),
        ({"size": 8}, "size 8"),
        ({"steps": 0}, "steps 0"),
        ({"content_weight": -1.0}, "content_weight -1"),
        ({"content_weight": float("nan")}, "content_weight nan"),
        ({"seed": -1}, "seed -1"),
        ({"quality": 0}, "quality 0"),
        ({"quality": 101}, "quality 101"),
        ({"optimizer": "sgd"}, "lbfgs, adam, rmsprop"),
        ({"learning_rate": 1.0}, "lbfgs finds its own step"),
        ({"optimizer": "adam", "learning_rate": 0.0}, "above 0"),
        ({"layers": ("conv9_9",)}, "conv1_1 to conv5_4"),
        ({"layers": ("conv3_11",)}, "Did you mean conv3_1"),
        ({"layers": ("pixels",)}, "always measured"),
        ({"format": "bmp"}, "jpg, png, webp, tiff"),
        ({"depth": 12, "format": "png"}, "depth 12: expected 8 or 16"),
        ({"depth": 16}, "depth 16: jpg holds 8 bits.*--format png or tiff"),
        ({"depth": 16, "format": "webp"}, "depth 16: webp holds 8 bits"),
        ({"sise": 512}, "sise"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_expected(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        synthesis_settings(**given)


@pytest.mark.parametrize("given", [{"scales": (16,)}, {"layers": ()}, {"pooling": "median"}, {"padding": "wrap"}])
def test_a_bad_measure_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ingest_settings(**given)


def test_a_memory_limit_decides_nothing_that_is_recorded() -> None:
    limited = synthesis_settings(memory_limit=8e9)
    assert limited.memory_limit == 8_000_000_000
    assert limited.recorded() == synthesis_settings().recorded()
    with pytest.raises(UsageError, match=r"memory_limit 0: expected 1 or more"):
        synthesis_settings(memory_limit=0)
