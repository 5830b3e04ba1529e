"""The app over HTTP: `POST /api/analyze` for programs, a result's files, and the live connection."""

from __future__ import annotations

import shutil
import time
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, File, Form, HTTPException, UploadFile, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.websockets import WebSocketDisconnect

import mmemo
from mmemo.app.analysis import Analyst, plain_name
from mmemo.app.live import LiveScorer, picture
from mmemo.app.middleware import session_of
from mmemo.app.schema import Answer, Refusal
from mmemo.errors import ArgumentError, MediaError, MissingStreamError, MmemoError
from mmemo.pipeline.analyzer import Analyzer
from mmemo.report.style.colors import colors

_USERS_FAULT = (ArgumentError, MediaError, MissingStreamError)
_MOST_LIVE = 4
"""Live connections at once: each takes a good part of a processor."""


def application(analyst: Analyst) -> FastAPI:
    """A FastAPI application with the endpoints, to which the page is added."""
    app = FastAPI(
        title="mmemo",
        version=mmemo.__version__,
        description=(
            "What emotion a person shows, from face, voice and words together. Scores tell the expression that shows, "
            "not what a person feels. Uploads are removed as soon as they are analyzed; nothing leaves this machine."
        ),
        docs_url=None,  # both would fetch their scripts from another host
        redoc_url=None,
    )
    app.add_exception_handler(MmemoError, _refusal)
    app.include_router(_routes(analyst))
    return app


def _routes(analyst: Analyst) -> APIRouter:
    router = APIRouter()
    live = 0

    @router.post(
        "/api/analyze",
        summary="Analyze one clip",
        response_model=Answer,
        dependencies=[Depends(HTTPBearer(auto_error=False, description="The token that the command printed."))],
        responses={
            401: {"model": Refusal, "description": "The token is missing or wrong."},
            413: {"model": Refusal, "description": "The file is too large."},
            422: {"model": Refusal, "description": "The file can't be read, or there is nothing to analyze."},
            500: {"model": Refusal, "description": "A fault of the server."},
        },
    )
    def analyze(
        file: Annotated[UploadFile | None, File(description="A video, a sound or a picture.")] = None,
        text: Annotated[str | None, Form(description="The words said, if known; alone, they are analyzed.")] = None,
        modalities: Annotated[
            str | None, Form(description="Some of face,voice,text with commas between; all by default.")
        ] = None,
    ) -> Response:
        """Send a file as `multipart/form-data`; the answer is the same document as `mmemo analyze --json` prints.

        Analyses run one after the other, so a request may wait for others.
        """
        chosen = [name.strip() for name in (modalities or "").split(",") if name.strip()]
        analyzer = Analyzer(analyst.analyzer.model, chosen) if chosen else None
        if file is None or not file.filename:
            result = analyst.scores(None, "Text", text, _silent, analyzer)
            return Response(result.to_json(), media_type="application/json")
        folder = analyst.results.folder()
        try:
            path = folder / plain_name(file.filename)
            with path.open("wb") as out:
                shutil.copyfileobj(file.file, out)
            result = analyst.scores(path, path.name, text, _silent, analyzer)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        document = result.to_dict() | {"source": path.name}
        return JSONResponse(document)

    @router.get("/results/{token}/{name}", include_in_schema=False)
    def fetch(request: Request, token: str, name: str, save: bool = False) -> FileResponse:
        file = analyst.results.file(session_of(request), token, name)
        if file is None or not file.is_file():
            raise HTTPException(404, "This result is not kept any more. Analyze the clip again.")
        return FileResponse(file, filename=name if save else None)

    @router.get("/live", include_in_schema=False)
    def page() -> HTMLResponse:
        chosen = "".join(f'"{label}":"{color}",' for label, color in colors(analyst.analyzer.labels).items())
        html = files("mmemo.app").joinpath("live.html").read_text(encoding="utf-8")
        return HTMLResponse(html.replace("/*COLORS*/", chosen))

    @router.websocket("/live/scores")
    async def scores(connection: WebSocket) -> None:
        nonlocal live
        await connection.accept()
        if live >= _MOST_LIVE:
            await connection.close(1013, f"{_MOST_LIVE} cameras are watched already. Try again later.")
            return
        live += 1
        try:
            scorer = await run_in_threadpool(lambda: LiveScorer(analyst.analyzer.model))
            while True:
                image = picture(await connection.receive_bytes())
                start = time.perf_counter()
                faces = await run_in_threadpool(scorer.update, image, start)
                found = [{"person": face.person, "box": face.box, "scores": face.scores} for face in faces]
                await connection.send_json({"faces": found, "ms": round(1000 * (time.perf_counter() - start), 1)})
        except WebSocketDisconnect:
            pass
        except MmemoError as error:
            await connection.close(1008, str(error)[:120])
        finally:
            live -= 1

    return router


def _refusal(_: Request, error: Exception) -> JSONResponse:
    status = 422 if isinstance(error, _USERS_FAULT) else 500
    return JSONResponse({"error": type(error).__name__, "message": str(error)}, status)


def _silent(done: float, what: str) -> None:
    """Nobody watches the progress of a request."""
