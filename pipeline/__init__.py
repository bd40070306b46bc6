"""The package that computes: it measures paintings into a bank, and puts photographs into their styles.

    >>> from stylebank import Bank, add, apply
    >>> bank = Bank("bank")
    >>> add(bank, "starry_night.jpg")
    >>> apply(bank, "starry_night", ["in/"], "out", size=768)

Names load when they are used. Keras loads with the first painting or photograph.
The types are in ``__init__.pyi``.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

_MODULES = {
    "Entry": "jobs.record",
    "ImagesFailed": "jobs.apply",
    "IngestSettings": "settings",
    **dict.fromkeys(("Finished", "Notice", "Progress", "Started", "Stepped"), "jobs.events"),
    "Preset": "jobs.presets",
    "SynthesisSettings": "settings",
    "add": "ingest.add",
    "apply": "jobs.apply",
    "presets": "jobs.presets",
    "progress_bar": "jobs.progress_bar",
    "read_record": "jobs.read_record",
    "remeasure": "ingest.remeasure",
    "run_jobs": "jobs.job_file",
    "similar": "ingest.similar",
    "stylize": "jobs.stylize",
    "try_styles": "jobs.try_styles",
}

logging.getLogger(__name__).addHandler(logging.NullHandler())  # nothing is printed unless the host program asks

__all__ = [*_MODULES, "MeasureSettings", "report"]


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
