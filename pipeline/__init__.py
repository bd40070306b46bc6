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
    from .ingest.add import add
    from .ingest.similar import similar
    from .jobs import report
    from .jobs.apply import apply
    from .jobs.events import Progress
    from .jobs.job_file import run_jobs
    from .jobs.record import Entry
    from .settings import IngestSettings, SynthesisSettings

__all__ = ["Entry", "IngestSettings", "Progress", "SynthesisSettings", "add", "apply", "report", "run_jobs", "similar"]

_MODULES = {
    "Entry": "jobs.record",
    "IngestSettings": "settings",
    "Progress": "jobs.events",
    "SynthesisSettings": "settings",
    "add": "ingest.add",
    "apply": "jobs.apply",
    "run_jobs": "jobs.job_file",
    "similar": "ingest.similar",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for from where it is; a command's help needs none of it."""
    if name == "report":
        return importlib.import_module(".jobs.report", __name__)
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
