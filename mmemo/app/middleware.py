"""What every request to the app must pass: this machine's name, the app's own page, and a size that is allowed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_LOCAL = {"127.0.0.1", "localhost"}


class Guard:
    """ASGI middleware that refuses what no page or program on this machine would send.

    A page of another site that is open in the same browser could reach a local server: by a form, by a WebSocket, or
    by a name of its own that it lets point to 127.0.0.1. So the host must be this machine, and a request that names
    the page it comes from must come from a page of this server.

    Args:
        most_bytes: of the body of one request; more is answered with 413, whatever its header said.
    """

    def __init__(self, app: App, most_bytes: int) -> None:
        self._app = app
        self._most = most_bytes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One request or connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")
        if urlsplit(f"//{host}").hostname not in _LOCAL or (origin is not None and urlsplit(origin).netloc != host):
            await _refuse(scope, send, 403, "Only pages and programs on this machine may use this server.")
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        elif int(headers.get("content-length") or 0) > self._most:
            await _refuse(scope, send, 413, self._too_large)
        else:
            await self._counted(scope, receive, send)

    @property
    def _too_large(self) -> str:
        return f"The upload is larger than the {self._most / 1e6:.0f} MB that this server takes."

    async def _counted(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on whose length is only known once it has come."""
        got, refused = 0, False

        async def counting() -> Message:
            nonlocal got, refused
            message = await receive()
            got += len(message.get("body", b""))
            if got > self._most and not refused:
                refused = True
                await _refuse(scope, send, 413, self._too_large)
            return {"type": "http.disconnect"} if refused else message

        async def silenced(message: Message) -> None:
            if not refused:
                await send(message)

        await self._app(scope, counting, silenced)


async def _refuse(scope: MutableMapping[str, Any], send: Send, status: int, message: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": message})
        return
    body = json.dumps({"error": "Refused", "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
