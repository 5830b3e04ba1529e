"""`mmemo.compare`: runs and models, face only to all together, on the same clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmemo.comparison.answers import Answers, together
from mmemo.comparison.asking import GROUPS, ask
from mmemo.comparison.degrading import sweep
from mmemo.comparison.losing import Curve, losses
from mmemo.comparison.measuring import measure
from mmemo.comparison.outcome import Comparison
from mmemo.comparison.pairs import compare_pairs
from mmemo.comparison.resampling import Draws
from mmemo.comparison.run_folder import OF_RUN, is_run, read_run
from mmemo.data.cache import FeatureCache
from mmemo.data.encoding import encode
from mmemo.data.manifest import Manifest
from mmemo.errors import ArgumentError, LeakError, ManifestError, UnknownModelError
from mmemo.labels import LabelSet, find_mapping
from mmemo.model import EmotionModel
from mmemo.pretrained import MODELS, RUN, load_model
from mmemo.speech.recognition import Transcriber, default_transcriber
from mmemo.speech.transcript import files_read

Source = str | Path | EmotionModel | Answers
ALL = "all"
"""In place of a split's name: every clip of the manifest."""
_MODALITIES = ("face", "voice", "text")
_SURE = 0.05
_FEW = 5
"""Speakers; with fewer an interval over speakers says little."""


def compare(
    *sources: Source,
    on: str | Path | Manifest | None = None,
    split: str | None = None,
    modalities: Sequence[str] | None = None,
    systems: Sequence[str] | None = None,
    degrade: bool = False,
    draws: int = 10_000,
    seed: int = 0,
    cache: str | Path | FeatureCache | None = None,
    device: str = "auto",
    transcriber: Transcriber | Literal["auto"] | None = "auto",
    progress: Callable[[float], None] | None = None,
) -> Comparison:
    """Measure face only, voice only, words only, every pair, all, and each fusion head on the same clips.

    A run folder of a recipe gives its held-out scores, whose models did not see these speakers. A model is asked about
    the clips of ``on``; you must know that it was not trained on them (a run's own training clips are refused).

    Args:
        sources: run folders, folders of saved models, "default", models, or `Answers` of your own.
        on: the clips. For run folders it chooses among their clips, and tells gender, language and other groups.
        split: of the manifest; its "test" by default where it has one; "all" for every clip.
        modalities: of models; all that they have by default.
        systems: names of those to compare, in this order; all by default.
        degrade: whether models are also asked about noisy voices, blurred faces and wrong words.
        draws: resamplings of the speakers behind intervals and tests; of tens of thousands of clips whose speakers are
            not known take fewer, as each clip is drawn by itself then.
        seed: of the draws.
        cache: where encodings are kept, so that the next comparison takes seconds.
        transcriber: recognises speech of clips without words; "auto" uses the installed recogniser, None reads given
            words only.
        progress: is called with the share done, 0 to 1.

    Raises:
        ArgumentError: if sources don't fit together, or there is nothing to compare.
        ManifestError: if clips can't be read, or none has a label.
        LeakError: if a run's model would be asked about clips that it was fitted on.
        UnknownModelError, WeightsError: if a source is none, damaged, or of a newer version.
    """
    if not sources:
        raise ArgumentError("Nothing to compare: give a run folder, a model, or several.")
    if draws < 1:
        raise ArgumentError(f"A comparison needs draws of 1 or more, got {draws}.")
    clips = Manifest.read(on) if isinstance(on, str | Path) else on
    manifest = _part(clips, split)
    store = cache if isinstance(cache, FeatureCache) or cache is None else FeatureCache(cache)
    heard = default_transcriber() if transcriber == "auto" else transcriber
    asker = _Asker(manifest, modalities, degrade, draws, seed, store, device, heard, progress)
    parts: list[Answers] = []
    curves: list[Curve] = []
    for source in sources:
        answers, worse = asker(source, _name(source) if len(sources) > 1 else "")
        parts.append(answers)
        curves += worse
    answers = together(parts)
    if systems is not None:
        answers = answers.only(systems)
        curves = [curve for curve in curves if curve.system in systems]
    if degrade and not curves:
        raise ArgumentError("degrade needs a model that can be asked about a manifest; these are held-out scores.")
    title = ", ".join(dict.fromkeys(_name(source) for source in sources))
    files = (on if isinstance(on, str | Path) else None, None if store is None else store.path)
    inputs = tuple(file.absolute() for file in inputs_of(sources, clips, files))
    return replace(compared(answers, title, draws=draws, seed=seed, curves=tuple(curves)), inputs=inputs)


