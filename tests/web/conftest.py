"""A studio whose pictures are negatives, behind a client that is a page of its own."""

from __future__ import annotations

import asyncio
import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from pipeline.web.app import make_app
from pipeline.web.studio import Studio, StudioOptions
from stylebank.bank import Bank
from tests import styles

FAKE = (sys.executable, "-m", "tests.web.fake_worker")
ADDRESS = "http://localhost:8787"
FINISHED = {"done", "taken", "stopped", "failed"}


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path / "bank")
    for name in ("wave", "poppies"):
        bank.add(styles.style(name))
    return bank


@pytest.fixture
def open_page(bank: Bank, tmp_path: Path) -> Callable[..., Any]:
    """A context manager of a client on a studio; the same folder each time."""

    @contextmanager
    def opened(*, host: str = "127.0.0.1", token: str | None = None, **options: Any) -> Iterator[Page]:
        studio = Studio(bank, tmp_path / "serve", StudioOptions(**{"command": FAKE, **options}))
        app = make_app(studio, host=host, token=token, closing=asyncio.Event())
        with TestClient(app, base_url=ADDRESS, headers={"Origin": ADDRESS}) as client:
            yield Page(client, studio)

    return opened


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Iterator[Page]:
    with open_page() as page:
        yield page


def picture(width: int = 80, height: int = 64, *, format: str = "PNG", seed: int = 0) -> bytes:
    """A file with noise."""
    values = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format=format)
    return buffer.getvalue()


class Page:
    """What the page does, in words."""

    def __init__(self, client: TestClient, studio: Studio) -> None:
        self.client, self.studio = client, studio

    def upload(self, data: bytes | None = None) -> str:
        response = self.client.post("/api/uploads", content=picture() if data is None else data)
        assert response.status_code == 200, response.text
        identifier: str = response.json()["id"]
        return identifier

    def order(self, *, styles: Any = None, photo: str | None = None, mask: str | None = None, **settings: Any) -> str:
        response = self.try_order(styles=styles, photo=photo, mask=mask, **settings)
        assert response.status_code == 200, response.text
        identifier: str = response.json()[0]["id"]
        return identifier

    def try_order(self, *, styles: Any = None, photo: str | None = None, mask: Any = None, **settings: Any) -> Any:
        request = {
            "photos": [{"id": photo or self.upload(), "name": "photo.png"}],
            "styles": styles or [{"name": "wave"}],
            "mask": mask,
            "settings": {"size": 64, "steps": 3, "precision": "float32", **settings},
        }
        return self.client.post("/api/pictures", json=request)

    def job(self, identifier: str) -> dict[str, Any]:
        jobs = self.client.get("/api/jobs").json()["jobs"]
        return next(job for job in jobs if job["id"] == identifier)

    def wait(self, identifier: str, until: Callable[[dict[str, Any]], bool] | None = None) -> dict[str, Any]:
        """Return a job when it is finished, or as `until` says."""
        until = until or (lambda job: job["state"] in FINISHED)
        deadline = time.monotonic() + 60
        while not until(job := self.job(identifier)):
            assert time.monotonic() < deadline, job
            assert job["state"] not in FINISHED, job
            time.sleep(0.05)
        return job

    def file(self, identifier: str, name: str) -> bytes:
        response = self.client.get(f"/api/jobs/{identifier}/files/{name}")
        assert response.status_code == 200, response.text
        return response.content
