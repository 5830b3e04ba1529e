"""Face and voice of an exported model, without mmemo: ``python run.py FILE ...`` prints their scores as JSON.

A picture or video is scored by its one clearest face, a WAV file by its voice. `export_model` copies this file beside
the networks. It takes NumPy, OpenCV and ONNX Runtime; several people, words and fused scores take mmemo.
"""

from __future__ import annotations

import json
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime


class FaceModel:
    """What finds a face, and what scores it; ``run.json`` says how pictures are prepared."""

    def __init__(self, folder: Path) -> None:
        self.labels, self.settings, networks = _open(folder, "face")
        self.detector, self.landmarks, self.classifier = networks

    def __call__(self, path: str) -> dict[str, float]:
        """Share of each label for the face of a picture or video: the mean log scores of up to 15 frames a second."""
        found, known = [], None
        for picture in _pictures(path, self.settings["rate"]):
            image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            known = self.detect(image) if known is None else known
            if known is None:
                continue
            points, presence = self.locate(image, *known)
            known = None
            if presence > 0.5:
                found.append(self.log_scores(self.align(image, points)))
                known = np.array([points.min(axis=0), points.max(axis=0)]), points[self.settings["eyes"]]
        if not found:
            raise SystemExit(f"{path}: there is no face in it, or it can't be read.")
        return _shares(self.labels, np.mean(found, axis=0))

    def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Box (2, 2) and eyes (2, 2) of the clearest face of an RGB image, in pixels; None without one. BlazeFace."""
        height, width = image.shape[:2]
        side, middle = max(height, width), np.array([(width - 1) / 2, (height - 1) / 2])
        ticks = [np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n] * 2), -1).reshape(-1, 2) for n in (16, 8)]
        anchors = np.concatenate([np.repeat(ticks[0], 2, axis=0), np.repeat(ticks[1], 6, axis=0)])
        raw, logits = self.detector(_cut(image, _similarity(128 / side, 0, middle, (63.5, 63.5)), 128)[None])
        scores = 1 / (1 + np.exp(-np.clip(logits.reshape(-1), -50, 50)))
        values = raw[0] / 128
        centers, best = values[:, :2] + anchors, scores.argmax()
        if scores[best] < self.settings["min_score"]:
            return None
        same = np.linalg.norm(centers - centers[best], axis=1) < values[best, 2] / 2
        same &= scores >= self.settings["min_score"]
        points = np.stack([centers - values[:, 2:4] / 2, centers + values[:, 2:4] / 2], axis=1)
        points = np.concatenate([points, values[:, 4:8].reshape(-1, 2, 2) + anchors[:, None]], axis=1)
        pixels = (np.average(points[same], axis=0, weights=scores[same]) - 0.5) * side + middle
        return pixels[:2], pixels[2:]

    def locate(self, image: np.ndarray, box: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, float]:
        """Landmarks (478, 2) of the face in a box, and the probability that there is one."""
        side, (dx, dy) = 1.5 * float(np.ptp(box, axis=0).max()), eyes[1] - eyes[0]
        matrix = _similarity(256 / side, -np.arctan2(dy, dx), box.mean(axis=0), (128, 128))
        raw, presence = self.landmarks(_cut(image, matrix, 256)[None])
        points = (raw.reshape(478, 3)[:, :2] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        return points, float(1 / (1 + np.exp(-presence.item())))

    def align(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The gray crop (S, S) as in training: landmarks go to their places by weighted least squares (Umeyama)."""
        anchors, crop, size = self.settings["anchors"], self.settings["crop"], self.settings["size"]
        weights = np.array(anchors["weights"]) / np.sum(anchors["weights"])
        source, target = points[anchors["landmarks"]], np.array(anchors["places"]) * crop - 0.5
        from_middle, to_middle = weights @ source, weights @ target
        u, v = (source - from_middle) @ (1, 1j), (target - to_middle) @ (1, 1j)
        factor = (weights * u.conj()) @ v / (weights @ abs(u) ** 2)
        matrix = _similarity(abs(factor), np.angle(factor), from_middle, to_middle)
        gray = cv2.cvtColor(_cut(image, matrix, crop, cv2.BORDER_REPLICATE), cv2.COLOR_RGB2GRAY)
        return np.asarray(cv2.resize(gray, (size, size), interpolation=cv2.INTER_AREA), np.float32) / 255

    def log_scores(self, crop: np.ndarray) -> np.ndarray:
        """Log scores (K,) of a crop: the mean over its views, calibrated, without the habits of the training data."""
        middle, turn = (len(crop) - 1) / 2, self.settings["turn"]
        turns = [cv2.getRotationMatrix2D((middle, middle), angle, 1.0) for angle in {turn, -turn}]
        views = [cv2.warpAffine(crop, one, crop.shape, borderMode=cv2.BORDER_REPLICATE) for one in turns]
        logits = self.classifier(np.stack(views)[:, None])[1]
        if self.settings["mirror"]:
            logits = (logits + self.classifier(np.stack([view[:, ::-1] for view in views])[:, None])[1]) / 2
        return _calibrated(_log_softmax(logits).mean(axis=0), self.settings)


