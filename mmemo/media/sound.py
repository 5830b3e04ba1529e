"""Sound of a media file, resampled, from any time on.

A span deep in a file is reached by seeking, and its samples are those that decoding from the start gives: the resampler
starts in the same phase, and what decoders need from before the span is decoded and discarded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from typing import Any

import av
import numpy as np

from mmemo.errors import ArgumentError, MediaError
from mmemo.evidence import SAMPLE_RATE, Channel, Seconds
from mmemo.in_memory import Frames, Media
from mmemo.media.channel_levels import ChannelLevels
from mmemo.media.container import Damage, decode, file_of, open_media, origin, size_of
from mmemo.media.limits import LIMITS
from mmemo.media.sound_track import sound_track

_PREROLL: Seconds = 0.5
"""Decoded before a span and discarded: MP3 needs the ten frames before (ISO 11172-3, 2.4.2.7), Opus 80 ms (RFC 7845,
4.6), the resampler a few samples."""
_JITTER: Seconds = 0.002
"""By which the timestamps of a sound track may differ from its samples' count: they are rounded."""
_SHORTEST_GAP: Seconds = 0.05
_LONGEST_GAP: Seconds = 600.0
"""A jump between timestamps in between is a pause and becomes silence; a larger one is a damaged clock."""
_CANCELLED = 0.02
"""Energy of the mean of two channels, by theirs, up to which they cancel: their correlation is then below -0.96."""

Placed = tuple[int, np.ndarray]
"""The index of the first sample, counted from the start of the file, and samples (N, channels) float32."""


def waveform_blocks(
    source: str | Media,
    start: Seconds = 0.0,
    end: Seconds | None = None,
    *,
    seconds: Seconds = 10.0,
    channel: Channel = "mix",
    track: int | None = None,
    damage: Damage | None = None,
    levels: ChannelLevels | None = None,
) -> Iterator[np.ndarray]:
    """Decode the sound of a file as consecutive blocks of float32 (N,), 16 kHz mono, in [-1, 1].

    Of several tracks the one of `mmemo.media.sound_track` is taken. The first sample is at ``start``: a track that
    begins late, or pauses, is filled with silence. Samples that are not finite are silenced and counted in
    ``damage.samples``. Two channels that cancel each other are not mixed: the first is taken.

    Args:
        source: a video or audio file, or sound in memory; what has no sound track has no blocks.
        start: seconds; ``end`` as well, None for the end of the file.
        seconds: length of a block; the last one is shorter.
        channel: "mix", "left" or "right"; of 5.1 and the like the front ones.
        track: number of the sound track, from 1; None for the one of `mmemo.media.sound_track`.
        damage: is filled in with what could not be decoded.
        levels: is filled in with the levels of both channels of a stereo sound.

    Raises:
        ArgumentError: if one channel is wanted, and the sound has no more than one.
        MediaError: if the file can't be opened, or its pauses make it longer than its `LIMITS`.
    """
    damage = damage if damage is not None else Damage()
    size, pending, count = int(seconds * SAMPLE_RATE), [], 0
    mono: Callable[[np.ndarray], np.ndarray] = Mono(damage) if channel == "mix" else _OneChannel(source, channel)
    for samples in _samples(source, SAMPLE_RATE, None, start, end, damage, track):
        if levels is not None:
            levels.add(samples)
        piece = mono(samples)
        while len(piece):
            part, piece = piece[: size - count], piece[size - count :]
            pending.append(part)
            count += len(part)
            if count == size:
                yield np.concatenate(pending)
                pending, count = [], 0
    if count:
        yield np.concatenate(pending)


def waveform(source: str | Media, channel: Channel = "mix") -> np.ndarray:
    """The whole sound of a short file: float32 (N,), 16 kHz mono, empty if there is none. See `waveform_blocks`."""
    blocks = list(waveform_blocks(source, channel=channel))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def sound_blocks(
    source: str | Media,
    sample_rate: int,
    channels: int,
    start: Seconds = 0.0,
    end: Seconds | None = None,
    track: int | None = None,
) -> Iterator[np.ndarray]:
    """Decode the sound of a file for writing it again: blocks of float32 (N, channels) at ``sample_rate`` Hz.

    The first sample is at ``start``, as with `waveform_blocks`.

    Args:
        channels: 1 or 2; more channels than that are mixed down by FFmpeg's matrix.
        track: as of `waveform_blocks`.
    """
    layout = "mono" if channels == 1 else "stereo"
    yield from _samples(source, sample_rate, layout, start, end, Damage(), track)


