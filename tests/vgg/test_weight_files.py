"""Weights from every layout, and from files without weights."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.vgg import weights
from stylebank.style import CONVOLUTIONS

from .weight_files import WRITERS, Layers, refusal, write_codebook

LAYOUTS = pytest.mark.parametrize("layout", WRITERS)


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """Return a function that writes a file of a layout. The large files are deleted after the test."""
    paths: list[Path] = []

    def write(layout: str, layers: Layers) -> Path:
        suffix, writer = WRITERS[layout]
        paths.append(tmp_path / f"vgg19{suffix}")
        writer(paths[-1], layers)
        return paths[-1]

    yield write
    weights._load.cache_clear()
    for path in paths:
        path.unlink()


def first_layer(vgg: weights.Weights) -> dict[str, Any]:
    kernel, bias = vgg.layers["conv1_1"]
    return {"conv1_1": (kernel.copy(), bias.copy())}


@LAYOUTS
def test_every_layout_gives_the_same_network(layout: str, written: Any, vgg: weights.Weights) -> None:
    path = written(layout, vgg.layers)
    loaded = weights.load(path, allow_unknown=True)
    assert list(loaded.layers) == list(CONVOLUTIONS)
    for name, (kernel, bias) in vgg.layers.items():
        other_kernel, other_bias = loaded.layers[name]
        assert other_kernel.dtype == other_bias.dtype == np.float32
        assert np.array_equal(other_kernel, kernel) and np.array_equal(other_bias, bias), name
    assert np.allclose(loaded.mean_pixel_bgr, vgg.mean_pixel_bgr, atol=2e-3)
    assert loaded.mean_pixel_bgr.dtype == np.float32
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@LAYOUTS
def test_missing_layer_is_named(layout: str, written: Any, vgg: weights.Weights) -> None:
    assert "holds no layer conv1_2; expected conv1_1 to conv5_4" in refusal(written(layout, first_layer(vgg)))


@LAYOUTS
def test_layer_of_another_shape_is_named(layout: str, written: Any, vgg: weights.Weights) -> None:
    layers = first_layer(vgg)
    layers["conv1_1"] = layers["conv1_1"][0][..., :32], layers["conv1_1"][1][:32]
    message = refusal(written(layout, layers))
    assert "conv1_1 has a kernel of shape (3, 3, 3, 32)" in message and "expected (3, 3, 3, 64)" in message


@LAYOUTS
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_layer_that_is_not_finite_is_named(layout: str, value: float, written: Any, vgg: weights.Weights) -> None:
    layers = first_layer(vgg)
    layers["conv1_1"][0][1, 1, 1, 1] = value
    assert "conv1_1 holds values that are not finite" in refusal(written(layout, layers))


def test_kernels_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.npy"
    words = np.full((3, 3, 3, 64), "word")
    np.save(path, np.array({"conv1_1_kernel": words, "conv1_1_bias": words}, dtype=object), allow_pickle=True)
    assert "not a .npy file of VGG-19's weights" in refusal(path)


@pytest.mark.parametrize("mean", [(1.0, 2.0, np.nan), (1.0, 2.0, 3.0, 4.0)])
def test_bad_mean_pixel_is_refused(mean: Any, tmp_path: Path, vgg: weights.Weights) -> None:
    write_codebook(tmp_path / "x.h5", vgg.layers, mean)
    refusal(tmp_path / "x.h5")
    (tmp_path / "x.h5").unlink()


class Runs:
    """Runs `function` when it is unpickled by an ordinary unpickler."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("by", ["os.system", "exec", "eval", "subprocess.Popen", "numpy.savetxt"])
@pytest.mark.parametrize("trusted", [True, False])
def test_pickle_that_would_run_code_is_refused_and_runs_nothing(by: str, trusted: bool, tmp_path: Path) -> None:
    marker, path = tmp_path / "ran", tmp_path / "evil.npy"
    evil = {
        "os.system": Runs(os.system, f"touch {marker}"),
        "exec": Runs(exec, f"open({str(marker)!r}, 'w')"),
        "eval": Runs(eval, f"open({str(marker)!r}, 'w')"),
        "subprocess.Popen": Runs(subprocess.Popen, ["touch", str(marker)]),
        "numpy.savetxt": Runs(np.savetxt, str(marker), [1.0]),
    }[by]
    np.save(path, np.array({"conv1_1_kernel": evil}, dtype=object), allow_pickle=True)
    message = refusal(path, allow_unknown=trusted)
    assert ("asks to run" if trusted else "not in the table") in message
    assert not marker.exists()


@pytest.mark.parametrize("content", [np.zeros((3, 3)), np.array([1, "a", None], dtype=object), np.array(7, object)])
def test_npy_without_a_dictionary_of_layers_is_refused(content: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", content, allow_pickle=True)
    refusal(tmp_path / "x.npy")


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".mat", ".npy"])
@pytest.mark.parametrize(
    "content", [b"", b"Dear diary", bytes(4096), b"\x93NUMPY\x01\0\x0a\0{'descr':1", b"\x89HDF\r\n\x1a\n"]
)
def test_file_that_contradicts_its_suffix_is_refused(suffix: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / f"x{suffix}").write_bytes(content)
    assert f"not a {suffix} file of VGG-19's weights" in refusal(tmp_path / f"x{suffix}")


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    whole = weights.PACKAGED.read_bytes()
    for fraction in (0.1, 0.5, 0.999):
        (tmp_path / "x.h5").write_bytes(whole[: int(len(whole) * fraction)])
        refusal(tmp_path / "x.h5")


def test_hdf5_file_of_something_else_is_refused(bank_folder: Path) -> None:
    (style,) = bank_folder.glob("*.h5")
    assert "holds no layer conv1_1" in refusal(style)
