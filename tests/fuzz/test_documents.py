"""Documents and tables, damaged and invented: subtitles, manifests, spreadsheets, files of other tools, results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmemo
from mmemo.clip import Clip
from mmemo.data import (
    Manifest,
    read_audformat,
    read_corpus,
    read_emobox,
    read_mmsa_labels,
    to_frame,
    write_audformat,
    write_mmsa_labels,
)
from mmemo.data.columns import COLUMNS
from mmemo.encoders.face.action_units import read_openface
from mmemo.labels import EKMAN7, SENTIMENT3
from mmemo.samples import ASSETS
from mmemo.speech.subtitle_file import SUFFIXES
from mmemo.speech.transcript import read_subtitles, words_between

from .inputs import FUZZ, VALUES, Check, altered, damaged, json_lines
from .valid_files import ASS, CLIPS, LRC, OPENFACE, SBV, SRT, TSV, TTML, VTT, WHISPER, sheet, written

pytestmark = pytest.mark.slow


# Subtitles

CUES = (b"WEBVTT\n\n", b"00:00:01,000 --> 00:00:02.000\n", b"00:00:01.000", b" --> ", b"9" * 400, b":", b"\n", b"<v", b" " * 5000,
        b"&#", b"9" * 5000, b";", b"Hello", b"\n\n", b"<", b">", b"{\\", b"[", b"- ", b"Dialogue: ", b"Format: Start, End, Text\n",
        b"0:00:00.00,", b"NOTE", b"\xff", b"Language:", b"[00:01.50]", b"[offset:9]", b"(", b"*", b"Ann: ", b"\t", b"start\tend\ttext\n", b"<tt>",
        b"<p begin='1s' end='2s'>", b"</p>", b"</tt>", b'{"segments": [', b'{"start": 1, "end": 2, "text": "a"}', b"]}")  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_subtitles(suffix: str, check: Check) -> None:
    def read(path: Path) -> None:
        transcript, _ = read_subtitles(path, 3.0)
        words_between(transcript, 0.0, 2.0)
        str(transcript).encode()

    parts = st.lists(st.sampled_from(CUES), max_size=30).map(b"".join)

    @FUZZ
    @given(
        damaged([SRT, VTT, ASS, SBV, LRC, TTML, WHISPER, TSV])
        | parts
        | st.text(st.characters(codec="utf-8"), max_size=200).map(str.encode)
    )
    def run(content: bytes) -> None:
        check(read, "clip.en" + suffix, content)

    run()


# Manifests and tables

COLUMN = st.sampled_from(
    [*COLUMNS, "labels", "extra", "label.face", "extra.x", "label_set", "manifest", "licence", "other"]
)
CELLS = st.sampled_from(
    [
        "",
        "a",
        "happiness",
        "1.5",
        "-1",
        "nan",
        "1e999",
        "9" * 400,
        "a=1",
        "a=;b",
        "x" * 300,
        "\u00b2",
        '"',
        "\0",
        "../x",
    ]
)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_manifests(suffix: str, check: Check, tmp_path: Path) -> None:
    whole = written(Manifest(CLIPS, EKMAN7).write, "m" + suffix, tmp_path)
    records = st.lists(st.dictionaries(COLUMN, VALUES, max_size=5), max_size=4).map(lambda lines: json_lines(*lines))
    rows = st.lists(st.lists(COLUMN | CELLS, max_size=5), max_size=4).map(
        lambda rows: "\n".join(map(",".join, rows)).encode()
    )

    def read(path: Path) -> None:
        manifest = Manifest.read(path, check_media=False)
        assert (
            Manifest.read(manifest.write(path.with_name("again.jsonl")), manifest.labels, check_media=False) == manifest
        )

    @FUZZ
    @given(damaged([whole]) | (records if suffix == ".jsonl" else rows))
    def run(content: bytes) -> None:
        check(read, "m" + suffix, content)

    run()


@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".tsv"])
def test_tables(suffix: str, check: Check) -> None:
    rows = st.lists(st.lists(COLUMN | CELLS | st.just("shared"), max_size=5), max_size=4)
    names = st.sampled_from(["A1", "B1", "ZZZZZZ1", "1", "", "XFD1", "a1"])
    whole = [["id", "transcript", "label"], ["a", "shared", "joy"], ["b", "x", "anger"]]
    text = "\n".join(map("\t".join, whole)).encode()

    @FUZZ
    @given(
        damaged([sheet(whole)]) | st.builds(sheet, rows, names)
        if suffix == ".xlsx"
        else damaged([text, text.replace(b"\t", b";")])
    )
    def run(content: bytes) -> None:
        check(lambda path: read_corpus("table", path), "t" + suffix, content)

    run()


def test_interchange(check: Check, tmp_path: Path) -> None:
    """Labels of MMSA, tables of audformat, lists of EmoBox, and a corpus in JSON."""
    one = Manifest(CLIPS[:1], EKMAN7)
    labels = Manifest(
        [Clip(text="Hm", id="v$_$1", label="neutral", valence=0.0, turn=1, dialogue="v", split="test")], SENTIMENT3
    )
    key = {"key": "a", "dataset": "mine", "wav": "a.wav", "emo": "happy", "start_time": 0.5, "end_time": 2.0}
    scenes = {"episodes": [{"scenes": [{"scene_id": "s01_e01_c01", "utterances": [
        {"utterance_id": "u1", "speakers": ["Ann"], "transcript": "No.", "emotion": "Sad"}]}]}]}  # fmt: skip
    to_frame(one).rename(columns={"path": "file"}).to_parquet(tmp_path / "db.x.parquet")
    readers: dict[str, tuple[Callable[[Path], Any], list[bytes]]] = {
        "label.csv": (lambda path: read_mmsa_labels(path, check_media=False), [written(lambda path: write_mmsa_labels(labels, path), "label.csv", tmp_path)]),
        "db.clips.csv": (lambda path: read_audformat(path, check_media=False), [(write_audformat(one, tmp_path / "db") / "db.clips.csv").read_bytes()]),
        "db.x.parquet": (lambda path: read_audformat(path, check_media=False), [(tmp_path / "db.x.parquet").read_bytes()]),
        "x_test_fold_1.jsonl": (lambda path: read_emobox(path, label_map={"happy": "happiness"}, check_media=False), [json_lines(key, key)]),
        "emotion-detection-trn.json": (lambda path: read_corpus("emorynlp", path.parent), [json_lines(scenes)]),
    }  # fmt: skip
    invented = {"x_test_fold_1.jsonl": altered(key), "emotion-detection-trn.json": altered(scenes)}

    @FUZZ
    @given(st.data())
    def run(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([*readers]))
        read, originals = readers[name]
        made = [invented[name].map(json_lines)] if name in invented else []
        check(read, name, data.draw(st.one_of(damaged(originals), *made)))

    run()


CORPORA = {
    "meld": ("train_sent_emo.csv", b"Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
                                   b'1,"Oh my God",Phoebe,sadness,negative,0,0,4,7,"00:20:57,256","00:21:00,049"\n'),
    "xed": ("xed_annotated.tsv", b"split\tlabel\tlang\tid\ttext\ntrain\tjoy,trust\ten\tt1\tYes\ndev\tanger\tfi\tt2\tEi\n"),
    "goemotions": ("train.tsv", b"Yes!\t4,5\tabc\nNo\t3\tdef\n"),
    "dair_emotion": ("train.txt", b"i feel fine;joy\ni feel bad;sadness\n"),
    "emobank": ("emobank.csv", b"id,split,V,A,D,text\na,train,3.0,2.8,3.2,Remember\nb,dev,2,2,2,No\n"),
    "emorynlp": ("emorynlp.tsv", b"split\tlabel\tid\ttext\ntrain\tjoyful\ttrain_ds1e2_1_u1|['Monica Geller']|00:00:02.877|00:00:07.548\tHi\n"),
    "affectnet": ("training.csv", b"subDirectory_filePath,expression,valence,arousal\n1/a.jpg,1,0.7,-0.1\n"),
    "iemocap": ("dialog/EmoEvaluation/Ses01F_impro01.txt", b"[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
                b"C-E2:\tNeutral;\t()\n"),
    "raf_db": ("list_patition_label.txt", b"train_00001.jpg 5\ntest_00001.jpg 1\n"),
}  # fmt: skip
"""Names and texts of the tables of some corpora."""


def test_corpora(check: Check) -> None:
    @FUZZ
    @given(st.data())
    def run(data: st.DataObject) -> None:
        corpus = data.draw(st.sampled_from([*CORPORA]))
        name, whole = CORPORA[corpus]
        content = data.draw(damaged([whole]))

        def read(path: Path) -> None:
            for file in (name, "Session1/" + name, "1/a.jpg", "test_00001.jpg"):
                (path.parent / file).parent.mkdir(parents=True, exist_ok=True)
                (path.parent / file).write_bytes(content)
            read_corpus(corpus, path.parent)

        check(read, "x", b"")

    run()


def test_openface(check: Check) -> None:
    rows = st.lists(st.lists(CELLS, min_size=5, max_size=8), max_size=4).map(
        lambda rows: OPENFACE + "\n".join(map(",".join, rows)).encode()
    )

    @FUZZ
    @given(damaged([OPENFACE]) | rows)
    def run(content: bytes) -> None:
        check(read_openface, "c.csv", content)

    run()


@pytest.fixture(scope="module")
def result() -> mmemo.EmotionResult:
    return mmemo.analyze(ASSETS / "portrait.jpg", text="I am so happy. You too?")


def test_results(check: Check, result: mmemo.EmotionResult) -> None:
    document = result.to_dict()
    former = {name: part for name, part in document.items() if name != "format"}

    def read(path: Path) -> None:
        found = mmemo.EmotionResult.load(path)
        assert mmemo.EmotionResult.from_dict(json.loads(found.to_json())).to_json() == found.to_json()
        str(found)
        found.save(path.with_name("again.srt"))
        found.save(path.with_name("again.csv"))

    @FUZZ
    @given(damaged([result.to_json().encode()]) | altered(document).map(json_lines) | altered(former).map(json_lines))
    def run(content: bytes) -> None:
        check(read, "r.json", content)

    run()
