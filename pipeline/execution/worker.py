"""What runs where a picture is made: in this process, in one of several, or on another machine.

A style is set up once in a process and kept for the chunks that follow. Nothing here reads or
writes pictures: subjects come as arrays, and pictures go back as arrays.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from stylebank.errors import StylebankError, UsageError, printable
from stylebank.images import to_uint8

from ..backends.timing import preparing_seconds
from ..settings import AUTO
from ..vgg import weights as weight_files
from . import batching as buckets
from .messages import Chunk, Made, Outcome, Parcel
from .process import Machine, Place, _device, _name, _settle, mark_begun

if TYPE_CHECKING:
    from ..synthesis.stylizer import Stylist

#: Styles kept set up in a process: a run goes from one to the next and does not come back.
_KEPT = 2
_turn = threading.RLock()  # one picture at a time: TensorFlow has the cores, or the device, to itself
_stylists: OrderedDict[str, Stylist] = OrderedDict()
_weights: dict[str, weight_files.Weights] = {}


def work(
    place: Place,
    parcel: Parcel,
    chunk: Chunk,
    on_ready: Callable[[dict[str, str]], None] = lambda machine: None,
    on_moment: Callable[[int, Any], None] = lambda number, moment: None,
) -> Outcome:
    """Make the pictures of a chunk.

    Parameters
    ----------
    place, parcel, chunk
        Where, in which style, of what.
    on_ready
        Called once the style is set up, with backend, device and precision.
    on_moment
        Called with a picture's number and its `synthesis.Moment` after each iteration; only of
        use in the run's own process.

    Returns
    -------
    Outcome
    """
    mark_begun(place, chunk)
    with _turn:
        began = time.perf_counter()
        try:
            _settle(place)
            with _computing(place):
                stylist = _set_up(parcel)
                machine = _machine(place, stylist)
        except StylebankError as error:
            return Outcome({}, fatal=(str(error), error.exit_code))
        ready = time.perf_counter()
        on_ready(machine)
        losses: list[list[float]] = [[] for _ in chunk.subjects]
        ways: list[list[tuple[int, Any]]] = [[] for _ in chunk.subjects]

        def moment_of(index: int, moment: Any) -> None:
            losses[index].append(float(f"{moment.loss:.4g}"))
            if chunk.every and moment.step % chunk.every == 0 and moment.step < moment.steps:
                ways[index].append((moment.step, to_uint8(moment.shown())))
            on_moment(chunk.numbers[index], moment)

        with _computing(place) as preparing:
            together = buckets.stylise_together(
                stylist, chunk.subjects, init=parcel.init, regions=chunk.regions, on_moment=moment_of
            )
            spent = time.perf_counter() - ready
            prepared = min(preparing(), spent)  # by the first picture of a kind, for all that follow
        made = {
            number: _made(
                result, losses[index] if len(losses[index]) == getattr(result, "steps", 0) else [], ways[index]
            )
            for index, (number, result) in enumerate(zip(chunk.numbers, together.results, strict=True))
        }
    return Outcome(made, _name(place), machine, ready - began + prepared, spent - prepared, together.limit)


@contextlib.contextmanager
def _computing(place: Place) -> Iterator[Callable[[], float]]:
    """On the device wanted, and the same way every time where that is wanted; tells what was done once for all."""
    from ..backends import devices

    if place.deterministic:
        devices.make_deterministic()
    before = preparing_seconds()
    with devices.use(place.device):
        yield lambda: preparing_seconds() - before


def describe(place: Place) -> Machine:
    """Tell what computes here; the network's library is loaded for it."""
    with _turn:
        _settle(place)
        from ..backends import devices
        from ..backends import runtime as backend

        device = _device(place)
        return Machine(backend.NAME, device, devices.device_bytes() if device == "gpu" else None)


def faster_precision(place: Place) -> str:
    """Return the precision that a timing finds faster here."""
    with _turn:
        _settle(place)
        from ..backends import devices

        with _computing(place):
            return devices.choose(AUTO)


def _made(result: Any, losses: list[float], way: list[tuple[int, Any]]) -> Made:
    if isinstance(result, StylebankError):
        return Made(error=str(result))
    if isinstance(result, Exception):  # out of memory, or a fault of a library: this picture's alone
        reason = printable(str(result).strip().split("\n")[0]) or "no reason given"
        return Made(error=f"{type(result).__name__}: {reason}. Try a smaller --size.")
    return Made(
        pixels=result.pixels,
        start_loss=result.start_loss,
        final_loss=result.final_loss,
        steps=result.steps,
        losses=losses,
        way=way,
    )


def _set_up(parcel: Parcel) -> Stylist:
    stylist = _stylists.get(parcel.key)
    if stylist is None:
        from ..synthesis.stylizer import Stylist

        weights = _weights.get(parcel.weights_sha256) or parcel.weights or weight_files.matching(parcel.weights_sha256)
        _weights[parcel.weights_sha256] = weights
        stylist = _stylists[parcel.key] = Stylist(parcel.styles, weights, parcel.settings)
    _stylists.move_to_end(parcel.key)
    while len(_stylists) > _KEPT:
        _stylists.popitem(last=False)
    return stylist


def forget() -> None:
    """Let go of every style set up in this process."""
    with _turn:
        _stylists.clear()
        _weights.clear()


def _machine(place: Place, stylist: Stylist) -> dict[str, str]:
    from ..backends import runtime as backend

    device = _device(place)
    if place.devices and device != "gpu":
        wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
        raise UsageError(f"devices: {backend.NAME} finds no GPU {wanted} here. Leave out --devices, or name others.")
    return {"backend": backend.NAME, "device": device, "precision": stylist.precision}
