"""From one clip to its windows of evidence: the streams are opened and read as they come; absences are noted."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path

import numpy as np

from mmemo import media
from mmemo.box_tracks import Box, BoxTrackRecorder
from mmemo.clip import Clip
from mmemo.encoders.modality import MODALITIES
from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence, FaceEvidence, Seconds, VoiceEvidence
from mmemo.faces import Face, FaceFinder, FaceTracker
from mmemo.faces.identity import PersonGallery
from mmemo.in_memory import APART
from mmemo.media import Damage, MediaInfo
from mmemo.notes import Note
from mmemo.pipeline.frames import FrameRecorder
from mmemo.pipeline.prefetch import Prefetcher
from mmemo.pipeline.sound import ClipSound
from mmemo.pipeline.windows import Grid, Sighting, face_windows, voice_windows
from mmemo.pipeline.words import Reads, given_words, lines_of_others, sound_of, subtitles_of, with_parties
from mmemo.speech.activity import SpeechActivity, speech_spans
from mmemo.speech.line import Line
from mmemo.speech.recognition import Transcriber, speech_segments
from mmemo.speech.transcript import Transcript, given, words_between

MAX_RATE = 15.0
"""Hz. Of faster video every second frame, or fewer, is used: a window of two seconds shows its expression as well.

