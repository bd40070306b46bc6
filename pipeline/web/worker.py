"""``python -m pipeline.web.worker`` computes jobs that come as JSON lines on stdin, and reports on stdout.

It is a process of its own, so that the page answers while it computes and a job can be ended at any point. It ends when
its stdin does, so that it never outlives the server.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import msgspec

from stylebank.bank import Bank
from stylebank.errors import StylebankError, printable

from .live import LiveOutputs, Stopped
from .model import FAILED, STOPPED, Job, output_name, style_texts

Send = Callable[..., None]


class Order(msgspec.Struct, kw_only=True):
    """A line on stdin.

    Attributes
    ----------
    do : {"job", "stop", "take"}
    id : str
        Of the job.
    job : Job or None
    bank, photo, folder : str
        The bank, the uploaded file, and the folder of the job's files.
    mask : str
        Path of the mask; empty for none.
    device : str or None
    deterministic : bool
    max_pixels : int
    """

    do: str
    id: str
    job: Job | None = None
    bank: str = ""
    photo: str = ""
    mask: str = ""
    folder: str = ""
    device: str | None = None
    deterministic: bool = False
    max_pixels: int = 0


class _Current:
    """The job that is computed, which the thread of orders may end."""

    def __init__(self) -> None:
        self.id = ""
        self.stop = threading.Event()
        self.outputs: LiveOutputs | None = None

    def begin(self, identifier: str) -> None:
        self.id, self.outputs = identifier, None
        self.stop.clear()


def main() -> None:
    """Compute jobs until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this process
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no event
    lock = threading.Lock()
    encoder = msgspec.json.Encoder()

    def send(event: str, **fields: Any) -> None:
        with lock, contextlib.suppress(OSError):
            channel.write(encoder.encode({"event": event, **fields}).decode() + "\n")
            channel.flush()

    orders: queue.Queue[Order] = queue.Queue()
    current = _Current()
    threading.Thread(target=_listen, args=(sys.stdin, orders, current, send), daemon=True).start()
    while True:
        order = orders.get()
        assert order.job is not None
        current.begin(order.id)
        try:
            result = _compute(order, order.job, current, send)
        except Stopped:
            taken = current.outputs.taken if current.outputs is not None else None
            result = taken or {"status": STOPPED}
        except StylebankError as error:
            result = {"status": FAILED, "error": str(error)}
        except MemoryError:
            result = {"status": FAILED, "error": "The memory is used up. Choose a smaller size."}
        except Exception as error:
            reason = printable(str(error).strip().split("\n")[0]) or "no reason given"
            result = {"status": FAILED, "error": f"{type(error).__name__}: {reason}."}
        send("end", id=order.id, **result)


def _listen(stream: IO[str], orders: queue.Queue[Order], current: _Current, send: Send) -> None:
    """Take orders until the server's end closes; a job is then left as it is."""
    decoder = msgspec.json.Decoder(Order)
    for line in stream:
        order = decoder.decode(line)
        if order.do == "job":
            orders.put(order)
        elif order.id == current.id:
            try:
                if order.do == "take" and current.outputs is not None:
                    current.outputs.take()
                current.stop.set()
            except (StylebankError, OSError) as error:  # such as a disk that is full; the job goes on
                send("note", id=order.id, text=f"The picture as it is cannot be written: {error}")
    os._exit(0)


def _compute(order: Order, job: Job, current: _Current, send: Send) -> dict[str, Any]:
    if job.kind == "painting":
        return _measure(order, job, current, send)
    return _stylize(order, job, current, send)


def _stylize(order: Order, job: Job, current: _Current, send: Send) -> dict[str, Any]:
    """Make a picture by the calls that `apply` makes."""
    from ..execution.executors import InProcessExecutor
    from ..jobs import apply

    settings = dict(job.settings)
    if order.mask:
        settings["mask"] = order.mask
    output = Path(order.folder) / output_name(settings)
    run = apply.prepare(
        Bank(order.bank),
        style_texts(job.styles),
        [order.photo],
        output,
        max_pixels=order.max_pixels,
        **settings,
    )

    def send_preview(number: int) -> None:
        send("preview", id=order.id, number=number)

    run.outputs = current.outputs = LiveOutputs(run, send_preview)

    def listen(progress: Any) -> None:
        if progress.kind == "step":
            send("step", id=order.id, step=progress.step, steps=progress.steps, seconds_left=progress.seconds_left)
        elif progress.kind == "note":
            send("note", id=order.id, text=progress.text)
        if current.stop.is_set() and progress.kind in {"begin", "step"}:
            raise Stopped

    class WarmExecutor(InProcessExecutor):
        """Keeps the network and the compiled step for the next job."""

        def __exit__(self, *_error: object) -> None:
            pass

    device = None if order.device == "auto" else order.device
    executor = WarmExecutor(device=device, deterministic=order.deterministic)
    (entry,) = apply.execute([run], executor, batch_size=1, listener=listen)
    if current.outputs.taken is not None:  # during its last step
        return current.outputs.taken
    if entry.status == FAILED:
        return {"status": FAILED, "error": str(entry.error)}
    return {
        "status": entry.status,
        "size": [entry.width, entry.height],
        "precision": entry.precision or "",
        "files": current.outputs.files,
    }


def _measure(order: Order, job: Job, current: _Current, send: Send) -> dict[str, Any]:
    """Measure a painting and add it to the bank."""
    from ..ingest.add import add

    def on_scale(scale: int, number: int, total: int) -> None:
        if current.stop.is_set():
            raise Stopped
        send("step", id=order.id, step=number - 1, steps=total, seconds_left=None)

    header = add(
        Bank(order.bank),
        order.photo,
        name=job.name,
        tags=job.tags,
        max_pixels=order.max_pixels,
        note=lambda text: send("note", id=order.id, text=text),
        on_scale=on_scale,
    )
    return {"status": "done", "size": [header.source.width, header.source.height], "files": []}


if __name__ == "__main__":
    main()
