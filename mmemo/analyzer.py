"""`analyze` and `Analyzer`: a media file in, an `EmotionResult` out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from mmemo.clip import Clip
from mmemo.errors import ArgumentError, MissingStreamError
from mmemo.evidence import Seconds
from mmemo.labels import LabelSet
from mmemo.media import MediaInfo, probe, waveform_blocks
from mmemo.micro.expression import MicroExpression
from mmemo.model import EmotionModel
from mmemo.notes import Note
from mmemo.perception import Perception, perceive
from mmemo.pretrained import find_model, load_model, model_folder
from mmemo.result import EmotionResult
from mmemo.scoring import score
from mmemo.speech.prosody import Prosody, measure
from mmemo.speech.recognition import Transcriber, default_transcriber
from mmemo.windows import Grid

MODALITIES = ("face", "voice", "text")
Progress = Callable[[float], None]


class Analyzer:
    """Analyzes clips one after the other; the models are loaded once, with the first clip.

    Args:
        model: "default", a folder a recipe saved, or a built `EmotionModel`.
        modalities: which of the model's modalities to look at; None for all of them.
        device: "auto", "cpu", "cuda", "mps"; for a model given by name or folder.
        window: length of a window in seconds; ``hop``: seconds from one window's start to the next one's.
        micro: look for micro-expressions too, at the file's full frame rate; see `mmemo.spot_micro`.
        prosody: measure pitch, loudness, speaking rate and pauses too.
        transcriber: recognises speech where a clip brings no words: "auto" takes Whisper tiny.en if the extra ``asr``
            is installed; None never recognises.

    Raises:
        UnknownModelError: if there is no such model.
        ArgumentError: for modalities the model does not have, or an impossible window.
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
        transcriber: Transcriber | Literal["auto"] | None = "auto",
    ) -> None:
        Grid(0.0, window, hop)
        if isinstance(modalities, str) or (modalities is not None and not modalities):
            raise ArgumentError(f"modalities: expected a sequence such as {MODALITIES}, got {modalities!r}.")
        if isinstance(model, EmotionModel):
            self.modalities = tuple(modalities or model.modalities)
            missing = [name for name in self.modalities if name not in model.modalities]
            if missing:
                raise ArgumentError(f"The model looks at {list(model.modalities)}, not at {missing}.")
        else:
            self.modalities = find_model(model, modalities)
        self._given = model
        self._device = device
        self.window, self.hop = window, hop
        self._micro, self._prosody = micro, prosody
        self._transcriber = transcriber

    def __call__(
        self,
        path: str | Path | Clip | None = None,
        *,
        text: str | None = None,
        subtitles: str | Path | None = None,
        progress: Progress | None = None,
    ) -> EmotionResult:
        """Analyze one clip.

        Args:
            path: a video, audio or image file, or a `Clip`. Without one, ``text`` alone is analyzed.
            text: the words said in it, if they are known.
            subtitles: an ``.srt``, ``.vtt``, ``.ass`` or ``.txt`` file with the words.
            progress: is called with the share done, 0 to 1.

        Raises:
            MediaError: if the file can't be read.
            TranscriptError: if the subtitles can't be read.
            MissingStreamError: if there is no face, no voice and no words at all.
            ArgumentError: if nothing is given, or both ``text`` and ``subtitles``.
        """
        clip = path if isinstance(path, Clip) else _clip(path, text, subtitles)
        info = None if clip.path is None else probe(clip.path)  # first, so that a wrong file is told at once
        self._loading  # noqa: B018 - torch is imported while speech is recognised, which takes as long
        with closing(perceive(clip, info, self.modalities, self.window, self.hop, self._recogniser)) as found:
            windows = len(found.grid)
            scored = score(self.model, found.windows(), lambda done: progress(done / windows) if progress else None)
        notes = [*found.notes, *_afterthoughts(clip, self.modalities, scored.modalities, found)]
        if not scored.modalities:
            raise MissingStreamError(_nothing(clip, self.modalities, notes))
        micro, remarks = _micro_expressions(clip, info) if self._micro else (None, ())
        notes += remarks
        return EmotionResult(
            source=None if clip.path is None else str(clip.path),
            duration=found.grid.duration,
            scores=scored.scores,
            modalities=scored.modalities,
            segments=scored.segments,
            people=tuple(replace(person, trails=found.trails.trails(person.id)) for person in scored.people),
            transcript=found.transcript,
            notes=tuple(dict.fromkeys(notes)),
            model=self.model.name,
            start=found.grid.start,
            speech=None if found.activity is None else found.activity.spans,
            micro_expressions=micro,
            prosody=_prosody(clip, found) if self._prosody else None,
            inputs=tuple(file.absolute() for file in (clip.audio, clip.subtitles, self._folder) if file is not None),
        )

    @property
    def _folder(self) -> Path | None:
        return None if isinstance(self._given, EmotionModel) else model_folder(self._given)

    @property
    def model(self) -> EmotionModel:
        """The model, loaded when it is first needed."""
        return self._loading.result()

    @cached_property
    def _loading(self) -> Future[EmotionModel]:
        """The model to come, from a thread of its own."""
        loader = ThreadPoolExecutor(1, "mmemo-model")
        try:
            return loader.submit(self._load)
        finally:
            loader.shutdown(wait=False)

    def _load(self) -> EmotionModel:
        if isinstance(self._given, EmotionModel):
            return self._given
        return load_model(self._given, modalities=self.modalities, device=self._device)

    @property
    def labels(self) -> LabelSet:
        """The classes of the scores."""
        return self.model.labels

    @cached_property
    def _recogniser(self) -> Transcriber | None:
        return default_transcriber() if self._transcriber == "auto" else self._transcriber