The scores of the face would need 8 only: of 88 real clips all keep their label, and the scores move by .003 on average.
The speaker needs more: `active_speaker` has its thresholds and lags at 15, and at 8 no speaker in clips under 3 s.
"""
MAX_FACES, MAX_FACES_STILL = 8, 32
"""At once, in a video and in a picture that does not move, if nobody asks for more or fewer."""
MIN_CONFIDENCE = 0.4
"""Of a track half a second later. Faces of real clips have .65 and more. One of .8 that is not confirmed once has just
that; what was detected by .65, the least, and is not confirmed has .33."""
PREFETCH = 8
"""Windows of faces that may wait for the encoders."""

NO_VOICE = {
    "empty": ("no-audio", "The sound track holds no sound, so voice was not scored."),
    "digital-silence": ("silent-audio", "The sound track is digital silence, so voice was not scored."),
    "too-quiet": ("quiet-audio", "The sound is too quiet to tell speech from noise, so voice was not scored."),
    "no-speech": ("no-speech", "There is no voice in the sound track, so it was not scored."),
}


@dataclass
class Extraction:
    """The evidence of one clip. ``notes`` and ``box_tracks`` grow until `windows` is exhausted.

    Attributes:
        grid: the spans of the windows.
        source: the clip's file; None for text alone and for media in memory.
        sound: its sound, if it was used.
        activity: where there is a voice, in seconds of the file; None where nothing needed the sound.
        transcript: the words, wherever they came from.
        others: lines of it that are context alone: those of the other party of a call.
        parties: whether the channels hold different voices, which were mixed.
        notes: what was missing or damaged.
        box_tracks: where the faces were.
        confidence: by person, the sum of their frames' confidence, and the number of these frames.
        faces: the people of each window; ``voices``: the voice of each window.
    """

    grid: Grid
    source: Path | None = None
    sound: ClipSound | None = None
    activity: SpeechActivity | None = None
    transcript: Transcript | None = None
    others: frozenset[Line] = frozenset()
    parties: bool = False
    notes: list[Note] = field(default_factory=list)
    box_tracks: BoxTrackRecorder = field(default_factory=BoxTrackRecorder)
    confidence: dict[int, tuple[float, int]] = field(default_factory=dict)
    faces: Iterable[tuple[FaceEvidence, ...]] = field(default_factory=lambda: repeat(()))
    voices: Iterable[VoiceEvidence | None] = field(default_factory=lambda: repeat(None))

    def close(self) -> None:
        """Stop reading; to be called when no more windows are wanted."""
        if isinstance(self.faces, Prefetcher):
            self.faces.close()

    def windows(self, progress: Callable[[float], None] | None = None) -> Iterator[tuple[Evidence, ...]]:
        """Each window in order of time, as one Evidence a person (one without a face if nobody is in view).

        Args:
            progress: is called after each window with the share of them that is done, 0 to 1.
        """
        streams = zip(self.grid, self.faces, self.voices, strict=False)
        for number, ((start, end), faces, voice) in enumerate(streams, 1):
            text = words_between(self.transcript, start, end, self.others) if self.transcript else None
            yield tuple(Evidence(start, end, face, voice, text, self.source) for face in faces or (None,))
            if progress:
                progress(number / len(self.grid))


def extract(
    clip: Clip,
    info: MediaInfo | None,
    modalities: Sequence[str],
    window: Seconds,
    hop: Seconds,
    transcriber: Transcriber | None,
    people: int | None = None,
    max_faces: int | None = None,
    alter: Callable[[np.ndarray], np.ndarray] | None = None,
    recorder: FrameRecorder | None = None,
    reads: Reads | None = None,
) -> Extraction:
    """Open a clip, and detect speech and words; faces are detected while the windows are read.

    Args:
        info: `mmemo.media.probe` of the clip's file; None for text alone.
        modalities: streams that none of these needs are not read. A user's own modality may need any of them.
        window: length of a window in seconds; ``hop``: seconds from one window's start to the next one's.
        transcriber: recognizes speech where no words are given; None for no recognition.
        people: how many are seen in the clip; None if that is not known.
        max_faces: at once; None for ``people``, else `MAX_FACES` or `MAX_FACES_STILL`.
        alter: changes each picture (H, W, 3) uint8 before faces are looked for, as to test with worse ones.
        recorder: gets the faces of each frame.
        reads: whether words in a language are scored; of several tracks or subtitles one in such a language is taken.

    Raises:
        MediaError: if the file can't be read.
        TranscriptError: if its subtitles can't be read.
        ArgumentError: if the clip starts after the end of its file, names a track that is not there, or has more
            windows than its `mmemo.media.LIMITS`.
    """
    if clip.path is None or info is None:
        return Extraction(Grid(0.0, window, hop), transcript=given(clip.text or "", 0.0, clip.language))
    own = any(name not in MODALITIES for name in modalities)
    needs_face, needs_voice, needs_text = (own or name in modalities for name in MODALITIES)
    if clip.start and clip.start >= info.duration:
        raise ArgumentError(f"The clip starts at {clip.start} s, {info.source} ends at {info.duration:.2f} s.")
    end = info.duration if clip.end is None else min(clip.end, info.duration)
    if info.kind == "image" and info.duration:  # several, of which each stands by itself
        window = hop = APART
    grid = Grid(max(0.0, end - clip.start), window, hop, clip.start)
    if len(grid) > media.LIMITS.windows:
        raise ArgumentError(
            f"{info.source} has {len(grid)} windows, one each {hop:g} s; at most {media.LIMITS.windows} are analyzed. "
            "Take a longer hop, or analyze it in parts, with start and end of a Clip."
        )
    extraction = Extraction(grid, clip.path if isinstance(clip.path, Path) else None, notes=list(info.notes))
    reads = reads or (lambda _: True)
    if needs_text:
        extraction.transcript, notes = given_words(clip, info)
        extraction.notes.extend(notes)
    if needs_face and info.video is None:
        extraction.notes.append(Note("no-video", "There is no picture, so no face was scored."))
    elif needs_face:
        sightings = _sightings(clip, info, extraction, people, max_faces, alter, recorder)
        windows = face_windows(sightings, extraction.grid)
        # Video in a thread of its own: decoding and landmarks run while the words are recognized and the encoders load.
        extraction.faces = windows if info.kind == "image" else Prefetcher(windows, PREFETCH)
    try:
        if needs_text and extraction.transcript is None:
            extraction.transcript, notes = subtitles_of(info, clip.subtitle_track, reads)
            extraction.notes.extend(notes)
        written = extraction.transcript
        if needs_voice or (needs_text and (written is None or clip.channel != "mix")):
            _detect_speech(clip, info, extraction, reads, note=needs_voice)
        if needs_text and written is None:
            extraction.transcript = _recognize(clip, info, extraction, transcriber)
        if written is None or written.source != "given":  # plain text has no times of its own
            _tell_parties(clip, extraction)
        if needs_voice and extraction.sound and extraction.activity and extraction.activity.voice:
            extraction.voices = voice_windows(extraction.sound.blocks(), extraction.activity.voice, extraction.grid)
    except BaseException:
        extraction.close()
        raise
    return extraction


def _sightings(
    clip: Clip,
    info: MediaInfo,
    extraction: Extraction,
    people: int | None,
    max_faces: int | None,
    alter: Callable[[np.ndarray], np.ndarray] | None,
    recorder: FrameRecorder | None,
) -> Iterator[Sighting]:
    """The faces of the frames that are analyzed; absence and damage are noted at the end."""
    damage, log, due = Damage(), SightingLog(extraction), 0.0
    side = None if info.kind == "image" else media.MAX_SIDE
    rate = None if recorder is not None and recorder.every else MAX_RATE
    images = media.frames(info.source, clip.start, clip.end, max_side=side, max_rate=rate, damage=damage)
    if alter is not None:
        images = (replace(frame, image=alter(frame.image)) for frame in images)
    still = info.kind == "image"
    most = most_faces(people, max_faces, still=still)
    faces = _StillFaces(most, people) if still else TrackedFaces(most, people)
    for sighting in faces.sightings(images):
        log.add(sighting)
        if recorder is not None:
            recorder.add(sighting)
        if sighting.time >= due:  # where every frame is recorded, windows get those that they get otherwise
            due = sighting.time + (0.9 / MAX_RATE if rate is None else 0.0)
            yield sighting
    log.note(faces.crowded and most != people, faces.unsure, most)
    _note_damage(info, damage, "picture", extraction)


def most_faces(people: int | None, max_faces: int | None, *, still: bool = False) -> int:
    """The most faces at once that are used."""
    return int(min(people or math.inf, max_faces or people or (MAX_FACES_STILL if still else MAX_FACES)))


class SightingLog:
    """Records the faces of each frame into an `Extraction`, and at the end what a reader must know of them."""

    def __init__(self, extraction: Extraction) -> None:
        self._extraction = extraction
        self._frames = self._with_face = self._denoised = 0

    def add(self, sighting: Sighting) -> None:
        """Record the faces of the next frame."""
        self._frames, self._with_face = self._frames + 1, self._with_face + bool(sighting.faces)
        self._denoised += any(face.noise > 0 for face in sighting.faces)
        boxes = {face.person: relative_box(face, *sighting.size) for face in sighting.faces}
        self._extraction.box_tracks.add(sighting.time, boxes)
        for face in sighting.faces:
            total, count = self._extraction.confidence.get(face.person, (0.0, 0))
            self._extraction.confidence[face.person] = total + face.confidence, count + 1

    def note(self, crowded: bool, unsure: int, most: int) -> None:
        """Note what was missing, too much or unsure.

        Args:
            crowded: whether there were more faces than ``most`` at once.
            unsure: tracks that were left out, as it was not confirmed that they are faces.
        """
        notes = self._extraction.notes
        if not self._frames:
            notes.append(Note("no-video", "No picture of the file could be decoded, so no face was scored."))
        elif not self._with_face:
            notes.append(Note("no-face", "No face was found in the picture, so no face was scored."))
        if crowded:
            used = "the largest was" if most == 1 else f"the {most} largest were"
            message = f"More faces were in view at once: only {used} used; give max_faces=…."
            notes.append(Note("many-faces", message))
        if unsure:
            what = "What looked like a face was" if unsure == 1 else f"{unsure} things that looked like faces were"
            notes.append(Note("unsure-face", f"{what} not confirmed to be one, and left out."))
        if self._denoised > 0.1 * self._with_face:
            message = (
                f"In {self._denoised / self._with_face:.0%} of the pictures with a face it was found only after "
                "denoising: there the scores of the face are less certain."
            )
            notes.append(Note("enhanced-faces", message))


def relative_box(face: Face, width: int, height: int) -> Box:
    """The box of a face as shares of the frame's width and height."""
    left, top, right, bottom = face.box.tolist()
    return left / width, top / height, right / width, bottom / height


