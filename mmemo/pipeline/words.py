"""Where the words of a clip come from: given, beside the file, in the file; and which party of a call says them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mmemo import media
from mmemo.clip import Clip, TrackChoice
from mmemo.errors import ArgumentError, TranscriptError
from mmemo.media import ChannelLevels, MediaInfo, Track
from mmemo.notes import Note
from mmemo.speech.line import Line
from mmemo.speech.subtitle_names import language_code, language_of
from mmemo.speech.subtitle_text import Cue, spoken
from mmemo.speech.transcript import Transcript, from_lines, given, read_subtitles, sidecars

Reads = Callable[[str], bool]
"""Whether the model scores words in a language, by its ISO 639-1 code."""
APART = 5.0
"""Decibels by which a line must be louder on one channel to be that party's."""


def given_words(clip: Clip, info: MediaInfo) -> tuple[Transcript | None, Sequence[Note]]:
    """The words that come with a clip, and notes on them.

    Raises:
        TranscriptError: if its subtitles can't be read.
    """
    if clip.text is not None:
        return given(clip.text, info.duration, clip.language), ()
    if clip.subtitles is None:
        return None, ()
    transcript, notes = read_subtitles(clip.subtitles, info.duration)
    return transcript, [*notes, *_late(transcript, info)]


@dataclass(frozen=True)
class _Source:
    """Subtitles beside or in a file; ``language`` is stated by their name or tag."""

    name: str
    language: str | None
    read: Callable[[], tuple[Transcript, Sequence[Note]]]


def subtitles_of(info: MediaInfo, wanted: TrackChoice | None, reads: Reads) -> tuple[Transcript | None, list[Note]]:
    """The words beside a file or in it, in a language that can be read if there are any, and notes on them.

    Files come before streams, and of these the one marked as default before the others. A file or stream that can't be
    read, or without words, is passed over.

    Raises:
        ArgumentError: if there is nothing of the number or language that is wanted; the message lists what there is.
    """
    sources = list(_sources(info))
    chosen = sources if wanted is None else _wanted(sources, info, wanted)
    best: tuple[_Source, Transcript, Sequence[Note]] | None = None
    notes: list[Note] = []
    for source in chosen:
        try:
            transcript, remarks = source.read()
        except TranscriptError as error:
            notes.append(Note("unread-subtitles", f"{error} These subtitles were passed over."))
            continue
        other = isinstance(wanted, str) and source.language is None and transcript.language != language_code(wanted)
        if other or not transcript.lines:
            continue
        readable = transcript.language is None or reads(transcript.language)
        if readable or best is None:
            best = source, transcript, remarks
        if readable or wanted is not None:
            break
    if best is None:
        if isinstance(wanted, str) and not notes:
            raise _no_such(sources, info, wanted)
        if any(track.pictures for track in info.subtitles):
            message = "The subtitles in the file are pictures, whose words can't be read."
            notes.append(Note("picture-subtitles", message))
        return None, notes
    source, transcript, remarks = best
    others = [str(one.name) for one in sources if one is not source]
    if others:
        message = f"The words are those of {source.name}; there are also {', '.join(others)}: see subtitle_track=…."
        notes.append(Note("subtitle-tracks", message))
    return transcript, [*notes, *remarks, *_late(transcript, info)]


def _sources(info: MediaInfo) -> Iterator[_Source]:
    """All subtitles beside and in a file, the first to be tried first."""
    for path in sidecars(info.source) if isinstance(info.source, Path) else ():
        yield _Source(path.name, language_of(path), partial(read_subtitles, path, info.duration))
    for track in sorted(info.subtitles, key=lambda track: (track.extra, not track.default)):
        if not track.pictures:
            yield _Source(f"{track} in the file", language_code(track.language), partial(_stream, info, track))


def _stream(info: MediaInfo, track: Track) -> tuple[Transcript, Sequence[Note]]:
    """The words of a stream. Its tag is no better than who wrote it, so a language that the words show comes first."""
    lines = spoken([Cue(one.start, one.end, one.text, one.speaker) for one in media.cues(info.source, track)])
    transcript = from_lines(lines, "subtitle stream", str(track.number))
    if transcript.language is None:
        language = language_code(track.language)
        transcript = replace(transcript, language=language, language_probability=1.0) if language else transcript
    return transcript, ()


def _wanted(sources: Sequence[_Source], info: MediaInfo, wanted: TrackChoice) -> list[_Source]:
    """The sources of a number or language, those without a stated language at the end."""
    if isinstance(wanted, int):
        found = [track for track in info.subtitles if track.number == wanted]
        chosen = [one for one in sources if found and one.name == f"{found[0]} in the file"]
    else:
        code = language_code(wanted) or wanted
        chosen = [one for one in sources if one.language == code] + [one for one in sources if one.language is None]
    if not chosen:
        raise _no_such(sources, info, wanted)
    return chosen


