"""`mmemo calibrate`: correct a model for a recording situation from a few labeled clips, or leave it as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mmemo
from mmemo.comparison.predict import predict_subsets
from mmemo.comparison.predictions import CALIBRATED, Predictions
from mmemo.comparison.run_folder import RESULTS, check_run, write_run
from mmemo.data.cache import FeatureCache
from mmemo.data.encoding import encode
from mmemo.data.manifest import Manifest
from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError, ManifestError
from mmemo.files import make_folder, replacing_file
from mmemo.fitting.corrections import Corrections, fit_corrections, log_loss
from mmemo.fitting.samples import Samples, read_labeled, samples_of, with_labels
from mmemo.model import EmotionModel
from mmemo.pretrained import RUN, load_model, model_folder
from mmemo.speech.recognition import Transcriber, default_transcriber
from mmemo.speech.transcript import files_read

if TYPE_CHECKING:
    from rich.console import RenderableType

_FOLDS = 10
_NORMAL, _SLOPE, _CURVE = 1.645, 1.52, 1.42
"""Of Student's t that is passed by chance once in 20 times: ``normal + slope / degrees + curve / degrees ** 2``."""
_FEW = 3
"""People; over fewer a standard error says nothing."""


@dataclass(frozen=True)
class CalibrateOptions:
    """What decides the outcome of `calibrate`; saved with the run.

    Attributes:
        model: "default", "large", or a folder of a saved model.
        modalities: those of the model that are used; None for all.
        strengths: of the pull towards the model as it is, in clips; the best on people left out is taken.
        seed: of the division of the people.

    Raises:
        ArgumentError: if a strength is not positive.

    >>> from mmemo import CalibrateOptions
    >>> CalibrateOptions(model="runs/mine").strengths
    (10.0, 30.0, 100.0)
    """

    model: str = "default"
    modalities: tuple[str, ...] | None = None
    strengths: tuple[float, ...] = (10.0, 30.0, 100.0)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.strengths or not all(0 < one < float("inf") for one in self.strengths):
            raise ArgumentError(f"strengths: expected numbers of clips above 0, got {self.strengths}.")


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` found, on people that the corrections were not fitted on.

    Attributes:
        changed: whether the model was corrected. If not, it was saved as it is.
        clips, people: how many there are; ``people`` is the number of clips where speakers are not known.
        strength: of the pull towards the model as it is, that was best.
        loss_before, loss_after: mean log loss of the fused scores, among the labels that the clips have.
        right_before, right_after: number of clips whose fused label is right.
        temperatures: by modality, as saved.
        priors: by modality, as saved: shares of the labels that are divided out.
        weights: factor of each modality's weight in the fusion head; empty if the head has no such weights.
        shares: of the labels among the clips, in case they are what is to be expected: ``prior=…`` of `mmemo.analyze`.
        notes: what limits the result, for its readers.

    >>> from mmemo import Calibration
    >>> print(Calibration(True, 12, 6, 10.0, 0.9, 0.7, 8, 10, {}, {}, {}, {}, ()))
    Calibrating helps here: the model was corrected. On 12 clips of 6 people, each left out in turn, the log loss ...
    """

    changed: bool
    clips: int
    people: int
    strength: float
    loss_before: float
    loss_after: float
    right_before: int
    right_after: int
    temperatures: dict[str, float]
    priors: dict[str, dict[str, float]]
    weights: dict[str, float]
    shares: dict[str, float]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """The verdict in two sentences."""
        verdict = (
            "Calibrating helps here: the model was corrected."
            if self.changed
            else "Calibrating does not help here: the model was saved as it is."
        )
        return (
            f"{verdict} On {self.clips} clips of {self.people} people, each left out in turn, the log loss goes from "
            f"{self.loss_before:.3f} to {self.loss_after:.3f}, and {self.right_before} right become {self.right_after}."
        )

    def to_table(self) -> RenderableType:
        """What `mmemo calibrate` prints, for rich."""
        from mmemo.fitting.terminal import render_calibration

        return render_calibration(self)


def calibrate(
    manifest: str | Path | Manifest,
    run: str | Path,
    options: CalibrateOptions | None = None,
    *,
    transcriber: Transcriber | str | None = "auto",
    workers: int = 0,
    device: str = "auto",
    classes: Sequence[type] = (),
    progress: Callable[[float], None] | None = None,
) -> Calibration:
    """Correct temperatures, priors and fusion weights of a model by a few labeled clips, where that is sure to help.

    The corrections are drawn to the model as it is, so that ten clips change little and a thousand much. Each person is
    left out in turn: the model is corrected only if the log loss on the people left out falls by more than chance, and
    no fewer of their clips are right. Otherwise it is saved as it is, and the result says so.

    Clips of the split "test", if there is one, are left out, so that `mmemo.compare` can measure on them. Encodings are
    kept in the run folder, so that a second call takes seconds.

    Args:
        manifest: the clips, with labels, and speakers where they are known.
        run: folder of cache, model, held-out scores and ``results.json``, which has the options too. It is a model for
            `mmemo.analyze` and a source for `mmemo.compare`, which shows the scores of each clip before and after, the
            latter by corrections that were not fitted on its person.
        options: the model, and how strongly it holds.
        transcriber: recognizes speech of clips without words; "auto" uses the installed recognizer, None given words.
        workers: processes that read media beside this one.
        device: of the model: "auto", "cpu", "cuda" or "mps".
        classes: of a saved model's encoders and fusion head, where they are not mmemo's own.
        progress: called with the share of the clips that are encoded, 0 to 1.

    Raises:
        ManifestError: if no clip has a label, all have one, none can be read, or all are of one clip's person.
        ArgumentError: if the model does not have the clips' labels, or the run folder may not be written.
        UnknownModelError, WeightsError: if there is no such model, or it is damaged.

    >>> import mmemo
    >>> from mmemo.samples import make_corpus
    >>> columns = {"path": "file", "label": "emotion", "speaker": "actor", "transcript": "words"}
    >>> corpus = mmemo.data.read_corpus("table", make_corpus("corpus", speakers=3), columns=columns).manifest
    >>> options = mmemo.CalibrateOptions(modalities=("voice", "text"))
    >>> calibration = mmemo.calibrate(corpus, "calibrated", options)
    >>> calibration.clips, calibration.people, calibration.right_after >= calibration.right_before
    (6, 3, True)
    >>> mmemo.load_model("calibrated").modalities
    ('voice', 'text')
    """
    options = options or CalibrateOptions()
    run = Path(run)
    clips = read_labeled(manifest)
    notes: list[str] = []
    if held := sum(clip.split == "test" for clip in clips):
        clips = read_labeled(clips.filter(lambda clip: clip.split != "test"))
        notes.append(f"{held} clips of the split test are left out, to be measured on.")
    path = None if isinstance(manifest, Manifest) else manifest
    check_run(run, [path, model_folder(options.model), *files_read(clips)])
    model = load_model(options.model, modalities=options.modalities, device=device, classes=classes)
    mapped, mapping_notes = with_labels(clips, model.labels)
    if mapped is None:
        raise ArgumentError(
            f"The clips have labels {list(clips.labels)}, the model {list(model.labels)}, and there is no mapping "
            "between them. Map them first (Manifest.map_labels), or fit the labels of the clips: mmemo train."
        )
    cache = FeatureCache(make_folder(run) / "features.sqlite")
    recognizer = default_transcriber() if transcriber == "auto" else transcriber
    encoded = encode(
        read_labeled(mapped),
        list(model.encoders.values()),
        cache,
        transcriber=recognizer,  # type: ignore[arg-type]
        on_error="leave out",
        workers=workers,
        progress=progress,
    )
    samples, left_out = samples_of(encoded)
    samples = samples.select([modality for modality, one in samples.encodings.items() if one.present.any()])
    calibration, corrected, predictions = calibrate_samples(model, samples, options)
    calibration = replace(calibration, notes=(*notes, *mapping_notes, *left_out, *calibration.notes))
    about = {"options": asdict(options), "mmemo": mmemo.__version__, "calibration": asdict(calibration)}
    corrected.save(run / RUN, card=about)
    write_run(run, predictions, fitted_on=samples.ids.tolist())
    with replacing_file(run / RESULTS) as unfinished:
        unfinished.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return calibration


def calibrate_samples(
    model: EmotionModel, samples: Samples, options: CalibrateOptions
) -> tuple[Calibration, EmotionModel, Predictions]:
    """The corrections of a model by samples: whether they help, the model to use, and held-out predictions.

    Args:
        samples: with what the model's encoders gave, not calibrated.

    Raises:
        ManifestError: if all samples have one label.
    """
    classes, counts = np.unique(samples.target, return_counts=True)
    if len(classes) < 2:
        only = model.labels[int(classes[0])]
        raise ManifestError("The manifest", [f"all clips that can be used are {only!r}: two labels are needed"])
    by, notes = _people(samples)
    people = np.unique(by)
    before, before_each = _scores(model, samples.encodings)
    candidates = []
    for strength in options.strengths:
        scores, each = before.copy(), {name: one.copy() for name, one in before_each.items()}
        losses = np.zeros(len(samples))
        for rows in _folds(by, options.seed):
            fitted = np.setdiff1d(np.arange(len(samples)), rows)
            part, held_out = samples.rows(fitted), samples.rows(rows)
            several = len(np.unique(part.target)) > 1
            corrections = fit_corrections(model, part.encodings, part.target, strength) if several else Corrections()
            scores[rows], of_each = _scores(corrections.of(model), held_out.encodings)
            for name, one in of_each.items():
                each[name][rows] = one
        losses = log_loss(scores, samples.target, classes, np.log(counts / counts.sum()))
        candidates.append((losses, scores, each, strength))
    losses, scores, each, strength = min(candidates, key=lambda one: float(one[0].mean()))
    losses_before = log_loss(before, samples.target, classes, np.log(counts / counts.sum()))
    right_before, right_after = (int((one.argmax(axis=1) == samples.target).sum()) for one in (before, scores))
    gains = np.array([(losses_before - losses)[by == person].mean() for person in people])
    changed = _is_sure(gains) and right_after >= right_before
    corrections = fit_corrections(model, samples.encodings, samples.target, strength) if changed else Corrections()
    corrected = corrections.of(model) if changed else model
    shares = np.bincount(samples.target, minlength=len(model.labels)) / len(samples)
    labels = [model.labels[int(one)] for one in classes]
    if len(classes) < len(model.labels):
        notes.append(f"The clips have the labels {', '.join(labels)} only: of the others nothing is learned.")
    calibration = Calibration(
        changed,
        len(samples),
        len(people),
        strength,
        float(losses_before.mean()),
        float(losses.mean()),
        right_before,
        right_after,
        {modality: corrected.temperatures[modality] for modality in corrected.modalities},
        {modality: model.labels.scores(one) for modality, one in corrected.priors.items()},
        dict(corrections.weights),
        {label: share for label, share in model.labels.scores(shares).items() if share},
        tuple(notes),
    )
    both = {**before_each, **{name + CALIBRATED: one for name, one in each.items()}}
    predictions = Predictions(
        tuple(model.labels), samples.ids, samples.target, both, _ablations(both), samples.groups, notes=tuple(notes)
    )
    return calibration, corrected, predictions


def _is_sure(gains: np.ndarray) -> bool:
    """Whether the mean gain of some people is above what chance gives once in 20 times (Student's t, one-sided)."""
    if len(gains) < _FEW:
        return False
    degrees = len(gains) - 1
    least = _NORMAL + _SLOPE / degrees + _CURVE / degrees**2
    return bool(gains.mean() > least * gains.std(ddof=1) / np.sqrt(len(gains)))


def _people(samples: Samples) -> tuple[np.ndarray, list[str]]:
    """(N,) who is left out with each clip, and a note where that is not the person."""
    known = samples.groups.get("speaker", np.full(len(samples), ""))
    if (known == "").any():
        note = "The speaker of some clips is not known: these are left out one by one, which flatters the result."
        return samples.speakers, [note]
    if len(np.unique(known)) == 1:
        note = "All clips are of one person: each is left out alone, and the result holds for this person."
        return samples.ids, [note]
    if len(np.unique(known)) < _FEW:
        note = f"{len(np.unique(known))} people are too few to tell whether it helps others: give {_FEW} or more."
        return known, [note]
    return known, []


def _folds(by: np.ndarray, seed: int) -> list[np.ndarray]:
    """Rows to leave out in turn; no person is in two folds."""
    names = np.unique(by)
    order = np.random.default_rng(seed).permutation(len(names))
    return [np.flatnonzero(np.isin(by, names[part])) for part in np.array_split(order, min(_FOLDS, len(names)))]


def _scores(model: EmotionModel, raw: dict[str, Encoding]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Fused scores (N, K) of what the encoders gave, and by name those of each modality and of all."""
    scores, _ = predict_subsets(model, {modality: model.calibrate(modality, one) for modality, one in raw.items()})
    whole = " + ".join(modality for modality in model.modalities if modality in raw)
    return scores[whole], {name: scores[name] for name in (*(m for m in model.modalities if m in raw), whole)}


def _ablations(scores: dict[str, np.ndarray]) -> dict[str, Any]:
    """By which the comparison knows the systems of one modality."""
    return {
        name: {(name.removesuffix(CALIBRATED),): np.full(one.shape, 1 / one.shape[1])}
        for name, one in scores.items()
        if " + " not in name
    }
