"""What priors, baselines and adaptations do to people and corpora that the encoders never saw.

    python benchmarks/baselines.py DATA --cache FOLDER            # the tables of docs/results.md
    python benchmarks/baselines.py DATA --cache FOLDER --fit      # two constants of mmemo.personal.statistics

DATA holds the unpacked corpora. Each clip is analyzed as a user would, file in, and its encodings are kept in a cache;
baselines are then fitted and applied many times. Everything is measured on speakers that the encoders were not trained
on. The constants are learned from the corpora of `LEARNED` and are checked, by ``--leave-out``, with the one measured
left out of them.
"""

from __future__ import annotations

import argparse
import csv
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmemo import Adaptation, Analyzer, Baseline
from mmemo.checkpoint import load_checkpoint
from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import log_softmax
from mmemo.errors import MmemoError
from mmemo.evaluation.bootstrap import bootstrap
from mmemo.evaluation.metrics import uar
from mmemo.labels import EKMAN7
from mmemo.model import EmotionModel
from mmemo.personal import statistics
from mmemo.personal.statistics import ScoreStatistics, centered
from mmemo.pretrained import MODELS

VOICES = ("ravdess", "nemo", "ased", "turev", "emovo", "casia", "savee")
LEARNED = ("ravdess", "nemo", "ased", "turev", "emovo", "casia")
FACES = ("CK+48", "yale", "sfew")
MOST = {"nemo": 150, "ased": 20, "turev": 80}
"""Clips of one speaker, where there are many."""
SYNONYMS = {
    "happy": "happiness",
    "sad": "sadness",
    "angry": "anger",
    "fearful": "fear",
    "surprised": "surprise",
    "calm": "neutral",
}
Personal = Baseline | Adaptation | None
CARE = 1.5
"""Weight of sets of one emotion, where the constants are learned."""


@dataclass(frozen=True, eq=False)
class Clips:
    """The clips of a corpus: encodings of each by modality, label and person."""

    encodings: list[Mapping[str, Encoding]]
    label: np.ndarray
    person: np.ndarray

    def scores(self, modality: str) -> np.ndarray:
        """(N, K) centered log scores."""
        return centered(np.concatenate([log_softmax(one[modality].logits.astype(float)) for one in self.encodings]))

    def select(self, rows: np.ndarray) -> Clips:
        return Clips([self.encodings[row] for row in rows], self.label[rows], self.person[rows])


def files(corpus: str, data: Path) -> Iterator[tuple[Path, str, str]]:
    """Path, label and person of each clip."""
    if corpus in VOICES:
        split = load_checkpoint(MODELS["default"].folder / "voice", "voice-encoder").config["split"]
        unheard = {*split["test"], *split["validation"]}
        clips: dict[str, list[tuple[Path, str, str]]] = defaultdict(list)
        for name in ("manifest.csv", "manifest_more.csv"):
            for row in csv.DictReader((data / "voice" / name).open(encoding="utf-8")):
                if row["corpus"] == corpus and (corpus not in LEARNED[:4] or row["speaker"] in unheard):
                    clips[row["speaker"]].append((data / "voice" / row["path"], row["emotion"], row["speaker"]))
        for own in clips.values():
            order = np.random.default_rng(0).permutation(len(own))
            yield from (own[number] for number in order[: MOST.get(corpus, len(own))])
    elif corpus == "CK+48":
        # The three frames of a sequence are nearly the same picture: its last one stands for it.
        last = {(path.parent.name, path.name[:8]): path for path in sorted((data / "face" / corpus).glob("*/*.png"))}
        for (label, sequence), path in last.items():
            yield path, label, sequence[:4]
    elif corpus == "av":
        for row in csv.DictReader((data / "av" / "manifest.csv").open(encoding="utf-8")):
            yield data / "av" / row["path"], row["label"], row["speaker"]
    else:
        for row in csv.DictReader((data / "face" / corpus / "manifest.csv").open(encoding="utf-8")):
            yield data / "face" / corpus / row["path"], row["label"], row["subject"]


