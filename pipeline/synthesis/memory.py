"""What a synthesis needs of the computer's memory, told before it begins; by it the whole picture or strips."""

from __future__ import annotations

from stylebank.errors import UsageError

from ..backends.host_memory import free_memory
from .optimizers import optimizer_bytes

#: Measured on TensorFlow with all 16 layers and content, and a tenth or two more (`tests.bench.large`):
#: Python, the library and the weights.
BASE_BYTES = 1_100_000_000
#: What a step takes a pixel, by precision: of the whole picture, and in strips, whose blocks' inputs stay in float32.
BYTES_PER_PIXEL = {"float32": 2_700, "bfloat16": 2_400}
#: What a region beyond the first takes a pixel of the whole picture, and more: measured when its gradients at all
#: layers were there at once.
_BYTES_PER_PIXEL_AND_REGION = {"float32": 1_200, "bfloat16": 600}
_TILED_BYTES_PER_PIXEL = {"float32": 300, "bfloat16": 300}
#: What one strip takes, whatever the picture's size.
_TILE_BYTES = 800_000_000
#: The subject, resized and recoloured, what is begun with, smoothness, and the like: arrays of three float32 a pixel.
_RGB_FLOAT32_ARRAYS = 14
_NO_LIMIT = 1 << 60


def estimate_bytes(
    size: tuple[int, int], count: int, precision: str, *, tiled: bool, optimizer: str = "lbfgs", regions: int = 1
) -> int:
    """Return the bytes a process needs to make `count` pictures of `size` (width, height)."""
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
    """Say whether `count` pictures of `size` (width, height) are to be made in strips; refuse those too large for that.

    Nothing is refused on a GPU, whose own error is one picture's failure and no more, nor
    where the system does not say how much memory is free, unless there is a limit.

    Parameters
    ----------
    available : int, optional
        Bytes; what the system says is free unless given.
    limit : int, optional
        Bytes; no more than this is used, however much is available.
    regions : int
        Styles by region.

    Returns
    -------
    bool
        False where the whole picture's step fits, which is faster.

    Raises
    ------
    UsageError
        With what is needed, what there is, and the size that fits.
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
    message += "are allowed. " if limit_bytes == limit else "are free. "
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
        raise UsageError(
            f"{message}No size fits into that. " + ("Raise the limit." if limit_bytes == limit else "Free some.")
        )
    raise UsageError(
        f"{message}Choose --size {fits} or less{', or a higher --memory-limit' if limit_bytes == limit else ''}."
    )
