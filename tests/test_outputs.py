"""Every command and every `save` leaves what it reads, and what mmemo did not write."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mmemo
from mmemo import EmotionResult
from mmemo.batch.result import Batch
from mmemo.batch.row import Row
from mmemo.cli import main
from mmemo.clip import Clip
from mmemo.comparison.predictions import Predictions
from mmemo.comparison.run_folder import write_run
from mmemo.data import Manifest
from mmemo.data.interchange.audformat_tables import write_audformat
from mmemo.data.prepare import prepare
from mmemo.encoders.text.encoder import TextEncoder
from mmemo.errors import ArgumentError
from mmemo.explain.grad_cam import FaceExplanation
from mmemo.explain.occlusion import VoiceExplanation
from mmemo.files import MARK
from mmemo.labels import EKMAN7
from mmemo.media import SoundOf, write_video
from mmemo.pretrained import WEIGHTS
from mmemo.result import ModalityScores, Segment
from mmemo.samples import make_corpus
from mmemo.speech.line import Line
from mmemo.speech.transcript import Transcript

pytestmark = pytest.mark.slow

MINE = "1\n00:00:00,200 --> 00:00:01,900\nI hate this, it makes me furious!\n"
TAGGED = "1\n00:00:00,200 --> 00:00:01,900\n[anger] I hate this, it makes me furious!\n"

Refused = Callable[..., None]


def content(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def status(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit status of the command line in this process."""
    monkeypatch.setattr(sys, "argv", ["mmemo", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Refused:
    """Runs a command that must be refused: Refused, with one line that says why, and leave all as it is."""

    def run(says: str, *arguments: object) -> None:
        before = content(tmp_path)
        assert status(monkeypatch, *arguments) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert says in message
        assert content(tmp_path) == before

    return run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder of 40 clips by 4 speakers, with a file for each thing that a recipe leaves there."""
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    target = np.arange(40) % 2
    scores = np.eye(2)[target] * 0.4 + 0.3
    groups = {"speaker": np.array([f"s{number % 4}" for number in range(40)])}
    write_run(
        folder,
        Predictions(("a", "b"), np.arange(40).astype(str), target, {"face": scores, "voice": scores}, {}, groups),
    )
    (folder / "results.json").write_text("{}")
    TextEncoder.load(WEIGHTS / "text").save(folder / "model")
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The manifest of a small corpus."""
    sheet = make_corpus(tmp_path / "clips")
    columns = {"path": "file", "label": "emotion", "speaker": "actor", "transcript": "words"}
    prepare("table", sheet, tmp_path / "clips.jsonl", columns=columns)
    return tmp_path / "clips.jsonl"


def result(source: Path | None = None, **more: object) -> EmotionResult:
    shares = {label: float(label == "anger") for label in EKMAN7}
    said = {"text": ModalityScores(shares, 1.0, 1.0)}
    transcript = Transcript((Line(0.2, 1.9, "I hate this, it makes me furious!"),), "sidecar", "en", "clip.srt")
    where = None if source is None else str(source)
    segments = (Segment(0.0, 2.0, shares, said),)
    return EmotionResult(where, 2.0, shares, said, segments, transcript=transcript, **more)  # type: ignore[arg-type]


def test_compare_replaces_its_own_figures_only(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, run: Path, tmp_path: Path
) -> None:
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / "thesis.docx").write_text("years of work")
    refused("figures holds thesis.docx, not written by mmemo", "compare", run, "--draws", 20, "--out", figures)
    (figures / "thesis.docx").unlink()
    for _ in range(2):
        assert status(monkeypatch, "compare", run, "--draws", 20, "--out", figures) == 0
    assert {MARK, "systems.png", "systems.pdf"} <= set(content(figures))
    (figures / "systems.png").write_bytes(b"retouched")
    refused("figures holds systems.png", "compare", run, "--draws", 20, "--out", figures)


def test_compare_leaves_the_run(refused: Refused, monkeypatch: pytest.MonkeyPatch, run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for out, says in (
        (run, "which is read"),
        (run.parent, "which is read"),
        (tmp_path, "is the working directory or holds it"),
        (".", "is the working directory or holds it"),
        (tmp_path / "link", "is a link to"),
        (run / "results.json", "is read"),
        (run / "model", "is read"),
    ):
        refused(says, "compare", run, "--draws", 20, "--out", out)
    monkeypatch.chdir(run)
    refused("is the working directory", "compare", ".", "--draws", 20, "--out", ".")
    monkeypatch.chdir(elsewhere)
    for _ in range(2):  # beside what the recipe left there is room for more
        assert status(monkeypatch, "compare", run, "--draws", 20, "--out", run / "a.md", "--out", run / "figures") == 0
    compared = mmemo.compare(run, draws=20)
    with pytest.raises(ArgumentError, match="is read"):
        compared.save(run / "results.json")
    with pytest.raises(ArgumentError, match="which is read"):
        compared.save(run.parent)
    assert "inputs" not in compared.to_dict()


def test_compare_leaves_manifest_cache_model_and_clips(
    refused: Refused, corpus: Path, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.csv").symlink_to(corpus)
    os.link(tmp_path / "clips" / "0-sadness.mp4", tmp_path / "hard.json")
    (tmp_path / "cache.json").touch()
    on = ("compare", "default", "--on", corpus, "--cache", tmp_path / "cache.json")
    for name in ("out.csv", "hard.json", "cache.json"):
        refused("is read", *on, "--out", tmp_path / name)
    refused("which is read", *on, "--out", tmp_path / "clips")
    refused("is in", "compare", run / "model", "--on", corpus, "--out", run / "model" / "config.json")


def test_a_model_is_saved_over_itself_and_nothing_else(tmp_path: Path) -> None:
    model = mmemo.load_model(modalities=("text",))
    for _ in range(2):
        model.save(tmp_path / "model")
    TextEncoder.load(tmp_path / "model" / "text").save(tmp_path / "model" / "text")
    model.save(tmp_path / "model")
    assert mmemo.load_model(tmp_path / "model").modalities == ("text",)
    (tmp_path / "model" / "text" / "thesis.docx").write_text("years of work")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.docx").write_text("years of work")
    before = content(tmp_path)
    for folder in ("model", "foreign"):
        with pytest.raises(ArgumentError, match=r"thesis\.docx, not written by mmemo"):
            model.save(tmp_path / folder)
    with pytest.raises(ArgumentError, match=r"thesis\.docx, not written by mmemo"):
        TextEncoder.load(WEIGHTS / "text").save(tmp_path / "foreign")
    assert content(tmp_path) == before


def test_analyze_leaves_clip_subtitles_and_model(refused: Refused, tmp_path: Path) -> None:
    mine = tmp_path / "clip.mp4"
    mine.write_text("not analyzed: the work does not begin")
    (tmp_path / "clip.srt").write_text(MINE)
    (tmp_path / "clip.en.vtt").write_text("WEBVTT\n\n00:00.200 --> 00:01.900\nI hate this\n")
    (tmp_path / "words.srt").write_text(TAGGED)
    (tmp_path / "symbolic.html").symlink_to(mine)
    os.link(tmp_path / "words.srt", tmp_path / "hard.json")
    mmemo.load_model(modalities=("text",)).save(tmp_path / "own")
    for option, name in (
        ("--video", "clip.mp4"),
        ("--out", "clip.srt"),
        ("--out", "clip.en.vtt"),
        ("--out", "words.srt"),
        ("--out", "symbolic.html"),
        ("--out", "hard.json"),
    ):
        refused("is read", "analyze", mine, "--subtitles", tmp_path / "words.srt", option, tmp_path / name)
    config = tmp_path / "own" / "fusion" / "config.json"
    refused("which is read", "analyze", mine, "--model", tmp_path / "own", "--out", config)
    (tmp_path / "plot.png").mkdir()
    refused("is a folder: name a file", "analyze", mine, "--plot", tmp_path / "plot.png")


def test_a_result_leaves_what_it_was_made_from(tmp_path: Path) -> None:
    clip, words = tmp_path / "clip.mp4", tmp_path / "words.srt"
    for file in (clip, words, tmp_path / "clip.srt"):
        file.write_text(MINE)
    made = result(clip, inputs=(str(words),))
    before = content(tmp_path)
    for path in (tmp_path / "clip.srt", words):
        with pytest.raises(ArgumentError, match="is read"):
            made.save(path)
    (tmp_path / "link.json").symlink_to(clip)
    with pytest.raises(ArgumentError, match="is read"):
        made.save(tmp_path / "link.json")
    (tmp_path / "link.json").unlink()
    assert content(tmp_path) == before
    made.save(tmp_path / "clip.emotions.srt")
    assert EmotionResult.load(made.save(tmp_path / "r.json")) == made


@pytest.mark.parametrize("suffix", [".srt", ".vtt"])
def test_subtitles_that_mmemo_wrote_beside_the_clip_are_written_anew(tmp_path: Path, suffix: str) -> None:
    made = result(tmp_path / "clip.mp4")
    path = tmp_path / f"clip{suffix}"
    first = made.save(path).read_text()
    assert made.save(path).read_text() == first
    path.write_text(first + first.replace("[anger] ", "").replace("WEBVTT\n", ""))
    with pytest.raises(ArgumentError, match="is read"):
        made.save(path)
    path.write_text(first.replace("[anger]", "[thunder]"))
    with pytest.raises(ArgumentError, match="is read"):
        made.save(path)


def test_the_inputs_of_an_analysis(clip: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.srt"
    words.write_text(MINE)
    made = mmemo.analyze(clip, subtitles=words, modalities=("text",))
    assert str(words) in made.inputs
    for path in (words, tmp_path / "hard.srt"):
        if path != words:
            os.link(words, path)
        with pytest.raises(ArgumentError, match="is read"):
            made.save(path)
    assert words.read_text() == MINE


def test_many_clips_leave_clips_manifests_and_model(refused: Refused, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "clips" / "0-sadness.mp4")
    (tmp_path / "clips" / "0-sadness.srt").write_text(MINE)
    os.link(tmp_path / "clips" / "0-sadness.srt", tmp_path / "hard.html")
    table = tmp_path / "table.csv"
    for arguments in (
        (tmp_path / "clips", "--out", tmp_path / "link.csv"),
        (tmp_path / "clips", "--out", tmp_path / "hard.html"),
        (corpus, "--out", corpus),
        (corpus, "--out", table, "--summary", tmp_path / "hard.html"),
    ):
        refused("is read", "analyze", *arguments)
    (tmp_path / "table.csv.journal").mkdir()
    refused("is a folder", "analyze", corpus, "--out", table)
    with pytest.raises(ArgumentError, match="is read"):
        Batch((Row(path=str(tmp_path / "clips" / "0-sadness.mp4")),), ("face",), "default").save(tmp_path / "link.csv")


def test_audit_and_prepare(refused: Refused, corpus: Path, tmp_path: Path) -> None:
    sheet = next((tmp_path / "clips").glob("*.csv"))
    for out in (corpus, tmp_path / "clips" / "0-sadness.mp4"):
        refused("is read", "audit", corpus, "--media", "none", "--out", out)
    refused("is read", "prepare", "table", sheet, "--out", sheet)
    refused("which is read", "prepare", "ravdess", tmp_path / "clips", "--out", sheet)
    columns = {"path": "file", "label": "emotion", "speaker": "actor", "transcript": "words"}
    for name in ("again.csv", "again.jsonl"):
        for _ in range(2):  # a manifest may lie among its clips
            prepare("table", sheet, tmp_path / "clips" / name, columns=columns)


def test_a_manifest_leaves_its_clips(tmp_path: Path) -> None:
    clip = tmp_path / "a.mp4"
    clip.write_text("mine")
    (tmp_path / "out.jsonl").symlink_to(clip)
    manifest = Manifest((Clip(clip, id="a", label="anger"),), EKMAN7)
    with pytest.raises(ArgumentError, match="is read"):
        manifest.write(tmp_path / "out.jsonl")
    (tmp_path / "db.yaml").write_text("name: mine\n")
    with pytest.raises(ArgumentError, match="of a database that mmemo did not write"):
        write_audformat(manifest, tmp_path)
    for _ in range(2):
        write_audformat(manifest, tmp_path / "new")
    assert clip.read_text() == "mine"


def test_pictures_and_videos_leave_their_source(tmp_path: Path) -> None:
    face, sound = tmp_path / "face.jpg", tmp_path / "sound.png"
    for file in (face, sound):
        file.write_text("mine")
    crop = np.zeros((8, 8, 3), np.uint8)
    explained = FaceExplanation(
        "anger", 1.0, {"anger": 1.0}, crop, np.zeros((8, 8), np.float32), 0.0, 0.0, (0, 0, 1, 1), face
    )
    silence = np.zeros(16, np.float32)
    heard = VoiceExplanation("anger", 1.0, {"anger": 1.0}, 0.0, silence, silence, silence, sound)
    with pytest.raises(ArgumentError, match="is read"):
        explained.save(face)
    with pytest.raises(ArgumentError, match="is read"):
        heard.save(sound)
    with pytest.raises(ArgumentError, match="is read"):
        write_video(face, None, SoundOf(face))
    assert face.read_text() == sound.read_text() == "mine"
