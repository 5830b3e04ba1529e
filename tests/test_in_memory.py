"""Pictures, frames, sound and files in memory: the same results as from their files, and one clear error for the rest."""

from __future__ import annotations

import http.server
import io
import math
import pickle
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

import mmemo
from mmemo import Analyzer, Clip, EmotionResult, Frames, Sound
from mmemo.batch.sources import is_many
from mmemo.errors import ArgumentError, ManifestError, MediaError, MissingStreamError
from mmemo.in_memory import Encoded, as_media
from mmemo.media import frames, probe, waveform, waveform_blocks
from mmemo.samples import portrait, speech

PICTURE = np.zeros((64, 48, 3), np.uint8)
SOUND = Sound(np.zeros(1600, np.float32), 16_000)
Z = np.zeros


class Tensor:
    """What torch's tensors have: an array, or a reason why there is none."""

    def __init__(self, array: np.ndarray | None) -> None:
        self._array = array

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        if self._array is None:
            raise TypeError("can't convert cuda:0 device type tensor to numpy.")
        return self._array


class Pipe:
    """A file object that can only be read on, a little at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 1000))


class Broken:
    def read(self, _: int = -1) -> bytes:
        raise OSError(5, "Input/output error")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds ``face.png``, ``voice.wav`` (int16, 44.1 kHz, stereo) and ``both.mkv``, lossless."""
    folder = tmp_path_factory.mktemp("media")
    cv2.imwrite(str(folder / "face.png"), portrait()[:, :, ::-1])
    with wave.open(str(folder / "voice.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(stereo().tobytes())
    _write_lossless(folder / "both.mkv")
    return folder


def stereo() -> np.ndarray:
    """(N, 2) int16."""
    left = np.interp(np.arange(88_200) / 44_100, np.arange(32_000) / 16_000, speech()[:32_000])
    return (np.stack([left, left * 0.8], axis=1) * 32_767).astype(np.int16)


def moving() -> np.ndarray:
    """(50, 150, 150, 3) uint8: a face that sways."""
    small = cv2.resize(portrait(), (150, 150), interpolation=cv2.INTER_AREA)
    return np.stack([np.roll(small, round(3 * math.sin(number / 8)), axis=1) for number in range(50)])


def _write_lossless(path: Path) -> None:
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 150, 150, "bgr0"
        audio: Any = container.add_stream("pcm_s16le", rate=44_100)
        audio.layout = "stereo"
        for number, image in enumerate(moving()):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgr0")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(video.encode(picture))
        sound = av.AudioFrame.from_ndarray(stereo().reshape(1, -1), format="s16", layout="stereo")
        sound.sample_rate, sound.pts = 44_100, 0
        for stream, last in ((audio, sound), (video, None), (audio, None)):
            container.mux(stream.encode(last))


def same(one: EmotionResult, other: EmotionResult) -> bool:
    return replace(one, source=None) == replace(other, source=None)


def test_a_picture_scores_as_its_file_does(analyzer: Analyzer, folder: Path) -> None:
    file = analyzer(folder / "face.png")
    picture = portrait()
    picture.flags.writeable = False
    result = analyzer(picture)
    assert result.source == "<picture 300x300>"
    assert same(result, file)
    assert same(analyzer((folder / "face.png").read_bytes()), file)


def test_a_still_has_no_length_for_a_sound(analyzer: Analyzer) -> None:
    result = analyzer((Frames(portrait()), Sound(stereo(), 44_100)))
    assert set(result.modalities) == {"face"}
    assert [note.code for note in result.notes] == ["still-with-sound"]


@pytest.mark.slow
def test_frames_and_sound_score_as_their_file_does(analyzer: Analyzer, folder: Path) -> None:
    file = analyzer(folder / "both.mkv")
    pictures, sound = Frames(moving(), fps=25), Sound(stereo(), 44_100)
    result = analyzer((pictures, sound))
    assert result.source == "<50 frames 150x150>"
    assert {"face", "voice"} <= set(result.modalities)
    assert same(result, file)
    assert same(
        analyzer(Clip(pictures, audio=sound, start=0.5, end=1.75)), analyzer(Clip(folder / "both.mkv", 0.5, 1.75))
    )


@pytest.mark.parametrize(
    ("given", "color"),
    [
        (lambda picture: [picture], None),
        (lambda picture: picture[None], None),
        (lambda picture: Frames(picture), None),
        (lambda picture: Frames([picture], fps=25), None),
        (lambda picture: np.asfortranarray(picture), None),
        (lambda picture: picture[:, :, ::-1], "bgr"),
        (lambda picture: np.dstack([picture[:, :, ::-1], np.full((300, 300), 7, np.uint8)]), "bgr"),
        (lambda picture: picture / 255, None),
        (lambda picture: (picture / 255).astype(np.float16), None),
        (lambda picture: Tensor(picture.transpose(2, 0, 1)), None),
        (lambda picture: Tensor((picture.transpose(2, 0, 1) / 255).astype(np.float32)), None),
    ],
)
def test_every_form_of_a_picture_is_the_same_picture(given: Callable[[np.ndarray], Any], color: Any) -> None:
    media = as_media(given(portrait()), color)
    assert isinstance(media, Frames)
    (frame,) = frames(media)
    assert np.array_equal(frame.image, portrait())
    assert (probe(media).kind, probe(media).duration, probe(media).notes) == ("image", 0.0, ())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_pil_image_is_the_picture_that_its_file_shows(tmp_path: Path, mode: str) -> None:
    pil = pytest.importorskip("PIL.Image", reason="needs the extra dev")
    image = pil.fromarray(portrait()).convert(mode)
    image.save(
        tmp_path / "face.png",
        exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06" + bytes(6),
    )
    with pil.open(tmp_path / "face.png") as opened:
        turned = next(frames(as_media(opened))).image
    assert np.array_equal(turned, next(frames(tmp_path / "face.png")).image)
    assert not np.array_equal(turned, next(frames(as_media(image))).image)  # EXIF turned it


def test_a_deep_pil_image_is_not_cut_off() -> None:
    pil = pytest.importorskip("PIL.Image", reason="needs the extra dev")
    with pytest.raises(ArgumentError, match="got uint16"):
        as_media(pil.fromarray(np.full((64, 64), 30_000, np.uint16)))


def test_gray_pictures_are_those_of_their_files(tmp_path: Path) -> None:
    gray = cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY)
    cv2.imwrite(str(tmp_path / "gray.png"), gray)
    for given in (gray, gray[:, :, None], gray[None], gray / 255):
        assert np.array_equal(next(frames(as_media(given))).image, next(frames(tmp_path / "gray.png")).image)
    assert len(Frames(np.stack([gray] * 5), fps=5)) == 5


def test_frames_are_those_of_a_lossless_file(folder: Path) -> None:
    pictures = Frames(moving(), fps=25)
    info, file = probe(pictures), probe(folder / "both.mkv")
    assert (info.kind, info.video, info.duration) == ("video", file.video, pytest.approx(file.duration, abs=0.03))
    for how in ({}, {"max_side": 100}, {"max_rate": 10.0}, {"start": 0.5, "end": 1.2}):
        pairs = list(zip(frames(pictures, **how), frames(folder / "both.mkv", **how), strict=True))
        assert len(pairs) > 10
        for one, other in pairs:
            assert one.time == other.time
            assert np.array_equal(one.image, other.image)


def test_frames_have_the_times_that_they_are_given() -> None:
    pictures = Frames([PICTURE] * 3, times=[0.25, 0.5, 1.5])
    assert [frame.time for frame in frames(pictures)] == [0.25, 0.5, 1.5]
    assert (pictures.duration, pictures.sizes) == (2.125, ((48, 64),))
    assert pictures.rate == pytest.approx(3 / 1.875)
    assert Frames([PICTURE] * 3, Fraction(30_000, 1001)).duration == pytest.approx(0.1001)  # type: ignore[arg-type]


def test_a_bare_list_of_pictures_is_one_recording_with_a_note() -> None:
    info = probe(as_media([PICTURE] * 4))
    assert (info.kind, info.duration) == ("video", 0.4)
    assert [note.code for note in info.notes] == ["assumed-rate"]
    assert len(list(frames(info.source, max_rate=15.0))) == 4


def test_pictures_of_different_sizes_are_each_scored_by_itself(analyzer: Analyzer) -> None:
    first, nobody = cv2.resize(portrait(), (160, 160)), np.full((90, 70, 3), 128, np.uint8)
    pair = np.hstack([portrait(), portrait()[:, ::-1]])
    given = [first, nobody, pair, portrait()]
    result = analyzer(given)
    assert (result.source, result.duration) == ("<4 pictures>", 4.0)
    assert [(one.start, one.end) for one in result.segments] == [(0.0, 1.0), (2.0, 3.0), (3.0, 4.0)]
    for segment in result.segments:
        alone = analyzer(given[int(segment.start)])
        assert segment.scores == alone.segments[0].scores
    assert [note.code for note in result.notes if note.code != "no-audio"] == ["separate-pictures"]
    assert len(result.people) == 2  # two at once, and one of them is the one in the others
    assert [segment.start for segment in result.people[0].segments] == [0.0, 2.0, 3.0]
    assert [segment.start for segment in result.people[1].segments] == [2.0]
    assert len(analyzer(given[2]).people) == 2


@pytest.mark.parametrize(
    "given",
    [
        stereo(),
        stereo().T,
        stereo() / 32_768,
        (stereo() / 32_768).astype(np.float32),
        stereo().astype(np.int32) * 65_536,
        Tensor(stereo().T),
    ],
    ids=["int16", "channels first", "float64", "float32", "int32", "tensor"],
)
def test_sound_is_that_of_its_wav_file(folder: Path, given: Any) -> None:
    sound = Sound(given, 44_100)
    assert np.array_equal(waveform(sound), waveform(folder / "voice.wav"))
    assert (probe(sound).kind, probe(sound).duration, probe(sound).audio) == (
        "audio",
        2.0,
        probe(folder / "voice.wav").audio,
    )
    later = np.concatenate(list(waveform_blocks(sound, 1.0, 1.5)))
    assert np.array_equal(later, np.concatenate(list(waveform_blocks(folder / "voice.wav", 1.0, 1.5))))


def test_sound_of_other_types_and_channels_is_read() -> None:
    tone = np.sin(np.arange(16_000) / 10)
    assert np.allclose(waveform(Sound((tone * 127 + 128).astype(np.uint8), 16_000)), tone, atol=0.02)
    assert np.allclose(waveform(Sound(tone.astype(np.float16), np.float64(16_000))), tone, atol=1e-3)
    assert np.allclose(waveform(Sound(np.stack([tone] * 4), 16_000)), tone, atol=1e-3)
    assert np.allclose(waveform(Sound(tone.astype(">f4"), 16_000)), tone, atol=1e-6)
    broken = tone.copy()
    broken[[5, 100]] = np.nan, np.inf
    assert waveform(Sound(broken, 16_000))[[5, 100]].tolist() == [0, 0]


@pytest.mark.parametrize("opened", [io.BytesIO, Pipe, bytearray, memoryview, lambda data: data])
def test_a_file_in_memory_is_read_like_the_file(folder: Path, opened: Callable[[bytes], Any]) -> None:
    media = as_media(opened((folder / "both.mkv").read_bytes()))
    assert replace(probe(media), source=folder) == replace(probe(folder / "both.mkv"), source=folder)
    assert np.array_equal(waveform(media), waveform(folder / "voice.wav"))
    assert [frame.time for frame in frames(media, 1.0)] == [frame.time for frame in frames(folder / "both.mkv", 1.0)]


def test_an_open_file_is_read_from_where_it_stands_and_named(folder: Path) -> None:
    with (folder / "face.png").open("rb") as file:
        assert str(as_media(file)) == "<face.png>"
        with pytest.raises(ArgumentError, match=r"Was it read before\? file\.seek\(0\)"):
            as_media(file)


def closed() -> io.BytesIO:
    file = io.BytesIO(b"x")
    file.close()
    return file


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "a number": (lambda: Clip(5), r"Expected a path.*got int: 5"),
    "a class": (lambda: Clip(np.ndarray), "got type"),
    "a data set's audio": (lambda: Clip({"array": Z(9)}), r"mmemo\.Sound\(audio\['array'\]"),
    "paths": (lambda: Clip(["a.mp4", "b.mp4"]), r"got list of str\. .*analyze_many"),
    "no picture": (lambda: Clip([]), "got empty list"),
    "numbers": (lambda: Clip([[0, 1], [2, 3]]), "got list of list"),
    "a picture and none": (lambda: Clip([PICTURE, None]), "got list of ndarray, NoneType"),
    "samples and rate": (lambda: Clip((Z(99), 16_000)), "got tuple of ndarray, int"),
    "the wrong way round": (lambda: Clip((SOUND, Frames(PICTURE))), "got tuple of Sound, Frames"),
    "a scalar": (lambda: Clip(np.float64(3)), r"got float64 \(\)"),
    "a waveform": (lambda: Clip(Z(16_000)), r"looks like sound: mmemo\.Sound"),
    "stereo": (lambda: Clip(Z((2, 16_000))), r"looks like sound: mmemo\.Sound"),
    "five axes": (lambda: Clip(Z((1, 2, 8, 8, 3), np.uint8)), r"uint8 \(1, 2, 8, 8, 3\)"),
    "two channels": (lambda: Clip(Z((64, 64, 2), np.uint8)), r"mmemo\.Frames\(array, fps=…\)"),
    "no height": (lambda: Clip(Z((0, 64, 3), np.uint8)), r"uint8 \(0, 64, 3\)"),
    "floats to 255": (lambda: Clip(PICTURE + 200.0), r"values of 200 to 200.*astype\('uint8'\)"),
    "normalized": (lambda: Clip(PICTURE - 1.5), r"values of -1\.5 to -1\.5\. Undo the normalization"),
    "not a number": (lambda: Clip(PICTURE * np.nan), "not numbers"),
    "int64": (lambda: Clip(PICTURE.astype(int)), r"got int64.*astype\('uint8'\)"),
    "16 bits": (lambda: Clip(PICTURE.astype(np.uint16)), "array >> 8"),
    "a mask": (lambda: Clip(PICTURE > 0), "got bool"),
    "complex": (lambda: Clip(PICTURE.astype(complex)), "complex128"),
    "objects": (lambda: Clip(PICTURE.astype(object)), "of object"),
    "on a GPU": (lambda: Clip(Tensor(None)), r"Tensor can't be taken as an array: can't convert cuda:0"),
    "two sizes": (lambda: Frames([PICTURE, PICTURE[:32]], 25), "48x64 and 48x32"),
    "a text file": (lambda: Clip(io.StringIO("x")), "binary mode"),
    "a closed file": (lambda: Clip(closed()), "closed file"),
    "a broken file": (lambda: Clip(Broken()), "Input/output error"),
    "color of a file": (lambda: mmemo.analyze("a.png", color="bgr"), "color: only for a picture"),
    "color of a clip": (lambda: mmemo.analyze(Clip(PICTURE), color="bgr"), "a Clip has"),
    "an unknown color": (lambda: mmemo.analyze(PICTURE, color="BGR"), r"expected one of \['rgb', 'bgr'\]"),  # type: ignore[arg-type]
    "frames without times": (lambda: Frames([PICTURE] * 2), "2 pictures need fps=…"),
    "fps and times": (lambda: Frames([PICTURE] * 2, 3, [0, 1]), "not both"),
    "no fps": (lambda: Frames([PICTURE] * 2, 0), "above 0; got 0"),
    "fps in words": (lambda: Frames([PICTURE] * 2, "fast"), "got 'fast'"),  # type: ignore[arg-type]
    "too few times": (lambda: Frames([PICTURE] * 2, times=[0]), r"times of 2 pictures.*shape \(1,\)"),
    "times that go back": (lambda: Frames([PICTURE] * 3, times=[0, 2, 1]), "number 1 is 2 s and the next one 1 s"),
    "times below 0": (lambda: Frames([PICTURE] * 2, times=[-1, 0]), "0 or more"),
    "times that are none": (lambda: Frames([PICTURE] * 2, times=[0, math.nan]), "nan"),
    "frames of a path": (lambda: Frames("clip.mp4"), "got str: 'clip.mp4'"),
    "frames of nothing": (lambda: Frames(Z((0, 64, 64, 3), np.uint8), 25), "got none"),
    "gray or channels": (lambda: Frames(Z((3, 64, 64), np.uint8), 25), "3 gray pictures, or one"),
    "sound of a path": (lambda: Sound("a.wav", 16_000), "A file is given as it is"),
    "no rate": (lambda: Sound(Z(99), 0), "got 0"),
    "half a rate": (lambda: Sound(Z(99), 16_000.5), r"got 16000\.5"),
    "rate in words": (lambda: Sound(Z(99), "16k"), "got '16k'"),  # type: ignore[arg-type]
    "rate first": (lambda: Sound(16_000, Z(99)), r"int64 \(\)"),  # type: ignore[arg-type]
    "a spectrogram": (lambda: Sound(Z((80, 3000)), 16_000), r"float64 \(80, 3000\)"),
    "few samples": (lambda: Sound(Z((2, 2)), 16_000), r"float64 \(2, 2\)"),
    "no samples": (lambda: Sound(Z(0), 16_000), r"float64 \(0,\)"),
    "cast integers": (lambda: Sound(Z(99) + 9000, 16_000), "a peak of 9000.*/ 32768"),
    "int64 samples": (lambda: Sound(Z(99, int), 16_000), "int64"),
    "no finite sample": (lambda: Sound(Z(99) * np.nan, 16_000), "finite"),
    "pictures as audio": (lambda: Clip(PICTURE, audio=Frames(PICTURE)), "pictures are its path"),
    "two sounds": (lambda: Clip(SOUND, audio=SOUND), "two sounds"),
    "sound as audio alone": (lambda: Clip(audio=SOUND), "sound as its path"),
    "subtitles as bytes": (lambda: Clip(PICTURE, subtitles=b"1"), "read from a file"),  # type: ignore[arg-type]
    "text that is none": (lambda: Clip(text=5), "text: expected a str, got int: 5"),  # type: ignore[arg-type]
    "several to analyze_many": (lambda: mmemo.analyze_many([PICTURE]), "one mmemo.Analyzer with each"),  # type: ignore[list-item]
    "a clip to analyze_many": (lambda: mmemo.analyze_many([Clip(PICTURE)]), "other processes analyze files"),
    "a file to analyze_many": (lambda: mmemo.analyze_many(io.BytesIO(b"a\nb")), "analyze BytesIO"),  # type: ignore[arg-type]
    "after its end": (lambda: mmemo.analyze(Clip(Frames([PICTURE] * 2, 2), start=5)), "<2 frames 48x64> ends at 1.00"),
    "times of a clock": (lambda: mmemo.analyze(Frames([PICTURE] * 2, times=[1.7e9, 1.7e9 + 1])), "windows"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_one_clear_error(name: str) -> None:
    make, says = WRONG[name]
    with pytest.raises(ArgumentError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"hello" * 99, "can't be read as video"),
        (b"<html><body>", "web page"),
        (b"#EXTM3U\nhttp://example.com/a.ts", "playlist"),
        (np.broadcast_to(np.uint8(0), (20_000, 20_000, 3)), "20000 x 20000 pixels"),
    ],
)
def test_what_is_no_media_is_refused_as_a_file_is(data: Any, says: str) -> None:
    with pytest.raises(MediaError, match=says):
        mmemo.analyze(data)


