"""Baselines: how a person, or people in one recording situation, score on average, to be taken off what they show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import numpy as np

from mmemo import __version__
from mmemo.clip import Clip
from mmemo.document import OMIT_DEFAULT, from_document, load_document, to_document
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.evidence import Seconds
from mmemo.files import check_json, replacing_file
from mmemo.in_memory import MediaInput
from mmemo.model import EmotionModel, differ
from mmemo.notes import Note
from mmemo.personal.statistics import ScoreCorrection, ScoreStatistics, centered, correction, neutral_share
from mmemo.result import EmotionResult, ModalityScores

if TYPE_CHECKING:
    from mmemo.pipeline.analyzer import Analyzer

FORMAT: Final = 1
"""Version of the JSON document."""
Of = Literal["person", "place"]
Source = MediaInput | Clip | EmotionResult
LONGEST_CLIP: Seconds = 8.0
"""Of a longer recording each window that does not overlap the one before counts as a clip."""
NEUTRAL = "neutral"
_VOUCHERS = ("face", "voice")
"""Modalities whose variety shows that moods were several, for all modalities; words vary with the subject."""


@dataclass(frozen=True)
class Baseline:
    """Mean and spread of one person's scores over unlabeled clips, or of several people's in one place.

    `mmemo.analyze(…, baseline=…)` takes it off the scores of each modality before they are fused: what is left is how
    this person differs from their own average. The mean counts less the fewer clips there are. And it counts only as
    far as the scores of the clips vary as those of several moods do: somebody who was angry in all clips must not
    become neutral. Who knows that several moods are in the clips says so (``mixed=True``).

    It holds a few numbers for each label: no picture, sound or word, nothing by which a person could be recognized.

    Attributes:
        format: version of the document.
        mmemo: version of mmemo that made it.
        of: "person", or "place": a recording situation with several people in several moods.
        model: name of the model whose scores they are.
        weights: SHA-256 of its weights by modality, as far as they are known. It fits no other weights.
        labels: those of the model.
        modalities: the statistics of each modality.
        mixed: whether it is known that the clips show several moods.
        place: baseline of the recording situation, which the person's is shrunk towards; None without.

    Raises:
        ArgumentError: if the parts don't fit together.

    >>> import mmemo
    >>> lines = ["I am so happy!", "What a lovely day.", "I am so sad.", "It makes me angry.", "How awful."]
    >>> analyzer = mmemo.Analyzer(modalities=("text",))
    >>> baseline = mmemo.Baseline.fit([analyzer(text=line) for line in lines], mixed=True)
    >>> baseline.modalities["text"].clips
    5
    >>> mmemo.analyze(text="We won!", baseline=baseline).label
    'happiness'
    """

    format: Literal[1] = field(init=False, default=FORMAT)
    mmemo: str = field(default=__version__, kw_only=True)
    of: Of = "person"
    model: str = "default"
    weights: dict[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    modalities: dict[str, ScoreStatistics] = field(default_factory=dict)
    mixed: bool = False
    place: Baseline | None = field(default=None, metadata=OMIT_DEFAULT)

    def __post_init__(self) -> None:
        wrong = [name for name, one in self.modalities.items() if len(one.mean) != len(self.labels)]
        if wrong or not self.modalities:
            raise ArgumentError(f"A baseline needs a mean for each of its labels {list(self.labels)}, got {wrong}.")
        if self.place is not None:
            if self.place.of != "place" or self.of != "person":
                raise ArgumentError("Only a person's baseline has a place, and that is the baseline of a place.")
            if self.labels != self.place.labels or differ(self.weights, self.place.weights):
                raise ArgumentError("The baseline and that of the place are of different labels or weights.")

    @classmethod
    def fit(
        cls,
        clips: Iterable[Source],
        *,
        modalities: Sequence[str] | None = None,
        neutral: Iterable[Source] = (),
        mixed: bool = False,
        of: Of = "person",
        place: Baseline | None = None,
        analyzer: Analyzer | None = None,
    ) -> Baseline:
        """Fit a baseline to unlabeled clips. Ten that show several moods are a good one; two are a beginning.

        Args:
            clips: videos, sounds, pictures or results of one person, or of several people in one place. A recording of
                more than 8 s counts as many clips as it has windows that don't overlap. Results must be made without a
                baseline, and under the balanced prior.
            modalities: which ones; all that the clips have by default.
            neutral: further clips in which the person is known to be neutral; each counts as two.
            mixed: say so if you know that the clips show several moods: their mean counts fully, however little the
                scores vary.
            of: "place" for clips of at least three people, in several moods, with one camera, microphone, room,
                language. Their mean counts as far as scores tell the clips better apart without it, and, unless
                ``mixed`` says that moods are several, as far as they vary.
            place: baseline of the place in which the person was recorded.
            analyzer: analyzes what is not a result; one with the default model otherwise.

        Raises:
            ArgumentError: if there is no clip, none has any of the modalities, or results of several models are given.
            MediaError, MissingStreamError: see `mmemo.Analyzer`.
        """
        if of not in ("person", "place"):
            raise ArgumentError(expected_one_of("of", ("person", "place"), of))
        if not (place is None or isinstance(place, Baseline)):
            raise ArgumentError(f"place: expected a baseline, see Baseline.load, got {place!r}.")
        if isinstance(modalities, str):
            raise ArgumentError(f"modalities: expected a sequence such as ('face', 'voice'), got {modalities!r}.")
        results, calm = (_results(each, modalities, analyzer) for each in (clips, neutral))
        if calm and of == "place":
            raise ArgumentError(
                "Neutral clips are of one person; a place has none. Give them to the person's baseline."
            )
        everything = [*results, *calm]
        if not everything:
            raise ArgumentError("A baseline needs clips, and there is none.")
        names = dict.fromkeys(modalities or (name for result in everything for name in result.modalities))
        first = everything[0]
        labels = tuple(first.scores)
        for result in everything:
            weights = {name: result.weights[name] for name in names if name in result.weights}
            if (result.model, tuple(result.scores)) != (first.model, labels) or differ(weights, first.weights):
                raise ArgumentError(
                    "A baseline needs results of one model, with one version of its weights: analyze all clips again."
                )
        statistics = {}
        for name in names:
            scores, calm_scores = (_log_scores(each, name, labels) for each in (results, calm))
            if len(scores) or len(calm_scores):
                statistics[name] = ScoreStatistics.of(scores, calm_scores)
        if not statistics:
            raise ArgumentError(f"None of the {len(everything)} clips has any of {list(names)} to make a baseline of.")
        weights = {name: first.weights[name] for name in statistics if name in first.weights}
        return cls(of, first.model, weights, labels, statistics, mixed, place)

    @classmethod
    def of_scores(cls, model: EmotionModel, log_scores: Mapping[str, np.ndarray], of: Of = "person") -> Baseline:
        """Fit a baseline to log scores (N, K) of each modality, of clips scored without baseline and prior."""
        statistics = {name: ScoreStatistics.of(scores) for name, scores in log_scores.items()}
        weights = {name: model.weights[name] for name in statistics if name in model.weights}
        return cls(of, model.name, weights, model.labels.labels, statistics)

    def within(self, place: Baseline) -> Baseline:
        """The person's baseline, shrunk towards that of the place.

        Raises:
            ArgumentError: if it is no baseline of a place, or of other labels or weights.
        """
        if not isinstance(place, Baseline):
            raise ArgumentError(f"place: expected a baseline, see Baseline.load, got {place!r}.")
        return replace(self, place=place)

    @property
    def strengths(self) -> dict[str, float]:
        """How much of the mean is taken off, by modality, from 0 to 1."""
        amounts = {}
        for name, sure in self._sure().items():
            one = self.modalities[name]
            known = neutral_share(one, sure) if NEUTRAL in self.labels else 0.0
            amounts[name] = 1 - (1 - sure * one.material) * (1 - known)
        return amounts

    def _sure(self) -> dict[str, float]:
        """How much of each mean counts before it is shrunk for its number of clips, from 0 to 1."""
        if self.of == "place":
            return {name: one.clearer * (1.0 if self.mixed else one.mixed) for name, one in self.modalities.items()}
        vouchers = [self.modalities[name].mixed for name in _VOUCHERS if name in self.modalities]
        sure = 1.0 if self.mixed else max(vouchers, default=0.0)
        return {name: max(sure, one.mixed) for name, one in self.modalities.items()}

    def corrections(self, model: EmotionModel) -> dict[str, ScoreCorrection]:
        """What `EmotionModel.adjusted` takes, by modality.

        Raises:
            ArgumentError: if the baseline is of other labels or weights than the model's.
        """
        model.check_made_with("baseline", self.labels, self.weights, self.model)
        index = model.labels.index(NEUTRAL) if NEUTRAL in model.labels else None
        sure, ones = self._sure(), np.ones(len(self.labels))
        if self.of == "place":
            return {
                name: ScoreCorrection(sure[name] * one.material * np.array(one.mean), ones)
                for name, one in self.modalities.items()
            }
        around = {} if self.place is None else self.place.corrections(model)
        own = {
            name: correction(one, sure[name], around[name].offset if name in around else None, index)
            for name, one in self.modalities.items()
        }
        return around | own

    def note(self, modalities: Iterable[str] | None = None) -> Note:
        """What a reader of a result must know of the baseline it was made with.

        Args:
            modalities: those of the result; all of the baseline by default.
        """
        strengths = self.strengths
        chosen = [name for name in strengths if modalities is None or name in modalities]
        if not chosen:
            message = f"The baseline has {', '.join(strengths)} only, which is not in the clip: nothing was taken off."
            return Note("baseline", message)
        clips = max(self.modalities[name].clips for name in chosen)
        neutral = max(self.modalities[name].neutral for name in chosen)
        known = ((clips, f"{clips} clip{'s' * (clips != 1)}"), (neutral, f"{neutral} known to be neutral"))
        counts = [text for count, text in known if count]
        amounts = ", ".join(f"{name} {strengths[name]:.0%}" for name in chosen)
        weak = clips > 1 and not self.mixed and max(strengths[name] for name in chosen) < 0.2
        why = " The clips vary too little to tell a habit from a mood." if weak else ""
        place = ""
        if self.place is not None:
            shares = ", ".join(f"{name} {amount:.0%}" for name, amount in self.place.strengths.items())
            place = f" It lies within the baseline of the place, of which is taken off: {shares}."
        return Note(
            "baseline",
            f"Scores are relative to the baseline of the {self.of}, of {' and '.join(counts)}; of its mean is taken "
            f"off: {amounts}.{why}{place}",
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON document: dictionaries, lists, strings and numbers; `from_dict` is the way back."""
        document: dict[str, Any] = to_document(self)
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Baseline:
        """Read a document of `to_dict`.

        Raises:
            ArgumentError: if it does not fit, with the path of the wrong field.
        """
        return from_document(cls, document)

    def save(self, path: str | Path) -> Path:
        """Write the document as a ``.json`` file.

        Raises:
            ArgumentError: if it can't be written.
        """
        check_json(path)
        with replacing_file(path) as partial:
            partial.write_bytes(msgspec.json.format(msgspec.json.encode(self.to_dict()), indent=2) + b"\n")
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Baseline:
        """Read a file that `save` wrote.

        Raises:
            ArgumentError: if it can't be read, or holds no baseline.
        """
        return load_document(path, "a baseline", cls.from_dict)


