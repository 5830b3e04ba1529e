"""Adaptation: a correction learned from a few labeled clips of a person, a culture or a recording situation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
import numpy as np

from mmemo import __version__
from mmemo.clip import Clip
from mmemo.document import array_rounded_to, from_document, load_document, to_document
from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import log_softmax
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.files import check_json, replacing_file
from mmemo.in_memory import MediaInput
from mmemo.model import EmotionModel
from mmemo.notes import Note
from mmemo.personal.statistics import SHRINKAGE, centered, equalizing, margins

if TYPE_CHECKING:
    from mmemo.pipeline.analyzer import Analyzer

FORMAT: Final = 1
"""Version of the JSON document."""
RIDGE, RIDGE_HALVED = 0.5, 35
"""Penalty on the weights of the features, and the number of clips that halves it. Twice as much measures the same."""
OWN_WEIGHT, OWN_HALVED = 0.25, 70
"""Weight of the encoder's own scores, brought to a mean size of 1, beside what is learned, and what halves it."""
_GAINS = np.arange(2.0, 8.5, 0.5)
"""What the result may be multiplied with, so that it is calibrated: the best on each clip left out in turn."""
_FEWEST_FOR_GAIN = 6
_LARGEST = 1e6
NOT = "not "
"""Before a label: the clip shows anything but this."""
Values = Annotated[np.ndarray, array_rounded_to(5)]


@dataclass(frozen=True, eq=False)
class LearnedCorrection:
    """What is learned of one modality: ``gain * (own * (log scores - offset) * scale + (token - center) @ matrix)``.

    Attributes:
        offset: (K,) of the centered log scores.
        scale: (K,) of them.
        own: weight of them.
        center: (D,) of the mean token.
        matrix: (D * K,) weights of the mean token, row by row; all 0 if fewer than two labels are known.
        gain: of the sum.
    """

    offset: Values
    scale: Values
    own: float
    center: Values
    matrix: Values
    gain: float

    def __call__(self, encoding: Encoding) -> Encoding:
        """The encoding with corrected logits."""
        own = (centered(log_softmax(encoding.logits.astype(float))) - self.offset) * self.scale * self.own
        token = mean_tokens(encoding)
        if token.shape[1] != len(self.center):
            raise ArgumentError(
                f"The adaptation was learned with tokens of width {len(self.center)}, this encoder gives "
                f"{token.shape[1]}: learn it again with this model."
            )
        logits = self.gain * (own + (token - self.center) @ self.matrix.reshape(len(self.center), -1))
        return replace(encoding, logits=logits.astype(np.float32))


