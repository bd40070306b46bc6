"""Formats of an installation with and without pillow-heif and Pillow's AVIF."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator

import pytest
from PIL import features

from stylebank.images import plugins


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    plugins.formats.cache_clear()
    yield
    plugins.formats.cache_clear()


def test_formats_of_every_installation_come_first() -> None:
    assert plugins.formats()[: len(plugins.READ_FORMATS)] == plugins.READ_FORMATS
    assert set(plugins.formats()) <= {*plugins.READ_FORMATS, "AVIF", "HEIF"}


def test_formats_follow_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # importing it fails
    monkeypatch.setattr(features, "check", lambda name: True)
    assert plugins.formats() == (*plugins.READ_FORMATS, "AVIF")
    plugins.formats.cache_clear()
    monkeypatch.setattr(features, "check", lambda name: False)
    assert plugins.formats() == plugins.READ_FORMATS


def test_suffixes_follow_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for avif, heif in ((True, True), (True, False), (False, True), (False, False)):
        monkeypatch.setattr(features, "check", lambda name, avif=avif: avif)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, heif=heif: object() if heif else None)
        expected = {".avif", ".avifs"} if avif else set()
        assert plugins.suffixes() == expected | ({".heic", ".heif", ".hif"} if heif else set())
