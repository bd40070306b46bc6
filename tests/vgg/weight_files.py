"""Writers of VGG-19's weights in every layout, and the message of a refusal."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from pipeline.vgg import weights
from stylebank.errors import WeightsRefused

Layers = Mapping[str, Any]


def keras_name(name: str) -> str:
    return f"block{name[4]}_conv{name[6]}"


def write_codebook(path: Path, layers: Layers, mean: Any = (103.939, 116.779, 123.68)) -> None:
    """Write the layout of `pipeline/vgg/data/vgg19_conv_codebook.h5`."""
    with h5py.File(path, "w") as file:
        file.attrs["mean_pixel_bgr"] = np.array(mean, np.float32)
        for name, (kernel, bias) in layers.items():
            codebook, codes = np.unique(kernel, return_inverse=True)
            file[f"{name}/codebook"] = codebook
            file[f"{name}/codes"] = codes.reshape(kernel.shape).astype(np.uint8 if len(codebook) <= 256 else np.uint32)
            file[f"{name}/bias"] = bias


def write_keras(path: Path, layers: Layers) -> None:
    """Write Keras' layout without a top: kernels in BGR, empty groups for the poolings."""
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
    """Write the layout of a whole model saved by Keras 2."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.15.0"
        for name, (kernel, bias) in layers.items():
            group = f"model_weights/{keras_name(name)}/{keras_name(name)}"
            file[f"{group}/kernel:0"] = kernel
            file[f"{group}/bias:0"] = bias


def matconvnet_layers(layers: Layers, bias_shape: tuple[int, int]) -> np.ndarray:
    """Return a cell of structs: convolutions in RGB with relu and pool between, then the dense layers."""
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
    """Write MatConvNet's first layout, with the mean as a whole image under `normalization`."""
    average = np.broadcast_to(np.array([123.68, 116.779, 103.939]), (224, 224, 3))
    content = {
        "layers": matconvnet_layers(layers, (1, -1)),
        "classes": {"name": ["tench", "goldfish"]},
        "normalization": {"averageImage": average, "imageSize": [224.0, 224.0, 3.0], "keepAspect": True},
    }
    scipy.io.savemat(path, content)


def write_mat_2016(path: Path, layers: Layers) -> None:
    """Write MatConvNet's second layout, with the mean as one pixel under `meta`."""
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
    """Write as NumPy 1.14 did on Python 3: pickle's protocol 2 and the old module names."""
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


def refusal(path: Path, *, allow_unknown: bool = True) -> str:
    with pytest.raises(WeightsRefused) as refused:
        weights.load(path, allow_unknown=allow_unknown)
    message = str(refused.value)
    assert message.startswith(f"{path}: ") and message.endswith(".") and message.isprintable()
    return message
