"""Sounds are no words, names are speakers, and every kind of file that words come in is read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mmemo.errors import TranscriptError
from mmemo.speech.line import Word
from mmemo.speech.subtitle_names import language_of
from mmemo.speech.subtitle_text import Cue, spoken
from mmemo.speech.transcript import Transcript, given, read_subtitles


def words(text: str) -> list[tuple[str, str | None]]:
    return [(line.text, line.speaker) for line in spoken([Cue(0.0, 4.0, text)])]


@pytest.mark.parametrize(
    ("text", "spoken_words"),
    [
        ("(laughs) You're mad. [door slams]", "You're mad."),
        ("*sighs* Not again.", "Not again."),
        ("Fine. *clears throat*", "Fine."),
        ("I *love* you", "I love you"),
        ("That is 2 * 3 * 4 years", "That is 2 * 3 * 4 years"),
        ("Call (555) 1234 :( now", "Call (555) 1234 :( now"),
        ("Sad :( but fine (really)", "Sad :( but fine"),
        ("\uff08\u7b11\uff09\u4f60\u597d\u3010\u97f3\u4e50\u3011", "\u4f60\u597d"),
        ("(MAN LAUGHING\nIN THE DISTANCE) Who is that?", "Who is that?"),
        ("\u266a La la \u266a", "La la"),
    ],
)
def test_sounds(text: str, spoken_words: str) -> None:
    assert [text for text, _ in words(text)] == [spoken_words]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[SPEAKER_01]: I know.", [("I know.", "SPEAKER_01")]),
        ("SPEAKER 2: I know.", [("I know.", "SPEAKER 2")]),
        ("Anna Lee: I know: it rains.", [("I know: it rains.", "Anna Lee")]),
        ("John Smith (Guest): Hi", [("Hi", "John Smith")]),
        ("\u5f20\u4e09\uff1a\u4f60\u597d", [("\u4f60\u597d", "\u5f20\u4e09")]),
        ("- ANNA: Why?\n- BOB: So.", [("Why?", "ANNA"), ("So.", "BOB")]),
        ("<v Ann>Why?</v> <v.loud Bob>So.</v>", [("Why?", "Ann"), ("So.", "Bob")]),
        ("ANNA:\nWhy?\nOh.", [("Why? Oh.", "ANNA")]),
        ("he said: no", [("he said: no", None)]),
        ("At 5:30 it began", [("At 5:30 it began", None)]),
        ("https://x.org is down", [("https://x.org is down", None)]),
    ],
)
def test_speakers(text: str, expected: list[tuple[str, str | None]]) -> None:
    assert words(text) == expected


def test_a_cue_of_two_speakers_is_shared_by_letters() -> None:
    first, second = spoken([Cue(1.0, 5.0, "ANN: abc\nBOB: a")])
    assert (first.start, first.end, second.start, second.end) == (1.0, 4.0, 4.0, 5.0)


def test_a_name_in_few_cues_is_none() -> None:
    cues = [Cue(float(i), i + 1.0, text) for i, text in enumerate(["Look: it rains.", "Oh.", "Yes."])]
    assert next((line.text, line.speaker) for line in spoken(cues)) == ("Look: it rains.", None)
    capitals = [Cue(0.0, 1.0, "ANN: Oh."), *cues[1:]]
    assert [line.speaker for line in spoken(capitals)] == ["ANN", None, None]


def test_names_in_plain_text() -> None:
    assert [(line.text, line.speaker) for line in given("Ann: Why? No!\nBob: So.", 4.0).lines] == [
        ("Why?", "Ann"),
        ("No!", "Ann"),
        ("So.", "Bob"),
    ]
    assert [line.speaker for line in given("Note: it rains (really).", 4.0).lines] == [None]


SBV = "0:00:01.000,0:00:02.500\nWhere were you?\n\n0:00:03.000,0:00:04.000\nAt home.\n"
LRC = "[ar:Somebody]\n[offset:+500]\n[00:01.50]Where <00:02.00>were you?\n[00:03.50][00:40.5]At home.\n"
TTML = """<?xml version="1.0" encoding="UTF-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttm="http://www.w3.org/ns/ttml#metadata" xml:lang="en-US"
    xmlns:ttp="http://www.w3.org/ns/ttml#parameter" ttp:frameRate="25">
