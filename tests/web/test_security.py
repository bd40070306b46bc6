"""Who may use the page: other sites, other names, tokens, and requests that are too large or not as expected."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.web import uploads
from pipeline.web.security import choose_token
from stylebank.errors import UsageError
from tests.web.conftest import ADDRESS, Page, picture

TOKEN = "a long enough secret"
CHANGING = [
    ("POST", "/api/uploads"),
    ("POST", "/api/pictures"),
    ("POST", "/api/paintings"),
    ("POST", "/api/jobs/0/stop"),
    ("POST", "/api/jobs/0/take"),
    ("DELETE", "/api/jobs/0"),
]
READING = ["/", "/page/main.js", "/api/studio", "/api/styles", "/api/jobs", "/api/events", "/api/likeness?name=wave"]


@pytest.mark.parametrize(("method", "path"), CHANGING)
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:3000", "null", "https://localhost.evil.example:8787"]
)
def test_another_site_changes_nothing(page: Page, method: str, path: str, origin: str) -> None:
    response = page.client.request(method, path, headers={"Origin": origin}, content=picture())
    assert (response.status_code, response.json()) == (403, {"error": "This request comes from another site."})
    assert list(page.studio.uploads.folder.iterdir()) == [] and page.studio.board.jobs == {}


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_a_request_without_an_origin_changes_nothing(page: Page, method: str, path: str) -> None:
    del page.client.headers["Origin"]
    assert page.client.request(method, path, content=picture()).status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8787", "localhost.evil.example", "10.1.2.3:8787", "", "[::1"]
)
@pytest.mark.parametrize("path", READING)
def test_a_name_of_another_site_reads_nothing(page: Page, host: str, path: str) -> None:
    assert page.client.get(path, headers={"Host": host, "Origin": f"http://{host}"}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1:8787", "[::1]:8787", "LOCALHOST"])
def test_a_tunnel_may_have_another_port(page: Page, host: str) -> None:
    response = page.client.post("/api/jobs/0/stop", headers={"Host": host, "Origin": f"http://{host}"})
    assert response.json() == {"error": "This job is not in the queue any more."}


def test_another_site_embeds_nothing(page: Page) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert page.client.get("/api/styles", headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/styles", "/api/nothing"])
def test_every_answer_has_the_policy(page: Page, path: str) -> None:
    headers = page.client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.fixture
def guarded(open_page: Callable[..., Any]) -> Iterator[Page]:
    with open_page(host="0.0.0.0", token=TOKEN) as page:
        yield page


@pytest.mark.parametrize("path", READING)
def test_nothing_is_read_without_the_token(guarded: Page, path: str) -> None:
    response = guarded.client.get(path)
    assert response.status_code == 401
    assert response.json() == {"error": "Open the address that 'stylebank serve' printed, with its token."}
    assert guarded.client.get(path, headers={"Cookie": "stylebank_8787=guess; other=1"}).status_code == 401


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_nothing_is_changed_without_the_token(guarded: Page, method: str, path: str) -> None:
    assert guarded.client.request(method, path, content=picture()).status_code == 401
    assert list(guarded.studio.uploads.folder.iterdir()) == []


def test_the_token_is_given_once_and_becomes_a_strict_cookie(guarded: Page) -> None:
    assert guarded.client.get("/?token=a%20long%20enough%20secres").status_code == 401
    response = guarded.client.get("/", params={"token": TOKEN})
    cookie = response.headers["set-cookie"].lower()
    assert response.status_code == 200 and "httponly" in cookie and "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert "Styles" in guarded.client.get("/").text
    assert guarded.client.get("/api/jobs").status_code == 200


def test_an_address_of_the_network_is_a_name_of_the_server(guarded: Page) -> None:
    guarded.client.get("/", params={"token": TOKEN})
    for host, status in (("10.1.2.3:8787", 200), ("evil.example:8787", 403)):
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert guarded.client.get("/api/jobs", headers=headers).status_code == status


def test_a_token_is_made_for_other_machines_alone() -> None:
    assert choose_token("127.0.0.1", None) is choose_token("localhost", None) is choose_token("::1", None) is None
    made = {choose_token(host, None) for host in ("0.0.0.0", "::", "192.168.1.2", "host.example") for _ in range(2)}
    assert len(made) == 8 and all(len(token or "") >= 32 for token in made)
    with pytest.raises(UsageError, match="12 or more"):
        choose_token("0.0.0.0", "password")
    with pytest.raises(UsageError, match="or none to ask for none"):
        choose_token("localhost", "password")


def test_a_file_that_is_no_picture_is_refused_in_words_and_leaves_nothing(page: Page) -> None:
    whole = picture()
    files = {
        b"": "This file: the file is empty. Get a complete copy.",
        b"%PDF-1.7 a document": "This file: ",
        whole[: len(whole) // 2]: "This file: ",
        b"<svg onload='alert(1)'/>": "This file: ",
        picture(8, 8): "This file: ",
    }
    for data, text in files.items():
        response = page.client.post("/api/uploads", content=data)
        assert response.status_code == 422 and response.json()["error"].startswith(text), response.text
        assert "/" not in response.json()["error"].replace("1/", "")
    assert list(page.studio.uploads.folder.iterdir()) == []


def test_a_picture_with_too_many_pixels_is_refused(open_page: Callable[..., Any]) -> None:
    with open_page(max_pixels=5000) as page:
        assert page.client.post("/api/uploads", content=picture(100, 64)).status_code == 422


def test_a_file_that_is_too_large_is_refused_while_it_arrives(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_BYTES", 100_000)
    sent = []

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            sent.append(1)
            yield b"x" * 10_000

    for content in (b"x" * 200_000, endless()):
        response = page.client.post("/api/uploads", content=content)
        assert response.status_code == 413
        assert response.json()["error"].endswith("Use a smaller one, or 'stylebank apply'.")
    assert list(page.studio.uploads.folder.iterdir()) == []


def test_a_request_that_is_too_large_is_refused(page: Page) -> None:
    assert page.client.post("/api/pictures", content=b" " * 100_000).status_code == 413


@pytest.mark.parametrize("path", ["../queue", "..%2f..%2fetc%2fpasswd", "0" * 63, "0" * 64, "ZZ", "%00"])
def test_no_request_names_a_path(page: Page, path: str) -> None:
    for address in (f"/api/uploads/{path}/preview", f"/page/{path}", f"/api/jobs/{path}/files/queue.json"):
        assert page.client.get(address).status_code in {403, 404}
    order = {"photos": [{"id": path}], "styles": [{"name": "wave"}]}
    assert page.client.post("/api/pictures", json=order).status_code in {400, 404}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"styles": []}, "The request is not as expected"),
        ({"styles": [{"name": "nobody"}]}, "nobody"),
        ({"styles": [{"name": "../wave"}]}, "wave"),
        ({"styles": [{"name": "wave", "weight": -1}]}, "The request is not as expected"),
        ({"styles": [{"name": "wave", "weight": "1"}]}, "The request is not as expected"),
        ({"styles": [{"name": "wave"}, {"name": "wave"}]}, "A style is in the blend twice"),
        ({"mask": "0" * 64}, "This photograph is not on the server"),
        ({"mask": "sky.png"}, "The request is not as expected"),
        ({"settings": {"size": 100_000}}, "expected 32 to 8,192 pixels"),
        ({"settings": {"size": 0}}, "expected 32 to 8,192 pixels"),
        ({"settings": {"strength": 7}}, "strength 7"),
        ({"settings": {"steps": "many"}}, "steps"),
        ({"settings": {"init": "/etc/passwd"}}, "setting 'init': not one of the page"),
        ({"settings": {"weights": "keras"}}, "setting 'weights': not one of the page"),
        ({"settings": {"mask": "/etc/passwd"}}, "setting 'mask': not one of the page"),
        ({"settings": {"preset": "nothing"}}, "nothing"),
        ({"more": 1}, "The request is not as expected"),
    ],
)
def test_a_wrong_order_is_refused_before_it_waits(page: Page, change: dict[str, Any], text: str) -> None:
    order = {"photos": [{"id": page.upload(), "name": "a.png"}], "styles": [{"name": "wave"}], **change}
    response = page.client.post("/api/pictures", json=order)
    assert response.status_code in {400, 404} and text in response.json()["error"], response.text
    assert page.studio.board.jobs == {}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"photos": NaN}', json.dumps({"photos": "x"}).encode()])
def test_a_body_that_is_no_order_is_refused(page: Page, body: bytes) -> None:
    response = page.client.post("/api/pictures", content=body)
    assert response.status_code == 400 and response.json()["error"].startswith("The request is not as expected")


def test_the_address_of_the_page_is_this_machine(page: Page) -> None:
    assert ADDRESS in page.client.get("/", headers={"Origin": ADDRESS}).request.headers["origin"]


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "//", "http://testserver:x"])
def test_a_malformed_origin_is_refused(page: Page, origin: str) -> None:
    response = page.client.post("/api/pictures", json={}, headers={"origin": origin})
    assert response.status_code == 403 and "content-security-policy" in response.headers
