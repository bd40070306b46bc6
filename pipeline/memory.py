"""What a synthesis needs of the computer's memory, told before it begins."""

from __future__ import annotations

import math
from pathlib import Path

from stylebank.errors import UsageError

from . import backend

#: Measured with all 16 layers on TensorFlow: what is loaded once, and by precision what a pixel takes.
_BYTES_A_PIXEL = {"float32": 4_800, "bfloat16": 3_800}
_BYTES_ONCE = 500_000_000


def require_memory(size: tuple[int, int], count: int, precision: str, available: int | None = None) -> None:
    """Refuse `count` pictures of `size` (width, height) that the computer's memory will not hold.

    Nothing is refused on a GPU, whose own error is one picture's failure and no more, nor
    where the system does not say how much memory is free.

    Parameters
    ----------
    available : int, optional
        Bytes; what the system says is free unless given.

    Raises
    ------
    UsageError
        With what is needed, what there is, and the size that fits.
    """
    if available is None:
        available = _free_memory() if backend.device() == "cpu" else None
    width, height = size
    each = _BYTES_A_PIXEL[precision] * count
    needed = _BYTES_ONCE + each * width * height
    if available is not None and needed > available:
        fitting = max(0, available - _BYTES_ONCE) / each
        longest = int(max(size) * math.sqrt(fitting / (width * height)))
        raise UsageError(
            f"{width} x {height} pixels need about {needed / 1e9:.1f} GB of memory, and {available / 1e9:.1f} GB are "
            f"free. Choose --size {longest} or less."
        )


def _free_memory() -> int | None:
    """Bytes that can be had without swapping, where Linux tells."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines)
    kilobytes = fields.get("MemAvailable", "").split()
    return int(kilobytes[0]) * 1024 if kilobytes else None
