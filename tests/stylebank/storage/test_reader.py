from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

import stylebank
from stylebank.bank import Bank
from stylebank.errors import StylebankError, StyleDamaged, UsageError
from stylebank.names import file_name
from stylebank.storage import reader as format
from stylebank.style import Gaussian, Style
from tests.styles import difference, measured, style

ROOT = Path(__file__).parents[3]
DOCUMENT = Path(stylebank.__file__).parent / "storage" / "FORMAT.md"
SCALE = "scales/32"
LAYER = "scales/32/conv1_1"
CHANNELS = 64
Change = Callable[[h5py.File], None]


@cache
def whole_file() -> bytes:
    return format.encode(style())


def written(path: Path, content: Style | None = None) -> Path:
    path.write_bytes(format.encode(content) if content else whole_file())
    return path


def changed(path: Path, change: Change) -> Path:
    with h5py.File(written(path), "r+") as file:
        change(file)
    return path


def with_gaussian(**arrays: object) -> Style:
    """A style whose digests are right and whose numbers are as given."""
    whole = style(layers=("conv1_1",))
    wrong = dataclasses.replace(whole.scales[32]["conv1_1"], **arrays)
    return dataclasses.replace(whole, scales={32: {"conv1_1": wrong}})


# whole files


def test_a_style_comes_back_bit_for_bit(tmp_path: Path) -> None:
    sent = style(sizes={32: (32, 20), 64: (64, 41)})
    got = format.read(written(tmp_path / "x.h5", sent))
    digest = got.header.content_sha256
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert (
        difference(got, dataclasses.replace(sent, header=dataclasses.replace(sent.header, content_sha256=digest))) == ""
    )
    assert format.read_header(tmp_path / "x.h5") == got.header
    assert difference(format.read(written(tmp_path / "again.h5", got)), got) == ""


def test_a_style_without_tags_thumbnail_or_date_comes_back_too(tmp_path: Path) -> None:
    sent = style(tags=(), thumbnail=b"")
    sent = dataclasses.replace(sent, header=dataclasses.replace(sent.header, created="", version=""))
    got = format.read(written(tmp_path / "x.h5", sent))
    assert (got.header.tags, got.header.created, got.thumbnail) == ((), "", b"")


@pytest.mark.parametrize("count", [1, 2, 63])
def test_singular_covariances_are_whole(tmp_path: Path, count: int) -> None:
    rows = np.random.default_rng(1).normal(100, 30, (count, CHANNELS))
    flat = dataclasses.replace(style(layers=("conv1_1",)), scales={32: {"conv1_1": measured(rows)}})
    assert format.read(written(tmp_path / "x.h5", flat)).scales[32]["conv1_1"].count == count


def test_a_gradient_of_sixteen_orders_of_magnitude_is_whole(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(0, np.logspace(-10, 6, CHANNELS), (500, CHANNELS))
    wide = dataclasses.replace(style(layers=("conv1_1",)), scales={32: {"conv1_1": measured(rows)}})
    format.read(written(tmp_path / "x.h5", wide))


def test_chosen_scales_are_read_alone_and_unknown_ones_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "x.h5", style(sizes={32: (32, 20), 64: (64, 41)}))
    assert list(format.read(path, [64]).scales) == [64]
    with pytest.raises(UsageError, match=r"no scale 48\. Choose among 32, 64"):
        format.read(path, [48])


def test_the_digest_is_of_the_numbers_and_not_of_the_name(tmp_path: Path) -> None:
    def digest(content: Style) -> str:
        return format.read_header(written(tmp_path / "x.h5", content)).content_sha256

    one = digest(style())
    assert digest(style("another", tags=(), thumbnail=b"")) == one
    assert digest(style(seed=1)) != one
    assert digest(style(layers=("conv1_1",))) != one
    other_weights = dataclasses.replace(style().header.fingerprint, weights_sha256="ef" * 32)
    assert (
        digest(dataclasses.replace(style(), header=dataclasses.replace(style().header, fingerprint=other_weights)))
        != one
    )


