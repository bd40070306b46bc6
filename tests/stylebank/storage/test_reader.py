from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from stylebank.errors import StyleDamaged, UsageError
from stylebank.names import file_name
from stylebank.storage import integrity, reader
from stylebank.style import Gaussian, Style
from tests.stylebank.storage.style_files import (
    GOLDEN,
    LAYER,
    SCALE,
    Change,
    added,
    attribute,
    changed,
    copied,
    never_written,
    reference_attribute,
    refusals,
    relinked,
    remade,
    soft,
    unknown_layer,
    virtual,
    written,
)
from tests.styles import difference, style

# whole files


def test_a_style_comes_back_bit_for_bit(tmp_path: Path) -> None:
    sent = style(sizes={32: (32, 20), 64: (64, 41)})
    got = reader.read(written(tmp_path / "x.h5", sent))
    digest = got.header.content_sha256
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert (
        difference(got, dataclasses.replace(sent, header=dataclasses.replace(sent.header, content_sha256=digest))) == ""
    )
    assert reader.read_header(tmp_path / "x.h5") == got.header
    assert difference(reader.read(written(tmp_path / "again.h5", got)), got) == ""


def test_a_style_without_tags_thumbnail_or_date_comes_back_too(tmp_path: Path) -> None:
    sent = style(tags=(), thumbnail=b"")
    sent = dataclasses.replace(sent, header=dataclasses.replace(sent.header, created="", version=""))
    got = reader.read(written(tmp_path / "x.h5", sent))
    assert (got.header.tags, got.header.created, got.thumbnail) == ((), "", b"")


def test_chosen_scales_are_read_alone_and_unknown_ones_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "x.h5", style(sizes={32: (32, 20), 64: (64, 41)}))
    assert list(reader.read(path, [64]).scales) == [64]
    with pytest.raises(UsageError, match=r"no scale 48\. Choose among 32, 64"):
        reader.read(path, [48])


