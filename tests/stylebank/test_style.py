from __future__ import annotations

import dataclasses
import json
import re

import pytest

from stylebank.errors import FingerprintMismatch, UsageError
from stylebank.style import CONVOLUTIONS, Fingerprint, Source, Style, layer_channels, layer_order, nearest_scale
from tests.styles import style


def test_vgg19_has_sixteen_convolutions_of_the_published_widths() -> None:
    assert len(CONVOLUTIONS) == 16
    assert list(CONVOLUTIONS.values()) == [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8
    assert next(iter(CONVOLUTIONS)) == "conv1_1" and list(CONVOLUTIONS)[-1] == "conv5_4"


@pytest.mark.parametrize(
    ("layer", "channels"), [("pixels", 3), ("conv1_1", 64), ("relu2_2", 128), ("conv3_4", 256), ("relu5_4", 512)]
)
def test_layers_have_their_channels(layer: str, channels: int) -> None:
    assert layer_channels(layer) == channels


@pytest.mark.parametrize("layer", ["conv1_3", "conv6_1", "conv0_1", "pool1", "conv1_1\n", "conv\u0661_1", ""])
def test_layers_vgg19_does_not_have_are_refused(layer: str) -> None:
    with pytest.raises(UsageError, match="conv1_1 to conv5_4"):
        layer_channels(layer)


def test_a_mistyped_layer_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Did you mean conv3_1\?"):
        layer_channels("conv31")


def test_layers_are_put_in_the_networks_order_once_each() -> None:
    mixed = ["relu5_1", "conv2_1", "relu1_2", "conv1_2", "conv2_1", "pixels"]
    assert layer_order(mixed) == ("pixels", "conv1_2", "relu1_2", "conv2_1", "relu5_1")
    assert layer_order(list(reversed(CONVOLUTIONS))) == tuple(CONVOLUTIONS)


def test_no_layer_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="name at least one"):
        layer_order([])


@pytest.mark.parametrize(
    ("longest_side", "nearest"), [(1, 256), (256, 256), (361, 256), (363, 512), (512, 512), (725, 1024), (9999, 1024)]
)
def test_the_nearest_scale_is_nearest_by_ratio(longest_side: int, nearest: int) -> None:
    assert nearest_scale([1024, 256, 512], longest_side) == nearest


@pytest.mark.parametrize("ratio", [2, 3, 5, 7, 10, 11])
def test_of_two_scales_equally_near_the_smaller_is_taken(ratio: int) -> None:
    assert {nearest_scale([side * ratio**2, side], side * ratio) - side for side in range(1, 500)} == {0}


def test_a_style_measured_as_the_run_measures_passes() -> None:
    fingerprint = Fingerprint("ab" * 32, ("conv1_1", "conv2_1"), "avg", "reflect")
    fingerprint.require("wave", weights_sha256="ab" * 32, pooling="avg", padding="reflect", layers=("conv2_1",))


@pytest.mark.parametrize(
    ("wanted", "have"),
    [
        ({"pooling": "max"}, "avg"),
        ({"padding": "zero"}, "reflect"),
        ({"weights_sha256": "ef" * 32}, "ab" * 32),
        ({"layers": ("conv1_1", "conv4_1")}, "conv1_1 conv2_1"),
    ],
)
def test_a_style_measured_otherwise_is_refused_naming_both_sides(wanted: dict[str, object], have: str) -> None:
    fingerprint = Fingerprint("ab" * 32, ("conv1_1", "conv2_1"), "avg", "reflect")
    with pytest.raises(FingerprintMismatch) as caught:
        fingerprint.require("wave", **wanted)
    (value,) = wanted.values()
    message = str(caught.value)
    assert "'wave'" in message and have in message
    assert ("conv4_1" if isinstance(value, tuple) else str(value)) in message
    assert "add the painting again" in message or "stylebank remeasure --layers LIST PAINTING" in message


def test_a_header_as_plain_values_is_fit_for_json() -> None:
    plain = style(sizes={32: (32, 20), 64: (64, 41)}).header.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["scales"] == {"32": [32, 20], "64": [64, 41]}
    assert plain["source_size"] == [1280, 800]
    assert style("tide").name == plain["name"].replace("wave", "tide")


def test_fingerprints_differ_in_all_that_decides_the_numbers_but_the_layers() -> None:
    fingerprint = Fingerprint("ab" * 32, ("conv1_1", "conv2_1"), "avg", "reflect")
    assert fingerprint.differences(dataclasses.replace(fingerprint, layers=("conv5_1",))) == {}
    others = {
        "network": "vgg16",
        "weights_sha256": "ef" * 32,
        "pooling": "max",
        "padding": "zero",
        "color": "linear",
        "resampling": "box",
        "ridge": 0.5,
    }
    assert {field.name for field in dataclasses.fields(Fingerprint)} == {*others, "layers"}
    for key, value in others.items():
        other = dataclasses.replace(fingerprint, **{key: value})
        assert fingerprint.differences(other) == {key: (getattr(fingerprint, key), value)}


def test_a_header_has_the_fingerprints_color_resampling_and_ridge() -> None:
    fingerprint = Fingerprint("ab" * 32, ("conv1_1",), "avg", "reflect", color="linear", resampling="box", ridge=0.5)
    header = dataclasses.replace(style().header, fingerprint=fingerprint)
    assert (header.color, header.resampling, header.ridge) == ("linear", "box", 0.5)


def test_reprs_are_short_and_name_what_matters() -> None:
    wave = style(sizes={32: (32, 20), 64: (64, 41)})
    assert repr(wave) == "Style('wave', source='wave.jpg', scales=(32, 64), layers=3, sha256='')"
    assert repr(wave.header) == "Header('wave', source='wave.jpg', scales=(32, 64), layers=3, sha256='')"
    assert re.fullmatch(r"Gaussian\(channels=64, count=640, variance=\d+\.\d+\)", repr(wave.scales[32]["conv1_1"]))
    assert repr(wave.header.fingerprint).startswith("Fingerprint(vgg19, weights='abababababab', layers=3, ")


def test_the_reprs_of_long_names_and_many_scales_are_short_too() -> None:
    many = {side: (side, side) for side in range(100, 120)}
    header = dataclasses.replace(
        style().header, name="x" * 100, source=Source("y" * 250, "cd" * 32, 1, 1), sizes=many, content_sha256="ef" * 32
    )
    for value in (header, Style(header, {}), header.fingerprint):
        assert len(repr(value)) < 200
