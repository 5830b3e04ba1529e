"""`analyze` and `Analyzer`: a media file, or media in memory, in, an `EmotionResult` out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mmemo.clip import Clip, TrackChoice
from mmemo.encoders.base import Encoder, Encoding
from mmemo.encoders.modality import MODALITIES
from mmemo.encoders.network_classifier import NetworkClassifier
from mmemo.errors import ArgumentError, MissingStreamError, require_extra
from mmemo.evidence import Channel, Seconds
from mmemo.faces.identity import check_people
from mmemo.in_memory import Color, Frames, MediaInput, Sound, as_media, is_missing
from mmemo.labels import LabelSet
from mmemo.media import MediaInfo, probe
from mmemo.micro_expression import MicroExpression
from mmemo.model import Correction, EmotionModel, Prior, check_prior
from mmemo.notes import Note
from mmemo.onnx_network import check_device
from mmemo.personal.adaptation import Adaptation
from mmemo.personal.baseline import Baseline
from mmemo.personal.running import RunningBaseline
from mmemo.pipeline.extract import Extraction, extract
from mmemo.pipeline.frames import FrameRecorder
from mmemo.pipeline.score import ClipScores, EncodingRecorder, score
from mmemo.pipeline.windows import Grid
from mmemo.pretrained import find_model, load_model, model_folder
from mmemo.report.formats import inputs_of
from mmemo.result import AnalysisSettings, EmotionResult, ModalityScores, Person, Segment, vocal_bursts
from mmemo.speech.prosody import Prosody, measure
from mmemo.speech.recognition import Transcriber, default_transcriber
from mmemo.speech.transcript import Transcript

Progress = Callable[[float], None]
MOST_LISTED = 4
"""Vocal bursts whose times a note gives."""
Source: TypeAlias = MediaInput | tuple[Frames, Sound] | Clip


class Analyzer:
    """Emotion analysis of clips, one after the other; the models are loaded once, with the first clip.

    An analyzer can be copied and pickled, used or not: the copy loads its models again.

    Args:
        model: "default", a folder that a recipe saved, or a built `EmotionModel`.
        modalities: which of the model's modalities to use; None for all of them.
        device: "auto", "cpu", "cuda", "mps", "directml", "openvino"; for a model given by name or folder.
        window: length of a window in seconds; ``hop``: seconds from one window's start to the next one's.
        micro: spot micro-expressions too, at the file's full frame rate; see `mmemo.spot_micro`.
        prosody: measure pitch, loudness, speaking rate and pauses too.
        frames: keep pose, gaze, blendshapes, action units and scores of each frame, in the result's ``frames``: of
            those that are analyzed, at most 15 a second; of every frame of the file with "all".
        people: how many are seen in the clip, if that is known: no more ids are given.
        max_faces: the most faces at once, the largest; None for ``people``, else 8 in a video and 32 in a picture.
        transcriber: recognizes speech where a clip comes without words: "auto" takes Whisper base if the extra
            ``asr`` is installed; None never recognizes.
        classes: of the model's encoders and fusion head, where they are not mmemo's own; see `mmemo.load_model`.
        prior: shares of the labels under which scores are given: "balanced" (every label is equally likely beforehand),
            "natural" (as in the material that the encoders were trained on) or the share of each label.
        baseline: of the person, or of the place (`mmemo.Baseline`), to be taken off the scores; "auto" for the same
            person's earlier windows in the clip; None for none.
        adaptation: learned from labeled clips (`mmemo.Adaptation`); None for none.

    Raises:
        UnknownModelError: if there is no such model.
        WeightsError: if it is damaged, or needs a class that is not known.
        ArgumentError: for modalities the model does not have, a device that does not exist, an impossible window or
            prior, less than one of ``people`` or ``max_faces``, or a baseline or adaptation of another model (when the
            model is loaded).
        MissingExtraError: for ``micro`` or ``prosody``, if what they take is not installed.

    Examples:
        >>> from mmemo import Analyzer
        >>> analyzer = Analyzer(modalities=("text",))
        >>> [analyzer(text=line).label for line in ("I am so happy!", "I am so sad.")]
        ['happiness', 'sadness']
    """

    def __init__(
        self,
        model: str | Path | EmotionModel = "default",
        modalities: Sequence[str] | None = None,
        device: str = "auto",
        window: Seconds = 2.0,
        hop: Seconds = 1.0,
        *,
        micro: bool = False,
        prosody: bool = False,
        frames: bool | Literal["all"] = False,
        people: int | None = None,
        max_faces: int | None = None,
        transcriber: Transcriber | Literal["auto"] | None = "auto",
        classes: Sequence[type] = (),
        prior: Prior = "balanced",
        baseline: Baseline | Literal["auto"] | None = None,
        adaptation: Adaptation | None = None,
    ) -> None:
        Grid(0.0, window, hop)
        check_prior(prior)
        if not (baseline is None or baseline == "auto" or isinstance(baseline, Baseline)):
            raise ArgumentError(f'baseline: expected a mmemo.Baseline, "auto" or None, got {baseline!r}.')
        check_device(device)
        self._people, self._max_faces = check_people(people), check_people(max_faces, "max_faces", "faces")
        if isinstance(modalities, str) or (modalities is not None and not modalities):
            raise ArgumentError(f"modalities: expected a sequence such as {tuple(MODALITIES)}, got {modalities!r}.")
        if isinstance(model, EmotionModel):
            self.modalities = tuple(modalities or model.modalities)
            missing = [name for name in self.modalities if name not in model.modalities]
            if missing:
                raise ArgumentError(f"The model has the modalities {list(model.modalities)}, not {missing}.")
        else:
            self.modalities = find_model(model, modalities, classes)
        if not (isinstance(frames, bool) or frames == "all"):
            raise ArgumentError(f'frames: expected True, False or "all", got {frames!r}.')
        if frames and "face" not in self.modalities:
            raise ArgumentError(f"frames: faces frame by frame take the modality face; there is {self.modalities}.")
        self._frames = frames
        self._given = model
        self._classes = tuple(classes)
        self._device = device
        self.window, self.hop = window, hop
        if micro:
            require_extra("Looking for micro-expressions", "micro", "scipy")
        if prosody:
            require_extra("Prosody", "prosody", "librosa")
        self._micro, self._prosody = micro, prosody
        self._transcriber = transcriber
        self._prior, self._baseline, self._adaptation = prior, baseline, adaptation
        self._warm: set[str] = set()

    def __call__(
        self,
        source: Source | None = None,
        *,
        text: str | None = None,
        subtitles: str | Path | None = None,
        channel: Channel = "mix",
        audio_track: TrackChoice | None = None,
        subtitle_track: TrackChoice | None = None,
        color: Color | None = None,
        progress: Progress | None = None,
    ) -> EmotionResult:
        """Analyze one clip.

        Args:
            source: a video, audio or image file, as its path, its bytes or a file object in binary mode; a picture, as
                an array (H, W, 3) or (H, W), uint8 or floats in 0 to 1, or a PIL image; a list of pictures, for one
                recording, or for as many stills if they differ in size; `Frames`, `Sound`, or both, as
                ``(frames, sound)``; or a `Clip`. Without one, ``text`` alone is analyzed.
            text: the words that are spoken in it, if they are known.
            subtitles: a file with the words: ``.srt``, ``.vtt``, ``.ass``, ``.sbv``, ``.ttml``, ``.lrc``, ``.txt``, or
                ``.json`` or ``.tsv`` of Whisper.
            channel: "left" or "right" for that channel of the sound alone, as where each party of a call has its own;
                of 5.1 and the like the front ones.
            audio_track: which of several sound tracks: its number, from 1, or its language, as "en". By default the one
                that the file marks, or another one if only its words are in a language that the model reads.
            subtitle_track: which of several subtitles beside or in the file: the number of a stream, from 1, or the
                language. By default the first that the model reads.
            color: "bgr" for a picture as OpenCV reads it; "rgb" by default.
            progress: is called with the share done, 0 to 1.

        Raises:
            MediaError: if the file can't be read.
            TranscriptError: if the subtitles can't be read.
            MissingStreamError: if there is no face, no voice and no words at all.
            ArgumentError: if nothing is given, something else than the above, a picture or sound of another shape, type
                or range, or the words twice: as ``text``, as ``subtitles`` or in the `Clip`; if one channel is wanted,
                and the sound has no more than one; if there is no such track, in one line that lists those there are.
        """
        clip = _clip(source, text, subtitles, color, channel, audio_track, subtitle_track)
        info = None if clip.path is None else probe(clip.path)  # first, so that a wrong file is reported at once
        self._warm_up(clip, info)
        recorder = FrameRecorder(every=self._frames == "all") if self._frames else None
        with closing(self._extract(clip, info, recorder)) as extraction:
            running = self.running_baseline()
            windows = extraction.windows(progress)
            if recorder is not None:
                windows = recorder.scoring(windows, self._adjusted_model())
            scored = score(self.model, windows, running)
        name = None if clip.path is None else str(clip.path)
        result = self.result(name, extraction, scored, running, clip.channel)
        micro, notes = _micro_expressions(clip, info, self._people) if self._micro else (None, ())
        given = (clip.audio, clip.subtitles, self._folder)
        inputs = tuple(str(file.absolute()) for file in given if isinstance(file, Path))
        frames = None
        if recorder is not None:
            frames = recorder.frames(
                tuple(self.labels), [str(file) for file in inputs_of(name, inputs) if file is not None]
            )
        return replace(
            result,
            micro_expressions=micro,
            notes=tuple(dict.fromkeys((*result.notes, *notes))),
            frames=frames,
            inputs=inputs,
        )

    def running_baseline(self) -> RunningBaseline | None:
        """What takes the earlier windows of a clip off the later ones; None unless the baseline is "auto"."""
        return RunningBaseline() if self._baseline == "auto" else None

    def result(
        self,
        source: str | None,
        extraction: Extraction,
        scored: ClipScores,
        running: RunningBaseline | None = None,
        channel: Channel = "mix",
    ) -> EmotionResult:
        """The result of a clip whose windows were extracted and scored.

        Args:
            source: the file, or the name of what is none; None for text alone.
            running: the baseline that its windows were scored with.

        Raises:
            MissingStreamError: if no window had anything to score.
        """
        notes = [*extraction.notes, *_unscored(source, self.modalities, scored.modalities, extraction)]
        if "text" in scored.modalities:
            notes += _language_notes(extraction.transcript, self.model.encoders.get("text"))
        notes += scored.notes
        if not scored.modalities:
            raise MissingStreamError(_nothing(source, self.modalities, notes))
        notes += [*_burst_notes(scored.segments), *self._personal_notes(running, scored.modalities)]
        return EmotionResult(
            source=source,
            duration=extraction.grid.duration,
            scores=scored.scores,
            modalities=scored.modalities,
            segments=scored.segments,
            people=tuple(_tracked(person, extraction) for person in scored.people),
            transcript=extraction.transcript,
            notes=tuple(dict.fromkeys(notes)),
            model=self.model.name,
            weights=self.model.weights,
            settings=self._settings(channel, None if extraction.sound is None else extraction.sound.track),
            start=extraction.grid.start,
            speech=None if extraction.activity is None else extraction.activity.spans,
            prosody=_measure_prosody(extraction) if self._prosody else None,
        )

    def _extract(self, clip: Clip, info: MediaInfo | None, recorder: FrameRecorder | None = None) -> Extraction:
        how = self.modalities, self.window, self.hop, self._recognizer, self._people, self._max_faces
        return extract(clip, info, *how, recorder=recorder, reads=self._reads)

    def _reads(self, language: str) -> bool:
        """Whether the model scores words in a language; True where its encoder of words does not say."""
        reads = getattr(self.model.encoders["text"], "reads", None) if "text" in self.modalities else None
        return reads is None or bool(reads(language))

    @property
    def _folder(self) -> Path | None:
        return None if isinstance(self._given, EmotionModel) else model_folder(self._given)

    def _settings(self, channel: Channel, track: int | None) -> AnalysisSettings:
        prior = self._prior
        named = prior if isinstance(prior, str) else ", ".join(f"{label} {share:g}" for label, share in prior.items())
        baseline = self._baseline.of if isinstance(self._baseline, Baseline) else self._baseline
        adapted = self._adaptation is not None
        known = self._people, self._max_faces, channel, self._frames == "all", track
        return AnalysisSettings(self.window, self.hop, self.modalities, named, baseline, adapted, *known)

    def _personal_notes(self, running: RunningBaseline | None, modalities: Iterable[str]) -> list[Note]:
        personal = (one for one in (self._baseline, self._adaptation) if isinstance(one, Baseline | Adaptation))
        notes = [one.note(modalities) for one in personal]
        if running is not None and not running.in_use:
            message = "The recording is too short, or varies too little, for a baseline of its own earlier windows."
            notes.append(Note("baseline", message))
        elif running is not None:
            notes.append(Note("baseline", "Scores are relative to each person's own earlier windows."))
        return notes

    def without_baseline(self) -> Analyzer:
        """The same analyzer with the balanced prior, without baseline and adaptation; they share the loaded model."""
        return self.adjusted()

    def adjusted(
        self,
        prior: Prior = "balanced",
        baseline: Baseline | Literal["auto"] | None = None,
        adaptation: Adaptation | None = None,
    ) -> Analyzer:
        """The same analyzer with this prior, baseline and adaptation; they share the loaded models."""
        other = copy(self)
        other._loading, other._recognizer = self._loading, self._recognizer
        other._prior, other._baseline, other._adaptation = prior, baseline, adaptation
        return other

    def analyze_and_encode(
        self, source: Source | None = None, *, text: str | None = None, progress: Progress | None = None
    ) -> tuple[EmotionResult, dict[str, Encoding]]:
        """The result of a call, and from the same analysis what `encode` gives: encodings without baseline or prior.

        Where several faces are in view, those of the encodings count equally.
        """
        recorders = {name: EncodingRecorder() for name in self.modalities}
        other = self.adjusted(self._prior, self._baseline, self._adaptation)
        other.model = self._adjusted_model(recorders)
        result = other(source, text=text, progress=progress)
        return result, {name: one.encoding() for name, one in recorders.items() if name in result.modalities}

    def encode(self, source: Source, *, text: str | None = None) -> dict[str, Encoding]:
        """The whole clip's encoding by modality (B = 1): a token, and calibrated log scores without baseline or prior.

        The arguments and errors are those of a call, but that there may be nothing at all.
        """
        clip = _clip(source, text)
        info = None if clip.path is None else probe(clip.path)
        plain = self.without_baseline()
        with closing(self._extract(clip, info)) as extraction:
            return dict(score(plain.model, extraction.windows()).encodings)

    @cached_property
    def model(self) -> EmotionModel:
        """The model, loaded when it is first needed, with its prior, baseline and adaptation."""
        return self._adjusted_model()

    def _adjusted_model(self, *first: Mapping[str, Correction]) -> EmotionModel:
        """The model with its prior, the corrections that come first, the baseline and the adaptation."""
        loaded = self._loading.result()
        personal = [one for one in (self._baseline, self._adaptation) if isinstance(one, Baseline | Adaptation)]
        return loaded.adjusted(self._prior, *first, *(one.corrections(loaded) for one in personal))

    @property
    def labels(self) -> LabelSet:
        """The classes of the scores."""
        return self.model.labels

    @cached_property
    def _loading(self) -> Future[EmotionModel]:
        """The model to come, from a thread of its own."""
        loader = ThreadPoolExecutor(1, "mmemo-model")
        try:
            return loader.submit(self._load)
        finally:
            loader.shutdown(wait=False)

    def _warm_up(self, clip: Clip, info: MediaInfo | None) -> None:
        """Load the networks that a clip may need, each in a thread, while faces and speech are detected."""
        sound = clip.audio is not None or (info is not None and info.audio is not None)
        given = clip.text is not None or clip.subtitles is not None
        needed = {
            "face": info is not None and info.video is not None,
            "voice": sound,
            "text": given or (sound and self._transcriber is not None),
        }
        chosen = {name for name in self.modalities if needed.get(name, True)} - self._warm
        if chosen:
            self._warm |= chosen
            self._loading.add_done_callback(partial(_load_ahead, modalities=chosen))

    def _load(self) -> EmotionModel:
        if isinstance(self._given, EmotionModel):
            return self._given
        return load_model(self._given, modalities=self.modalities, device=self._device, classes=self._classes)

    @cached_property
    def _recognizer(self) -> Transcriber | None:
        return default_transcriber() if self._transcriber == "auto" else self._transcriber

    def __getstate__(self) -> dict[str, Any]:
        """The settings alone: loaded models and the thread that loads them stay behind."""
        kept = {name: value for name, value in vars(self).items() if name not in ("_loading", "_recognizer", "model")}
        return {**kept, "_warm": set()}


def analyze(
    source: Source | None = None,
    *,
    text: str | None = None,
    subtitles: str | Path | None = None,
    channel: Channel = "mix",
    audio_track: TrackChoice | None = None,
    subtitle_track: TrackChoice | None = None,
    color: Color | None = None,
    model: str | Path | EmotionModel = "default",
    modalities: Sequence[str] | None = None,
    device: str = "auto",
    window: Seconds = 2.0,
    hop: Seconds = 1.0,
    micro: bool = False,
    prosody: bool = False,
    frames: bool | Literal["all"] = False,
    people: int | None = None,
    max_faces: int | None = None,
    transcriber: Transcriber | Literal["auto"] | None = "auto",
    classes: Sequence[type] = (),
    prior: Prior = "balanced",
    baseline: Baseline | Literal["auto"] | None = None,
    adaptation: Adaptation | None = None,
    progress: Progress | None = None,
) -> EmotionResult:
    """Analyze the emotion of one clip. For several clips make one `Analyzer`, which loads the models once.

    The arguments, and the errors raised, are those of `Analyzer` and of calling it.

    Examples:
        >>> import mmemo
        >>> result = mmemo.analyze("clip.mp4", modalities=("voice",))
        >>> sorted(result.modalities), len(result.scores)
        (['voice'], 7)
        >>> mmemo.analyze(mmemo.samples.portrait())  # a picture in memory, RGB; color="bgr" for OpenCV's
        <EmotionResult '<picture 300x300>': happiness 9...% (face happiness), 1 segment, 1 person>
    """
    analyzer = Analyzer(
        model,
        modalities,
        device,
        window,
        hop,
        micro=micro,
        prosody=prosody,
        frames=frames,
        people=people,
        max_faces=max_faces,
        transcriber=transcriber,
        classes=classes,
        prior=prior,
        baseline=baseline,
        adaptation=adaptation,
    )
    clip: dict[str, Any] = {"text": text, "subtitles": subtitles, "channel": channel, "color": color}
    clip |= {"audio_track": audio_track, "subtitle_track": subtitle_track}
    return analyzer(source, **clip, progress=progress)


def _clip(
    source: Source | None,
    text: str | None,
    subtitles: str | Path | None = None,
    color: Color | None = None,
    channel: Channel = "mix",
    audio_track: TrackChoice | None = None,
    subtitle_track: TrackChoice | None = None,
) -> Clip:
    words: dict[str, Any] = {"text": text, "subtitles": subtitles}
    words = {name: value for name, value in words.items() if not (value is None or is_missing(value))}
    tracks: dict[str, Any] = {"audio_track": audio_track, "subtitle_track": subtitle_track}
    tracks = {name: value for name, value in tracks.items() if value is not None}
    if not isinstance(source, Clip):
        media: Any = source if color is None else as_media(source, color)
        return Clip(media, **words, **tracks, channel=channel)
    if color is not None:
        raise ArgumentError("color: of a picture that is given by itself; a Clip has Clip(mmemo.Frames(…, color=…)).")
    if channel != "mix":
        source = replace(source, channel=channel)
    if words and (source.text is not None or source.subtitles is not None):
        raise ArgumentError("The words are given twice: in the Clip, and as text=… or subtitles=…. Give them once.")
    return replace(source, **words, **tracks) if words or tracks else source


def _load_ahead(loading: Future[EmotionModel], modalities: Iterable[str]) -> None:
    """Load the networks of a model that has been read; what went wrong comes out where the model is used."""
    if loading.exception() is None:
        for modality in modalities:
            encoder = loading.result().encoders[modality]
            if isinstance(encoder, NetworkClassifier):
                encoder.load_ahead()


def _tracked(person: Person, extraction: Extraction) -> Person:
    """The person with what the extraction knows of their face."""
    total, count = extraction.confidence[person.id]
    return replace(person, box_tracks=extraction.box_tracks.tracks(person.id), confidence=total / count)


def _micro_expressions(
    clip: Clip, info: MediaInfo | None, people: int | None
) -> tuple[tuple[MicroExpression, ...] | None, tuple[Note, ...]]:
    """The micro-expressions of a clip, and notes on them; None where the picture does not move."""
    if clip.path is None or info is None or info.video is None or info.kind == "image":
        return None, (Note("no-motion", "There is no moving picture, so micro-expressions were not looked for."),)
    from mmemo.micro.spot import spot_micro

    spotted = spot_micro(clip.path, clip.start, clip.end, people=people)
    return spotted.expressions, tuple(note for note in spotted.notes if note.code != "no-face")


def _measure_prosody(extraction: Extraction) -> Prosody | None:
    """The prosody of the speech of a clip; None where nobody speaks, or no modality needed the sound."""
    if extraction.sound is None or extraction.activity is None or not extraction.activity.spans:
        return None
    return measure(extraction.sound.blocks(), extraction.activity.spans, extraction.grid.start)


def _burst_notes(segments: Sequence[Segment]) -> list[Note]:
    """A note on the voices without words."""
    bursts = vocal_bursts(segments)
    if not bursts:
        return []
    listed = [f"from {start:.1f} to {end:.1f} s" for start, end in bursts[:MOST_LISTED]]
    more = len(bursts) - len(listed)
    listed += [f"{more} more time{'s' if more > 1 else ''}"] if more else []
    times = " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)
    message = f"The voice {times} is a sound without words (a laugh, a cry, a sigh), scored as such."
    return [Note("vocal-bursts", message)]


def _nothing(source: str | None, modalities: Sequence[str], notes: Sequence[Note]) -> str:
    reasons = " ".join(note.message for note in notes)
    what = source or "The text"
    return f"{what} has nothing to analyze; looked for: {', '.join(modalities)}. {reasons}".strip()


def _language_notes(transcript: Transcript | None, encoder: Encoder | None) -> list[Note]:
    """Notes on the language of words that were scored."""
    if transcript is None:
        return []
    if transcript.language is None and any(map(str.isalpha, transcript.text)):
        message = (
            "The words are too few to tell their language, so they count less. Name it in the file (clip.en.srt) or "
            "the Clip (language=)."
        )
        return [Note("unknown-language", message)]
    reads_poorly = getattr(encoder, "reads_poorly", None)  # an encoder that measured its languages has it
    if reads_poorly is not None and reads_poorly(transcript.language):
        return [Note("weak-language", f"The model scores words in this language ({transcript.language}) poorly.")]
    return []


def _unscored(
    source: str | None, modalities: Sequence[str], scored: Mapping[str, ModalityScores], extraction: Extraction
) -> list[Note]:
    """Notes on evidence that is there and could not be scored."""
    notes = []
    transcript = extraction.transcript
    if "text" in modalities and "text" not in scored and transcript is not None:
        notes.append(
            Note(
                "unsupported-text",
                f"The words ({transcript.source}) are in a language that the model does not know "
                f"({transcript.language}), so they were not scored. If that is wrong, name theirs in the file "
                "(clip.en.srt) or the Clip (language=); else take a text encoder that reads it."
                if transcript.language
                else f"The words ({transcript.source}) hold no text that can be scored.",
            )
        )
    unseen = {"no-video", "no-face"} & {note.code for note in extraction.notes}
    if source is not None and "face" in modalities and "face" not in scored and not unseen:
        notes.append(
            Note(
                "poor-face",
                "A face was found, but not seen well enough to be scored: too small, blurred, dark or turned away.",
            )
        )
    if "voice" in modalities and "voice" not in scored and extraction.activity and extraction.activity.voice:
        notes.append(Note("short-speech", "There is too little of the voice to score it."))
    return notes
