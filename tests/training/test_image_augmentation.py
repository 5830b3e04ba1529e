"""Augmentation: exact where it can be, repeatable, and within its bounds."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from mmemo.training import image_augmentation as augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def placement_of_whole(side: int, size: int, count: int = 1) -> torch.Tensor:
    ratio = side / size
    return torch.tensor([[ratio, 0, (ratio - 1) / 2], [0, ratio, (ratio - 1) / 2]]).repeat(count, 1, 1)


@pytest.fixture
def images() -> torch.Tensor:
    return functional.interpolate(torch.rand(16, 1, 12, 12, generator=generator(5)), size=(48, 48), mode="bilinear")


def test_sampling_the_whole_image_is_resizing(images: torch.Tensor) -> None:
    found = augment.sample(images, placement_of_whole(48, 64, len(images)), 64)
    expected = functional.interpolate(images, size=(64, 64), mode="bilinear", align_corners=False)
    assert torch.allclose(found, expected, atol=1e-5)


def test_sampling_agrees_with_opencv(images: torch.Tensor) -> None:
    angle = 0.3
    matrix = np.array([[np.cos(angle), -np.sin(angle), 9.0], [np.sin(angle), np.cos(angle), -4.0]], np.float32)
    found = augment.sample(images[:1], torch.from_numpy(matrix)[None], 40)[0, 0].numpy()
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(images[0, 0].numpy(), matrix, (40, 40), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(found - expected).max() < 0.03


def test_placements_without_any_change_are_kept_or_mirrored() -> None:
    start = placement_of_whole(48, 64, 200)
    found = augment.random_placements(start, 64, generator(), degrees=0, zoom=0, stretch=0, shift=0)
    mirrored = start.clone()
    mirrored[:, 0, 0] *= -1
    mirrored[:, 0, 2] = 47 - mirrored[:, 0, 2]
    same = (found - start).abs().amax(dim=(1, 2)) < 1e-4
    flipped = (found - mirrored).abs().amax(dim=(1, 2)) < 1e-4
    assert (same ^ flipped).all()
    assert 60 < int(flipped.sum()) < 140


def test_placements_stay_within_their_bounds() -> None:
    start = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]).repeat(500, 1, 1)
    found = augment.random_placements(start, 64, generator(), degrees=15, zoom=0.15, stretch=0, shift=0.1)
    scale = found[:, :, 1].norm(dim=1)
    assert float(scale.min()) >= 1 / 1.151
    assert float(scale.max()) <= 1.151
    turned = torch.rad2deg(torch.atan2(found[:, 0, 1].abs(), found[:, 1, 1]))
    assert float(turned.max()) <= 15.01
    middle = found @ torch.tensor([31.5, 31.5, 1.0]) - 31.5
    assert float(middle.abs().max()) <= 6.41


@pytest.mark.parametrize(
    "change",
    [
        augment.random_tone,
        augment.random_blur,
        augment.random_resolution,
        augment.random_noise,
        augment.random_erase,
        augment.random_equalization,
        augment.random_compression,
    ],
)
def test_changes_are_repeatable_and_leave_their_input_alone(images: torch.Tensor, change) -> None:
    before = images.clone()
    first, second, other = change(images, generator(1)), change(images, generator(1)), change(images, generator(2))
    assert torch.equal(images, before)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.shape == images.shape
    assert torch.isfinite(first).all()


SHARED = [
    augment.random_blur,
    augment.random_resolution,
    augment.random_erase,
    augment.random_equalization,
    augment.random_compression,
]


@pytest.mark.parametrize("change", SHARED)
def test_only_a_share_of_the_images_is_changed(change) -> None:
    many = torch.rand(400, 1, 32, 32, generator=generator(3))
    changed = (change(many, generator(), share=0.25) - many).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert 0.15 < float(changed.float().mean()) < 0.35


def test_equalization_brings_out_what_is_dark_and_compression_loses_the_finest_detail() -> None:
    dim = torch.linspace(0, 0.2, 32).expand(1, 1, 32, 32)
    assert float(augment.random_equalization(dim, generator(), share=1.0).max()) > 0.25
    noisy = torch.rand(1, 1, 32, 32, generator=generator())
    rough = augment.random_compression(noisy, generator(), share=1.0, quality=(10, 11))
    fine = augment.random_compression(noisy, generator(), share=1.0, quality=(95, 96))
    assert float((rough - noisy).abs().mean()) > 3 * float((fine - noisy).abs().mean())


def test_blur_is_gaussian() -> None:
    image = torch.zeros(1, 1, 21, 21)
    image[0, 0, 10, 10] = 1
    blurred = augment.random_blur(image, generator(), share=1.0, sigma=1.5)[0, 0].double()
    assert float(blurred.sum()) == pytest.approx(1, abs=1e-5)
    offset = torch.arange(21) - 10.0
    deviation = float((blurred.sum(0) * offset**2).sum().sqrt())
    assert 0.25 < deviation < 1.5


def test_mixup_blends_images_and_targets_alike() -> None:
    # Image i holds the value i; its target says i too: after mixing both must still agree.
    count = 64
    images = torch.arange(count, dtype=torch.float32)[:, None, None, None].expand(count, 1, 4, 4)
    mixed, target = augment.mixup(images, torch.eye(count), generator(), share=0.5)
    assert torch.allclose(target.sum(1), torch.ones(count), atol=1e-5)
    assert torch.allclose(mixed[:, 0, 0, 0], target @ torch.arange(count, dtype=torch.float32), atol=1e-3)
    own = target.diagonal()
    assert float(own.min()) >= 0.5
    assert 0.3 < float((own > 0.9999).float().mean()) < 0.8


def test_mixup_blends_several_targets_of_an_image_alike() -> None:
    images = torch.arange(8, dtype=torch.float32)[:, None, None, None].expand(8, 1, 4, 4)
    single = torch.eye(8)
    _, target = augment.mixup(images, torch.stack([single, single.flip(1)], 1), generator(), share=1.0)
    _, alone = augment.mixup(images, single, generator(), share=1.0)
    assert target.shape == (8, 2, 8)
    assert torch.allclose(target[:, 0], alone)
    assert torch.allclose(target[:, 1], alone.flip(1))
