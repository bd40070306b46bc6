"""Signals that end a command from outside: SIGTERM and SIGHUP do what Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

#: Sent by a service manager, a scheduler or `kill`, and by a terminal that closes. Windows has only the first.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(KeyboardInterrupt):
    """A signal asked the process to end.

    Attributes
    ----------
    signal : signal.Signals
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = signal.Signals(number)


@contextlib.contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Raise `Terminated` in the main thread at the first SIGTERM or SIGHUP; restore the handlers on exit.

    A signal that is ignored, as nohup ignores SIGHUP, stays ignored. After the first signal, the same one again ends
    the process at once, and the other one is ignored: a service manager may send both.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    handled = [number for number, handler in before.items() if handler == signal.SIG_DFL]

    def end(number: int, _frame: FrameType | None) -> None:
        for other in handled:
            signal.signal(other, signal.SIG_DFL if other == number else signal.SIG_IGN)
        raise Terminated(number)

    for number in handled:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])
