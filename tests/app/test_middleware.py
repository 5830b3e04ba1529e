"""What the running server refuses over real HTTP: strangers, other sessions, and requests that name foreign files."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from gradio.exceptions import InvalidPathError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from mmemo.app.analysis import Analyst
from mmemo.app.sessions import ResultStore
from mmemo.app.ui import blocks
from mmemo.app.uploads import Uploads
from mmemo.batch.settings import Settings
from mmemo.errors import ArgumentError
from tests.app.conftest import Running

pytestmark = pytest.mark.slow

FILE = {"_type": "gradio.FileData"}
ANALYZE = 2
"""Which of the functions of a page without corrections the button calls."""


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["message"])


def ask(
    server: Running, path: str, body: object = None, headers: dict[str, str] | None = None, method: str | None = None
) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=60)
    given = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body, given["Content-Type"] = json.dumps(body).encode(), "application/json"
    connection.request(method or ("GET" if body is None else "POST"), path, body, given)
    answer = connection.getresponse()
    return Answer(answer.status, answer.headers, answer.read())


@dataclass
class Visitor:
    """A browser that came by the link."""

    server: Running
    page: str
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        entered = ask(self.server, f"/?token={self.server.token}")
        self.headers["Cookie"] = entered.headers["Set-Cookie"].partition(";")[0]

    def ask(self, path: str, body: object = None) -> Answer:
        return ask(self.server, path, body, self.headers)

    def upload(self, name: str, content: bytes) -> Path:
        form = (
            f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
            + content
            + b"\r\n--b--\r\n"
        )
        given = {"Content-Type": "multipart/form-data; boundary=b", **self.headers}
        return Path(json.loads(ask(self.server, "/gradio_api/upload", form, given).body)[0])

    @cached_property
    def analysis(self) -> int:
        """Which of the page's functions the button calls: the one with the most inputs."""
        page = self.ask("/").body.decode()
        functions = json.JSONDecoder().raw_decode(page.split("window.gradio_config = ", 1)[1])[0]["dependencies"]
        return int(max(functions, key=lambda one: len(one["inputs"]))["id"])

    def join(self, *data: Any, **more: Any) -> Answer:
        body = {
            "data": [None, False, *data, "", "shown"],
            "fn_index": self.analysis,
            "trigger_id": 14,
            "session_hash": self.page,
            **more,
        }
        return self.ask("/gradio_api/queue/join", body)

    def analyze(self, path: Path) -> str:
        """The HTML that is shown for it."""
        joined = self.join({"path": str(path), "meta": FILE}, None, None)
        assert joined.status == 200, joined.body
        for line in self.ask(f"/gradio_api/queue/data?session_hash={self.page}").body.splitlines():
            message = json.loads(line.removeprefix(b"data: ") or b"{}")
            if message.get("msg") == "process_completed":
                shown = [item for item in message["output"]["data"] if isinstance(item, str) and "<" in item]
                return shown[0]  # of the result; the comparison of modalities comes after it
        raise AssertionError("no result came")


@pytest.fixture(scope="module")
def visitor(server: Running) -> Visitor:
    return Visitor(server, "one")


@pytest.fixture
def secret(tmp_path: Path, smile: Path) -> Path:
    """A video of the owner, in a folder of theirs."""
    file = tmp_path / "diary" / "private.mp4"
    file.parent.mkdir()
    file.write_bytes(smile.read_bytes())
    return file


@pytest.mark.parametrize("place", range(3))  # file, camera, microphone
@pytest.mark.parametrize(
    "attack",
    [
        {"path": "{file}", "is_stream": True, "meta": FILE},
        {"path": "{folder}", "is_stream": True, "meta": FILE},
        {"path": "{folder}", "is_stream": True},
        {"path": "{file}", "meta": FILE},
        {"path": "{uploads}/../../../{file}", "meta": FILE},
        {"path": "/proc/self/cwd/{file}", "meta": FILE},
        {"path": "http://127.0.0.1:1/a.mp4", "meta": FILE},
        {"path": "{sent}", "url": "http://127.0.0.1:1/a.mp4", "meta": FILE},
        {"path": "{sent}", "is_stream": True, "meta": FILE},
        {"path": "{sent}", "more": {"path": "{file}", "meta": FILE}, "meta": FILE},
        [[{"path": "{file}", "meta": FILE}]],
        {"value": {"path": "{file}", "meta": FILE}},
    ],
)
def test_foreign_files_are_refused_and_stay(visitor: Visitor, secret: Path, attack: Any, place: int) -> None:
    sent = visitor.upload("mine.mp4", b"mine")
    text = json.dumps(attack)
    for name, path in {
        "file": secret,
        "folder": secret.parent,
        "sent": sent,
        "uploads": sent.parent.parent,
    }.items():
        text = text.replace(f"{{{name}}}", str(path))
    before, content = visitor.server.files(), secret.read_bytes()
    data = [None, None, None]
    data[place] = json.loads(text)
    refused = visitor.join(*data)
    assert refused.status == 403
    assert "upload" in refused.message
    assert secret.read_bytes() == content
    assert visitor.server.files() <= before


