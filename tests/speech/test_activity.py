import csv
import importlib
import multiprocessing
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mmemo.errors import ArgumentError, WeightsError
from mmemo.media import waveform
from mmemo.speech import activity as activity_module
from mmemo.speech.activity import (
    BLOCK,
    CHUNK,
    NETWORK,
    SpeechActivity,
    SpeechDetector,
    _Detector,
    _network,
    _outside,
    speech_mask,
    speech_spans,
)

pytestmark = pytest.mark.slow

RATE = 16_000
ROOT = Path(__file__).parents[2]
SPEECH = ROOT / "mmemo" / "sample_media" / "speech.opus"
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


def test_sound_as_it_comes() -> None:
    """In blocks of a file exactly what a file has; in short ones nearly that, and at once."""
    speech = waveform(SPEECH)
    sound = np.concatenate([np.zeros(RATE, np.float32), *[speech, noise(1)[: 2 * RATE] * decibels(-50.0)] * 12])
    expected = speech_spans([sound])
    whole, live = SpeechDetector(100.0, BLOCK, keep=True), SpeechDetector(keep=True)
    for piece in np.array_split(sound, 700):
        whole.add(piece)
        live.add(piece)
        assert live.end >= 0
    assert len(live.activity().spans) < len(live.whole().spans)  # of the last minute alone
    whole.finish()
    live.finish()
    assert whole.whole() == expected.shifted(100.0)
    assert live.end == pytest.approx(len(sound) / RATE)
    spans = live.whole().spans
    assert [start for start, _ in spans] == pytest.approx([start for start, _ in expected.spans], abs=0.3)
    assert [end for _, end in spans] == pytest.approx([end for _, end in expected.spans], abs=0.3)


@pytest.mark.parametrize("color", [0, 1, 2])
def test_noise_as_it_comes_is_no_speech(color: float) -> None:
    detector = SpeechDetector()
    detector.add(noise(color) * decibels(-45.0))
    assert detector.activity().voice == ()


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
    assert activity.voice == ()
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

    _network()
    assert peak(18) < 1.05 * peak(6)


def test_vocal_bursts_are_what_speech_leaves_of_a_voice():
    speech = ((1.0, 2.0), (3.0, 4.0))
    assert _outside([(0.5, 5.0)], speech) == ((0.5, 1.0), (2.0, 3.0), (4.0, 5.0))
    assert _outside([(0.9, 2.2), (3.1, 3.9)], speech) == ()
    assert _outside([(0.0, 0.5), (6.0, 7.0)], speech) == ((0.0, 0.5), (6.0, 7.0))
    assert _outside([(0.0, 1.0)], []) == ((0.0, 1.0),)
    activity = SpeechActivity(speech, ((0.0, 0.5), (2.0, 3.0)), 10.0, -20.0, 0)
    assert activity.voice == ((0.0, 0.5), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0))
    assert activity.shifted(1.0).vocal_bursts == ((1.0, 1.5), (3.0, 4.0))
    assert SpeechActivity((), ((0.0, 0.5),), 10.0, -20.0, 0).absence is None


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
def test_vocal_bursts_are_a_voice(shared_data: Path):
    """Of these less than 80% are taken for speech; half of the people were fitted on."""
    with (shared_data / "voice" / "manifest_more.csv").open(encoding="utf-8") as file:
        paths = [row["path"] for row in csv.DictReader(file) if row["corpus"] == "emogator"]
    found = [speech_spans([waveform(shared_data / "voice" / path)]) for path in paths[::70]]
    assert np.mean([bool(one.voice) for one in found]) > 0.9
    assert np.mean([bool(one.spans) for one in found]) < 0.85


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


def test_spans_of_a_made_recording():
    """Speech between three seconds of noise 40 dB below them."""
    hiss = (noise(1)[: 3 * RATE] * decibels(-40)).astype(np.float32)
    activity = speech_spans([np.concatenate([hiss, waveform(SPEECH), hiss])])
    np.testing.assert_allclose(activity.spans, [(3.375, 6.588)], atol=0.03)


