"""Server of the app: on 127.0.0.1 only, behind a token, without telemetry, its files in a private folder."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from mmemo.app.analysis import CLIP_TIMEOUT, Analyst
from mmemo.app.folder import private_folder
from mmemo.app.personal import Personal
from mmemo.app.sessions import ResultStore
from mmemo.batch.process import check_limit
from mmemo.batch.settings import Settings
from mmemo.errors import ArgumentError, require_extra
from mmemo.evidence import Seconds

HOST = "127.0.0.1"
MOST_MEGABYTES = 200
_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP


def serve(
    settings: Settings,
    port: int = 7860,
    most_megabytes: float = MOST_MEGABYTES,
    *,
    with_token: bool = True,
    clip_timeout: Seconds | None = CLIP_TIMEOUT,
    personal: Personal = Personal(),  # noqa: B008 - it is frozen
    page: str = "/",
) -> None:
    """Serve the app until it is interrupted (SIGINT), ended (SIGTERM) or its terminal is closed (SIGHUP).

    Args:
        port: 0 takes any that is free; the address is printed.
        most_megabytes: of one upload.
        with_token: whether all requests must show a token, which is new each time and printed with the address.
        clip_timeout: seconds that the analysis of an upload may take; None for no limit.
        personal: prior, baseline and adaptation of all analyses, and where corrections are kept.
        page: that the printed link leads to: "/", or "/live".

    Raises:
        MissingExtraError: if Gradio is not installed.
        ArgumentError: if the port can't be had, ``most_megabytes`` or ``clip_timeout`` is not positive, baseline or
            adaptation are of another model, or the corrections can't be read.
    """
    require_extra("The app", "app", "gradio", "websockets")
    if not most_megabytes > 0:
        raise ArgumentError(f"Expected a positive number of megabytes, got {most_megabytes}.")
    check_limit(clip_timeout)
    listening = _listen(port)
    address = f"http://{HOST}:{listening.getsockname()[1]}"
    token = secrets.token_urlsafe(24) if with_token else None
    try:
        with _unwound_by_signals(), private_folder() as root:
            results = ResultStore(root / "results")
            analyst = Analyst(settings, results, round(most_megabytes * 1e6), clip_timeout, personal)
            analyst.warm_up()
            _run(build(analyst, root, address, token), analyst, listening, f"{address}{_query(page, token)}")
    finally:
        listening.close()


def _run(app: Any, analyst: Analyst, listening: socket.socket, link: str) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            analyst.close()  # nobody waits for what would take minutes
            await super().shutdown(sockets)

    analyst.personal.adjusted(analyst.model)  # loaded, and known to fit, before the first visitor comes
    # Nobody waits for a connection that a browser keeps open.
    server = Server(uvicorn.Config(app, log_level="warning", ws_max_size=2**21, timeout_graceful_shutdown=2))
    for number in _ENDING:
        if signal.getsignal(number) is _unwind:
            signal.signal(number, server.handle_exit)
    print(f"mmemo is at {link} (Ctrl+C ends it)", flush=True)
    server.run(sockets=[listening])


def _query(page: str, token: str | None) -> str:
    return f"{page}?token={token}" if token else page.rstrip("/")


@contextmanager
def _unwound_by_signals() -> Iterator[None]:
    """Let the signals that would end the process on the spot unwind it, so that its folder goes."""
    if threading.current_thread() is not threading.main_thread():  # only that one may set how signals are taken
        yield
        return
    taken = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]  # by nohup
    before = {number: signal.signal(number, _unwind) for number in taken}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _unwind(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


def build(analyst: Analyst, root: Path, address: str, token: str | None) -> Any:
    """The ASGI application; its files are under ``root``."""
    uploads = root / "uploads"
    analyst.results.root.mkdir(mode=0o700)
    uploads.mkdir(mode=0o700)
    # Gradio reads its settings from the environment when it is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import gradio as gr

    from mmemo.app.endpoint import application
    from mmemo.app.middleware import AccessGuard
    from mmemo.app.ui import CSS, blocks, theme
    from mmemo.app.uploads import Uploads

    sent = Uploads(uploads)
    app = gr.mount_gradio_app(
        application(analyst),
        blocks(analyst, sent, address, token=token is not None),
        path="/",
        server_name=HOST,
        footer_links=[],
        run_history=False,
        max_file_size=analyst.most_bytes,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=theme(),
        css=CSS,
    )
    return AccessGuard(app, sent, analyst.most_bytes + 2**20, token)  # the form around a file takes a little


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)  # who comes before the server is up waits, and is not refused
    except (OSError, OverflowError) as error:
        listening.close()
        raise ArgumentError(f"Port {port} of {HOST} can't be had ({error}). Choose another with --port.") from None
    return listening
