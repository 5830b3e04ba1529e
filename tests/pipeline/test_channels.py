"""Recordings of calls: each party's channel gives that party's voice and words, and a mix says that it is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmemo import Analyzer, Clip, EmotionResult, media
from mmemo.batch.plan import pack, plan, unpack
from mmemo.data import Manifest
from mmemo.data.cache import cache_key
from mmemo.errors import ArgumentError
from mmemo.evidence import Turn
from mmemo.labels import EKMAN7
from mmemo.pipeline.extract import Extraction, extract
from mmemo.report.previews import Previews
from mmemo.samples import make_clip, speech


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Left speaks in the first four seconds, right in the last four."""
    silence = np.zeros_like(speech())
    left, right = np.concatenate([speech(), silence]), np.concatenate([silence, 0.5 * speech()])
    return make_clip(tmp_path_factory.mktemp("calls") / "call.wav", picture=False, sound=np.stack([left, right]))


def extracted(clip: Clip) -> Extraction:
    assert clip.path is not None
    return extract(clip, media.probe(clip.path), ("voice",), 2.0, 1.0, None)


def codes(extraction: Extraction) -> list[str]:
    return [note.code for note in extraction.notes]


def test_the_mix_says_that_each_channel_has_a_voice_of_its_own(call: Path) -> None:
    mixed = extracted(Clip(call))
    assert codes(mixed) == ["stereo-parties"]
    assert 'channel="left"' in mixed.notes[0].message
    assert codes(extracted(Clip(call, end=4.0))) == []  # one of them speaks there


def test_a_channel_has_the_speech_of_its_party(call: Path) -> None:
    for channel, first in (("left", 0.0), ("right", 4.0)):
        extraction = extracted(Clip(call, channel=channel))  # type: ignore[arg-type]
        assert codes(extraction) == ["one-channel"]
        assert extraction.activity is not None
        assert all(first <= start < end <= first + 4 for start, end in extraction.activity.spans)
        assert extraction.activity.spans


def test_the_result_names_the_channel(call: Path, analyzer: Analyzer) -> None:
    voice = Analyzer(analyzer.model, ("voice",))
    result = voice(call, channel="right")
    assert [note.code for note in result.notes] == ["one-channel"]
    assert "The right channel" in result.notes[0].message
    assert [segment.start >= 3.0 for segment in result.segments] == [True] * len(result.segments)
    assert result == voice(Clip(call, channel="right"))
    assert result.settings is not None
    assert result.settings.channel == result.to_dict()["settings"]["channel"] == "right"
    assert EmotionResult.from_dict(result.to_dict()).settings == result.settings
    envelope = Previews(result).envelope(8)
    assert envelope is not None
    assert (envelope > 0.01).tolist() == [False] * 4 + [True] * 4


def test_a_clip_may_name_its_channel_and_no_other(call: Path, tmp_path: Path) -> None:
    left, right = (Clip(call, id=channel, channel=channel) for channel in ("left", "right"))  # type: ignore[arg-type]
    Manifest((left, right), EKMAN7).write(tmp_path / "calls.csv")
    assert Manifest.read(tmp_path / "calls.csv").clips == (left, right)
    assert unpack(pack(left)) == left
    assert list(cache_key(left)) != list(cache_key(right))
    with pytest.raises(ArgumentError, match="Did you mean 'right'"):
        Clip(call, channel="rihgt")  # type: ignore[arg-type]


def test_the_words_of_the_other_party_are_context(call: Path, tmp_path: Path) -> None:
    lines = ((0.5, 3.0, "Where were you?"), (4.5, 7.0, "At home."))
    (tmp_path / "words.srt").write_text(
        "".join(f"1\n00:00:0{start} --> 00:00:0{end}\n{text}\n\n" for start, end, text in lines)
    )
    clip = Clip(call, subtitles=tmp_path / "words.srt", channel="right")
    extraction = extract(clip, media.probe(call), ("text",), 8.0, 8.0, None)
    assert codes(extraction) == ["one-channel", "other-party"]
    ((evidence,),) = extraction.windows()
    assert evidence.text is not None
    assert (evidence.text.text, evidence.text.speaker) == ("At home.", "right")
    assert evidence.text.context == (Turn("Where were you?", "left"),)
    mixed = extract(replace(clip, channel="mix"), media.probe(call), ("voice", "text"), 8.0, 8.0, None)
    assert mixed.transcript is not None
    assert [line.speaker for line in mixed.transcript.lines] == ["left", "right"]


def test_a_clip_may_name_its_tracks(call: Path, tmp_path: Path) -> None:
    clips = (Clip(call, id="a", audio_track=2, subtitle_track="es"), Clip(call, id="b", audio_track="en"))
    for name in ("calls.csv", "calls.jsonl"):
        Manifest(clips, EKMAN7).write(tmp_path / name)
        assert Manifest.read(tmp_path / name).clips == clips
    tasks = plan([*clips, Clip(call, text="x")], audio_track=1, subtitle_track="fr").tasks
    tracks = [(task.clip.audio_track, task.clip.subtitle_track) for task in tasks]
    assert tracks == [(2, "es"), ("en", "fr"), (1, None)]


def test_a_batch_takes_one_channel_of_all_that_name_none(call: Path) -> None:
    tasks = plan([call, Clip(call, channel="left")], channel="right").tasks
    assert [task.clip.channel for task in tasks] == ["right", "left"]
    assert len({task.identity for task in tasks}) == 2
