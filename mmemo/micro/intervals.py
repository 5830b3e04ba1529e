"""Detection of micro-expressions in the motion of a face: short, isolated, local, and back to where it began."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from mmemo.evidence import Seconds
from mmemo.micro.tracking import OWNERS, REGION_NAMES, STILL, FaceMotion

SHORTEST, LONGEST = 1 / 25, 1 / 2
"""Seconds from onset to offset of a micro-expression."""
MIN_RATE = 20.0
"""Frames a second below which nothing is spotted: half a second then has fewer than ten pictures."""
RATE = 50.0
"""Hz of the grid on which motion is judged; slower video is judged at its own rate."""
_BASELINE: Seconds = 1.1  # of the running median that slow movement is measured by; more than twice the longest
_SMOOTH: Seconds = 0.025
_TOP = 5  # areas whose motion is averaged: a fifth of the brows, or a corner of the mouth
_MIN_STRENGTH = 0.14  # pixels of a 128 px crop, mean of the areas that move most
_MAX_STRENGTH = 1.8  # the same: what is larger can't be missed, and is no micro-expression however quick
_MIN_SIGMAS = 5.0  # over the noise of the same face
_AROUND: Seconds = 0.75  # before and after, in which the face must be calmer
_MIN_ISOLATION = 2.5  # times the motion around
_MIN_SIDE: Seconds = 0.25  # of video that must be there before onset and after offset
_MOST_TURN = 8.0  # degrees of yaw and pitch in half a second beyond which the skin seems to move everywhere
_PER_HEAD = 0.005  # pixels of motion that a head that moves by a pixel may feign
_PER_STILL = 1.0  # the same for motion seen where skin lies on bone
_MIN_BLINK = 0.2  # rise of the blendshape that is a blink
_MOST_UNSEEN = 0.2  # share of an interval in which the eyes may blink or the head may turn
_EDGE = 0.2  # share of the height at which onset and offset are looked for


@dataclass(frozen=True)
class Candidate:
    """One interval in which a face moved as in a micro-expression.

    Attributes:
        onset, apex, offset: in seconds.
        region: where it moved most: "brows", "eyes", "nose" or "mouth".
        height: mean motion at the apex of the areas that move most, in pixels of a 128 px crop.
        confidence: 0 to 1, from how far height and isolation lie above their thresholds: a rank, not a probability.
    """

    onset: Seconds
    apex: Seconds
    offset: Seconds
    region: str
    height: float
    confidence: float


def frame_rate(times: np.ndarray) -> float:
    """Pictures a second of (N,) times, by the median step; 0 for fewer than two."""
    return 0.0 if len(times) < 2 else float(1 / np.median(np.diff(times)))


def find_micro_expressions(motion: FaceMotion) -> list[Candidate]:
    """The micro-expressions of one face, in order of time; none below `MIN_RATE` or in less than a second of video."""
    rate = min(frame_rate(motion.times), RATE)
    if rate < MIN_RATE or motion.times[-1] - motion.times[0] < 2 * _MIN_SIDE + LONGEST:
        return []
    grid = np.arange(motion.times[0], motion.times[-1], 1 / rate)
    moved = _bumps(_on_grid(motion.moved, motion.times, grid), rate)
    head = _range(_on_grid(motion.head, motion.times, grid), rate)
    turning = _range(_on_grid(motion.pose[:, :2], motion.times, grid), rate) > _MOST_TURN
    blinks = _blinks(_on_grid(motion.blink[:, None], motion.times, grid)[:, 0], rate)
    still = np.median(np.linalg.norm(moved[:, OWNERS == STILL], axis=2), axis=1)
    feigned = _PER_HEAD * head + _PER_STILL * still
    candidates = []
    for region, name in enumerate(REGION_NAMES):
        unseen = turning | blinks if name in ("brows", "eyes") else turning
        candidates += _peaks(_height(moved[:, region == OWNERS]), unseen, name, grid, rate, feigned)
    return _without_overlaps(candidates)


def _height(moved: np.ndarray) -> np.ndarray:
    """How far (N, C, 2) the areas that move most have moved, (N,) in pixels."""
    mean: np.ndarray = np.sort(np.linalg.norm(moved, axis=2), axis=1)[:, -_TOP:].mean(axis=1)
    return mean


def _peaks(
    height: np.ndarray, unseen: np.ndarray, region: str, grid: np.ndarray, rate: float, feigned: np.ndarray
) -> list[Candidate]:
    """Candidates of one region, from the height (N,) of its motion and where that says nothing (N,)."""
    noise = float(np.median(height))
    spread = 1.4826 * float(np.median(np.abs(height - noise)))
    least = np.maximum(_MIN_STRENGTH, noise + _MIN_SIGMAS * spread) + feigned
    peaks, _ = signal.find_peaks(
        height,
        height=(least, np.full_like(least, _MAX_STRENGTH)),
        prominence=0.6 * _MIN_STRENGTH,
        distance=max(1, rate * 0.15),
    )
    candidates = []
    for peak in peaks:
        interval = _interval(height, peak, noise, grid)
        if interval is None:
            continue
        onset, offset = interval
        if unseen[_between(grid, onset, offset)].mean() > _MOST_UNSEEN:
            continue
        around = _between(grid, onset - _AROUND, onset - 0.04) | _between(grid, offset + 0.04, offset + _AROUND)
        around &= ~unseen
        if around.sum() < _MIN_SIDE * rate:
            continue
        isolation = height[peak] / max(float(np.quantile(height[around], 0.9)), 1e-3)
        if isolation < _MIN_ISOLATION:
            continue
        excess = min(height[peak] / least[peak], isolation / _MIN_ISOLATION)
        confidence = float(1 - np.exp(-0.7 * excess))
        apex = float(grid[peak])
        candidates.append(Candidate(onset, apex, offset, region, float(height[peak]), confidence))
    return candidates


def _interval(height: np.ndarray, peak: int, noise: float, grid: np.ndarray) -> tuple[Seconds, Seconds] | None:
    """Onset and offset of a peak, or None if it is too short, too long, or at an end of the video."""
    level = noise + _EDGE * (height[peak] - noise)
    below = np.flatnonzero(height[:peak] < level)
    after = np.flatnonzero(height[peak:] < level)
    if not len(below) or not len(after):
        return None
    first, last = int(below[-1]), peak + int(after[0])
    rise = grid[peak] - _crossing(grid, height, first, level)
    fall = _crossing(grid, height, last - 1, level) - grid[peak]
    # A movement that starts and ends gently, as half a cosine, passes the level 0.295 of its way after its start.
    away = 1 - np.arccos(1 - 2 * _EDGE) / np.pi
    onset, offset = float(grid[peak] - rise / away), float(grid[peak] + fall / away)
    if not SHORTEST <= offset - onset <= LONGEST * 1.2:
        return None
    if onset - _MIN_SIDE < grid[0] or offset + _MIN_SIDE > grid[-1]:
        return None
    return onset, offset


def _crossing(grid: np.ndarray, height: np.ndarray, index: int, level: float) -> float:
    """When the height passes the level between two points of the grid."""
    low, high = float(height[index]), float(height[index + 1])
    share = 0.5 if high == low else (level - low) / (high - low)
    return float(grid[index] + np.clip(share, 0, 1) * (grid[index + 1] - grid[index]))


def _on_grid(values: np.ndarray, times: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Values (N, …) at even times, by linear interpolation."""
    right = np.clip(np.searchsorted(times, grid, side="right"), 1, len(times) - 1)
    share = (grid - times[right - 1]) / (times[right] - times[right - 1])
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    between: np.ndarray = values[right - 1] * (1 - share) + values[right] * share
    return between


