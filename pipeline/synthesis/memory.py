"""Estimate the memory of a synthesis, and choose between the whole image and tiles."""

from __future__ import annotations

import re

from stylebank.errors import UsageError

from ..backends.host_memory import free_memory, sharing_processes
from .optimizers import optimizer_bytes

#: Python, the backend and the weights. These constants hold for TensorFlow with all 16 layers and content, with a
#: margin of 10 to 20 % (`tests.bench.large`).
BASE_BYTES = 1_100_000_000
#: A step on the whole image, by precision.
BYTES_PER_PIXEL = {"float32": 2_700, "bfloat16": 2_400}
#: Each region beyond the first adds this for the whole image. It is an upper bound.
_BYTES_PER_PIXEL_AND_REGION = {"float32": 1_200, "bfloat16": 600}
#: A step in tiles. The inputs of the blocks stay in float32 at both precisions.
_TILED_BYTES_PER_PIXEL = {"float32": 300, "bfloat16": 300}
#: One tile, independent of the size of the image.
_TILE_BYTES = 800_000_000
#: Arrays of three float32 per pixel: the subject at several sizes, the first image, smoothness, and others.
_RGB_FLOAT32_ARRAYS = 14
_NO_LIMIT = 1 << 60
#: The size that fits, in the message of `require_memory`.
SIZE_ADVICE = re.compile(r"Choose --size (\d+) or less")


def estimate_bytes(
    size: tuple[int, int], count: int, precision: str, *, tiled: bool, optimizer: str = "lbfgs", regions: int = 1
) -> int:
    """Return the bytes that a process needs to stylize `count` images of `size` (width, height) together.

    Parameters
    ----------
    precision : {"float32", "bfloat16"}
    tiled
        Whether the objective works tile by tile.
    optimizer
        Name of the optimiser.
    regions
        Number of styles by region.
    """
    pixels = count * size[0] * size[1]
    bytes_per_pixel = (
        _TILED_BYTES_PER_PIXEL[precision]
        if tiled
        else BYTES_PER_PIXEL[precision] + (regions - 1) * _BYTES_PER_PIXEL_AND_REGION[precision]
    )
    optimizer_total = count * optimizer_bytes(optimizer, 3 * size[0] * size[1])
    return (
        BASE_BYTES
        + (_TILE_BYTES if tiled else 0)
        + (bytes_per_pixel + 12 * _RGB_FLOAT32_ARRAYS) * pixels
        + optimizer_total
    )


def require_memory(
    size: tuple[int, int],
    count: int,
    precision: str,
    available: int | None = None,
    *,
    optimizer: str = "lbfgs",
    limit: int | None = None,
    regions: int = 1,
) -> bool:
    """Return whether `count` images of `size` (width, height) need tiles, and refuse sizes too large for tiles.

    On a GPU, and where the system does not report free memory, only `limit` applies. A GPU that runs out of memory
    raises an error of its own.

    Parameters
    ----------
    precision : {"float32", "bfloat16"}
    available : int, optional
        Available bytes; by default this process' part of the free memory of the system.
    optimizer
        Name of the optimiser.
    limit : int, optional
        Bytes to use at most, even if more are available.
    regions : int
        Number of styles by region.

    Returns
    -------
    bool
        False if the whole image fits, which is faster.

    Raises
    ------
    UsageError
        If tiles need too much memory. The message names the need, the limit, and the size that fits.
    """
    if available is None:
        from ..backends import devices

        available = free_memory() if devices.device() == "cpu" else None
    limit_bytes = min(available if available is not None else _NO_LIMIT, limit if limit is not None else _NO_LIMIT)
    if estimate_bytes(size, count, precision, tiled=False, optimizer=optimizer, regions=regions) <= limit_bytes:
        return False
    tiled_bytes = estimate_bytes(size, count, precision, tiled=True, optimizer=optimizer)
    if tiled_bytes <= limit_bytes:
        return True
    width, height = size
    message = (
        f"{width} x {height} pixels need about {tiled_bytes / 1e9:.1f} GB of memory, and {limit_bytes / 1e9:.1f} GB "
    )
    processes = sharing_processes()
    if limit_bytes == limit:
        message += "are allowed. "
    else:
        message += f"are free for each of {processes} processes. " if processes > 1 else "are free. "
    longest = max(size)
    fits = 0
    while longest - fits > 1:
        side = (longest + fits) // 2
        smaller = max(1, side * width // max(size)), max(1, side * height // max(size))
        if estimate_bytes(smaller, count, precision, tiled=True, optimizer=optimizer) <= limit_bytes:
            fits = side
        else:
            longest = side
    if fits < 32:
        advice = "Free some memory." if processes == 1 else "Give fewer --jobs."
        raise UsageError(f"{message}No size fits. " + ("Raise --memory-limit." if limit_bytes == limit else advice))
    raise UsageError(
        f"{message}Choose --size {fits} or less{', or a higher --memory-limit' if limit_bytes == limit else ''}."
    )
