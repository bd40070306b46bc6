"""Style files changed by hand, one way each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

from stylebank.bank import Bank
from stylebank.errors import StyleDamaged
from stylebank.storage import reader, writer
from stylebank.style import Style
from tests.styles import style

SCALE = "scales/32"
LAYER = "scales/32/conv1_1"
MEAN = f"{LAYER}/mean"
CHANNELS = 64
GOLDEN = Path(__file__).parents[2] / "data" / "format-1.stylebank.h5"
Change = Callable[[h5py.File], None]


@cache
def whole_file() -> bytes:
    return writer.encode(style())


def written(path: Path, content: Style | None = None) -> Path:
    path.write_bytes(writer.encode(content) if content else whole_file())
    return path


def changed(path: Path, change: Change) -> Path:
    with h5py.File(written(path), "r+") as file:
        change(file)
    return path


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


def refusals(path: Path, header_too: bool) -> dict[str, StyleDamaged]:
    """The error each way of reading a file gives; `path` is where a bank keeps style 'wave'."""
    bank = Bank(path.parent)
    before = path.read_bytes()
    ways: dict[str, Callable[[], object]] = {
        "read": lambda: reader.read(path),
        "read a scale": lambda: reader.read(path, [32]),
        "get": lambda: bank.get("wave"),
        "get a scale": lambda: bank.get("wave", scales=[32]),
        "rename": lambda: bank.rename("wave", "other"),
    }
    if header_too:
        ways |= {"read the header": lambda: reader.read_header(path), "header": lambda: bank.header("wave")}
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
