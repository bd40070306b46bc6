"""VGG-19's weights: the packaged file, Keras' file, or a file of the user. All give the same `Weights`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stylebank.errors import FingerprintMismatch, WeightsRefused, printable
from stylebank.files import digest_file

from .weight_files import ADVICE, READERS, Layer, checked_layers, checked_mean

PACKAGED = Path(__file__).parent / "data" / "vgg19_conv_codebook.h5"
KERAS_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
KERAS_MD5 = "253f8cb515780f3b799900260a226db6"
_KERAS_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg19/{KERAS_FILE}"

#: Digests of files known to hold VGG-19, by algorithm.
KNOWN = {
    ("sha256", "00a598d54da25ce79e83139298f2b62386e4d2a54085e5f3d43f875c68b37406"): "packaged",
    ("md5", KERAS_MD5): "keras",
}


@dataclass(frozen=True, repr=False)
class Weights:
    """Kernels and biases of the 16 convolutions; weights of one digest are equal.

    Attributes
    ----------
    layers : mapping of str to (kernel, bias)
        Kernels are float32 of shape (3, 3, in, out); the first one expects BGR. Biases have shape (out,).
    mean_pixel_bgr : ndarray, float32, shape (3,)
        Subtracted from pixel values in 0..255.
    sha256 : str
        Digest of the file, which is part of every style's fingerprint.
    """

    layers: Mapping[str, Layer] = field(compare=False)
    mean_pixel_bgr: npt.NDArray[np.float32] = field(compare=False)
    sha256: str

    def __repr__(self) -> str:
        """Return the number of layers and the digest, in place of 20 million numbers."""
        return f"Weights(layers={len(self.layers)}, sha256={self.sha256[:12]!r})"


def load(source: str | Path | None = None, *, allow_unknown: bool = False) -> Weights:
    """Load VGG-19's weights.

    Parameters
    ----------
    source
        None or ``"packaged"`` for the packaged file; ``"keras"`` for Keras' own file, which is downloaded once
        and checked; or the path of a file: ``.h5`` (this package's layout or Keras'), ``.mat`` (MatConvNet) or
        ``.npy`` (dictionary).
    allow_unknown
        Accept a file whose digest is not in `KNOWN`. No code in such a file runs, but its numbers are unchecked.

    Returns
    -------
    Weights

    Raises
    ------
    WeightsRefused
        If the file is missing, has an unknown layout, or is unknown without `allow_unknown`.
    """
    if source is None or str(source) == "packaged":
        path = PACKAGED
    elif str(source) == "keras":
        path = _keras_file()
    else:
        path = _expand_user(Path(source))
    try:
        status = path.stat()
    except OSError as error:
        raise WeightsRefused(f"{printable(path)}: {error.strerror}. Give --weights an existing file.") from error
    if not path.is_file():
        raise WeightsRefused(f"{printable(path)}: not a file. Give --weights a file of VGG-19's weights.")
    return _load(path.resolve(), path.suffix.lower(), status.st_mtime_ns, allow_unknown)


def matching(sha256: str, source: str | Path | None = None, *, allow_unknown: bool = False) -> Weights:
    """Load the weights that a style was measured with.

    Parameters
    ----------
    sha256
        Digest from the style's fingerprint.
    source
        As for `load`. None tries the packaged file, then Keras' file if it is on disk.
    allow_unknown
        As for `load`.

    Returns
    -------
    Weights

    Raises
    ------
    FingerprintMismatch
        If the digests differ. The message names both.
    WeightsRefused
        As for `load`.
    """
    if source is not None:
        weights = load(source, allow_unknown=allow_unknown)
        if weights.sha256 != sha256:
            raise FingerprintMismatch(
                f"{printable(str(source))}: its sha256 is {weights.sha256}, and the style was measured with {sha256}. "
                "Give --weights the file the style was measured with."
            )
        return weights
    packaged = load()
    if packaged.sha256 == sha256:
        return packaged
    cached = _keras_cache()
    if cached.is_file() and digest_file(cached, "sha256") == sha256:
        return load(cached)
    raise FingerprintMismatch(
        f"packaged weights: their sha256 is {packaged.sha256}, and the style was measured with {sha256}. "
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
            "Add --allow-unknown-weights if you trust its source."
        )
    reader = READERS.get(suffix)
    if reader is None:
        raise WeightsRefused(f"{printable(path)}: unknown suffix. Give one of {', '.join(READERS)}.")
    try:
        layers, mean = reader(path)
        return Weights(checked_layers(path, layers), checked_mean(path, mean), sha256)
    except WeightsRefused:
        raise
    except Exception as error:  # parsers raise errors of every class on a damaged file
        reason = printable(f"{type(error).__name__}: {error}")
        raise WeightsRefused(
            f"{printable(path)}: not a {path.suffix} file of VGG-19's weights ({reason}). {ADVICE}"
        ) from error


def _keras_cache() -> Path:
    return _expand_user(Path(os.environ.get("KERAS_HOME") or "~/.keras")) / "models" / KERAS_FILE


def _expand_user(path: Path) -> Path:
    with contextlib.suppress(RuntimeError):  # the user is unknown or has no home: keep the path as it is
        return path.expanduser()
    return path


def _keras_file() -> Path:
    from ..backends.runtime import keras

    home = _keras_cache().parent.parent
    try:
        home.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints its progress to stdout, which is for results
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