def test_an_address_is_not_followed() -> None:
    assert not is_many("https://example.com/a.mp4?token=1")
    for address in ("https://example.com/a/b.mp4", Path("https://example.com/a/b.mp4")):
        with pytest.raises(
            MediaError, match=r"^https://example\.com/a/b\.mp4 is an address.*local files only; download"
        ):
            mmemo.analyze(address)
    with pytest.raises(MediaError, match=r"give the path itself, /tmp/a\.mp4"):
        mmemo.analyze("file:///tmp/a.mp4")
    with pytest.raises(MediaError, match="b64decode"):
        mmemo.analyze("data:image/png;base64," + "A" * 9999)


def test_the_home_folder_is_found(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    assert Clip("~/face.png").path == folder / "face.png"  # type: ignore[arg-type]
    assert Clip(Path("~/a.mkv"), subtitles=Path("~/a.srt")).subtitles == folder / "a.srt"


def test_a_missing_value_of_pandas_is_no_text() -> None:
    pandas = pytest.importorskip("pandas", reason="needs the extra export")
    for missing in (math.nan, np.float64("nan"), pandas.NA, pandas.NaT):
        assert Clip(PICTURE, text=missing).text is None
        with pytest.raises(ArgumentError, match="Nothing to analyze"):
            mmemo.analyze(text=missing)


def test_a_result_of_media_in_memory_is_saved_and_read(analyzer: Analyzer, tmp_path: Path) -> None:
    result = analyzer(portrait(), text="What a lovely day!")
    assert EmotionResult.load(result.save(tmp_path / "a.json")).source == "<picture 300x300>"
    page = result.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert "&lt;picture 300x300&gt; was in memory, so its pictures and sound are not shown." in page
    moving = replace(result, duration=1.0)  # a still has no tiers
    assert "MEDIA_DESCRIPTOR" not in moving.save(tmp_path / "a.eaf").read_text(encoding="utf-8")
    with pytest.raises(ArgumentError, match="was in memory, and a result keeps no media"):
        moving.save(tmp_path / "a.mp4")
    with pytest.raises(ArgumentError, match="was in memory, and a result keeps no media"):
        mmemo.explain.voice(result, model=analyzer.model)


def test_media_in_memory_can_be_explained(analyzer: Analyzer, folder: Path) -> None:
    sound = mmemo.explain.voice(Sound(stereo(), 44_100), length=1.0, model=analyzer.model)
    file = mmemo.explain.voice(folder / "voice.wav", length=1.0, model=analyzer.model)
    assert np.array_equal(sound.curve, file.curve)
    assert sound.source is None
    with pytest.raises(MissingStreamError, match="<picture 48x64> has no sound"):
        mmemo.explain.voice([PICTURE], model=analyzer.model)
    with pytest.raises(MissingStreamError, match="<picture 48x64> holds no moving picture"):
        mmemo.spot_micro(PICTURE)


def test_a_manifest_names_files() -> None:
    with pytest.raises(ManifestError, match="clip 'a' is in memory"):
        mmemo.data.Manifest((Clip(PICTURE, id="a"),), mmemo.labels.EKMAN7)


def test_clips_in_memory_are_copied_like_others() -> None:
    clip = Clip((Frames([PICTURE] * 2, 2), SOUND), id="a")  # type: ignore[arg-type]
    again = pickle.loads(pickle.dumps(replace(clip, end=0.5)))
    assert (str(again.path), str(again.audio), again.end) == ("<2 frames 48x64>", "<sound 0.1 s, 16000 Hz>", 0.5)
    assert clip.file is None
    assert clip.files == ()


class _Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/face"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(cv2.imencode(".png", PICTURE)[1].tobytes())
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_download_is_an_explicit_call(address: str) -> None:
    clip = Clip.download(f"{address}/face%20a.png?token=secret")
    assert str(clip.path) == "<face a.png>"
    assert isinstance(clip.path, Encoded)
    assert np.array_equal(next(frames(clip.path)).image, PICTURE)
    with pytest.raises(MediaError, match="404"):
        Clip.download(f"{address}/nothing.mp4")
    with pytest.raises(ArgumentError, match="http:// or https://"):
        Clip.download("ftp://example.com/a.mp4")
