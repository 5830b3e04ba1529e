"""`mmemo.compare`: unimodal and fused systems on the same clips, from runs and models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmemo.comparison.corruptions import corruption_curves
from mmemo.comparison.measures import compute_metrics
from mmemo.comparison.missing_modality import RobustnessCurve, missing_modality_curves
from mmemo.comparison.predict import GROUPS, predict
from mmemo.comparison.predictions import WITH_BASELINE, Predictions, merge
from mmemo.comparison.result import Comparison
from mmemo.comparison.run_folder import RUN_FILES, is_run, read_run
from mmemo.comparison.score_table import is_score_table, read_score_table
from mmemo.comparison.significance import run_paired_tests
from mmemo.comparison.verdict import describe_verdict
from mmemo.data.cache import FeatureCache
from mmemo.data.encoding import encode
from mmemo.data.manifest import Manifest
from mmemo.errors import ArgumentError, LeakError, ManifestError, UnknownModelError, expected_one_of
from mmemo.evaluation.bootstrap import Resamples
from mmemo.evidence import Seconds
from mmemo.labels import LABEL_SETS, LabelSet, find_mapping
from mmemo.model import EmotionModel
from mmemo.pretrained import MODELS, RUN, load_model
from mmemo.speech.recognition import Transcriber, default_transcriber
from mmemo.speech.transcript import files_read

Source = str | Path | EmotionModel | Predictions
ALL = "all"
"""In place of a split's name: every clip of the manifest."""
_MODALITIES = ("face", "voice", "text")
_SIGNIFICANT = 0.05
_FEW = 5
"""Speakers; with fewer an interval over speakers is unreliable."""


