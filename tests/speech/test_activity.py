import csv
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mmemo.errors import ArgumentError
from mmemo.media import waveform
from mmemo.speech.activity import CHUNK, _Detector, _weights, speech_mask, speech_spans

pytestmark = pytest.mark.slow

RATE = 16_000
TIME = np.arange(10 * RATE) / RATE


def noise(color: float, seed: int = 0) -> np.ndarray:
    """Ten seconds of noise whose power falls as 1/f**color, with a peak of 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(len(TIME)))
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** (-color / 2)
    sound = np.fft.irfft(spectrum, len(TIME))
    return (sound / np.abs(sound).max()).astype(np.float32)


def files(data: Path, corpus: str, count: int) -> list[Path]:
    with (data / "voice" / "manifest.csv").open(encoding="utf-8") as file:
        paths = [data / "voice" / row["path"] for row in csv.DictReader(file) if row["corpus"] == corpus]
    return paths[:: len(paths) // count][:count]


def decibels(level: float) -> float:
    return 10 ** (level / 20)


@pytest.mark.parametrize("level", [0.0, -45.0])
@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(noise(0), id="white noise"),
        pytest.param(noise(1), id="pink noise"),
        pytest.param(noise(2), id="brown noise"),
        pytest.param(np.sin(2 * np.pi * 440 * TIME), id="tone"),
        pytest.param(np.sign(np.sin(2 * np.pi * 50 * TIME)), id="mains hum"),
        pytest.param(np.sin(2 * np.pi * (100 + 50 * TIME) * TIME), id="sweep"),
    ],
)
def test_what_is_not_speech_is_not_found_at_any_level(sound: np.ndarray, level: float):
    activity = speech_spans([(sound * decibels(level)).astype(np.float32)])
    assert activity.spans == ()
    assert activity.absence in ("no-speech", "too-quiet")
    assert activity.duration == 10.0


def test_silence_is_told_from_quiet_and_from_nothing():
    assert speech_spans([]).absence == "empty"
    assert speech_spans([np.zeros(0, np.float32)]).absence == "empty"
    silent = speech_spans([np.zeros(RATE, np.float32)])
    assert silent.absence == "digital-silence"
    assert silent.peak_db == -np.inf
    constant = speech_spans([np.full(RATE, 0.4, np.float32)])
    assert constant.absence == "digital-silence"
    assert speech_spans([(noise(0) * decibels(-75)).astype(np.float32)]).absence == "too-quiet"


def test_invalid_samples_count_as_silence():
    sound = np.full(RATE, np.nan, np.float32)
    sound[:10] = np.inf
    activity = speech_spans([sound])
    assert activity.invalid == RATE
    assert activity.absence == "digital-silence"


def test_a_tenth_of_a_second_is_enough_to_run():
    assert speech_spans([noise(0)[:1600]]).absence == "no-speech"


def test_blocks_must_be_mono():
    with pytest.raises(ArgumentError, match="mono"):
        speech_spans([np.zeros((2, 100), np.float32)])


def test_memory_does_not_grow_with_length():
    block = noise(0)

    def blocks(count: int) -> Iterator[np.ndarray]:
        for _ in range(count):
            yield block.copy()

    def peak(count: int) -> int:
        tracemalloc.start()
        activity = speech_spans(blocks(count))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert activity.duration == 10 * count
        return found

    _weights()
    assert peak(18) < 1.05 * peak(6)


def test_mask_of_a_stretch():
    mask = speech_mask([(0.5, 1.0), (2.0, 2.5)], 0.75, RATE)
    assert mask.shape == (RATE,)
    assert mask[: RATE // 4].all()
    assert not mask[RATE // 4 :].any()
    assert speech_mask([], 0.0, 10).sum() == 0
    assert speech_mask([(0.0, 9.0)], 1.0, 10).all()


@pytest.mark.data
def test_quiet_speech_is_found(shared_data: Path):
    """RAVDESS lies near -40 dBFS."""
    found = [speech_spans([waveform(path)]) for path in files(shared_data, "ravdess", 47)]
    shares = [sum(end - start for start, end in one.spans) / one.duration for one in found]
    assert all(one.spans for one in found)
    assert 0.4 < np.median(shares) < 0.6


@pytest.mark.data
def test_shouts_are_found(shared_data: Path):
    """Of these a detector at full speed alone finds none."""
    for take in ("05-02-01-01", "05-02-01-02", "03-02-01-01", "04-02-01-01"):
        path = shared_data / "voice" / "ravdess" / "Actor_06" / f"03-01-{take}-06.opus"
        (start, end), *_ = speech_spans([waveform(path)]).spans
        assert end - start > 0.35


@pytest.mark.data
def test_single_words_are_found(shared_data: Path):
    assert all(speech_spans([waveform(path)]).spans for path in files(shared_data, "turev", 50))


@pytest.mark.data
def test_gain_and_block_size_do_not_move_the_spans(shared_data: Path):
    sound = np.concatenate([waveform(path) for path in files(shared_data, "savee", 4)])
    reference = speech_spans([sound])
    assert len(reference.spans) >= 4
    for level in (-20.0, -40.0):
        spans = np.array(speech_spans([(sound * decibels(level)).astype(np.float32)]).spans)
        np.testing.assert_allclose(spans, reference.spans, atol=0.1)
    pieces = np.split(sound, np.cumsum(np.random.default_rng(0).integers(1, 20_000, 20)))
    assert speech_spans(pieces).spans == reference.spans


@pytest.mark.data
def test_speech_between_long_pauses(shared_data: Path):
    speech = waveform(files(shared_data, "savee", 1)[0])
    hiss = noise(1)[: 8 * RATE] * decibels(-60)
    activity = speech_spans([np.concatenate([hiss, speech, hiss, hiss]).astype(np.float32)])
    assert activity.spans[0][0] > 7.8
    assert activity.spans[-1][1] < 8.2 + len(speech) / RATE


@pytest.mark.data
def test_the_silent_track_of_a_real_clip(shared_data: Path):
    clips = sorted((shared_data / "av" / "ravdess").glob("02-*.mp4"))
    assert clips
    for clip in clips:
        assert speech_spans([waveform(clip)]).absence == "digital-silence"


@pytest.mark.data
def test_numbers_agree_with_a_plain_computation(shared_data: Path):
    """The batched convolutions and the LSTM against torch's own, chunk by chunk."""
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    weights = {name: torch.from_numpy(array) for name, array in _weights().items()}
    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict({name.split(".")[1]: array for name, array in weights.items() if "lstm" in name})
    sound = waveform(files(shared_data, "savee", 1)[0])
    chunks = sound[: len(sound) // CHUNK * CHUNK].reshape(-1, CHUNK)
    context, state, expected = torch.zeros(64), None, []
    for chunk in torch.from_numpy(chunks[:60]):
        x = functional.pad(torch.cat([context, chunk])[None, None], (0, 64), mode="reflect")
        parts = functional.conv1d(x, weights["stft_conv.weight"], stride=128)
        x = (parts[:, :129].square() + parts[:, 129:].square()).sqrt()
        for i, stride in ((1, 1), (2, 2), (3, 2), (4, 1)):
            x = functional.conv1d(x, weights[f"conv{i}.weight"], weights[f"conv{i}.bias"], stride, padding=1).relu()
        state = cell(x[..., 0], state)
        score = functional.conv1d(state[0].relu()[..., None], weights["final_conv.weight"], weights["final_conv.bias"])
        expected.append(score.sigmoid().item())
        context = chunk[-64:]
    np.testing.assert_allclose(_Detector(_weights())(chunks)[:60], expected, atol=1e-4)