def inputs_of(
    sources: Iterable[Source], clips: Manifest | None = None, files: Iterable[str | Path | None] = ()
) -> list[Path]:
    """What a comparison reads: of runs what the recipe left there, saved models, the clips' media, and other files."""
    found = [Path(file) for file in files if file is not None]
    for source in sources:
        if isinstance(source, str | Path):
            folder = MODELS[str(source)].folder if str(source) in MODELS else Path(source)
            run = is_run(folder) or (folder / RUN).is_dir()
            found += [folder / name for name in OF_RUN] if run else [folder]
    return [*found, *files_read(clips or ())]


def compared(
    answers: Answers, title: str = "", *, draws: int = 10_000, seed: int = 0, curves: tuple[Curve, ...] = ()
) -> Comparison:
    """Measure and test answers that are there already; ``curves`` are added to those of lost modalities."""
    drawn = Draws(len(answers), answers.clusters, draws, seed)
    by = tuple(dict.fromkeys(column for column in (*GROUPS, *answers.groups) if column in answers.groups))
    pairs = compare_pairs(answers, drawn)
    return Comparison(
        title,
        answers.labels,
        len(answers),
        None if answers.clusters is None else len(np.unique(answers.clusters)),
        tuple(measure(answers, name, drawn, by=by) for name in answers.scores),
        _alone(answers),
        pairs,
        (*losses(answers, drawn), *curves),
        (*answers.notes, *_notes(answers), *_resolution(len(pairs), draws)),
        draws,
        seed,
    )


@dataclass(frozen=True)
class _Asker:
    """Turns a source into answers, and into curves under worse evidence."""

    manifest: Manifest | None
    modalities: Sequence[str] | None
    degrade: bool
    draws: int
    seed: int
    cache: FeatureCache | None
    device: str
    transcriber: Transcriber | None
    progress: Callable[[float], None] | None

    def __call__(self, source: Source, prefix: str) -> tuple[Answers, tuple[Curve, ...]]:
        def name(system: str) -> str:
            return f"{prefix}: {system}" if prefix else system

        if isinstance(source, Answers):
            return source.called(name), ()
        fitted: frozenset[str] = frozenset()
        if not isinstance(source, EmotionModel) and is_run(source):
            answers, fitted = read_run(source)
            held = self._held_out(answers)
            if held is not None:
                return held.called(name), ()
        model = self._model(source)
        answers, curves = self._asked(model, fitted)
        return answers.called(name), tuple(replace(curve, system=name(curve.system)) for curve in curves)

    def _held_out(self, answers: Answers) -> Answers | None:
        """A run's scores of the clips asked for; None if it has none of them."""
        if self.manifest is None:
            return answers
        clips = {clip.id: clip for clip in self.manifest}
        rows = np.flatnonzero([name in clips for name in answers.ids.tolist()])
        if not len(rows):
            return None
        kept = answers.rows(rows)
        known = {column: [getattr(clips[name], column) or "" for name in kept.ids.tolist()] for column in GROUPS}
        columns = {column: np.array(values) for column, values in known.items() if any(values)}
        notes = kept.notes
        if len(rows) < len(clips):
            notes += (f"The run has held-out scores of {len(rows)} of the manifest's {len(clips)} clips.",)
        return replace(kept, groups={**kept.groups, **columns}, notes=notes)

    def _model(self, source: str | Path | EmotionModel) -> EmotionModel:
        if self.manifest is None:
            raise ArgumentError(f"{_name(source)} is a model: name the clips to ask it about with on=MANIFEST (--on).")
        if isinstance(source, EmotionModel):
            return source
        try:
            return load_model(source, modalities=self.modalities, device=self.device)
        except UnknownModelError:
            if is_run(source):
                raise UnknownModelError(
                    f"{source} has no held-out scores of these clips, and no model to ask about them."
                ) from None
            raise

    def _asked(self, model: EmotionModel, fitted: frozenset[str]) -> tuple[Answers, tuple[Curve, ...]]:
        assert self.manifest is not None
        clips, notes = _in_labels(self.manifest, model.labels)
        if seen := sorted(fitted & {clip.id for clip in clips}):
            raise LeakError(
                f"The run was fitted on {len(seen)} of these clips ({', '.join(seen[:3])} …): its figures would not be "
                "held out. Ask it about others, or leave on= out to read its held-out scores."
            )
        if not fitted:
            notes.append(f"Whether {model.name} was trained on any of these clips is not known here: see its card.")
        steps = 2 if self.degrade else 1
        encoders = [model.encoders[modality] for modality in self.modalities or model.modalities]
        found = encode(
            clips,
            encoders,
            self.cache,
            transcriber=self.transcriber,
            on_error="leave out",
            tick=self._tick(0, steps, len(clips)),
        )
        if not len(found.manifest):
            raise ManifestError(clips, found.faults or ["there is no clip"])
        answers = ask(model, found)
        answers = replace(answers, notes=(*notes, *answers.notes))
        if not self.degrade:
            return answers, ()
        drawn = Draws(len(answers), answers.clusters, min(self.draws, 2000), self.seed)
        tick = self._tick(1, steps, len(clips))
        return answers, sweep(model, found, drawn, cache=self.cache, transcriber=self.transcriber, tick=tick)

    def _tick(self, step: int, steps: int, clips: int) -> Callable[[int], None] | None:
        progress = self.progress
        return None if progress is None else lambda done: progress((step + done / clips) / steps)


