"""Fit the layer that detects voices without words on the state of the speech activity network.

    python recipes/vocal_bursts.py EMOGATOR SPEECH --out mmemo/weights/speech_activity/vocal_bursts.npy

EMOGATOR and SPEECH are manifests: tables with the columns ``path``, relative to the table, ``speaker`` and ``corpus``.
Of EMOGATOR the rows of the corpus "emogator" are taken (Buhl and Lane, "EmoGator: a new open source vocal burst dataset
with baseline machine learning classification methodologies", 2023; Apache-2.0), from SPEECH the quiet moments of
`ROOMS` files.

A logistic regression of 129 weights tells the loud chunks of vocal bursts from noises, tones, music and machines that
are synthesized here, and from the quiet moments of recordings. It is fitted on half of the people; on the other half a
call without ``--out`` measures the weights that mmemo has. 2 minutes on one core; the same tables give the same bytes.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from mmemo.checkpoint import sha256_of
from mmemo.evidence import SAMPLE_RATE
from mmemo.files import replacing_file
from mmemo.media import waveform
from mmemo.speech.activity import network_states, speech_spans

log = logging.getLogger("vocal_bursts")

BURSTS, ROOMS = 600, 160
"""Files of vocal bursts, and of speech with pauses, that are fitted on."""
VARIANTS = 6
"""Of each synthesized sound."""
LOUD, QUIET = 0.2, 0.015
"""Level of a chunk, as a share of the file's 95th percentile, above which it is voice, and below which it is none."""
RIDGE = 10.0
SECONDS = 10
TIME = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
HIGHEST = 7500.0
"""Hz, of a synthesized harmonic."""


def main(
    emogator: Annotated[Path, typer.Argument(help="Manifest with vocal bursts.")],
    speech: Annotated[Path, typer.Argument(help="Manifest with speech.")],
    out: Annotated[Path | None, typer.Option(help="File to write, .npy; without it mmemo's own is measured.")] = None,
) -> None:
    """Fit and write, or measure."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    random = np.random.default_rng(0)
    files = [(path, speaker) for path, speaker, corpus in _rows(emogator) if corpus == "emogator"]
    people = random.permutation(sorted({speaker for _, speaker in files}))
    fitted_on = set(people[: len(people) // 2].tolist())
    if out is None:
        measure([path for path, speaker in files if speaker not in fitted_on])
        return
    mine = [path for path, speaker in files if speaker in fitted_on]
    with replacing_file(out, [emogator, speech]) as partial:
        layer = fit(_some(mine, BURSTS, random), _some([path for path, *_ in _rows(speech)], ROOMS, random))
        with partial.open("wb") as file:
            np.save(file, layer.astype(np.float32))
    log.info("%s: SHA-256 %s", out, sha256_of(out))


def measure(paths: Sequence[Path]) -> None:
    """Log the share of files in which speech, and in which any voice, is detected."""
    found = [speech_spans([waveform(path)]) for path in paths]
    speech, voice = np.mean([(bool(one.spans), bool(one.voice)) for one in found], axis=0)
    log.info("%d files of vocal bursts: speech in %.1f%%, a voice in %.1f%%", len(found), 100 * speech, 100 * voice)


def fit(bursts: Sequence[Path], rooms: Sequence[Path]) -> np.ndarray:
    """(129,) float64: weights of the network's 128 units, and the bias."""
    voices, others = [], []
    for path in bursts:
        loud, quiet = _loud_and_quiet(path)
        voices.append(loud[::2])
        others.append(quiet[::4])
    others += [_loud_and_quiet(path)[1][::4] for path in rooms]
    for sound in synthesized():
        others.append(network_states(sound)[1][::3])
    voice, other = np.concatenate(voices), np.concatenate(others)
    log.info("%d chunks of voices, %d of others", len(voice), len(other))
    target = np.repeat([1.0, 0.0], [len(voice), len(other)])
    weight = len(target) / 2 / np.repeat([len(voice), len(other)], [len(voice), len(other)])
    return logistic_regression(np.concatenate([voice, other]), target, weight)