def test_shuffled_and_checksummed_chunks_are_read(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        for key in format.ARRAYS:
            values = file[LAYER][key][()]
            del file[LAYER][key]
            file[LAYER].create_dataset(key, data=values, chunks=True, shuffle=True, fletcher32=True)

    path = changed(tmp_path / "x.h5", change)
    assert difference(format.read(path), format.read(written(tmp_path / "plain.h5"))) == ""


@pytest.mark.parametrize(
    "tags",
    [
        ("",),
        ("a\0b",),
        ("\udcff",),
        ("x" * 5000,),
        tuple(map(str, range(65))),
        tuple("x" * 1000 + str(i) for i in range(50)),
    ],
    ids=["empty", "nul", "not unicode", "long", "many", "many long"],
)
def test_what_could_not_be_read_back_is_not_written(tags: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="tag"):
        format.encode(style(tags=tags))


def test_a_style_without_all_its_scales_is_not_written() -> None:
    with pytest.raises(UsageError, match="pixels at scale 32 is missing"):
        format.encode(dataclasses.replace(style(), scales={}))


# FORMAT.md


def test_the_example_in_format_md_writes_a_whole_style(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "example.py").write_text(example, encoding="utf-8")
    subprocess.run([sys.executable, "example.py"], cwd=tmp_path, check=True, timeout=60)
    got = format.read(tmp_path / "made-by-hand.stylebank.h5")
    assert got.name == "made by hand"
    assert got.header.tags == ("example",)
    assert got.scales[25]["conv1_1"].count == 500
    assert Bank(tmp_path).names() == ["made by hand"]


def test_format_md_names_every_attribute_and_dataset_there_is(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    tables = {key for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    with h5py.File(written(tmp_path / "x.h5")) as file:
        there = {*file.attrs, *file[SCALE].attrs, *file[LAYER].attrs, *file[LAYER]}
    assert there <= tables
    assert f"format {format.VERSION}" in text.splitlines()[0]


# hostile files, one way each


def relinked(name: str, link: Callable[[h5py.File], object]) -> Change:
    def change(file: h5py.File) -> None:
        made = link(file)
        del file[name]
        file[name] = made

    return change


def remade(name: str, **options: object) -> Change:
    """Put another dataset in the place of one, with the same numbers unless told otherwise."""

    def change(file: h5py.File) -> None:
        values = file[name][()]
        del file[name]
        file.create_dataset(name, **({"data": values} | options))

    return change


def added(name: str) -> Change:
    return lambda file: file.create_dataset(name, data=np.zeros(3, np.float32)) and None


def external_data(file: h5py.File) -> None:
    values = file[LAYER]["mean"][()]
    outside = Path(file.filename).with_suffix(".raw")
    outside.write_bytes(values.tobytes())
    del file[LAYER]["mean"]
    file[LAYER].create_dataset("mean", values.shape, "<f4", external=[(str(outside), 0, values.nbytes)])


def virtual(name: str, unlimited: bool = False) -> Change:
    def change(file: h5py.File) -> None:
        old = file[name]
        outside = Path(file.filename).with_suffix(".outside")
        with h5py.File(outside, "w") as other:
            other["x"] = old[()]
        layout = h5py.VirtualLayout(old.shape, old.dtype, maxshape=(None,) if unlimited else None)
        source = h5py.VirtualSource(outside, "x", old.shape, maxshape=(None,) if unlimited else None)
        if unlimited:
            layout[0 : h5py.h5s.UNLIMITED] = source[0 : h5py.h5s.UNLIMITED]
        else:
            layout[:] = source
        del file[name]
        file.create_virtual_dataset(name, layout)

    return change


def never_written(name: str, **options: object) -> Change:
    def change(file: h5py.File) -> None:
        shape, dtype = file[name].shape, file[name].dtype
        del file[name]
        file.create_dataset(name, **({"shape": shape, "dtype": dtype} | options))

    return change


def half_written(file: h5py.File) -> None:
    values = file[LAYER]["cov"][()]
    del file[LAYER]["cov"]
    file[LAYER].create_dataset("cov", values.shape, "<f4", chunks=(32, 64))[:32] = values[:32]


def compound(file: h5py.File) -> None:
    values = file[LAYER]["mean"][()]
    del file[LAYER]["mean"]
    file[LAYER]["mean"] = values.view([("re", "<f4")])


def references(file: h5py.File) -> None:
    del file[LAYER]["mean"]
    made = file[LAYER].create_dataset("mean", (CHANNELS,), h5py.ref_dtype)
    made[:] = [file.ref] * CHANNELS


def unknown_layer(file: h5py.File) -> None:
    del file.attrs["layers"]
    file.attrs.create("layers", [b"pixels", b"conv1_1", b"conv9_9"], dtype=h5py.string_dtype("utf-8", 7))


def attribute(name: str, value: object, where: str = "/", dtype: object = None) -> Change:
    def change(file: h5py.File) -> None:
        del file[where].attrs[name]
        file[where].attrs.create(name, value, dtype=dtype)

    return change


def reference_attribute(file: h5py.File) -> None:
    attribute("name", file.ref, dtype=h5py.ref_dtype)(file)


def copied(name: str) -> Callable[[h5py.File], object]:
    """An external link to the same thing in another style file, where the numbers are right."""

    def link(file: h5py.File) -> h5py.ExternalLink:
        outside = Path(file.filename).with_suffix(".outside")
        return h5py.ExternalLink(str(written(outside)), "/" + name)

    return link


def soft(name: str) -> Callable[[h5py.File], object]:
    """A soft link to where the thing was moved to."""

    def link(file: h5py.File) -> h5py.SoftLink:
        file.copy(file[name], file[LAYER], "moved")
        return h5py.SoftLink(f"/{LAYER}/moved")

    return link


MEAN = f"{LAYER}/mean"
ROOT_TEXT = h5py.string_dtype("utf-8", 9)

#: Found by whoever reads the arrays.
IN_ARRAYS: dict[str, tuple[Change, str]] = {
    "soft link": (relinked(MEAN, lambda file: h5py.SoftLink(f"/{LAYER}/eigenvalues")), "soft or external link"),
    "dangling soft link": (relinked(MEAN, lambda file: h5py.SoftLink("/nowhere")), "soft or external link|missing"),
    "external link": (relinked(MEAN, copied(MEAN)), "soft or external link"),
    "layer is a soft link": (relinked(LAYER, lambda file: h5py.SoftLink("/scales/32/conv2_1")), "soft or external"),
    "layer is an external link": (relinked(LAYER, copied(LAYER)), "soft or external link"),
    "external data": (external_data, "data in another file"),
    "virtual dataset": (virtual(MEAN), "virtual dataset"),
    "unlimited virtual dataset": (virtual(MEAN, unlimited=True), "virtual dataset"),
    "object references": (references, "has type object"),
    "variable-length numbers": (never_written(MEAN, dtype=h5py.vlen_dtype(np.float32)), "has type object"),
    "variable-length strings": (never_written(MEAN, dtype=h5py.string_dtype()), "has type object"),
    "compound type": (compound, "has type"),
    "enumerated type": (never_written(MEAN, dtype=h5py.enum_dtype({"A": 0}, np.int32)), "has type int32"),
    "opaque type": (never_written(MEAN, dtype="V4"), "has type"),
    "float64": (remade(MEAN, dtype="<f8"), "has type float64; expected float32"),
    "float16": (remade(MEAN, dtype="<f2"), "has type float16"),
    "big-endian": (remade(MEAN, dtype=">f4"), "has type >f4"),
    "integers": (remade(MEAN, dtype="<i4"), "has type int32"),
    "mean too long": (remade(MEAN, data=np.zeros(65, np.float32)), r"shape \(65,\); expected \(64,\)"),
    "mean scalar": (remade(MEAN, data=np.float32(1)), r"shape \(\)"),
    "mean of no shape": (remade(MEAN, data=h5py.Empty("<f4")), "has shape None"),
    "cov of another layer": (remade(f"{LAYER}/cov", data=np.eye(128, dtype="<f4")), r"shape \(128, 128\)"),
    "cov flat": (remade(f"{LAYER}/cov", data=np.eye(64, dtype="<f4").ravel()), r"shape \(4096,\)"),
    "gzip": (remade(MEAN, compression="gzip", chunks=(64,)), "uses filter 1;"),
    "lzf": (remade(MEAN, compression="lzf", chunks=(64,)), "uses filter 32000"),
    "scale-offset": (remade(MEAN, scaleoffset=3, chunks=(64,)), "uses filter 6"),
    "petabytes that take no space": (never_written(MEAN, shape=(2**48,), chunks=(2**16,)), r"has shape \(2814749"),
    "petabytes without chunks": (never_written(MEAN, shape=(2**40,)), r"has shape \(1099511"),
    "never written": (never_written(MEAN), "declares 256 bytes and stores 0"),
    "half written": (half_written, "declares 16384 bytes and stores 8192"),
    "chunk of gigabytes": (never_written(MEAN, maxshape=(None,), chunks=(2**29,)), "larger than its shape"),
    "extra dataset": (added(f"{LAYER}/gram"), "'gram', which is not part"),
    "extra layer": (added(f"{SCALE}/conv5_4"), "'conv5_4', which is not part"),
    "extra name that clears the screen": (added(f"{LAYER}/\x1b[2J"), r"'\\x1b\[2J', which is not part"),
    "dataset missing": (lambda file: file[LAYER].__delitem__("cov_sqrt"), "cov_sqrt is missing"),
    "layer missing": (lambda file: file.__delitem__(LAYER), "conv1_1 is missing"),
    "dataset is a group": (
        relinked(MEAN, lambda file: file.create_group("other")),
        "is a Group; expected a Dataset|not",
    ),
    "layer is a dataset": (relinked(LAYER, lambda file: np.zeros(3)), "is a Dataset; expected a Group"),
    "dataset is a type": (relinked(MEAN, lambda file: np.dtype("<f4")), "is a Datatype; expected a Dataset"),
    "count of nothing": (attribute("count", np.int64(0), LAYER), "expected an integer from 1 up"),
    "count as text": (attribute("count", np.bytes_(b"640"), LAYER), "expected an integer"),
    "count as a fraction": (attribute("count", np.float64(640), LAYER), "expected an integer"),
    "counts": (attribute("count", np.int64([640]), LAYER), "expected an integer"),
    "another count": (attribute("count", np.int64(641), LAYER), "does not match its sha256"),
    "another mean": (lambda file: file[MEAN].__setitem__(3, 8.5), "does not match its sha256"),
}

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
    "another width": (attribute("width", np.int64(31), SCALE), "/scales/32 is of a picture of 31 x 20"),
    "another height": (attribute("height", np.int64(21), SCALE), "content_sha256"),
    "negative height": (attribute("height", np.int64(-20), SCALE), "expected an integer from 1 up"),
    "scale of another name": (lambda file: file.move(SCALE, "scales/032"), "/scales/032 is of a picture of 32 x 20"),
    "scale named to clear the screen": (lambda file: file.move(SCALE, "scales/\x1b[2J"), r"/scales/\\x1b\[2J is of"),
    "no scale": (lambda file: file.__delitem__(SCALE), "/scales is empty"),
    "no scales": (lambda file: file.__delitem__("scales"), "/scales is missing"),
}


def refusals(path: Path, header_too: bool) -> dict[str, StyleDamaged]:
    """The error each way of reading a file gives; `path` is where a bank keeps style 'wave'."""
    bank = Bank(path.parent)
    before = path.read_bytes()
    ways: dict[str, Callable[[], object]] = {
        "read": lambda: format.read(path),
        "read a scale": lambda: format.read(path, [32]),
        "get": lambda: bank.get("wave"),
        "get a scale": lambda: bank.get("wave", scales=[32]),
        "rename": lambda: bank.rename("wave", "other"),
    }
    if header_too:
        ways |= {"read the header": lambda: format.read_header(path), "header": lambda: bank.header("wave")}
    errors = {}
    for way, act in ways.items():
        with pytest.raises(StyleDamaged) as caught:
            act()
        errors[way] = caught.value
    assert path.read_bytes() == before
    assert [entry.name for entry in bank.paths()] == [path.name]
    if header_too:
        listed, (errors["list"],) = bank.headers()
        assert listed == []
    return errors


@pytest.mark.parametrize("case", IN_ARRAYS)
def test_hostile_arrays_are_refused_by_whoever_reads_them(tmp_path: Path, case: str) -> None:
    change, reason = IN_ARRAYS[case]
    path = changed(tmp_path / file_name("wave"), change)
    for way, error in refusals(path, header_too=False).items():
        assert re.search(reason, str(error)), way
        assert str(error).startswith(f"{path}: ") and str(error).endswith("."), way


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


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"GIF89a" * 50, bytes(4096)])
def test_what_is_no_hdf5_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / file_name("wave")
    path.write_bytes(content)
    for error in refusals(path, header_too=True).values():
        assert "not a readable style file" in str(error)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / file_name("wave")
    make(path)
    for reader in (format.read, format.read_header):
        with pytest.raises(StyleDamaged, match=r"not a regular file\. Remove it"):
            reader(path)