@dataclass(frozen=True)
class Adaptation:
    """Correction of a model learned from labeled clips: five of each label are many, one of each is a beginning.

    It shifts the scores, evens out how much those of each label vary, and adds a linear reading of the encoder's
    features, each as far as there are clips for it. The model itself stays as it is: `mmemo.analyze(…, adaptation=…)`.

    The weights are learned from features of a few clips. They hold no picture or sound, but they are personal: keep
    the file as you keep the clips.

    Attributes:
        format: version of the document.
        mmemo: version of mmemo that made it.
        model: name of the model.
        weights: SHA-256 of its weights by modality, as far as they are known. It fits no other weights.
        labels: those of the model.
        clips: how many of each label it was learned from.
        modalities: what was learned of each modality.

    Raises:
        ArgumentError: if the parts don't fit together.

    >>> import mmemo
    >>> adaptation = mmemo.Adaptation.fit({"clip.mp4": "surprise"}, modalities=("voice",))
    >>> adaptation.clips
    {'surprise': 1}
    >>> "adapted" in mmemo.analyze("clip.mp4", modalities=("voice",), adaptation=adaptation).to_dict()["settings"]
    True
    """

    format: Literal[1] = field(init=False, default=FORMAT)
    mmemo: str = field(default=__version__, kw_only=True)
    model: str
    weights: dict[str, str]
    labels: tuple[str, ...]
    clips: dict[str, int]
    modalities: dict[str, LearnedCorrection]

    def __post_init__(self) -> None:
        wide = len(self.labels)
        for name, one in self.modalities.items():
            sizes = (len(one.offset), len(one.scale), len(one.matrix))
            values = np.concatenate([one.offset, one.scale, one.center, one.matrix, [one.own, one.gain]])
            fits = sizes == (wide, wide, len(one.center) * wide) and (np.abs(values) <= _LARGEST).all()
            if not fits or one.gain <= 0:
                raise ArgumentError(f"Adaptation: the numbers of the {name} don't fit {wide} labels, or their range.")
        if not self.modalities or min(self.clips.values(), default=0) < 0:
            raise ArgumentError("Adaptation: it needs a modality, and numbers of clips that are not negative.")

    @classmethod
    def fit(
        cls,
        clips: Mapping[str | Path, str] | Iterable[tuple[MediaInput | Clip, str]],
        *,
        modalities: Sequence[str] | None = None,
        analyzer: Analyzer | None = None,
    ) -> Adaptation:
        """Learn from labeled clips.

        Args:
            clips: the label of each clip, as a mapping from paths or as pairs; "not anger" says what it is not.
            modalities: which ones; all that the clips have by default.
            analyzer: encodes the clips; one with the default model otherwise.

        Raises:
            ArgumentError: if there is no clip, or a label that the model does not have.
            MediaError: see `mmemo.Analyzer`.
        """
        if analyzer is None:
            from mmemo.pipeline.analyzer import Analyzer  # analyzing takes adaptations itself

            analyzer = Analyzer(modalities=modalities)
        pairs = list(clips.items()) if isinstance(clips, Mapping) else clips
        if isinstance(pairs, str | Path) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            raise ArgumentError(
                'Labeled clips are a mapping such as {"anna1.mp4": "anger"}, or pairs of clip and label.'
            )
        pairs = list(pairs)
        for clip, label in pairs:
            if not isinstance(label, str) or clip is None:
                raise ArgumentError(f"A labeled clip is a file or clip and a label, got {clip!r} and {label!r}.")
            if label.removeprefix(NOT) not in analyzer.labels:
                raise ArgumentError(expected_one_of("Label of a clip", analyzer.labels, label.removeprefix(NOT)))
        examples = [(analyzer.encode(clip), label) for clip, label in pairs]
        return cls.of_encodings(examples, analyzer.without_baseline().model, modalities)

    @classmethod
    def of_encodings(
        cls,
        examples: Sequence[tuple[Mapping[str, Encoding], str]],
        model: EmotionModel,
        modalities: Sequence[str] | None = None,
    ) -> Adaptation:
        """Learn from encoded clips.

        Args:
            examples: the encodings of each clip (`Analyzer.encode`), and its label.
            model: that encoded them.
            modalities: which ones; all that there are by default.

        Raises:
            ArgumentError: if there is no clip with any of the modalities.
        """
        names = modalities or dict.fromkeys(name for encodings, _ in examples for name in encodings)
        learned = {}
        for name in names:
            rows = [(encodings[name], label) for encodings, label in examples if name in encodings]
            if rows:
                scores = np.concatenate([centered(log_softmax(one.logits.astype(float))) for one, _ in rows])
                tokens = np.concatenate([mean_tokens(one) for one, _ in rows])
                learned[name] = learn(scores, tokens, [label for _, label in rows], model.labels.labels)
        if not learned:
            raise ArgumentError(
                f"An adaptation needs labeled clips, and none of {len(examples)} has any of {list(names)}."
            )
        weights = {name: model.weights[name] for name in learned if name in model.weights}
        counts = dict(Counter(label for _, label in examples))
        return cls(model.name, weights, model.labels.labels, counts, learned)

    def corrections(self, model: EmotionModel) -> dict[str, LearnedCorrection]:
        """What `EmotionModel.adjusted` takes, by modality.

        Raises:
            ArgumentError: if the adaptation is of other labels or weights than the model's.
        """
        model.check_made_with("adaptation", self.labels, self.weights, self.model)
        return self.modalities

    def note(self, modalities: Iterable[str] | None = None) -> Note:
        """What a reader of a result must know of the adaptation it was made with.

        Args:
            modalities: those of the result; all of the adaptation by default.
        """
        if modalities is not None and not set(modalities) & set(self.modalities):
            message = (
                f"The adaptation has {', '.join(self.modalities)} only, which is not in the clip: nothing was changed."
            )
            return Note("adapted", message)
        counts = ", ".join(f"{label} {count}" for label, count in self.clips.items())
        return Note("adapted", f"Scores are corrected by what was learned from labeled clips: {counts}.")

    def save(self, path: str | Path) -> Path:
        """Write the adaptation as a ``.json`` file.

        Raises:
            ArgumentError: if it can't be written.
        """
        check_json(path)
        with replacing_file(path) as unfinished:
            unfinished.write_bytes(msgspec.json.encode(to_document(self)) + b"\n")
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Adaptation:
        """Read a file that `save` wrote.

        Raises:
            ArgumentError: if it can't be read, or holds no adaptation.
        """
        return load_document(path, "an adaptation", partial(from_document, cls))