def _results(
    clips: Iterable[Source], modalities: Sequence[str] | None, analyzer: Analyzer | None
) -> list[EmotionResult]:
    """The results of clips; what is not a result is analyzed."""
    if isinstance(clips, str | Path | Clip | EmotionResult) or not isinstance(clips, Iterable):
        clips = [clips]
    results = []
    for clip in clips:
        if not isinstance(clip, str | Path | Clip | EmotionResult):
            raise ArgumentError(f"A baseline is fitted to files, clips and results, got {clip!r}.")
        if isinstance(clip, EmotionResult):
            _check_plain(clip)
            results.append(clip)
            continue
        if analyzer is None:
            from mmemo.pipeline.analyzer import Analyzer  # analyzing takes baselines itself

            analyzer = Analyzer(modalities=modalities)
        results.append(analyzer.without_baseline()(clip))
    return results


def _check_plain(result: EmotionResult) -> None:
    settings = result.settings
    if settings is None:
        return
    if settings.baseline is not None or settings.adapted or settings.prior not in (None, "balanced"):
        raise ArgumentError(
            f"{result.source or 'A result'} was made with a baseline, an adaptation or another prior than the balanced "
            "one; a baseline needs results without. Analyze the clip again."
        )


def _log_scores(results: Sequence[EmotionResult], modality: str, labels: Sequence[str]) -> np.ndarray:
    """(N, K) centered log scores of a modality in each clip that has it, and in each window of a long one."""
    rows = [scores for result in results for scores in _of_modality(result, modality)]
    shares = np.array([[one.scores[label] for label in labels] for one in rows]).reshape(-1, len(labels))
    return centered(np.log(np.maximum(shares, 1e-6)))


def _of_modality(result: EmotionResult, modality: str) -> list[ModalityScores]:
    if result.duration <= LONGEST_CLIP:
        return [result.modalities[modality]] if modality in result.modalities else []
    kept, end = [], -np.inf
    for segment in result.segments:
        if segment.start >= end and modality in segment.modalities:
            kept.append(segment.modalities[modality])
            end = segment.end
    return kept
