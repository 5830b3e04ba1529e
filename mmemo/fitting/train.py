"""`mmemo train`: fusion heads from a manifest of clips, with any encoders."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import mmemo
from mmemo.comparison.compare import compare_predictions
from mmemo.comparison.predict import predict_subsets
from mmemo.comparison.predictions import Predictions
from mmemo.comparison.result import Comparison
from mmemo.comparison.run_folder import RESULTS, check_run, write_run
from mmemo.data.cache import FeatureCache
from mmemo.data.encoding import encode
from mmemo.data.manifest import Manifest
from mmemo.encoders.base import Encoder
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.encoders.probe_encoder import ProbeEncoder, mean_tokens
from mmemo.errors import ArgumentError, ManifestError, expected_one_of, require_extra
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.metrics import accuracy, negative_log_likelihood
from mmemo.evaluation.reliance import reliance
from mmemo.files import make_folder, replacing_file
from mmemo.fitting.samples import Samples, read_labeled, samples_of, with_labels
from mmemo.fusion.boosting import BoostingFusion
from mmemo.fusion.concat import ConcatFusion
from mmemo.fusion.cross_attention import CrossAttentionFusion
from mmemo.fusion.gated import GatedFusion
from mmemo.fusion.late import LateFusion, RuleFusion
from mmemo.fusion.stacked import StackedFusion
from mmemo.labels import LabelSet
from mmemo.model import EmotionModel
from mmemo.pretrained import RUN, load_model, model_folder
from mmemo.speech.recognition import Transcriber, default_transcriber
from mmemo.speech.transcript import files_read

SPLITS = ("train", "val", "test")
HEADS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "mean": (RuleFusion.fit, ()),
    "max": (partial(RuleFusion.fit, rule="max"), ()),
    "late": (LateFusion.fit, ("scipy",)),
    "late per class": (partial(LateFusion.fit, per_class=True), ("scipy",)),
    "gated": (GatedFusion.fit, ("scipy",)),
    "stacked": (StackedFusion.fit, ("sklearn",)),
    "boosted": (BoostingFusion.fit, ("sklearn",)),
    "concat": (ConcatFusion.fit, ("torch",)),
    "cross-attention": (CrossAttentionFusion.fit, ("torch",)),
}
"""What fits each head, and the packages that fitting it takes."""


@dataclass(frozen=True)
class TrainOptions:
    """What decides the outcome of `train`; saved with the run.

    Attributes:
        heads: fusion heads to fit, of "mean", "max", "late", "late per class", "gated", "stacked", "boosted",
            "concat" and "cross-attention". The one with the least log loss on ``val`` becomes the model.
        encoders: "default", or a folder of a saved model whose encoders are taken.
        modalities: those that are used.
        refit: whether each encoder gets a linear probe of the clips' labels, though it has these labels.
        seed: of everything random.
        draws: bootstrap resamples of the speakers, of the result on ``test``.
        allow: codes of leaks between splits that are accepted; see `mmemo.data.audit`.

    Raises:
        ArgumentError: for an unknown head.

    >>> from mmemo import TrainOptions
    >>> TrainOptions(heads=("late", "stacked"), seed=1).modalities
    ('face', 'voice', 'text')
    """

    heads: tuple[str, ...] = ("late",)
    encoders: str = "default"
    modalities: tuple[str, ...] = ("face", "voice", "text")
    refit: bool = False
    seed: int = 0
    draws: int = 10_000
    allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.heads:
            if name not in HEADS:
                raise ArgumentError(expected_one_of("Head", HEADS, name))
        if not self.heads:
            raise ArgumentError(f"There is no head to fit: name some of {list(HEADS)}.")


def train(
    manifest: str | Path | Manifest,
    run: str | Path,
    options: TrainOptions | None = None,
    *,
    transcriber: Transcriber | str | None = "auto",
    workers: int = 0,
    device: str = "auto",
    classes: Sequence[type] = (),
    progress: Callable[[float], None] | None = None,
) -> Comparison:
    """Fit fusion heads on labeled clips, save the best as a model, and measure it once on clips nothing was fitted on.

    Splits of the manifest are kept; without any, speakers are divided into train, val and test. Encodings are computed
    once and kept in the run folder, so that another head or seed takes seconds to minutes. Temperatures are fitted on
    ``val``, the heads on ``train`` (with cross-validation over speakers where they choose).

    Where the clips have other labels than the encoders, and mmemo has no mapping, or with ``refit``, each encoder gets
    a linear probe of the clips' labels, fitted on ``train``; the heads then learn from scores of probes that were not
    fitted on the speaker.

    Started by ``accelerate launch -m mmemo train …`` or ``torchrun --nproc_per_node 2 -m mmemo train …``, processes
    share the encoding and the training of the networks.

    Args:
        manifest: the clips, with labels and speakers.
        run: folder of cache, model, held-out scores and ``results.json``, which has the options too. It is a model for
            `mmemo.analyze` and a source for `mmemo.compare`.
        options: what is fitted, and to what.
        transcriber: recognizes speech of clips without words; "auto" uses the installed recognizer, None given words.
        workers: processes that read media beside this one.
        device: of the encoders: "auto", "cpu", "cuda" or "mps".
        classes: of a saved model's encoders, where they are not mmemo's own.
        progress: called with the share of the clips that are encoded, 0 to 1.

    Returns:
        The comparison of each modality, every pair and each head on ``test``.

    Raises:
        ManifestError: if no clip has a label, all have one, speakers are missing, or clips of a split can't be used.
        LeakError: if a speaker or a medium is in two splits.
        ArgumentError: if the run folder may not be written.
        MissingExtraError: if a head needs packages that are not installed.

    >>> import mmemo
    >>> from mmemo.samples import make_corpus
    >>> columns = {"path": "file", "label": "emotion", "speaker": "actor", "transcript": "words"}
    >>> corpus = mmemo.data.read_corpus("table", make_corpus("corpus"), columns=columns).manifest
    >>> options = mmemo.TrainOptions(heads=("mean",), modalities=("voice", "text"), draws=100)
    >>> mmemo.train(corpus, "run", options)["mean"].coverage
    1.0
    >>> mmemo.load_model("run").modalities
    ('voice', 'text')
    """
    options = options or TrainOptions()
    packages = {package for name in options.heads for package in HEADS[name][1]}
    extra = "train" if "torch" in packages else "fit"
    require_extra(f"Fitting {', '.join(options.heads)}", extra, *sorted(packages))
    run = Path(run)
    clips, notes = read_labeled(manifest), list[str]()
    base = load_model(options.encoders, modalities=options.modalities, device=device, classes=classes)
    path = None if isinstance(manifest, Manifest) else manifest
    check_run(run, [path, model_folder(options.encoders), *files_read(clips)])
    mapped, mapping_notes = with_labels(clips, base.labels)
    refit = options.refit or mapped is None
    if refit:
        require_extra("A probe of your own labels", "fit", "sklearn")
        notes += (
            [] if options.refit else [f"The encoders don't have the labels {list(clips.labels)}: each has a probe."]
        )
    else:
        clips, notes = mapped or clips, mapping_notes
    if all(clip.split is None for clip in clips):
        clips = clips.split(by="speaker", seed=options.seed)
    clips.audit().refuse_leaks(options.allow)
    cache = FeatureCache(make_folder(run) / "features.sqlite")
    recognizer = default_transcriber() if transcriber == "auto" else transcriber
    processes = _Processes()
    encoders = list(base.encoders.values())
    encoding = {"transcriber": recognizer, "on_error": "leave out"}
    mine = replace(clips, clips=clips.clips[processes.rank :: processes.count])
    encode(mine, encoders, cache, workers=workers, progress=progress, **encoding)  # type: ignore[arg-type]
    processes.wait()
    parts = []
    for split in SPLITS:
        part, left_out = samples_of(encode(clips.part(split), encoders, cache, **encoding))  # type: ignore[arg-type]
        parts.append(part)
        notes += left_out
    (only, *others) = np.unique(parts[0].target)
    if not others:
        raise ManifestError("The manifest", [f"all clips of the split train are {clips.labels[int(only)]!r}"])
    used = [encoder for encoder in encoders if parts[0].encodings[encoder.modality].present.any()]
    notes += [f"No clip of the split train has any {e.modality}: it is left out." for e in encoders if e not in used]
    parts = [part.select([encoder.modality for encoder in used]) for part in parts]
    if refit:
        used, parts = _fit_probes(used, clips.labels, parts)
    temperatures = {}
    for modality, one in parts[1].encodings.items():
        known = one.present
        temperatures[modality] = fit_temperature(one.logits[known], parts[1].target[known]) if known.any() else 1.0
    fitting, val, test = (_calibrated(part, temperatures) for part in parts)

    models, validation = {}, {}
    for name in options.heads:  # in every process: together they train the networks among them
        head = HEADS[name][0](
            clips.labels, fitting.encodings, fitting.target, groups=fitting.speakers, seed=options.seed
        )
        models[name] = EmotionModel(used, head, temperatures, name=run.name)
        scores = head.fuse(val.encodings)
        validation[name] = {
            "nll": negative_log_likelihood(val.target, scores),
            "accuracy": accuracy(val.target, scores.argmax(axis=1)),
        }
    best = min(validation, key=lambda name: validation[name]["nll"])
    predictions = replace(_predict(models, best, test), notes=tuple(notes))
    comparison = compare_predictions(predictions, run.name, draws=options.draws, seed=options.seed)
    if processes.rank == 0:
        about = {"options": asdict(options), "refit": refit, "mmemo": mmemo.__version__, "chosen": best}
        models[best].save(run / RUN, card=about)
        write_run(run, predictions, fitted_on=[*fitting.ids.tolist(), *val.ids.tolist()])
        whole = all(one.present.any() for one in test.encodings.values())
        results = {
            **about,
            "clips of": {name: len(part) for name, part in zip(SPLITS, parts, strict=True)},
            "temperatures": temperatures,
            "validation": validation,
            "reliance": asdict(reliance(models[best].fusion, test.encodings, test.target)) if whole else None,
            **comparison.to_dict(),
        }
        with replacing_file(run / RESULTS) as unfinished:
            unfinished.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    processes.wait()
    return comparison


class _Processes:
    """This process among those that ``accelerate launch`` or ``torchrun`` started; without a launcher it is alone."""

    def __init__(self) -> None:
        self.rank, self.count = 0, int(os.environ.get("WORLD_SIZE", "1"))
        if self.count > 1:
            require_extra("Training in several processes", "train", "accelerate", "torch")
            import torch
            from accelerate import PartialState

            self._state = PartialState(cpu=not torch.cuda.is_available())
            self.rank = self._state.process_index

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            self._state.wait_for_everyone()


def _fit_probes(encoders: list[Encoder], labels: LabelSet, parts: list[Samples]) -> tuple[list[Encoder], list[Samples]]:
    """Encoders with a probe of these labels; training clips with scores of probes not fitted on their speaker."""
    train = parts[0]
    own: list[Encoder] = []
    encodings = [dict(part.encodings) for part in parts]
    for encoder in encoders:
        modality = encoder.modality
        present = train.encodings[modality].present
        features = mean_tokens(train.encodings[modality])[present]
        probe, held_out = LinearProbe.cross_fit(
            features, train.target[present], len(labels), groups=train.speakers[present]
        )
        own.append(ProbeEncoder(encoder, probe, labels))
        for number, part in enumerate(encodings):
            logits = probe.logits(mean_tokens(part[modality])).astype(np.float32)
            if number == 0:
                logits[present] = held_out
            part[modality] = replace(part[modality], logits=logits)
    return own, [replace(part, encodings=of) for part, of in zip(parts, encodings, strict=True)]


def _calibrated(part: Samples, temperatures: Mapping[str, float]) -> Samples:
    """The samples with logits divided by the temperatures."""
    return replace(part, encodings={m: one.calibrate(temperatures[m]) for m, one in part.encodings.items()})


def _predict(models: Mapping[str, EmotionModel], best: str, part: Samples) -> Predictions:
    """Predictions of each modality alone, of the subsets by the chosen head, and of all modalities by every head."""
    encodings = {modality: one for modality, one in part.encodings.items() if one.present.any()}
    scores, ablations = predict_subsets(models[best], encodings)
    whole = " + ".join(m for m in models[best].modalities if m in encodings)
    if len(encodings) > 1:
        del scores[whole], ablations[whole]
        for name, model in models.items():
            of_scores, of_ablations = predict_subsets(model, encodings)
            scores[name], ablations[name] = of_scores[whole], of_ablations[whole]
    return Predictions(tuple(models[best].labels), part.ids, part.target, scores, ablations, part.groups)
