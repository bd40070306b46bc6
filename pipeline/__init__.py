"""The stages that compute: paintings into a bank, photographs out in their style.

    >>> import stylebank, pipeline
    >>> bank = stylebank.Bank("bank")
    >>> pipeline.add(bank, "starry_night.jpg")
    >>> pipeline.apply(bank, "starry_night", ["in/"], "out", size=768)

Keras is loaded when the first painting is measured or the first picture made, and every module when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import report
    from .adding import add
    from .batch import apply
    from .jobs import run_jobs
    from .neighbours import similar
    from .progress import Progress
    from .record import Entry
    from .settings import MeasureSettings, SynthesisSettings

__all__ = ["Entry", "MeasureSettings", "Progress", "SynthesisSettings", "add", "apply", "report", "run_jobs", "similar"]

_MODULES = {
    "Entry": "record",
    "MeasureSettings": "settings",
    "Progress": "progress",
    "SynthesisSettings": "settings",
    "add": "adding",
    "apply": "batch",
    "run_jobs": "jobs",
    "similar": "neighbours",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for from where it is; a command's help needs none of it."""
    if name == "report":
        return importlib.import_module(".report", __name__)
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
