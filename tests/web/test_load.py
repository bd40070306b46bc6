"""Twenty clients with wrong uploads, cancelled jobs and a killed server: nothing leaks, nobody waits for ever."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import random
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import picture
from tests.web.test_server import Server, children, lives, serving

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="files and memory are counted in /proc"),
]
CLIENTS, SECONDS = 20, 60
#: Seconds in which every request has its answer.
PATIENCE = 45


class Client:
    """A client that does everything wrong at some point."""

    def __init__(self, name: str, number: int) -> None:
        self.name, self.random, self.slowest = name, random.Random(number), 0.0
        self.photo = picture(80, 64, seed=number)

    def send(self, method: str, path: str, body: bytes = b"") -> Any:
        began = time.monotonic()
        connection = http.client.HTTPConnection(self.name, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {"Origin": f"http://{self.name}"})
            answer = connection.getresponse()
            assert answer.status < 500 or answer.status in {503, 507}, (path, answer.status)
            return json.loads(answer.read())
        finally:
            connection.close()
            self.slowest = max(self.slowest, time.monotonic() - began)

    def act(self) -> None:
        self.random.choice((self.order, self.order, self.wrong_file, self.half_file, self.listen, self.garbage))()

    def order(self) -> None:
        photo = self.send("POST", "/api/uploads", self.photo).get("id")
        settings = {"size": 64, "steps": 5, "precision": "float32", "seed": self.random.choice((0, 5, 13, 30))}
        order = {"photos": [{"id": photo}], "styles": [{"name": "wave"}], "settings": settings}
        jobs = self.send("POST", "/api/pictures", json.dumps(order).encode())
        if isinstance(jobs, list):
            time.sleep(self.random.random())
            identifier = jobs[0]["id"]
            for method, path in self.random.sample(
                [("POST", "/stop"), ("POST", "/take"), ("DELETE", ""), ("GET", "/files/preview.jpg")], 2
            ):
                if method == "GET":
                    self.hang_up(f"GET /api/jobs/{identifier}{path} HTTP/1.1\r\nHost: {self.name}\r\n\r\n".encode())
                else:
                    self.send(method, f"/api/jobs/{identifier}{path}")
            self.send("DELETE", f"/api/jobs/{identifier}")

    def wrong_file(self) -> None:
        data = self.random.choice((b"", b"no picture" * 1000, self.photo[:3000], b"\x89PNG\r\n\x1a\n" + b"x" * 50_000))
        assert "error" in self.send("POST", "/api/uploads", data)

    def half_file(self) -> None:
        head = f"POST /api/uploads HTTP/1.1\r\nHost: {self.name}\r\nOrigin: http://{self.name}\r\n"
        self.hang_up(f"{head}Content-Length: 100000\r\n\r\n".encode() + self.photo[:2000])

    def listen(self) -> None:
        self.hang_up(f"GET /api/events HTTP/1.1\r\nHost: {self.name}\r\n\r\n".encode())

    def garbage(self) -> None:
        self.hang_up(self.random.randbytes(500))

    def hang_up(self, data: bytes) -> None:
        host, port = self.name.split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
            connection.sendall(data)
            time.sleep(self.random.random() / 4)


def use(server: Server, seconds: float) -> float:
    """Let the clients act; return the longest time that one waited for an answer."""
    end = time.monotonic() + seconds

    def run(number: int) -> float:
        client = Client(server.name, number)
        while time.monotonic() < end:
            client.act()
        return client.slowest

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return max(pool.map(run, range(CLIENTS)))


def held(server: Server) -> tuple[int, int, int]:
    """Return the files, the threads and the MiB of a server."""
    place = Path(f"/proc/{server.process.pid}")
    status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
    return len(list((place / "fd").iterdir())), int(status["Threads"]), int(status["VmRSS"].split()[0]) >> 10


def settle(server: Server) -> None:
    """Wait until the queue is empty and connections are closed."""
    deadline = time.monotonic() + PATIENCE
    while any(job["state"] in {"waiting", "running"} for job in server.request("GET", "/api/jobs")["jobs"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(3)


def test_twenty_clients_leave_nothing_behind(bank: Any, tmp_path: Path) -> None:
    folder = tmp_path / "serve"
    with serving(bank, folder, "--keep", "20MB") as server:
        use(server, 10)  # threads and caches are there then
        settle(server)
        before = held(server)
        slowest = use(server, SECONDS)
        settle(server)
        after = held(server)
        print(f"files, threads, MiB: {before}, {after}; longest wait {slowest:.1f} s")
        assert slowest < PATIENCE
        assert after[0] <= before[0] + 3 and after[1] <= before[1] + 3 and after[2] <= before[2] + 40
        assert len(children(server.process.pid)) <= 1
        assert list((folder / "pictures").iterdir()) == []
        assert not list((folder / "uploads").glob(".stylebank-tmp-*"))
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 25_000_000


def test_connections_without_a_request_are_closed(bank: Any, tmp_path: Path) -> None:
    with serving(bank, tmp_path / "serve") as server:
        host, port = server.name.split(":")
        silent = [socket.create_connection((host, int(port)), timeout=PATIENCE) for _ in range(150)]
        for number, connection in enumerate(silent):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: local"[: number % 30])
        assert server.request("GET", "/api/jobs")["ids"] == []
        deadline = time.monotonic() + PATIENCE
        while held(server)[0] > 30:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        for connection in silent:
            connection.close()


def test_a_killed_server_lets_nobody_wait_and_goes_on(bank: Any, tmp_path: Path) -> None:
    for _round in range(3):
        with serving(bank, tmp_path / "serve") as server:
            waits: list[float] = []

            def client(number: int, server: Server = server, waits: list[float] = waits) -> None:
                one = Client(server.name, number)
                try:
                    while True:
                        one.act()
                except (OSError, http.client.HTTPException):
                    waits.append(one.slowest)

            threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
            for thread in threads:
                thread.start()
            time.sleep(8)
            (*processes,) = children(server.process.pid)
            server.process.kill()
            began = time.monotonic()
            for thread in threads:
                thread.join(PATIENCE)
                assert not thread.is_alive()
            while any(map(lives, processes)):
                assert time.monotonic() - began < 15
                time.sleep(0.1)
    with serving(bank, tmp_path / "serve") as server:
        settle(server)
        assert not list((tmp_path / "serve/uploads").glob(".stylebank-tmp-*"))
        kept = set(server.request("GET", "/api/jobs")["ids"])
        assert {path.name for path in (tmp_path / "serve/pictures").iterdir()} <= kept