#: Found by whoever opens the file at all.
IN_HEADER: dict[str, tuple[Change, str]] = {
    "scales is a soft link": (relinked("scales", soft(SCALE)), "/scales is a soft or external link"),
    "scales is an external link": (relinked("scales", copied("scales")), "/scales is a soft or external link"),
    "scale is a soft link": (relinked(SCALE, soft(SCALE)), "/scales/32 is a soft or external link"),
    "scale is an external link": (relinked(SCALE, copied(SCALE)), "/scales/32 is a soft or external link"),
    "thumbnail is a soft link": (relinked("thumbnail", soft("thumbnail")), "thumbnail is a soft or external link"),
    "thumbnail is an external link": (
        relinked("thumbnail", copied("thumbnail")),
        "thumbnail is a soft or external link",
    ),
    "thumbnail is virtual": (virtual("thumbnail", unlimited=True), "virtual dataset"),
    "thumbnail of petabytes": (never_written("thumbnail", shape=(2**48,), chunks=(2**16,)), r"shape \(2814749"),
    "thumbnail too large": (remade("thumbnail", data=np.zeros(2**20 + 1, np.uint8)), r"shape \(1048577,\)"),
    "thumbnail never written": (never_written("thumbnail"), "stores 0"),
    "thumbnail of two dimensions": (remade("thumbnail", data=np.zeros((3, 3), np.uint8)), r"shape \(3, 3\)"),
    "thumbnail of no shape": (remade("thumbnail", data=h5py.Empty("u1")), "has shape None"),
    "thumbnail signed": (remade("thumbnail", dtype="i1"), "has type int8"),
    "thumbnail of booleans": (remade("thumbnail", dtype=bool), "has type bool"),
    "thumbnail changed": (lambda file: file["thumbnail"].__setitem__(3, 7), "header_sha256"),
    "thumbnail removed": (lambda file: file.__delitem__("thumbnail"), "header_sha256"),
    "extra member": (added("payload"), "'payload', which is not part"),
    "extra scale": (added("scales/64"), "/scales/64 is a Dataset"),
    "variable-length name": (attribute("name", "wave", dtype=h5py.string_dtype()), "'name' of / is not a fixed-length"),
    "object reference": (reference_attribute, "'name' of / is not a fixed-length string"),
    "compound attribute": (attribute("name", np.zeros((), [("a", "<i4")])), "'name' of / is not a fixed-length string"),
    "enumerated attribute": (attribute("format_version", True), "'format_version' of / is not a fixed-length"),
    "name as a number": (attribute("name", np.int64(3)), "'name' of / is not a string"),
    "name of no shape": (attribute("name", h5py.Empty("S4")), "'name' of / is not a string"),
    "name missing": (lambda file: file.attrs.__delitem__("name"), "'name' of / is missing"),
    "name not UTF-8": (attribute("name", np.bytes_(b"wav\xe9")), "not a readable style file"),
    "long attribute": (attribute("name", np.bytes_(b"x" * 60_000)), "'name' of / is too large"),
    "many tags": (attribute("tags", np.full(65, b"a")), "'tags' of / is too large"),
    "numbers as tags": (attribute("tags", np.arange(3)), "'tags' of / is not a list of strings"),
    "another tag": (attribute("tags", np.array([b"sea", b"red"])), "header_sha256"),
    "tags removed": (lambda file: file.attrs.__delitem__("tags"), "header_sha256"),
    "another name": (attribute("name", np.bytes_(b"cave")), "header_sha256"),
    "another program's file": (attribute("format", np.bytes_(b"keras")), "HDF5 but not a style"),
    "no format": (lambda file: file.attrs.__delitem__("format"), "'format' of / is missing"),
    "newer format": (
        attribute("format_version", np.int64(3)),
        r"format 3, and this program reads up to 2. Update stylebank",
    ),
    "format 0": (attribute("format_version", np.int64(0)), "expected an integer from 1 up"),
    "unknown layer": (unknown_layer, "conv9_9"),
    "layers out of order": (attribute("layers", np.array([b"conv2_1", b"conv1_1", b"pixels"])), "network's order"),
    "a layer twice": (attribute("layers", np.array([b"pixels", b"conv1_1", b"conv1_1"])), "network's order"),
    "fewer layers": (attribute("layers", np.array([b"pixels", b"conv1_1"])), "content_sha256"),
    "another pooling": (attribute("pooling", np.bytes_(b"max")), "content_sha256"),
    "unknown pooling": (attribute("pooling", np.bytes_(b"median")), "one of avg, max, none"),
    "another network": (attribute("network", np.bytes_(b"vgg16")), "expected one of vgg19"),
    "another ridge": (attribute("ridge", np.float64(0.5)), "content_sha256"),
    "ridge not a number": (attribute("ridge", np.float64("nan")), "'ridge'"),
    "ridge negative": (attribute("ridge", np.float64(-1)), "'ridge'"),
    "ridge as text": (attribute("ridge", b"0"), "'ridge'"),
    "another digest": (attribute("content_sha256", np.bytes_(b"0" * 64)), "content_sha256"),
    "another header digest": (attribute("header_sha256", np.bytes_(b"0" * 64)), "header_sha256"),
    "another scale digest": (attribute("sha256", np.bytes_(b"0" * 64), SCALE), "content_sha256"),
    "another width": (attribute("width", np.int64(31), SCALE), "/scales/32 has a size of 31 x 20"),
    "another height": (attribute("height", np.int64(21), SCALE), "content_sha256"),
    "negative height": (attribute("height", np.int64(-20), SCALE), "expected an integer from 1 up"),
    "scale of another name": (lambda file: file.move(SCALE, "scales/032"), "/scales/032 has a size of 32 x 20"),
    "scale named to clear the screen": (lambda file: file.move(SCALE, "scales/\x1b[2J"), r"/scales/\\x1b\[2J has"),
    "no scale": (lambda file: file.__delitem__(SCALE), "/scales is empty"),
    "no scales": (lambda file: file.__delitem__("scales"), "/scales is missing"),
}


@pytest.mark.parametrize("case", IN_HEADER)
def test_hostile_headers_are_refused_by_whoever_opens_the_file(tmp_path: Path, case: str) -> None:
    change, reason = IN_HEADER[case]
    path = changed(tmp_path / file_name("wave"), change)
    for way, error in refusals(path, header_too=True).items():
        assert re.search(reason, str(error)), way
        assert str(error).startswith(f"{path}: ") and str(error).endswith("."), way
        assert str(error).isprintable(), way


@pytest.mark.parametrize("name", ["../wave", "/etc/passwd", "-rf", "a\nb", "\u202ewave", "cafe\u0301", "x" * 101, " "])
def test_a_file_whose_name_breaks_the_rule_is_refused(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / file_name("wave"), style(name))
    errors = refusals(path, header_too=True)
    assert {"name" in str(error) and str(error).isprintable() for error in errors.values()} == {True}