def _bumps(values: np.ndarray, rate: float) -> np.ndarray:
    """What departs from the running median of (N, C, 2) and comes back."""
    smooth = ndimage.gaussian_filter1d(values, max(_SMOOTH * rate, 0.5), axis=0, mode="nearest")
    width = 2 * round(_BASELINE * rate / 2) + 1
    left: np.ndarray = smooth - ndimage.median_filter(smooth, (width, 1, 1), mode="nearest")
    return left


def _range(values: np.ndarray, rate: float) -> np.ndarray:
    """How far (N, D) values stray within a quarter of a second either way: (N,)."""
    width = 2 * round(0.25 * rate) + 1
    smooth = ndimage.gaussian_filter1d(values, max(_SMOOTH * rate, 0.5), axis=0, mode="nearest")
    most = ndimage.maximum_filter1d(smooth, width, axis=0) - ndimage.minimum_filter1d(smooth, width, axis=0)
    return np.asarray(np.linalg.norm(most, axis=1))


def _blinks(closed: np.ndarray, rate: float) -> np.ndarray:
    """(N,) bool: around a blink, when lids and brows say nothing."""
    width = 2 * round(_BASELINE * rate / 2) + 1
    rise = closed - ndimage.median_filter(closed, width, mode="nearest")
    return np.asarray(ndimage.maximum_filter1d(rise, 2 * round(0.12 * rate) + 1) > _MIN_BLINK)


def _between(grid: np.ndarray, start: float, end: float) -> np.ndarray:
    return np.asarray((grid >= start) & (grid <= end))


def _without_overlaps(candidates: list[Candidate]) -> list[Candidate]:
    """Of candidates that overlap, in different regions, the one that moves most."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda candidate: -candidate.height):
        if all(candidate.offset <= other.onset or candidate.onset >= other.offset for other in kept):
            kept.append(candidate)
    return sorted(kept, key=lambda candidate: candidate.onset)