@pytest.mark.parametrize(
    "change",
    [
        relinked(MEAN, lambda file: h5py.ExternalLink("pipe", "/x")),
        relinked(LAYER, lambda file: h5py.ExternalLink("pipe", "/x")),
        relinked(SCALE, lambda file: h5py.ExternalLink("pipe", "/x")),
        relinked("thumbnail", lambda file: h5py.ExternalLink("pipe", "/x")),
        never_written(MEAN, external=[("pipe", 0, 256)]),
        virtual(MEAN),
        virtual(MEAN, unlimited=True),
        virtual("thumbnail", unlimited=True),
    ],
    ids=["array", "layer", "scale", "thumbnail", "external data", "virtual", "unlimited virtual", "virtual thumbnail"],
)
def test_no_other_file_is_ever_opened(tmp_path: Path, change: Change) -> None:
    path = changed(tmp_path / "x.h5", change)
    # to open a pipe that nobody writes to is to wait for ever
    for outside in (tmp_path / "pipe", path.with_suffix(".outside")):
        outside.unlink(missing_ok=True)
        os.mkfifo(outside)
    code = f"from stylebank.storage import reader as format\nfrom pathlib import Path\nformat.read(Path({str(path)!r}))"
    read = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert "StyleDamaged" in read.stderr.splitlines()[-1]


