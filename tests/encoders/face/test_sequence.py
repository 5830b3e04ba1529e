"""The sequence networks begin as the image network, see order, and keep the contract of an encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmemo.encoders.base import Encoder
from mmemo.encoders.face.architecture import FaceArchitecture, SequenceArchitecture
from mmemo.encoders.face.encoder import FaceEncoder
from mmemo.encoders.face.network import FaceNetwork
from mmemo.encoders.face.sequence import FaceSequenceEncoder
from mmemo.encoders.face.sequence_network import SequenceNetwork, TemporalConvolution, build_network
from mmemo.errors import ArgumentError, UnknownModelError, WeightsError
from mmemo.evidence import Evidence, FaceEvidence
from mmemo.labels import EKMAN7, MEGC3, LabelSet
from mmemo.pretrained import WEIGHTS
from mmemo.testing import check_encoder

pytestmark = pytest.mark.slow

TINY = FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1), heads=2)
KINDS = ["inflated", "lstm"]


def evidence(count: int, seed: int = 0) -> Evidence:
    crops = np.random.default_rng(seed).integers(0, 256, (count, 112, 112, 3), dtype=np.uint8)
    face = FaceEvidence(
        person=0,
        times=np.arange(count) / 15,
        crops=crops,
        quality=np.linspace(0.5, 1, count, dtype=np.float32),
        landmarks=np.zeros((count, 478, 3), np.float32),
        blendshapes=np.zeros((count, 52), np.float32),
        pose=np.zeros((count, 3), np.float32),
        box=np.zeros((count, 4), np.float32),
        frame_size=(640, 360),
        coverage=1.0,
    )
    return Evidence(0.0, 2.0, face=face)


def architecture(kind: str) -> SequenceArchitecture:
    return SequenceArchitecture(TINY, kind, hidden=6)  # type: ignore[arg-type]


def trained_looking(kind: str) -> SequenceNetwork:
    """Weights at which time matters."""
    torch.manual_seed(0)
    network = build_network(architecture(kind))
    for module in network.modules():
        if isinstance(module, TemporalConvolution):
            torch.nn.init.normal_(module.weight, 0.3, 0.3)
        elif isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    if kind == "lstm":
        torch.nn.init.normal_(network.head.weight)
    return network.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_before_training_each_clip_has_the_scores_of_its_images(kind: str) -> None:
    """With the embedded weights: a constant clip gives the scores of its picture, and any clip those of its frames."""
    image = FaceEncoder.load(WEIGHTS / "face").network
    network = build_network(SequenceArchitecture(image.architecture, kind), image).eval()  # type: ignore[arg-type]
    pictures = torch.rand(2, 1, image.architecture.size, image.architecture.size)
    constant = pictures[:, None].expand(-1, 5, -1, -1, -1)
    with torch.no_grad():
        expected = image(pictures)[1]
        assert network(constant)[1].numpy() == pytest.approx(expected[:, None].expand(-1, 5, -1).numpy(), abs=1e-4)
        assert network(pictures[None])[1][0].numpy() == pytest.approx(expected.numpy(), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_inflated_encoder_says_what_the_image_encoder_says(kind: str) -> None:
    encoder = FaceEncoder.load(WEIGHTS / "face")
    encoder.turn = 0.0  # a sequence's frames are not turned
    sequence = FaceSequenceEncoder.inflate(encoder, SequenceArchitecture(kind=kind))  # type: ignore[arg-type]
    assert (sequence.frames, sequence.floor, sequence.size) == (encoder.frames, encoder.floor, encoder.size)
    windows = [encoder.prepare(evidence(3))]
    assert np.array_equal(sequence.prepare(evidence(3)), windows[0])
    assert sequence.encode(windows).logits == pytest.approx(encoder.encode(windows).logits, abs=1e-4)


def test_temporal_convolution_by_its_definition() -> None:
    layer = TemporalConvolution(2, 3)
    torch.manual_seed(0)
    values = torch.rand(2 * 4, 2, 3, 3)
    assert torch.equal(layer(values, 2), values)
    torch.nn.init.normal_(layer.weight)
    with torch.no_grad():
        found = layer(values, 2).unflatten(0, (2, 4))
    clips, weight = values.unflatten(0, (2, 4)).numpy(), layer.weight.detach().numpy()
    padded = np.concatenate([clips[:, :1], clips, clips[:, -1:]], axis=1)
    for time in range(4):
        expected = sum(weight[k][:, None, None] * padded[:, time + k] for k in range(3))
        assert found[:, time].numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_trained_networks_see_the_order_of_frames(kind: str) -> None:
    network = trained_looking(kind)
    clips = torch.rand(1, 4, 1, 16, 16)
    with torch.no_grad():
        forward, backward = network(clips)[1], network(clips.flip(1))[1].flip(1)
    assert not np.allclose(forward, backward, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_is_an_encoder(kind: str) -> None:
    encoder = FaceSequenceEncoder(trained_looking(kind), EKMAN7)
    assert isinstance(encoder, Encoder)
    assert (encoder.modality, encoder.dim) == ("face", 16 if kind == "inflated" else 12)
    check_encoder(encoder, [evidence(count, seed=count) for count in (1, 4, 4, 2)])
    assert encoder.prepare(Evidence(0.0, 1.0)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_saves_and_loads(kind: str, tmp_path: Path) -> None:
    encoder = FaceSequenceEncoder(trained_looking(kind), EKMAN7, frames=4, mirror=False, card={"corpora": {"a": "b"}})
    encoder.save(tmp_path / "s")
    again = FaceSequenceEncoder.load(tmp_path / "s")
    assert (again.frames, again.mirror, again.card["corpora"]) == (4, False, {"a": "b"})
    window = encoder.prepare(evidence(6))
    assert again.encode([window]).logits == pytest.approx(encoder.encode([window]).logits, abs=0.02)
    config = tmp_path / "s" / "config.json"
    config.write_text(config.read_text().replace('"kernel"', '"colonel"'))
    with pytest.raises(WeightsError, match="colonel"):
        FaceSequenceEncoder.load(tmp_path / "s")
    with pytest.raises(UnknownModelError):
        FaceSequenceEncoder.load(tmp_path)


def test_training_leaves_the_batch_norms_of_the_image_network_alone() -> None:
    network = build_network(architecture("inflated"), FaceNetwork(TINY)).train()
    before = network.image.stem_norm.running_mean.clone()
    network(torch.rand(2, 3, 1, 16, 16))[1].sum().backward()
    assert torch.equal(network.image.stem_norm.running_mean, before)
    assert float(network.temporal[0].weight.grad.abs().sum()) > 0


def test_says_what_is_wrong() -> None:
    with pytest.raises(ArgumentError, match="expected one of"):
        architecture("gru")
    with pytest.raises(ArgumentError, match="odd"):
        SequenceArchitecture(kernel=4)
    with pytest.raises(ArgumentError, match="3 labels"):
        FaceSequenceEncoder(trained_looking("lstm"), MEGC3)
    encoder = FaceSequenceEncoder(trained_looking("lstm"), EKMAN7)
    with pytest.raises(ArgumentError, match="empty"):
        encoder.encode([])
    with pytest.raises(ArgumentError, match=r"\(T, 2, 16, 16\)"):
        encoder.encode([np.zeros((2, 1, 16, 16), np.float32)])


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_ones_own_are_saved(kind: str, tmp_path: Path) -> None:
    mine = LabelSet("mine", ("calm", "tense"))
    image = FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1), classes=2)
    network = build_network(SequenceArchitecture(image, kind, hidden=6))  # type: ignore[arg-type]
    assert FaceSequenceEncoder.load(FaceSequenceEncoder(network, mine).save(tmp_path / "mine")).labels == mine
