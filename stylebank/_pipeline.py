"""Imports `pipeline`, the package beside this one, and no other module of that name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from .errors import PipelineShadowed, printable

_ROOT = Path(__file__).resolve().parents[1]


def load(module: str = "pipeline") -> ModuleType:
    """Import `pipeline` or a module in it.

    A file ``pipeline.py`` in the current folder or on ``PYTHONPATH`` would come first. It is named, and not run.

    Parameters
    ----------
    module
        Full name, such as ``pipeline.cli``.

    Returns
    -------
    module

    Raises
    ------
    PipelineShadowed
        If Python would import another file by that name, or if the package is missing.
    """
    file = _file()
    if file is None:
        raise PipelineShadowed(f"{printable(_ROOT)}: has no package 'pipeline'. Install stylebank again.")
    if file.resolve() != _ROOT / "pipeline" / "__init__.py":
        raise PipelineShadowed(
            f"{printable(file)}: hides the package 'pipeline' of stylebank. Rename it, or run from another folder."
        )
    return importlib.import_module(module)


def _file() -> Path | None:
    """Return the file that ``import pipeline`` runs or has run, without running it."""
    loaded = sys.modules.get("pipeline")
    if loaded is not None:
        file = getattr(loaded, "__file__", None)
    else:
        spec = importlib.util.find_spec("pipeline")
        file = spec.origin if spec is not None else None
    return Path(file) if file else None
