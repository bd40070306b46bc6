"""The server as a process: its address, its lock, and its end by a signal."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import FAKE, picture

ROOT = Path(__file__).parents[2]
#: The command line with a process that computes negatives.
PROGRAM = (
    "import sys; from pipeline.web import process, studio; "
    f"studio.StudioOptions.__init__.__defaults__ = (4_000_000_000, 80_000_000, None, False, {FAKE!r}); "
    "from pipeline.cli import main; main()"
)


class Server:
    """A server that runs."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address
        self.name = address.split("/")[2]

    def request(self, method: str, path: str, body: bytes = b"") -> Any:
        connection = http.client.HTTPConnection(self.name, timeout=30)
        connection.request(method, path, body, {"Origin": f"http://{self.name}"})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        assert answer.status == 200, content
        return json.loads(content)

    def order(self, **settings: Any) -> str:
        photo = self.request("POST", "/api/uploads", picture())["id"]
        settings = {"size": 64, "steps": 1000, "precision": "float32", **settings}
        order = {"photos": [{"id": photo}], "styles": [{"name": "wave"}], "settings": settings}
        identifier: str = self.request("POST", "/api/pictures", json.dumps(order).encode())[0]["id"]
        return identifier

    def wait_for_step(self) -> None:
        deadline = time.monotonic() + 60
        while not any(job["step"] for job in self.request("GET", "/api/jobs")["jobs"]):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def arguments(bank: Any, folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, "--bank", str(bank.folder), "serve", "--folder", str(folder), *options]


@contextmanager
def serving(bank: Any, folder: Path, *options: str, fake: bool = True) -> Iterator[Server]:
    words = arguments(bank, folder, "--port", "0", *options)
    if not fake:
        words[1:3] = ["-m", "stylebank"]
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # as a terminal starts it: pytest may run with SIGINT ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), process.communicate()
        yield Server(process, address)
    finally:
        process.kill()
        process.wait()


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in listed]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are counted in /proc")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)]
)
def test_a_signal_ends_server_and_process_within_seconds(bank: Any, tmp_path: Path, number: int, code: int) -> None:
    with serving(bank, tmp_path / "serve") as server:
        # a page that listens, and an upload that never ends
        events, upload = (socket.create_connection(server.name.split(":"), timeout=30) for _ in range(2))
        events.sendall(f"GET /api/events HTTP/1.1\r\nHost: {server.name}\r\n\r\n".encode())
        head = f"POST /api/uploads HTTP/1.1\r\nHost: {server.name}\r\nOrigin: http://{server.name}\r\n"
        upload.sendall(f"{head}Content-Length: 1000\r\n\r\nabc".encode())
        server.order(seed=20)
        server.wait_for_step()
        (child,) = children(server.process.pid)
        began = time.monotonic()
        server.process.send_signal(number)
        assert server.process.wait(20) == code
        while lives(child):
            assert time.monotonic() - began < 10
            time.sleep(0.05)
        assert time.monotonic() - began < 10
        assert server.process.stderr is not None
        assert "Traceback" not in server.process.stderr.read()
        events.close()
        upload.close()
    with serving(bank, tmp_path / "serve") as server:  # the lock is free, and the job goes on
        server.wait_for_step()
        assert not list((tmp_path / "serve/uploads").glob(".stylebank-tmp-*"))


def test_a_folder_has_one_server(bank: Any, tmp_path: Path) -> None:
    with serving(bank, tmp_path / "serve"):
        words = arguments(bank, tmp_path / "serve", "--port", "0")
        second = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert second.returncode == 4 and "serves this folder" in second.stderr


def test_a_port_in_use_is_refused_in_words(bank: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = arguments(bank, tmp_path / "serve", "--port", port)
        result = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert result.returncode == 2 and f"127.0.0.1:{port}" in result.stderr and "--port" in result.stderr


def test_another_address_comes_with_a_new_token(bank: Any, tmp_path: Path) -> None:
    with serving(bank, tmp_path / "serve", "--host", "0.0.0.0") as server:
        token = server.address.partition("?token=")[2]
        assert len(token) >= 32
        port = server.name.rpartition(":")[2]
        answers = []
        for path in ("/api/jobs", f"/?token={token}", "/?token=wrong"):
            connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
            connection.request("GET", path)
            answers.append(connection.getresponse().status)
            connection.close()
        assert answers == [401, 200, 401]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--host", "0.0.0.0", "--token", "short"], "12 or more"),
        (["--host", "no such host"], "--host no such host"),
        (["--port", "70000"], "--port"),
        (["--keep", "much"], "--keep"),
    ],
)
def test_a_wrong_option_is_refused_in_words(bank: Any, tmp_path: Path, options: list[str], text: str) -> None:
    words = arguments(bank, tmp_path / "serve", *options)
    result = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert result.returncode == 2 and text in result.stderr and "Traceback" not in result.stderr


def test_a_missing_extra_is_named(bank: Any, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('none', name='uvicorn')")
    result = subprocess.run(
        [sys.executable, "-m", "stylebank", "--bank", str(bank.folder), "serve"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        timeout=60,
    )
    assert result.returncode == 2 and "pip install '.[web]'" in result.stderr


def test_events_come_as_they_happen(bank: Any, tmp_path: Path) -> None:
    with serving(bank, tmp_path / "serve") as server:
        connection = http.client.HTTPConnection(server.name, timeout=30)
        connection.request("GET", "/api/events")
        answer = connection.getresponse()
        assert answer.headers["content-type"].startswith("text/event-stream")
        server.order(steps=5, seed=100)
        states, steps = [], []
        while not states or states[-1] != "done":
            line = answer.fp.readline()
            assert line
            if line.startswith(b"data: "):
                for job in json.loads(line[6:])["jobs"]:
                    states.append(job["state"])
                    steps.append(job["step"])
        assert list(dict.fromkeys(states))[-2:] == ["running", "done"]
        assert steps == sorted(steps) and len(set(steps)) > 2
        connection.close()
