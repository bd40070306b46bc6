"""Style transfer as optimal transport, with a bank of styles.

    >>> from stylebank import Bank, add, apply
    >>> bank = Bank("bank")
    >>> add(bank, "starry_night.jpg")
    >>> apply(bank, "starry_night", ["in/"], "out", size=768)

Names load when they are used: ``import stylebank`` loads no NumPy, h5py or Keras. `add`, `apply`, `remeasure`,
`run_jobs`, `similar` and `try_styles` come from `pipeline`, the package that computes. The types are in
``__init__.pyi``.
"""

import importlib
import logging
from typing import Any

__version__ = "0.1.0"

#: Each public name with its module.
_MODULES = {
    "Bank": "bank",
    "StylebankError": "errors",
    "distance_matrix": "bank.distances",
    **dict.fromkeys(("Fingerprint", "Gaussian", "Header", "Source", "Style"), "style"),
}
_FROM_PIPELINE = (
    "add",
    "apply",
    "progress_bar",
    "read_record",
    "remeasure",
    "run_jobs",
    "similar",
    "stylize",
    "try_styles",
)
#: Short names of modules.
_SUBMODULES = {
    "atlas": "pages.map",
    "barycenter": "math.barycenter",
    "combine": "bank.combine",
    "gaussian": "math.gaussian",
    "library": "bank.library",
    "similarity": "bank.similarity",
}

logging.getLogger(__name__).addHandler(logging.NullHandler())  # nothing is printed unless the host program asks

__all__ = [*_MODULES, *_FROM_PIPELINE, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f".{_SUBMODULES[name]}", __name__)
    if name in _FROM_PIPELINE:
        module = importlib.import_module("._pipeline", __name__).load()
    elif name in _MODULES:
        module = importlib.import_module(f".{_MODULES[name]}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES} - {"Any", "importlib", "logging"})
