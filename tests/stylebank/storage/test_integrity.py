from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from stylebank.bank import Bank
from stylebank.errors import StylebankError, StyleDamaged
from stylebank.names import file_name
from stylebank.storage import integrity, reader
from stylebank.style import Style
from tests.stylebank.storage.style_files import CHANNELS, SCALE, refusals, written
from tests.styles import difference, measured, style

ROOT = Path(__file__).parents[3]


def with_gaussian(**arrays: object) -> Style:
    """A style whose digests are right and whose numbers are as given."""
    whole = style(layers=("conv1_1",))
    wrong = dataclasses.replace(whole.scales[32]["conv1_1"], **arrays)
    return dataclasses.replace(whole, scales={32: {"conv1_1": wrong}})


@pytest.mark.parametrize("count", [1, 2, 63])
def test_singular_covariances_are_whole(tmp_path: Path, count: int) -> None:
    rows = np.random.default_rng(1).normal(100, 30, (count, CHANNELS))
    flat = dataclasses.replace(style(layers=("conv1_1",)), scales={32: {"conv1_1": measured(rows)}})
    assert reader.read(written(tmp_path / "x.h5", flat)).scales[32]["conv1_1"].count == count


def test_a_gradient_of_sixteen_orders_of_magnitude_is_whole(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(0, np.logspace(-10, 6, CHANNELS), (500, CHANNELS))
    wide = dataclasses.replace(style(layers=("conv1_1",)), scales={32: {"conv1_1": measured(rows)}})
    reader.read(written(tmp_path / "x.h5", wide))


def test_the_digest_is_of_the_numbers_and_not_of_the_name(tmp_path: Path) -> None:
    def digest(content: Style) -> str:
        return reader.read_header(written(tmp_path / "x.h5", content)).content_sha256

    one = digest(style())
    assert digest(style("another", tags=(), thumbnail=b"")) == one
    assert digest(style(seed=1)) != one
    assert digest(style(layers=("conv1_1",))) != one
    other_weights = dataclasses.replace(style().header.fingerprint, weights_sha256="ef" * 32)
    assert (
        digest(dataclasses.replace(style(), header=dataclasses.replace(style().header, fingerprint=other_weights)))
        != one
    )


# numbers


def roots(*diagonal: float) -> np.ndarray:
    return np.diag(np.r_[diagonal, np.zeros(CHANNELS - len(diagonal))]).astype(np.float32)


def spectrum(*values: float) -> np.ndarray:
    return np.r_[values, np.zeros(CHANNELS - len(values))].astype(np.float32)


def poked(key: str, index: tuple[int, ...], value: float) -> Style:
    array = getattr(style(layers=("conv1_1",)).scales[32]["conv1_1"], key).copy()
    array[index] = value
    return with_gaussian(**{key: array})


def flipped_smallest(sign_kept_in_spectrum: bool) -> Style:
    whole = style(layers=("conv1_1",)).scales[32]["conv1_1"]
    values, vectors = np.linalg.eigh(whole.cov.astype(np.float64))
    signs = np.ones(CHANNELS)
    signs[CHANNELS // 2] = -1
    eigenvalues = whole.eigenvalues if sign_kept_in_spectrum else np.sort((values * signs).astype(np.float32))[::-1]
    return with_gaussian(
        cov_sqrt=(vectors * (np.sqrt(values) * signs) @ vectors.T).astype(np.float32), eigenvalues=eigenvalues
    )


def overflowing() -> Style:
    root = np.eye(CHANNELS, dtype=np.float32)
    for i, j, sign in ((0, 1, 1), (0, 2, 1), (1, 2, -1), (0, 3, 1), (1, 3, 1), (2, 3, 1)):
        root[i, j] = root[j, i] = sign * np.float32(3e38)
    ones = np.ones(CHANNELS, np.float32)
    return with_gaussian(cov=np.eye(CHANNELS, dtype=np.float32), cov_sqrt=root, eigenvalues=ones)


def asymmetric_cov() -> Style:
    return poked("cov", (0, 1), 5.0)


NUMBERS: dict[str, tuple[Callable[[], Style], str]] = {
    **{f"NaN in {key}": (lambda key=key: poked(key, (5,), np.nan), f"{key} holds values") for key in integrity.ARRAYS},
    **{f"Inf in {key}": (lambda key=key: poked(key, (5,), np.inf), f"{key} holds values") for key in integrity.ARRAYS},
    "cov not symmetric": (asymmetric_cov, "cov is not symmetric"),
    "root not symmetric": (lambda: poked("cov_sqrt", (0, 1), 5.0), "cov_sqrt is not symmetric"),
    "negative eigenvalue": (lambda: poked("eigenvalues", (-1,), -1e-3), "negative or not in descending order"),
    "eigenvalues not in order": (lambda: poked("eigenvalues", (0,), 0.0), "negative or not in descending order"),
    "cov not positive": (
        lambda: with_gaussian(cov=roots(4, 1, -1), cov_sqrt=roots(2, 1, 0), eigenvalues=spectrum(4, 0, 0)),
        "cov_sqrt squared is not cov",
    ),
    "root of another cov": (lambda: with_gaussian(cov_sqrt=3.01 * np.eye(64, dtype="f4")), "squared is not cov"),
    "root of nothing": (lambda: with_gaussian(cov_sqrt=np.zeros((64, 64), "f4")), "squared is not cov"),
    "cov of nothing": (lambda: with_gaussian(cov=np.zeros((64, 64), "f4")), "squared is not cov"),
    "one sign of the root flipped": (lambda: flipped_smallest(True), "negative eigenvalue"),
    "one sign flipped here and there": (lambda: flipped_smallest(False), "negative or not in descending order"),
    "one sign flipped and the traces made to fit": (
        lambda: with_gaussian(cov=roots(1, 1, 1, 1), cov_sqrt=roots(1, 1, 1, -1), eigenvalues=spectrum(4)),
        "negative eigenvalue",
    ),
    "eigenvalues of another cov": (
        lambda: with_gaussian(cov=roots(4, 1), cov_sqrt=roots(2, 1), eigenvalues=spectrum(4, 2)),
        "trace of cov is 5, and the eigenvalues say 6",
    ),
    "eigenvalues of the right sum": (
        lambda: with_gaussian(cov=roots(4, 1), cov_sqrt=roots(2, 1), eigenvalues=spectrum(5)),
        "trace of cov_sqrt, squared is 9, and the eigenvalues say 5",
    ),
    "so large that squares overflow": (overflowing, "squared is not cov"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_no_covariance_has_are_refused_though_the_digests_are_right(tmp_path: Path, case: str) -> None:
    make, reason = NUMBERS[case]
    path = written(tmp_path / file_name("wave"), make())
    assert reader.read_header(path).name == "wave"
    for way, error in refusals(path, header_too=False).items():
        assert re.search(reason, str(error)), way


@pytest.mark.parametrize("case", ["NaN in cov", "root of another cov", "one sign of the root flipped"])
def test_a_bank_does_not_take_in_numbers_no_covariance_has(tmp_path: Path, case: str) -> None:
    make, reason = NUMBERS[case]
    bank = Bank(tmp_path)
    with pytest.raises(StylebankError, match=reason) as caught:
        bank.add(make())
    assert str(caught.value).startswith(str(tmp_path / file_name("wave")))
    assert bank.names() == [] and not list(tmp_path.glob(".stylebank-tmp-*"))


# damage


def survey(folder: str, kind: str, seed: int, count: int) -> None:
    """Damage a file in `count` ways, print what came of each as one line of JSON."""
    path = written(Path(folder) / "whole.h5", style(layers=("pixels", "conv1_1")))
    whole, data = reader.read(path), path.read_bytes()
    with h5py.File(path) as file:
        arrays = [
            file[f"{SCALE}/{layer}/{key}"] for layer in whole.header.fingerprint.layers for key in integrity.ARRAYS
        ]
        held = {o for array in arrays for o in range(array.id.get_offset(), array.id.get_offset() + array.nbytes)}
    metadata = np.array([offset for offset in range(len(data)) if offset not in held])
    random = np.random.default_rng(seed)
    for index in range(count):
        broken = bytearray(data)
        if kind == "flips":
            # the arrays fill most of the file; every second flip is elsewhere
            at = int(random.choice(metadata) if index % 2 else random.integers(len(data)))
            broken[at] ^= 1 << int(random.integers(8))
        else:
            at = len(data) * index // count
            del broken[at:]
        path.write_bytes(broken)
        outcome = {"at": at, "in_array": at in held}
        for way, read in (("read", reader.read), ("header", lambda path: Style(reader.read_header(path), {}))):
            try:
                got = read(path)
                expected = whole if way == "read" else Style(whole.header, {})
                outcome[way] = difference(got, expected) or "identical"
            except StyleDamaged:
                outcome[way] = "damaged"
            except BaseException as error:
                outcome[way] = repr(error)
        print(json.dumps(outcome), flush=True)


def surveyed(folder: Path, kind: str, count: int, seed: int = 20260131) -> list[dict[str, object]]:
    """Run `survey` in a process of its own, which libhdf5 could bring down."""
    code = (
        f"from tests.stylebank.storage.test_integrity import survey; survey({str(folder)!r}, {kind!r}, {seed}, {count})"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    outcomes = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 0, f"number {len(outcomes)} ended the process: {run.stderr[-500:]}"
    assert len(outcomes) == count
    return outcomes


def test_a_flipped_bit_is_found_or_harmless(tmp_path: Path) -> None:
    outcomes = surveyed(tmp_path, "flips", 200)
    assert {outcome["read"] for outcome in outcomes} == {"damaged", "identical"}
    assert {outcome["header"] for outcome in outcomes} == {"damaged", "identical"}
    in_arrays = [outcome["read"] for outcome in outcomes if outcome["in_array"]]
    assert len(in_arrays) > 50 and set(in_arrays) == {"damaged"}


def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    outcomes = surveyed(tmp_path, "cuts", 60)
    assert {(outcome["read"], outcome["header"]) for outcome in outcomes} == {("damaged", "damaged")}


def test_a_swatch_is_no_part_of_a_styles_identity(tmp_path: Path) -> None:
    plain = reader.read_header(written(tmp_path / "x.h5", style())).content_sha256
    path = written(tmp_path / "y.h5", dataclasses.replace(style(), swatch=b"\xff\xd8 texture"))
    assert reader.read_header(path).content_sha256 == plain
    path.write_bytes(path.read_bytes().replace(b"\xff\xd8 texture", b"\xff\xd8 testure"))
    with pytest.raises(StyleDamaged, match="header_sha256"):
        reader.read_header(path)
