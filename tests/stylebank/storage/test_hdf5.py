from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from stylebank.errors import StyleDamaged
from stylebank.names import file_name
from stylebank.storage import integrity, reader
from tests.stylebank.storage.style_files import (
    LAYER,
    MEAN,
    SCALE,
    Change,
    added,
    attribute,
    changed,
    compound,
    copied,
    external_data,
    half_written,
    never_written,
    references,
    refusals,
    relinked,
    remade,
    virtual,
    written,
)
from tests.styles import difference


def test_shuffled_and_checksummed_chunks_are_read(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        for key in integrity.ARRAYS:
            values = file[LAYER][key][()]
            del file[LAYER][key]
            file[LAYER].create_dataset(key, data=values, chunks=True, shuffle=True, fletcher32=True)

    path = changed(tmp_path / "x.h5", change)
    assert difference(reader.read(path), reader.read(written(tmp_path / "plain.h5"))) == ""


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


@pytest.mark.parametrize("case", IN_ARRAYS)
def test_hostile_arrays_are_refused_by_whoever_reads_them(tmp_path: Path, case: str) -> None:
    change, reason = IN_ARRAYS[case]
    path = changed(tmp_path / file_name("wave"), change)
    for way, error in refusals(path, header_too=False).items():
        assert re.search(reason, str(error)), way
        assert str(error).startswith(f"{path}: ") and str(error).endswith("."), way


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
    for read in (reader.read, reader.read_header):
        with pytest.raises(StyleDamaged, match=r"not a regular file\. Remove it"):
            read(path)


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
    code = f"from stylebank.storage import reader\nfrom pathlib import Path\nreader.read(Path({str(path)!r}))"
    read = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert "StyleDamaged" in read.stderr.splitlines()[-1]