def read(corpus: str, data: Path, cache: Path, analyzer: Analyzer) -> Clips:
    """Analyze the clips of a corpus, or take them from the cache."""
    file = cache / f"{corpus}.pickle"
    if not file.is_file():
        kept = []
        for path, label, person in files(corpus, data):
            label = SYNONYMS.get(label, label)
            if label in EKMAN7:
                try:
                    kept.append((analyzer.encode(path), label, person))
                except MmemoError as error:
                    print(f"left out: {error}")
        cache.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(kept))
    kept = [row for row in pickle.loads(file.read_bytes()) if row[0]]
    encodings, labels, people = zip(*kept, strict=True)
    return Clips(list(encodings), np.array([EKMAN7.index(label) for label in labels]), np.array(people))


def baseline_of(
    clips: Clips, modalities: Sequence[str], rows: np.ndarray, neutral: Sequence[int] = (), **how: object
) -> Baseline:
    """A baseline of some clips, as `Baseline.fit` makes it of their results."""
    fitted = {}
    for modality in modalities:
        some, calm = (
            np.array(
                [clips.encodings[row][modality].logits[0] for row in chosen if modality in clips.encodings[row]]
            ).reshape(-1, len(EKMAN7))
            for chosen in (rows, neutral)
        )
        if len(some) or len(calm):
            fitted[modality] = ScoreStatistics.of(log_softmax(some.astype(float)), log_softmax(calm.astype(float)))
    return Baseline(labels=EKMAN7.labels, modalities=fitted, **how)  # type: ignore[arg-type]


def predict(
    model: EmotionModel, clips: Clips, rows: Iterable[int], modalities: Sequence[str], personal: Personal
) -> Iterator[tuple[int, int, str]]:
    """Label, prediction and person of some clips, with a baseline or an adaptation."""
    corrections: Mapping[str, Callable[[Encoding], Encoding]] = personal.corrections(model) if personal else {}
    for row in rows:
        clip = clips.encodings[row]
        known = {m: corrections[m](clip[m]) if m in corrections else clip[m] for m in modalities if m in clip}
        scores = model.scores(known[modalities[0]]) if len(modalities) == 1 else model.fuse(known)
        yield int(clips.label[row]), int(scores[0].argmax()), str(clips.person[row])