class _StillFaces:
    """The faces of pictures that do not move; those of several pictures by person.

    Attributes:
        crowded: whether there were more than ``most``.
        unsure: tracks that were left out, as it was not confirmed that they are faces.
    """

    def __init__(self, most: int, people: int | None) -> None:
        self._most, self._finder, self._gallery = most, FaceFinder(max_faces=most + 1), PersonGallery(people)
        self.crowded, self.unsure = False, 0

    def sightings(self, images: Iterable[media.Frame]) -> Iterator[Sighting]:
        sightings, count = [], 0
        for frame in images:
            found = self._finder.find(frame.image)
            self.crowded |= len(found) > self._most
            faces = [
                replace(face, person=person, time=frame.time) for person, face in enumerate(found[: self._most], count)
            ]
            count += len(faces)
            self._gallery.add(faces, frame.time)
            sightings.append(Sighting(frame.time, _size(frame), faces, frame.number))
        self._gallery.finish()
        for sighting in sightings:
            yield replace(sighting, faces=self._gallery.named(sighting.faces) or [])


class TrackedFaces:
    """The faces of each frame of a video by person, half a second late: so long a new track takes to be matched.

    Attributes:
        most: the most faces at once.
        is_all: whether there are no more people than these.
        crowded, unsure: as those of `_StillFaces`.
    """

    def __init__(self, most: int, people: int | None) -> None:
        self.most, self.is_all = most, most == people
        self._tracker, self._gallery = FaceTracker(max_faces=most), PersonGallery(people)
        self._held: deque[Sighting] = deque()
        self._confidence: dict[int, float] = {}  # of each track, as far as it was followed
        self._left_out: set[int] = set()

    @property
    def crowded(self) -> bool:
        return self._tracker.crowded

    @property
    def unsure(self) -> int:
        return len(self._left_out)

    def sightings(self, images: Iterable[media.Frame]) -> Iterator[Sighting]:
        for frame in images:
            self.add(frame)
            yield from self.matched()
        self.finish()
        yield from self.matched()

    def add(self, frame: media.Frame, *, later: bool = False) -> Sighting:
        """Track the faces of the next frame; they have the numbers of their tracks, as they are not matched yet.

        Args:
            later: as in `FaceTracker.update`.
        """
        faces = self._tracker.update(frame.image, frame.time, later=later)
        self._confidence |= {face.person: face.confidence for face in faces}
        self._gallery.add(faces, frame.time)
        self._held.append(Sighting(frame.time, _size(frame), faces, frame.number))
        return self._held[-1]

    def search(self) -> None:
        """Do what the last frame left for later."""
        self._tracker.search()

    def finish(self) -> None:
        """Match what is left, at the end."""
        self._gallery.finish()

    def matched(self) -> Iterator[Sighting]:
        """The frames whose faces have been matched since the last call."""
        while self._held and (named := self._gallery.named(self._held[0].faces)) is not None:
            sighting = self._held.popleft()
            unsure = [self._confidence[face.person] < MIN_CONFIDENCE for face in sighting.faces]
            self._left_out |= {face.person for face, out in zip(sighting.faces, unsure, strict=True) if out}
            yield replace(sighting, faces=[face for face, out in zip(named, unsure, strict=True) if not out])

    def person(self, track: int) -> int | None:
        """Whose track this is; None as long as it is not matched."""
        return self._gallery.person(track)


