"""The package that computes: it measures paintings into a bank, and puts photographs into their styles.

    >>> from stylebank import Bank, add, apply
    >>> bank = Bank("bank")
    >>> add(bank, "starry_night.jpg")
    >>> apply(bank, "starry_night", ["in/"], "out", size=768)

Names load when they are used. Keras loads with the first painting or photograph.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ingest.add import add
    from .ingest.similar import similar
    from .jobs import report
    from .jobs.apply import apply
    from .jobs.events import Finished, Notice, Progress, Started, Stepped
    from .jobs.job_file import run_jobs
    from .jobs.record import Entry
    from .settings import IngestSettings, SynthesisSettings

    MeasureSettings = IngestSettings

__all__ = [
    "Entry",
    "Finished",
    "IngestSettings",
    "MeasureSettings",
    "Notice",
    "Progress",
    "Started",
    "Stepped",
    "SynthesisSettings",
    "add",
    "apply",
    "report",
    "run_jobs",
    "similar",
]

_MODULES = {
    "Entry": "jobs.record",
    "IngestSettings": "settings",
    **dict.fromkeys(("Finished", "Notice", "Progress", "Started", "Stepped"), "jobs.events"),
    "SynthesisSettings": "settings",
    "add": "ingest.add",
    "apply": "jobs.apply",
    "run_jobs": "jobs.job_file",
    "similar": "ingest.similar",
}


def __getattr__(name: str) -> Any:
    if name == "report":
        return importlib.import_module(".jobs.report", __name__)
    if name == "MeasureSettings":  # the older name of IngestSettings
        name = "IngestSettings"
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