def _part(manifest: Manifest | None, split: str | None) -> Manifest | None:
    if manifest is None:
        if split is not None:
            raise ArgumentError("split chooses clips of a manifest: give on=MANIFEST too.")
        return None
    if split == ALL or (split is None and all(clip.split != "test" for clip in manifest)):
        return manifest
    return manifest.part(split or "test")


def _in_labels(clips: Manifest, labels: LabelSet) -> tuple[Manifest, list[str]]:
    """The clips with labels of a model, and what a reader must know of how they came to them."""
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
    told = f"Labels of {mapping.source.name} are mapped to {mapping.target.name}. {mapping.loses}"
    return clips.map_labels(mapping), [told.strip()]


def _alone(answers: Answers) -> tuple[str, ...]:
    """Systems that look at one modality: the only thing that can be taken from them."""
    own = {name: {modality for gone in of for modality in gone} for name, of in answers.removed.items()}
    return tuple(
        name
        for name in answers.scores
        if len(own.get(name, ())) == 1 or (name not in own and name.rpartition(": ")[2] in _MODALITIES)
    )


def _notes(answers: Answers) -> list[str]:
    notes = []
    counts = np.bincount(answers.target, minlength=len(answers.labels))
    if (counts > 0).sum() == 1:
        only = answers.labels[int(counts.argmax())]
        notes.append(f"All clips are labelled {only!r}: the figures say nothing of other classes.")
    elif (counts == 0).any():
        missing = [label for label, count in zip(answers.labels, counts, strict=True) if not count]
        notes.append(f"No clip is labelled {', '.join(missing)}; mean recall is over the others.")
    if answers.clusters is None:
        notes.append(
            "It is not known of all clips who speaks, or it is one person: intervals over clips are too narrow."
        )
    elif (people := len(np.unique(answers.clusters))) < _FEW:
        notes.append(f"There are {people} speakers only: intervals over so few people say little of others.")
    fused = len(answers.scores) - len(_alone(answers))
    if fused > 1:
        notes.append(
            f"The best of {fused} fused systems is the best on these very clips, so its figure is slightly optimistic."
        )
    return notes


def _resolution(pairs: int, draws: int) -> list[str]:
    """A note where so few draws can't show a difference after a correction for so many pairs."""
    least = pairs * 2 / (draws + 1)
    if least < _SURE:
        return []
    return [
        f"With {pairs:,} pairs {draws:,} draws can't tell a corrected p below {min(1.0, least):.2f}: "
        "compare fewer systems, or take more draws."
    ]


def _name(source: Any) -> str:
    if isinstance(source, EmotionModel):
        return source.name
    if isinstance(source, Answers):
        return "answers"
    path = Path(source)
    return path.resolve().name if path.exists() else str(source)
