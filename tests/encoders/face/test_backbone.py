"""Checkpoints of other projects as the face encoder, made on the spot: ViT, ConvNeXt, ResNet, and ONNX files."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from mmemo import EmotionModel, load_model
from mmemo.encoders.base import Encoder
from mmemo.encoders.external import map_classes
from mmemo.encoders.face.backbone import ImageBackboneEncoder
from mmemo.encoders.face.encoder import FaceEncoder
from mmemo.encoders.face.preprocessing import Preprocessing
from mmemo.errors import ArgumentError, LabelError, MissingExtraError, UnknownModelError, WeightsError
from mmemo.evidence import Evidence, FaceEvidence
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, FER7, FER7_TO_EKMAN7, LabelSet
from mmemo.pretrained import WEIGHTS
from mmemo.testing import check_encoder

pytestmark = pytest.mark.slow

NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


def evidence(count: int, quality: np.ndarray | None = None, seed: int = 0) -> Evidence:
    crops = np.random.default_rng(seed).integers(0, 256, (count, 112, 112, 3), dtype=np.uint8)
    face = FaceEvidence(
        person=0,
        times=np.arange(count) / 25,
        crops=crops,
        quality=np.ones(count, np.float32) if quality is None else quality.astype(np.float32),
        landmarks=np.zeros((count, 478, 3), np.float32),
        blendshapes=np.zeros((count, 52), np.float32),
        pose=np.zeros((count, 3), np.float32),
        box=np.zeros((count, 4), np.float32),
        frame_size=(640, 360),
        coverage=1.0,
    )
    return Evidence(0.0, 2.0, face=face)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny untrained checkpoints as transformers writes them, and two ONNX files."""
    transformers = pytest.importorskip("transformers", reason="needs the extra backbones")
    torch.manual_seed(0)
    named = {"id2label": dict(enumerate(NAMES)), "label2id": {name: i for i, name in enumerate(NAMES)}}
    size = {"height": 24, "width": 24}
    vit = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=24, patch_size=8,
        **named,
    )  # fmt: skip
    convnext = transformers.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, **named)
    resnet = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **named
    )
    root = tmp_path_factory.mktemp("checkpoints")
    models = {
        "vit": (transformers.ViTForImageClassification(vit), transformers.ViTImageProcessorPil(size=size)),
        "convnext": (
            transformers.ConvNextForImageClassification(convnext),
            transformers.ConvNextImageProcessorPil(size={"shortest_edge": 32}, crop_pct=0.875),
        ),
        "resnet": (transformers.ResNetForImageClassification(resnet), transformers.ViTImageProcessorPil(size=size)),
        "bare": (transformers.ViTModel(vit), transformers.ViTImageProcessorPil(size=size)),
    }
    for name, (model, processor) in models.items():
        model.save_pretrained(root / name)
        processor.save_pretrained(root / name)
    return {name: root / name for name in models}


