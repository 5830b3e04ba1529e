"""A clip: a span of one media file, or of media in memory, with its annotations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TypeAlias, cast, get_args

from mmemo.errors import ArgumentError, MediaError, expected_one_of, shown
from mmemo.evidence import Channel, Seconds
from mmemo.in_memory import Encoded, Frames, Media, Sound, as_media, is_missing
from mmemo.reading import reason

TrackChoice: TypeAlias = int | str
"""A sound track or subtitle stream: its number, from 1, or its language."""
_LARGEST = 2_000_000_000
"""Bytes of a download."""
_TIMEOUT: Seconds = 60.0


def track_choice(text: str | None) -> TrackChoice | None:
    """A track as it is written in an option or a cell: a number, or a language."""
    return int(text) if text is not None and text.isdecimal() and len(text) < 9 else text


@dataclass(frozen=True, slots=True)
class Clip:
    """A span of one media file, or of media in memory, or a text; in a corpus with its annotations.

    Attributes:
        path: the media file, or anything else that `mmemo.analyze` takes, which becomes a `Frames`, a `Sound` or a file
            in memory; None for text alone. ``~`` is the home folder.
        start: seconds from the start of the file.
        end: seconds; None for the end of the file.
        text: the spoken words, if they are known; a missing value of pandas is none, and so of each file.
        subtitles: a subtitle or text file, if there is one; a file of the same name beside the media is taken anyway.
        audio: the sound, where it is in a file of its own or a `Sound`; ``path`` is then the picture.
        channel: of the sound: "mix" of all, or "left" or "right" alone, where each party of a call has its own.
        audio_track: which of several sound tracks is used: its number, from 1, or its language, as "en"; None for the
            one that the file marks as its default, or whose words can be read.
        subtitle_track: which of several subtitles beside or in the file are used: the number of a stream, from 1, or
            the language; None for the first whose words can be read.
        id: unique in its corpus.
        corpus: its short name, such as "ravdess".
        label: the target class.
        labels: the class by modality, where annotators had only the face or only the voice:
            ``{"face": "anger"}``.
        intended: the emotion that an actor was to portray.
        perceived: share of the annotators' votes for each label; the shares sum to 1.
        valence: on the scale of the corpus; ``arousal`` and ``dominance`` likewise.
        onset: of an expression, in seconds from the start of the file; ``apex`` and ``offset`` likewise.
        speaker: name as in the corpus; ``gender``, ``session`` and ``dialogue`` likewise; ``turn`` counts within a
            dialogue.
        language: ISO 639-1 where there is one: "en".
        license: terms of use, in short.
        split: "train", "val", "test" …; ``fold`` names the round of a cross-validation in which the clip is tested.
        sha256: of the bytes of ``path``, to notice a changed file.
        extra: further annotations of the corpus.

    Raises:
        ArgumentError: if there is neither a file nor text, both text and subtitles, the span is empty, shares don't
            sum to 1, or a number is not one. The message names every fault.

    >>> clip = Clip(Path("clip.mp4"), start=0.5, end=2.0, label="happiness", speaker="anna")
    >>> clip.path.name, clip.end - clip.start
    ('clip.mp4', 1.5)
    >>> Clip(text="What a lovely day!").path is None
    True
    >>> import mmemo
    >>> frames = mmemo.Frames([mmemo.samples.portrait()] * 50, fps=25)
    >>> sound = mmemo.Sound(mmemo.samples.speech(), 16_000)
    >>> Clip(frames, audio=sound, label="happiness").path
    <50 frames 300x300>
    """

    path: Media | None = None
    start: Seconds = 0.0
    end: Seconds | None = None
    text: str | None = None
    subtitles: Path | None = None
    _: KW_ONLY
    audio: Media | None = None
    channel: Channel = "mix"
    audio_track: TrackChoice | None = None
    subtitle_track: TrackChoice | None = None
    id: str = ""
    corpus: str | None = None
    label: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    intended: str | None = None
    perceived: Mapping[str, float] = field(default_factory=dict)
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    onset: Seconds | None = None
    apex: Seconds | None = None
    offset: Seconds | None = None
    speaker: str | None = None
    gender: str | None = None
    session: str | None = None
    dialogue: str | None = None
    turn: int | None = None
    language: str | None = None
    license: str | None = None
    split: str | None = None
    fold: str | None = None
    sha256: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given: object = self.path
        if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Sound) and self.audio is None:
            object.__setattr__(self, "path", given[0])
            object.__setattr__(self, "audio", given[1])
        for name in ("path", "audio", "subtitles"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, None if is_missing(value) else as_media(value))
        if is_missing(self.text):
            object.__setattr__(self, "text", None)
        faults = list(self._faults())
        if faults:
            raise ArgumentError(" ".join(faults))

    @property
    def file(self) -> Path | None:
        """The media file; None for text alone, and for media in memory."""
        return self.path if isinstance(self.path, Path) else None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files it names: media, sound and subtitles."""
        return tuple(one for one in (self.path, self.audio, self.subtitles) if isinstance(one, Path))

    @classmethod
    def download(cls, url: str) -> Clip:
        """Fetch a media file over HTTP into memory. Nothing else in mmemo follows an address.

        Args:
            url: an ``http://`` or ``https://`` address of the file itself, of 2 GB at most; what is behind a player's
                page is not looked for.

        Raises:
            ArgumentError: if it is no such address.
            MediaError: if it can't be fetched.

        >>> from mmemo import Clip
        >>> Clip.download("clips/anna.mp4")
        Traceback (most recent call last):
            ...
        mmemo.errors.ArgumentError: Clip.download: expected an http:// or https:// address, got 'clips/anna.mp4'.
        """
        if not isinstance(url, str) or not url.lower().startswith(("http://", "https://")):
            raise ArgumentError(f"Clip.download: expected an http:// or https:// address, got {shown(url)}.")
        from http.client import HTTPException
        from urllib.parse import unquote, urlsplit
        from urllib.request import urlopen

        try:
            name = Path(unquote(urlsplit(url).path)).name
            with urlopen(url, timeout=_TIMEOUT) as response:
                data = response.read(_LARGEST + 1)
        except (OSError, HTTPException, ValueError) as error:
            why = reason(error).removeprefix("<urlopen error ").removesuffix(">")
            raise MediaError(f"{url} can't be downloaded: {why}.") from None
        if len(data) > _LARGEST:
            raise MediaError(f"{url} has more than 2 GB: download it to a file, and give its path.")
        return cls(Encoded(data, f"<{name}>" if name else ""))

    def _faults(self) -> Iterator[str]:
        text, subtitles = cast(object, self.text), cast(object, self.subtitles)  # as users give them
        if not (text is None or isinstance(text, str)):
            yield f"text: expected a str, got {type(text).__name__}: {shown(text)}."
        if self.path is None and self.text is None:
            yield "Nothing to analyze: give a media file, or text=…."
        if self.path is None and self.audio is not None:
            yield "A clip of sound alone has the sound as its path, not as its audio."
        if self.channel not in get_args(Channel):
            yield expected_one_of("channel", get_args(Channel), self.channel)
        if isinstance(self.audio, Frames):
            yield f"The audio of a clip is its sound, got {self.audio}: pictures are its path."
        if isinstance(self.path, Sound) and self.audio is not None:
            yield "There are two sounds, the path and the audio: the path is the picture."
        if not (subtitles is None or isinstance(subtitles, Path)):
            yield f"Subtitles are read from a file, got {subtitles}: give its path, or the words as text=…."
        if self.text is not None and self.subtitles is not None:
            yield "Give text=… or subtitles=…, not both."
        for name, track in (("audio_track", self.audio_track), ("subtitle_track", self.subtitle_track)):
            if track is not None and not (isinstance(track, str) and track) and not (type(track) is int and track > 0):
                yield f'{name}: expected a number from 1, or a language such as "en", got {shown(track)}.'
        if self.subtitle_track is not None and (self.text is not None or self.subtitles is not None):
            yield "subtitle_track chooses among the subtitles beside or in the file: leave out text=… and subtitles=…."
        if not 0 <= self.start < math.inf or (self.end is not None and not self.start < self.end < math.inf):
            yield f"A clip needs 0 <= start < end, got start={self.start}, end={self.end}."
        moments = [time for time in (self.onset, self.apex, self.offset) if time is not None]
        if moments != sorted(moments) or not all(0 <= time < math.inf for time in moments):
            yield f"An expression needs 0 <= onset <= apex <= offset, got {moments}."
        for name in ("valence", "arousal", "dominance"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                yield f"{name} is {value}; leave it out where it is not known."
        shares = list(self.perceived.values())
        if shares and not (all(0 <= share <= 2 for share in shares) and abs(math.fsum(shares) - 1) < 1e-3):
            yield f"The shares of perceived labels must be positive and sum to 1, got {dict(self.perceived)}."
