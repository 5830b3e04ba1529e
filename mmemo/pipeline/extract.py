"""From one clip to its windows of evidence: the streams are opened, read as they come, and what is missing is noted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path

import numpy as np

from mmemo import media
from mmemo.box_tracks import Box, BoxTrackRecorder
from mmemo.clip import Clip
from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence, FaceEvidence, Seconds, VoiceEvidence
from mmemo.faces import Face, FaceFinder, FaceTracker
from mmemo.media import Damage, MediaInfo
from mmemo.notes import Note
from mmemo.pipeline.prefetch import Prefetcher
from mmemo.pipeline.windows import Grid, Sighting, face_windows, voice_windows
from mmemo.speech.activity import SpeechActivity, speech_spans
from mmemo.speech.recognition import Transcriber, speech_segments
from mmemo.speech.transcript import Transcript, find_sidecar, from_cues, given, read_subtitles, words_between

MAX_SIDE = 1280
"""Pixels. Larger video frames are shrunk while they are decoded: a face still has pixels enough, and 4K is slow."""
MAX_RATE = 15.0
"""Hz. Of faster video every second frame, or fewer, is looked at: a two-second window shows its expression as well."""
PREFETCH = 8
"""Windows of faces that may wait for the encoders."""

_NO_VOICE = {
    "empty": ("no-audio", "The sound track holds no sound, so voice was not scored."),
    "digital-silence": ("silent-audio", "The sound track is digital silence, so voice was not scored."),
    "too-quiet": ("quiet-audio", "The sound is too quiet to tell speech from noise, so voice was not scored."),
    "no-speech": ("no-speech", "Nobody speaks in the sound track, so voice was not scored."),
}


@dataclass
class Extraction:
    """What was found in one clip. ``notes`` and ``box_tracks`` grow until `windows` is exhausted."""

    grid: Grid
    activity: SpeechActivity | None = None
    transcript: Transcript | None = None
    notes: list[Note] = field(default_factory=list)
    box_tracks: BoxTrackRecorder = field(default_factory=BoxTrackRecorder)
    faces: Iterable[tuple[FaceEvidence, ...]] = field(default_factory=lambda: repeat(()))
    voices: Iterable[VoiceEvidence | None] = field(default_factory=lambda: repeat(None))
    source: Path | None = None

    def close(self) -> None:
        """Stop reading; to be called when the windows are no longer wanted."""
        if isinstance(self.faces, Prefetcher):
            self.faces.close()

    def windows(self, progress: Callable[[float], None] | None = None) -> Iterator[tuple[Evidence, ...]]:
        """Each window in order of time, as one Evidence a person (one without a face if nobody is seen).

        Args:
            progress: is called after each window with the share of them that was taken, 0 to 1.
        """
        streams = zip(self.grid, self.faces, self.voices, strict=False)
        for number, ((start, end), faces, voice) in enumerate(streams, 1):
            text = words_between(self.transcript, start, end) if self.transcript else None
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
) -> Extraction:
    """Open a clip and find speech and words; faces are found while the windows are read.

    Args:
        info: what `mmemo.media.probe` says of the clip's file; None for text alone.
        modalities: streams that none of these needs are not read. A modality that is not face, voice or text may need
            any of them.
        transcriber: recognises speech where no words are given; None for no recognition.

    Raises:
        MediaError: if the file can't be read.
        TranscriptError: if its subtitles can't be read.
        ArgumentError: if the clip starts after the end of its file.
    """
    if clip.path is None or info is None:
        return Extraction(Grid(0.0, window, hop), transcript=given(clip.text or "", 0.0))
    unknown = set(modalities) - {"face", "voice", "text"}
    looks, listens, reads = (bool(unknown) or name in modalities for name in ("face", "voice", "text"))
    if clip.start and clip.start >= info.duration:
        raise ArgumentError(f"The clip starts at {clip.start} s, {info.path} ends at {info.duration:.2f} s.")
    end = info.duration if clip.end is None else min(clip.end, info.duration)
    found = Extraction(Grid(max(0.0, end - clip.start), window, hop, clip.start), source=clip.path)
    sidecar = clip.subtitles or find_sidecar(clip.path) if reads and clip.text is None else None
    if clip.text is not None and reads:
        found.transcript = given(clip.text, info.duration)
    elif sidecar is not None:
        found.transcript = read_subtitles(sidecar, info.duration)
    if looks and info.video is None:
        found.notes.append(Note("no-video", "The file has no picture, so no face was scored."))
    elif looks:
        # In a thread of its own: decoding and landmarks run while the words are recognised and the encoders load.
        found.faces = Prefetcher(face_windows(_sightings(clip, info, found), found.grid), PREFETCH)
    try:
        if reads and found.transcript is None:
            found.transcript = _subtitle_stream(info)
        if listens or (reads and found.transcript is None):
            _listen(clip, info, found, note=listens)
        if reads and found.transcript is None:
            found.transcript = _recognise(clip, info, found, transcriber)
        if listens and found.activity is not None and found.activity.spans:
            found.voices = voice_windows(_sound(clip, info), found.activity.spans, found.grid)
    except BaseException:
        found.close()
        raise
    return found


def _sightings(clip: Clip, info: MediaInfo, found: Extraction) -> Iterator[Sighting]:
    """The faces of every frame; what was missing is noted at the end."""
    damage, any_face, frames = Damage(), False, 0
    find = _face_search(info)
    side = None if info.kind == "image" else MAX_SIDE
    for frame in media.frames(info.path, clip.start, clip.end, max_side=side, max_rate=MAX_RATE, damage=damage):
        faces = find(frame)
        any_face, frames = any_face or bool(faces), frames + 1
        height, width = frame.image.shape[:2]
        found.box_tracks.add(frame.time, {face.person: _shares(face, width, height) for face in faces})
        yield Sighting(frame.time, (width, height), faces)
    if not frames:
        found.notes.append(Note("no-video", "No picture of the file could be decoded, so no face was scored."))
    elif not any_face:
        found.notes.append(Note("no-face", "No face was found in the picture, so no face was scored."))
    _note_damage(info, damage, "picture", found)


def _shares(face: Face, width: int, height: int) -> Box:
    left, top, right, bottom = face.box.tolist()
    return left / width, top / height, right / width, bottom / height


def _face_search(info: MediaInfo) -> Callable[[media.Frame], Sequence[Face]]:
    if info.kind == "image":
        finder = FaceFinder()
        return lambda frame: finder.find(frame.image)
    tracker = FaceTracker()
    return lambda frame: tracker.update(frame.image, frame.time)


def _sound(clip: Clip, info: MediaInfo, damage: Damage | None = None) -> Iterator[np.ndarray]:
    return media.waveform_blocks(clip.audio or info.path, clip.start, clip.end, damage=damage)


def _listen(clip: Clip, info: MediaInfo, found: Extraction, *, note: bool) -> None:
    if (media.probe(clip.audio) if clip.audio else info).audio is None:
        if note and info.kind != "image":
            found.notes.append(Note("no-audio", "The file has no sound track, so voice was not scored."))
        return
    damage = Damage()
    heard = speech_spans(_sound(clip, info, damage))
    shifted = tuple((start + clip.start, end + clip.start) for start, end in heard.spans)
    found.activity = replace(heard, spans=shifted)
    if found.activity.absence and note:
        found.notes.append(Note(*_NO_VOICE[found.activity.absence]))
    if damage.samples:
        found.notes.append(
            Note("invalid-samples", f"{damage.samples} samples of the sound are not numbers and were taken as silence.")
        )
    _note_damage(info, damage, "sound", found)


def _subtitle_stream(info: MediaInfo) -> Transcript | None:
    for stream in info.subtitles:
        lines = media.cues(info.path, stream)
        if lines:
            return from_cues(lines, "subtitle stream", str(stream.index))
    return None


def _recognise(clip: Clip, info: MediaInfo, found: Extraction, transcriber: Transcriber | None) -> Transcript | None:
    if info.kind == "image":
        return None
    if found.activity is None or not found.activity.spans:
        found.notes.append(Note("no-words", "There are no subtitles and no speech, so words were not scored."))
        return None
    if transcriber is None:
        found.notes.append(
            Note(
                "no-transcript",
                "There are no subtitles, and speech recognition is not installed, so words were not scored. "
                "Install it with: pip install 'mmemo[asr]', or give text=… or subtitles=….",
            )
        )
        return None
    spans = [(start - clip.start, end - clip.start) for start, end in found.activity.spans]
    segments = speech_segments(_sound(clip, info), spans)
    transcript, notes = transcriber((start + clip.start, sound) for start, sound in segments)
    found.notes.extend(notes)
    return transcript if transcript.lines else None


def _note_damage(info: MediaInfo, damage: Damage, what: str, found: Extraction) -> None:
    if info.kind == "image":
        return
    early = info.duration - damage.seconds
    if damage.packets and early > max(1.0, 0.1 * info.duration):
        message = (
            f"The {what} can be decoded up to {damage.seconds:.1f} of {info.duration:.1f} s only: the file is damaged."
        )
        found.notes.append(Note("damaged", message))
    elif damage.packets:
        found.notes.append(Note("damaged", f"{damage.packets} packets of the {what} are damaged and were passed over."))
