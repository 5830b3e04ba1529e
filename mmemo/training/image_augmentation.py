"""Augmentation of small gray images, a whole batch at a time in torch, so that it keeps up with training.

Images are (N, 1, H, W) float32, black 0 and white 1. Every function draws its random numbers from the generator it is
passed, one draw an image, and returns a new tensor; the same generator state gives the same images.

A *placement* is a (2, 3) matrix that maps pixels of the target square onto pixels of the source image, with centers at
whole numbers. Augmenting the placement, and sampling once, loses less than warping a crop: pixels beyond the crop come
from the image and not from a border.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch.nn import functional


def uniform(count: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    """(count,) float32, evenly from ``[low, high)``."""
    return low + (high - low) * torch.rand(count, generator=generator)


def random_placements(
    placements: torch.Tensor,
    size: int,
    generator: torch.Generator,
    *,
    degrees: float = 15.0,
    zoom: float = 0.15,
    stretch: float = 0.08,
    shift: float = 0.06,
) -> torch.Tensor:
    """Turn, zoom, stretch, shift and, for half of them, mirror placements about the middle of their square.

    Args:
        placements: (N, 2, 3) float32.
        size: side of the square, in pixels.
        generator: of the random numbers.
        degrees: largest rotation either way.
        zoom: largest change of scale, 0.15 = between 1 / 1.15 and 1.15.
        stretch: largest further change of width against height.
        shift: largest shift either way, as a share of the side.

    Returns:
        (N, 2, 3) float32.
    """
    count = len(placements)
    angle = uniform(count, -degrees, degrees, generator) * (math.pi / 180)
    scale = torch.exp(uniform(count, -1, 1, generator) * math.log1p(zoom))
    aspect = torch.exp(uniform(count, -1, 1, generator) * (math.log1p(stretch) / 2))
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    dx, dy = (uniform(count, -shift, shift, generator) * size for _ in range(2))
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    linear = torch.stack(
        [torch.stack([mirror * cosine * aspect, -sine], 1), torch.stack([mirror * sine, cosine / aspect], 1)],
        1,
    )
    middle = torch.full((count, 2, 1), (size - 1) / 2)
    offset = middle + torch.stack([dx, dy], 1)[:, :, None] - linear @ middle
    return torch.cat([placements[:, :, :2] @ linear, placements[:, :, :2] @ offset + placements[:, :, 2:]], dim=2)


def sample(images: torch.Tensor, placements: torch.Tensor, size: int) -> torch.Tensor:
    """Squares (N, 1, size, size) at placements (N, 2, 3): bilinear interpolation, with the edge repeated."""
    height, width = images.shape[2:]
    line = torch.arange(size, dtype=torch.float32)
    grid = torch.stack([line.repeat(size), line.repeat_interleave(size), torch.ones(size * size)])
    pixels = (placements @ grid).transpose(1, 2)
    extent = torch.tensor([width, height], dtype=torch.float32)
    normalized = ((2 * pixels + 1) / extent - 1).view(len(images), size, size, 2)
    return functional.grid_sample(images, normalized, padding_mode="border", align_corners=False)


def random_tone(
    images: torch.Tensor, generator: torch.Generator, *, gamma: float = 0.5, slope: float = 0.3
) -> torch.Tensor:
    """Random gamma, and light from one side: a linear ramp. Both survive contrast normalization.

    Args:
        images: (N, 1, H, W) float32.
        generator: of the random numbers.
        gamma: largest absolute logarithm of the exponent.
        slope: largest change of brightness from the middle to the darkest and the brightest corner.
    """
    count, _, height, width = images.shape
    exponent = torch.exp(uniform(count, -gamma, gamma, generator))[:, None, None, None]
    direction = uniform(count, 0, 2 * math.pi, generator)[:, None, None, None]
    strength = uniform(count, 0, slope, generator)[:, None, None, None]
    x = torch.linspace(-1, 1, width) / math.sqrt(2)
    y = torch.linspace(-1, 1, height)[:, None] / math.sqrt(2)
    ramp = torch.cos(direction) * x + torch.sin(direction) * y
    return images.clamp(1e-3, 1).pow(exponent) * (1 + strength * ramp)


def random_blur(
    images: torch.Tensor, generator: torch.Generator, *, share: float = 0.3, sigma: float = 1.2
) -> torch.Tensor:
    """Gaussian blur of a random share of the images, with a standard deviation up to ``sigma`` pixels."""
    count = len(images)
    hit = torch.rand(count, generator=generator) < share
    width = uniform(count, 0.3, sigma, generator).clamp_min(1e-3)
    width = torch.where(hit, width, torch.full_like(width, 1e-2))
    radius = math.ceil(2 * sigma)
    line = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (line / width[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True))[:, None]
    stacked = functional.pad(images.transpose(0, 1), (radius,) * 4, mode="replicate")
    stacked = functional.conv2d(stacked, kernel[:, :, None], groups=count)
    return functional.conv2d(stacked, kernel[:, :, :, None], groups=count).transpose(0, 1)


def random_resolution(
    images: torch.Tensor, generator: torch.Generator, *, share: float = 0.2, least: float = 0.4
) -> torch.Tensor:
    """Shrink a random share of the images to a random size of ``least`` or more, and enlarge them again."""
    hit = torch.rand(len(images), generator=generator) < share
    size = round(images.shape[2] * float(uniform(1, least, 0.9, generator)))
    if not hit.any():
        return images
    small = functional.interpolate(images[hit], size=(size, size), mode="area")
    result = images.clone()
    result[hit] = functional.interpolate(small, size=images.shape[2:], mode="bilinear", align_corners=False)
    return result


def random_equalization(images: torch.Tensor, generator: torch.Generator, *, share: float = 0.15) -> torch.Tensor:
    """Equalize the local contrast of a random share of the images (CLAHE), as cameras and image editors do."""
    return _in_bytes(images, torch.rand(len(images), generator=generator) < share, _equalized)


def random_compression(
    images: torch.Tensor, generator: torch.Generator, *, share: float = 0.3, quality: tuple[int, int] = (10, 60)
) -> torch.Tensor:
    """Compress a random share of the images to JPEG, at a random quality between two of OpenCV's, 0 to 100."""
    grades = torch.randint(*quality, (len(images),), generator=generator).tolist()
    hit = torch.rand(len(images), generator=generator) < share
    return _in_bytes(images, hit, lambda image, row: _compressed(image, grades[row]))


