"""Styles as sets of Gaussians, kept in a bank of HDF5 files.

This package loads neither Keras nor TensorFlow: it opens, lists, checks and changes banks in
milliseconds. Measuring paintings and making pictures is `pipeline`'s.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bank import Bank
    from .errors import StylebankError
    from .style import Fingerprint, Gaussian, Header, Source, Style

__version__ = "0.1.0"
__all__ = ["Bank", "Fingerprint", "Gaussian", "Header", "Source", "Style", "StylebankError", "__version__"]

_MODULES = {
    "Bank": "bank",
    "StylebankError": "errors",
    **dict.fromkeys(("Fingerprint", "Gaussian", "Header", "Source", "Style"), "style"),
}


#: Modules that can be imported from here by these names.
_SUBMODULES = {
    "atlas": "pages.map",
    "barycenter": "math.barycenter",
    "combine": "bank.combine",
    "gaussian": "math.gaussian",
    "library": "bank.library",
    "similarity": "bank.similarity",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for from where it is: a command's help needs neither NumPy nor h5py."""
    if name in _SUBMODULES:
        return importlib.import_module(f".{_SUBMODULES[name]}", __name__)
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