def _size(frame: media.Frame) -> tuple[int, int]:
    height, width = frame.image.shape[:2]
    return width, height


def _detect_speech(clip: Clip, info: MediaInfo, extraction: Extraction, reads: Reads, *, note: bool) -> None:
    if clip.audio is not None and info.kind == "image":
        message = (
            "The picture is a still, which has no length, so the sound beside it was not used; analyze it by itself."
        )
        extraction.notes.append(Note("still-with-sound", message))
        return
    source = media.probe(clip.audio) if clip.audio else info
    if clip.audio:
        extraction.notes.extend(source.notes)
    track, remarks = sound_of(source, clip.audio_track, reads) if info.kind != "image" else (None, [])
    extraction.notes.extend(remarks)
    if source.audio is None:
        if note and info.kind != "image":
            extraction.notes.append(Note("no-audio", "There is no sound track, so voice was not scored."))
        return
    # The last samples may lie a little after the end; a damaged timestamp lies far after it.
    end = min(source.duration + 1.0, math.inf if clip.end is None else clip.end)
    extraction.sound = sound = ClipSound(source.source, clip.start, end, clip.channel, track)
    detected = speech_spans(sound.blocks())
    activity = extraction.activity = detected.shifted(clip.start)
    if activity.absence and note:
        extraction.notes.append(Note(*NO_VOICE[activity.absence]))
    if sound.damage.samples:
        message = f"{sound.damage.samples} samples of the sound are not numbers and were taken as silence."
        extraction.notes.append(Note("invalid-samples", message))
    if sound.damage.anti_phase:
        message = "The two channels of the sound cancel each other, so the first alone was used."
        extraction.notes.append(Note("anti-phase", message))
    extraction.parties = clip.channel == "mix" and sound.levels.hold_different_voices(detected.spans)
    if clip.channel != "mix":
        extraction.notes.append(Note("one-channel", f"The {clip.channel} channel of the sound alone was used."))
    elif extraction.parties:
        message = (
            "The left and the right channel hold different voices, which were mixed. Analyze each on its own, with "
            'channel="left" and channel="right".'
        )
        extraction.notes.append(Note("stereo-parties", message))
    _note_damage(info, sound.damage, "sound", extraction)


