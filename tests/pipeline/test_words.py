"""Of several subtitles and sound tracks one that can be read is taken, and who says what is known where it can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from mmemo import Clip, media
from mmemo.errors import ArgumentError
from mmemo.evidence import SAMPLE_RATE, TextEvidence, Turn
from mmemo.media import AudioStream, ChannelLevels, MediaInfo, Track
from mmemo.pipeline.active_speaker import Decision
from mmemo.pipeline.extract import Extraction, extract
from mmemo.pipeline.speaker_names import SpeakerNames
from mmemo.pipeline.words import lines_of_others, sound_of, subtitles_of, with_parties
from mmemo.speech.line import Line
from mmemo.speech.transcript import Transcript, words_between

ENGLISH = "1\n00:00:00,100 --> 00:00:01,000\nWhere were you all the time?\n"
SPANISH = "1\n00:00:00,100 --> 00:00:01,000\n\u00bfD\u00f3nde estabas todo este tiempo, hombre?\n"
TONE = (0.3 * np.sin(np.arange(SAMPLE_RATE) / 7)).astype(np.float32)


def english(language: str) -> bool:
    return language == "en"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A second of two sound tracks and two subtitle streams; Spanish is the default of both."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as target:
        tracks = [target.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono") for _ in range(2)]
        subtitles = []
        for name, text in (("a", SPANISH), ("b", ENGLISH)):
            (tmp_path / f"{name}.srt").write_text(text, encoding="utf-8")
            source = av.open(str(tmp_path / f"{name}.srt"))
            subtitles.append((source, target.add_stream_from_template(source.streams[0])))
        for both, title in ((tracks, "Doblaje"), ([stream for _, stream in subtitles], "Completos")):
            for stream, language in zip(both, ("spa", "eng"), strict=True):
                stream.metadata["language"] = language
                stream.disposition = Disposition.default if language == "spa" else Disposition(0)
            both[0].metadata["title"] = title
        for number, track in enumerate(tracks):
            block = av.AudioFrame.from_ndarray((TONE * (1 - 0.5 * number))[None], "flt", "mono")
            block.sample_rate, block.pts = SAMPLE_RATE, 0
            target.mux(track.encode(block))
            target.mux(track.encode(None))
        for source, stream in subtitles:
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
            source.close()
    return path


def run(clip: Clip, *modalities: str) -> Extraction:
    assert clip.path is not None
    return extract(clip, media.probe(clip.path), modalities, 2.0, 1.0, None, reads=english)


def notes(extraction: Extraction) -> dict[str, str]:
    return {note.code: note.message for note in extraction.notes}


def test_tracks_in_a_language_that_can_be_read(film: Path) -> None:
    extraction = run(Clip(film), "voice", "text")
    assert extraction.transcript is not None
    assert (extraction.transcript.text, extraction.transcript.detail) == ("Where were you all the time?", "2")
    assert notes(extraction)["subtitle-tracks"] == (
        "The words are those of number 2 (eng) in the file; there are also number 1 (spa, Completos) in the file: see "
        "subtitle_track=\u2026."
    )
    assert extraction.sound is not None
    assert extraction.sound.track == 2
    assert np.abs(next(extraction.sound.blocks())).max() == pytest.approx(0.15, abs=0.001)
    assert (
        "number 2 (eng) was used: the first in a language whose words can be read. There is also number 1 (spa, "
        in (notes(extraction)["sound-tracks"])
    )


@pytest.mark.parametrize("track", [1, "es", "spa"])
def test_tracks_that_are_named(film: Path, track: int | str) -> None:
    extraction = run(Clip(film, audio_track=track, subtitle_track=track), "voice", "text")
    assert extraction.transcript is not None
    assert extraction.transcript.language == "es"
    assert extraction.sound is not None
    assert extraction.sound.track == 1


@pytest.mark.parametrize("track", [3, "fr"])
def test_tracks_that_are_not_there(film: Path, track: int | str) -> None:
    with pytest.raises(
        ArgumentError, match=r"no such sound track; there are: number 1 \(spa, Doblaje\), number 2 \(eng"
    ):
        run(Clip(film, audio_track=track), "voice")
    with pytest.raises(
        ArgumentError, match=r"no such subtitles; there are: number 1 \(spa, Completos\) in the file, num"
    ):
        run(Clip(film, subtitle_track=track), "text")


@pytest.mark.parametrize("track", [0, True, "", 1.5])
def test_what_is_no_track(track: object) -> None:
    with pytest.raises(ArgumentError, match="audio_track: expected a number from 1"):
        Clip(Path("a.mkv"), audio_track=track)  # type: ignore[arg-type]


def test_files_beside_come_first_and_none_of_them_fails_a_clip(film: Path) -> None:
    for name, text in (("srt", "no times"), ("es.srt", SPANISH), ("chs.srt", "x"), ("en.vtt", f"WEBVTT\n\n{ENGLISH}")):
        film.with_suffix(f".{name}").write_text(text.replace(",", "."), encoding="utf-8")
    transcript, remarks = subtitles_of(media.probe(film), None, english)
    assert transcript is not None
    assert (transcript.detail, transcript.language) == ("film.en.vtt", "en")
    assert [note.code for note in remarks] == ["unread-subtitles", "subtitle-tracks"]
    assert "film.chs.srt, film.es.srt, number 1 (spa, Completos) in the file" in remarks[-1].message
    film.with_suffix(".srt").write_text(SPANISH, encoding="utf-8")  # not readable, and then an empty one
    film.with_suffix(".vtt").write_text("WEBVTT\n")
    again, _ = subtitles_of(media.probe(film), None, english)
    assert again == transcript
    film.with_suffix(".srt").unlink()
    spanish, _ = subtitles_of(media.probe(film), "es", english)
    assert spanish is not None
    assert spanish.detail == "film.es.srt"


def test_lines_after_the_end(film: Path, tmp_path: Path) -> None:
    (tmp_path / "late.srt").write_text(ENGLISH + ENGLISH.replace("00:00:0", "00:01:0"))
    extraction = run(Clip(film, subtitles=tmp_path / "late.srt"), "text")
    assert "One of 2 lines begins after the end of the file (1.0 s)" in notes(extraction)["late-lines"]


def info(*tracks: Track) -> MediaInfo:
    return MediaInfo(Path("a.mkv"), "audio", 9.0, None, AudioStream(48_000, 2), (), sounds=tracks)


@pytest.mark.parametrize(
    ("tracks", "used"),
    [
        ((Track(1, "jpn", default=True), Track(2, "eng", "Comment", extra=True), Track(3, "en")), 3),
        ((Track(1, None), Track(2, "eng", default=True)), 1),  # of an unknown language, and the one that is probed
        ((Track(1, "jpn"), Track(2, "fra")), 1),
        ((Track(1, "jpn"),), None),
    ],
)
def test_sound_tracks(tracks: tuple[Track, ...], used: int | None) -> None:
    assert sound_of(info(*tracks), None, english)[0] == used


# Dialogue

TALK = Transcript(
    (
        Line(0.0, 2.0, "Why?", speaker="Ann"),
        Line(2.0, 3.0, "So.", speaker="Bob"),
        Line(3.0, 4.0, "Oh.", speaker="Ann"),
        Line(9.0, 9.5, "Bye.", speaker="Bob"),
    ),
    "sidecar",
    "en",
)


def test_each_speaker_has_their_own_lines_and_the_turns_before() -> None:
    window = words_between(TALK, 2.0, 4.0)
    assert window is not None
    assert (window.text, window.speaker) == ("So. Oh.", None)
    bob, ann = window.by_speaker
    assert (bob.text, bob.speaker, bob.coverage, bob.context) == ("So.", "Bob", 0.5, (Turn("Why?", "Ann"),))
    assert (ann.text, ann.speaker, ann.context) == ("Oh.", "Ann", (Turn("Why?", "Ann"), Turn("So.", "Bob")))
    alone = words_between(TALK, 0.0, 2.0)
    assert alone is not None
    assert alone.by_speaker == ()


def spoken(names: SpeakerNames) -> Iterator[tuple[float, float]]:
    for start in range(10):
        span = (float(start), start + 2.0)
        names.add(span, words_between(TALK, *span))
        yield span


def test_names_are_the_people_who_speak_their_lines() -> None:
    names = SpeakerNames()
    spans = list(spoken(names))
    speakers = {spans[0]: 4, spans[1]: 4, spans[2]: 7, spans[8]: 7, spans[9]: 7}
    people = names.people(speakers)
    assert people == {"Ann": 4}  # half a second of Bob's is too little
    note = names.note(people, Decision(speakers, {}, set()))
    assert note is not None
    assert note.message == (
        "By the faces during the lines of the transcript, Ann is person 4. Which person in view Bob is, if any, is not "
        "clear."
    )
    assert names.alone(["Ann"]) == {spans[0], spans[3]}
    assert names.people({}) == {}


def test_somebody_out_of_view_has_no_person() -> None:
    """Bob speaks ten windows; in one of them a mouth in view moves by chance."""
    names = SpeakerNames()
    for start in range(10):
        names.add((start, start + 2.0), TextEvidence("x", "en", 1.0, 1.0, "Bob"))
    assert names.people({(0.0, 2.0): 1, (1.0, 3.0): 1}) == {}
    assert names.people({(float(i), i + 2.0): 1 for i in range(4)}) == {"Bob": 1}
    assert names.people({(float(i), i + 2.0): i % 2 for i in range(4)}) == {}


def levels(left: list[float], right: list[float]) -> ChannelLevels:
    """Noise of so much amplitude on each channel, a second each."""
    noise = np.random.default_rng(0).normal(0, 1, (len(left), SAMPLE_RATE, 1)).astype(np.float32)
    measured = ChannelLevels()
    measured.add((noise * np.array([left, right], np.float32).T[:, None]).reshape(-1, 2))
    return measured


def test_parties_by_channel() -> None:
    lines = (Line(5.0, 6.0, "Why?"), Line(6.0, 7.0, "So."), Line(7.0, 8.0, "Both."), Line(9.0, 9.5, "Later."))
    measured = levels([0.1, 0.001, 0.1, 0.0], [0.001, 0.1, 0.1, 0.0])
    told, channels = with_parties(Transcript(lines, "sidecar", "en"), measured, 5.0)
    assert [line.speaker for line in told.lines] == ["left", "right", None, None]
    assert lines_of_others(told, channels, "left") == {told.lines[1]}
    named = Transcript(
        tuple(replace(line, speaker=name) for line, name in zip(lines, "ABAB", strict=True)), "given", "en"
    )
    told, channels = with_parties(named, measured, 5.0)
    assert (told, channels) == (named, {"A": "left", "B": "right"})
    window = words_between(told, 5.0, 9.0, lines_of_others(told, channels, "right"))
    assert window is not None
    assert (window.text, window.context) == ("So.", (Turn("Why?", "A"),))
