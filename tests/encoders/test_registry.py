"""Every encoder, with labels of one's own, comes back from a saved model; and so do classes that are not mmemo's."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import mmemo
from mmemo.encoders.base import Encoder, SavableEncoder
from mmemo.encoders.linear_probe import LinearProbe
from mmemo.encoders.registry import ENCODERS, class_path, import_class
from mmemo.errors import ArgumentError, WeightsError
from mmemo.evidence import Evidence, FaceEvidence, TextEvidence, VoiceEvidence
from mmemo.fusion.late import LateFusion
from mmemo.labels import LabelMapping, LabelSet
from mmemo.pretrained import WEIGHTS
from mmemo.samples import make_clip, speech
from mmemo.testing import TinyEncoder, check_encoder, check_fusion

pytestmark = pytest.mark.slow

MINE = LabelSet("mine", ("calm", "tense", "tired"))
OWN = Path(__file__).parent.parent / "own_classes.py"


def evidence(seconds: float = 2.0) -> Evidence:
    """A window with a face in five frames, a sentence read aloud, and words."""
    rng = np.random.default_rng(0)
    face = FaceEvidence(
        person=0,
        times=np.arange(5) / 25,
        crops=rng.integers(0, 256, (5, 112, 112, 3), dtype=np.uint8),
        quality=np.ones(5, np.float32),
        landmarks=np.zeros((5, 478, 3), np.float32),
        blendshapes=rng.uniform(size=(5, 52)).astype(np.float32),
        pose=np.zeros((5, 3), np.float32),
        box=np.tile(np.array([0, 0, 80, 80], np.float32), (5, 1)),
        frame_size=(640, 360),
        coverage=1.0,
    )
    sound = speech()[16_000 : 16_000 + round(seconds * 16_000)]
    voice = VoiceEvidence(sound, np.ones(len(sound), bool), 1.0)
    text = TextEvidence("What a lovely day.", "en", 1.0, 1.0)
    return Evidence(0.0, seconds, face=face, voice=voice, text=text, source=Path("clip.mp4"))


def probe(width: int) -> LinearProbe:
    rng = np.random.default_rng(0)
    return LinearProbe(
        np.zeros(width), np.ones(width), rng.normal(size=(width, len(MINE))) / width, np.zeros(len(MINE))
    )


def face(_: Path) -> Encoder:
    from mmemo.encoders.face.architecture import FaceArchitecture
    from mmemo.encoders.face.encoder import FaceEncoder
    from mmemo.encoders.face.network import FaceNetwork

    architecture = FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1), classes=len(MINE))
    return FaceEncoder(FaceNetwork(architecture).eval(), MINE)


def sequence(_: Path) -> Encoder:
    from mmemo.encoders.face.architecture import FaceArchitecture, SequenceArchitecture
    from mmemo.encoders.face.sequence import FaceSequenceEncoder
    from mmemo.encoders.face.sequence_network import build_network

    image = FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1), heads=2, classes=len(MINE))
    return FaceSequenceEncoder(build_network(SequenceArchitecture(image, "lstm", hidden=6)).eval(), MINE)


def blendshapes(_: Path) -> Encoder:
    from mmemo.encoders.face.blendshapes import FEATURES, BlendshapeEncoder

    rng = np.random.default_rng(0)
    shapes = {"mean": 58, "scale": 58, "weight1": (58, 6), "bias1": 6, "weight2": (6, 3), "bias2": 3}
    assert len(FEATURES) == 58
    weights = {name: rng.uniform(0.1, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    return BlendshapeEncoder(weights, MINE)


def action_units(_: Path) -> Encoder:
    from mmemo.encoders.face.action_units import ActionUnitEncoder, ActionUnits

    values = np.random.default_rng(0).uniform(0, 3, (50, 4)).astype(np.float32)
    return ActionUnitEncoder({"clip": ActionUnits(np.arange(50) / 25, values)}, MINE, probe(4))


def image_backbone(folder: Path) -> Encoder:
    from mmemo.encoders.face.backbone import load_image_backbone

    t = pytest.importorskip("transformers", reason="needs the extra backbones")
    names = {0: "relaxed", 1: "stressed", 2: "sleepy"}
    config = t.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        id2label=names,
        label2id={name: number for number, name in names.items()},
    )
    t.ResNetForImageClassification(config).save_pretrained(folder)
    t.ViTImageProcessorPil(size={"height": 24, "width": 24}).save_pretrained(folder)
    return load_image_backbone(folder, labels=dict(zip(names.values(), MINE, strict=True)), target=MINE)


def voice(_: Path) -> Encoder:
    from mmemo.encoders.voice.architecture import VoiceArchitecture
    from mmemo.encoders.voice.encoder import VoiceEncoder
    from mmemo.encoders.voice.network import VoiceNetwork

    architecture = VoiceArchitecture(d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=16)
    return VoiceEncoder(VoiceNetwork(architecture, len(MINE)), MINE)


def speech_backbone(folder: Path) -> Encoder:
    from mmemo.encoders.voice.encoder import VoiceEncoder

    t = pytest.importorskip("transformers", reason="needs the extra backbones")
    names = {0: "relaxed", 1: "stressed", 2: "sleepy"}
    config = t.Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_kernel=(10, 32),
        conv_stride=(10, 32),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        classifier_proj_size=8,
        id2label=names,
        label2id={name: number for number, name in names.items()},
    )
    t.Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    t.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(folder)
    return VoiceEncoder.from_pretrained(folder, labels=dict(zip(names.values(), MINE, strict=True)), target=MINE)


def whisper_layers(_: Path) -> Encoder:
    from mmemo.encoders.voice.whisper_layers import WhisperLayersEncoder

    return WhisperLayersEncoder(MINE)


def text(_: Path) -> Encoder:
    from mmemo.encoders.text.encoder import TextEncoder

    embedded = TextEncoder.load(WEIGHTS / "text")
    labels = LabelSet("mine", tuple(f"mood {number}" for number in range(7)))
    return TextEncoder(embedded.network, embedded.tokenizer, labels=labels)


def text_backbone(folder: Path) -> Encoder:
    from tokenizers import Tokenizer, models, pre_tokenizers

    from mmemo.encoders.text.backbone import load_text_backbone

    t = pytest.importorskip("transformers", reason="needs the extra backbones")
    words = ["<pad>", "<unk>", "What", "a", "lovely", "day", "."]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    t.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(folder)
    names = {0: "relaxed", 1: "stressed", 2: "sleepy"}
    config = t.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=50,
        id2label=names,
        label2id={name: number for number, name in names.items()},
    )
    t.BertForSequenceClassification(config).save_pretrained(folder)
    return load_text_backbone(folder, labels=dict(zip(names.values(), MINE, strict=True)), target=MINE)


def probe_encoder(folder: Path) -> Encoder:
    from mmemo.encoders.probe_encoder import ProbeEncoder

    base = action_units(folder)
    return ProbeEncoder(base, probe(base.dim), LabelSet("mine", ("good", "bad", "so-so")))


BUILDERS: dict[str, Callable[[Path], Encoder]] = {
    "FaceEncoder": face,
    "FaceSequenceEncoder": sequence,
    "BlendshapeEncoder": blendshapes,
    "ActionUnitEncoder": action_units,
    "ImageBackboneEncoder": image_backbone,
    "VoiceEncoder": voice,
    "SpeechBackboneEncoder": speech_backbone,
    "WhisperLayersEncoder": whisper_layers,
    "TextEncoder": text,
    "TextBackboneEncoder": text_backbone,
    "ProbeEncoder": probe_encoder,
}


def test_all_encoders_of_mmemo_are_tried_below() -> None:
    assert set(BUILDERS) == set(ENCODERS.builtin)


@pytest.mark.parametrize("name", BUILDERS)
def test_an_encoder_with_labels_of_ones_own_comes_back(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = BUILDERS[name](tmp_path / "checkpoint")
    assert type(encoder).__name__ == name
    assert isinstance(encoder, SavableEncoder)
    model = mmemo.EmotionModel([encoder], LateFusion(encoder.labels, {encoder.modality: 1.0}))
    again = mmemo.load_model(model.save(tmp_path / "model"), device="cpu")
    (loaded,) = again.encoders.values()
    assert (type(loaded), loaded.labels, loaded.dim) == (type(encoder), encoder.labels, encoder.dim)
    assert again.labels == encoder.labels
    windows = [evidence(), evidence(1.5)]
    before, after = (one.fuse({encoder.modality: one.encode(encoder.modality, windows)}) for one in (model, again))
    np.testing.assert_allclose(after, before, atol=0.02 if name.startswith(("Face", "Voice")) else 1e-4)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of a user, in a folder that is on this process's path."""
    (tmp_path / "source").mkdir()
    shutil.copy(OWN, tmp_path / "source" / "own_classes.py")
    monkeypatch.syspath_prepend(tmp_path / "source")
    monkeypatch.delitem(sys.modules, "own_classes", raising=False)
    return importlib.import_module("own_classes")