def _tell_parties(clip: Clip, extraction: Extraction) -> None:
    """Name the party of each line by its channel, where the channels hold different voices or one alone is wanted."""
    transcript, sound = extraction.transcript, extraction.sound
    if transcript is None or sound is None or not (extraction.parties or clip.channel != "mix"):
        return
    if clip.channel != "mix" and transcript.source == "recognition":
        return  # recognized on this channel alone
    transcript, channels = with_parties(transcript, sound.levels, clip.start)
    extraction.transcript = transcript
    if clip.channel == "mix":
        return
    extraction.others = lines_of_others(transcript, channels, clip.channel)
    if extraction.others:
        names = ", ".join(sorted({line.speaker for line in extraction.others if line.speaker}))
        message = (
            f"{len(extraction.others)} lines are louder on the other channel ({names}): they count as context alone."
        )
        extraction.notes.append(Note("other-party", message))


def _recognize(
    clip: Clip, info: MediaInfo, extraction: Extraction, transcriber: Transcriber | None
) -> Transcript | None:
    if info.kind == "image":
        return None
    if extraction.sound is None or extraction.activity is None or not extraction.activity.spans:
        extraction.notes.append(Note("no-words", "There are no subtitles and no speech, so words were not scored."))
        return None
    if transcriber is None:
        extraction.notes.append(
            Note(
                "no-transcript",
                "There are no subtitles, and speech recognition is not installed, so words were not scored. "
                "Install it with: pip install 'mmemo[asr]', or give text=… or subtitles=….",
            )
        )
        return None
    spans = [(start - clip.start, end - clip.start) for start, end in extraction.activity.spans]
    segments = speech_segments(extraction.sound.blocks(), spans)
    transcript, notes = transcriber(((start + clip.start, sound) for start, sound in segments), clip.language)
    extraction.notes.extend(notes)
    return transcript if transcript.lines else None


def _note_damage(info: MediaInfo, damage: Damage, what: str, extraction: Extraction) -> None:
    if info.kind == "image":
        return
    end = extraction.grid.end
    if damage.packets and end - damage.seconds > max(1.0, 0.1 * extraction.grid.duration):
        message = f"The {what} can be decoded up to {damage.seconds:.1f} of {end:.1f} s only: the file is damaged."
        extraction.notes.append(Note("damaged", message))
    elif damage.packets:
        message = f"{damage.packets} packets of the {what} are damaged and were passed over."
        extraction.notes.append(Note("damaged", message))
