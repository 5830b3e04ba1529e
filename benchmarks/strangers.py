"""Fusion among strangers: clips put together from corpora that neither encoders nor head were fitted on.

    python benchmarks/strangers.py DATA --voice RUNS/voice --cache FOLDER

DATA: the unpacked corpora. Faces are those of SFEW (films), CK+48 (posed) and Yale, voices those of SAVEE, words those
of MELD's test part. Every file goes through `analyze`, and makes clips with the others of its label, as far as each of
them shows it (`mmemo.training.put_together`). RUNS/voice is the run folder of ``recipes/voice_speech.py``, for the twin
in which the head is fitted without one corpus and measured on it. Ten minutes; what was encoded is kept in FOLDER.

Gains are fused minus the best single modality on the same clips. Intervals are 95% bootstraps over the people that are
fewest: the four speakers of SAVEE are too few to draw from, so faces (films, people) and dialogues are drawn.
"""

from __future__ import annotations

import argparse
import csv
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from mmemo import Analyzer, Clip, EmotionModel, Frames, Sound
from mmemo.errors import MmemoError
from mmemo.evaluation.bootstrap import bootstrap
from mmemo.evaluation.metrics import expected_calibration_error, uar
from mmemo.fusion import RuleFusion
from mmemo.labels import EKMAN7, MELD7_TO_EKMAN7
from mmemo.media import waveform
from mmemo.pretrained import MODELS, load_model
from mmemo.training.put_together import ExpertSamples, Shown, put_together

sys.path.insert(0, str(Path(__file__).parent.parent / "recipes"))
from fusion_late import SHOWN, fit_head, read_samples

LABELS = {"happy": "happiness", "sad": "sadness", "angry": "anger", "surprised": "surprise", "disgusted": "disgust"}
CLIPS = 4200
EVERYTHING = {name: Shown() for name in SHOWN}


@dataclass(frozen=True)
class Measured:
    """Samples of one corpus, and the person, film or dialogue of each."""

    samples: ExpertSamples
    groups: np.ndarray


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--voice", type=Path, required=True, help="run folder of voice_speech.py")
    parser.add_argument("--cache", type=Path, required=True, help="folder for what was encoded")
    parser.add_argument("--most", type=int, help="clips of a corpus; all by default")
    chosen = parser.parse_args()
    chosen.cache.mkdir(parents=True, exist_ok=True)
    model = load_model("default")
    corpora = read_corpora(chosen.data, model, chosen.cache, chosen.most)
    print_gains(model, corpora, EVERYTHING, "every modality shows the label")
    print_gains(model, corpora, SHOWN, "as people show it: " + ", ".join(f"{n} {s}" for n, s in SHOWN.items()))
    print_corrupted(model, corpora)
    kept = chosen.cache / "fitted.pkl"
    if not kept.exists():
        folder = MODELS["default"].folder
        kept.write_bytes(pickle.dumps(read_samples(chosen.data, chosen.voice, folder, 2000, 0)))
    print_left_out(model, corpora, pickle.loads(kept.read_bytes()))


# 1. From files to samples ----------------------------------------------------------------


def read_corpora(data: Path, model: EmotionModel, cache: Path, most: int | None) -> dict[str, Measured]:
    """Samples of all corpora, and of corrupted copies of some."""
    priors = {name: model.priors[name] for name in model.modalities}
    faces = {name: _faces(data / "face", name) for name in ("sfew", "CK+48", "yale")}
    voices, lines = _voices(data / "voice"), _lines(data / "text" / "meld")
    clips: dict[str, tuple[str, Sequence[tuple[Callable[[], Clip], str, str]]]] = {
        **{name: ("face", files) for name, files in faces.items()},
        "sfew blurred": (
            "face",
            [(lambda make=make: blurred(make()), label, group) for make, label, group in faces["sfew"]],
        ),
        "savee": ("voice", voices),
        "savee at 0 dB": ("voice", [(lambda make=make: noisy(make()), label, group) for make, label, group in voices]),
        "meld": ("text", lines),
    }
    measured = {}
    for name, (modality, own) in clips.items():
        kept = cache / f"{name}.pkl"
        if not kept.exists():
            analyzer = Analyzer(EmotionModel([model.encoders[modality]], RuleFusion(EKMAN7, [modality])))
            kept.write_bytes(pickle.dumps(encode(analyzer, modality, own[:most])))
        logits, target, coverage, groups = pickle.loads(kept.read_bytes())
        samples = ExpertSamples(logits, priors[modality], target, np.full(len(target), name), coverage)
        measured[name] = Measured(samples, groups)
        print(f"{name}: {len(target)} of {len(own)}", flush=True)
    return measured


