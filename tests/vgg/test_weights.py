"""Weights from every layout they come in, and from files that are none."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from pipeline.vgg import weights
from stylebank.errors import FingerprintMismatch, WeightsRefused
from stylebank.style import CONVOLUTIONS

Layers = Mapping[str, Any]
CODEBOOK_SHA256 = "00a598d54da25ce79e83139298f2b62386e4d2a54085e5f3d43f875c68b37406"


def keras_name(name: str) -> str:
    return f"block{name[4]}_conv{name[6]}"


def write_codebook(path: Path, layers: Layers, mean: Any = (103.939, 116.779, 123.68)) -> None:
    """As `pipeline/data/vgg19_conv_codebook.h5` is."""
    with h5py.File(path, "w") as file:
        file.attrs["mean_pixel_bgr"] = np.array(mean, np.float32)
        for name, (kernel, bias) in layers.items():
            codebook, codes = np.unique(kernel, return_inverse=True)
            file[f"{name}/codebook"] = codebook
            file[f"{name}/codes"] = codes.reshape(kernel.shape).astype(np.uint8 if len(codebook) <= 256 else np.uint32)
            file[f"{name}/bias"] = bias


def write_keras(path: Path, layers: Layers) -> None:
    """As `vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5` is: kernels in BGR, empty groups for the poolings."""
    with h5py.File(path, "w") as file:
        names = ["input_1"]
        for name, (kernel, bias) in layers.items():
            if name.endswith("_1") and name != "conv1_1":
                names.append(f"block{int(name[4]) - 1}_pool")
            group = keras_name(name)
            names.append(group)
            parts = {f"{group}_W_1:0": kernel, f"{group}_b_1:0": bias}
            file.create_group(group).attrs["weight_names"] = [key.encode() for key in parts]
            for key, part in parts.items():
                file[group][key] = part
        for name in set(names) - set(file):
            file.create_group(name).attrs["weight_names"] = np.array([], "S1")
        file.attrs["layer_names"] = [name.encode() for name in names]


def write_keras_model(path: Path, layers: Layers) -> None:
    """As Keras 2 saves a whole model."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.15.0"
        for name, (kernel, bias) in layers.items():
            group = f"model_weights/{keras_name(name)}/{keras_name(name)}"
            file[f"{group}/kernel:0"] = kernel
            file[f"{group}/bias:0"] = bias


def matconvnet_layers(layers: Layers, bias_shape: tuple[int, int]) -> np.ndarray:
    """A cell of structs: convolutions in RGB with relu and pool between, then what follows them."""
    cells: list[dict[str, Any]] = []
    for name, (kernel, bias) in layers.items():
        if name.endswith("_1") and name != "conv1_1":
            cells.append({"name": f"pool{int(name[4]) - 1}", "type": "pool", "pad": [0, 1, 0, 1], "method": "max"})
        pair = np.empty((1, 2), object)
        pair[0, 0] = kernel[:, :, ::-1] if name == "conv1_1" else kernel
        pair[0, 1] = bias.reshape(bias_shape)
        cells.append({"name": name, "type": "conv", "weights": pair, "stride": [1, 1], "pad": [1, 1, 1, 1]})
        cells.append({"name": f"relu{name[4:]}", "type": "relu"})
    fully = np.empty((1, 2), object)
    fully[0, 0], fully[0, 1] = np.ones((7, 7, 4, 8), np.float32), np.ones((1, 8), np.float32)
    cells += [{"name": name, "type": "conv", "weights": fully} for name in ("fc6", "fc7", "fc8")]
    cells.append({"name": "prob", "type": "softmax"})
    cell = np.empty((1, len(cells)), object)
    cell[0, :] = cells
    return cell


def write_mat_2014(path: Path, layers: Layers) -> None:
    """MatConvNet's first vintage: the mean is a whole picture under `normalization`."""
    average = np.broadcast_to(np.array([123.68, 116.779, 103.939]), (224, 224, 3))
    content = {
        "layers": matconvnet_layers(layers, (1, -1)),
        "classes": {"name": ["tench", "goldfish"]},
        "normalization": {"averageImage": average, "imageSize": [224.0, 224.0, 3.0], "keepAspect": True},
    }
    scipy.io.savemat(path, content)


def write_mat_2016(path: Path, layers: Layers) -> None:
    """MatConvNet's second vintage: one pixel under `meta`."""
    average = np.array([123.68, 116.779, 103.939]).reshape(1, 1, 3)
    meta = {"normalization": {"averageImage": average, "border": [0.0, 0.0]}, "classes": {"name": ["tench"]}}
    scipy.io.savemat(path, {"layers": matconvnet_layers(layers, (-1, 1)), "meta": meta})