def learn(scores: np.ndarray, tokens: np.ndarray, given: Sequence[str], labels: Sequence[str]) -> LearnedCorrection:
    """The correction of one modality.

    Args:
        scores: (N, K) centered log scores.
        tokens: (N, D).
        given: label of each row, or "not " and a label.
        labels: the K labels.
    """
    width = len(labels)
    targets = np.zeros((len(given), width))
    known = [labels.index(label) if not label.startswith(NOT) else None for label in given]
    classes = sorted({label for label in known if label is not None})
    for row, (label, text) in enumerate(zip(known, given, strict=True)):
        if label is None:
            targets[row] = 0.5 / (width - 1)
            targets[row, labels.index(text.removeprefix(NOT))] = -0.5
        else:
            targets[row, classes] = -1 / len(classes)
            targets[row, label] += 1
    sure = [row for row, label in enumerate(known) if label is not None]
    offset = np.zeros(width)
    if sure:
        typical = margins(width)[[label for label in known if label is not None]]
        offset = (scores[sure] - typical).mean(axis=0) * len(sure) / (len(sure) + SHRINKAGE)
    spread = scores[sure].std(axis=0, ddof=1) if len(sure) > 1 and len(classes) > 1 else np.zeros(width)
    scale = equalizing(spread, len(sure))
    corrected = (scores - offset) * scale
    own = OWN_WEIGHT / (1 + len(given) / OWN_HALVED) / max(float(np.abs(corrected).mean()), 1e-6)
    center = tokens.mean(axis=0)
    deviation = tokens.std(axis=0)
    size = (deviation + deviation.mean()) / 2 * np.sqrt(tokens.shape[1])
    features = (tokens - center) / np.maximum(size, 1e-9) if deviation.any() else np.zeros_like(tokens)
    # Kernel form of ridge regression: there are more features than clips.
    gram = features @ features.T
    ridge = RIDGE / (1 + len(given) / RIDGE_HALVED) * np.eye(len(gram))
    smoother, dual = (np.linalg.solve(gram + ridge, right) for right in (gram, targets))
    matrix = features.T @ dual / np.maximum(size, 1e-9)[:, None]
    leverage = np.diag(smoother)[:, None]
    left_out = (smoother @ targets - leverage * targets) / np.maximum(1 - leverage, 1e-3)
    # Of one label nothing can be learned but the shift; few clips can't tell how sure the scores should be.
    gain = 1 / own if len(classes) < 2 else _gain(corrected * own + left_out, known, 1 / own)
    if len(classes) < 2 and sure:
        matrix = np.zeros_like(matrix)
    return LearnedCorrection(offset, scale, own, center, matrix.ravel(), gain)


def _gain(scores: np.ndarray, known: Sequence[int | None], default: float) -> float:
    """The factor under which scores (N, K) of clips left out in turn have the least log loss; of few the default."""
    rows = [row for row, label in enumerate(known) if label is not None]
    if len(rows) < _FEWEST_FOR_GAIN:
        return default
    own = [label for label in known if label is not None]
    losses = [-log_softmax(gain * scores)[rows, own].mean() for gain in _GAINS]
    return float(_GAINS[int(np.argmin(losses))])


def mean_tokens(encoding: Encoding) -> np.ndarray:
    """(B, D) float64 mean of the valid tokens of each window; 0 where there is none."""
    mask = encoding.mask[:, :, None]
    return np.asarray((encoding.tokens * mask).sum(axis=1, dtype=float) / np.maximum(mask.sum(axis=1), 1))
