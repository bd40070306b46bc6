"""Sources of weights: the packaged file, a file of the user, Keras' file."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline.vgg import weights
from stylebank.errors import FingerprintMismatch, WeightsRefused
from stylebank.style import CONVOLUTIONS

from .weight_files import refusal

CODEBOOK_SHA256 = "00a598d54da25ce79e83139298f2b62386e4d2a54085e5f3d43f875c68b37406"


@pytest.fixture
def unknown(tmp_path: Path) -> Any:
    """A file of VGG-19's weights with an unknown digest."""
    path = tmp_path / "unknown.h5"
    shutil.copy(weights.PACKAGED, path)
    with h5py.File(path, "a") as file:
        file.attrs["origin"] = "somebody's disk"
    yield path
    path.unlink()


def test_packaged_weights_are_the_known_ones(vgg: weights.Weights) -> None:
    assert vgg.sha256 == CODEBOOK_SHA256 == hashlib.sha256(weights.PACKAGED.read_bytes()).hexdigest()
    assert list(vgg.layers) == list(CONVOLUTIONS)
    assert sum(kernel.size + bias.size for kernel, bias in vgg.layers.values()) == 20_024_384
    assert np.allclose(vgg.mean_pixel_bgr, [103.939, 116.779, 123.68])
    assert weights.load("packaged") is weights.load()
    assert weights.load().sha256 == vgg.sha256


def test_the_repr_of_weights_fits_a_line(vgg: weights.Weights) -> None:
    assert repr(vgg) == "Weights(layers=16, sha256='00a598d54da2')"


def test_unknown_file_needs_allow_unknown(unknown: Path) -> None:
    digest = hashlib.sha256(unknown.read_bytes()).hexdigest()
    message = refusal(unknown, allow_unknown=False)
    assert f"sha256 {digest} is not in the table of known VGG-19 files" in message
    assert "--allow-unknown-weights" in message
    assert weights.load(unknown, allow_unknown=True).sha256 == digest
    refusal(unknown, allow_unknown=False)


def test_known_file_is_recognised_by_digest_under_any_name(tmp_path: Path, vgg: weights.Weights) -> None:
    shutil.copy(weights.PACKAGED, tmp_path / "renamed.hdf5")
    assert weights.load(tmp_path / "renamed.hdf5").sha256 == vgg.sha256
    assert weights.load(str(tmp_path / "renamed.hdf5")).sha256 == vgg.sha256
    (tmp_path / "renamed.hdf5").unlink()


def test_changed_file_is_read_again(unknown: Path) -> None:
    before = weights.load(unknown, allow_unknown=True)
    with h5py.File(unknown, "a") as file:
        file["conv1_1/bias"][0] = 42
    os.utime(unknown, ns=(1, 1))
    after = weights.load(unknown, allow_unknown=True)
    assert after.sha256 != before.sha256
    assert after.layers["conv1_1"][1][0] == 42


def test_unknown_suffix_is_refused_with_the_known_ones(unknown: Path, tmp_path: Path) -> None:
    shutil.copy(unknown, tmp_path / "x.ckpt")
    assert "Give one of .h5, .hdf5, .mat, .npy." in refusal(tmp_path / "x.ckpt")
    (tmp_path / "x.ckpt").unlink()


def test_folders_pipes_and_missing_files_are_refused(tmp_path: Path) -> None:
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
        weights.load("/proc/self/mem")  # stat calls it a regular file, and its first byte cannot be read


def test_style_of_the_packaged_weights_finds_them(vgg: weights.Weights) -> None:
    assert weights.matching(vgg.sha256).sha256 == vgg.sha256
    assert weights.matching(vgg.sha256, "packaged").sha256 == vgg.sha256


def test_style_of_other_weights_is_refused_with_both_digests(unknown: Path, vgg: weights.Weights) -> None:
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
    """A file in place of Keras' own: its URL and its digest count as known."""
    md5 = hashlib.md5(unknown.read_bytes()).hexdigest()
    monkeypatch.setattr(weights, "_KERAS_URL", unknown.as_uri())
    monkeypatch.setattr(weights, "KERAS_MD5", md5)
    monkeypatch.setitem(weights.KNOWN, ("md5", md5), "keras")
    return unknown


def test_keras_file_is_downloaded_once_and_is_known(
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


def test_failed_download_names_the_remedy(keras_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_cached_file_with_another_digest_is_ignored(keras_home: Path) -> None:
    cached = keras_home / "models" / weights.KERAS_FILE
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"something else")
    with pytest.raises(FingerprintMismatch):
        weights.matching("0" * 64)
