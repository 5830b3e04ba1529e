"""Report of one clip: it has every part, needs nothing from elsewhere, and text of a user stays text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mmemo import EmotionResult
from mmemo.micro_expression import MicroExpression
from mmemo.notes import Note
from mmemo.report.html.affect_plane import affect_points
from mmemo.report.html.page import page
from mmemo.result import ModalityScores, Segment
from mmemo.speech.line import Line
from mmemo.speech.transcript import Transcript

pytestmark = pytest.mark.slow

Check = Callable[[Callable[[str], str]], None]


class Tags(HTMLParser):
    """Collects every start tag and the text of each script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data


def test_it_has_every_part(real: EmotionResult) -> None:
    html = page(real)
    for part in (
        "In words",
        "Over time",
        "By modality",
        "Valence and arousal",
        "People",
        "Words",
        "Notes and limits",
        "Models",
    ):
        assert f"<h2>{part}" in html
    assert html.count("data:image/jpeg;base64,") > 8
    assert "superlative degree" in html
    assert "FER2013" in html  # of the face's short card


def test_it_needs_nothing_from_elsewhere(real: EmotionResult) -> None:
    for tag, attributes in Tags(page(real)).tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "data:").startswith("data:")


@pytest.mark.parametrize("write", [page, EmotionResult._repr_html_])
def test_text_of_a_user_stays_text(
    made: EmotionResult, write: Callable[[EmotionResult], str], check_escaping: Check, tmp_path: Path
) -> None:
    """File names, labels, modalities, words, notes, and the names of a model and of its corpora."""

    def attacked(text: str) -> str:
        (tmp_path / "face").mkdir(exist_ok=True)
        measured = {text: {"uar": [0.5, 0.4, 0.6]}}
        (tmp_path / "face" / "config.json").write_text(json.dumps({"corpora": {text: text}, "scores": measured}))
        return write(named(made, text, str(tmp_path)))

    check_escaping(attacked)
    check_escaping(lambda text: write(replace(named(made, text, text), duration=0.0)))


def named(made: EmotionResult, text: str, model: str) -> EmotionResult:
    """The result with a text in place of its file's name, a label, a modality, its words and its notes."""

    def rename(scores: dict[str, float]) -> dict[str, float]:
        return {text if label == "happiness" else label: score for label, score in scores.items()}

    def rename_all(modalities: dict[str, ModalityScores]) -> dict[str, ModalityScores]:
        renamed = {name: replace(one, scores=rename(one.scores)) for name, one in modalities.items()}
        return {text if name == "voice" else name: one for name, one in renamed.items()}

    def rename_segments(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        return tuple(replace(s, scores=rename(s.scores), modalities=rename_all(s.modalities)) for s in segments)

    people = (
        replace(
            made.people[0],
            scores=rename(made.people[0].scores),
            segments=rename_segments(made.people[0].segments),
            modalities=rename_all(made.people[0].modalities),
        ),
    )
    return replace(
        made,
        source=f"/nowhere/{text}",
        scores=rename(made.scores),
        modalities=rename_all(made.modalities),
        segments=rename_segments(made.segments),
        people=(*people, replace(people[0], id=1)),
        transcript=Transcript((Line(2.0, 4.0, text, speaker=text),), "recognition", "en", text),
        notes=(Note("code", text),),
        micro_expressions=(MicroExpression(0, 1.0, 1.2, 1.4, 25, 30, 35, text, 1.0, 0.5, {text: 1.0}),),
        model=model,
    )


def test_only_its_own_script_may_run(made: EmotionResult) -> None:
    html = page(made)
    policy = next(attributes["content"] for tag, attributes in Tags(html).tags if "http-equiv" in attributes)
    script = Tags(html).scripts[-1]
    assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in str(policy)
    assert str(policy).startswith("default-src 'none'")


def test_the_data_behind_the_timeline_is_that_of_the_result(made: EmotionResult) -> None:
    data = json.loads(Tags(page(made)).scripts[0])
    assert data["labels"] == list(made.scores)
    fused = data["bands"][0]["runs"]
    assert [(run["times"][0], run["times"][-1]) for run in fused] == [(0.0, 4.0), (7.0, 9.0)]
    assert fused[0]["values"][0][1] == 0.7
    assert data["affect"] == [
        {"times": run.times.tolist(), "values": run.values.tolist()} for run in affect_points(made)
    ]


def test_it_needs_no_matplotlib(made: EmotionResult, tmp_path: Path) -> None:
    made.save(tmp_path / "r.json")
    code = (
        "import sys; from mmemo import EmotionResult;"
        "EmotionResult.load(sys.argv[1]).save(sys.argv[2]);"
        "assert not {'matplotlib', 'pandas', 'torch'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "r.json"), str(tmp_path / "r.html")]
    subprocess.run(command, check=True, timeout=60)


def test_faces_can_be_left_out(real: EmotionResult) -> None:
    assert "data:image" not in page(real, faces=False)


def test_of_many_people_those_seen_longest_are_shown(made: EmotionResult) -> None:
    crowd = tuple(replace(made.people[0], id=number, coverage=number / 100) for number in range(40))
    html = page(replace(made, people=crowd))
    assert "the 12 of 40 that are seen longest" in html
    assert "<strong>Person 39</strong>" in html
    assert "<strong>Person 3</strong>" not in html


def test_a_file_that_moved_is_noted(made: EmotionResult) -> None:
    assert "is not where it was" in page(made)


def test_the_timeline_answers_in_a_browser(made: EmotionResult, tmp_path: Path) -> None:
    """The page's own script, run by Chromium, has written the scores of a moment."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs Chromium")
    made.save(tmp_path / "r.html")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, "--dump-dom", (tmp_path / "r.html").as_uri()], capture_output=True, text=True, timeout=120
    )
    readout = re.search(r'<div class="readout".*?</section>', done.stdout, re.DOTALL)
    assert readout is not None, done.stderr
    assert "0:06.2" in readout[0]
    assert readout[0].count("no evidence") == 3