def test_gaussians_are_what_the_file_says_they_are(tmp_path: Path) -> None:
    got = reader.read(written(tmp_path / "x.h5")).scales[32]["conv2_1"]
    assert isinstance(got, Gaussian)
    assert got.count == 32 * 20
    assert {getattr(got, key).dtype for key in integrity.ARRAYS} == {np.dtype(np.float32)}
    np.testing.assert_allclose(got.cov_sqrt @ got.cov_sqrt, got.cov, rtol=0, atol=1e-4 * np.abs(got.cov).max())
    np.testing.assert_allclose(np.linalg.eigvalsh(got.cov)[::-1], got.eigenvalues, rtol=1e-4, atol=1e-4)


def test_a_file_of_format_1_is_read_for_ever() -> None:
    with h5py.File(GOLDEN) as file:
        assert file.attrs["format_version"] == 1
    got = reader.read(GOLDEN)
    assert (got.name, got.header.tags, got.header.sizes) == ("golden wave", ("hokusai", "sea"), {48: (48, 32)})
    assert got.header.content_sha256 == "c23586b5354fdd3f734de24a41c2cb909211f55a4a380953b0783263eac97768"
    assert got.header.recipe == "" and got.swatch == b"" and got.thumbnail.startswith(b"\xff\xd8")
    gaussian = got.scales[48]["conv1_1"]
    assert gaussian.count == 48 * 32 and gaussian.mean.shape == (64,)
    assert float(np.trace(gaussian.cov)) == pytest.approx(float(gaussian.eigenvalues.sum()), rel=1e-5)


def recipe_of(style: Style, text: str) -> Style:
    source = dataclasses.replace(style.header.source, sha256=hashlib.sha256(text.encode()).hexdigest())
    return dataclasses.replace(style, header=dataclasses.replace(style.header, source=source, recipe=text))


def test_a_recipe_and_a_swatch_come_back_from_format_2(tmp_path: Path) -> None:
    content = dataclasses.replace(recipe_of(style(), '{"kind": "mix", "of": "blå"}'), swatch=b"\xff\xd8 texture")
    path = written(tmp_path / "x.h5", content)
    with h5py.File(path) as file:
        assert file.attrs["format_version"] == 2
    got = reader.read(path)
    assert got.swatch == content.swatch and got.header.recipe == content.header.recipe
    assert reader.read_pictures(path) == (content.thumbnail, content.swatch)


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000, "\x00"])
def test_a_recipe_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "x.h5", recipe_of(style(), text))
    with pytest.raises(StyleDamaged, match=r"/recipe is not a JSON object"):
        reader.read_header(path)


def test_format_1_holds_no_recipe(tmp_path: Path) -> None:
    path = written(tmp_path / "x.h5")
    with h5py.File(path, "a") as file:
        file.create_dataset("recipe", data=np.frombuffer(b"{}", np.uint8))
    with pytest.raises(StyleDamaged, match=r"/ holds 'recipe', which is not part of the format"):
        reader.read(path)


@pytest.mark.parametrize(
    "text",
    ['{"a": "\\ud800"}', '{"a": NaN}', '\ufeff{"a": 1}', '{"a": ' + "[" * 40 + "]" * 40 + "}", '{"a": 1e999}'],
    ids=["lone surrogate", "not a number", "byte order mark", "deep", "infinite"],
)
def test_a_recipe_that_could_not_be_printed_is_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "x.h5", recipe_of(style(), text))
    with pytest.raises(StyleDamaged, match=r"/recipe is not a JSON object"):
        reader.read_header(path)


def test_a_small_file_does_not_stand_for_many_numbers(tmp_path: Path) -> None:
    one = style(layers=("conv1_1",), sizes={32: (32, 20)}).scales[32]
    sizes = {side: (side, 20) for side in range(32, 52)}
    many = dataclasses.replace(style(layers=("conv1_1",), sizes=sizes), scales=dict.fromkeys(sizes, one))
    whole, linked = written(tmp_path / "whole.h5", many), tmp_path / "linked.h5"
    reader.read(whole)
    with h5py.File(whole) as source, h5py.File(linked, "w") as target:
        for key in source.attrs:
            target.attrs.create(key, source.attrs[key], dtype=source.attrs.get_id(key).dtype)
        source.copy("thumbnail", target)
        source.copy(SCALE, target.create_group("scales"))
        for side in list(sizes)[1:]:
            group = target.create_group(f"scales/{side}")
            for key in source[group.name].attrs:
                group.attrs.create(key, source[group.name].attrs[key])
            group["conv1_1"] = target[LAYER]
    assert linked.stat().st_size < whole.stat().st_size / 5
    assert reader.read_header(linked) == reader.read_header(whole)
    with pytest.raises(StyleDamaged, match="/scales declares 665600 bytes of numbers, and the file has"):
        reader.read(linked)
