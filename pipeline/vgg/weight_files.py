"""Readers for files of VGG-19's weights. No reader trusts a file or runs code from it."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("HDF5_PLUGIN_PRELOAD", "::")

import h5py
import numpy as np
import numpy.typing as npt

from stylebank.errors import WeightsRefused, printable
from stylebank.style import CONVOLUTIONS

Layer = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]

_MEAN_BGR = np.array([103.939, 116.779, 123.68], np.float32)
ADVICE = "Download the file again, or omit --weights to use the packaged ones."


def checked_mean(path: Path, mean: Any) -> npt.NDArray[np.float32]:
    """Return a mean pixel as float32 of shape (3,).

    Raises
    ------
    WeightsRefused
        If it is not finite.
    """
    checked = np.asarray(mean, np.float32).reshape(3)
    if not np.isfinite(checked).all():
        raise WeightsRefused(f"{printable(path)}: its mean pixel holds values that are not finite. {ADVICE}")
    return checked


def checked_layers(path: Path, layers: Mapping[str, Any]) -> dict[str, Layer]:
    """Return kernel and bias of all 16 convolutions as float32.

    Raises
    ------
    WeightsRefused
        If a layer is missing, has another shape, or is not finite.
    """
    checked: dict[str, Layer] = {}
    incoming = 3
    for name, channels in CONVOLUTIONS.items():
        if name not in layers:
            raise WeightsRefused(f"{printable(path)}: holds no layer {name}; expected conv1_1 to conv5_4. {ADVICE}")
        kernel, bias = (np.ascontiguousarray(part, np.float32) for part in layers[name])
        bias = bias.reshape(-1)
        expected = (3, 3, incoming, channels)
        if kernel.shape != expected or bias.shape != (channels,):
            raise WeightsRefused(
                f"{printable(path)}: {name} has a kernel of shape {kernel.shape} and a bias of shape {bias.shape}; "
                f"expected {expected} and {(channels,)}. {ADVICE}"
            )
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise WeightsRefused(f"{printable(path)}: {name} holds values that are not finite. {ADVICE}")
        checked[name] = kernel, bias
        incoming = channels
    return checked


def _read_h5(path: Path) -> tuple[dict[str, Any], Any]:
    with h5py.File(path, "r") as file:
        if "conv1_1" in file:
            codebook = {
                name: (file[name]["codebook"][:][file[name]["codes"][:]], file[name]["bias"][:])
                for name in CONVOLUTIONS
                if name in file
            }
            return codebook, file.attrs["mean_pixel_bgr"]
        root = file.get("model_weights", file)
        groups = {name: f"block{name[4]}_conv{name[6]}" for name in CONVOLUTIONS}
        return {name: _keras_layer(root[group]) for name, group in groups.items() if group in root}, _MEAN_BGR


def _keras_layer(group: Any) -> tuple[Any, Any]:
    """Return kernel and bias of ``blockN_convM``. Their rank identifies them: Keras has used several names."""
    arrays: dict[int, Any] = {}

    def visit(_key: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            arrays[node.ndim] = node[:]

    group.visititems(visit)
    return arrays[4], arrays[1]


def _read_mat(path: Path) -> tuple[dict[str, Any], Any]:
    import scipy.io

    content = scipy.io.loadmat(str(path), struct_as_record=True)
    layers: dict[str, Any] = {}
    for cell in content["layers"][0]:
        layer = cell[0, 0]
        name = str(layer["name"].item())
        if name in CONVOLUTIONS:
            weights = layer["weights"]
            layers[name] = [weights[0, 0], weights[0, 1]]
    meta = content["meta"][0, 0] if "meta" in content else content
    average = np.asarray(meta["normalization"][0, 0]["averageImage"], np.float64)
    mean_rgb = average.reshape(-1, 3).mean(axis=0)
    return _rgb_to_bgr(layers), mean_rgb[::-1]


def _read_npy(path: Path) -> tuple[dict[str, Any], Any]:
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _fortran, dtype = header(file)
        if dtype != np.dtype(object) or shape != ():
            raise WeightsRefused(
                f"{printable(path)}: an array of shape {shape} and dtype {dtype}; expected a dictionary "
                f"convN_M_kernel, convN_M_bias. {ADVICE}"
            )
        content = _ArraysOnly(path, file.read()).load().item()
    layers = {
        name: [content[f"{name}_kernel"], content[f"{name}_bias"]]
        for name in CONVOLUTIONS
        if f"{name}_kernel" in content and f"{name}_bias" in content
    }
    return _rgb_to_bgr(layers), np.array([103.94, 116.78, 123.68])


def _rgb_to_bgr(layers: dict[str, Any]) -> dict[str, Any]:
    if "conv1_1" in layers:
        kernel, bias = layers["conv1_1"]
        layers["conv1_1"] = [np.asarray(kernel)[:, :, ::-1, :], bias]
    return layers


#: The globals in a pickled dictionary of arrays.
_ARRAY_GLOBALS = frozenset(
    {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }
)


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that builds NumPy arrays and nothing else."""

    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """Return a global that arrays need; refuse any other."""
        if (module, name) not in _ARRAY_GLOBALS:
            raise WeightsRefused(
                f"{printable(self._path)}: asks to run {printable(f'{module}.{name}')}; only arrays are allowed. "
                "Do not trust this file."
            )
        if name == "_reconstruct":
            return np.empty(0).__reduce__()[0]
        if name == "encode":  # bytes in pickle's protocol 2, which NumPy wrote until 1.17
            return _latin1
        return getattr(np, name)


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


READERS: dict[str, Callable[[Path], tuple[dict[str, Any], Any]]] = {
    ".h5": _read_h5,
    ".hdf5": _read_h5,
    ".mat": _read_mat,
    ".npy": _read_npy,
}