def dictionary(layers: Layers) -> np.ndarray:
    content = {}
    for name, (kernel, bias) in layers.items():
        content[f"{name}_kernel"] = kernel[:, :, ::-1] if name == "conv1_1" else kernel
        content[f"{name}_bias"] = bias
    return np.array(content, dtype=object)


def write_npy(path: Path, layers: Layers) -> None:
    np.save(path, dictionary(layers), allow_pickle=True)


def write_npy_2018(path: Path, layers: Layers) -> None:
    """As NumPy 1.14 wrote it on Python 3: pickle's protocol 2, and its old module names."""
    content = pickle.dumps(dictionary(layers), protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(content)


WRITERS: dict[str, tuple[str, Callable[[Path, Layers], None]]] = {
    "codebook": (".h5", write_codebook),
    "keras": (".h5", write_keras),
    "keras_model": (".hdf5", write_keras_model),
    "matconvnet_2014": (".mat", write_mat_2014),
    "matconvnet_2016": (".mat", write_mat_2016),
    "npy": (".npy", write_npy),
    "npy_2018": (".npy", write_npy_2018),
}
LAYOUTS = pytest.mark.parametrize("layout", WRITERS)


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """Write a file of a layout; files are large, so they go when the test does."""
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


@pytest.fixture
def unknown(tmp_path: Path) -> Any:
    """VGG-19's weights in a file of another digest."""
    path = tmp_path / "unknown.h5"
    shutil.copy(weights.PACKAGED, path)
    with h5py.File(path, "a") as file:
        file.attrs["origin"] = "somebody's disk"
    yield path
    path.unlink()


def first_layer(vgg: weights.Weights) -> dict[str, Any]:
    kernel, bias = vgg.layers["conv1_1"]
    return {"conv1_1": (kernel.copy(), bias.copy())}


def refusal(path: Path, *, allow_unknown: bool = True) -> str:
    with pytest.raises(WeightsRefused) as refused:
        weights.load(path, allow_unknown=allow_unknown)
    message = str(refused.value)
    assert message.startswith(f"{path}: ") and message.endswith(".") and message.isprintable()
    return message


def test_packaged_weights_are_the_known_ones(vgg: weights.Weights) -> None:
    assert vgg.sha256 == CODEBOOK_SHA256 == hashlib.sha256(weights.PACKAGED.read_bytes()).hexdigest()
    assert list(vgg.layers) == list(CONVOLUTIONS)
    assert sum(kernel.size + bias.size for kernel, bias in vgg.layers.values()) == 20_024_384
    assert np.allclose(vgg.mean_pixel_bgr, [103.939, 116.779, 123.68])
    assert weights.load("packaged") is weights.load()
    assert weights.load().sha256 == vgg.sha256


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


def test_kernels_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.npy"
    words = np.full((3, 3, 3, 64), "word")
    np.save(path, np.array({"conv1_1_kernel": words, "conv1_1_bias": words}, dtype=object), allow_pickle=True)
    assert "not a .npy file of VGG-19's weights" in refusal(path)


@pytest.mark.parametrize("mean", [(1.0, 2.0, np.nan), (1.0, 2.0, 3.0, 4.0)])
def test_mean_pixel_that_is_none_is_refused(mean: Any, tmp_path: Path, vgg: weights.Weights) -> None:
    write_codebook(tmp_path / "x.h5", vgg.layers, mean)
    refusal(tmp_path / "x.h5")
    (tmp_path / "x.h5").unlink()


def test_unknown_file_needs_a_word_of_trust(unknown: Path) -> None:
    digest = hashlib.sha256(unknown.read_bytes()).hexdigest()
    message = refusal(unknown, allow_unknown=False)
    assert f"sha256 {digest} is not in the table of known VGG-19 files" in message
    assert "--allow-unknown-weights" in message
    assert weights.load(unknown, allow_unknown=True).sha256 == digest
    refusal(unknown, allow_unknown=False)


def test_known_file_is_known_wherever_it_lies_and_whatever_its_name(tmp_path: Path, vgg: weights.Weights) -> None:
    shutil.copy(weights.PACKAGED, tmp_path / "renamed.hdf5")
    assert weights.load(tmp_path / "renamed.hdf5").sha256 == vgg.sha256
    assert weights.load(str(tmp_path / "renamed.hdf5")).sha256 == vgg.sha256
    (tmp_path / "renamed.hdf5").unlink()


def test_changed_file_is_read_anew(unknown: Path) -> None:
    before = weights.load(unknown, allow_unknown=True)
    with h5py.File(unknown, "a") as file:
        file["conv1_1/bias"][0] = 42
    os.utime(unknown, ns=(1, 1))
    after = weights.load(unknown, allow_unknown=True)
    assert after.sha256 != before.sha256
    assert after.layers["conv1_1"][1][0] == 42


class Runs:
    """Runs `function` when it is unpickled by an ordinary unpickler."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("by", ["os.system", "exec", "eval", "subprocess.Popen", "numpy.savetxt"])
@pytest.mark.parametrize("trusted", [True, False])
def test_pickle_that_would_run_something_is_refused_and_runs_nothing(by: str, trusted: bool, tmp_path: Path) -> None:
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
def test_npy_that_is_no_dictionary_of_layers_is_refused(content: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", content, allow_pickle=True)
    refusal(tmp_path / "x.npy")


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".mat", ".npy"])
@pytest.mark.parametrize(
    "content", [b"", b"Dear diary", bytes(4096), b"\x93NUMPY\x01\0\x0a\0{'descr':1", b"\x89HDF\r\n\x1a\n"]
)
def test_file_that_is_not_what_its_suffix_says_is_refused(suffix: str, content: bytes, tmp_path: Path) -> None:
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


def test_unknown_suffix_is_refused_with_those_there_are(unknown: Path, tmp_path: Path) -> None:
    shutil.copy(unknown, tmp_path / "x.ckpt")
    assert "Give one of .h5, .hdf5, .mat, .npy." in refusal(tmp_path / "x.ckpt")
    (tmp_path / "x.ckpt").unlink()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.h5")
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "dangling.h5").symlink_to("nowhere")
    assert "not a file" in refusal(tmp_path / "fifo.h5")
    assert "not a file" in refusal(tmp_path / "folder.h5")
    assert "No such file" in refusal(tmp_path / "dangling.h5")
    assert "No such file" in refusal(tmp_path / "missing.h5")
    assert "No such file" in refusal(Path("~nobody-of-this-name/x.h5"))


def test_file_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(WeightsRefused, match=r"/mem: Input/output error\. Give --weights a file you may read\."):
        weights.load("/proc/self/mem")  # a regular file to all who ask, and no byte at its beginning can be read


def test_style_of_the_packaged_weights_finds_them(vgg: weights.Weights) -> None:
    assert weights.matching(vgg.sha256).sha256 == vgg.sha256
    assert weights.matching(vgg.sha256, "packaged").sha256 == vgg.sha256


def test_style_of_other_weights_is_refused_naming_both(unknown: Path, vgg: weights.Weights) -> None:
    digest = hashlib.sha256(unknown.read_bytes()).hexdigest()
    with pytest.raises(FingerprintMismatch) as refused:
        weights.matching(vgg.sha256, unknown, allow_unknown=True)
    assert all(part in str(refused.value) for part in (vgg.sha256, digest, str(unknown), "--weights"))
    with pytest.raises(FingerprintMismatch) as refused:
        weights.matching(digest)
    assert all(part in str(refused.value) for part in (vgg.sha256, digest, "--weights"))
    assert weights.matching(digest, unknown, allow_unknown=True).sha256 == digest
    with pytest.raises(WeightsRefused, match="--allow-unknown-weights"):
        weights.matching(digest, unknown)


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


@pytest.fixture
def published(unknown: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for the one Keras publishes: its address and its digest are the known ones."""
    md5 = hashlib.md5(unknown.read_bytes()).hexdigest()
    monkeypatch.setattr(weights, "_KERAS_URL", unknown.as_uri())
    monkeypatch.setattr(weights, "KERAS_MD5", md5)
    monkeypatch.setitem(weights.KNOWN, ("md5", md5), "keras")
    return unknown


def test_keras_file_is_downloaded_once_and_needs_no_word_of_trust(
    keras_home: Path, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    assert weights.load("keras").sha256 == digest
    assert (keras_home / "models" / weights.KERAS_FILE).is_file()
    assert capsys.readouterr().out == ""
    published.rename(published.with_suffix(".gone"))
    assert weights.load("keras").sha256 == digest
    assert weights.matching(digest).sha256 == digest
    published.with_suffix(".gone").rename(published)


def test_download_that_fails_says_what_to_do(keras_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_KERAS_URL", (tmp_path / "nothing.h5").as_uri())
    with pytest.raises(WeightsRefused) as refused:
        weights.load("keras")
    message = str(refused.value)
    assert message.startswith("--weights keras: ") and "could not be downloaded" in message
    assert message.endswith("Download it elsewhere and give its path.") and message.isprintable()


def test_download_of_other_bytes_is_refused(keras_home: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "KERAS_MD5", "0" * 32)
    with pytest.raises(WeightsRefused, match="could not be downloaded"):
        weights.load("keras")


def test_cache_of_other_bytes_is_not_taken_for_the_styles_weights(keras_home: Path) -> None:
    cached = keras_home / "models" / weights.KERAS_FILE
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"something else")
    with pytest.raises(FingerprintMismatch):
        weights.matching("0" * 64)
