"""Starting the app: on 127.0.0.1 only, without telemetry, with a private folder that is removed at the end."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from mmemo.errors import ArgumentError, require_extra
from mmemo.pipeline.analyzer import Analyzer

HOST = "127.0.0.1"
MOST_MEGABYTES = 200


def serve(analyzer: Analyzer, port: int = 7860, most_megabytes: float = MOST_MEGABYTES) -> None:
    """Serve the app until it is interrupted.

    Args:
        port: 0 takes any that is free; the address is printed.
        most_megabytes: of one upload.

    Raises:
        MissingExtraError: if Gradio is not installed.
        ArgumentError: if the port can't be had, or ``most_megabytes`` is not positive.
    """
    require_extra("The app", "app", "gradio", "websockets")
    if not most_megabytes > 0:
        raise ArgumentError(f"Expected a positive number of megabytes, got {most_megabytes}.")
    listening = _listen(port)
    address = f"http://{HOST}:{listening.getsockname()[1]}"
    try:
        with tempfile.TemporaryDirectory(prefix="mmemo-app-") as folder:
            app = build(analyzer, Path(folder), address, most_megabytes)
            import uvicorn

            analyzer.model  # noqa: B018 - loaded before the first visitor comes
            print(f"mmemo is at {address} (Ctrl+C ends it)", flush=True)
            # Nobody waits for a connection that a browser keeps open.
            config = uvicorn.Config(app, log_level="warning", ws_max_size=2**21, timeout_graceful_shutdown=2)
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        listening.close()


def build(analyzer: Analyzer, root: Path, address: str, most_megabytes: float = MOST_MEGABYTES) -> Any:
    """The ASGI application; its files are under ``root``."""
    most = round(most_megabytes * 1e6)
    uploads, findings = root / "uploads", root / "findings"
    findings.mkdir(mode=0o700)
    # Gradio reads its settings from the environment when it is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import gradio as gr

    from mmemo.app.analysis import Analyst
    from mmemo.app.endpoint import application
    from mmemo.app.middleware import Guard
    from mmemo.app.sessions import Findings
    from mmemo.app.ui import CSS, blocks, theme

    analyst = Analyst(analyzer, Findings(findings), most)
    app = application(analyst)
    app = gr.mount_gradio_app(
        app,
        blocks(analyst, address),
        path="/",
        server_name=HOST,
        footer_links=[],
        run_history=False,
        max_file_size=most,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=theme(),
        css=CSS,
    )
    return Guard(app, most + 2**20)  # the form around a file takes a little


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
