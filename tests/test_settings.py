from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from pipeline.settings import IngestSettings, SynthesisSettings, ingest_settings, synthesis_settings
from stylebank.errors import UsageError
from stylebank.style import CONVOLUTIONS


def test_the_defaults_are_five_layers_under_maximum_pooling_at_three_scales() -> None:
    settings = ingest_settings()
    assert settings.layers == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    assert (settings.pooling, settings.padding, settings.scales) == ("max", "reflect", (256, 512, 1024))


@pytest.mark.parametrize("detail", [-0.1, 2.1, float("nan"), "1", True])
def test_content_detail_has_bounds(detail: object) -> None:
    with pytest.raises(UsageError, match=r"content_detail .*expected 0 to 2"):
        synthesis_settings(content_detail=detail)


@pytest.mark.parametrize(
    ("layers", "message"),
    [(("pixels",), "always measured"), (("relu9_1",), "VGG-19 has"), ((), "at least one"), ("relu4_2", "a list")],
)
def test_content_layers_are_layers_of_the_network(layers: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        synthesis_settings(content_layers=layers)
    assert synthesis_settings(content_layers=["relu4_2", "relu3_2"]).content_layers == ("relu3_2", "relu4_2")


def test_the_original_preset_is_the_original_program() -> None:
    ingest, synthesis = ingest_settings("original"), synthesis_settings("original")
    assert (ingest.pooling, ingest.padding, ingest.scales) == ("avg", "zero", ())
    assert (synthesis.optimizer, synthesis.steps, synthesis.content_weight, synthesis.coarse_to_fine) == (
        "lbfgs",
        80,
        0,
        False,
    )
    assert not synthesis.normalise and not synthesis.match_color and synthesis.layers == tuple(CONVOLUTIONS)


def test_a_setting_overrides_the_preset() -> None:
    assert synthesis_settings("original", steps=3).steps == 3
    assert synthesis_settings("original", steps=None).steps == 80


def test_layers_are_put_in_the_networks_order_once_each() -> None:
    assert ingest_settings(layers=["relu3_1", "conv1_1", "conv3_1", "conv1_1"]).layers == (
        "conv1_1",
        "conv3_1",
        "relu3_1",
    )


@pytest.mark.parametrize(
    ("values", "message"),
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
        ({"learning_rate": 1.0}, "lbfgs has no learning rate"),
        ({"optimizer": "adam", "learning_rate": 0.0}, "above 0"),
        ({"layers": ("conv9_9",)}, "conv1_1 to conv5_4"),
        ({"layers": ("conv3_11",)}, "Did you mean conv3_1"),
        ({"layers": ("pixels",)}, "always measured"),
        ({"format": "bmp"}, "jpg, png, webp, tiff"),
        ({"depth": 12, "format": "png"}, "depth 12: expected 8 or 16"),
        ({"depth": 16}, "depth 16: jpg has 8 bits.*--format png or tiff"),
        ({"depth": 16, "format": "webp"}, "depth 16: webp has 8 bits"),
        ({"dpi": 0}, "dpi 0: expected 1 to 60000"),
        ({"dpi": 60_001}, "dpi 60001: expected 1 to 60000"),
        ({"sise": 512}, "sise"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_expected(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        synthesis_settings(**values)


@pytest.mark.parametrize("values", [{"scales": (16,)}, {"layers": ()}, {"pooling": "median"}, {"padding": "wrap"}])
def test_a_bad_ingest_setting_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ingest_settings(**values)


def test_the_memory_limit_is_not_recorded() -> None:
    limited = synthesis_settings(memory_limit=8e9)
    assert limited.memory_limit == 8_000_000_000
    assert limited.recorded() == synthesis_settings().recorded()
    with pytest.raises(UsageError, match=r"memory_limit 0: expected 1 or more"):
        synthesis_settings(memory_limit=0)


def test_dpi_is_recorded_where_it_is_set_so_that_older_records_still_match() -> None:
    assert "dpi" not in synthesis_settings().recorded()
    assert synthesis_settings(dpi=300).recorded() == {**synthesis_settings().recorded(), "dpi": 300}


HUGE = int("9" * 400)
INTEGERS = ("size", "steps", "seed", "quality", "depth", "memory_limit")
NUMBERS = (*INTEGERS, "content_weight", "tv_weight", "strength", "style_scale", "tolerance")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"metadata": "no"}, "metadata 'no': expected true or false."),
        ({"metadata": 1}, "metadata 1: expected true or false."),
        ({"coarse_to_fine": None}, "coarse_to_fine None: expected true or false."),
        ({"size": 512.7}, "size 512.7: expected a whole number."),
        ({"size": "512"}, "size '512': expected a whole number."),
        ({"size": True}, "size True: expected a whole number."),
        ({"size": [512]}, r"size \[512\]: expected a whole number."),
        ({"steps": 2.5}, "steps 2.5: expected 1 or more, a whole number."),
        ({"content_weight": "1"}, "content_weight '1': expected 0 or more, a finite number."),
        ({"layers": "conv1_1"}, "layers 'conv1_1': expected a list of texts."),
        ({"layers": [1]}, r"layers \[1\]: expected a list of texts."),
        ({"layer_weights": "conv1=1"}, "layer_weights 'conv1=1': expected a list of texts such as"),
        ({"layer_weights": {"conv1": "much"}}, r"layer_weights \('conv1', 'much'\): expected LAYER=WEIGHT"),
        ({"layer_weights": {"conv1": True}}, "layer_weights conv1 True: expected 0 or more"),
        ({"layer_weights": [3]}, "layer_weights 3: expected LAYER=WEIGHT"),
        ({"init": 7}, "init 7: expected a text."),
        ({"dpi": "300"}, "dpi '300': expected a finite number."),
        ({"learning_rate": "4", "optimizer": "adam"}, "learning_rate '4': expected a finite number."),
        ({"tolerance": None}, "tolerance None: expected a finite number."),
    ],
)
def test_a_setting_of_another_type_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        SynthesisSettings(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -float("inf"), 1e400, HUGE, -HUGE, 10**5000],
    ids=["nan", "inf", "-inf", "1e400", "400-digits", "-400-digits", "5001-digits"],
)
@pytest.mark.parametrize("key", [*NUMBERS, "learning_rate", "layer_weights", "scales"])
def test_numbers_that_are_not_finite_or_have_hundreds_of_digits_are_refused(key: str, value: float) -> None:
    values = {"learning_rate": {"optimizer": "adam", key: value}, "layer_weights": {key: {"conv1": value}}}
    with pytest.raises(UsageError, match=rf"^{key}.*: expected") as refused:
        if key == "scales":
            IngestSettings(scales=(64, value))  # type: ignore[arg-type]
        else:
            SynthesisSettings(**values.get(key, {key: value}))  # type: ignore[arg-type]
    assert len(str(refused.value)) < 200


