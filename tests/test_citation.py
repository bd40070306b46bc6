"""The citation file agrees with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

import stylebank

ROOT = Path(__file__).parents[1]


def test_the_citation_has_the_required_keys_and_the_version_and_licence_of_the_package() -> None:
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "stylebank/CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # required by CFF 1.2.0
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == stylebank.__version__
    assert (ROOT / "LICENSE").read_text("utf-8").startswith(f"{citation['license']} License")
    assert all("name" in author or "family-names" in author for author in citation["authors"])
