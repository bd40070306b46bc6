"""Ways to make a picture that the studies compare: fields of the settings by name."""

from __future__ import annotations

from typing import Any

from stylebank.style import CONVOLUTIONS

_NINE = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_3", "relu4_1", "relu4_3", "relu5_1")
_PLAIN_CONTENT = {"content_layers": ["relu4_2"], "content_detail": 0.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "original": {"preset": "original", "measure": {"preset": "original"}},
    "before": {  # the defaults of ALGORITHM 3: its unit of content weight was 0.1, and is 0.35
        "measure": {"layers": list(CONVOLUTIONS), "pooling": "avg"},
        "steps": 40,
        "content_weight": 0.1 / 0.35,
        "content_layers": ["conv4_2"],
        "content_detail": 0.0,
    },
    "plain content": _PLAIN_CONTENT,
    "detail alone": {"content_layers": ["relu4_2"]},
    "average pooling": {"measure": {"pooling": "avg"}},
    "nine layers": {"measure": {"layers": _NINE}},
    "replicate": {"measure": {"padding": "replicate"}},
    "one size": {"coarse_to_fine": False},
    "own colors": {"match_color": False},
}
