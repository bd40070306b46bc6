"""Where the trunk's weights come from; every loader gives the same `Weights`."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ.setdefault("HDF5_PLUGIN_PRELOAD", "::")

import h5py
import numpy as np
import numpy.typing as npt

from stylebank.errors import FingerprintMismatch, WeightsRefused, printable
from stylebank.files import digest_file
from stylebank.style import CONVOLUTIONS

Layer = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]

PACKAGED = Path(__file__).parent / "data" / "vgg19_conv_codebook.h5"
KERAS_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
KERAS_MD5 = "253f8cb515780f3b799900260a226db6"
_KERAS_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg19/{KERAS_FILE}"
_MEAN_BGR = np.array([103.939, 116.779, 123.68], np.float32)

_ADVICE = "Get the file again, or leave --weights out for those shipped."

#: Digests of files known to hold VGG-19, by algorithm.
KNOWN = {
    ("sha256", "00a598d54da25ce79e83139298f2b62386e4d2a54085e5f3d43f875c68b37406"): "packaged",
    ("md5", KERAS_MD5): "keras",
}


@dataclass(frozen=True, eq=False)
class Weights:
    """Kernels and biases of the 16 convolutions.

    Attributes
    ----------
    layers : mapping of str to (kernel, bias)
        Kernel float32 of shape (3, 3, in, out), the first one's input in BGR; bias (out,).
    mean_pixel_bgr : ndarray, float32, shape (3,)
        Subtracted from pixels in 0..255.
    sha256 : str
        Digest of the file they came from: part of every style's fingerprint.
    """

    layers: Mapping[str, Layer]
    mean_pixel_bgr: npt.NDArray[np.float32]
    sha256: str


def load(source: str | Path | None = None, *, allow_unknown: bool = False) -> Weights:
    """Load VGG-19's weights.

    Parameters
    ----------
    source
        None or ``"packaged"`` for the file that ships with the package, ``"keras"`` for
        Keras' own file (downloaded once and checked), or the path of an ``.h5`` (this
        package's or Keras' layout), ``.mat`` (MatConvNet) or ``.npy`` (dictionary) file.
    allow_unknown
        Accept a file whose digest is not in `KNOWN`. Nothing in such a file is ever run,
        but nobody vouches for its numbers.

    Returns
    -------
    Weights

    Raises
    ------
    WeightsRefused
        If the file is missing, not of a known layout, or unknown without `allow_unknown`.
    """
    if source is None or str(source) == "packaged":
        path = PACKAGED
    elif str(source) == "keras":
        path = _keras_file()
    else:
        path = _expanded(Path(source))
    try:
        stamp = path.stat()
    except OSError as error:
        raise WeightsRefused(f"{printable(path)}: {error.strerror}. Give --weights an existing file.") from error
    if not path.is_file():
        raise WeightsRefused(f"{printable(path)}: not a file. Give --weights a file of VGG-19's weights.")
    return _load(path.resolve(), path.suffix.lower(), stamp.st_mtime_ns, allow_unknown)


def matching(sha256: str, source: str | Path | None = None, *, allow_unknown: bool = False) -> Weights:
    """Load the weights a style was measured with, or refuse.

    Parameters
    ----------
    sha256
        What the style's fingerprint names.
    source
        As for `load`; None looks at the packaged file and at Keras' file where it is on disk.
    allow_unknown
        As for `load`.

    Returns
    -------
    Weights

    Raises
    ------
    FingerprintMismatch
        Naming both digests.
    WeightsRefused
    """
    if source is not None:
        weights = load(source, allow_unknown=allow_unknown)
        if weights.sha256 != sha256:
            raise FingerprintMismatch(
                f"the style was measured with weights of sha256 {sha256}, and {printable(str(source))} has "
                f"{weights.sha256}. Give --weights the file the style was measured with."
            )
        return weights
    packaged = load()
    if packaged.sha256 == sha256:
        return packaged
    cached = _keras_cache()
    if cached.is_file() and digest_file(cached, "sha256") == sha256:
        return load(cached)
    raise FingerprintMismatch(
        f"the style was measured with weights of sha256 {sha256}, and the packaged ones have {packaged.sha256}. "
        "Give --weights the file the style was measured with."
    )


@lru_cache(maxsize=2)
def _load(path: Path, suffix: str, _mtime_ns: int, allow_unknown: bool) -> Weights:
    try:
        sha256 = digest_file(path, "sha256")
    except OSError as error:
        raise WeightsRefused(f"{printable(path)}: {error.strerror}. Give --weights a file you may read.") from error
    known = ("sha256", sha256) in KNOWN or ("md5", digest_file(path, "md5")) in KNOWN
    if not known and not allow_unknown:
        raise WeightsRefused(
            f"{printable(path)}: its sha256 {sha256} is not in the table of known VGG-19 files. "
            "Add --allow-unknown-weights if you trust where it came from."
        )
    reader = _READERS.get(suffix)
    if reader is None:
        raise WeightsRefused(
            f"{printable(path)}: not a kind of file weights are read from. Give one of {', '.join(_READERS)}."
        )
    try:
        layers, mean = reader(path)
        return Weights(_checked(path, layers), _checked_mean(path, mean), sha256)
    except WeightsRefused:
        raise
    except Exception as error:  # a parser's own errors on a hostile file are of every kind
        reason = printable(f"{type(error).__name__}: {error}")
        raise WeightsRefused(
            f"{printable(path)}: not a {path.suffix} file of VGG-19's weights ({reason}). {_ADVICE}"
        ) from error


def _checked_mean(path: Path, mean: Any) -> npt.NDArray[np.float32]:
    checked = np.asarray(mean, np.float32).reshape(3)
    if not np.isfinite(checked).all():
        raise WeightsRefused(f"{printable(path)}: its mean pixel holds values that are not finite. {_ADVICE}")
    return checked


def _checked(path: Path, layers: Mapping[str, Any]) -> dict[str, Layer]:
    checked: dict[str, Layer] = {}
    incoming = 3
    for name, channels in CONVOLUTIONS.items():
        if name not in layers:
            raise WeightsRefused(f"{printable(path)}: holds no layer {name}; expected conv1_1 to conv5_4. {_ADVICE}")
        kernel, bias = (np.ascontiguousarray(part, np.float32) for part in layers[name])
        bias = bias.reshape(-1)
        expected = (3, 3, incoming, channels)
        if kernel.shape != expected or bias.shape != (channels,):
            raise WeightsRefused(
                f"{printable(path)}: {name} has a kernel of shape {kernel.shape} and a bias of shape {bias.shape}; "
                f"expected {expected} and {(channels,)}. {_ADVICE}"
            )
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise WeightsRefused(f"{printable(path)}: {name} holds values that are not finite. {_ADVICE}")
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
    """Kernel and bias of ``blockN_convM``, whose datasets Keras has named in several ways."""
    found: dict[int, Any] = {}

    def visit(_key: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[item.ndim] = item[:]

    group.visititems(visit)
    return found[4], found[1]


def _read_mat(path: Path) -> tuple[dict[str, Any], Any]:
    import scipy.io

    content = scipy.io.loadmat(str(path), struct_as_record=True)
    layers: dict[str, Any] = {}
    for cell in content["layers"][0]:
        entry = cell[0, 0]
        name = str(entry["name"].item())
        if name in CONVOLUTIONS:
            weights = entry["weights"]
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
                f"convN_M_kernel, convN_M_bias. {_ADVICE}"
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


#: All that a pickled dictionary of arrays asks for.
_OF_ARRAYS = frozenset(
    {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }
)


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that can build NumPy arrays and nothing else."""

    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """Look a global up, if it is one that arrays are made of."""
        if (module, name) not in _OF_ARRAYS:
            raise WeightsRefused(
                f"{printable(self._path)}: asks to run {printable(f'{module}.{name}')}; only arrays are allowed. "
                "Do not trust this file."
            )
        if name == "_reconstruct":
            return np.empty(0).__reduce__()[0]
        if name == "encode":  # how pickle's protocol 2, which NumPy wrote until 1.17, spells bytes
            return _latin1
        return getattr(np, name)


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


_READERS: dict[str, Callable[[Path], tuple[dict[str, Any], Any]]] = {
    ".h5": _read_h5,
    ".hdf5": _read_h5,
    ".mat": _read_mat,
    ".npy": _read_npy,
}


def _keras_cache() -> Path:
    return _expanded(Path(os.environ.get("KERAS_HOME") or "~/.keras")) / "models" / KERAS_FILE


def _expanded(path: Path) -> Path:
    with contextlib.suppress(RuntimeError):  # no such user, or one without a home: a plain name then
        return path.expanduser()
    return path


def _keras_file() -> Path:
    import keras

    home = _keras_cache().parent.parent
    try:
        home.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(sys.stderr):  # Keras tells of its progress where results belong
            return Path(
                keras.utils.get_file(
                    KERAS_FILE, _KERAS_URL, cache_dir=str(home), cache_subdir="models", file_hash=KERAS_MD5
                )
            )
    except Exception as error:  # get_file wraps urllib's errors in bare Exception
        raise WeightsRefused(
            f"--weights keras: {KERAS_FILE} could not be downloaded ({printable(str(error))}). "
            "Download it elsewhere and give its path."
        ) from error
