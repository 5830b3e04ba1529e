"""ASGI middleware that checks every request to the app: host, token, path, files, size."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from html import escape
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection

from mmemo.app.uploads import FETCH, Uploads
from mmemo.errors import ArgumentError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOCAL = {"127.0.0.1", "localhost"}
_SESSION = "mmemo.session"
_JOIN, _UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"
_KNOWN = re.compile(
    r"/|/live|/live/(scores|sound\.js)|/api/analyze|/openapi\.json|/results/[^/]+/[^/]+"
    r"|/(assets|static)/.+|/theme\.css|/favicon\.ico|/manifest\.json"
    rf"|{_JOIN}|{_UPLOAD}|/gradio_api/(upload_progress|queue/data|heartbeat/[^/]+)|{FETCH}.+"
)
"""All that the page and programs need. Gradio has far more: proxies, recordings, functions by name, monitoring."""
_MAX_REQUEST = 2**20
"""Bytes of a request to analyze: words, and the names of files."""
_PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self' data: blob: ws://127.0.0.1:{port} ws://localhost:{port}; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
"""Gradio's page has scripts in it and compiles templates; it can talk to this server only."""
_FILE_POLICY = (
    "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of results and uploads. A report says itself which script may run: its own."""
_NO_TOKEN = (
    "This address needs the token of the app. Open the link that was printed where `mmemo app` was started; programs "
    "send the part after ?token= as the header `Authorization: Bearer …`."
)

_ENTRANCES = ("/", "/live")
"""Pages that the printed link may lead to."""
_TO_THE_PAGE = '<meta http-equiv="refresh" content="0;url={}">'
"""To the page without the token in its address. After a redirect a browser would keep the cookie back where the link
was on a page of another site; not when a page of this server leads on."""


class AccessGuard:
    """ASGI middleware that refuses what neither the app's page nor a program of its owner would send.

    A page of another site that is open in the same browser could reach a local server: by a form, by a WebSocket, or
    by a name of its own that it lets point to 127.0.0.1. So the host must be this machine, and a request that names
    the page it comes from must come from a page of this server. Other people's programs on the same machine could
    reach it, too: so each request shows the token, or the cookie that a browser gets for the token.

    Args:
        uploads: what requests may name.
        most_bytes: of the body of one request; more gives status 413, whatever its header has.
        token: that of all visitors; None lets everyone in, and keeps visitors apart only.
    """

    def __init__(self, app: App, uploads: Uploads, most_bytes: int, token: str | None) -> None:
        self._app = app
        self._uploads = uploads
        self._most = most_bytes
        self._token = token
        self._key = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request, path = HTTPConnection(scope), scope["path"]
        send = _with_headers(scope, send)
        try:
            _check_origin(request)
            session = self._admitted(request)
            if _KNOWN.fullmatch(path) is None:
                raise _RefusedError(404, "There is nothing at this address.")
            if path in _ENTRANCES:
                session = session or secrets.token_urlsafe(16)
                send = _with_cookie(send, f"{_cookie_name(scope)}={session}.{self._sign(session)}")
                if "token" in request.query_params:
                    await _send_page(send, 200, _html("mmemo", _TO_THE_PAGE.format(path)))
                    return
            scope[_SESSION] = session
            if scope["type"] == "websocket":
                await self._app(scope, receive, send)
            else:
                await self._forward(request, session, receive, send)
        except _RefusedError as refused:
            await _send_refusal(request, send, refused)

    async def _forward(self, request: HTTPConnection, session: str, receive: Receive, send: Send) -> None:
        """Pass on a request that names only the session's own files and is not too large."""
        path = request.scope["path"]
        if int(request.headers.get("content-length") or 0) > self._most:
            raise _RefusedError(413, self._too_large)
        if path.startswith(FETCH):
            try:
                self._uploads.own(session, path.removeprefix(FETCH))
            except ArgumentError:
                raise _RefusedError(404, "There is no such upload.") from None
        elif path == _JOIN:
            receive = await self._checked(request, session, receive)
        elif path == _UPLOAD:
            send = self._noting(session, send)
        await self._counted(request, receive, send)

    def _admitted(self, request: HTTPConnection) -> str:
        """The session of a browser that has shown the token, or "" for who shows it now."""
        session, _, sign = request.cookies.get(_cookie_name(request.scope), "").partition(".")
        if _same(sign, self._sign(session)):
            return session
        kind, _, shown = request.headers.get("authorization", "").partition(" ")
        given = shown if kind.lower() == "bearer" else request.query_params.get("token", "")
        if self._token is not None and not _same(given, self._token):
            raise _RefusedError(401, _NO_TOKEN)
        return ""

    def _sign(self, session: str) -> str:
        return hmac.digest(self._key, session.encode(), "sha256").hex()

    @property
    def _too_large(self) -> str:
        return f"The upload is larger than the {self._most / 1e6:.0f} MB that this server takes."

    async def _checked(self, request: HTTPConnection, session: str, receive: Receive) -> Receive:
        """A receiver of a request to analyze, once all of it has come and was checked."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
            if len(body) > _MAX_REQUEST:
                raise _RefusedError(413, f"A request to analyze has {_MAX_REQUEST} bytes at most; upload files before.")
        try:
            body = self._uploads.checked(session, body, f"http://{request.headers['host']}")
        except ArgumentError as error:
            raise _RefusedError(403, str(error)) from None
        coming = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def checked() -> Message:
            return next(coming, None) or await receive()

        return checked

    def _noting(self, session: str, send: Send) -> Send:
        """Passes the response to an upload on, and registers the files it names."""
        status, body = 0, b""

        async def noting(message: Message) -> None:
            nonlocal status, body
            status = message.get("status", status)
            body += message.get("body", b"")
            if message["type"] == "http.response.body" and not message.get("more_body") and status == 200:
                self._uploads.add(session, json.loads(body))
            await send(message)

        return noting

    async def _counted(self, request: HTTPConnection, receive: Receive, send: Send) -> None:
        """Pass a request on whose length is only known once it has come."""
        got, refused = 0, False
        last = iter(_spoiling(request))

        async def counting() -> Message:
            nonlocal got, refused
            message = await receive()
            got += len(message.get("body", b""))
            if got > self._most and not refused:
                refused = True
                await _send_refusal(request, send, _RefusedError(413, self._too_large))
            if refused or message["type"] == "http.disconnect":
                return next(last, {"type": "http.disconnect"})
            return message

        async def silenced(message: Message) -> None:
            if not refused:
                await send(message)

        await self._app(request.scope, counting, silenced)


def _spoiling(request: HTTPConnection) -> list[Message]:
    """What comes before the end of an upload that breaks off: a header that is none, so that Gradio removes the rest.

    At the mere end of the connection it would leave the file that it had begun.
    """
    boundary = re.search(r"boundary=\"?([^\";,]+)", request.headers.get("content-type", ""))
    if request.scope["path"] != _UPLOAD or boundary is None:
        return []
    return [{"type": "http.request", "body": f"\r\n--{boundary[1]}\r\n[\r\n".encode("latin-1"), "more_body": True}]


def session_of(request: HTTPConnection) -> str:
    """The session of a browser's request, or "" for programs, which send the token with each."""
    return str(request.scope[_SESSION])


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _check_origin(request: HTTPConnection) -> None:
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    try:
        local = urlsplit(f"//{host}").hostname in _LOCAL and (origin is None or urlsplit(origin).netloc == host)
    except ValueError:
        local = False
    if not local:
        raise _RefusedError(403, "Only pages and programs on this machine may use this server.")


def _cookie_name(scope: Scope) -> str:
    return f"mmemo-{scope['server'][1]}"  # browsers don't keep the cookies of two ports apart


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())