def test_other_parts_of_a_request_name_no_file_either(visitor: Visitor, secret: Path) -> None:
    evil = {"path": str(secret), "is_stream": True, "meta": FILE}
    assert visitor.join(None, None, None, event_data=evil).status == 403
    assert visitor.join(evil, "shown", fn_index=6).status == 403  # an example, whose name is kept as state
    assert visitor.ask("/gradio_api/queue/join", b"\xff").status == 403
    assert visitor.ask("/gradio_api/queue/join", b"[" * 100_000).status == 403
    assert visitor.ask("/gradio_api/queue/join", b" " * 2**21).status == 413
    assert secret.is_file()


@pytest.mark.parametrize(
    "path",
    ["run/predict", "api/predict", "call/run", "call/v2/run", "stream/x", "component_server", "process_recording"],
)
def test_doors_of_gradio_that_the_page_does_not_use_are_shut(visitor: Visitor, secret: Path, path: str) -> None:
    body = {"data": [{"path": str(secret), "is_stream": True, "meta": FILE}], "fn_index": ANALYZE}
    assert visitor.ask(f"/gradio_api/{path}", body).status == 404
    assert secret.is_file()


@pytest.mark.parametrize("path", ["proxy=http://127.0.0.1:1/", "deep_link?session_hash=one", "info"])
def test_nor_can_they_be_read(visitor: Visitor, path: str) -> None:
    assert visitor.ask(f"/gradio_api/{path}").status == 404
    assert visitor.ask("/config").status == 404


def test_links_out_of_the_uploads_are_refused(visitor: Visitor, secret: Path) -> None:
    file = visitor.upload("linked.mp4", b"linked")
    file.unlink()
    file.symlink_to(secret)
    for _ in range(2):
        assert visitor.join({"path": str(file), "meta": FILE}, None, None).status == 403
        assert visitor.ask(f"/gradio_api/file={quote(str(file))}").status == 404
        if file.is_symlink():
            file.unlink()
            file.parent.rmdir()
            (secret.parent / file.name).write_bytes(b"linked")
            file.parent.symlink_to(secret.parent)  # and now its folder
    file.parent.unlink()
    assert secret.is_file()


def test_uploads_and_results_belong_to_a_browser(server: Running, visitor: Visitor, smile: Path) -> None:
    other = Visitor(server, "other")
    file = visitor.upload("smile.mp4", smile.read_bytes())
    assert other.join({"path": str(file), "meta": FILE}, None, None).status == 403
    address = f"/gradio_api/file={quote(str(file))}"
    assert other.ask(address).status == ask(server, address, headers=server.bearer).status == 404
    mine = visitor.ask(address)
    assert mine.body == smile.read_bytes()
    assert "default-src 'none'" in mine.headers["Content-Security-Policy"]
    shown = visitor.analyze(file)
    assert "happiness" in shown
    assert not file.exists()
    address = next(part for part in shown.split('"') if part.startswith("/results/") and part.endswith("report.html"))
    assert other.ask(address).status == 404
    assert ask(server, address, headers=server.bearer).status == 404
    report = visitor.ask(address)
    assert report.status == 200
    assert report.headers["Cache-Control"] == "private, no-store"
    assert "frame-ancestors 'none'" in report.headers["Content-Security-Policy"]


ALL = [
    "/",
    "/live",
    "/openapi.json",
    "/api/analyze",
    "/config",
    "/theme.css",
    "/assets/index.js",
    "/results/a/report.html",
    "/gradio_api/queue/data?session_hash=one",
    "/gradio_api/file=/etc/passwd",
]


def test_an_upload_that_breaks_off_leaves_nothing(server: Running, visitor: Visitor) -> None:
    before, place = server.files(), urlsplit(server.address)
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {place.netloc}\r\nCookie: {visitor.headers['Cookie']}\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 2000000\r\n\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="clip.mp4"\r\n\r\n' + bytes(1_000_000)
    with socket.create_connection((str(place.hostname), place.port or 0)) as line:
        line.sendall(head.encode() + part)
        while server.files() <= before:
            time.sleep(0.01)
    while not server.files() <= before:
        time.sleep(0.01)