def compare(
    *sources: Source,
    on: str | Path | Manifest | None = None,
    split: str | None = None,
    modalities: Sequence[str] | None = None,
    systems: Sequence[str] | None = None,
    corruptions: bool = False,
    baseline: Literal["speaker"] | None = None,
    draws: int = 10_000,
    seed: int = 0,
    window: Seconds = 2.0,
    hop: Seconds = 1.0,
    cache: str | Path | FeatureCache | None = None,
    device: str = "auto",
    transcriber: Transcriber | Literal["auto"] | None = "auto",
    classes: Sequence[type] = (),
    label_names: Mapping[str, str | None] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Comparison:
    """Comparison of face only, voice only, text only, every pair, all, and each fusion head on the same clips.

    A run folder of a recipe has held-out predictions, by models that were not trained on these speakers. A model
    predicts the clips of ``on``; make sure that it was not trained on them (a run's own training clips are refused).

    Args:
        sources: run folders, folders of saved models, "default", models, `Predictions` of your own, or score tables of
            other tools (``.csv``, ``.tsv``, ``.txt``, ``.xlsx``, or a folder of them) for the clips of ``on``: of
            DeepFace, py-feat, FER, FaceReader, emotion2vec, or any with a column for the clip and one for each label.
        on: the clips. For run folders it chooses among their clips, and gives gender, language and other groups.
        split: of the manifest; its "test" by default where it has one; "all" for every clip.
        modalities: of models; all that they have by default.
        systems: names of those to compare, in this order; all by default.
        corruptions: whether models also predict noisy voices, blurred faces and wrong words.
        baseline: "speaker" shows each system of a model a second time, named "… (baseline)", with each clip's scores
            relative to the other compared clips of its speaker (`mmemo.Baseline`); of three speakers or more, within
            the baseline of the place, of the other speakers' clips.
        draws: bootstrap resamples of the speakers for intervals and tests; for tens of thousands of clips of unknown
            speakers take fewer, as single clips are resampled then.
        seed: of the resamples.
        window: length of a window in seconds, as of `mmemo.analyze`, whose scores a model's predictions are. Under
            corruptions each clip is one window.
        hop: seconds from one window's start to the next one's.
        cache: where encodings are kept, so that the next comparison takes seconds.
        device: of models: "auto", "cpu", "cuda" or "mps".
        transcriber: recognizes speech of clips without words; "auto" uses the installed recognizer, None reads given
            words only.
        classes: of saved models' encoders and fusion heads, where they are not mmemo's own; see `mmemo.load_model`.
        label_names: of score tables: for words that mmemo does not know the label that each stands for, or None to
            leave it out, as in ``{"cheerful": "happiness"}``.
        progress: called with the share done, 0 to 1.

    Raises:
        ArgumentError: if sources don't fit together, or there is nothing to compare.
        ManifestError: if clips can't be read, or none has a label.
        LeakError: if a run's model would predict clips that it was fitted on.
        UnknownModelError, WeightsError: if a source is none, damaged, or of a newer version.
        MissingExtraError: if a model needs packages that are not installed.

    >>> import numpy as np
    >>> from mmemo.comparison.predictions import Predictions
    >>> face = np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.9, 0.1]])
    >>> scores = {"face": face, "fused": np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.8, 0.2]])}
    >>> mine = Predictions(("calm", "angry"), np.array(["a", "b", "c", "d"]), np.array([0, 1, 1, 0]), scores)
    >>> comparison = compare(mine, draws=100)
    >>> comparison["fused"].accuracy.value, comparison.gain("fused").gain.value
    (1.0, 0.25)
    """
    if not sources:
        raise ArgumentError("Nothing to compare: give a run folder, a model, or several.")
    if draws < 1:
        raise ArgumentError(f"A comparison needs draws of 1 or more, got {draws}.")
    clips = Manifest.read(on) if isinstance(on, str | Path) else on
    manifest = _part(clips, split)
    store = cache if isinstance(cache, FeatureCache) or cache is None else FeatureCache(cache)
    if baseline is not None:
        _check_baseline(baseline, manifest)
    recognizer = default_transcriber() if transcriber == "auto" else transcriber
    reader = _SourceReader(
        manifest,
        modalities,
        corruptions,
        baseline is not None,
        draws,
        seed,
        window,
        hop,
        store,
        device,
        recognizer,
        progress,
        tuple(classes),
    )
    tables = [source for source in sources if is_score_table(source)]
    of_source: dict[int, Predictions] = {}
    curves: list[RobustnessCurve] = []
    for place, source in enumerate(sources):
        if source not in tables:
            of_source[place], corrupted = reader(source, _name(source) if len(sources) > 1 else "")
            curves += corrupted
    for place, source in enumerate(sources):
        if source in tables:
            labels = next(iter(of_source.values())).labels if of_source else None
            of_source[place] = _read_table(str(source), manifest, clips, labels, label_names)
    parts = [of_source[place] for place in range(len(sources))]
    if baseline is not None and not any(name.endswith(WITH_BASELINE) for part in parts for name in part.scores):
        raise ArgumentError("baseline needs a model and a manifest to predict; these are held-out predictions.")
    predictions = merge(parts)
    if systems is not None:
        predictions = predictions.select(systems)
        curves = [curve for curve in curves if curve.system in systems]
    if corruptions and not curves:
        raise ArgumentError("corruptions needs a model and a manifest to predict; these are held-out predictions.")
    title = ", ".join(dict.fromkeys(_name(source) for source in sources))
    files = (on if isinstance(on, str | Path) else None, None if store is None else store.path)
    inputs = tuple(file.absolute() for file in inputs_of(sources, clips, files))
    return replace(compare_predictions(predictions, title, draws=draws, seed=seed, curves=tuple(curves)), inputs=inputs)


def inputs_of(
    sources: Iterable[Source], clips: Manifest | None = None, files: Iterable[str | Path | None] = ()
) -> list[Path]:
    """What a comparison reads: of runs what the recipe left there, saved models, the clips' media, and other files."""
    paths = [Path(file) for file in files if file is not None]
    for source in sources:
        if isinstance(source, str | Path):
            folder = MODELS[str(source)].folder if str(source) in MODELS else Path(source)
            run = is_run(folder) or (folder / RUN).is_dir()
            paths += [folder / name for name in RUN_FILES] if run else [folder]
    return [*paths, *files_read(clips or ())]


def compare_predictions(
    predictions: Predictions,
    title: str = "",
    *,
    draws: int = 10_000,
    seed: int = 0,
    curves: tuple[RobustnessCurve, ...] = (),
) -> Comparison:
    """Comparison of given predictions; ``curves`` are added to those of missing modalities."""
    resamples = Resamples(len(predictions), predictions.speakers, draws, seed)
    by = tuple(dict.fromkeys(column for column in (*GROUPS, *predictions.groups) if column in predictions.groups))
    systems = tuple(compute_metrics(predictions, name, resamples, by=by) for name in predictions.scores)
    unimodal, pairs = _unimodal(predictions), run_paired_tests(predictions, resamples)
    return Comparison(
        title,
        predictions.labels,
        len(predictions),
        None if predictions.speakers is None else len(np.unique(predictions.speakers)),
        systems,
        unimodal,
        pairs,
        (*missing_modality_curves(predictions, resamples), *curves),
        (*predictions.notes, *_notes(predictions), *_resolution(len(pairs), draws)),
        draws,
        seed,
        describe_verdict(predictions, unimodal, systems, pairs, curves),
    )


@dataclass(frozen=True)
class _SourceReader:
    """Predictions of a source, and its robustness curves under corruptions."""

    manifest: Manifest | None
    modalities: Sequence[str] | None
    corruptions: bool
    baseline: bool
    draws: int
    seed: int
    window: Seconds
    hop: Seconds
    cache: FeatureCache | None
    device: str
    transcriber: Transcriber | None
    progress: Callable[[float], None] | None
    classes: tuple[type, ...] = ()

    def __call__(self, source: Source, prefix: str) -> tuple[Predictions, tuple[RobustnessCurve, ...]]:
        def name(system: str) -> str:
            return f"{prefix}: {system}" if prefix else system

        if isinstance(source, Predictions):
            return source.rename(name), ()
        fitted: frozenset[str] = frozenset()
        if not isinstance(source, EmotionModel) and is_run(source):
            saved, fitted = read_run(source)
            held_out = self._held_out(saved)
            if held_out is not None:
                return held_out.rename(name), ()
        model = self._model(source)
        predictions, curves = self._predict(model, fitted)
        return predictions.rename(name), tuple(replace(curve, system=name(curve.system)) for curve in curves)

    def _held_out(self, predictions: Predictions) -> Predictions | None:
        """A run's predictions of the manifest's clips; None if it has none of them."""
        if self.manifest is None:
            return predictions
        clips = {clip.id: clip for clip in self.manifest}
        rows = np.flatnonzero([name in clips for name in predictions.ids.tolist()])
        if not len(rows):
            return None
        kept = predictions.rows(rows)
        known = {column: [getattr(clips[name], column) or "" for name in kept.ids.tolist()] for column in GROUPS}
        columns = {column: np.array(values) for column, values in known.items() if any(values)}
        notes = kept.notes
        if len(rows) < len(clips):
            notes += (f"The run has held-out scores of {len(rows)} of the manifest's {len(clips)} clips.",)
        return replace(kept, groups={**kept.groups, **columns}, notes=notes)

    def _model(self, source: str | Path | EmotionModel) -> EmotionModel:
        if self.manifest is None:
            raise ArgumentError(f"{_name(source)} is a model: name the clips to predict with on=MANIFEST (--on).")
        if isinstance(source, EmotionModel):
            return source
        try:
            return load_model(source, modalities=self.modalities, device=self.device, classes=self.classes)
        except UnknownModelError:
            if is_run(source):
                raise UnknownModelError(
                    f"{source} has no held-out scores of these clips, and no model to predict them."
                ) from None
            raise

    def _predict(self, model: EmotionModel, fitted: frozenset[str]) -> tuple[Predictions, tuple[RobustnessCurve, ...]]:
        assert self.manifest is not None
        clips, notes = _map_to(model.labels, self.manifest)
        if leaking := sorted(fitted & {clip.id for clip in clips}):
            raise LeakError(
                f"The run was fitted on {len(leaking)} of these clips ({', '.join(leaking[:3])} …): its metrics would "
                "not be held out. Give it other clips, or leave on= out to read its held-out scores."
            )
        if not fitted:
            notes.append(f"Whether {model.name} was trained on any of these clips is not known here: see its card.")
        steps = 2 if self.corruptions else 1
        report = self._step(0, steps)
        encoders = [model.encoders[modality] for modality in self.modalities or model.modalities]
        how: dict[str, Any] = {"transcriber": self.transcriber, "on_error": "leave out"}
        encoded = encode(clips, encoders, self.cache, window=self.window, hop=self.hop, progress=report, **how)
        if not len(encoded.manifest):
            raise ManifestError(clips, encoded.faults or ["there is no clip"])
        predictions = predict(model, encoded, self.baseline)
        predictions = replace(predictions, notes=(*notes, *predictions.notes))
        if not self.corruptions:
            return predictions, ()
        resamples = Resamples(len(predictions), predictions.speakers, min(self.draws, 2000), self.seed)
        curves = corruption_curves(
            model,
            encode(
                encoded.manifest, encoders, self.cache, **how
            ),  # corrupted clips are one window each, so are clean ones
            resamples,
            cache=self.cache,
            transcriber=self.transcriber,
            progress=self._step(1, steps),
        )
        return predictions, curves

    def _step(self, step: int, steps: int) -> Callable[[float], None] | None:
        """Progress of one of several equal steps."""
        progress = self.progress
        return None if progress is None else lambda share: progress((step + share) / steps)


def _check_baseline(baseline: str, manifest: Manifest | None) -> None:
    if baseline != "speaker":
        raise ArgumentError(expected_one_of("baseline", ("speaker",), baseline))
    unknown = sum(clip.label is not None and not clip.speaker for clip in manifest or ())
    if unknown:
        raise ArgumentError(
            f"A baseline needs the speaker of each clip, and the manifest lacks that of {unknown}: add the column "
            "speaker, or leave these clips out."
        )


def _part(manifest: Manifest | None, split: str | None) -> Manifest | None:
    if manifest is None:
        if split is not None:
            raise ArgumentError("split chooses clips of a manifest: give on=MANIFEST too.")
        return None
    if split == ALL or (split is None and all(clip.split != "test" for clip in manifest)):
        return manifest
    return manifest.part(split or "test")


def _map_to(labels: LabelSet, clips: Manifest) -> tuple[Manifest, list[str]]:
    """The clips with labels of a model, and a note on their mapping."""
    if clips.labels == labels:
        return clips, []
    if all(name in labels.labels for name in clips.labels):
        return Manifest(clips.clips, labels), []
    mapping = find_mapping(clips.labels, labels)
    if mapping is None:
        raise ArgumentError(
            f"The clips have labels {list(clips.labels)}, the model {list(labels)}, and there is no mapping between "
            "them. Map them first: Manifest.map_labels."
        )
    note = f"Labels of {mapping.source.name} are mapped to {mapping.target.name}. {mapping.loses}"
    return clips.map_labels(mapping), [note.strip()]


def _read_table(
    source: str,
    manifest: Manifest | None,
    everything: Manifest | None,
    labels: Sequence[str] | None,
    label_names: Mapping[str, str | None] | None,
) -> Predictions:
    """A score table's predictions of the clips to be compared, with the labels of the other sources."""
    if manifest is None or everything is None:
        raise ArgumentError(f"{source} is a score table: name the clips that it is of with on=MANIFEST (--on).")
    labeled = manifest.filter(lambda clip: clip.label is not None)
    if not labeled:
        raise ManifestError("The manifest", ["no clip has a label to compare with"])
    if labels is None or tuple(labels) == labeled.labels.labels:
        clips, notes = labeled, list[str]()
    else:
        clips, notes = _map_to(_label_set(labels), labeled)
    predictions = read_score_table(source, clips, clips.labels, everything=everything, label_names=label_names)
    return replace(predictions, notes=(*notes, *predictions.notes))


def _label_set(labels: Sequence[str]) -> LabelSet:
    """The label set with these labels, in this order."""
    known = (one for one in LABEL_SETS.values() if one.labels == tuple(labels))
    return next(known, LabelSet("labels of the other sources", tuple(labels)))


def _unimodal(predictions: Predictions) -> tuple[str, ...]:
    """Systems that use one modality: the only one that is missing in their ablations."""
    own = {name: {modality for missing in of for modality in missing} for name, of in predictions.ablations.items()}
    return tuple(
        name
        for name in predictions.scores
        if len(own.get(name, ())) == 1
        or name in predictions.unimodal
        or (name not in own and name.rpartition(": ")[2] in _MODALITIES)
    )


def _notes(predictions: Predictions) -> list[str]:
    notes = []
    counts = np.bincount(predictions.target, minlength=len(predictions.labels))
    if (counts > 0).sum() == 1:
        only = predictions.labels[int(counts.argmax())]
        notes.append(f"All clips are labeled {only!r}: the metrics don't cover other classes.")
    elif (counts == 0).any():
        missing = [label for label, count in zip(predictions.labels, counts, strict=True) if not count]
        notes.append(f"No clip is labeled {', '.join(missing)}; mean recall is over the others.")
    if predictions.speakers is None:
        notes.append("The speaker of some clips is not known, or all are of one: intervals over clips are too narrow.")
    elif (people := len(np.unique(predictions.speakers))) < _FEW:
        notes.append(f"There are {people} speakers only: intervals over so few don't hold for others.")
    fused = len(predictions.scores) - len(_unimodal(predictions))
    if fused > 1:
        notes.append(
            f"The best of {fused} fused systems is the best on these very clips, so its accuracy is slightly "
            "optimistic."
        )
    return notes


def _resolution(pairs: int, draws: int) -> list[str]:
    """A note where so few resamples can't show a difference after a correction for so many pairs."""
    least = pairs * 2 / (draws + 1)
    if least < _SIGNIFICANT:
        return []
    return [
        f"With {pairs:,} pairs {draws:,} resamples can't resolve a corrected p below {min(1.0, least):.2f}: "
        "compare fewer systems, or take more."
    ]


def _name(source: Any) -> str:
    if isinstance(source, EmotionModel):
        return source.name
    if isinstance(source, Predictions):
        return "predictions"
    path = Path(source)
    return (path.stem if path.is_file() else path.resolve().name) if path.exists() else str(source)