def _samples(
    source: str | Media,
    rate: int,
    layout: str | None,
    start: Seconds,
    end: Seconds | None,
    damage: Damage,
    track: int | None,
) -> Iterator[np.ndarray]:
    """The samples (N, channels) float32 at ``rate`` Hz from ``start`` to ``end``."""
    first, past = round(start * rate), None if end is None else round(end * rate)
    for place, piece in _placed(source, rate, layout, start, damage, track):
        if past is not None and place >= past:
            return
        wanted = piece[max(0, first - place) : None if past is None else past - place]
        if len(wanted):
            yield wanted


def _placed(
    source: str | Media, rate: int, layout: str | None, start: Seconds, damage: Damage, track: int | None
) -> Iterator[Placed]:
    """The sound from ``start`` or somewhat earlier on; pauses of the track are silence."""
    if isinstance(source, Frames):
        return
    file = file_of(source)
    with open_media(file) as container:
        stream = sound_track(file, container, track)
        if stream is None:
            return
        longest = LIMITS.seconds(size_of(file))
        zero, pieces, place = origin(container), None, 0
        if start > _PREROLL:
            pieces, place = _sought(container, stream, start, rate, damage) or (None, 0)
            if pieces is None:
                yield from _placed(file, rate, layout, 0.0, damage, track)
                return
        pieces = pieces or decode(container, stream, damage)
        resampler, channels, started = resampler_to(rate, layout), 1, False
        for piece in pieces:
            late = 0.0 if piece.time is None else piece.time - zero - place / rate
            pause = _SHORTEST_GAP < late < _LONGEST_GAP
            if pause and started:
                for samples in _flushed(resampler, damage):
                    yield place, samples
                    place += len(samples)
                resampler = resampler_to(rate, layout)
            try:
                blocks = resampler.resample(piece)
            except (av.FFmpegError, ValueError):  # the format changes midway
                resampler = resampler_to(rate, layout)
                blocks = resampler.resample(piece)
            resampled = [finite(block, damage) for block in blocks]
            channels, started = resampled[0].shape[1] if resampled else channels, True
            if pause and piece.time - zero > longest:
                raise MediaError(
                    f"{file} has pauses that make it longer than {longest:.0f} s, the most for a file of its size: its "
                    "timestamps are damaged. Save it again with an audio editor."
                )
            if pause:
                resampled.insert(0, np.zeros((int((piece.time - zero) * rate) - place, channels), np.float32))
            for samples in resampled:
                yield place, samples
                place += len(samples)
            damage.seconds = place / rate
        for samples in _flushed(resampler, damage) if started else ():
            yield place, samples
            place += len(samples)


def _sought(container: Any, stream: Any, start: Seconds, rate: int, damage: Damage) -> tuple[Iterator[Any], int] | None:
    """The decoded pieces from shortly before ``start`` on, and the place of the first of them at ``rate`` Hz.

    None where timestamps don't give the place, or nothing lies before ``start``.
    """
    first = next(decode(container, stream, Damage()), None)
    if first is None or first.time is None:
        return None
    zero = origin(container)
    late = first.time - zero
    silence = int(late * rate) if _SHORTEST_GAP < late < _LONGEST_GAP else 0
    # The resampler's phase repeats with so many samples: from there on it gives what an earlier start gives.
    period = first.sample_rate // math.gcd(first.sample_rate, rate)
    settled = start - _PREROLL / 2
    for preroll in (_PREROLL, 10 * _PREROLL):
        pieces = decode(container, stream, damage, max(0.0, start - preroll))
        damaged, begin = damage.packets, None
        for before, piece in pairwise(pieces):
            if before.time is None or piece.time is None:
                continue
            begin, time, length = begin or before.time, piece.time - zero, piece.samples / piece.sample_rate
            if piece.sample_rate != first.sample_rate or begin - zero > settled or time > start - _PREROLL / 10:
                break
            # The first packets after a seek may come twice, or carry the time of others.
            if (
                time + length <= settled
                or abs(before.time + before.samples / before.sample_rate - piece.time) > _JITTER
            ):
                continue
            damage.packets = damaged  # packets that the seek cut are not damaged
            index = _index(piece, first, stream)
            skipped = -index % period
            return _without(pieces, piece, skipped), silence + (index + skipped) * rate // first.sample_rate
    return None