def _with_headers(scope: Scope, send: Send) -> Send:
    """Adds security headers to each response."""
    path = scope["path"]
    policy = _FILE_POLICY if path.startswith(("/results/", FETCH)) else _PAGE_POLICY.format(port=scope["server"][1])

    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = policy
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            if not path.startswith(("/assets/", "/static/")):
                headers["Cache-Control"] = "private, no-store"
        await send(message)

    return adding


def _with_cookie(send: Send, cookie: str) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("Set-Cookie", f"{cookie}; Path=/; HttpOnly; SameSite=Strict")
        await send(message)

    return adding


async def _send_refusal(request: HTTPConnection, send: Send, refused: _RefusedError) -> None:
    if request.scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": str(refused)[:120]})
    elif "text/html" in request.headers.get("accept", ""):
        page = _html("mmemo: refused", "", f"<h1>mmemo</h1><p>{escape(str(refused))}</p>")
        await _send_page(send, refused.status, page)
    else:
        # Gradio's page shows the "detail" of what it is refused.
        body = {"error": "Refused", "message": str(refused), "detail": str(refused)}
        await _send_page(send, refused.status, json.dumps(body), b"application/json")


async def _send_page(send: Send, status: int, text: str, kind: bytes = b"text/html; charset=utf-8") -> None:
    body = text.encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _html(title: str, head: str, body: str = "") -> str:
    head = f'<meta charset="utf-8"><title>{title}</title>{head}'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'