def _no_such(sources: Sequence[_Source], info: MediaInfo, wanted: TrackChoice) -> ArgumentError:
    pictures = [f"{track} in the file" for track in info.subtitles if track.pictures]
    there = ", ".join([*(one.name for one in sources), *pictures]) or "none"
    return ArgumentError(f"subtitle_track={wanted!r}: {info.source} has no such subtitles; there are: {there}.")


def sound_of(info: MediaInfo, wanted: TrackChoice | None, reads: Reads) -> tuple[int | None, list[Note]]:
    """The number of the sound track to use, and a note, where there are several.

    Without a wish it is that of `mmemo.media.probe`, unless its language is stated, and only another one's can be read.

    Raises:
        ArgumentError: if there is none of the number or language that is wanted; the message lists what there is.
    """
    tracks = info.sounds
    used = None if info.audio is None else info.audio.track
    why = "the one that the file marks as its default; where it marks several or none, the first that is not silent"
    if wanted is not None:
        code = language_code(wanted) if isinstance(wanted, str) else None
        ranked = sorted(tracks, key=lambda track: (track.extra, not track.default))
        used = next(
            (
                track.number
                for track in ranked
                if wanted in (track.number, track.language) or (code and code == language_code(track.language))
            ),
            None,
        )
        if used is None:
            there = ", ".join(map(str, tracks)) or "none"
            raise ArgumentError(f"audio_track={wanted!r}: {info.source} has no such sound track; there are: {there}.")
        why = f"as audio_track={wanted!r} wants"
    elif len(tracks) > 1:
        codes = {track.number: language_code(track.language) for track in tracks}
        if (spoken_in := codes[used or 1]) is not None and not reads(spoken_in):
            others = [track for track in tracks if (code := codes[track.number]) is not None and reads(code)]
            if others:
                used = min(others, key=lambda track: (track.extra, not track.default)).number
                why = "the first in a language whose words can be read"
    if len(tracks) < 2:
        return None, []
    chosen = next(track for track in tracks if track.number == used)
    rest = ", ".join(str(track) for track in tracks if track is not chosen)
    message = f"Of {len(tracks)} sound tracks {chosen} was used: {why}. There is also {rest}: see audio_track=…."
    return used, [Note("sound-tracks", message)]


def track_of(clip: Clip, info: MediaInfo) -> int | None:
    """The number of the sound track that a clip names, of several; None where it names none."""
    return None if clip.audio_track is None else sound_of(info, clip.audio_track, lambda _: True)[0]


def _late(transcript: Transcript, info: MediaInfo) -> list[Note]:
    """A note on lines after the end of the file."""
    late = sum(line.start >= info.duration for line in transcript.lines) if info.duration else 0
    if not late:
        return []
    what = (
        f"{late} of {len(transcript.lines)} lines begin" if late > 1 else f"One of {len(transcript.lines)} lines begins"
    )
    message = (
        f"{what} after the end of the file ({info.duration:.1f} s) and can't count: the subtitles "
        f"({transcript.detail}) may belong to another file, or to another cut of it."
    )
    return [Note("late-lines", message)]


def with_parties(transcript: Transcript, levels: ChannelLevels, start: float) -> tuple[Transcript, dict[str, str]]:
    """A transcript whose lines without a speaker have the channel on which they are louder, "left" or "right".

    Lines that are about as loud on both keep none.

    Args:
        start: second of the file at which the levels begin.

    Returns:
        The transcript, and the channel of each of its speakers.
    """
    louder = [levels.difference(line.start - start, line.end - start) for line in transcript.lines]
    by_name = defaultdict[str, float](float)
    lines = []
    for line, decibels in zip(transcript.lines, louder, strict=True):
        channel = None if abs(decibels) < APART else "left" if decibels > 0 else "right"
        lines.append(line if line.speaker or channel is None else replace(line, speaker=channel))
        if line.speaker:
            by_name[line.speaker] += decibels * (line.end - line.start)
    names = {name: sum(line.end - line.start for line in lines if line.speaker == name) for name in by_name}
    named = {name: by_name[name] / seconds for name, seconds in names.items() if seconds > 0}
    channels = {name: "left" if decibels > 0 else "right" for name, decibels in named.items() if abs(decibels) >= APART}
    unnamed = {"left", "right"} & {line.speaker for line in lines if line.speaker not in named}
    return replace(transcript, lines=tuple(lines)), channels | {name: name for name in unnamed if name}


def lines_of_others(transcript: Transcript, channels: dict[str, str], channel: str) -> frozenset[Line]:
    """The lines whose speakers are on the other channel."""
    return frozenset(
        line for line in transcript.lines if line.speaker and channels.get(line.speaker, channel) != channel
    )
