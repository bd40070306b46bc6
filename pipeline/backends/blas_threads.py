"""Threads of the OpenBLAS that NumPy and SciPy bring.

They wait for each other by spinning. An eigendecomposition synchronises them thousands of times, so beside other busy
processes it takes many times as long as with one thread. At the sizes of a layer, more threads gain nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_limited = False


@contextlib.contextmanager
def single_blas_thread() -> Iterator[None]:
    """Give OpenBLAS one thread within the outermost context, and then the host program's number again.

    Contexts may overlap in several threads of the program. The number belongs to the process, so the context that
    lowered it raises it, even if others go on.
    """
    global _limited
    with _lock:
        outermost, _limited = not _limited, True
    if not outermost:
        yield
        return
    try:
        with ThreadpoolController().select(internal_api="openblas").limit(limits=1):
            yield
    finally:
        with _lock:
            _limited = False
