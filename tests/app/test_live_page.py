"""The web page of an exported model, in a real browser with a camera and a microphone that play files."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

import mmemo
from mmemo import Analyzer
from mmemo.errors import ArgumentError
from mmemo.pipeline.live_voice import LiveVoice
from mmemo.samples import moved_portrait, portrait, speech
from mmemo.training.export_onnx import export_model
from mmemo.training.runner import ONNXRUNTIME_WEB, check_onnxruntime_web

pytestmark = pytest.mark.slow

SLOW = 180_000
"""Milliseconds: on a busy machine the browser takes long to compile the networks' code."""
VOICE = """async ([settings, blocks]) => {
  const worker = new Worker("score_voice.js", {type: "module"});
  const call = (message) => new Promise((done) => {
    worker.onmessage = ({data}) => done(data);
    worker.postMessage({number: 0, message});
  });
  const answers = [await call(settings)];
  for (const samples of blocks) answers.push(await call({samples: Float32Array.from(samples)}));
  return answers;
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, for the package onnxruntime-web (apt-get install npm)")
    folder = tmp_path_factory.mktemp("npm")
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    done = subprocess.run([*install, f"onnxruntime-web@{ONNXRUNTIME_WEB}"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"npm can't fetch onnxruntime-web: {done.stderr[-200:]}")
    return folder / "node_modules" / "onnxruntime-web"


@pytest.fixture(scope="module")
def folder(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_model("default", tmp_path_factory.mktemp("page") / "live", int8=True, web=package)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens the page; at the end nothing may have been requested of another host, and nothing may have gone wrong."""
    requested: list[str] = []
    wrong: list[str] = []
    contexts = []

    def open_page(script: str = "") -> Page:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}))
        contexts[-1].on("request", lambda request: requested.append(request.url))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None)
        page.add_init_script(script)
        page.set_default_timeout(SLOW)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url for url in requested if not url.startswith((address, "data:", "blob:"))] == []
    assert wrong == []


def shares(page: Page, part: str) -> dict[str, float]:
    """What all bars show at one moment, in percent."""
    read = "(bars) => bars.map((bar) => [bar.ariaLabel, Number(bar.ariaValueNow)])"
    return dict(page.locator(f"#{part}-bars .bar").evaluate_all(read))


def test_a_picture_has_the_scores_of_an_analysis_and_the_camera_is_followed(
    visit: Callable[..., Page], tmp_path: Path
) -> None:
    page, look = visit(), Analyzer(modalities=("face",))
    for number, image in enumerate((portrait(), moved_portrait(lean=20, turn=1.0))):
        file = tmp_path / f"{number}.png"
        cv2.imwrite(str(file), image[..., ::-1])
        before = shares(page, "face").get("happiness", 0.0)
        page.set_input_files("#picture", file)
        expect(page.locator("#face")).to_have_text("happiness", timeout=SLOW)
        expect(page.locator("[aria-label=happiness]")).not_to_have_attribute(
            "aria-valuenow", f"{before:.3f}", timeout=SLOW
        )
        scored = {label: share / 100 for label, share in shares(page, "face").items()}
        assert scored == pytest.approx(look(file).scores, abs=0.01)
    page.check("#listen")
    page.click("#camera")
    expect(page.locator("#camera")).to_have_text("Stop", timeout=SLOW)
    expect(page.locator("#rate")).to_contain_text("updates a second", timeout=SLOW)
    expect(page.locator("#face")).to_have_text("happiness")
    assert sum(shares(page, "face").values()) == pytest.approx(100, abs=0.01)
    expect(page.locator("#voice-bars .share").first).to_contain_text("%", timeout=SLOW)
    page.click("#camera")
    expect(page.locator("#rate")).to_be_empty()
    assert page.evaluate("document.querySelector('#video').srcObject") is None


def test_a_voice_has_the_scores_of_a_live_session(visit: Callable[..., Page], folder: Path) -> None:
    pause = 0.001 * np.random.default_rng(0).normal(size=16_000)
    sound = np.concatenate([speech(), pause]).astype(np.float32)
    blocks = sound[: len(sound) // 2048 * 2048].reshape(-1, 2048)
    answers = visit().evaluate(VOICE, [json.loads((folder / "run.json").read_text()), blocks.tolist()])
    model = mmemo.load_model(folder)
    live = LiveVoice(model, window=2.0)
    for number, (block, answer) in enumerate(zip(blocks, answers[1:], strict=True)):
        is_new = live.update(block, number * 2048 / 16_000)
        assert answer["result"].get("scored", False) is is_new, answer
        assert answer["result"]["speaking"] is live.speaking
        if is_new:
            logs = answer["result"]["logs"]
            assert (logs is None) is (live.encoding is None)
            if logs is not None and live.encoding is not None:
                np.testing.assert_allclose(np.exp(logs), model.scores(live.encoding)[0], atol=0.01)
    assert not live.speaking


def test_what_goes_wrong_is_shown(visit: Callable[..., Page], address: str, tmp_path: Path) -> None:
    refused = "navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{0}'); }};"
    for script, message in (
        ("delete window.WebAssembly;", "can't run WebAssembly"),
        (refused.format("NotFoundError"), "No camera is connected"),
        (refused.format("NotAllowedError"), "may not use the camera"),
    ):
        page = visit(script)
        page.route("**/*.wasm", lambda route: route.abort())
        page.click("#camera")
        expect(page.locator("#problem")).to_contain_text(message)
        expect(page.locator("#camera")).to_have_text("Start camera")
    page = visit()
    page.route("**/run.json", lambda route: route.fulfill(status=404))
    page.click("#camera")
    expect(page.locator("#problem")).to_contain_text("The model can't be loaded (run.json: 404)")
    (tmp_path / "none.png").write_text("no picture")
    page.unroute("**/run.json")
    page.set_input_files("#picture", tmp_path / "none.png")
    expect(page.locator("#problem")).to_contain_text("none.png can't be read as a picture")


def test_another_package_is_refused(package: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=f"npm install onnxruntime-web@{ONNXRUNTIME_WEB}"):
        export_model("default", tmp_path / "out", web=tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "package.json").write_text('{"version": "1.0.0"}')
    with pytest.raises(ArgumentError, match=r"holds version 1\.0\.0"):
        check_onnxruntime_web(tmp_path)
    check_onnxruntime_web(package)
