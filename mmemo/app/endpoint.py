"""HTTP endpoints of the app: `POST /api/analyze` for programs, the files of a result, and the live connection."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, File, Form, UploadFile, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.websockets import WebSocketDisconnect

import mmemo
from mmemo.app import html
from mmemo.app.analysis import Analyst, StoppedError, plain_name
from mmemo.app.live import push_message
from mmemo.app.middleware import session_of
from mmemo.app.sessions import Visitor
from mmemo.clip import track_choice
from mmemo.document import schemas
from mmemo.errors import ArgumentError, MediaError, MissingStreamError, MmemoError, TimeLimitError
from mmemo.evidence import Channel
from mmemo.pipeline.live_session import LiveSession
from mmemo.result import EmotionResult

log = logging.getLogger(__name__)

_CLIENT_ERRORS = (ArgumentError, MediaError, MissingStreamError, TimeLimitError)
_MOST_LIVE = 4
"""Live connections at once: each takes a good part of a processor."""
_LOOK: float = 0.5
"""Seconds between looks at whether the client is still there."""


class Failure(BaseModel):
    """Why there is no result."""

    error: str = Field(description="The kind, such as MediaError.")
    message: str = Field(description="What happened, why, and what to do.")


class _Application(FastAPI):
    """FastAPI whose OpenAPI document describes results by their own JSON Schema."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["components"]["schemas"] |= schemas(EmotionResult, "#/components/schemas/{name}")
        return document


def application(analyst: Analyst) -> FastAPI:
    """A FastAPI application with the endpoints, to which the page is added."""
    app = _Application(
        title="mmemo",
        version=mmemo.__version__,
        description=(
            "What emotion a person shows, from face, voice and words together. Scores rate the apparent expression, "
            "not what a person feels. Uploads are removed as soon as they are analyzed; nothing leaves this machine."
        ),
        docs_url=None,  # both would fetch their scripts from another host
        redoc_url=None,
    )
    app.add_exception_handler(MmemoError, _failure)
    app.add_exception_handler(StoppedError, _stopped)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _fault)
    app.include_router(_routes(analyst))
    return app


def _routes(analyst: Analyst) -> APIRouter:
    router = APIRouter()
    live = 0

    @router.post(
        "/api/analyze",
        summary="Analyze one clip",
        dependencies=[Depends(HTTPBearer(auto_error=False, description="The token that the command printed."))],
        responses={
            200: {
                "description": "The document of the result.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EmotionResult"}}},
            },
            400: {"model": Failure, "description": "The request is no form as HTTP has them."},
            401: {"model": Failure, "description": "The token is missing or wrong."},
            403: {
                "model": Failure,
                "description": "It comes from a page of another site, or names another host.",
            },
            413: {"model": Failure, "description": "The file is too large."},
            422: {"model": Failure, "description": "The file can't be read in time, or there is nothing to analyze."},
            500: {"model": Failure, "description": "A fault of the server."},
            503: {"model": Failure, "description": "The server is ending."},
        },
    )
    async def analyze(
        request: Request,
        file: Annotated[UploadFile | None, File(description="A video, a sound or a picture.")] = None,
        text: Annotated[str | None, Form(description="The words, if known; alone, they are analyzed.")] = None,
        modalities: Annotated[
            str | None, Form(description="Some of face,voice,text with commas between; all by default.")
        ] = None,
        channel: Annotated[
            Channel, Form(description="left or right: that channel of the sound alone, as of a recorded call.")
        ] = "mix",
        audio_track: Annotated[
            str | None, Form(description="Which of several sound tracks: its number, from 1, or its language.")
        ] = None,
        subtitle_track: Annotated[
            str | None, Form(description="Which of several subtitles in the file: the number, from 1, or the language.")
        ] = None,
    ) -> Response:
        """Send a file as `multipart/form-data`; the response is the same document as `mmemo analyze --json` prints.

        Analyses run one after the other, so a request may wait for others.
        """
        chosen = [name.strip() for name in (modalities or "").split(",") if name.strip()]
        tracks = {"audio_track": track_choice(audio_track), "subtitle_track": track_choice(subtitle_track)}
        visitor = Visitor("", secrets.token_urlsafe(16))

        def work() -> dict[str, Any]:
            if file is None or not file.filename:
                return analyst.document(visitor, None, text, chosen, channel, **tracks)
            folder = analyst.results.folder()
            try:
                path = folder / plain_name(file.filename)
                with path.open("wb") as out:
                    shutil.copyfileobj(file.file, out)
                return analyst.document(visitor, path, text, chosen, channel, **tracks)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

        working = asyncio.ensure_future(run_in_threadpool(work))
        while not (await asyncio.wait({working}, timeout=_LOOK))[0]:
            if await request.is_disconnected():
                analyst.stop(visitor)
        return JSONResponse(working.result())

    @router.get("/results/{token}/{name}", include_in_schema=False)
    def fetch(request: Request, token: str, name: str, save: bool = False) -> FileResponse:
        file = analyst.results.file(session_of(request), token, name)
        if file is None or not file.is_file():
            raise HTTPException(404, "This result is not kept any more. Analyze the clip again.")
        return FileResponse(file, filename=name if save else None)

    @router.get("/live", include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse(html.live(analyst.model.labels))

    @router.get("/live/sound.js", include_in_schema=False)
    def recorder() -> FileResponse:
        return FileResponse(str(files("mmemo.app").joinpath("templates/live_sound.js")), media_type="text/javascript")

    @router.websocket("/live/scores")
    async def scores(connection: WebSocket) -> None:
        nonlocal live
        await connection.accept()
        if live >= _MOST_LIVE:
            await connection.close(1013, f"{_MOST_LIVE} cameras are connected already. Try again later.")
            return
        live += 1
        try:
            await _follow(connection, analyst)
        except WebSocketDisconnect:
            pass
        except MmemoError as error:
            await connection.close(1008, str(error)[:120])
        finally:
            live -= 1

    return router


async def _follow(connection: WebSocket, analyst: Analyst) -> None:
    """Score what a live page sends, until it leaves."""
    session = await run_in_threadpool(lambda: LiveSession(analyst.personal.analyzer(analyst.model)))

    async def receive() -> None:
        while True:
            push_message(session, await connection.receive_bytes())

    async def send() -> None:
        async for update in session:
            await connection.send_json(update.to_dict())

    tasks = [asyncio.create_task(receive()), asyncio.create_task(send())]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        await run_in_threadpool(session.close)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _failure(_: Request, error: Exception) -> JSONResponse:
    status = 422 if isinstance(error, _CLIENT_ERRORS) else 500
    return JSONResponse({"error": type(error).__name__, "message": str(error)}, status)


def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": "Refused", "message": error.detail}, error.status_code, error.headers)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
    return JSONResponse({"error": "ArgumentError", "message": f"The form can't be used: {faults}."}, 422)


def _stopped(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"error": "Stopped", "message": "The server is ending."}, 503)


def _fault(_: Request, __: Exception) -> JSONResponse:
    """What no error of mmemo's describes; the server's log has the details."""
    message = "A fault of mmemo. The window in which the app was started says what happened."
    return JSONResponse({"error": "Fault", "message": message}, 500)
