"""The page in a real browser, on the server that the command starts."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.app.conftest import MOST_MEGABYTES, Running

pytestmark = pytest.mark.slow


def analyze(page: Page, file: Path) -> None:
    page.set_input_files("#file input[type=file]", file)
    expect(page.locator("#file")).to_contain_text(file.stem)
    page.click("#start")


def late(route: Route) -> None:
    """An upload that takes longer than a click."""
    time.sleep(1.5)
    route.continue_()


def shown(page: Page) -> None:
    page.wait_for_selector("#result .finding")


def test_a_clip_is_analyzed_shown_and_downloaded(
    server: Running, visit: Callable[[], Page], smile: Path, tmp_path: Path
) -> None:
    page = visit()
    analyze(page, smile)
    shares = set()
    while not page.locator("#result .finding, #result .failure").count():  # the progress bar moves
        told = re.search(r"- ([\d.]+)%", page.inner_text("#result"))
        shares.add(float(told[1]) if told else 0.0)
        time.sleep(0.05)
    assert len(shares) > 2, shares
    assert "happiness" in page.inner_text("#result .verdict")
    assert page.locator("#result svg image, #result svg [href^='data:image']").count() > 0  # small faces
    expect(page.locator("#result video")).to_have_js_property("videoWidth", 640)  # drawn twice as large, and it plays
    with page.expect_download() as download:
        page.click("#result .downloads a:text('JSON')")
    document = json.loads(Path(download.value.path()).read_text())
    assert document["source"] == "smile.mp4"
    assert document["label"] == "happiness"
    assert set(document["modalities"]) >= {"face", "voice"}
    with page.expect_download() as download:
        page.click("#result .downloads a:text-is('Report')")
    assert Path(download.value.path()).read_text().startswith("<!doctype html>")
    assert str(server.folder) not in json.dumps(document)
    assert not [file for file in server.files() if file.name == "smile.mp4"]  # the upload itself is gone


def test_modalities_are_switched_without_analyzing_again(
    server: Running, visit: Callable[[], Page], smile: Path
) -> None:
    page = visit()
    analyze(page, smile)
    shown(page)
    page.click("role=tab[name='Compare modalities']")
    face = page.locator("#choice label", has_text="Face").locator("input")
    expect(face).to_be_checked()
    assert page.locator("#comparison .choices tr").count() in (3, 7)  # all subsets of two, or of three
    before = page.inner_text("#comparison .verdict")
    assert before.startswith("happiness")
    files = server.files()
    face.uncheck()
    expect(page.locator("#comparison .current")).not_to_contain_text("Face")
    assert server.files() <= files  # an analysis has a folder of its own
    assert page.inner_text("#comparison .verdict") != before
    for box in page.locator("#choice input:checked").all()[::-1]:
        box.uncheck()
    expect(page.locator("#comparison .failure")).to_contain_text("at least one")


def test_what_goes_wrong_is_told(server: Running, visit: Callable[[], Page], tmp_path: Path, picture: Path) -> None:
    page = visit()
    page.click("#start")
    expect(page.locator("#result .failure")).to_contain_text("give a file, or words")
    garbage = tmp_path / "garbage.mp4"
    garbage.write_bytes(b"\x00\x01garbage" * 1000)
    analyze(page, garbage)
    expect(page.locator("#result .failure")).to_contain_text("garbage.mp4 can't be read as video, audio or image")
    assert str(server.folder) not in page.inner_text("body")
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes((MOST_MEGABYTES + 1) * 1_000_000))
    page.click("#clear")
    page.set_input_files("#file input[type=file]", large)
    expect(page.locator("body")).to_contain_text(re.compile("maximum|exceeds|larger"))
    page.reload()
    page.set_input_files("#file input[type=file]", picture)
    page.click("#start")
    shown(page)
    assert page.locator("#result .verdict").count() == 1  # and the next clip works


def test_a_name_can_not_become_part_of_the_page(visit: Callable[[], Page], smile: Path, tmp_path: Path) -> None:
    page = visit()
    evil = tmp_path / "<img src=x onerror=window.broken=1>${window.broken=1}.mp4"
    evil.write_bytes(smile.read_bytes()[:2000])
    page.set_input_files("#file input[type=file]", evil)
    page.click("#start")
    page.wait_for_selector("#result .failure")
    evil.write_bytes(smile.read_bytes())
    page.reload()
    page.set_input_files("#file input[type=file]", evil)
    page.click("#start")
    shown(page)
    assert page.evaluate("window.broken") is None


def test_two_visitors_at_once_do_not_mix(visit: Callable[[], Page], smile: Path, wall: Path) -> None:
    first, second = visit(), visit()
    analyze(first, smile)
    analyze(second, wall)
    shown(first)
    shown(second)
    assert "smile.mp4" in first.inner_text("#result")
    assert "wall.mp4" in second.inner_text("#result")
    for page, name, has_face in ((first, "smile.mp4", True), (second, "wall.mp4", False)):
        page.click("role=tab[name='Compare modalities']")
        expect(page.locator("#comparison h1")).to_have_text(name)
        assert (page.locator("#choice label", has_text="Face").count() > 0) is has_face
    links = {page.locator("#result .downloads a").first.get_attribute("href") for page in (first, second)}
    assert len(links) == 2


def test_stop_ends_what_runs_and_what_waits(server: Running, visit: Callable[[], Page], long: Path) -> None:
    first, second = visit(), visit()
    analyze(first, long)
    expect(first.locator("#result")).to_contain_text(re.compile("listening|looking"))
    second.get_by_label("Words").fill("What a lovely day!")
    second.click("#start")
    expect(second.locator("#result")).to_contain_text("waiting for 1 other analysis to end")
    second.click("#stop")
    expect(second.locator("#result .failure")).to_contain_text("Stopped.")
    assert first.locator("#result .failure").count() == 0
    first.click("#stop")
    expect(first.locator("#result .failure")).to_contain_text("Stopped.")
    second.click("#start")
    shown(second)
    assert not [file for file in server.files() if file.name == "long.mp4"]


def test_an_example(visit: Callable[[], Page]) -> None:
    page = visit()
    page.click("button:text('Words alone')")
    shown(page)
    assert "Words" in page.inner_text("#result")


def test_camera_and_microphone_are_scored_live(visit: Callable[[], Page]) -> None:
    page = visit()
    page.click("role=tab[name='Live']")
    frame = page.frame_locator("iframe.live")
    frame.locator("#switch").click()
    expect(frame.locator("tr[data-modality=face] td")).to_contain_text("happiness")
    expect(frame.locator("tr[data-modality=voice] td")).to_contain_text("%")
    expect(frame.locator("#verdict")).to_have_text(re.compile("[a-z]+"))
    live = next(frame for frame in page.frames if frame.url.endswith("/live"))
    before = live.evaluate("window.updates")
    page.wait_for_timeout(1500)
    assert live.evaluate("window.updates") - before >= 3  # that it runs; its speed is measured by benchmarks/app.py
    frame.locator("#switch").click()
    expect(frame.locator("#verdict")).to_have_text("")


def test_what_is_recorded_in_the_page_is_analyzed(visit: Callable[[], Page]) -> None:
    page = visit()
    page.click("role=tab[name='Camera']")
    page.click("button:has-text('Click to Access Webcam')")
    page.click("button:visible:has-text('Record')")
    page.wait_for_timeout(2500)
    page.click("button:visible:has-text('Stop')")
    page.click("#start")  # waits for the upload
    shown(page)
    table = page.locator("#result .mmemo table").first
    assert "happiness" in table.locator("tr", has_text="Face").inner_text()
    assert table.locator("tr", has_text="Voice").count() == 1


def test_a_voice_alone_is_recorded(visit: Callable[[], Page]) -> None:
    page = visit()
    page.route("**/upload*", late)
    page.click("role=tab[name='Microphone']")
    page.click("button:visible:has-text('Record')")
    expect(page.locator("time:visible").last).to_have_text("0:03")
    page.click("button:visible:has-text('Stop')")
    page.click("#start")  # waits for the upload
    shown(page)
    assert page.locator("#result .mmemo table", has_text="coverage").locator("tr", has_text="Voice").count() == 1


def verdict_of(page: Page) -> str:
    """Of the words, analyzed again."""
    link = page.locator("#result .downloads a.main")
    before = link.get_attribute("href") if link.count() else ""
    page.click("#start")
    expect(link).not_to_have_attribute("href", before or "")
    return page.inner_text("#result .verdict")


def test_corrections_are_learned_from_and_forgotten(server: Running, visit: Callable[[], Page]) -> None:
    page, file = visit(), server.folder.parent / "corrections" / "corrections.jsonl"
    page.get_by_label("Words").fill("What a lovely day!")
    before = verdict_of(page)
    assert before.startswith("happiness")
    page.click("button:has-text('Was this right?')")
    page.click("button:has-text('What is remembered')")
    try:
        for count in (1, 2, 3):
            expect(page.locator("#remember")).to_be_disabled()
            page.get_by_label("It shows").click()
            expect(page.locator("ul[role=listbox] li")).to_have_count(8)
            page.locator("ul[role=listbox] li", has_text=re.compile("^[^a-z]*sadness$")).click()
            page.click("#remember")
            expect(page.locator("#memory")).to_contain_text(f"{count} correction")
            assert len(file.read_text().splitlines()) == count
            after = verdict_of(page)
            assert (after == before) is (count < 3)
        assert "lovely" not in file.read_text()
        expect(page.locator("#result")).to_contain_text("learned from labeled clips: sadness 3")
        page.click("#forget")
        expect(page.locator("#memory")).to_contain_text("0 corrections")
        assert not file.exists()
    finally:
        file.unlink(missing_ok=True)  # the server is that of all tests
    assert verdict_of(page) == before


def test_the_clips_of_a_page_are_a_baseline(visit: Callable[[], Page]) -> None:
    page = visit()
    page.click("button:has-text('The person')")
    box = page.locator("#one-person input")
    box.check()
    for count, line in enumerate(("I am so happy!", "I am so sad.")):
        page.get_by_label("Words").fill(line)
        verdict_of(page)
        note = page.locator("#result li", has_text=f"baseline of the person, of {count} clip")
        expect(note).to_have_count(count)
    for ticked in (False, True):  # it forgets
        box.set_checked(ticked)
    verdict_of(page)
    expect(page.locator("#result")).not_to_contain_text("baseline of the person")


def test_what_a_visitor_leaves_behind_is_removed(server: Running, visit: Callable[[], Page], smile: Path) -> None:
    page = visit()
    analyze(page, smile)
    shown(page)
    link = page.locator("#result .downloads a").first.get_attribute("href")
    kept = server.folder.rglob(str(link).split("/")[2])
    folder = next(kept)
    assert (folder / "annotated.mp4").is_file()
    page.context.close()
    while folder.exists():
        time.sleep(0.1)