def test_exact_numbers_of_numpy_are_taken_as_pythons_own() -> None:
    settings = SynthesisSettings(
        size=np.int64(64),  # type: ignore[arg-type]
        steps=np.float64(3.0),  # type: ignore[arg-type]
        content_weight=np.float32(0.5),  # type: ignore[arg-type]
        strength=np.int8(1),
        metadata=np.bool_(False),  # type: ignore[arg-type]
        layer_weights={"conv1": np.float32(2)},  # type: ignore[arg-type]
    )
    expected = SynthesisSettings(size=64, steps=3, content_weight=0.5, metadata=False, layer_weights=(("conv1", 2.0),))
    assert settings == expected and hash(settings) == hash(expected)
    assert json.dumps(settings.recorded()) == json.dumps(expected.recorded())
    scales = IngestSettings(scales=np.array([512, 64])).scales  # type: ignore[arg-type]
    assert scales == (64, 512) and {type(scale) for scale in scales} == {int}


def test_settings_are_frozen_replaced_and_sent_to_other_processes() -> None:
    settings = SynthesisSettings(size=64, layers=("conv1_1",), init=Path("a.jpg"))  # type: ignore[arg-type]
    assert settings.init == "a.jpg"
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.size = 3  # type: ignore[misc]
    assert dataclasses.replace(settings, size=128).size == 128
    with pytest.raises(UsageError, match=r"size 33\.5"):
        dataclasses.replace(settings, size=33.5)
    assert pickle.loads(pickle.dumps(settings)) == settings