def logistic_regression(x: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weights and bias (D + 1,) by Newton's method, with a ridge on the weights.

    Args:
        x: (N, D).
        target: (N,) of 0 and 1; ``weight``: (N,) of each row.
    """
    x = np.column_stack([x, np.ones(len(x))]).astype(np.float64)
    ridge = np.diag([RIDGE] * (x.shape[1] - 1) + [1e-9])
    layer = np.zeros(x.shape[1])
    for _ in range(25):
        probability = 1 / (1 + np.exp(-np.clip(x @ layer, -30, 30)))
        curvature = weight * np.maximum(probability * (1 - probability), 1e-6)
        gradient = x.T @ (weight * (probability - target)) + ridge @ layer
        layer -= np.linalg.solve((x.T * curvature) @ x + ridge, gradient)
    return layer


def _rows(manifest: Path) -> Iterator[tuple[Path, str, str]]:
    with manifest.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield manifest.parent / row["path"], row["speaker"], row["corpus"]


def _some(paths: Sequence[Path], count: int, random: np.random.Generator) -> list[Path]:
    return [paths[place] for place in random.permutation(len(paths))[:count]]


def _loud_and_quiet(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """States (C, 128) at the loud chunks of a file, and at the quiet ones."""
    level, states = network_states(waveform(path))
    reference = np.quantile(level, 0.95)
    return states[level > LOUD * reference], states[level < QUIET * reference]


def synthesized() -> Iterator[np.ndarray]:
    """Ten seconds each of sounds that are no voice, (N,) float32."""
    for seed in range(VARIANTS):
        random = np.random.default_rng(seed)
        for sound in (*_noises(random), *_machines(random), *_music(random)):
            yield (sound / np.abs(sound).max() / 2).astype(np.float32)


def _noises(random: np.random.Generator) -> Iterator[np.ndarray]:
    """Colored and filtered noise, wind, breath, rain, clicks and keys."""
    for color in (0, 1, 2):
        yield _noise(random, color)
    low = random.uniform(50, 2000)
    yield _noise(random, 0, low, low * random.uniform(1.5, 4))
    gusts = np.interp(TIME, np.arange(0, SECONDS + 1, 0.7), random.uniform(0.2, 1, 16))
    yield _noise(random, 2, 20, 800) * gusts
    yield _noise(random, 0, 300, 3500) * np.maximum(0, np.sin(2 * np.pi * random.uniform(0.2, 0.4) * TIME)) ** 2
    drops, clicks = np.zeros(len(TIME)), np.zeros(len(TIME))
    drops[random.integers(0, len(TIME), 8000)] = random.exponential(1, 8000)
    drop = random.standard_normal(800) * np.exp(-np.arange(800) / 40)
    yield np.convolve(drops, np.diff(drop), "same") + 0.02 * _noise(random, 0)
    clicks[random.integers(0, len(TIME), random.integers(5, 60))] = 1
    yield np.convolve(clicks, np.exp(-np.arange(400) / random.uniform(10, 100)), "same")
    keys = np.zeros(len(TIME))
    for start in random.uniform(0, SECONDS - 0.2, 40):
        _add(keys, start, random.standard_normal(1200) * np.exp(-np.arange(1200) / 200))
    yield keys


def _machines(random: np.random.Generator) -> Iterator[np.ndarray]:
    """Tones, mains hum, beeps, a siren, an engine and bells."""
    yield np.sin(2 * np.pi * random.uniform(80, 3000) * TIME)
    yield _harmonics(np.full(len(TIME), random.choice([50.0, 60.0, 100.0, 120.0])), 30, random.uniform(0.3, 1.5))
    beeps = np.sin(2 * np.pi * random.uniform(0.5, 3) * TIME) > 0
    yield beeps * np.sin(2 * np.pi * random.uniform(400, 2500) * TIME)
    swing = np.sin(2 * np.pi * random.uniform(0.2, 1) * TIME)
    yield _harmonics(random.uniform(500, 900) * (1 + 0.3 * swing), 6, 1)
    engine = _harmonics(random.uniform(30, 120) * (1 + 0.2 * np.sin(2 * np.pi * 0.15 * TIME)), 40, 0.8)
    yield engine * (1 + 0.2 * _noise(random, 1)) + 0.2 * _noise(random, 1)
    bells, time = np.zeros(len(TIME)), TIME[:SAMPLE_RATE]
    for start in random.uniform(0, SECONDS - 1, 8):
        pitch = random.uniform(300, 1500)
        partials = [part for part in (0.5, 1, 1.19, 1.56, 2, 2.51, 2.66, 3.01) if part * pitch < HIGHEST]
        rung = [np.sin(2 * np.pi * pitch * part * time) * np.exp(-4 * part * time) for part in partials]
        _add(bells, start, np.sum(rung, axis=0))
    yield bells


def _music(random: np.random.Generator) -> Iterator[np.ndarray]:
    """Melodies and chords of four instruments, drums, and a band."""
    melodies, chords = [], []
    for instrument in (_plucked, _organ, _string, _flute):
        melodies.append(_played(instrument, random, random.choice([0.2, 0.3, 0.5]), 1))
        chords.append(_played(instrument, random, random.choice([0.4, 0.8]), 4))
    yield from melodies
    yield from chords
    drums, time = np.zeros(len(TIME)), TIME[:3000]
    for beat, start in enumerate(np.arange(0, SECONDS - 0.5, 0.25)):
        if beat % 2 == 0:
            _add(drums, start, np.sin(2 * np.pi * (50 * time + 1 - np.exp(-30 * time))) * np.exp(-15 * time))
        else:
            _add(drums, start, random.standard_normal(3000) * np.exp(-(25 if beat % 4 == 1 else 80) * time))
    yield drums
    yield 0.7 * drums + 0.2 * chords[1] + 0.3 * melodies[2]


Instrument = Callable[[float, np.ndarray], np.ndarray]


def _played(instrument: Instrument, random: np.random.Generator, step: float, voices: int) -> np.ndarray:
    """Random notes of a major scale, so many at once, each ``step`` seconds."""
    sound = np.zeros(len(TIME))
    for start in np.arange(0, SECONDS - 0.5, step):
        for _ in range(voices):
            pitch = random.choice([110, 220, 440]) * 2 ** (random.choice([0, 2, 4, 5, 7, 9, 11]) / 12)
            time = TIME[: int(step * SAMPLE_RATE * random.uniform(0.8, 1.8))]
            _add(sound, start, instrument(pitch, time))
    return sound


def _plucked(pitch: float, time: np.ndarray) -> np.ndarray:
    parts = [np.sin(2 * np.pi * pitch * part * time) / part * np.exp(-3 * part * time) for part in range(1, 9)]
    sound: np.ndarray = np.sum(parts[: int(HIGHEST / pitch)], axis=0)
    return sound


def _organ(pitch: float, time: np.ndarray) -> np.ndarray:
    parts = [np.sin(2 * np.pi * pitch * part * time) / part for part in (1, 2, 3, 4, 6) if part * pitch < HIGHEST]
    sound: np.ndarray = np.sum(parts, axis=0) * np.minimum(1, 50 * time) * np.minimum(1, 50 * (time[-1] - time))
    return sound


def _string(pitch: float, time: np.ndarray) -> np.ndarray:
    vibrato = pitch * (1 + 0.006 * np.sin(2 * np.pi * 5.5 * time))
    sound: np.ndarray = _harmonics(vibrato, 19, 1) * np.sin(np.pi * time / time[-1])
    return sound


def _flute(pitch: float, time: np.ndarray) -> np.ndarray:
    vibrato = pitch * (1 + 0.004 * np.sin(2 * np.pi * 5 * time))
    sound: np.ndarray = _harmonics(vibrato, 2, 1.7) * np.sqrt(np.maximum(0, np.sin(np.pi * time / time[-1])))
    return sound


def _harmonics(pitch: np.ndarray, count: int, fall: float) -> np.ndarray:
    """Harmonics of a pitch (N,) in Hz, whose amplitudes fall as 1 / number ** fall; (N,)."""
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    count = max(1, min(count, int(HIGHEST / pitch.max())))
    sound: np.ndarray = np.sum([np.sin(number * phase) / number**fall for number in range(1, count + 1)], axis=0)
    return sound


def _noise(random: np.random.Generator, color: float, low: float = 0.0, high: float = SAMPLE_RATE) -> np.ndarray:
    """Noise whose power falls as 1 / f ** color, between two frequencies, with a peak of 1."""
    spectrum = np.fft.rfft(random.standard_normal(len(TIME)))
    frequency = np.fft.rfftfreq(len(TIME), 1 / SAMPLE_RATE)
    spectrum *= np.maximum(frequency, 0.1) ** (-color / 2) * ((frequency >= low) & (frequency <= high))
    sound: np.ndarray = np.fft.irfft(spectrum, len(TIME))
    sound /= np.abs(sound).max()
    return sound


def _add(sound: np.ndarray, start: float, part: np.ndarray) -> None:
    """Add a part to a sound at ``start`` seconds, as far as it fits."""
    first = int(start * SAMPLE_RATE)
    sound[first : first + len(part)] += part[: len(sound) - first]


if __name__ == "__main__":
    typer.run(main)
