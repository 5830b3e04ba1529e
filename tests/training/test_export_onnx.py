"""Exported networks give what they gave in torch, and run where torch is not installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from mmemo.checkpoint import load_checkpoint
from mmemo.cli import export
from mmemo.encoders.base import Encoding
from mmemo.encoders.face.architecture import FaceArchitecture, SequenceArchitecture
from mmemo.encoders.face.encoder import FaceEncoder, GrayCropEncoder
from mmemo.encoders.face.network import FaceNetwork
from mmemo.encoders.face.sequence import FaceSequenceEncoder
from mmemo.encoders.face.sequence_network import build_network
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.encoders.probe_encoder import ProbeEncoder
from mmemo.encoders.text.architecture import TextArchitecture
from mmemo.encoders.text.encoder import TextEncoder
from mmemo.encoders.text.network import TextNetwork
from mmemo.encoders.voice.architecture import VoiceArchitecture
from mmemo.encoders.voice.encoder import VoiceEncoder
from mmemo.encoders.voice.network import VoiceNetwork
from mmemo.encoders.voice.whisper_layers import WhisperLayersEncoder
from mmemo.errors import ArgumentError, WeightsError
from mmemo.files import GRAPH, GRAPH_INT8
from mmemo.fusion.base import FusionHead
from mmemo.fusion.concat import ConcatFusion
from mmemo.fusion.cross_attention import CrossAttentionFusion
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, MEGC3
from mmemo.micro.networks import NETWORKS, OF_SEQUENCES
from mmemo.micro.recognition import MicroRecognizer
from mmemo.model import EmotionModel
from mmemo.pretrained import MICRO, WEIGHTS, load_model
from mmemo.training.export_onnx import export_classifier, export_model

TINY_FACE = FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1), heads=2)
TINY_VOICE = VoiceArchitecture(d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=32)


def shaken(network: torch.nn.Module) -> Any:
    """The network with weights as different from one another as trained ones."""
    torch.manual_seed(0)
    for name, value in network.state_dict().items():  # which are views of the network's own
        if value.is_floating_point():
            spread = 0.3 if value.ndim < 2 else 1.5 / value[0].numel() ** 0.5
            value.copy_(torch.randn_like(value) * spread + ("norm" in name))
            if name.endswith(("var", "spread")):
                value.abs_().add_(0.1)
    return network.eval()


def sounds(*seconds: float) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(0.1 * rng.normal(size=int(16_000 * length))).astype(np.float32) for length in seconds]


def windows(encoder: GrayCropEncoder[Any], *lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.random((length, 2, encoder.size, encoder.size)).astype(np.float32) for length in lengths]


def same(first: Encoding, second: Encoding, tolerance: float = 1e-4) -> None:
    np.testing.assert_array_equal(first.mask, second.mask)
    np.testing.assert_allclose(first.tokens, second.tokens, atol=tolerance)
    np.testing.assert_allclose(first.logits, second.logits, atol=tolerance)
    assert (first.affect is None) == (second.affect is None)
    if first.affect is not None and second.affect is not None:
        np.testing.assert_allclose(first.affect, second.affect, atol=tolerance)


def face_network() -> FaceEncoder:
    return FaceEncoder(shaken(FaceNetwork(TINY_FACE)), EKMAN7)


@pytest.mark.parametrize("kind", ["image", "inflated", "lstm"])
def test_faces(kind: str, tmp_path: Path) -> None:
    encoder: GrayCropEncoder[Any] = face_network()
    if kind != "image":
        shape = SequenceArchitecture(TINY_FACE, kind, hidden=6)  # type: ignore[arg-type]
        encoder = FaceSequenceEncoder(shaken(build_network(shape)), EKMAN7)
    exported = type(encoder).load(export_classifier(encoder, tmp_path / "face"))
    assert exported.is_exported
    for lengths in ((3,), (1, 8), (5, 2, 5)):
        same(exported.encode(windows(encoder, *lengths)), exported.in_torch().encode(windows(encoder, *lengths)))


@pytest.mark.parametrize("seconds", [(1.0,), (0.3, 2.0, 1.27)])
def test_voices(seconds: tuple[float, ...], tmp_path: Path) -> None:
    encoder = VoiceEncoder(shaken(VoiceNetwork(TINY_VOICE, len(EKMAN7))), EKMAN7)
    exported = VoiceEncoder.load(export_classifier(encoder, tmp_path / "voice"))
    same(exported.encode(sounds(*seconds)), exported.in_torch().encode(sounds(*seconds)))


@pytest.mark.parametrize("affect", [0, 3])
def test_words(affect: int, tmp_path: Path) -> None:
    embedded = TextEncoder.load(WEIGHTS / "text")
    shape = TextArchitecture(embedded.architecture.vocabulary, 16, 2, 2, 32, affect=affect)
    encoder = TextEncoder(shaken(TextNetwork(shape)), embedded.tokenizer)
    exported = TextEncoder.load(export_classifier(encoder, tmp_path / "text"))
    for lines in (["Hello there!"], ["No.", "What a lovely day it is, my dear", "Why?"]):
        ids = [encoder.tokenize(line) for line in lines]
        same(exported.encode(ids), exported.in_torch().encode(ids))


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - set(OF_SEQUENCES)))
def test_networks_of_micro_expressions(name: str, tmp_path: Path) -> None:
    recognizer = MicroRecognizer([(name, shaken(NETWORKS[name](3))), ("cnn", shaken(NETWORKS["cnn"](3)))], MEGC3)
    exported = MicroRecognizer.load(export_classifier(recognizer, tmp_path / "micro"))
    images = np.random.default_rng(0).normal(size=(5, 3, 28, 28)).astype(np.float32)
    for count in (1, 5):
        np.testing.assert_allclose(exported(images[:count]), exported.in_torch()(images[:count]), atol=1e-4)


def encodings(rows: int, lengths: dict[str, int], absent: bool = True) -> dict[str, Encoding]:
    rng = np.random.default_rng(rows)
    made = {}
    for name, length in lengths.items():
        mask = np.ones((rows, length), bool)
        if absent and name == "voice":
            mask[0] = False
        tokens = rng.normal(size=(rows, length, 8)).astype(np.float32)
        made[name] = Encoding(tokens, mask, rng.normal(size=(rows, 7)).astype(np.float32))
    return made


@pytest.mark.parametrize("head_class", [ConcatFusion, CrossAttentionFusion])
def test_heads(head_class: type[Any], tmp_path: Path) -> None:
    head = head_class(EKMAN7, {"face": 16, "voice": 8})
    shaken(head.network)
    face = face_network()
    voice = VoiceEncoder(shaken(VoiceNetwork(VoiceArchitecture(80, 8, 1, 2, 16), len(EKMAN7))), EKMAN7)
    EmotionModel([face, voice], head, {"voice": 2.0}, name="mine").save(tmp_path / "run", card={"corpus": "made"})
    exported = EmotionModel.load(export_model(tmp_path / "run", tmp_path / "out"))
    assert isinstance(exported.fusion, head_class)
    assert exported.fusion.graphs()
    assert exported.temperatures["voice"] == 2.0
    assert load_checkpoint(tmp_path / "out" / "fusion", "emotion-model").config["corpus"] == "made"
    trained = EmotionModel.load(tmp_path / "run").fusion
    for rows, lengths in ((3, {"voice": 4}), (1, {"voice": 2}), (4, {"voice": 7})):
        given = encodings(rows, lengths, absent=False)
        given["face"] = Encoding(
            np.random.default_rng(1).normal(size=(rows, 3, 16)).astype(np.float32),
            np.array([[True, True, True], *[[True, False, False]] * (rows - 1)]),
            np.random.default_rng(2).normal(size=(rows, 7)).astype(np.float32),
        )
        for some in (given, {"voice": given["voice"]}):
            np.testing.assert_allclose(exported.fusion.fuse(some), trained.fuse(some), atol=1e-4)
            for name, share in exported.fusion.shares(some).items():
                np.testing.assert_allclose(share, trained.shares(some)[name], atol=1e-4)
    # saved once more it is the same model, graphs and all
    again = EmotionModel.load(exported.save(tmp_path / "again"))
    assert again.fusion.graphs()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(again.fusion.fuse(given), exported.fusion.fuse(given))
    assert again.encoders["face"].is_exported  # type: ignore[attr-defined]
    # and its network in torch has the weights that were trained
    weights, copied = trained.network.state_dict(), again.fusion.network.state_dict()  # type: ignore[attr-defined]
    assert weights.keys() == copied.keys()
    assert all(torch.equal(weight, copied[name]) for name, weight in weights.items())


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["face", "voice", "text"])
def test_embedded_networks(modality: str) -> None:
    folder = WEIGHTS / modality
    encoder_class: Any = {"face": FaceEncoder, "voice": VoiceEncoder, "text": TextEncoder}[modality]
    exported = encoder_class.load(folder, precision="float32")
    if modality == "face":
        batch = windows(exported, 8, 3)
    elif modality == "voice":
        batch = sounds(2.0, 0.7)
    else:
        batch = [exported.tokenize(line) for line in ("I am so happy!", "Leave me alone, I hate all of this.")]
    first, second = exported.encode(batch), exported.in_torch().encode(batch)
    same(first, second)
    shares = [np.exp(one.logits) / np.exp(one.logits).sum(axis=1, keepdims=True) for one in (first, second)]
    np.testing.assert_allclose(*shares, atol=1e-3)


@pytest.mark.slow
def test_the_embedded_recognizer_of_micro_expressions() -> None:
    exported = MicroRecognizer.load(MICRO.folder)
    images = np.random.default_rng(0).normal(size=(5, 3, 28, 28)).astype(np.float32)
    np.testing.assert_allclose(exported(images), exported.in_torch()(images), atol=1e-4)


@pytest.mark.slow
def test_int8_is_near(tmp_path: Path) -> None:
    embedded = TextEncoder.load(WEIGHTS / "text", precision="float32")
    ids = [embedded.tokenize(line) for line in ("I am so happy!", "That is disgusting.", "I am afraid of the dark.")]
    plain, int8 = embedded.encode(ids), TextEncoder.load(WEIGHTS / "text", precision="int8").encode(ids)
    assert 0 < np.abs(plain.logits - int8.logits).max() < 1.0
    assert (plain.logits.argmax(axis=1) == int8.logits.argmax(axis=1)).all()
    with pytest.raises(ArgumentError, match="no network in int8"):
        FaceEncoder.load(WEIGHTS / "face", precision="int8")
    with pytest.raises(ArgumentError, match="expected one of"):
        FaceEncoder.load(WEIGHTS / "face", precision="half")  # type: ignore[arg-type]


def test_int8_of_a_network_of_ones_own(tmp_path: Path) -> None:
    shape = VoiceArchitecture(d_model=256, encoder_layers=1, encoder_attention_heads=4, encoder_ffn_dim=512)
    encoder = VoiceEncoder(shaken(VoiceNetwork(shape, len(EKMAN7))), EKMAN7)
    folder = export_classifier(encoder, tmp_path / "voice", int8=True)
    products = [node.op_type for node in onnx.load(folder / GRAPH_INT8, load_external_data=False).graph.node]
    assert products.count("MatMulInteger") == 6  # query, key, value, output and the two of the feed-forward part
    assert "MatMulInteger" not in [node.op_type for node in onnx.load(folder / GRAPH).graph.node]
    plain = VoiceEncoder.load(folder, precision="float32").encode(sounds(1.0))
    same(plain, encoder.encode(sounds(1.0)), tolerance=0.5)  # logarithms of small shares
    same(VoiceEncoder.load(folder, precision="int8").encode(sounds(1.0)), plain, tolerance=0.5)


def test_weights_lie_in_one_file_only(tmp_path: Path) -> None:
    folder = export_classifier(face_network(), tmp_path / "face")
    graph = onnx.load(folder / GRAPH, load_external_data=False).graph
    inside = sum(len(tensor.raw_data) for tensor in graph.initializer)
    outside = [tensor.name for tensor in graph.initializer if tensor.external_data]
    assert len(outside) > 10
    assert inside < 1000


@pytest.mark.slow
def test_what_can_not_be_exported(tmp_path: Path) -> None:
    encoder = WhisperLayersEncoder(EKMAN7)
    model = EmotionModel([encoder], LateFusion(EKMAN7, {"voice": 1.0}))
    model.save(tmp_path / "run")
    with pytest.raises(ArgumentError, match="can't be exported"):
        export_model(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ArgumentError):
        export_model(tmp_path / "run", tmp_path / "run")


@pytest.mark.slow
def test_probes_and_models_without_torch(tmp_path: Path) -> None:
    """A whole model, its encoder under a probe, is exported and then used in a process that has no torch."""
    base, rng = face_network(), np.random.default_rng(0)
    probe = LinearProbe(np.zeros(16), np.ones(16), rng.normal(size=(16, 7)), np.zeros(7))
    head: FusionHead = LateFusion(EKMAN7, {"face": 1.0, "text": 1.0})
    EmotionModel([ProbeEncoder(base, probe, EKMAN7), load_model().encoders["text"]], head).save(tmp_path / "run")  # type: ignore[list-item]
    code = (
        "import sys\n"
        "for name in ('torch', 'torchaudio', 'transformers', 'sklearn', 'onnx'): sys.modules[name] = None\n"
        "import mmemo\n"
        f"model = mmemo.load_model({str(tmp_path / 'out')!r})\n"
        "print(mmemo.analyze(text='I am so happy!', model=model).label)\n"
        "print(model.encoders['face'].base.is_exported)\n"
        f"try: mmemo.load_model({str(tmp_path / 'run')!r})\n"
        "except mmemo.errors.MissingExtraError as error: print(error)\n"
    )
    export_model(tmp_path / "run", tmp_path / "out")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    label, exported, message = done.stdout.splitlines()
    assert (label, exported) == ("happiness", "True")
    assert "pip install 'mmemo[train]'" in message


def test_an_exported_encoder_whose_files_are_gone(tmp_path: Path) -> None:
    exported = FaceEncoder.load(export_classifier(face_network(), tmp_path / "face"))
    shutil.rmtree(tmp_path / "face")
    with pytest.raises(WeightsError, match="can't be read any more"):
        exported.save(tmp_path / "copy")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    EmotionModel([face_network()], LateFusion(EKMAN7, {"face": 1.0})).save(tmp_path / "run")
    export(tmp_path / "run", tmp_path / "out")
    assert capsys.readouterr().out.strip() == str(tmp_path / "out")
    assert EmotionModel.load(tmp_path / "out").encoders["face"].is_exported  # type: ignore[attr-defined]