@pytest.fixture
def saved(own: ModuleType, tmp_path: Path) -> Path:
    model = mmemo.EmotionModel([own.Loudness(MINE, 0.2)], own.First(MINE, ["voice"]))
    return model.save(tmp_path / "saved")


def offer(folder: Path, name: str, **groups: dict[str, str]) -> None:
    """Install a package's entry points into a folder of the path."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for group, points in groups.items():
        lines += [f"[mmemo.{group}]", *(f"{point} = {path}" for point, path in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    importlib.invalidate_caches()


def test_the_classes_of_a_user_pass_the_checks(own: ModuleType) -> None:
    check_encoder(own.Loudness(MINE), [evidence(1.0), evidence(2.0)])
    check_fusion(own.First(MINE, ["face", "voice"]))


def test_given_classes_are_loaded_back(own: ModuleType, saved: Path) -> None:
    again = mmemo.load_model(saved, classes=[own.Loudness, own.First])
    assert (type(again.encoders["voice"]), type(again.fusion)) == (own.Loudness, own.First)
    assert again.encoders["voice"].slope == pytest.approx(0.2)  # type: ignore[attr-defined]
    assert again.labels == MINE
    assert set(again.weights) == {"voice", "fusion"}
    clip = make_clip(saved.parent / "clip.mp4", seconds=2.0, faces=0)
    one = mmemo.analyze(clip, model=saved, classes=[own.Loudness, own.First])
    two = mmemo.Analyzer(saved, classes=[own.Loudness, own.First])(clip)
    assert one.scores == pytest.approx(two.scores)
    assert set(one.scores) == set(MINE)


def test_installed_classes_are_found_by_their_entry_points(own: ModuleType, saved: Path, tmp_path: Path) -> None:
    points = {"encoders": {"Loudness": "own_classes:Loudness"}, "fusion": {"first": "own_classes:First"}}
    offer(tmp_path / "source", "mine", **points)
    again = mmemo.load_model(saved)
    assert (type(again.encoders["voice"]), type(again.fusion)) == (own.Loudness, own.First)
    offer(tmp_path / "source", "other", encoders={"Loudness": "elsewhere:Loudness"})
    with pytest.raises(WeightsError, match=r"Two installed packages offer the encoder 'Loudness'.*elsewhere:Loudness"):
        mmemo.load_model(saved)
    assert mmemo.load_model(saved, classes=[own.Loudness]).labels == MINE  # what is given comes first


def test_an_installed_class_that_is_broken_is_named(saved: Path, tmp_path: Path) -> None:
    offer(tmp_path / "source", "mine", encoders={"Loudness": "no_such_module:Loudness"})
    with pytest.raises(WeightsError, match=r"Loudness.*no_such_module"):
        mmemo.load_model(saved)


def test_a_class_that_is_not_known_is_named_with_what_to_do(own: ModuleType, saved: Path) -> None:
    with pytest.raises(WeightsError, match=r"encoder 'Loudness'.*classes=\[…\].*--classes.*'mmemo.encoders'"):
        mmemo.load_model(saved)
    with pytest.raises(WeightsError, match=r"fusion head 'first'.*'mmemo.fusion'"):
        mmemo.Analyzer(saved, classes=[own.Loudness])  # before anything is loaded or looked at


def test_two_classes_of_one_name_are_refused(own: ModuleType, saved: Path) -> None:
    other = type("Loudness", (own.Loudness,), {})
    with pytest.raises(WeightsError, match="Two of the classes given are the encoder 'Loudness'"):
        mmemo.load_model(saved, classes=[own.Loudness, other, own.First])


def test_given_classes_come_before_those_of_mmemo(tmp_path: Path) -> None:
    class TextEncoder(TinyEncoder):
        def save(self, folder: Path) -> Path:
            folder.mkdir()
            (folder / "nothing").touch()
            return folder

        @classmethod
        def load(cls, folder: Path, *, device: str = "cpu") -> TextEncoder:
            return cls()

    encoder = TextEncoder()
    model = mmemo.EmotionModel([encoder], LateFusion(encoder.labels, {"text": 1.0}))
    again = mmemo.load_model(model.save(tmp_path / "model"), classes=[TextEncoder])
    assert type(again.encoders["text"]) is TextEncoder


def test_a_file_can_not_name_a_module(saved: Path, own: ModuleType) -> None:
    file = saved / "fusion" / "config.json"
    config = json.loads(file.read_text())
    for name in ("own_classes:Loudness", "os.system", "__class__"):
        file.write_text(json.dumps({**config, "encoders": {"voice": name}}))
        with pytest.raises(WeightsError, match="needs the encoder"):
            mmemo.load_model(saved, classes=[own.First])


def test_a_class_that_can_not_be_read_is_named(saved: Path, own: ModuleType) -> None:
    bare = type("Loudness", (), {})
    with pytest.raises(WeightsError, match=r"Loudness can't be read .* no load\(folder"):
        mmemo.load_model(saved, classes=[bare, own.First])
    wrong: Any = type("Loudness", (), {"load": classmethod(lambda cls, folder, device: object())})
    with pytest.raises(WeightsError, match="load gives no encoder"):
        mmemo.load_model(saved, classes=[wrong, own.First])


def test_an_encoder_inside_another_is_given_too(own: ModuleType, tmp_path: Path) -> None:
    from mmemo.encoders.probe_encoder import ProbeEncoder

    labels = LabelSet("pair", ("low", "high"))
    two = LinearProbe(np.zeros(1), np.ones(1), np.array([[1.0, -1.0]]), np.zeros(2))
    outer = ProbeEncoder(own.Loudness(MINE, 0.3), two, labels)
    model = mmemo.EmotionModel([outer], LateFusion(labels, {"voice": 1.0}))
    again = mmemo.load_model(model.save(tmp_path / "model"), classes=[own.Loudness]).encoders["voice"]
    assert type(again.base) is own.Loudness  # type: ignore[attr-defined]


@pytest.mark.parametrize(("former", "name"), ENCODERS.former.items())
def test_models_of_the_first_version_are_read(former: str, name: str, tmp_path: Path) -> None:
    encoder = BUILDERS[name](tmp_path / "checkpoint")
    model = mmemo.EmotionModel([encoder], LateFusion(encoder.labels, {encoder.modality: 1.0}))
    file = model.save(tmp_path / "model") / "fusion" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "encoders": {encoder.modality: former}}))
    assert type(mmemo.load_model(tmp_path / "model").encoders[encoder.modality]).__name__ == name


def test_paths_of_classes(own: ModuleType) -> None:
    assert class_path(own.Loudness) == "own_classes:Loudness"
    assert import_class("own_classes:Loudness") is own.Loudness
    assert import_class(class_path(LabelMapping)) is LabelMapping

    class Local:
        pass

    with pytest.raises(ArgumentError, match=r"Local.* module of its own"):
        class_path(Local)
    with pytest.raises(ArgumentError, match="module of its own"):
        class_path(type("Script", (), {"__module__": "__main__"}))


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("Loudness", "Expected a class as package.module:Class, got 'Loudness'"),
        (":Loudness", "Expected a class as"),
        ("no_such_module:Loudness", "No module named 'no_such_module'"),
        ("mmemo.labels:Nothing", "has no attribute 'Nothing'"),
        ("mmemo.labels:EKMAN7", "is a LabelSet"),
    ],
)
def test_a_path_that_leads_to_no_class(path: str, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        import_class(path)


def test_a_module_that_raises_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ArgumentError, match="ZeroDivisionError"):
        import_class("broken_module:Thing")