def onnx_file(
    path: Path, *, layout: str = "NCHW", channels: int = 3, batch: int | str = "n", classes: int = 7, side: int = 12
) -> Path:
    """The mean of each channel times a matrix: small enough to be computed by hand."""
    onnx = pytest.importorskip("onnx", reason="needs the extra dev")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    shape = [batch, channels, side, side] if layout == "NCHW" else [batch, side, side, channels]
    matrix = np.random.default_rng(1).normal(size=(channels, classes)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "matrix"], ["scores"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", kind, shape)],
        [helper.make_tensor_value_info("scores", kind, [batch, classes])],
        [
            onnx.numpy_helper.from_array(np.array([2, 3] if layout == "NCHW" else [1, 2]), "axes"),
            onnx.numpy_helper.from_array(matrix, "matrix"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("kind", ["vit", "convnext", "resnet"])
def test_a_checkpoint_is_a_face_encoder(checkpoints: dict[str, Path], kind: str) -> None:
    encoder = FaceEncoder.from_pretrained(checkpoints[kind])
    assert isinstance(encoder, Encoder)
    assert (encoder.modality, encoder.dim, encoder.labels) == ("face", 16, EKMAN7)
    check_encoder(encoder, [evidence(1), evidence(4, seed=1)])
    prepared = encoder.prepare(evidence(3, np.array([0.01, 0.5, 1.0])))
    assert prepared is not None
    side = 32 if kind == "convnext" else 24
    assert prepared.shape == (2, 4, side, side)
    assert prepared[:, 3, 0, 0] == pytest.approx([0.5, 1.0])


@pytest.mark.parametrize("kind", ["vit", "convnext"])
def test_scores_are_those_of_transformers_under_our_names(checkpoints: dict[str, Path], kind: str) -> None:
    import transformers

    window = evidence(1)
    processor = transformers.AutoImageProcessor.from_pretrained(checkpoints[kind], backend="pil")
    model = transformers.AutoModelForImageClassification.from_pretrained(checkpoints[kind]).eval()
    with torch.no_grad():
        logits = model(**processor(images=[window.face.crops[0]], return_tensors="pt")).logits.numpy()[0]
    expected = dict(zip(NAMES, softmax(logits), strict=True))
    encoder = FaceEncoder.from_pretrained(checkpoints[kind])
    found = dict(zip(EKMAN7, np.exp(encoder.encode([encoder.prepare(window)]).logits[0]), strict=True))
    assert found["anger"] == pytest.approx(expected["angry"], abs=1e-5)
    assert found["happiness"] == pytest.approx(expected["happy"], abs=1e-5)
    assert found["neutral"] == pytest.approx(expected["neutral"], abs=1e-5)


def test_it_takes_its_place_in_a_model_and_is_saved_with_it(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    encoder = FaceEncoder.from_pretrained(checkpoints["resnet"], frames=3, mirror=True)
    model = EmotionModel([encoder], LateFusion(EKMAN7, {"face": 1.0}))
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model", device="cpu")
    assert isinstance(again.encoders["face"], ImageBackboneEncoder)
    first, second = (m.encode("face", [evidence(5)]) for m in (model, again))
    assert second.logits == pytest.approx(first.logits, abs=1e-5)
    assert second.tokens.shape == (1, 3, 16)
    direct = FaceEncoder.from_pretrained(tmp_path / "model" / "face")
    assert direct.encode([direct.prepare(evidence(5))]).logits == pytest.approx(first.logits, abs=1e-5)


def test_our_own_folders_are_recognised() -> None:
    assert isinstance(FaceEncoder.from_pretrained(WEIGHTS / "face"), FaceEncoder)


def test_a_local_checkpoint_opens_no_network(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a network connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    FaceEncoder.from_pretrained(checkpoints["vit"])
    with pytest.raises(UnknownModelError, match=r"no folder with a Hugging Face checkpoint.*no name on the Hub"):
        FaceEncoder.from_pretrained(tmp_path / "missing")
    with pytest.raises(UnknownModelError, match=r"expected config\.json"):
        FaceEncoder.from_pretrained(tmp_path)


def test_a_name_is_asked_for_and_without_network_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    asked = {}

    def offline(name: str, **kwargs: object) -> str:
        asked.update(kwargs, name=name)
        raise ConnectionError("no route to huggingface.co")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(UnknownModelError, match=r"'someone/their-faces' is no folder here.*no route"):
        FaceEncoder.from_pretrained("someone/their-faces", revision="v1")
    patterns = {"allow_patterns": ["*.json", "*.safetensors"], "ignore_patterns": ["*/*"]}
    assert asked == {"name": "someone/their-faces", "revision": "v1"} | patterns


def test_what_is_no_classifier_is_refused(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights for \['classifier.bias', 'classifier.weight'\].*random"):
        FaceEncoder.from_pretrained(checkpoints["bare"])
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(WeightsError, match="can't be used as an image classifier"):
        FaceEncoder.from_pretrained(tmp_path)
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for file in checkpoints["vit"].glob("*.json"):
        (pickled / file.name).write_bytes(file.read_bytes())
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="safetensors"):
        FaceEncoder.from_pretrained(pickled)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("batch", ["n", 1])
def test_an_onnx_file_by_hand(tmp_path: Path, layout: str, batch: int | str) -> None:
    path = onnx_file(tmp_path / "face.onnx", layout=layout, batch=batch)
    encoder = FaceEncoder.from_pretrained(path, names=NAMES)
    check_encoder(encoder, [evidence(1), evidence(3, seed=1)])
    window = evidence(1)
    matrix = np.random.default_rng(1).normal(size=(3, 7)).astype(np.float32)
    scores = log_softmax(window.face.crops[0].mean(axis=(0, 1)) / 255 @ matrix)
    logits = encoder.encode([encoder.prepare(window)]).logits[0]
    for name, score in zip(NAMES, scores, strict=True):
        ours = {"angry": "anger", "happy": "happiness", "sad": "sadness"}.get(name, name)
        assert logits[EKMAN7.index(ours)] == pytest.approx(score, abs=2e-3)  # pixels are rounded when resized


def test_preprocessing_of_an_onnx_file(tmp_path: Path) -> None:
    crops = evidence(2).face.crops
    luma = Preprocessing(12, channels=1, scale=255.0)(crops)
    assert luma.shape == (2, 1, 12, 12)
    assert luma.mean() == pytest.approx((crops @ (0.299, 0.587, 0.114)).mean(), abs=1)
    plain = Preprocessing(12)(crops)
    normalized = Preprocessing(12, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))(crops)
    assert normalized[:, 2] == pytest.approx((plain[:, 2] - 0.3) / 2.0, abs=1e-6)
    with pytest.raises(ArgumentError, match="values of mean"):
        Preprocessing(12, channels=1, mean=(0.0, 0.0, 0.0))
    probabilities = Preprocessing(12, output="probabilities")
    encoder = FaceEncoder.from_pretrained(onnx_file(tmp_path / "p.onnx"), names=NAMES, preprocessing=probabilities)
    check_encoder(encoder, [evidence(1), evidence(2)])


def test_a_known_onnx_file_needs_neither_names_nor_preprocessing(tmp_path: Path) -> None:
    encoder = FaceEncoder.from_pretrained(onnx_file(tmp_path / "enet_b0_8_best_vgaf.onnx", classes=8, side=224))
    window = evidence(1)
    matrix = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)
    mean = window.face.crops[0].mean(axis=(0, 1)) / 255
    shares = softmax((mean - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225) @ matrix)
    scores = dict(zip(EKMAN7, np.exp(encoder.encode([encoder.prepare(window)]).logits[0]), strict=True))
    assert scores["sadness"] == pytest.approx(shares[6] / (1 - shares[1]), abs=2e-3)  # contempt, the second, is dropped
    with pytest.raises(WeightsError, match="8 names"):
        FaceEncoder.from_pretrained(onnx_file(tmp_path / "enet_b2_8.onnx", side=260))


def test_an_onnx_model_is_saved_and_loaded(tmp_path: Path) -> None:
    encoder = FaceEncoder.from_pretrained(onnx_file(tmp_path / "face.onnx"), names=NAMES, floor=0.2)
    encoder.save(tmp_path / "saved")
    again = FaceEncoder.from_pretrained(tmp_path / "saved")
    assert again.floor == 0.2
    assert np.array_equal(again.encode([again.prepare(evidence(2))]).logits, encoder.encode([encoder.prepare(evidence(2))]).logits)  # fmt: skip
    (tmp_path / "split.onnx").write_bytes((tmp_path / "face.onnx").read_bytes())
    (tmp_path / "split.onnx_data").write_bytes(b"")
    with pytest.raises(ArgumentError, match="store it as one file"):
        FaceEncoder.from_pretrained(tmp_path / "split.onnx", names=NAMES).save(tmp_path / "other")


def test_onnx_files_that_do_not_fit(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "face.onnx")
    with pytest.raises(ArgumentError, match=r"give names=\[…\]"):
        FaceEncoder.from_pretrained(path)
    with pytest.raises(WeightsError, match=r"scores of shape \(7,\), but 3 names"):
        FaceEncoder.from_pretrained(path, names=["a", "b", "c"])
    with pytest.raises(WeightsError, match="doesn't take the output of"):
        FaceEncoder.from_pretrained(path, names=NAMES, preprocessing=Preprocessing(12, channels=1))
    with pytest.raises(UnknownModelError, match="no file"):
        FaceEncoder.from_pretrained(tmp_path / "missing.onnx", names=NAMES)
    (tmp_path / "noise.onnx").write_bytes(b"not a model")
    with pytest.raises(WeightsError, match="can't be loaded as an ONNX network"):
        FaceEncoder.from_pretrained(tmp_path / "noise.onnx", names=NAMES)


def test_a_mapping_must_fit_the_classifier(checkpoints: dict[str, Path]) -> None:
    classifier = FaceEncoder.from_pretrained(checkpoints["vit"])._classifier
    with pytest.raises(LabelError, match="the mapping is from"):
        ImageBackboneEncoder(classifier, map_classes(FER7.labels[::-1], None, EKMAN7, [FER7_TO_EKMAN7]))


def test_a_missing_extra_names_the_pip_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(MissingExtraError, match=r"pip install 'mmemo\[backbones\]'"):
        FaceEncoder.from_pretrained(tmp_path)


def test_the_embedded_encoder_imports_neither_library() -> None:
    code = (
        "import sys; from mmemo.encoders.face.encoder import FaceEncoder; from mmemo.pretrained import WEIGHTS;"
        "FaceEncoder.from_pretrained(WEIGHTS / 'face'); import mmemo.encoders.face.backbone;"
        "heavy = {'transformers', 'torch', 'huggingface_hub'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_labels_of_ones_own_are_saved(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    mine = LabelSet("mine", ("good", "bad"))
    labels = {name: "good" if name in ("happy", "neutral") else "bad" for name in NAMES}
    folder = FaceEncoder.from_pretrained(checkpoints["vit"], labels=labels, target=mine).save(tmp_path / "mine")
    assert FaceEncoder.from_pretrained(folder).labels == mine
    settings = json.loads((folder / "mmemo.json").read_text())
    (folder / "mmemo.json").write_text(json.dumps({**settings, "labels": "mine"}))
    with pytest.raises(WeightsError, match="image backbone of this version"):
        FaceEncoder.from_pretrained(folder)


def test_folders_of_the_first_version_load(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    folder = FaceEncoder.from_pretrained(checkpoints["vit"]).save(tmp_path / "old")
    settings = json.loads((folder / "mmemo.json").read_text())
    (folder / "mmemo.json").write_text(json.dumps({**settings, "labels": "ekman7"}))
    assert FaceEncoder.from_pretrained(folder).labels == EKMAN7
