from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmemo.errors import ArgumentError, UnknownModelError, WeightsError
from mmemo.labels import MEGC3, LabelSet
from mmemo.micro.flow_image import SIDE, flow_image, mirrored, normalized
from mmemo.micro.histograms import flow_histograms, lbp_top
from mmemo.micro.networks import NETWORKS, OF_SEQUENCES
from mmemo.micro.optical_flow import SIZE
from mmemo.micro.recognition import MicroRecognizer, load_micro
from mmemo.testing import brow_raise, corpus_flow, smile_corner
from mmemo.training.micro import GrowingFlow, MicroSchedule, train, variants

pytestmark = pytest.mark.slow


def few(count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Flow images of two movements, told apart by where they are, with noise."""
    rng = np.random.default_rng(0)
    target = np.arange(count) % 2
    images = [
        flow_image((brow_raise(1.0) if one else smile_corner(1.0)) + rng.normal(0, 0.05, (SIZE, SIZE, 2)))
        for one in target
    ]
    return np.stack(images), target


def test_a_flow_image_does_not_depend_on_strength_or_a_shift() -> None:
    flow = smile_corner(1.0)
    image = flow_image(flow)
    assert image.shape == (3, SIDE, SIDE)
    assert image.dtype == np.float32
    assert flow_image(3 * flow + np.float32([2, -1])) == pytest.approx(image, abs=1e-3)
    with pytest.raises(ArgumentError, match="expected a flow"):
        flow_image(flow[..., 0])


def test_the_image_shows_what_moves_where() -> None:
    """A corner of the mouth that is drawn up shows below and at the left, and v is negative there."""
    image = flow_image(smile_corner(1.0))
    row, column = np.unravel_index(image[1].argmin(), image[1].shape)
    assert row > 15
    assert column < 12
    assert np.unravel_index(image[0].argmin(), image[0].shape)[1] < 12


def test_the_mirror_turns_the_face_and_its_motion() -> None:
    image = flow_image(smile_corner(1.0))
    assert np.array_equal(mirrored(mirrored(image)), image)
    assert mirrored(image)[0].max() == pytest.approx(-image[0].min())
    assert mirrored(image)[1].min() == image[1].min()


def test_corpus_images_and_measured_flow_are_of_one_kind() -> None:
    """An image brought to 0 .. 255 channel by channel, as the corpora's, gives back the flow it was made of."""
    true = flow_image(smile_corner(1.0)).transpose(1, 2, 0)
    low, high = true.min(axis=(0, 1)), true.max(axis=(0, 1))
    stored = ((true - low) / (high - low) * 255).round().astype(np.uint8)
    assert normalized(stored[None])[0] == pytest.approx(true.transpose(2, 0, 1), abs=0.1)
    flow = corpus_flow(stored, 2.0)
    assert np.linalg.norm(flow, axis=2).max() == pytest.approx(2.0, abs=1e-3)
    again = flow_image(flow)
    assert np.corrcoef(again[1].ravel(), true[..., 1].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_learns_two_movements(name: str) -> None:
    images, target = few()

    def make() -> torch.nn.Module:
        network = NETWORKS[name](2)
        return GrowingFlow(network) if name in OF_SEQUENCES else network

    network = train(make, images, target, MicroSchedule(epochs=12, learning_rate=3e-3, batch=8), seed=0)
    with torch.inference_mode():
        logits = network(torch.from_numpy(images))
    assert logits.shape == (24, 2)
    assert (logits.argmax(dim=1).numpy() == target).mean() > 0.9
    assert sum(part.numel() for part in network.parameters()) < 400_000


def test_training_is_deterministic() -> None:
    images, target = few()
    runs = [
        train(lambda: NETWORKS["dense"](2), images, target, MicroSchedule(epochs=2, batch=8), seed=3).state_dict()
        for _ in range(2)
    ]
    assert all(torch.equal(runs[0][key], runs[1][key]) for key in runs[0])


def test_variants_are_shifts_of_the_face_and_of_its_mirror_image() -> None:
    image = torch.from_numpy(flow_image(smile_corner(1.0)))[None]
    made = variants(image, 1)
    assert made.shape == (18, 1, 3, SIDE, SIDE)
    assert len({one.numpy().tobytes() for one in made}) == 18
    assert torch.equal(made[4], image)
    assert np.array_equal(made[9 + 4].numpy(), mirrored(image.numpy()))
    assert torch.equal(made[0][..., 1:, 1:], image[..., :-1, :-1])


def test_save_and_load_of_own_classes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    labels = LabelSet("own", ("calm", "brows", "mouth", "nose"))
    recognizer = MicroRecognizer([("cnn", NETWORKS["cnn"](4)), ("ststnet", NETWORKS["ststnet"](4))], labels)
    again = MicroRecognizer.load(recognizer.save(tmp_path / "own"))
    images, _ = few()
    assert again.labels == labels
    assert again(images) == pytest.approx(recognizer(images), abs=2e-3)
    assert again(images).sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert again(mirrored(images)) == pytest.approx(again(images), abs=1e-5)


def test_what_is_no_recognizer(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError):
        MicroRecognizer.load(tmp_path)
    with pytest.raises(ArgumentError, match="at least one"):
        MicroRecognizer([], MEGC3)
    with pytest.raises(ArgumentError, match="expected one of"):
        MicroRecognizer([("cnn3d", NETWORKS["cnn3d"](3))], MEGC3)
    folder = MicroRecognizer([("cnn", NETWORKS["cnn"](3))], MEGC3).save(tmp_path / "x")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "networks": ["dense"]}))
    with pytest.raises(WeightsError, match="does not hold a MicroRecognizer"):
        MicroRecognizer.load(folder)


def test_the_embedded_recognizer() -> None:
    recognizer = load_micro()
    assert tuple(recognizer.labels) == ("negative", "positive", "surprise")
    both_corners = smile_corner(1.0) + mirrored_flow(smile_corner(1.0))
    scores = recognizer(np.stack([flow_image(both_corners), flow_image(brow_raise(1.0))]))
    assert [recognizer.labels[i] for i in scores.argmax(axis=1)] == ["positive", "surprise"]
    with pytest.raises(ArgumentError, match="expected images"):
        recognizer(np.zeros((1, 28, 28, 3), np.float32))


def mirrored_flow(flow: np.ndarray) -> np.ndarray:
    return flow[:, ::-1] * np.float32([-1, 1])


def test_flow_histograms_keep_the_main_direction() -> None:
    images = np.zeros((1, 3, SIDE, SIDE), np.float32)
    images[0, 1, :14, :14] = -2.0  # up, in the left upper quarter
    features = flow_histograms(images, grid=2).reshape(4, 10)
    assert features[0, :2] == pytest.approx([0, -2])
    assert features[0, 2:].argmax() == 6  # eighths of a turn from x towards y, which points down
    assert features[1:, :2] == pytest.approx(0)


def test_lbp_top_counts_patterns_of_three_planes() -> None:
    rng = np.random.default_rng(0)
    face = rng.integers(0, 256, (20, 20), np.uint8)
    still = np.repeat(face[None], 5, axis=0)
    features = lbp_top(still, grid=2).reshape(3, 4, 59)
    assert features.sum(axis=2) == pytest.approx(1.0)
    moving = lbp_top(np.stack([np.roll(face, t, axis=1) for t in range(5)]), grid=2).reshape(3, 4, 59)
    assert np.abs(moving[0] - features[0]).sum() < np.abs(moving[1:] - features[1:]).sum() / 4
    with pytest.raises(ArgumentError, match="three or more"):
        lbp_top(still[:2])
