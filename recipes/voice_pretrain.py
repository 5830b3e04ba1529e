"""What speech without labels adds to few labels: a small wav2vec 2.0 that Whisper's encoder teaches, and linear probes.

    pip install 'mmemo[train]'
    python recipes/voice_pretrain.py DATA --out runs/small-wav2vec2

DATA is a folder with ``manifest.csv`` and, if it is there, ``manifest_more.csv`` (corpus, path, emotion, speaker …) and
the files that they name. SAVEE is left out. So is the sound of the RAVDESS actors whom the probes are tested on.

The student is a ``Wav2Vec2Model`` of transformers. It hears a distorted crop of 2 s and predicts two layers that the
frozen encoder of Whisper tiny.en gives for the clean one, after Chang et al., "DistilHuBERT", ICASSP 2022: L1 distance
and cosine, on values standardized over time. A quarter of a second is silenced in a share of the crops, so that it must
predict what it does not hear as well. No label is used, nor any text.

Then logistic regressions are fitted on the frozen features of RAVDESS with 100, 500 and all labels: of the student, of
the same network untrained, of hand-made prosody, and of the teacher. ``--out`` holds the student for
``VoiceEncoder.from_pretrained`` and `transformers`, the run folder ``report.json``.
"""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from mmemo.encoders.linear_probe import LinearProbe
from mmemo.encoders.voice.network import LogMel, WhisperEncoder, frames_mask, statistics
from mmemo.encoders.voice.waveform import pad, prepare
from mmemo.encoders.voice.whisper_weights import find_whisper, whisper_encoder
from mmemo.errors import ArgumentError
from mmemo.evaluation.bootstrap import bootstrap
from mmemo.evaluation.metrics import uar
from mmemo.evidence import SAMPLE_RATE, Seconds, VoiceEvidence
from mmemo.files import check_folder, replacing
from mmemo.labels import RAVDESS8
from mmemo.media import waveform
from mmemo.speech.activity import speech_mask, speech_spans
from mmemo.speech.prosody import measure
from mmemo.training.audio_augmentation import Augmentation
from mmemo.training.loop import Schedule, fit

log = logging.getLogger("voice_pretrain")
TEST = frozenset({"rav01", "rav11", "rav20", "rav21", "rav08", "rav09", "rav19", "rav23"})
"""Folds 1 and 3 of EmoBox: the actors whom the probes are tested on, and of whom nothing is heard before."""
LEFT_OUT = frozenset({"savee"})
LAYERS = (2, 4)
"""Layers of the teacher that are predicted."""
CROP: Seconds = 2.0
VALIDATION: Seconds = 120.0
"""Sound at the end of what is pretrained on, on which the best epoch is chosen instead."""
STRENGTHS = (1e-3, 1e-2, 0.1, 1.0)


# 1. The data ----------------------------------------------------------------


def read_rows(data: Path) -> list[dict[str, str]]:
    """Rows of the manifests; those of the people tested on come last."""
    rows: list[dict[str, str]] = []
    for name in ("manifest.csv", "manifest_more.csv"):
        if (data / name).exists():
            with (data / name).open(encoding="utf-8") as file:
                rows += [row for row in csv.DictReader(file) if row["corpus"] not in LEFT_OUT]
    return sorted(rows, key=lambda row: row["speaker"] in TEST)


def read_prepared(path: Path) -> np.ndarray:
    """Speech of a file as encoders get it, (N,) float16; N = 0 where there is none."""
    sound = waveform(path)
    spans = speech_spans([sound]).spans
    mask = speech_mask(spans, 0.0, len(sound))
    prepared = prepare(VoiceEvidence(sound, mask, float(mask.mean()))) if spans else None
    return np.zeros(0, np.float16) if prepared is None else prepared.astype(np.float16)