<head><metadata><ttm:agent xml:id="a"><ttm:name>Ann</ttm:name></ttm:agent></metadata></head>
<body begin="1s"><div><p begin="00:00:00:00" dur="1500ms" ttm:agent="a">Where<br/>were <span>you?</span></p>
<p><span begin="2s" end="00:00:03.000">At home.</span></p></div></body></tt>
"""
WHISPER = {
    "language": "en",
    "segments": [
        {"start": 1.0, "end": 2.5, "text": " Where were you?", "speaker": "SPEAKER_00",
         "words": [{"word": " Where", "start": 1.0, "end": 1.5, "probability": 0.5}, {"word": "2"}]},
        {"start": 3, "end": 4, "text": " At home.", "avg_logprob": -0.1},
    ],
}  # fmt: skip
PIPELINE = {
    "chunks": [{"timestamp": [1.0, 2.5], "text": "Where were you?"}, {"timestamp": [3.0, 4.0], "text": "At home."}]
}
CPP = {
    "result": {"language": "en"},
    "transcription": [
        {"offsets": {"from": 1000, "to": 2500}, "text": "Where were you?"},
        {"offsets": {"from": 3000, "to": 4000}, "text": "At home."},
    ],
}
TSV = "start\tend\ttext\n1000\t2500\tWhere were you?\n3000\t4000\tAt home.\n"


def read(folder: Path, name: str, content: str) -> tuple[Transcript, str]:
    """The transcript of a file, and the message of its note."""
    (folder / name).write_text(content, encoding="utf-8")
    transcript, notes = read_subtitles(folder / name)
    return transcript, "".join(note.message for note in notes)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.sbv", SBV),
        ("a.lrc", LRC),
        ("a.ttml", TTML),
        ("a.dfxp", TTML),
        ("a.json", json.dumps(WHISPER)),
        ("a.json", json.dumps(WHISPER["segments"])),
        ("a.json", json.dumps(PIPELINE)),
        ("a.json", json.dumps(CPP)),
        ("a.tsv", TSV),
    ],
)
def test_kinds_of_files(tmp_path: Path, name: str, content: str) -> None:
    transcript, faults = read(tmp_path, name, content)
    first, second = transcript.lines[:2]
    assert (first.start, first.text) == (1.0, "Where were you?")
    assert (second.start, second.text) == (3.0, "At home.")
    assert second.end == (13.0 if name == "a.lrc" else 4.0)
    assert (transcript.language, faults) == ("en", "")


def test_what_a_recognizer_knows(tmp_path: Path) -> None:
    first, second = read(tmp_path, "a.json", json.dumps(WHISPER))[0].lines
    assert (first.speaker, first.confidence, first.words) == ("SPEAKER_00", 0.5, (Word(1.0, 1.5, "Where", 0.5),))
    assert second.confidence == pytest.approx(0.905, abs=0.001)


def test_an_end_that_is_left_open(tmp_path: Path) -> None:
    chunks = '{"chunks": [{"timestamp": [1.0, null], "text": "At home."}]}'
    assert [(line.start, line.end) for line in read(tmp_path, "a.json", chunks)[0].lines] == [(1.0, 3.0)]


def test_speaker_of_ttml(tmp_path: Path) -> None:
    assert [line.speaker for line in read(tmp_path, "a.ttml", TTML)[0].lines] == ["Ann", None]


BAD = {
    "a.srt": (
        "1\n00:00:01,000 --> 00:00:0x,000\nBad.\n\n2\n00:00:03,000 --> 00:00:04,000\nGood.\n",
        "line 2: '00:00:0x",
    ),
    "b.srt": ("1\n00:00:01,000 -> 00:00:02,000\nBad.\n\n2\n00:00:03 --> 00:00:04\nGood.\n", "line 2: .* has no arrow"),
    "a.vtt": ("WEBVTT\n\n00:05.000 --> 00:02.000\nBad.\n\n00:03.000 --> 00:04.000\nGood.\n", "line 3: .* ends before"),
    "a.sbv": (SBV.replace("0:00:01.000", "0:99:01.000").replace("At home", "Good"), "line 1: '0:99"),
    "a.lrc": ("no time\n[00:03.00]Good.", "line 1: 'no time'"),
    "a.ttml": (TTML.replace("1500ms", "soon").replace("At home", "Good"), "subtitle 1: 'soon'"),
    "a.json": ('[{"start": NaN, "end": 2, "text": "Bad."}, {"start": 3, "end": 4, "text": "Good."}]', "segment 1: "),
    "a.tsv": ("start\tend\ttext\nx\t1\tBad.\n3000\t4000\tGood.\n", "line 2: 'x' is no time"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_bad_subtitle_costs_that_one(tmp_path: Path, name: str) -> None:
    content, fault = BAD[name]
    transcript, message = read(tmp_path, name, content)
    assert [(line.start, line.text) for line in transcript.lines] == [(3.0, "Good.")]
    assert name in message
    assert re.search(fault, message)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", '{"label": "anger"}', 'line 1: .*"segments"'),
        ("a.json", "[" * 100_000, "line 1: "),
        ("a.json", '{"a"', "line 1: no JSON"),
        ("a.tsv", "a\tb\n", "columns start, end and text"),
        ("a.ttml", "<tt><p", "line 1: no TTML"),
        ("a.ttml", '<!DOCTYPE tt [<!ENTITY a "b">]><tt/>', "entities"),
        ("a.lrc", "only words", "line 1: 'only words'"),
        ("a.srt", "1\n00:00:01,000 --> x\nHi\n", "line 2: 'x' is no time"),
    ],
)
def test_nothing_to_read(tmp_path: Path, name: str, content: str, says: str) -> None:
    with pytest.raises(TranscriptError, match=says):
        read(tmp_path, name, content)


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("clip.zh.srt", "zh"),
        ("clip.chs.srt", "zh"),
        ("clip.zh-Hans.ass", "zh"),
        ("clip.chs&eng.srt", "zh"),
        ("clip.\u7b80\u4f53.srt", "zh"),
        ("clip.Spanish.srt", "es"),
        ("clip.en.forced.srt", "en"),
        ("clip.part.srt", None),
    ],
)
def test_language_of_the_name(name: str, language: str | None) -> None:
    assert language_of(Path(name)) == language
