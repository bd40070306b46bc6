from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pipeline.cli import logs
from pipeline.cli.errors import report_error
from pipeline.cli.signals import Terminated, terminated_like_interrupted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_is_raised_once_and_handlers_are_restored(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    other = signal.SIGHUP if number == signal.SIGTERM else signal.SIGTERM
    with pytest.raises(Terminated) as ended, terminated_like_interrupted():
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        finally:
            os.kill(os.getpid(), other)  # a service manager sends both
    assert ended.value.signal == number and isinstance(ended.value, KeyboardInterrupt)
    with logs.handled():
        assert report_error(ended.value) == 128 + number
    assert capsys.readouterr().err == f"Ended by {number.name}. What was finished is kept.\n"
    assert signal.getsignal(number) == signal.getsignal(other) == signal.SIG_DFL


def test_ignored_hangup_stays_ignored_as_nohup_asks_for() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminated_like_interrupted():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_same_signal_again_ends_the_process_at_once() -> None:
    code = (
        "import os, signal, time\n"
        "from pipeline.cli.signals import terminated_like_interrupted\n"
        "with terminated_like_interrupted():\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        "    finally: os.kill(os.getpid(), signal.SIGTERM); time.sleep(5); print('late')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGTERM and done.stdout == ""


def test_another_thread_leaves_the_handlers_alone() -> None:
    seen = []

    def enter() -> None:
        with terminated_like_interrupted():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]