def _equalized(image: np.ndarray, _: int) -> np.ndarray:
    return cv2.createCLAHE(2.0, (4, 4)).apply(image)


def _compressed(image: np.ndarray, grade: int) -> np.ndarray:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, grade])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


def _in_bytes(images: torch.Tensor, hit: torch.Tensor, change: Callable[[np.ndarray, int], np.ndarray]) -> torch.Tensor:
    """The images (N, 1, H, W) with those that are hit changed as (H, W) uint8; ``change`` gets their row as well."""
    result = images.clone()
    for row in torch.nonzero(hit)[:, 0].tolist():
        image = (images[row, 0].clamp(0, 1).numpy() * 255).astype(np.uint8)
        result[row, 0] = torch.from_numpy(change(image, row).astype(np.float32) / 255)
    return result


def random_noise(images: torch.Tensor, generator: torch.Generator, *, deviation: float = 0.03) -> torch.Tensor:
    """Add Gaussian noise with a standard deviation up to ``deviation``, different for each image."""
    strength = uniform(len(images), 0, deviation, generator)[:, None, None, None]
    return images + strength * torch.randn(images.shape, generator=generator)


def random_erase(
    images: torch.Tensor, generator: torch.Generator, *, share: float = 0.2, area: float = 0.2
) -> torch.Tensor:
    """Fill one box of a random share of the images with a random gray: hands, hair, microphones.

    Source: Zhong et al., "Random erasing data augmentation", AAAI 2020.
    """
    count, _, height, width = images.shape
    hit = torch.rand(count, generator=generator) < share
    covered = uniform(count, 0.03, area, generator)
    aspect = torch.exp(uniform(count, -0.9, 0.9, generator))
    tall, wide = (covered * aspect).sqrt() * height, (covered / aspect).sqrt() * width
    top, left = (
        torch.rand(count, generator=generator) * (height - tall),
        torch.rand(count, generator=generator) * (width - wide),
    )
    shade = torch.rand(count, generator=generator)[:, None, None, None]
    row, column = torch.arange(height)[:, None], torch.arange(width)
    first, last = top[:, None, None], (top + tall)[:, None, None]
    begin, end = left[:, None, None], (left + wide)[:, None, None]
    inside = (row >= first) & (row < last) & (column >= begin) & (column < end) & hit[:, None, None]
    return torch.where(inside[:, None], shade, images)


def mixup(
    images: torch.Tensor,
    target: torch.Tensor,
    generator: torch.Generator,
    *,
    share: float = 0.2,
    alpha: float = 0.3,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend a random share of the images, and their targets, with others of the batch.

    Source: Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.

    Args:
        images: (N, 1, H, W).
        target: (N, …, K) distributions.
        generator: of the random numbers.
        share: of the images that are blended.
        alpha: both parameters of the beta distribution that the weight comes from; small = mostly one of the
            two.
    """
    count = len(images)
    # torch's own beta distribution takes no generator, so Jöhnk's method (1964): powers of two uniforms.
    u = torch.rand(16, count, generator=generator).pow(1 / alpha)
    v = torch.rand(16, count, generator=generator).pow(1 / alpha)
    accepted = (u + v <= 1).float().argmax(0)
    u, v = (x.gather(0, accepted[None])[0] for x in (u, v))
    weight = (u / (u + v).clamp_min(1e-12)).clamp(0, 1)
    weight = torch.maximum(weight, 1 - weight)
    weight = torch.where(torch.rand(count, generator=generator) < share, weight, torch.ones(count))
    partner = torch.randperm(count, generator=generator)
    blend = weight[:, None, None, None]
    images = blend * images + (1 - blend) * images[partner]
    share_of_own = weight.view(-1, *[1] * (target.ndim - 1))
    return images, share_of_own * target + (1 - share_of_own) * target[partner]
