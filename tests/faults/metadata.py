"""Style files changed through HDF5: attributes, types, links, shapes, filters and layouts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.faults import damage
from tests.faults.harness import Result

DTYPES = ("<f2", ">f4", "<f8", "<i4", "<u8", "S8", "?", "<c8")
#: Numbers of a dataset that is read here, which leaves out those that declare a terabyte.
MAX_SIZE = 1 << 18
FILTERS: Sequence[dict[str, Any]] = (
    {"compression": "gzip"},
    {"compression": "lzf"},
    {"shuffle": True},
    {"fletcher32": True},
    {"scaleoffset": 3},
    {"compression": "gzip", "shuffle": True, "fletcher32": True},
)


def run(count: int, seed: int, folder: Path) -> Result:
    """Change the structure of a style file `count` times, one to three changes each."""

    def change(path: Path, chance: random.Random) -> str:
        done = []
        with h5py.File(path, "r+") as file:
            for _number in range(chance.choice((1, 1, 2, 3))):
                mutation = chance.choice(MUTATIONS)
                try:
                    done.append(f"{mutation.__name__} {mutation(file, chance)}")
                except (
                    ValueError,
                    TypeError,
                    OSError,
                    LookupError,
                    RuntimeError,
                ) as error:  # HDF5 does not do this one
                    done.append(f"{mutation.__name__} not possible ({type(error).__name__})")
        return ", ".join(done)

    return damage.damage(count, seed, folder, change)


def _objects(file: h5py.File, kind: type) -> list[str]:
    names = ["/"] if issubclass(h5py.Group, kind) else []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, kind):
            names.append(f"/{name}")

    file.visititems(visit)
    return sorted(names)


def _dataset(file: h5py.File, chance: random.Random) -> Any:
    names = _objects(file, h5py.Dataset)
    return file[chance.choice([name for name in names if file[name].size and file[name].size < MAX_SIZE])]


def _replace(dataset: Any, **options: Any) -> str:
    parent, name = dataset.parent, dataset.name
    values = {"data": dataset[()]} | options
    del parent[name]
    parent.create_dataset(name, **values)
    return str(name)


def _attribute(file: h5py.File, chance: random.Random) -> tuple[Any, str]:
    owners = [file[name] for name in _objects(file, object) if len(file[name].attrs)]
    owner = chance.choice(owners)
    return owner, chance.choice(sorted(owner.attrs))


def attribute_removed(file: h5py.File, chance: random.Random) -> str:
    owner, key = _attribute(file, chance)
    del owner.attrs[key]
    return f"{owner.name} {key}"


def attribute_of_another_type(file: h5py.File, chance: random.Random) -> str:
    owner, key = _attribute(file, chance)
    values: list[Any] = [
        np.int8(-1),
        np.uint64(2**64 - 1),
        np.float32(np.nan),
        b"",
        np.bytes_(b"\xff\xfe\x00\x1b[31m"),
        "text of variable length",
        np.zeros((2, 3)),
        np.zeros(60, "S4"),
        h5py.Empty("f4"),
        np.array([(1, 2)], [("a", "i4"), ("b", "f4")]),
        np.void(b"opaque"),
        True,
        2.5 + 1j,
    ]
    value = chance.choice(values)
    del owner.attrs[key]
    owner.attrs[key] = value
    return f"{owner.name} {key} {value!r}"


def attribute_edited(file: h5py.File, chance: random.Random) -> str:
    owner, key = _attribute(file, chance)
    value = owner.attrs[key]
    if isinstance(value, (np.integer, np.floating)):
        owner.attrs.modify(key, value + chance.choice((-1, 1, 1000)))
    else:
        raw = np.asarray(value if not isinstance(value, str) else value.encode())
        if raw.dtype.kind not in "SO" or not raw.size:
            raise ValueError(key)
        text = bytearray(np.bytes_(raw.ravel()[0]))
        text[chance.randrange(len(text))] = chance.choice(b"0az-\n\x1b\xff/.")
        del owner.attrs[key]
        owner.attrs[key] = np.bytes_(bytes(text))
    return f"{owner.name} {key}"


def attribute_added(file: h5py.File, chance: random.Random) -> str:
    owner = file[chance.choice(_objects(file, object))]
    owner.attrs["extra"] = chance.choice([1, "text", np.zeros(5000), h5py.Empty("i4")])
    return str(owner.name)


def attribute_reference(file: h5py.File, chance: random.Random) -> str:
    owner, key = _attribute(file, chance)
    del owner.attrs[key]
    owner.attrs.create(key, file.ref, dtype=h5py.ref_dtype)
    return f"{owner.name} {key}"


def another_type(file: h5py.File, chance: random.Random) -> str:
    dataset = _dataset(file, chance)
    kind = chance.choice(DTYPES)
    with np.errstate(all="ignore"):
        return _replace(dataset, data=dataset[()].astype(kind)) + f" {kind}"


def another_shape(file: h5py.File, chance: random.Random) -> str:
    dataset = _dataset(file, chance)
    values = dataset[()]
    shapes: list[Any] = [
        values.reshape(-1),
        values[..., :-1],
        values[None],
        np.concatenate([values, values]),
        values.ravel()[:0],
        np.float32(values.ravel()[0]),
    ]
    return _replace(dataset, data=chance.choice(shapes))


def other_values(file: h5py.File, chance: random.Random) -> str:
    dataset = _dataset(file, chance)
    place = tuple(chance.randrange(side) for side in dataset.shape)
    value = chance.choice((0, 1, np.nan, np.inf, -1, 1e30))
    if dataset.dtype.kind in "iu":
        value = chance.randrange(100)
    dataset[place] = value
    return f"{dataset.name}{place} = {value}"


def declared_huge(file: h5py.File, chance: random.Random) -> str:
    dataset = _dataset(file, chance)
    parent, name, kind = dataset.parent, dataset.name, dataset.dtype
    del parent[name]
    parent.create_dataset(name, shape=(1 << chance.choice((20, 31, 40)),), dtype=kind, chunks=(64,))
    return str(name)


def never_written(file: h5py.File, chance: random.Random) -> str:
    dataset = _dataset(file, chance)
    parent, name, shape, kind = dataset.parent, dataset.name, dataset.shape, dataset.dtype
    del parent[name]
    parent.create_dataset(name, shape=shape, dtype=kind)
    return str(name)


def filtered(file: h5py.File, chance: random.Random) -> str:
    options = chance.choice(FILTERS)
    return _replace(_dataset(file, chance), **options) + f" {options}"


def resizable(file: h5py.File, chance: random.Random) -> str:
    dataset = _dataset(file, chance)
    return _replace(dataset, maxshape=(None,) * dataset.ndim)


def removed(file: h5py.File, chance: random.Random) -> str:
    name = chance.choice([name for name in _objects(file, object) if name != "/"])
    del file[name]
    return name


def added(file: h5py.File, chance: random.Random) -> str:
    group = file[chance.choice(_objects(file, h5py.Group))]
    if chance.random() < 0.5:
        group.create_group(chance.choice(("extra", "64", "..x", "conv5_4")))
    else:
        group.create_dataset("extra", data=np.zeros(3))
    return str(group.name)


def _link(file: h5py.File, chance: random.Random, link: Callable[[str], Any]) -> str:
    name = chance.choice([name for name in _objects(file, object) if name != "/"])
    made = link(name)
    del file[name]
    file[name] = made
    return name


def soft_link(file: h5py.File, chance: random.Random) -> str:
    return _link(file, chance, lambda name: h5py.SoftLink(chance.choice([name, "/", "/thumbnail", "/nowhere"])))


def external_link(file: h5py.File, chance: random.Random) -> str:
    target = chance.choice(["/etc/passwd", "/dev/zero", "nowhere.h5", file.filename])
    return _link(file, chance, lambda name: h5py.ExternalLink(target, "/"))


def hard_link_elsewhere(file: h5py.File, chance: random.Random) -> str:
    other = file[chance.choice(_objects(file, object))]  # also a group that holds itself
    return _link(file, chance, lambda name: other)


def swapped(file: h5py.File, chance: random.Random) -> str:
    one, other = chance.sample([name for name in _objects(file, object) if name != "/"], 2)
    first, second = file[one], file[other]
    del file[one]
    del file[other]
    file[one], file[other] = second, first
    return f"{one} {other}"


def another_kind(file: h5py.File, chance: random.Random) -> str:
    name = chance.choice([name for name in _objects(file, object) if name != "/"])
    group = isinstance(file[name], h5py.Group)
    del file[name]
    if group:
        file.create_dataset(name, data=np.zeros(3, np.float32))
    else:
        file.create_group(name)
    return name


def external_storage(file: h5py.File, chance: random.Random) -> str:
    dataset = _dataset(file, chance)
    parent, name, values = dataset.parent, dataset.name, dataset[()]
    outside = Path(file.filename).with_suffix(".outside")
    outside.write_bytes(values.tobytes())
    del parent[name]
    parent.create_dataset(name, values.shape, values.dtype, external=[(str(outside), 0, values.nbytes)])
    return str(name)


def virtual(file: h5py.File, chance: random.Random) -> str:
    dataset = _dataset(file, chance)
    parent, name = dataset.parent, dataset.name
    layout = h5py.VirtualLayout(dataset.shape, dataset.dtype)
    layout[...] = h5py.VirtualSource("/dev/zero", "x", dataset.shape)
    del parent[name]
    parent.create_virtual_dataset(name, layout)
    return str(name)


def named_type(file: h5py.File, chance: random.Random) -> str:
    name = chance.choice(_objects(file, h5py.Dataset))
    del file[name]
    file[name] = np.dtype("<f4")
    return name


MUTATIONS: Sequence[Callable[[h5py.File, random.Random], str]] = (
    attribute_removed, attribute_of_another_type, attribute_of_another_type, attribute_edited, attribute_edited,
    attribute_added, attribute_reference, another_type, another_shape, other_values, declared_huge, never_written,
    filtered, resizable, removed, added, soft_link, external_link, hard_link_elsewhere, swapped, another_kind,
    external_storage, virtual, named_type,
)  # fmt: skip