class VoiceModel:
    """What finds where somebody speaks, laughs or cries, and what scores it; ``run.json`` says how."""

    def __init__(self, folder: Path) -> None:
        self.labels, self.settings, (self.activity, self.classifier) = _open(folder, "voice")
        self.rate: int = self.settings["sample_rate"]

    def __call__(self, path: str) -> dict[str, float]:
        """Share of each label for the voice of a WAV file: the mean log scores of its windows by their coverage."""
        sound = _sound(path, self.rate)
        speech, scores, weights = self.detect(sound), [], []
        length, hop = (round(self.settings[name] * self.rate) for name in ("window", "hop"))
        starts = range(0, max(1, len(sound) - length + hop), hop)
        windows = [slice(start, min(start + length, len(sound))) for start in starts]
        waiting = [one for one in windows if speech[one].sum() >= self.settings["shortest"] * self.rate]
        while waiting:  # windows that overlap go through the network together
            some = [waiting.pop(0)]
            while waiting and len(some) < self.settings["together"] and waiting[0].start < some[-1].stop:
                some.append(waiting.pop(0))
            scores += list(self.log_scores(sound, speech, some))
            weights += [speech[one].mean() for one in some]
        if not scores:
            raise SystemExit(f"{path}: there is no voice in it.")
        return _shares(self.labels, np.average(scores, axis=0, weights=weights))

    def log_scores(self, sound: np.ndarray, speech: np.ndarray, windows: list[slice]) -> np.ndarray:
        """Log scores (W, K) of overlapping windows, from their first to their last speech, at the level of training."""
        margin, step, spans = int(self.settings["margin"] * self.rate), self.settings["step"], []
        for window in windows:
            spoken = np.flatnonzero(speech[window]) + window.start
            spans.append((max(window.start, spoken[0] - margin), min(window.stop, spoken[-1] + 1 + margin)))
        begin, end = min(first for first, _ in spans), max(last for _, last in spans)
        level = self.settings["level"]
        piece = sound[begin:end] - sound[begin:end][speech[begin:end]].mean(dtype=float)
        piece *= level["target"] / np.sqrt(np.mean(piece[speech[begin:end]] ** 2))
        size, knee = abs(piece), level["knee"]
        bent = knee + (1 - knee) * np.tanh((size - knee) / (1 - knee))
        piece = np.where(size > knee, np.sign(piece) * bent, piece).astype(np.float32)
        own = np.zeros((1, len(spans), -(-len(piece) // step)), bool)
        for row, (first, last) in enumerate(spans):
            own[0, row, round((first - begin) / step) : -(-(last - begin) // step)] = True
        logits = self.classifier(piece[None], np.ones(own[:, 0].shape, bool), own)[1][0]
        return _log_softmax(_calibrated(logits, self.settings))

    def detect(self, sound: np.ndarray) -> np.ndarray:
        """Where there is a voice, (N,) bool: Silero's network at full speed and at two thirds of it."""
        settings, speech, bursts = self.settings["activity"], [], []
        plain, slow = _Activity(self.activity, settings), _Activity(self.activity, settings)
        for first in range(0, len(sound), settings["block"]):
            block = sound[first : first + settings["block"]]
            fast, voices = (np.repeat(one, 3)[::2] for one in plain(block))
            slowed, _ = slow(_slowed(block))
            speech += np.maximum(slowed, fast[: len(slowed)]).tolist()
            bursts += voices[: len(slowed)].tolist()
        mask = np.zeros(len(sound), bool)
        grid = settings["chunk"] / 1.5  # samples
        spoken = _spans(speech, settings["speech"], settings, grid, len(sound))
        ends, starts = [0, *(end for _, end in spoken)], [*(start for start, _ in spoken), len(sound)]
        gaps = list(zip(ends, starts, strict=True))
        laughs = _spans(bursts, settings["burst"], settings, grid, len(sound))
        outside = [(max(start, free), min(end, until)) for start, end in laughs for free, until in gaps]
        for start, end in spoken + [span for span in outside if span[1] - span[0] >= settings["shortest"]]:
            mask[round(start) : round(end)] = True
        return mask


class _Activity:
    """The network for speech and for any voice on one sound, block by block, brought to the level that it needs."""

    def __init__(self, network: Callable[..., list[np.ndarray]], settings: dict[str, Any]) -> None:
        self.network, self.settings, self.reference = network, settings, 0.0
        self.context = np.zeros(settings["context"], np.float32)
        self.hidden = self.cell = np.zeros((1, 1, len(settings["burst_layer"]) - 1), np.float32)

    def __call__(self, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of speech and of any voice of each chunk (C,)."""
        size, (*weights, bias) = self.settings["chunk"], np.array(self.settings["burst_layer"], np.float32)
        chunks = np.pad(sound, (0, -len(sound) % size), "edge").astype(np.float32).reshape(-1, size)
        chunks = chunks - chunks.mean(axis=1, keepdims=True)
        level = np.sqrt(np.mean(chunks**2, axis=1, dtype=float))
        if level.max() < self.settings["quiet"]:
            return 0 * level, 0 * level
        before = self.reference
        self.reference = max(float(np.quantile(level, 0.95)), before / 2)
        loud = np.full(len(level), self.reference)
        if before:  # a step of the gain would itself sound like an onset
            ramp = np.linspace(0, 1, min(16, len(level)), endpoint=False)
            loud[: len(ramp)] += (before - self.reference) * (1 - ramp)
        chunks *= np.clip(self.settings["target"] / loud, *self.settings["gain"]).astype(np.float32)[:, None]
        earlier = np.concatenate([self.context[None], chunks[:-1, -len(self.context) :]])
        self.context = chunks[-1, -len(self.context) :]
        speech, self.hidden, self.cell, states = self.network(
            np.concatenate([earlier, chunks], axis=1), self.hidden, self.cell
        )
        return speech, 1 / (1 + np.exp(-(states @ weights + bias)))


def _pictures(path: str, rate: float) -> Iterator[np.ndarray]:
    """A picture, or the frames of a video, at most about so many a second."""
    picture, due = cv2.imread(path), 0.0
    if picture is not None:
        yield picture
        return
    video = cv2.VideoCapture(path)
    while video.grab():
        time = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if time >= due:
            due = time + 0.9 / rate
            yield video.retrieve()[1]


def _sound(path: str, rate: int) -> np.ndarray:
    """A WAV file as (N,) float32 mono at a sample rate."""
    try:
        with wave.open(path) as file:
            width, channels, own = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
        if width != 2:
            raise wave.Error(f"it has {8 * width} bits a sample")
    except (OSError, EOFError, wave.Error) as error:
        raise SystemExit(
            f"{path}: {error}. WAV of 16 bits it is after: ffmpeg -i {path} -ac 1 -ar {rate} new.wav"
        ) from None
    sound: np.ndarray = np.frombuffer(data, "<i2").reshape(-1, channels).mean(axis=1, dtype=np.float32) / 32768
    if own == rate or not len(sound):
        return sound
    count = len(sound) * rate // own  # by its spectrum, which is cut off, or followed by nothing
    resampled = np.fft.irfft(np.fft.rfft(sound)[: count // 2 + 1], count) * (count / len(sound))
    return np.asarray(resampled, np.float32)


def _slowed(sound: np.ndarray) -> np.ndarray:
    """A sound at two thirds of its speed, by linear interpolation."""
    even = np.append(sound, np.zeros(len(sound) % 2, np.float32))
    first, second = even[::2], even[1::2]
    third = np.append(first[1:], second[-1:])
    return np.stack([first, (first + 2 * second) / 3, (2 * second + third) / 3], axis=1).reshape(-1)


def _spans(
    chances: list[float], bounds: list[float], settings: dict[str, Any], grid: float, length: int
) -> list[tuple[float, float]]:
    """Where probabilities rise above a bound, until they fall below another; in samples, with a margin."""
    spans: list[tuple[float, float]] = []
    start: int | None = None
    for place, chance in enumerate([*chances, -1.0]):
        if start is None and chance >= bounds[0]:
            start = place
        elif start is not None and chance < bounds[1]:
            begin = start * grid
            if spans and begin - spans[-1][1] < settings["pause"]:
                begin = spans.pop()[0]
            spans.append((begin, min(place * grid, length)))
            start = None
    long = [span for span in spans if span[1] - span[0] >= settings["shortest"]]
    return [(max(0.0, start - settings["margin"]), min(length, end + settings["margin"])) for start, end in long]


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))


def _calibrated(logs: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """Over the temperature, without the habits of the training data."""
    return np.asarray(logs / settings["temperature"] - np.log(settings["prior"]))


def _shares(labels: list[str], logs: np.ndarray) -> dict[str, float]:
    shares = np.exp(logs - logs.max())
    return dict(zip(labels, (shares / shares.sum()).round(5).tolist(), strict=True))


def _open(folder: Path, name: str) -> tuple[list[str], dict[str, Any], list[Callable[..., list[np.ndarray]]]]:
    """Labels, the settings of a modality, and its networks."""
    everything = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    if name not in everything:
        raise SystemExit(f"This model has no network for the {name}.")
    settings = everything[name]
    return everything["labels"], settings, [_network(folder / graph) for graph, *_ in settings["networks"].values()]


def _network(path: Path) -> Callable[..., list[np.ndarray]]:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that wait would keep cores busy
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(*inputs: np.ndarray) -> list[np.ndarray]:
        outputs: list[np.ndarray] = session.run(None, dict(zip(names, inputs, strict=True)))
        return outputs

    return run


def _similarity(scale: float, angle: float, source: Any, target: Any) -> np.ndarray:
    """The (2, 3) transform that scales, turns, and takes one point to another."""
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[a, -b], [b, a]])
    return np.column_stack([linear, np.array(target) - linear @ source])


def _cut(image: np.ndarray, matrix: np.ndarray, size: int, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """The square piece of an image that a transform shows; it shrinks by the mean. Gray, or repeated, at the rim."""
    factor = max(1, int(np.ceil(1 / np.hypot(*matrix[:, 0]))))
    large = matrix * factor
    large[:, 2] += (factor - 1) / 2
    side, gray = (size * factor, size * factor), (128, 128, 128)
    square = cv2.warpAffine(image, large, side, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=gray)
    return np.asarray(cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA))


if __name__ == "__main__":
    if not sys.argv[1:]:
        raise SystemExit("Name pictures, videos or WAV files: python run.py clip.mp4 clip.wav")
    here, found = Path(__file__).parent, {}
    for file in sys.argv[1:]:
        found[file] = (VoiceModel if file.lower().endswith(".wav") else FaceModel)(here)(file)
    print(json.dumps(found if len(found) > 1 else found[file], indent=2))
