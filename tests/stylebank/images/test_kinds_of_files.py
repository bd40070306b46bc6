"""Every kind of file in `tests.picture_kinds` shows the pixels that arithmetic gives."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from stylebank import images
from tests.picture_kinds import KINDS


@pytest.mark.parametrize("name", KINDS)
def test_kind_shows_its_pixels_and_opacity_and_notes_what_is_odd(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    kind.write(tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = images.load(tmp_path / name, metadata=True)
    assert picture.size == (64, 48)
    visible = np.ones(picture.pixels.shape[:2], bool) if kind.alpha is None else np.asarray(kind.alpha) > 0
    error = np.abs(picture.pixels.astype(np.float64) - kind.pixels)[visible]
    assert error.max() <= kind.tolerance
    if kind.alpha is None:
        assert picture.alpha is None
    else:
        assert picture.alpha is not None and np.abs(picture.alpha - kind.alpha).max() < 0.01
    if kind.note:
        assert [note for note in picture.notes if kind.note in note] == list(picture.notes)[:1] and len(
            picture.notes
        ) == 1
    else:
        assert picture.notes == ()


@pytest.mark.parametrize("name", KINDS)
def test_size_is_shown_from_the_header_or_left_to_the_decoder(name: str, tmp_path: Path) -> None:
    KINDS[name].write(tmp_path / name)
    assert images.shown_size(tmp_path / name) in {(64, 48), None}
    if name.endswith((".tif", ".dng", ".jpg", ".bmp")):
        assert images.shown_size(tmp_path / name) == (64, 48)
