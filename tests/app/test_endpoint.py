"""The HTTP endpoint of the running server, and what it refuses."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest

from mmemo import EmotionResult
from tests.app.conftest import MOST_MEGABYTES, Running, start
from tests.processes import processor_time

pytestmark = pytest.mark.slow


def post(
    server: Running, file: tuple[str, bytes] | None = None, headers: dict[str, str] | None = None, **fields: str
) -> tuple[int, dict[str, object]]:
    boundary = "----mmemo-test"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()
    ]
    if file is not None:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file[0]}"\r\n\r\n'.encode()
        parts.append(head + file[1] + b"\r\n")
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    given = {"Content-Type": f"multipart/form-data; boundary={boundary}", **server.bearer, **(headers or {})}
    request = urllib.request.Request(f"{server.address}/api/analyze", body, given)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_response_to_a_file_is_as_described(server: Running, smile: Path) -> None:
    before = server.files()
    status, response = post(server, ("smile.mp4", smile.read_bytes()), modalities="face,voice")
    assert status == 200
    assert EmotionResult.from_dict(response).to_dict() == response
    assert response["source"] == "smile.mp4"
    assert response["label"] == "happiness"
    assert set(response["modalities"]) == {"face", "voice"}
    assert server.files() <= before
    asked = urllib.request.Request(f"{server.address}/openapi.json", headers=server.bearer)
    with urllib.request.urlopen(asked, timeout=30) as document:
        described = json.load(document)
    ok = described["paths"]["/api/analyze"]["post"]["responses"]["200"]
    reference = ok["content"]["application/json"]["schema"]["$ref"]
    assert reference == "#/components/schemas/EmotionResult"
    jsonschema.validate(response, {"$ref": reference, "components": described["components"]})


def test_words_alone(server: Running) -> None:
    status, response = post(server, text="What a lovely day, I am so happy.")
    assert status == 200
    assert response["source"] is None
    assert response["label"] == "happiness"


@pytest.mark.parametrize(
    ("file", "fields", "status", "says"),
    [
        (("garbage.mp4", b"\x01garbage" * 100), {}, 422, "garbage.mp4 can't be read as video"),
        (("program.exe", b"MZ"), {}, 422, "program.exe is no video, sound or picture by its name"),
        (("../../up.mp4", b"x"), {}, 422, "up.mp4 can't be read"),
        (None, {}, 422, "give a file, or words"),
        (None, {"text": "hello", "modalities": "faces"}, 422, "not ['faces']"),
        (None, {"text": "hello", "subtitle_track": "1"}, 422, "leave out text="),
        (None, {"text": "hello", "channel": "middle"}, 422, "channel: Input should be 'mix', 'left' or 'right'"),
    ],
)
def test_refusals_say_why(
    server: Running, file: tuple[str, bytes] | None, fields: dict[str, str], status: int, says: str
) -> None:
    got, response = post(server, file, **fields)
    assert got == status
    assert says in str(response["message"])
    assert str(server.folder) not in str(response)


def test_too_large_is_refused_before_it_is_sent(server: Running) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=60)
    connection.putrequest("POST", "/api/analyze")
    connection.putheader("Authorization", server.bearer["Authorization"])
    connection.putheader("Content-Length", str((MOST_MEGABYTES + 2) * 1_000_000))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert "larger than" in json.load(response)["message"]


def test_a_body_of_unknown_length_is_counted(server: Running) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=60)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    body = iter([head, *[bytes(1_000_000)] * (MOST_MEGABYTES + 2)])
    given = {"Content-Type": "multipart/form-data; boundary=b", **server.bearer}
    try:
        connection.request("POST", "/api/analyze", body, headers=given, encode_chunked=True)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server hung up before all was sent: as good
    assert post(server, text="hello")[0] == 200


def test_pages_of_other_sites_are_refused(server: Running) -> None:
    assert post(server, text="hello", headers={"Origin": "https://example.org"})[0] == 403
    assert post(server, text="hello", headers={"Host": "example.org"})[0] == 403
    assert post(server, text="hello", headers={"Origin": server.address})[0] == 200


def test_files_need_their_address(server: Running) -> None:
    for name in ("none/result.json", "..%2f..%2fuploads/x"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(
                urllib.request.Request(f"{server.address}/results/{name}", headers=server.bearer), timeout=30
            )
        assert refused.value.code == 404


def test_a_taken_port_is_told(server: Running) -> None:
    port = urlsplit(server.address).port
    done = subprocess.run(
        [sys.executable, "-m", "mmemo", "app", "--port", str(port)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert f"Port {port} of 127.0.0.1 can't be had" in done.stderr


def leave(running: Running, long: Path) -> None:
    """Hang up while a clip is analyzed: that is ended with its process, and the next one is served."""
    worker = running.workers()[0]
    spent = processor_time(worker)
    address = urlsplit(running.address)
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="long.mp4"\r\n\r\n' + long.read_bytes()
    head = f"POST /api/analyze HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {running.token}\r\n"
    head += f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body) + 9}\r\n\r\n"
    with socket.create_connection((str(address.hostname), address.port or 0)) as leaving:
        leaving.sendall(head.encode() + body + b"\r\n--b--\r\n")
        while "long.mp4" not in (file.name for file in running.files()):
            time.sleep(0.01)
        while processor_time(worker) < spent + 0.5:  # it is at work
            time.sleep(0.01)
    while worker in running.workers() or running.files() != {*running.folder.glob("*/mmemo-app.lock")}:
        time.sleep(0.05)
    assert post(running, text="hello")[0] == 200


def test_nothing_is_asked_of_another_host_and_nothing_is_left(tmp_path: Path, server: Running, long: Path) -> None:
    """The system calls of the server of all these tests so far; then one that is ended by its own."""
    if server.calls is not None:
        calls = server.calls.read_text()
        assert "bind(" in calls  # something was watched
        others = [
            line
            for line in calls.splitlines()
            if re.search(r"AF_INET6?\b", line) and not re.search(r'inet_addr\("127\.0\.0\.1"\)|"::1"', line)
        ]
        assert others == []
    running = start(tmp_path / "tmp")
    try:
        assert post(running, text="hello")[0] == 200
        if sys.platform == "linux":
            leave(running, long)
    finally:
        running.stop()
    assert list(running.folder.iterdir()) == []
