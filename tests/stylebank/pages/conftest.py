"""Small banks with pictures, for the pages."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylebank.bank import Bank
from stylebank.style import Style
from tests.styles import measured, varied

NASTY = "</script><script>alert(1)</script>"


def jpeg(color: tuple[int, int, int] = (200, 30, 40), size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "JPEG")
    return buffer.getvalue()


def style_with_pictures(name: str, seed: int, tags: tuple[str, ...] = (), **pictures: bytes) -> Style:
    made = varied(name, seed)
    colors = measured(np.random.default_rng(seed).normal(0, 1, (500, 1)) * (40, 30, 20) + (120, 90 + seed, 60))
    made = dataclasses.replace(made, scales={32: {**made.scales[32], "pixels": colors}})
    return dataclasses.replace(
        made, header=dataclasses.replace(made.header, tags=tags), **{"thumbnail": jpeg(), **pictures}
    )


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "bank")
    bank.add(style_with_pictures("wave", 1, ("sea",), swatch=jpeg((0, 0, 250), (32, 32))))
    bank.add(style_with_pictures("storm 🌊", 2, ("sea", "night")))
    bank.add(style_with_pictures("poppies", 3))
    return bank


def data_of(page: str) -> list[dict[str, object]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])