@dataclass(frozen=True, eq=False)
class Cache:
    """Prepared speech laid end to end, as a memory map.

    Attributes:
        sound: (N,) float16.
        starts: (U + 1,) samples at which each utterance begins, and the last one ends.
    """

    sound: np.ndarray
    starts: np.ndarray

    def __getitem__(self, row: int) -> np.ndarray:
        """(N,) float32."""
        return np.asarray(self.sound[self.starts[row] : self.starts[row + 1]], np.float32)


def read_cache(rows: Sequence[dict[str, str]], data: Path, run: Path, workers: int) -> Cache:
    """The speech of all rows; prepared first unless the run folder has it."""
    if not (run / "starts.npy").exists():
        with ProcessPoolExecutor(workers, initializer=threadpool_limits, initargs=(1,)) as pool:
            sounds = list(pool.map(read_prepared, [data / row["path"] for row in rows], chunksize=32))
        np.save(run / "sound.npy", np.concatenate(sounds))
        np.save(run / "starts.npy", np.cumsum([0, *map(len, sounds)]))
    return Cache(np.load(run / "sound.npy", mmap_mode="r"), np.load(run / "starts.npy"))


@dataclass(frozen=True, eq=False)
class Crops:
    """Random crops of the unlabeled sound; they may go across from one utterance into the next."""

    sound: np.ndarray
    batch: int
    seed: int

    def __call__(self, epoch: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of clean crops (B, N), and the same crops distorted."""
        rng, augmentation = np.random.default_rng((self.seed, epoch)), Augmentation(mask=0.6)
        size = int(CROP * SAMPLE_RATE)
        for _ in range(steps):
            firsts = rng.integers(0, len(self.sound) - size, self.batch)
            clean = np.stack([np.asarray(self.sound[first : first + size], np.float32) for first in firsts])
            distorted = np.stack([augmentation(crop, rng) for crop in clean])
            yield torch.from_numpy(clean), torch.from_numpy(distorted)


# 2. Teacher and student --------------------------------------------------------


class Teacher(nn.Module):
    """The frozen encoder of Whisper tiny.en."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder: WhisperEncoder = whisper_encoder(find_whisper())
        self.spectrum = LogMel(self.encoder.architecture.num_mel_bins)
        self.eval().requires_grad_(False)

    @torch.inference_mode()
    def forward(self, waveforms: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """All layers (B, T, D) of waveforms (B, N), 50 frames a second."""
        return self.encoder(self.spectrum(waveforms), mask)


class Student(nn.Module):
    """A small wav2vec 2.0 with a linear prediction of the teacher's layers.

    Args:
        width: of its layers; a multiple of 64.
        depth: number of its layers.
        size: values that are predicted for each frame.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, width: int, depth: int, size: int) -> None:
        super().__init__()
        config = Wav2Vec2Config(
            hidden_size=width, num_hidden_layers=depth, num_attention_heads=width // 64, intermediate_size=4 * width,
            # wav2vec 2.0 has seven convolutions, the first of a step of 5 samples: most of the time on a CPU.
            conv_dim=(64, 96, 128, 160, 160), conv_kernel=(40, 4, 4, 4, 2), conv_stride=(10, 4, 2, 2, 2),
            # Layer norm takes the level away but for these biases.
            num_feat_extract_layers=5, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True,
            num_conv_pos_embeddings=32, num_conv_pos_embedding_groups=16, layerdrop=0.0, mask_time_prob=0.0,
            hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0,
        )  # fmt: skip
        self.network = Wav2Vec2Model(config)
        self.prediction = nn.Linear(width, size)
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))

    def forward(self, waveforms: Tensor) -> Tensor:
        """Predictions (B, T, size) from waveforms (B, N), in units of the teacher's standard deviation."""
        sound = functional.layer_norm(waveforms, waveforms.shape[-1:])  # as the feature extractor does
        predicted: Tensor = self.prediction(self.network(sound).last_hidden_state)
        return predicted

    def targets(self, layers: Sequence[Tensor], frames: int) -> Tensor:
        """What is to be predicted, (B, frames, size), from all layers of the teacher.

        Frame t of the student is centered on the sample that frame t + 1 of the teacher is: 320 (t + 1).
        """
        chosen = torch.cat([layers[layer] for layer in LAYERS], dim=-1)[:, 1 : 1 + frames]
        return (chosen - self.centre) / self.spread

    def save(self, folder: Path) -> None:
        """Write the network without its prediction, as transformers does."""
        with replacing(folder) as partial:
            self.network.save_pretrained(partial)
            Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(partial)


def distances(predicted: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mean L1 distance and mean cosine of predictions and targets (B, T, size), layer by layer."""
    size = targets.shape[-1] // len(LAYERS)
    pairs = zip(predicted.split(size, -1), targets.split(size, -1), strict=True)
    cosine = torch.stack([functional.cosine_similarity(one, other, dim=-1).mean() for one, other in pairs]).mean()
    return (predicted - targets).abs().mean(), cosine


# 3. Probes ------------------------------------------------------------------------


@torch.inference_mode()
def features_of(layers_of: Callable[[Sequence[np.ndarray]], tuple[list[Tensor], Tensor]], cache: Cache,
                rows: Sequence[int], batch: int = 16) -> np.ndarray:  # fmt: skip
    """Mean and standard deviation over time of every layer, (N, F), batched by length."""
    order = sorted(rows, key=lambda row: int(cache.starts[row + 1] - cache.starts[row]))
    by_row: dict[int, np.ndarray] = {}
    for first in range(0, len(order), batch):
        chosen = order[first : first + batch]
        layers, mask = layers_of([cache[row] for row in chosen])
        by_row |= dict(zip(chosen, statistics(layers, mask).numpy(), strict=True))
    return np.stack([by_row[row] for row in rows])


def teacher_layers(teacher: Teacher, sounds: Sequence[np.ndarray]) -> tuple[list[Tensor], Tensor]:
    """All layers of padded sounds, and their mask."""
    waveforms, lengths = map(torch.from_numpy, pad(sounds))
    mask = frames_mask(lengths)
    return teacher(waveforms, mask), mask


def student_layers(folder: Path) -> Callable[[Sequence[np.ndarray]], tuple[list[Tensor], Tensor]]:
    """The layers of a saved student, through what a user loads."""
    from mmemo.encoders.voice.backbone_loaders import TransformersBackbone

    backbone = TransformersBackbone(folder)

    def layers(sounds: Sequence[np.ndarray]) -> tuple[list[Tensor], Tensor]:
        output = backbone([backbone.input(sound) for sound in sounds])
        return output.layers, output.mask

    return layers


def prosody_features(path: Path) -> np.ndarray:
    """Pitch, its range and movement, level, rate and pauses of one file, (13,); pitch in semitones."""
    sound = waveform(path)
    spans = speech_spans([sound]).spans
    found = measure([sound], spans)
    pitch = 12 * np.log2(found.pitch[np.isfinite(found.pitch)] / 55)
    spoken = found.energy[np.isfinite(found.rate)]
    pitches = [*np.percentile(pitch, [5, 25, 50, 75, 95]), pitch.std(), np.abs(np.diff(pitch)).mean()]
    levels = [np.percentile(spoken, 95) - np.percentile(spoken, 5), spoken.std(), np.abs(np.diff(spoken)).mean()]
    share = [len(pitch) / max(1, len(spoken)), found.summary["rate"] or 0.0, found.summary["pause_share"] or 0.0]
    return np.nan_to_num(np.array([*pitches, *levels, *share], np.float32))


def choose_labeled(label: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows of ``count`` utterances with the class shares of all."""
    rng, place = np.random.default_rng(seed), np.empty(len(label))
    for each in np.unique(label):
        rows = np.flatnonzero(label == each)
        place[rows] = (rng.permutation(len(rows)) + 0.5) / len(rows)
    return np.argsort(place, kind="stable")[:count]


def probe_all(
    features: dict[str, np.ndarray], label: np.ndarray, speaker: np.ndarray, counts: Sequence[int], seeds: int
) -> dict[str, Any]:
    """UAR on the test actors of probes with few labels and with all, and what the student gains over the others.

    Args:
        features: (N, F) by name.
        label: (N,) int.
        speaker: (N,)
        counts: numbers of labels; all are added.
        seeds: draws of the labeled utterances, over which the recalls are averaged.
    """
    held = np.isin(speaker, list(TEST))
    target, classes = label[held], len(RAVDESS8)
    report: dict[str, Any] = {}
    for count in (*[one for one in counts if one < (~held).sum()], int((~held).sum())):
        draws = [choose_labeled(label[~held], count, seed) for seed in range(seeds if count < (~held).sum() else 1)]
        predicted: dict[str, list[np.ndarray]] = {name: [] for name in features}
        for name, values in features.items():
            for rows in draws:
                known, groups = label[~held][rows], speaker[~held][rows]
                probe = LinearProbe.fit(values[~held][rows], known, classes, groups=groups, strengths=STRENGTHS)
                predicted[name].append(probe.logits(values[held]).argmax(1))

        def mean_uar(name: str, rows: np.ndarray, predicted: dict[str, list[np.ndarray]] = predicted) -> float:
            return float(np.mean([uar(target[rows], one[rows], classes) for one in predicted[name]]))

        def interval(metric: Callable[[np.ndarray], float]) -> dict[str, float]:
            found = bootstrap(metric, len(target), groups=speaker[held], draws=500)
            return {name: round(value, 4) for name, value in asdict(found).items()}

        every = np.arange(len(target))
        scores: dict[str, Any] = {}
        for name in features:
            scores[name] = interval(partial(mean_uar, name))
            scores[name]["draws"] = [round(uar(target, one, classes), 4) for one in predicted[name]]
        for name in features:
            if name != "student":
                scores[f"student - {name}"] = interval(
                    lambda rows, name=name, uar_of=mean_uar: uar_of("student", rows) - uar_of(name, rows)  # type: ignore[misc]
                )
        report[str(count)] = scores
        log.info("%d labels: %s", count, {name: round(mean_uar(name, every), 3) for name in features})
    return report


# 4. The run ----------------------------------------------------------------


def main(
    data: Annotated[Path, typer.Argument(help="Folder with manifest.csv and the corpora.")],
    out: Annotated[Path, typer.Option(help="Folder the student is written to.")],
    run: Annotated[Path, typer.Option(help="Cache, checkpoints and report; a run begun here is resumed.")] = Path(
        "~/.cache/mmemo/runs/voice_pretrain"
    ),
    steps: Annotated[int, typer.Option(help="Batches in all.")] = 1000,
    every: Annotated[int, typer.Option(help="Batches between two checkpoints.")] = 50,
    batch: Annotated[int, typer.Option(help="Crops of 2 s in a batch.")] = 8,
    width: Annotated[int, typer.Option(help="Of the student's layers.")] = 320,
    depth: Annotated[int, typer.Option(help="Number of the student's layers.")] = 4,
    learning_rate: Annotated[float, typer.Option(help="Peak of the cosine schedule.")] = 1e-3,
    averaging: Annotated[float, typer.Option(help="Decay of the moving average of the weights.")] = 0.98,
    labels: Annotated[list[int] | None, typer.Option(help="Numbers of labels of the probes; all are added.")] = None,
    seeds: Annotated[int, typer.Option(help="Draws of the labeled utterances.")] = 5,
    prosody: Annotated[bool, typer.Option(help="Probe hand-made prosody, too: some minutes.")] = True,
    bfloat16: Annotated[bool, typer.Option(help="Faster on CPUs that have it, ten times slower on others.")] = False,
    seed: Annotated[int, typer.Option(help="Of weights, crops and augmentation.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that read media.")] = 2,
    threads: Annotated[int, typer.Option(help="CPU threads of torch.")] = 1,
) -> None:
    """Pretrain a small wav2vec 2.0 without labels, and measure what it adds with few labels."""
    settings = {name: value for name, value in locals().items() if isinstance(value, int | float)}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    run = run.expanduser()
    run.mkdir(parents=True, exist_ok=True)
    for folder in (out, run / "untrained"):
        check_folder(folder, (data,))

    rows = read_rows(data)
    cache = read_cache(rows, data, run, workers)
    unlabeled = cache.sound[: cache.starts[sum(row["speaker"] not in TEST for row in rows)]]
    size = min(int(VALIDATION * SAMPLE_RATE), len(unlabeled) // 4)
    training, validation = unlabeled[:-size], unlabeled[-size:]
    if len(validation) <= CROP * SAMPLE_RATE:
        raise ArgumentError(
            f"{data} has {len(unlabeled) / SAMPLE_RATE:.1f} s of unlabeled speech: too little to learn."
        )
    hours = len(training) / SAMPLE_RATE / 3600
    log.info("%.1f hours of speech of %d files", hours, sum(row["speaker"] not in TEST for row in rows))

    teacher = Teacher()
    student = Student(width, depth, len(LAYERS) * teacher.encoder.architecture.d_model)
    student.save(run / "untrained")
    crops = Crops(training, batch, seed)
    sample = torch.cat([torch.cat([teacher(clean)[i] for i in LAYERS], -1) for clean, _ in crops(10**6, 16)])
    student.centre.copy_(sample.mean((0, 1)))
    student.spread.copy_(sample.std((0, 1)).clamp(min=1e-3))

    def loss(model: nn.Module, pair: tuple[Tensor, Tensor]) -> Tensor:
        assert isinstance(model, Student)
        predicted = model(pair[1]).float()
        distance, cosine = distances(predicted, model.targets(teacher(pair[0]), predicted.shape[1]))
        return distance - cosine

    def validate(model: nn.Module) -> float:
        """Mean cosine of predictions and teacher on undistorted sound."""
        assert isinstance(model, Student)
        cosines = []
        for clean, _ in Crops(validation, batch, seed)(0, max(1, 32 // batch)):
            predicted = model(clean)
            cosines.append(float(distances(predicted, model.targets(teacher(clean), predicted.shape[1]))[1]))
        return float(np.mean(cosines))

    schedule = Schedule(-(-steps // every), learning_rate, averaging=averaging, bfloat16=bfloat16)
    fitted = fit(student, lambda epoch: crops(epoch, every), every, loss, validate, schedule, run / "student")
    assert isinstance(fitted, Student)
    fitted.save(out)

    probed = [
        i for i, row in enumerate(rows) if row["corpus"] == "ravdess" and cache.starts[i + 1] - cache.starts[i] >= 1600
    ]
    features = {
        "student": features_of(student_layers(out), cache, probed),
        "untrained": features_of(student_layers(run / "untrained"), cache, probed),
        "teacher": features_of(partial(teacher_layers, teacher), cache, probed),
    }
    if prosody:
        if not (run / "prosody.npy").exists():
            with ProcessPoolExecutor(workers, initializer=threadpool_limits, initargs=(1,)) as pool:
                values = list(pool.map(prosody_features, [data / rows[i]["path"] for i in probed], chunksize=32))
            np.save(run / "prosody.npy", np.stack(values))
        features["prosody"] = np.load(run / "prosody.npy")
    label = np.array([RAVDESS8.index(rows[i]["emotion"]) for i in probed])
    speaker = np.array([rows[i]["speaker"] for i in probed])
    report = {
        "settings": settings,
        "parameters": sum(p.numel() for p in fitted.network.parameters()),
        "hours_of_speech": round(hours, 2),
        "hours_seen": round(steps * batch * CROP / 3600, 2),
        "corpora": sorted({row["corpus"] for row in rows}),
        "held_out": sorted(TEST),
        "cosine": json.loads((run / "student" / "history.jsonl").read_text().splitlines()[-1])["score"],
        "uar": probe_all(features, label, speaker, labels or (100, 500), seeds),
    }
    (run / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