# numbers


def roots(*diagonal: float) -> np.ndarray:
    return np.diag(np.r_[diagonal, np.zeros(CHANNELS - len(diagonal))]).astype(np.float32)


def spectrum(*values: float) -> np.ndarray:
    return np.r_[values, np.zeros(CHANNELS - len(values))].astype(np.float32)


def poked(key: str, index: tuple[int, ...], value: float) -> Style:
    array = getattr(style(layers=("conv1_1",)).scales[32]["conv1_1"], key).copy()
    array[index] = value
    return with_gaussian(**{key: array})


def flipped_smallest(sign_kept_in_spectrum: bool) -> Style:
    whole = style(layers=("conv1_1",)).scales[32]["conv1_1"]
    values, vectors = np.linalg.eigh(whole.cov.astype(np.float64))
    signs = np.ones(CHANNELS)
    signs[CHANNELS // 2] = -1
    eigenvalues = whole.eigenvalues if sign_kept_in_spectrum else np.sort((values * signs).astype(np.float32))[::-1]
    return with_gaussian(
        cov_sqrt=(vectors * (np.sqrt(values) * signs) @ vectors.T).astype(np.float32), eigenvalues=eigenvalues
    )


def overflowing() -> Style:
    root = np.eye(CHANNELS, dtype=np.float32)
    for i, j, sign in ((0, 1, 1), (0, 2, 1), (1, 2, -1), (0, 3, 1), (1, 3, 1), (2, 3, 1)):
        root[i, j] = root[j, i] = sign * np.float32(3e38)
    ones = np.ones(CHANNELS, np.float32)
    return with_gaussian(cov=np.eye(CHANNELS, dtype=np.float32), cov_sqrt=root, eigenvalues=ones)


def asymmetric_cov() -> Style:
    return poked("cov", (0, 1), 5.0)


NUMBERS: dict[str, tuple[Callable[[], Style], str]] = {
    **{f"NaN in {key}": (lambda key=key: poked(key, (5,), np.nan), f"{key} holds values") for key in format.ARRAYS},
    **{f"Inf in {key}": (lambda key=key: poked(key, (5,), np.inf), f"{key} holds values") for key in format.ARRAYS},
    "cov not symmetric": (asymmetric_cov, "cov is not symmetric"),
    "root not symmetric": (lambda: poked("cov_sqrt", (0, 1), 5.0), "cov_sqrt is not symmetric"),
    "negative eigenvalue": (lambda: poked("eigenvalues", (-1,), -1e-3), "negative or not in descending order"),
    "eigenvalues not in order": (lambda: poked("eigenvalues", (0,), 0.0), "negative or not in descending order"),
    "cov not positive": (
        lambda: with_gaussian(cov=roots(4, 1, -1), cov_sqrt=roots(2, 1, 0), eigenvalues=spectrum(4, 0, 0)),
        "cov_sqrt squared is not cov",
    ),
    "root of another cov": (lambda: with_gaussian(cov_sqrt=3.01 * np.eye(64, dtype="f4")), "squared is not cov"),
    "root of nothing": (lambda: with_gaussian(cov_sqrt=np.zeros((64, 64), "f4")), "squared is not cov"),
    "cov of nothing": (lambda: with_gaussian(cov=np.zeros((64, 64), "f4")), "squared is not cov"),
    "one sign of the root flipped": (lambda: flipped_smallest(True), "negative eigenvalue"),
    "one sign flipped here and there": (lambda: flipped_smallest(False), "negative or not in descending order"),
    "one sign flipped and the traces made to fit": (
        lambda: with_gaussian(cov=roots(1, 1, 1, 1), cov_sqrt=roots(1, 1, 1, -1), eigenvalues=spectrum(4)),
        "negative eigenvalue",
    ),
    "eigenvalues of another cov": (
        lambda: with_gaussian(cov=roots(4, 1), cov_sqrt=roots(2, 1), eigenvalues=spectrum(4, 2)),
        "trace of cov is 5, and the eigenvalues say 6",
    ),
    "eigenvalues of the right sum": (
        lambda: with_gaussian(cov=roots(4, 1), cov_sqrt=roots(2, 1), eigenvalues=spectrum(5)),
        "trace of cov_sqrt, squared is 9, and the eigenvalues say 5",
    ),
    "so large that squares overflow": (overflowing, "squared is not cov"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_no_covariance_has_are_refused_though_the_digests_are_right(tmp_path: Path, case: str) -> None:
    make, reason = NUMBERS[case]
    path = written(tmp_path / file_name("wave"), make())
    assert format.read_header(path).name == "wave"
    for way, error in refusals(path, header_too=False).items():
        assert re.search(reason, str(error)), way


@pytest.mark.parametrize("case", ["NaN in cov", "root of another cov", "one sign of the root flipped"])
def test_a_bank_does_not_take_in_numbers_no_covariance_has(tmp_path: Path, case: str) -> None:
    make, reason = NUMBERS[case]
    bank = Bank(tmp_path)
    with pytest.raises(StylebankError, match=reason) as caught:
        bank.add(make())
    assert str(caught.value).startswith(str(tmp_path / file_name("wave")))
    assert bank.names() == [] and not list(tmp_path.glob(".stylebank-tmp-*"))


# damage


def survey(folder: str, kind: str, seed: int, count: int) -> None:
    """Damage a file in `count` ways, print what came of each as one line of JSON."""
    path = written(Path(folder) / "whole.h5", style(layers=("pixels", "conv1_1")))
    whole, data = format.read(path), path.read_bytes()
    with h5py.File(path) as file:
        arrays = [file[f"{SCALE}/{layer}/{key}"] for layer in whole.header.fingerprint.layers for key in format.ARRAYS]
        held = {o for array in arrays for o in range(array.id.get_offset(), array.id.get_offset() + array.nbytes)}
    metadata = np.array([offset for offset in range(len(data)) if offset not in held])
    random = np.random.default_rng(seed)
    for index in range(count):
        broken = bytearray(data)
        if kind == "flips":
            # the arrays fill most of the file; every second flip is elsewhere
            at = int(random.choice(metadata) if index % 2 else random.integers(len(data)))
            broken[at] ^= 1 << int(random.integers(8))
        else:
            at = len(data) * index // count
            del broken[at:]
        path.write_bytes(broken)
        outcome = {"at": at, "in_array": at in held}
        for way, reader in (("read", format.read), ("header", lambda path: Style(format.read_header(path), {}))):
            try:
                got = reader(path)
                expected = whole if way == "read" else Style(whole.header, {})
                outcome[way] = difference(got, expected) or "identical"
            except StyleDamaged:
                outcome[way] = "damaged"
            except BaseException as error:
                outcome[way] = repr(error)
        print(json.dumps(outcome), flush=True)


def surveyed(folder: Path, kind: str, count: int, seed: int = 20260131) -> list[dict[str, object]]:
    """Run `survey` in a process of its own, which libhdf5 could bring down."""
    code = f"from tests.stylebank.storage.test_reader import survey; survey({str(folder)!r}, {kind!r}, {seed}, {count})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    outcomes = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 0, f"number {len(outcomes)} ended the process: {run.stderr[-500:]}"
    assert len(outcomes) == count
    return outcomes


def test_a_flipped_bit_is_found_or_harmless(tmp_path: Path) -> None:
    outcomes = surveyed(tmp_path, "flips", 200)
    assert {outcome["read"] for outcome in outcomes} == {"damaged", "identical"}
    assert {outcome["header"] for outcome in outcomes} == {"damaged", "identical"}
    in_arrays = [outcome["read"] for outcome in outcomes if outcome["in_array"]]
    assert len(in_arrays) > 50 and set(in_arrays) == {"damaged"}


def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    outcomes = surveyed(tmp_path, "cuts", 60)
    assert {(outcome["read"], outcome["header"]) for outcome in outcomes} == {("damaged", "damaged")}


def test_gaussians_are_what_the_file_says_they_are(tmp_path: Path) -> None:
    got = format.read(written(tmp_path / "x.h5")).scales[32]["conv2_1"]
    assert isinstance(got, Gaussian)
    assert got.count == 32 * 20
    assert {getattr(got, key).dtype for key in format.ARRAYS} == {np.dtype(np.float32)}
    np.testing.assert_allclose(got.cov_sqrt @ got.cov_sqrt, got.cov, rtol=0, atol=1e-4 * np.abs(got.cov).max())
    np.testing.assert_allclose(np.linalg.eigvalsh(got.cov)[::-1], got.eigenvalues, rtol=1e-4, atol=1e-4)


# formats to come, and gone by

GOLDEN = Path(__file__).parents[2] / "data" / "format-1.stylebank.h5"


def test_a_file_of_format_1_is_read_for_ever() -> None:
    with h5py.File(GOLDEN) as file:
        assert file.attrs["format_version"] == 1
    got = format.read(GOLDEN)
    assert (got.name, got.header.tags, got.header.sizes) == ("golden wave", ("hokusai", "sea"), {48: (48, 32)})
    assert got.header.content_sha256 == "c23586b5354fdd3f734de24a41c2cb909211f55a4a380953b0783263eac97768"
    assert got.header.recipe == "" and got.swatch == b"" and got.thumbnail.startswith(b"\xff\xd8")
    gaussian = got.scales[48]["conv1_1"]
    assert gaussian.count == 48 * 32 and gaussian.mean.shape == (64,)
    assert float(np.trace(gaussian.cov)) == pytest.approx(float(gaussian.eigenvalues.sum()), rel=1e-5)


def test_what_needs_no_more_is_written_as_format_1(tmp_path: Path) -> None:
    path = written(tmp_path / "x.h5", format.read(GOLDEN))
    with h5py.File(path) as file, h5py.File(GOLDEN) as golden:
        assert dict(file.attrs).keys() == dict(golden.attrs).keys()
        assert all(np.array_equal(file.attrs[key], golden.attrs[key]) for key in golden.attrs)


def recipe_of(style: Style, text: str) -> Style:
    source = dataclasses.replace(style.header.source, sha256=hashlib.sha256(text.encode()).hexdigest())
    return dataclasses.replace(style, header=dataclasses.replace(style.header, source=source, recipe=text))


def test_a_recipe_and_a_swatch_come_back_from_format_2(tmp_path: Path) -> None:
    content = dataclasses.replace(recipe_of(style(), '{"kind": "mix", "of": "blå"}'), swatch=b"\xff\xd8 texture")
    path = written(tmp_path / "x.h5", content)
    with h5py.File(path) as file:
        assert file.attrs["format_version"] == 2
    got = format.read(path)
    assert got.swatch == content.swatch and got.header.recipe == content.header.recipe
    assert format.read_pictures(path) == (content.thumbnail, content.swatch)


def test_a_swatch_is_no_part_of_a_styles_identity(tmp_path: Path) -> None:
    plain = format.read_header(written(tmp_path / "x.h5", style())).content_sha256
    path = written(tmp_path / "y.h5", dataclasses.replace(style(), swatch=b"\xff\xd8 texture"))
    assert format.read_header(path).content_sha256 == plain
    path.write_bytes(path.read_bytes().replace(b"\xff\xd8 texture", b"\xff\xd8 testure"))
    with pytest.raises(StyleDamaged, match="header_sha256"):
        format.read_header(path)


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000, "\x00"])
def test_a_recipe_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "x.h5", recipe_of(style(), text))
    with pytest.raises(StyleDamaged, match=r"/recipe is not an object of JSON"):
        format.read_header(path)