def analyze(
    path: str | Path | Clip | None = None,
    *,
    text: str | None = None,
    subtitles: str | Path | None = None,
    model: str | Path | EmotionModel = "default",
    modalities: Sequence[str] | None = None,
    device: str = "auto",
    window: Seconds = 2.0,
    hop: Seconds = 1.0,
    micro: bool = False,
    prosody: bool = False,
    transcriber: Transcriber | Literal["auto"] | None = "auto",
    progress: Progress | None = None,
) -> EmotionResult:
    """Tell what emotion a person shows in one clip. For many clips make one `Analyzer`: it loads the models once.

    The arguments, and what is raised, are those of `Analyzer` and of calling it.
    """
    analyzer = Analyzer(model, modalities, device, window, hop, micro=micro, prosody=prosody, transcriber=transcriber)
    return analyzer(path, text=text, subtitles=subtitles, progress=progress)


def _clip(path: str | Path | None, text: str | None, subtitles: str | Path | None) -> Clip:
    return Clip(
        path=None if path is None else Path(path),
        text=text,
        subtitles=None if subtitles is None else Path(subtitles),
    )


def _micro_expressions(
    clip: Clip, info: MediaInfo | None
) -> tuple[tuple[MicroExpression, ...] | None, tuple[Note, ...]]:
    """The micro-expressions of a clip, and what must be known of them; None where nothing moves."""
    if clip.path is None or info is None or info.video is None or info.kind == "image":
        return None, (Note("no-motion", "There is no moving picture, so micro-expressions were not looked for."),)
    from mmemo.spot import spot_micro

    spotted = spot_micro(clip.path, clip.start, clip.end)
    return spotted.expressions, tuple(note for note in spotted.notes if note.code != "no-face")


def _prosody(clip: Clip, found: Perception) -> Prosody | None:
    """How the words of a clip are said; None where nobody speaks, or nobody listened."""
    sound = clip.audio or clip.path
    if sound is None or found.activity is None or not found.activity.spans:
        return None
    return measure(waveform_blocks(sound, clip.start, clip.end), found.activity.spans, clip.start)


def _nothing(clip: Clip, modalities: Sequence[str], notes: Sequence[Note]) -> str:
    looked = ", ".join(modalities)
    reasons = " ".join(note.message for note in notes)
    what = clip.path or "The text"
    return f"{what} has nothing to analyze; looked for: {looked}. {reasons}".strip()


def _afterthoughts(clip: Clip, modalities: Sequence[str], scored: dict, found: Perception) -> list[Note]:  # type: ignore[type-arg]
    """Notes on evidence that was there and could not be scored."""
    notes = []
    if "text" in modalities and "text" not in scored and found.transcript is not None:
        language = found.transcript.language
        notes.append(
            Note(
                "unsupported-text",
                f"The words ({found.transcript.source}) are in a language the model does not know ({language}), "
                "so they were not scored."
                if language and language != "en"
                else f"The words ({found.transcript.source}) hold no text that can be scored.",
            )
        )
    unseen = {"no-video", "no-face"} & {note.code for note in found.notes}
    if clip.path is not None and "face" in modalities and "face" not in scored and not unseen:
        notes.append(
            Note(
                "poor-face",
                "A face was found, but not seen well enough to be scored: too small, blurred, dark or turned away.",
            )
        )
    if "voice" in modalities and "voice" not in scored and found.activity is not None and found.activity.spans:
        notes.append(Note("short-speech", "There is too little speech to score the voice."))
    return notes