def encode(
    analyzer: Analyzer, modality: str, clips: Sequence[tuple[Callable[[], Clip], str, str]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Logits, targets, coverage and groups of the clips in which there is anything."""
    rows = []
    for make, label, group in clips:
        try:
            encoding = analyzer.encode(make()).get(modality)
        except MmemoError as error:
            print(error)
            continue
        if encoding is not None and encoding.quality is not None:
            rows.append((encoding.logits[0], EKMAN7.index(label), float(encoding.quality[0, 0]), group))
    logits, target, coverage, groups = zip(*rows, strict=True)
    return np.array(logits), np.array(target), np.array(coverage), np.array(groups)


def _faces(folder: Path, corpus: str) -> list[tuple[Callable[[], Clip], str, str]]:
    clips = []
    for file in sorted(path for path in (folder / corpus).rglob("*") if path.suffix in (".jpg", ".png")):
        label = LABELS.get(file.parent.name.lower(), file.parent.name.lower())
        if label in EKMAN7:
            clips.append((lambda file=file: Clip(file), label, _group(file)))
    return clips


def _group(picture: Path) -> str:
    """The film of SFEW, the person of CK+48 and Yale."""
    return picture.stem.removeprefix("tmp_").split("_")[0]


def _voices(folder: Path) -> list[tuple[Callable[[], Clip], str, str]]:
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["corpus"] == "savee"]
    known = [(folder / row["path"], LABELS.get(row["emotion"], row["emotion"]), row["speaker"]) for row in rows]
    return [(lambda path=path: Clip(path), label.replace("fearful", "fear"), speaker) for path, label, speaker in known]


def _lines(folder: Path) -> list[tuple[Callable[[], Clip], str, str]]:
    with (folder / "test_sent_emo.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        (
            lambda text=row["Utterance"]: Clip(text=text, language="en"),
            str(MELD7_TO_EKMAN7(row["Emotion"])),
            row["Dialogue_ID"],
        )
        for row in rows
    ]


def blurred(clip: Clip) -> Clip:
    """The picture blurred by a fiftieth of its width before a face is looked for."""
    picture = cv2.imread(str(clip.path))
    return Clip(Frames(cv2.GaussianBlur(picture, (0, 0), picture.shape[1] / 50)[None], color="bgr"))


def noisy(clip: Clip) -> Clip:
    """The sound with white noise as loud as itself."""
    sound = waveform(clip.path)
    noise = np.random.default_rng(len(sound)).normal(0, float(np.sqrt(np.mean(np.square(sound)))), len(sound))
    mixed = sound + noise.astype(np.float32)
    return Clip(Sound(mixed / max(1.0, float(np.abs(mixed).max())), 16_000))


# 2. Clips put together, and tables ------------------------------------------------------------


@dataclass(frozen=True)
class Scored:
    """Scores of put-together clips by every subset of modalities."""

    target: np.ndarray
    groups: np.ndarray
    scores: Mapping[tuple[str, ...], np.ndarray]

    def figures(self, chosen: tuple[str, ...]) -> tuple[str, str, str]:
        """UAR of the best single modality and of the fused, the gain with its interval, and the fused ECE."""
        classes, present = len(EKMAN7), np.unique(self.target)

        def recall(scores: np.ndarray, rows: np.ndarray) -> float:
            return uar(self.target[rows], scores[rows].argmax(axis=1), classes)

        everything = np.arange(len(self.target))
        best = max(((one,) for one in chosen), key=lambda one: recall(self.scores[one], everything))
        fused = self.scores[chosen]
        gain = bootstrap(
            lambda rows: recall(fused, rows) - recall(self.scores[best], rows), len(self.target), groups=self.groups
        )
        shown = fused[:, present] / fused[:, present].sum(axis=1, keepdims=True)
        error = expected_calibration_error(np.searchsorted(present, self.target), shown)
        return (
            f"{best[0]} {recall(self.scores[best], everything):.3f}",
            f"{recall(fused, everything):.3f}",
            (f"{100 * gain.value:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}] | {error:.3f}"),
        )


def score(model: EmotionModel, corpora: Mapping[str, Measured], shown: Mapping[str, Shown], seed: int = 0) -> Scored:
    """Put-together clips of labels that all corpora have; ``corpora`` by modality."""
    common = set.intersection(*(set(one.samples.target.tolist()) for one in corpora.values()))
    parts = {name: one.samples.rows(np.isin(one.samples.target, list(common))) for name, one in corpora.items()}
    groups = {name: one.groups[np.isin(one.samples.target, list(common))] for name, one in corpora.items()}
    target = np.resize(sorted(common), CLIPS)
    if any(one.silent or one.unrelated for one in shown.values()) and EKMAN7.index("neutral") not in common:
        raise SystemExit("without neutral samples nothing can be silent")
    rows = put_together(EKMAN7, parts, shown, target, seed)
    encodings = {name: own.encoding(rows[name], model.temperatures[name]) for name, own in parts.items()}
    scores = {}
    for size in range(1, len(encodings) + 1):
        for some in combinations(encodings, size):
            kept = {name: encodings[name] for name in some}
            scores[some] = model.scores(kept[some[0]]) if size == 1 else model.fuse(kept)
    drawn = next(name for name in ("face", "text", "voice") if name in groups)
    return Scored(target, groups[drawn][rows[drawn]], scores)


def print_gains(model: EmotionModel, corpora: Mapping[str, Measured], shown: Mapping[str, Shown], title: str) -> None:
    """Every pair and all three, for each corpus of faces."""
    print(f"\n{title}\n\n| face | modalities | best single | fused | gain, points | ECE |\n|---|---|---|---|---|---|")
    for face in ("sfew", "yale", "CK+48"):
        if face == "CK+48" and shown is not EVERYTHING:
            continue  # it has no neutral faces
        own = {"face": corpora[face], "voice": corpora["savee"], "text": corpora["meld"]}
        scored = score(model, own, {name: shown[name] for name in own})
        for chosen in (one for one in scored.scores if len(one) > 1):
            print(f"| {face} | {' + '.join(chosen)} | " + " | ".join(scored.figures(chosen)) + " |", flush=True)


def print_corrupted(model: EmotionModel, corpora: Mapping[str, Measured]) -> None:
    """All three fused where one is corrupted, against the other two fused, which are not."""
    plain = {"face": corpora["sfew"], "voice": corpora["savee"], "text": corpora["meld"]}
    cases = {
        "voice at 0 dB": ("voice", {**plain, "voice": corpora["savee at 0 dB"]}, EVERYTHING),
        "blurred face": ("face", {**plain, "face": corpora["sfew blurred"]}, EVERYTHING),
        "words of any label": ("text", plain, {**EVERYTHING, "text": Shown(unrelated=1.0)}),
    }
    print("\n| corrupted | it alone | the others | all three | difference, points |\n|---|---|---|---|---|")
    for name, (bad, own, shown) in cases.items():
        scored = score(model, own, shown)
        others = tuple(one for one in own if one != bad)

        def recall(some: tuple[str, ...], rows: np.ndarray, scored: Scored = scored) -> float:
            return uar(scored.target[rows], scored.scores[some][rows].argmax(axis=1), len(EKMAN7))

        rows = np.arange(CLIPS)
        change = bootstrap(
            lambda rows, recall=recall, others=others: recall(tuple(plain), rows) - recall(others, rows),
            CLIPS,
            groups=scored.groups,
        )
        print(
            f"| {name} | {recall((bad,), rows):.3f} | {recall(others, rows):.3f} | {recall(tuple(plain), rows):.3f} | "
            f"{100 * change.value:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}] |",
            flush=True,
        )


def print_left_out(model: EmotionModel, corpora: Mapping[str, Measured], fitted: Mapping[str, ExpertSamples]) -> None:
    """Heads fitted without one corpus of voices, on clips with voices of that corpus."""
    print("\n| voices left out | modalities | best single | fused | gain, points | ECE |\n|---|---|---|---|---|---|")
    voices = fitted["voice"]
    for corpus in np.unique(voices.corpus):
        here = voices.corpus == corpus
        head, temperatures = fit_head({**fitted, "voice": voices.rows(~here)}, 7000, 0)
        priors = {name: EKMAN7.scores(prior) for name, prior in model.priors.items()}
        other = EmotionModel(tuple(model.encoders.values()), head, temperatures, priors=priors)
        left_out = voices.rows(here)
        own = {
            "face": corpora["sfew"],
            "voice": Measured(left_out, np.zeros(len(left_out.target))),
            "text": corpora["meld"],
        }
        scored = score(other, own, EVERYTHING)
        for chosen in (("face", "voice"), ("voice", "text"), ("face", "voice", "text")):
            print(f"| {corpus} | {' + '.join(chosen)} | " + " | ".join(scored.figures(chosen)) + " |", flush=True)


if __name__ == "__main__":
    main()