def _index(piece: Any, first: Any, stream: Any) -> int:
    """The samples between the starts of the ``first`` piece of a stream and another one.

    Where timestamps are coarser than samples, as Matroska's milliseconds, pieces of one length give the exact number.
    """
    measured = (piece.time - first.time) * first.sample_rate
    counted = first.samples + round((measured - first.samples) / piece.samples) * piece.samples
    tick = float(stream.time_base) * first.sample_rate
    return int(counted) if abs(counted - measured) <= tick else round(measured)


def _without(pieces: Iterator[Any], piece: Any, samples: int) -> Iterator[Any]:
    """A piece and those after it, without the first ``samples``."""
    while piece is not None and piece.samples <= samples:
        samples -= piece.samples
        piece = next(pieces, None)
    if piece is not None and samples:
        planar = piece.format.is_planar
        values = piece.to_ndarray()[:, samples * (1 if planar else len(piece.layout.channels)) :]
        cut = av.AudioFrame.from_ndarray(np.ascontiguousarray(values), piece.format.name, piece.layout.name)
        cut.sample_rate, cut.time_base = piece.sample_rate, piece.time_base
        cut.pts = piece.pts + round(samples / piece.sample_rate / piece.time_base)
        piece = cut
    return chain([piece], pieces) if piece is not None else iter(())


def resampler_to(rate: int, layout: str | None) -> Any:
    return av.AudioResampler(format="flt", layout=layout, rate=rate)


def _flushed(resampler: Any, damage: Damage) -> list[np.ndarray]:
    """What a resampler still holds."""
    return [finite(block, damage) for block in resampler.resample(None)]


def finite(block: Any, damage: Damage) -> np.ndarray:
    """The samples of a block, (N, channels); what is not finite becomes silence."""
    samples: np.ndarray = block.to_ndarray().reshape(-1, block.layout.nb_channels)
    bad = ~np.isfinite(samples)
    if bad.any():
        damage.samples += int(bad.any(axis=1).sum())
        samples = np.where(bad, np.float32(0), samples)
    return samples


class Mono:
    """Mixes channels down to their mean, which no layout can push out of range; where two cancel, the first is taken.

    A microphone that was wired the wrong way round makes channels of opposite phase: their mean is silence.
    """

    def __init__(self, damage: Damage) -> None:
        self._damage = damage
        self._of_mean = self._of_channels = 0.0

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        mono = samples.mean(axis=1, dtype=np.float32)
        if samples.shape[1] == 2:
            self._of_mean += float(np.square(mono).sum())
            self._of_channels += float(np.square(samples).sum()) / 2
            if self._of_mean < _CANCELLED * self._of_channels:
                self._damage.anti_phase = True
                mono = samples[:, 0]
        clipped: np.ndarray = np.clip(mono, -1.0, 1.0)
        return clipped


class _OneChannel:
    """Takes the left or the right channel, the first two of every layout that has them."""

    def __init__(self, source: str | Media, channel: Channel) -> None:
        self._source, self._channel, self._place = source, channel, ("left", "right").index(channel)
        self._several = False

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        self._several |= samples.shape[1] > 1
        if not self._several and samples.any():
            raise ArgumentError(
                f"The sound of {self._source} has one channel, so there is no {self._channel} one. Leave channel out."
            )
        clipped: np.ndarray = np.clip(samples[:, min(self._place, samples.shape[1] - 1)], -1.0, 1.0)
        return clipped