def test_format_1_holds_no_recipe(tmp_path: Path) -> None:
    path = written(tmp_path / "x.h5")
    with h5py.File(path, "a") as file:
        file.create_dataset("recipe", data=np.frombuffer(b"{}", np.uint8))
    with pytest.raises(StyleDamaged, match=r"/ holds 'recipe', which is not part of the format"):
        format.read(path)


def test_what_is_too_long_is_not_written() -> None:
    with pytest.raises(UsageError, match="swatch is longer than 1048576 bytes"):
        format.encode(dataclasses.replace(style(), swatch=b"\0" * (1 << 20) + b"\0"))


def test_a_style_written_from_the_documents_words_alone_can_be_applied(tmp_path: Path) -> None:
    """With nothing of this project but the published digest of its weights, and a picture's pixels for statistics."""
    import pipeline
    from pipeline.vgg import weights
    from tests.conftest import DATA

    random = np.random.default_rng(0)

    def text(content: object) -> str:
        return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def sha256(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()

    arrays: dict[str, dict[str, np.ndarray]] = {}
    for layer, mean, spread, channels in (("pixels", 120.0, 40.0, 3), ("conv1_1", 5.0, 30.0, 64)):
        rows = random.normal(mean, spread, (40 * 32, channels)) @ np.linalg.qr(random.normal(size=(channels,) * 2))[0]
        cov = np.cov(rows.T, bias=True)
        values, vectors = np.linalg.eigh(cov)
        root = vectors * np.sqrt(values.clip(0)) @ vectors.T
        every = {"mean": rows.mean(0), "cov": cov, "cov_sqrt": root, "eigenvalues": values[::-1].clip(0)}
        arrays[layer] = {key: np.ascontiguousarray(array, "<f4") for key, array in every.items()}
    scale = b"".join(
        f"{layer}/{key} <f4 {'x'.join(map(str, array.shape))} 1280\n".encode() + array.tobytes()
        for layer, each in arrays.items()
        for key, array in each.items()
    )
    measured = {
        "color": "srgb",
        "layers": ["pixels", "conv1_1"],
        "network": "vgg19",
        "padding": "reflect",
        "pooling": "avg",
        "resampling": "lanczos",
        "ridge": 0.0,
        "source_sha256": sha256(b"x"),
        "weights_sha256": weights.load().sha256,
    }
    header: dict[str, object] = {
        **measured,
        "format": "stylebank",
        "format_version": 1,
        "name": "from words",
        "tags": [],
        "created": "2025-01-31T12:00:00+00:00",
        "source_filename": "",
        "source_width": 40,
        "source_height": 32,
        "stylebank_version": "",
        "content_sha256": sha256(text({**measured, "scales": {"40": [40, 32, sha256(scale)]}}).encode()),
    }
    header["header_sha256"] = sha256(text({**header, "thumbnail": sha256(b"")}).encode())
    (tmp_path / "bank").mkdir()
    with h5py.File(tmp_path / "bank" / "words.stylebank.h5", "w") as file:

        def put(target: h5py.Group, key: str, value: object) -> None:
            if isinstance(value, str):
                data = value.encode() or b"\0"
                target.attrs.create(key, data, dtype=h5py.string_dtype("utf-8", len(data)))
            elif isinstance(value, list):
                if value:
                    items = [item.encode() for item in value]
                    target.attrs.create(key, items, dtype=h5py.string_dtype("utf-8", max(map(len, items))))
            else:
                target.attrs[key] = value

        for key, value in header.items():
            put(file, key, value)
        group = file.create_group("scales/40")
        for key, value in (("width", 40), ("height", 32), ("sha256", sha256(scale))):
            put(group, key, value)
        for layer, each in arrays.items():
            entry = group.create_group(layer)
            put(entry, "count", 1280)
            for key, array in each.items():
                entry.create_dataset(key, data=array)
    (entry_,) = pipeline.apply(
        Bank(tmp_path / "bank"), "from words", [DATA / "subjects/rocket.jpg"], tmp_path / "out", size=48, steps=3
    )
    assert entry_.status == "done" and entry_.final_loss < entry_.start_loss


@pytest.mark.parametrize(
    "text",
    ['{"a": "\\ud800"}', '{"a": NaN}', '\ufeff{"a": 1}', '{"a": ' + "[" * 40 + "]" * 40 + "}", '{"a": 1e999}'],
    ids=["lone surrogate", "not a number", "byte order mark", "deep", "infinite"],
)
def test_a_recipe_that_could_not_be_printed_is_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "x.h5", recipe_of(style(), text))
    with pytest.raises(StyleDamaged, match=r"/recipe is not an object of JSON"):
        format.read_header(path)


def test_a_small_file_does_not_stand_for_many_numbers(tmp_path: Path) -> None:
    one = style(layers=("conv1_1",), sizes={32: (32, 20)}).scales[32]
    sizes = {side: (side, 20) for side in range(32, 52)}
    many = dataclasses.replace(style(layers=("conv1_1",), sizes=sizes), scales=dict.fromkeys(sizes, one))
    whole, linked = written(tmp_path / "whole.h5", many), tmp_path / "linked.h5"
    format.read(whole)
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
    assert format.read_header(linked) == format.read_header(whole)
    with pytest.raises(StyleDamaged, match="/scales declares 665600 bytes of numbers, and the file has"):
        format.read(linked)
