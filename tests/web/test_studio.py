"""The queue: pictures as `apply` makes them, previews, stop, take, restart, and the bounds of the folder."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.web import process, queue_file
from pipeline.web.model import shell_comment
from pipeline.web.wording import for_page
from stylebank import images
from stylebank.bank import Bank
from stylebank.errors import OutputRefused, StylebankError
from tests.conftest import DATA
from tests.fake_cli import LIGHT
from tests.web.conftest import Page, picture

ROOT = Path(__file__).parents[2]


def run_command(line: str, folder: Path) -> None:
    """Run a line of the page, without a network."""
    words = [sys.executable, "-m", "tests.fake_cli", *shlex.split(line, comments=True)[1:], *LIGHT]
    subprocess.run(words, cwd=folder, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)


def test_a_picture_has_the_bytes_of_apply_and_of_its_command(page: Page, tmp_path: Path) -> None:
    mask = np.zeros((64, 80), np.uint8)
    mask[:, :50] = 255
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, format="PNG")
    blend = [{"name": "wave", "weight": 0.3}, {"name": "poppies", "weight": 0.7}]
    identifier = page.order(styles=blend, mask=page.upload(buffer.getvalue()), strength=0.5, format="png")
    assert page.wait(identifier)["files"] == ["picture.png", "deep.png"]
    line = page.client.get(f"/api/jobs/{identifier}/command").json()["command"]
    assert "--style wave:0.3 --style poppies:0.7" in line
    run_command(line, tmp_path)
    (written,) = tmp_path.glob("photo.*.png")
    assert written.read_bytes() == page.file(identifier, "picture.png")
    deep = line.replace("--format png", "--format png --depth 16").replace(written.name, "deep.png")
    run_command(deep, tmp_path)
    assert (tmp_path / "deep.png").read_bytes() == page.file(identifier, "deep.png")
    assert Image.open(io.BytesIO(page.file(identifier, "deep.png"))).info["icc_profile"]


@pytest.mark.parametrize("format", ["jpg", "webp", "tiff"])
def test_eight_bits_are_rounded_as_apply_rounds_them(page: Page, tmp_path: Path, format: str) -> None:
    identifier = page.order(format=format, size=48)
    name = page.wait(identifier)["files"][0]
    run_command(page.client.get(f"/api/jobs/{identifier}/command").json()["command"], tmp_path)
    (written,) = tmp_path.glob("photo.wave.*")
    assert written.read_bytes() == page.file(identifier, name)


@pytest.mark.parametrize("fit", ["crop", "border"])
def test_a_print_has_the_bytes_of_apply(page: Page, tmp_path: Path, fit: str) -> None:
    identifier = page.order(size=None, print="A6", fit=fit, dpi=20, format="png")
    page.wait(identifier)
    run_command(page.client.get(f"/api/jobs/{identifier}/command").json()["command"], tmp_path)
    (written,) = tmp_path.glob("photo.wave.png")
    assert written.read_bytes() == page.file(identifier, "picture.png")
    assert Image.open(io.BytesIO(page.file(identifier, "deep.png"))).size == Image.open(written).size


def test_a_preview_comes_while_the_picture_is_made_and_changes(page: Page) -> None:
    identifier = page.order(steps=40, seed=150)
    page.wait(identifier, lambda job: job["preview"] >= 1 and job["seconds_left"] is not None)
    preview = Image.open(io.BytesIO(page.file(identifier, "preview.jpg")))
    assert preview.size == (64, 51)
    first = page.job(identifier)["preview"]
    page.wait(identifier, lambda job: job["preview"] > first)
    page.client.delete(f"/api/jobs/{identifier}")


def test_a_picture_is_taken_as_it_is(page: Page) -> None:
    identifier = page.order(steps=1000, seed=100, format="png")
    page.wait(identifier, lambda job: job["preview"])
    began = time.monotonic()
    page.client.post(f"/api/jobs/{identifier}/take")
    job = page.wait(identifier)
    assert time.monotonic() - began < 5
    assert (job["state"], job["size"]) == ("taken", [64, 51])
    for name in job["files"]:
        assert Image.open(io.BytesIO(page.file(identifier, name))).size == (64, 51)


def test_a_stop_between_steps_keeps_the_process(page: Page) -> None:
    first = page.order(steps=1000, seed=50)
    page.wait(first, lambda job: job["step"])
    pid = page.studio._process.pid
    page.client.post(f"/api/jobs/{first}/stop")
    assert page.wait(first)["state"] == "stopped"
    page.wait(page.order())
    assert page.studio._process.pid == pid


def test_a_stop_within_a_step_kills_the_process_and_the_next_job_is_made(page: Page) -> None:
    hung, behind = page.order(seed=14), page.order()
    page.wait(hung, lambda job: job["state"] == "running")
    time.sleep(1)
    page.client.post(f"/api/jobs/{hung}/stop")
    assert page.wait(hung)["state"] == "stopped"
    assert page.wait(behind)["state"] == "done"


def test_a_stop_before_the_process_has_started_counts(page: Page) -> None:
    identifier = page.order(steps=1000, seed=100)
    page.wait(identifier, lambda job: job["state"] == "running")
    page.client.post(f"/api/jobs/{identifier}/stop")
    assert page.wait(identifier)["state"] == "stopped"


def test_an_order_that_the_disk_refuses_does_not_wait(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = page.upload()

    def refuse(*_arguments: object) -> None:
        raise OutputRefused("queue.json: No space left on device. Free some space.")

    monkeypatch.setattr(queue_file, "write", refuse)
    response = page.try_order(photo=photo)
    assert response.status_code == 422 and "No space left" in response.json()["error"]
    assert page.studio.board.jobs == {}


def test_a_process_that_dies_fails_its_job_in_words(page: Page) -> None:
    job = page.wait(page.order(seed=13))
    assert job["state"] == "failed" and job["error"].startswith("The process that computes was ended by SIGKILL.")
    assert page.wait(page.order())["state"] == "done"


def test_a_job_that_fails_in_an_unknown_way_does_not_end_the_queue(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = page.studio._process.compute

    async def broken(*arguments: object, **values: object) -> object:
        monkeypatch.setattr(page.studio._process, "compute", compute)
        raise KeyError("an event without its key")

    monkeypatch.setattr(page.studio._process, "compute", broken)
    job = page.wait(page.order())
    assert job["state"] == "failed" and job["error"].startswith("KeyError in the server.")
    assert page.wait(page.order())["state"] == "done"


def test_a_disk_that_refuses_to_make_room_does_not_end_the_queue(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse() -> None:
        raise PermissionError("not permitted")

    photo = page.upload()
    monkeypatch.setattr(page.studio._storage, "measure", refuse)
    assert page.wait(page.order(photo=photo))["state"] == "done"
    assert page.wait(page.order(photo=photo, seed=1))["state"] == "done"


def test_a_job_that_is_removed_twice_is_removed(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    identifier = page.order(steps=1000, seed=100)
    stop = page.studio.stop

    async def removed_meanwhile(job: str, **values: bool) -> None:
        await stop(job, **values)
        page.studio.board.jobs.pop(job, None)

    monkeypatch.setattr(page.studio, "stop", removed_meanwhile)
    assert page.client.delete(f"/api/jobs/{identifier}").status_code == 200


def test_the_process_ends_with_its_server() -> None:
    child = subprocess.Popen([*process.COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(30) == 0


def test_the_queue_survives_a_restart_with_what_was_running(open_page: Callable[..., Any]) -> None:
    with open_page() as page:
        finished = page.order()
        page.wait(finished)
        running, waiting = page.order(steps=1000, seed=50), page.order(seed=1)
        page.wait(running, lambda job: job["step"])
    with open_page() as page:
        states = [page.job(each)["state"] for each in (finished, running, waiting)]
        assert states[0] == "done" and states[2] == "waiting"
        assert page.file(finished, "picture.jpg")
        page.wait(running, lambda job: job["step"])
        page.client.post(f"/api/jobs/{running}/stop")
        assert page.wait(waiting)["state"] == "done"


def test_a_damaged_queue_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / queue_file.FILE_NAME).write_text('[{"id": 1}]')
    with pytest.raises(StylebankError, match="cannot be read as a queue"):
        queue_file.read(tmp_path)


def test_time_left_of_waiting_jobs_comes_from_those_before_them(page: Page) -> None:
    page.wait(page.order(steps=10, seed=20))
    running, waiting = page.order(steps=200, seed=20), page.order(steps=100, seed=20)
    page.wait(running, lambda job: job["seconds_left"])
    assert 1 < page.job(waiting)["wait"] < 60
    for identifier in (waiting, running):
        page.client.delete(f"/api/jobs/{identifier}")


def test_removing_deletes_the_files(page: Page) -> None:
    identifier = page.order()
    page.wait(identifier)
    assert page.client.delete(f"/api/jobs/{identifier}").status_code == 200
    assert page.client.get("/api/jobs").json()["ids"] == []
    assert list((page.studio.folder / "pictures").iterdir()) == []


def test_the_folder_stays_within_its_bounds(open_page: Callable[..., Any]) -> None:
    with open_page(keep_bytes=200_000) as page:
        orders = []
        for seed in range(8):
            orders.append(page.order(photo=page.upload(picture(120, 100, seed=seed)), format="png"))
            page.wait(orders[-1])
        files = [path for path in page.studio.folder.rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) <= 250_000
        assert orders[0] not in page.client.get("/api/jobs").json()["ids"]
        assert orders[-1] in page.client.get("/api/jobs").json()["ids"]


def test_a_full_folder_of_waiting_jobs_refuses_another_file(open_page: Callable[..., Any]) -> None:
    with open_page(keep_bytes=100_000) as page:
        page.order(photo=page.upload(picture(150, 150, seed=1)), steps=1000, seed=100)
        response = page.client.post("/api/uploads", content=picture(150, 150, seed=2))
        assert response.status_code == 507
        assert response.json()["error"].startswith("No room is left")


def test_a_painting_is_refused_before_it_waits_if_its_name_is_taken(page: Page) -> None:
    photo = {"id": page.upload(), "name": "wave.png"}
    response = page.client.post("/api/paintings", json={"photo": photo, "name": "wave"})
    assert response.status_code == 400 and "wave" in response.json()["error"]


def test_a_painting_is_added_by_the_call_of_add(small_bank: Path, open_page: Callable[..., Any], bank: Bank) -> None:
    with open_page(command=process.COMMAND) as page:
        pixels = images.load(DATA / "styles/poppies.jpg").pixels
        buffer = io.BytesIO()
        Image.fromarray(images.to_uint8(images.resize(pixels, (64, 48)))).save(buffer, format="PNG")
        photo = {"id": page.upload(buffer.getvalue()), "name": "a.png"}
        request = {"photo": photo, "name": "field", "tags": ["monet"]}
        (job,) = page.client.post("/api/paintings", json=request).json()
        assert page.wait(job["id"])["state"] == "done"
        assert bank.header("field").tags == ("monet",)
        assert "field" in [style["name"] for style in page.client.get("/api/styles").json()["styles"]]


@pytest.mark.parametrize(
    "name",
    [
        "astronaut.jpg",
        "a\ntouch hit.jpg",
        "a\r\u2028\x85touch hit.jpg",
        'it\'s "so".jpg',
        "$(touch hit).jpg",
        "`touch hit`; touch hit & touch hit.jpg",
        "x > hit.jpg",
        "!! \\",
        "Gem\u00e4lde.jpg",
    ],
)
def test_the_comment_of_a_command_does_nothing_in_a_shell(tmp_path: Path, name: str) -> None:
    script = shell_comment(name) + "echo the command"
    for text in (script, script.removeprefix("#")):  # the second: a shell that runs comments
        run = subprocess.run(["bash", "-c", text], cwd=tmp_path, capture_output=True, text=True)
        assert run.stdout == "the command\n"
    assert list(tmp_path.iterdir()) == []
    assert len(script.splitlines()) == 2 and script.startswith("# ")


def test_a_command_has_the_name_of_its_photograph(page: Page) -> None:
    identifier = page.order()
    assert page.client.get(f"/api/jobs/{identifier}/command").json()["command"].startswith("# photo.png\nstylebank ")
    page.client.delete(f"/api/jobs/{identifier}")


def test_settings_of_the_content_are_in_the_command(page: Page) -> None:
    identifier = page.order(content_detail=0.25, content_layers=["conv4_2"])
    line = page.client.get(f"/api/jobs/{identifier}/command").json()["command"]
    assert "--content-detail 0.25" in line and "--content-layers conv4_2" in line
    page.client.delete(f"/api/jobs/{identifier}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "style wave: measured at 64 pixels at least, for 32 (--style-scale 0.5); strokes come out larger. "
            "Add the painting again with --scales 32,...",
            "style wave: measured at 64 pixels at least, for 32; strokes come out larger.",
        ),
        ("It has too many pixels. Raise --max-pixels if you trust it.", "It has too many pixels."),
        ("a.jpg: is too wide. Choose a smaller --size.", "a.jpg: is too wide. Choose a smaller number of pixels."),
        ("Left--right stays. So does 2 - 1.", "Left--right stays. So does 2 - 1."),
    ],
)
def test_notes_are_in_the_words_of_the_page(text: str, shown: str) -> None:
    assert for_page(text) == shown