@pytest.mark.parametrize("path", ALL)
def test_nothing_is_told_without_the_token(server: Running, path: str) -> None:
    joint = "&" if "?" in path else "?"
    for asked, headers in [
        (path, {}),
        (f"{path}{joint}token=wrong", {}),
        (f"{path}{joint}token=", {}),
        (path, {"Authorization": "Bearer wrong"}),
        (path, {"Authorization": f"Basic {server.token}"}),
        (path, {"Authorization": "Bearer \u00fc"}),
        (path, {"Cookie": f"mmemo-{urlsplit(server.address).port}=one.{'0' * 64}"}),
        (path, {"Cookie": f"mmemo-{urlsplit(server.address).port}={server.token}"}),
    ]:
        for method in ("GET", "POST"):
            answer = ask(server, asked, headers=headers, method=method)
            assert answer.status == 401, (asked, headers)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "link that was printed" in answer.message


def test_a_browser_is_told_where_the_link_is(server: Running) -> None:
    answer = ask(server, "/", headers={"Accept": "text/html,*/*"})
    assert answer.status == 401
    assert answer.headers["Content-Type"].startswith("text/html")
    assert b"Open the link that was printed" in answer.body


def test_the_link_lets_a_browser_in(server: Running) -> None:
    entered = ask(server, f"/?token={server.token}")
    assert entered.status == 200
    assert server.token not in entered.body.decode() + str(entered.headers)
    cookie, *rules = entered.headers["Set-Cookie"].split("; ")
    assert set(rules) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    page = ask(server, "/", headers={"Cookie": f"other=1; {cookie}"})
    assert page.status == 200
    assert b"gradio" in page.body
    assert server.token not in page.body.decode()


def test_the_link_may_lead_to_the_live_page(server: Running) -> None:
    entered = ask(server, f"/live?token={server.token}")
    assert b'content="0;url=/live"' in entered.body
    page = ask(server, "/live", headers={"Cookie": entered.headers["Set-Cookie"].split("; ")[0]})
    assert b'id="switch"' in page.body


def test_programs_show_the_token_by_header_or_query(server: Running) -> None:
    assert ask(server, "/openapi.json", headers=server.bearer).status == 200
    answer = ask(server, f"/openapi.json?token={server.token}")
    assert json.loads(answer.body)["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert answer.headers["Set-Cookie"] is None


def test_the_live_connection_needs_the_token(server: Running, visitor: Visitor) -> None:
    address = server.address.replace("http", "ws") + "/live/scores"
    for asked, headers in [
        (address, {}),
        (f"{address}?token=wrong", {}),
        (address, {**visitor.headers, "Origin": "http://127.0.0.1:1"}),
    ]:
        with pytest.raises(InvalidStatus) as refused, connect(asked, additional_headers=headers, proxy=None):
            pass
        assert refused.value.response.status_code == 403
    for asked, headers in [
        (address, visitor.headers),
        (address, server.bearer),
        (f"{address}?token={server.token}", {}),
    ]:
        with connect(asked, additional_headers=headers, proxy=None) as line:
            line.send(b"")
            with pytest.raises(ConnectionClosed, match="live frame"):
                line.recv(timeout=60)


@pytest.mark.parametrize("path", ["/", "/live", "/openapi.json", "/theme.css", "/none"])
def test_headers_of_every_answer(server: Running, visitor: Visitor, path: str) -> None:
    for answer in (visitor.ask(path), ask(server, path)):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'self'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "private, no-store"


def test_gradio_itself_checks_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a request ever pass by the guard: a mounted page checks none unless it counts as launched."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    analyst = Analyst(Settings.of("default"), ResultStore(tmp_path / "results"), 1_000_000)
    page = blocks(analyst, Uploads(tmp_path / "uploads"), "http://127.0.0.1:1", token=True)
    secret = tmp_path / "private.mp4"
    secret.write_bytes(b"x")
    data = [None, False, {"path": str(secret), "is_stream": True, "meta": FILE}, None, None, "", "shown"]
    with pytest.raises(InvalidPathError, match="not uploaded by a user"):
        asyncio.run(page.process_api(ANALYZE, data, request=None))
    assert secret.is_file()


def test_the_page_checks_for_itself_whose_file_it_is(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads")
    uploads.folder.mkdir()
    file, outside = uploads.folder / "a.mp4", tmp_path / "b.mp4"
    for path in (file, outside):
        path.write_bytes(b"x")
    uploads.add("one", [str(file), str(outside), str(uploads.folder)])
    assert uploads.own("one", str(file)) == file
    for session, path in [
        ("two", file),
        ("one", outside),
        ("one", uploads.folder),
        ("one", tmp_path / "uploads" / ".." / "b.mp4"),
    ]:
        with pytest.raises(ArgumentError, match="page"):
            uploads.own(session, str(path))
    file.unlink()
    with pytest.raises(ArgumentError, match="not kept any more"):
        uploads.own("one", str(file))
