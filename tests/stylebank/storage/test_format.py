"""The format as FORMAT.md has it."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

import stylebank
from stylebank.bank import Bank
from stylebank.storage import reader, writer
from tests.stylebank.storage.style_files import LAYER, SCALE, written

DOCUMENT = Path(stylebank.__file__).parent / "storage" / "FORMAT.md"


def test_the_example_in_format_md_writes_a_whole_style(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "example.py").write_text(example, encoding="utf-8")
    subprocess.run([sys.executable, "example.py"], cwd=tmp_path, check=True, timeout=60)
    got = reader.read(tmp_path / "made-by-hand.stylebank.h5")
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
    assert f"format {writer.VERSION}" in text.splitlines()[0]


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