def test_probabilities_are_those_of_the_package_of_its_makers():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    silero_vad = pytest.importorskip("silero_vad")  # sets torch's number of threads
    torch.set_num_threads(threads)
    sound = waveform(SPEECH)
    chunks = sound[: len(sound) // CHUNK * CHUNK].reshape(-1, CHUNK)
    reference = silero_vad.load_silero_vad()
    expected = [reference(chunk, RATE).item() for chunk in torch.from_numpy(chunks)]
    detector = _Detector()
    found = np.concatenate([detector(part)[0] for part in np.array_split(chunks, 3)])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert min(expected) < 0.1 < 0.9 < max(expected)


def test_the_shipped_network_is_the_output_of_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("onnx")
    if importlib.util.find_spec("silero_vad") is None:
        pytest.skip("needs silero-vad")
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    importlib.import_module("speech_activity_onnx").main([str(tmp_path / "model.onnx")])
    assert (tmp_path / "model.onnx").read_bytes() == NETWORK.read_bytes()


def test_noises_and_machines_of_the_recipe_are_no_voice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    recipe = importlib.import_module("vocal_bursts")
    random = np.random.default_rng(99)
    for sound in (*recipe._noises(random), *recipe._machines(random)):
        found = speech_spans([(sound[: 5 * RATE] / np.abs(sound).max() / 2).astype(np.float32)])
        assert found.vocal_bursts == ()


def test_the_layer_of_the_recipe_is_a_logistic_regression(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    recipe = importlib.import_module("vocal_bursts")
    random = np.random.default_rng(0)
    x, weight = random.standard_normal((500, 3)), random.uniform(0.5, 2, 500)
    target = (x @ [1.0, -2.0, 0.0] + 0.5 + random.logistic(size=500) > 0).astype(float)
    layer = recipe.logistic_regression(x, target, weight)
    probability = 1 / (1 + np.exp(-(x @ layer[:-1] + layer[-1])))
    slope = x.T @ (weight * (probability - target)) + recipe.RIDGE * layer[:-1]
    np.testing.assert_allclose(slope, 0, atol=1e-6)
    assert layer[0] > 0.5
    assert layer[1] < -1


def test_the_recipe_writes_nothing_that_differs_from_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    onnx = pytest.importorskip("onnx")
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    recipe = importlib.import_module("speech_activity_onnx")
    network = onnx.load(NETWORK)
    bias = next(array for array in network.graph.initializer if array.name == "output.bias")
    bias.raw_data = (np.frombuffer(bias.raw_data, np.float32) + 0.01).tobytes()
    monkeypatch.setattr(recipe, "rewrite", lambda _: network)
    with pytest.raises(WeightsError, match="nothing was written"):
        recipe.main([str(tmp_path / "out.onnx"), "--source", str(NETWORK)])
    assert list(tmp_path.iterdir()) == []


def test_two_threads_detect_exactly_the_same_and_end(monkeypatch: pytest.MonkeyPatch):
    hiss = (noise(1) * decibels(-40)).astype(np.float32)
    sound = np.concatenate([hiss, waveform(SPEECH), hiss, waveform(SPEECH)])
    original, before = activity_module._ScaledDetector.__call__, set(threading.enumerate())
    results, threads = {}, {}
    for allowed in ("1", "2"):
        probabilities: set[bytes] = set()
        threads[allowed] = set()

        def call(self, sound, found=probabilities, idents=threads[allowed]):
            idents.add(threading.get_ident())
            level, *probabilities = original(self, sound)
            found.add(np.stack(probabilities).tobytes())
            return level, *probabilities

        monkeypatch.setattr(activity_module._ScaledDetector, "__call__", call)
        monkeypatch.setenv("OMP_NUM_THREADS", allowed)
        results[allowed] = speech_spans([sound]), probabilities
        assert set(threading.enumerate()) == before
    assert results["1"] == results["2"]
    assert len(results["1"][0].spans) == 2
    assert threads["1"] == {threading.get_ident()}
    assert threading.get_ident() not in threads["2"]


def test_an_error_ends_the_threads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = set(threading.enumerate())

    def broken() -> Iterator[np.ndarray]:
        yield noise(0)
        yield np.zeros((2, 100), np.float32)

    with pytest.raises(ArgumentError, match="mono"):
        speech_spans(broken())
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_detect_the_same(method: str):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"This system cannot {method}.")
    sound = waveform(SPEECH)
    here = speech_spans([sound])  # the network is loaded before the fork
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(speech_spans, ([sound],)) == here


def test_a_missing_or_damaged_network_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    damaged = tmp_path / "network.onnx"
    monkeypatch.setattr(activity_module, "NETWORK", damaged)
    for content, message in ((None, "can't be read"), (NETWORK.read_bytes()[:-1], "released with")):
        if content is not None:
            damaged.write_bytes(content)
        _network.cache_clear()
        with pytest.raises(
            WeightsError, match=rf"network.onnx.*{message}.*Reinstall|{message}.*network.onnx.*Reinstall"
        ):
            speech_spans([noise(0)])