def sets(clips: Clips, kind: str, size: int, draws: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Clips for a baseline, and the clips that it is for.

    Args:
        kind: "several" moods of the person, "one" mood, which the measured clips have too, or "place": other people.
    """
    rng = np.random.default_rng(seed)
    for person in np.unique(clips.person):
        own, others = np.flatnonzero(clips.person == person), np.flatnonzero(clips.person != person)
        if kind == "place":
            for _ in range(draws):
                yield rng.choice(others, min(size, len(others)), replace=False), own
        elif kind == "several":
            for _ in range(draws if len(own) > 1 else 0):
                chosen = rng.choice(own, min(size, len(own) // 2), replace=False)
                yield chosen, np.setdiff1d(own, chosen)
        else:
            for label in np.unique(clips.label[own]):
                same = own[clips.label[own] == label]
                for _ in range(draws if len(same) > 2 else 0):
                    chosen = rng.choice(same, min(size, len(same) - 1), replace=False)
                    yield chosen, np.setdiff1d(same, chosen)


def measured(predicted: list[tuple[int, int, str]]) -> str:
    """UAR with its interval, and how many are right, from label, prediction and person of each clip."""
    true, given, person = (np.array(column) for column in zip(*predicted, strict=True))
    interval = bootstrap(lambda rows: uar(true[rows], given[rows], len(EKMAN7)), len(true), groups=person, draws=200)
    right = f"{(true == given).sum()} of {len(true)}"
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}] | {right}"


def table(
    clips: Clips, model: EmotionModel, modalities: Sequence[str], draws: int, show: Callable[[str, str], None]
) -> None:
    """Measure one corpus in all ways."""
    people = clips.person
    everyone = range(len(clips.label))
    before = EmotionModel(list(model.encoders.values()), model.fusion)

    def with_prior(row: int) -> int:
        known = {}
        for m in modalities:
            if m in clips.encodings[row]:
                one = clips.encodings[row][m]
                known[m] = Encoding(
                    one.tokens, one.mask, (one.logits + np.log(model.priors[m])).astype(np.float32), one.quality
                )
        fused = before.scores(known[modalities[0]]) if len(modalities) == 1 else before.fuse(known)
        return int(fused[0].argmax())

    def rows(make: Callable[[np.ndarray], Baseline], drawn: Iterable[tuple[np.ndarray, np.ndarray]]) -> str:
        return measured(
            [one for chosen, meant in drawn for one in predict(model, clips, meant, modalities, make(chosen))]
        )

    def left_out() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for i in everyone:
            others = np.flatnonzero((people == people[i]) & (np.arange(len(people)) != i))
            if len(others):
                yield others, np.array([i])

    show("as trained", measured([(int(clips.label[i]), with_prior(i), people[i]) for i in everyone]))
    show("balanced prior", measured(list(predict(model, clips, everyone, modalities, None))))
    show("all other clips of the person", rows(lambda chosen: baseline_of(clips, modalities, chosen), left_out()))
    show(
        "the same, known to be mixed",
        rows(lambda chosen: baseline_of(clips, modalities, chosen, mixed=True), left_out()),
    )
    for size in (2, 5, 20):
        for kind, how in (
            ("several", {}),
            ("several", {"mixed": True}),
            ("one", {}),
            ("place", {"of": "place"}),
            ("place", {"of": "place", "mixed": True}),
        ):
            name = f"{size} clips, {kind}" + (", known" if how.get("mixed") else "")
            drawn = sets(clips, kind, size, draws)
            chosen_sets = list(drawn)
            if not chosen_sets:  # nobody has as many clips
                continue
            show(name, rows(lambda chosen, how=how: baseline_of(clips, modalities, chosen, **how), chosen_sets))  # type: ignore[misc]
            if kind == "one":
                plain = [one for _, meant in chosen_sets for one in predict(model, clips, meant, modalities, None)]
                show(f"{name}: the same clips without", measured(plain))
    calm = {p: np.flatnonzero((people == p) & (clips.label == 0))[:5] for p in np.unique(people)}
    if all(len(found) for found in calm.values()):
        drawn = ((found, np.setdiff1d(np.flatnonzero(people == p), found)) for p, found in calm.items())
        nobody = np.zeros(0, int)
        show(
            "5 neutral clips, marked", rows(lambda chosen: baseline_of(clips, modalities, nobody, list(chosen)), drawn)
        )
    for count in (1, 3, 5):
        adapted, unlabeled = [], []
        for person in np.unique(people):
            own = np.flatnonzero(people == person)
            rng = np.random.default_rng(0)
            for _ in range(2):
                chosen = np.concatenate(
                    [rng.permutation(own[clips.label[own] == k])[:count] for k in np.unique(clips.label[own])]
                )
                meant = np.setdiff1d(own, chosen)
                if not len(meant):
                    continue
                examples = [(clips.encodings[i], EKMAN7[int(clips.label[i])]) for i in chosen]
                learned = Adaptation.of_encodings(examples, model, modalities)
                mixed = baseline_of(clips, modalities, chosen, mixed=True)
                for kept, personal in ((adapted, learned), (unlabeled, mixed)):
                    kept += predict(model, clips, meant, modalities, personal)
        if adapted:
            show(f"{count} labeled clips a label", measured(adapted))
            show(f"the same {count} unlabeled, known", measured(unlabeled))


def fit(corpora: Mapping[str, Clips]) -> tuple[float, float]:
    """The constants by logistic regression: whether a set of clips shows several moods, from its variety and size."""
    from sklearn.linear_model import LogisticRegression

    features, several, weights = [], [], []
    for clips in corpora.values():
        scores = clips.scores("voice")
        found = [
            (np.log(max(ScoreStatistics.of(scores[chosen]).variety, 0) + 0.02), np.log(len(chosen)), kind == "several")
            for size in (2, 3, 5, 8, 12, 20)
            for kind in ("several", "one")
            for chosen, _ in sets(clips, kind, size, 10)
            if len(chosen) > 1 and (kind == "one" or len(np.unique(clips.label[chosen])) >= min(3, len(chosen)))
        ]
        kinds = np.array([kind for *_, kind in found])
        features += [(variety * size, size) for variety, size, _ in found]
        several += list(kinds)
        weights += list(np.where(kinds, 1 / kinds.sum(), CARE / (~kinds).sum()))
    model = LogisticRegression(C=10, fit_intercept=False, max_iter=5000)
    model.fit(np.array(features), several, sample_weight=np.array(weights) * len(several) / sum(weights))
    steepness, intercept = model.coef_[0]
    return float(np.exp(-intercept / steepness)), float(steepness)


def main(
    data: Path,
    cache: Path,
    corpora: list[str] | None,
    draws: int,
    fit_only: bool,
    leave_out: bool,
    figure: Path | None,
) -> None:
    """Print a Markdown table for each corpus."""
    analyzer = Analyzer()
    voice, face = Analyzer(modalities=("voice",)), Analyzer(modalities=("face",))
    held = {name: read(name, data, cache, voice) for name in LEARNED} if fit_only or leave_out else {}
    if fit_only:
        variety, steepness = fit(held)
        print(f"VARIETY, STEEPNESS = {variety:.2f}, {steepness:.2f}")
        return
    figures: dict[str, dict[str, float]] = {}
    for corpus in corpora or (*VOICES, *FACES, "av"):
        modalities = ("voice",) if corpus in VOICES else ("face",) if corpus in FACES else ("face", "voice", "text")
        chosen = voice if corpus in VOICES else face if corpus in FACES else analyzer
        clips = read(corpus, data, cache, chosen)
        if leave_out and corpus in LEARNED:
            statistics.VARIETY, statistics.STEEPNESS = fit({name: one for name, one in held.items() if name != corpus})
        print(
            f"\n{corpus}: {len(clips.label)} clips of {len(np.unique(clips.person))} people, {' + '.join(modalities)}\n"
        )
        print("| | UAR | right |\n|---|---|---|")
        found = figures.setdefault(corpus, {})

        def show(name: str, value: str, found: dict[str, float] = found) -> None:
            found[name] = float(value.split()[0])
            print(f"| {name} | {value} |", flush=True)

        table(clips, chosen.model, modalities, draws, show)
    if figure is not None:
        draw(figures, figure)


def draw(figures: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """UAR over the number of unlabeled clips, a panel for each corpus."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, len(figures), figsize=(2.3 * len(figures), 2.6), sharey=True, layout="constrained")
    kinds = {
        "several, known": ("#0072b2", "several moods, known"),
        "several": ("#009e73", "several moods"),
        "place": ("#e69f00", "other people"),
        "one": ("#d55e00", "one mood"),
    }
    for axis, (corpus, found) in zip(np.atleast_1d(axes), figures.items(), strict=True):
        for kind, (color, title) in kinds.items():
            values = [found["balanced prior"], *(found[f"{size} clips, {kind}"] for size in (2, 5, 20))]
            if kind == "one":  # other clips are measured: the loss counts
                for place, size in enumerate((2, 5, 20), 1):
                    values[place] += values[0] - found[f"{size} clips, one: the same clips without"]
            axis.plot(range(4), values, color=color, marker="o", markersize=3, label=title)
        axis.axhline(found["as trained"], color="0.5", linewidth=0.8, linestyle=":", label="as trained")
        axis.set_title(corpus, fontsize=9)
        axis.set_xticks(range(4), ["0", "2", "5", "20"], fontsize=8)
        axis.set_xlabel("unlabeled clips", fontsize=8)
        axis.tick_params(axis="y", labelsize=8)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    np.atleast_1d(axes)[0].set_ylabel("UAR", fontsize=8)
    fig.legend(*np.atleast_1d(axes)[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    fig.savefig(path, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="encodings are kept here")
    parser.add_argument("--corpora", nargs="*", help=f"some of {' '.join((*VOICES, *FACES, 'av'))}; all by default")
    parser.add_argument("--draws", type=int, default=3, help="sets of clips of each person and kind")
    parser.add_argument("--fit", action="store_true", dest="fit_only")
    parser.add_argument("--leave-out", action="store_true", help="learn the constants without the corpus measured")
    parser.add_argument("--figure", type=Path, help="also draw UAR over the number of clips, .png or .svg")
    main(**vars(parser.parse_args()))
