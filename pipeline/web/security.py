"""Who may use the page: the Host and Origin of each request, the token, and the headers of each answer."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stylebank.errors import UsageError

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SHORTEST_TOKEN = 12
_SAFE_METHODS = {"GET", "HEAD"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: Goes on to the page from this site, so that a browser sends the strict cookie also after a link from elsewhere.
_ENTRANCE = (
    '<!DOCTYPE html><meta http-equiv="refresh" content="0; url=./"><title>stylebank</title><a href="./">Go on</a>'
)


def is_local(host: str) -> bool:
    """Return whether an address is reachable from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def choose_token(host: str, token: str | None) -> str | None:
    """Return the token to ask for: the given one, a new one if other machines reach the address, or None.

    Raises
    ------
    UsageError
        If the given one is short enough to be guessed.
    """
    if token is not None and len(token) < _SHORTEST_TOKEN:
        advice = "ask for none" if is_local(host) else "have a new one generated"
        raise UsageError(
            f"token: {len(token)} characters, expected {_SHORTEST_TOKEN} or more. "
            f"Give a longer one, or none to {advice}."
        )
    if token is not None and not (token.isascii() and token.isprintable()):
        raise UsageError("token: expected printable ASCII characters.")
    return token or (None if is_local(host) else secrets.token_urlsafe(32))


class Guard:
    """Lets requests through to an application, or refuses them.

    A page of another site can send requests to this address, and with a name that it controls (DNS rebinding) even read
    the answers. Therefore the name in ``Host`` has to be one of this server, or an address that belongs to nobody's
    name; and what changes something needs an ``Origin`` of the same name and port.

    Parameters
    ----------
    app
        The application.
    host
        Address that the server listens on.
    token
        What a browser has to know; None asks for nothing.
    """

    def __init__(self, app: ASGIApp, host: str, token: str | None) -> None:
        self._app = app
        self._local = is_local(host)
        self._names = LOCAL_NAMES | {host.lower()}
        if not self._local:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        self._token = token
        self._pass = "" if token is None else hmac.new(token.encode(), b"stylebank serve", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page opens no other kind of connection
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], headers)
        if refusal:
            response: Response = JSONResponse({"error": refusal}, 403)
        elif self._token is not None and scope["path"] == "/" and self._knows_token(scope):
            response = HTMLResponse(_ENTRANCE)  # also for a browser that is known, so that its address bar forgets
            cookie = self._cookie_name(scope)
            response.set_cookie(cookie, self._pass, httponly=True, samesite="strict", path="/")
        elif self._token is None or self._is_known(headers):
            await self._app(scope, receive, send_with_headers)
            return
        else:
            text = "Open the address that 'stylebank serve' printed, with its token."
            response = JSONResponse({"error": text}, 401)
        await response(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> str:
        """Return why a request is not for this server, or comes from another site; empty if neither."""
        host = headers.get("host", "")
        if not self._is_own(host):
            return "This server does not go by that name."
        if headers.get("sec-fetch-site") in {"cross-site", "same-site"} and headers.get("sec-fetch-mode") != "navigate":
            return "This request comes from another site."
        origin = headers.get("origin")
        if method in _SAFE_METHODS and origin is None:
            return ""
        if origin is None or _authority(origin) != host.lower():
            return "This request comes from another site."
        return ""

    def _is_own(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in self._names or is_local(name):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return not self._local

    def _is_known(self, headers: Headers) -> bool:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        return any(
            hmac.compare_digest(morsel.value.encode(), self._pass.encode())
            for name, morsel in cookies.items()
            if name.startswith("stylebank")
        )

    def _knows_token(self, scope: Scope) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return hmac.compare_digest(given.encode("utf-8", "replace"), (self._token or "").encode())

    @staticmethod
    def _cookie_name(scope: Scope) -> str:
        """Return a name per port, because the servers of one machine share their cookies."""
        server = scope.get("server") or ("", 0)
        return f"stylebank_{server[1]}"


def _authority(origin: str) -> str:
    """Return host and port of an origin; empty if it is malformed."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
