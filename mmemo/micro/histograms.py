"""Hand-made features of micro-expressions, for support vector machines: histograms of flow, and LBP-TOP."""

from __future__ import annotations

import numpy as np

from mmemo.errors import ArgumentError

DIRECTIONS = 8


def flow_histograms(images: np.ndarray, grid: int = 6) -> np.ndarray:
    """Main direction and histogram of the flow in each cell of a grid; after MDMO (Liu et al. 2016).

    MDMO keeps, in each of 36 regions laid by landmarks, the mean of the flow vectors in the fullest of eight bins of
    direction. Here the regions are cells of a grid on the aligned face, the mean comes as x and y, so that it has no
    jump at 360 degrees, and the bins' shares, weighted by magnitude, stand beside it.

    Args:
        images: (N, 3, H, W) float32 flow images, u and v less their median; only u and v are looked at.
        grid: cells on a side.

    Returns:
        (N, grid * grid * 10) float32.
    """
    if images.ndim != 4 or images.shape[1] < 2:
        raise ArgumentError(f"flow_histograms: expected flow images (N, 3, H, W), got {images.shape}.")
    count, _, height, width = images.shape
    rows, columns = (np.arange(side) * grid // side for side in (height, width))
    cell = (rows[:, None] * grid + columns).reshape(-1)
    flow = images[:, :2].reshape(count, 2, -1)
    size = np.hypot(flow[:, 0], flow[:, 1])
    angle = np.arctan2(flow[:, 1], flow[:, 0])
    bins = np.round(angle / (2 * np.pi) * DIRECTIONS).astype(int) % DIRECTIONS
    slot = cell * DIRECTIONS + bins
    features = np.empty((count, grid * grid, DIRECTIONS + 2), np.float32)
    for row in range(count):
        summed = [
            np.bincount(slot[row], weight, grid * grid * DIRECTIONS).reshape(-1, DIRECTIONS)
            for weight in (np.ones_like(size[row]), size[row], flow[row, 0], flow[row, 1])
        ]
        many, length, x, y = summed
        fullest = many.argmax(axis=1)
        where = np.arange(grid * grid), fullest
        features[row, :, 0] = x[where] / np.maximum(many[where], 1)
        features[row, :, 1] = y[where] / np.maximum(many[where], 1)
        features[row, :, 2:] = length / np.maximum(many.sum(axis=1, keepdims=True), 1)
    return features.reshape(count, -1)


def lbp_top(sequence: np.ndarray, grid: int = 5) -> np.ndarray:
    """Local binary patterns on three orthogonal planes (Zhao and Pietikainen 2007) of one sequence of faces.

    Eight neighbors at a distance of one in space and time, uniform patterns, one histogram a plane and cell.

    Args:
        sequence: (T, H, W) uint8 or float, three or more moments.
        grid: cells on a side.

    Returns:
        (3 * grid * grid * 59,) float32; each histogram sums to 1.
    """
    if sequence.ndim != 3 or min(sequence.shape) < 3:
        raise ArgumentError(f"lbp_top: expected a sequence (T, H, W) of three or more moments, got {sequence.shape}.")
    values = sequence.astype(np.float32)
    middle = values[1:-1, 1:-1, 1:-1]
    height, width = middle.shape[1:]
    rows, columns = (np.arange(side) * grid // side for side in (height, width))
    cell = np.broadcast_to(rows[:, None] * grid + columns, middle.shape)
    circle = [(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)]
    histograms = []
    for plane in ((1, 2), (0, 2), (0, 1)):  # axes: time, row, column
        code = np.zeros(middle.shape, np.int64)
        for bit, steps in enumerate(circle):
            shift = [0, 0, 0]
            shift[plane[0]], shift[plane[1]] = steps
            window = tuple(slice(1 + s, 1 + s + n) for s, n in zip(shift, middle.shape, strict=True))
            code |= (values[window] >= middle).astype(np.int64) << bit
        counts = np.bincount((cell * 59 + _UNIFORM[code]).reshape(-1), minlength=grid * grid * 59)
        shares = counts.reshape(-1, 59) / np.maximum(counts.reshape(-1, 59).sum(axis=1, keepdims=True), 1)
        histograms.append(shares.reshape(-1))
    return np.concatenate(histograms).astype(np.float32)


def _uniform_patterns() -> np.ndarray:
    """Index 0 .. 57 of every pattern with at most two changes around its circle, 58 for all others: (256,) int."""
    table, following = np.full(256, 58), 0
    for code in range(256):
        turned = (code >> 1) | ((code & 1) << 7)
        if (code ^ turned).bit_count() <= 2:
            table[code] = following
            following += 1
    return table


_UNIFORM = _uniform_patterns()
