"""Media: what is read is what was written, and what can't be read is told."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest

from mmemo import media
from mmemo.errors import ArgumentError, MediaError
from mmemo.evidence import SAMPLE_RATE
from mmemo.media import Damage, Frame
from mmemo.samples import make_clip, sound


def test_probe_tells_what_a_file_holds(clip: Path) -> None:
    info = media.probe(clip)
    assert info.kind == "video"
    assert info.duration == pytest.approx(3.0, abs=0.1)
    assert info.video == media.VideoStream(320, 240, 25.0)
    assert info.audio == media.AudioStream(SAMPLE_RATE, 1)
    assert info.subtitles == ()


def test_frames_have_the_times_they_were_written_with(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "variable.mp4", seconds=1.0, variable_rate=True, sound=None)
    times = [frame.time for frame in media.frames(path)]
    steps = np.round(np.diff(times), 3)
    assert set(steps) == {0.02, 0.06}
    assert times[0] == 0.0


def test_frames_of_a_span_keep_the_times_of_the_file(clip: Path) -> None:
    times = [frame.time for frame in media.frames(clip, 1.0, 2.0)]
    assert times[0] == pytest.approx(1.0)
    assert times[-1] == pytest.approx(1.96)
    assert len(times) == 25


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotated_video_comes_upright(tmp_path: Path, rotation: int) -> None:
    upright = next(media.frames(make_clip(tmp_path / "0.mp4", seconds=0.2, sound=None))).image
    path = make_clip(tmp_path / f"{rotation}.mp4", seconds=0.2, sound=None, rotation=rotation)  # type: ignore[arg-type]
    turned = next(media.frames(path)).image
    assert turned.shape == upright.shape
    assert np.abs(turned.astype(int) - upright).mean() < 3


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "gray", "rgb24", "yuv422p10le"])
def test_any_pixel_format_becomes_rgb(tmp_path: Path, pixels: str) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1" if pixels != "rgb24" else "libx264rgb", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 16, pixels
        picture = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 180, np.uint8), format="rgb24")
        container.mux(stream.encode(picture.reformat(format=pixels)))
        container.mux(stream.encode(None))
    image = next(media.frames(path)).image
    assert image.shape == (16, 32, 3)
    assert image.dtype == np.uint8
    assert abs(float(image.mean()) - 180) < 4


def test_fast_video_is_thinned_on_request(clip: Path) -> None:
    times = [frame.time for frame in media.frames(clip, max_rate=15.0)]
    assert np.allclose(np.diff(times), 0.08)
    assert len(times) == 38


def test_large_frames_are_shrunk_on_request(clip: Path) -> None:
    assert next(media.frames(clip, max_side=160)).image.shape == (120, 160, 3)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (96_000, 8)])
def test_any_sound_becomes_16_khz_mono(tmp_path: Path, rate: int, channels: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
    path = media.write_video(tmp_path / "tone.wav", None, np.tile(tone, (channels, 1)), sample_rate=rate)
    heard = media.waveform(path)
    assert len(heard) == pytest.approx(SAMPLE_RATE, abs=40)
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum.argmax() == pytest.approx(440 * len(heard) / SAMPLE_RATE, abs=2)
    assert np.abs(heard[2000:-2000]).max() == pytest.approx(0.5, abs=0.02)


def test_blocks_together_are_the_waveform(clip: Path) -> None:
    blocks = list(media.waveform_blocks(clip, seconds=0.7))
    assert [len(block) for block in blocks[:-1]] == [11_200] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate(blocks), media.waveform(clip))


def test_a_span_of_sound(clip: Path) -> None:
    part = np.concatenate(list(media.waveform_blocks(clip, 0.5, 1.25)))
    np.testing.assert_array_equal(part, media.waveform(clip)[8_000:20_000])


def test_samples_that_are_no_numbers_are_silenced_and_counted(tmp_path: Path) -> None:
    broken = sound("tone", 1.0)
    broken[100:200] = np.nan
    broken[300] = np.inf
    path = media.write_video(tmp_path / "broken.wav", None, broken)
    damage = Damage()
    heard = np.concatenate(list(media.waveform_blocks(path, damage=damage)))
    assert damage.samples == 101
    assert np.isfinite(heard).all()


def test_sound_that_begins_late_is_preceded_by_silence(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("ffv1", rate=10)
        picture.width, picture.height, picture.pix_fmt = 16, 16, "yuv420p"
        speaker = container.add_stream("pcm_s16le", rate=SAMPLE_RATE)
        speaker.layout = "mono"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
            frame.pts = number
            container.mux(picture.encode(frame))
        block = av.AudioFrame.from_ndarray(np.full((1, SAMPLE_RATE), 9_000, np.int16), format="s16", layout="mono")
        block.sample_rate, block.pts = SAMPLE_RATE, SAMPLE_RATE // 2
        container.mux(speaker.encode(block))
        container.mux(picture.encode(None))
        container.mux(speaker.encode(None))
    heard = media.waveform(path)
    assert np.abs(heard[: SAMPLE_RATE // 2 - 100]).max() == 0
    assert heard[SAMPLE_RATE // 2 + 200] == pytest.approx(9_000 / 32_768, abs=0.01)


def test_embedded_subtitles(tmp_path: Path, clip: Path) -> None:
    words = tmp_path / "words.srt"
    words.write_text(
        "1\n00:00:00,500 --> 00:00:01,500\n<i>Hello</i>\nthere\n\n2\n00:00:02,000 --> 00:00:02,750\nGoodbye\n"
    )
    path = tmp_path / "subtitled.mkv"
    with av.open(str(clip)) as source, av.open(str(words)) as lines, av.open(str(path), "w") as target:
        tracks = {stream: target.add_stream_from_template(stream) for stream in (*source.streams, lines.streams[0])}
        for container in (source, lines):
            for packet in container.demux():
                if packet.dts is not None:
                    packet.stream = tracks[packet.stream]
                    target.mux(packet)
    (stream,) = media.probe(path).subtitles
    found = media.cues(path, stream)
    assert [line.text for line in found] == ["Hello\nthere", "Goodbye"]
    # Copying into Matroska moves all streams later by the sound's priming of 64 ms.
    assert [(line.start - 0.064, line.end - 0.064) for line in found] == [
        pytest.approx((0.5, 1.5), abs=0.002),
        pytest.approx((2.0, 2.75), abs=0.002),
    ]


def test_a_still_image(tmp_path: Path) -> None:
    path = tmp_path / "100%03d.png"
    import cv2

    path.write_bytes(cv2.imencode(".png", np.full((20, 30, 3), 7, np.uint8))[1].tobytes())
    info = media.probe(path)
    assert (info.kind, info.duration) == ("image", 0.0)
    assert [frame.image.shape for frame in media.frames(path)] == [(20, 30, 3)]


def test_a_stream_without_a_duration_is_measured(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "live.ts"
    with av.open(str(clip)) as source, av.open(str(path), "w", format="mpegts") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert media.probe(path).duration == pytest.approx(3.0, abs=0.2)


class TestBadInput:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="does not exist"):
            media.probe(tmp_path / "none.mp4")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="is a folder"):
            media.probe(tmp_path)

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "empty.mp4").touch()
        with pytest.raises(MediaError, match="is empty"):
            media.probe(tmp_path / "empty.mp4")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_not_permitted(self, tmp_path: Path) -> None:
        path = tmp_path / "secret.mp4"
        path.write_bytes(b"x")
        path.chmod(0)
        with pytest.raises(MediaError, match="may not be read"):
            media.probe(path)

    @pytest.mark.parametrize("content", [b"hello world\n" * 99, bytes(range(256)) * 50, b"\x00" * 4096])
    def test_other_content(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "text.mp4"
        path.write_bytes(content)
        with pytest.raises(MediaError, match="can't be read"):
            media.probe(path)

    def test_a_playlist_that_names_an_address_is_not_followed(self, tmp_path: Path) -> None:
        path = tmp_path / "list.m3u8"
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n")
        with pytest.raises(MediaError, match="playlist"):
            media.probe(path)

    def test_cut_short_without_its_index(self, tmp_path: Path, clip: Path) -> None:
        path = tmp_path / "cut.mp4"
        path.write_bytes(clip.read_bytes()[:20_000])
        with pytest.raises(MediaError, match="cut short"):
            media.probe(path)

    def test_damaged_in_the_middle_is_read_around(self, tmp_path: Path, clip: Path) -> None:
        data = bytearray(clip.read_bytes())
        start = data.find(b"mdat") + 9_000
        data[start : start + 3_000] = bytes(3_000)
        path = tmp_path / "damaged.mp4"
        path.write_bytes(bytes(data))
        assert len(list(media.frames(path))) > 10


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def pictures() -> object:
        yield Frame(0.0, np.zeros((16, 16, 3), np.uint8))
        yield Frame(0.1, np.zeros((16, 16), np.uint8))

    with pytest.raises(ArgumentError, match=r"\(H, W, 3\) uint8"):
        media.write_video(tmp_path / "bad.mp4", pictures())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def _noise_clip(path: Path, codec: str, rate: int = 48_000) -> np.ndarray:
    """A clip whose picture turns white at 1 s, when a burst of noise begins; gives the sound."""
    burst = np.zeros(2 * rate, np.float32)
    burst[rate : rate + rate // 10] = np.random.default_rng(0).uniform(-0.5, 0.5, rate // 10)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        speaker = container.add_stream(codec, rate=rate)
        speaker.layout = "mono"
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 255 * (number >= 25), np.uint8), format="rgb24")
            frame.pts = number
            container.mux(picture.encode(frame))
            block = burst[number * rate // 25 : (number + 1) * rate // 25]
            sound = av.AudioFrame.from_ndarray(block[None], format="flt", layout="mono")
            sound.sample_rate, sound.pts = rate, number * rate // 25
            container.mux(speaker.encode(sound))
        container.mux(picture.encode(None))
        container.mux(speaker.encode(None))
    return burst


def _beginning(path: Path) -> tuple[float, float]:
    """Seconds at which the picture turns white, and the noise begins."""
    white = next(frame.time for frame in media.frames(path) if frame.image.mean() > 128)
    return white, float(np.flatnonzero(np.abs(media.waveform(path)) > 0.1)[0]) / SAMPLE_RATE


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "libopus", "pcm_s16le"])
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_the_sound_of_a_file_goes_with_new_pictures_in_step(tmp_path: Path, codec: str, start: float) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mp4"
    _noise_clip(source, codec)
    pictures = (Frame(frame.time - start, frame.image) for frame in media.frames(source, start))
    media.write_video(target, pictures, media.SoundOf(source, start))
    seen, heard = _beginning(target)
    seen_before, heard_before = _beginning(source)
    assert seen == pytest.approx(seen_before - start, abs=0.03)
    assert heard - seen == pytest.approx(heard_before - seen_before, abs=0.03 if codec == "libmp3lame" else 0.002)
    with av.open(str(target)) as written:
        expected = "mp3" if codec == "libmp3lame" else "aac"
        assert written.streams.audio[0].codec_context.name.removesuffix("float") == expected
        assert written.streams.audio[0].sample_rate == 48_000
    if codec == "aac" and not start:  # copied, not encoded again
        np.testing.assert_allclose(media.waveform(target)[:30_000], media.waveform(source)[:30_000], atol=1e-3)
