"""Speech checkpoints of other projects as the voice encoder: tiny ones of each family, made, saved and loaded here."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mmemo import EmotionModel, load_model
from mmemo.encoders.base import Encoder
from mmemo.encoders.voice.backbone import OVERLAP, SpeechBackboneEncoder, group_by_length, split_pieces
from mmemo.encoders.voice.backbone_loaders import DIMENSIONS, bundles
from mmemo.encoders.voice.encoder import VoiceEncoder
from mmemo.errors import ArgumentError, LabelError, UnknownModelError, WeightsError
from mmemo.evidence import Evidence, VoiceEvidence
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, LabelSet
from mmemo.pretrained import WEIGHTS
from mmemo.testing import check_encoder

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers", reason="needs the extra backbones")
RATE = 16_000
IEMOCAP = {0: "neu", 1: "hap", 2: "ang", 3: "sad"}
SHAPE: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
}  # fmt: skip
CONVOLUTIONS: dict[str, Any] = {
    "conv_dim": (8, 8, 8), "conv_kernel": (10, 8, 4), "conv_stride": (10, 8, 4), "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8,
    "do_stable_layer_norm": True, "feat_extract_norm": "layer",
}  # fmt: skip
BERT = {**SHAPE, "feature_projection_input_dim": 160, "conv_depthwise_kernel_size": 5, "classifier_proj_size": 8}
DATA2VEC = {**CONVOLUTIONS, "conv_pos_kernel_size": 3, "num_conv_pos_embeddings": 2}
WHISPER = {
    "d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_layers": 1,
    "decoder_attention_heads": 2, "decoder_ffn_dim": 32, "vocab_size": 50, "pad_token_id": 0, "bos_token_id": 0,
    "eos_token_id": 0, "decoder_start_token_id": 0, "classifier_proj_size": 8, "begin_suppress_tokens": None,
}  # fmt: skip
FAMILIES = ("wav2vec2", "wav2vec2-group", "hubert", "wavlm", "wav2vec2-bert", "data2vec-audio", "whisper")


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * 0.05).astype(np.float32)


def evidence(samples: np.ndarray) -> Evidence:
    return Evidence(0.0, len(samples) / RATE, voice=VoiceEvidence(samples, np.ones(len(samples), bool), 1.0))


def extractor(family: str) -> Any:
    if family == "whisper":
        return transformers.WhisperFeatureExtractor()
    if family == "wav2vec2-bert":
        return transformers.SeamlessM4TFeatureExtractor()
    return transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny untrained ones; "…/head" are the same families with the classes of IEMOCAP."""
    t = transformers
    torch.manual_seed(0)
    wav = {**SHAPE, **CONVOLUTIONS}
    group = {**wav, "feat_extract_norm": "group", "do_stable_layer_norm": False}
    named = {"id2label": IEMOCAP, "label2id": {name: i for i, name in IEMOCAP.items()}}
    made = {
        "wav2vec2": (t.Wav2Vec2Config, wav, t.Wav2Vec2Model, t.Wav2Vec2ForSequenceClassification),
        "wav2vec2-group": (t.Wav2Vec2Config, group, t.Wav2Vec2Model, t.Wav2Vec2ForSequenceClassification),
        "hubert": (t.HubertConfig, wav, t.HubertModel, t.HubertForSequenceClassification),
        "wavlm": (t.WavLMConfig, wav, t.WavLMModel, t.WavLMForSequenceClassification),
        "wav2vec2-bert": (t.Wav2Vec2BertConfig, BERT, t.Wav2Vec2BertModel, t.Wav2Vec2BertForSequenceClassification),
        "data2vec-audio": (
            t.Data2VecAudioConfig, {**SHAPE, **DATA2VEC}, t.Data2VecAudioModel,
            t.Data2VecAudioForSequenceClassification,
        ),
        "whisper": (t.WhisperConfig, WHISPER, t.WhisperModel, t.WhisperForAudioClassification),
    }  # fmt: skip
    root, found = tmp_path_factory.mktemp("checkpoints"), {}
    for name, (config, settings, model, classifier) in made.items():
        for place, network in (
            (root / name / "bare", model(config(**settings))),
            (root / name / "head", classifier(config(**settings, **named))),
        ):
            network.save_pretrained(place)
            extractor(name).save_pretrained(place)
            found[f"{name}/{place.name}"] = place
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_nothing(checkpoints: dict[str, Path], family: str):
    encoder = VoiceEncoder.from_pretrained(checkpoints[f"{family}/head"])
    windows = [sound(0.7), sound(2.0, seed=1), sound(1.33, seed=2)]
    together_, alone = encoder.encode(windows), [encoder.encode([window]) for window in windows]
    for row, one in enumerate(alone):
        length = one.mask.sum()
        assert together_.mask[row].sum() == length
        np.testing.assert_allclose(together_.tokens[row, :length], one.tokens[0], atol=1e-4)
        np.testing.assert_allclose(together_.logits[row], one.logits[0], atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mask_makes_padding_harmless_where_it_is_said_to(checkpoints: dict[str, Path], family: str):
    """Fed to the network itself in one batch, not one length after the other."""
    backbone = VoiceEncoder.from_pretrained(checkpoints[f"{family}/bare"]).network.backbone
    inputs = [backbone.input(sound(0.7)), backbone.input(sound(2.0, seed=1))]
    with torch.inference_mode():
        padded, alone = backbone(inputs), backbone(inputs[:1])
    length = int(alone.mask.sum())
    apart = max(
        float((a[0, :length] - b[0, :length]).abs().max()) for a, b in zip(padded.layers, alone.layers, strict=True)
    )
    assert backbone.exact == (family not in ("wav2vec2-group", "data2vec-audio"))
    assert (apart < 1e-4) == backbone.exact


@pytest.mark.parametrize("family", FAMILIES)
def test_it_agrees_with_transformers(checkpoints: dict[str, Path], family: str):
    folder = checkpoints[f"{family}/head"]
    encoder = VoiceEncoder.from_pretrained(folder, layers=2, labels={"neu": "neutral", "hap": "happiness", "ang": "anger", "sad": "sadness"})  # fmt: skip
    model = transformers.AutoModelForAudioClassification.from_pretrained(folder).eval()
    prepared = encoder.prepare(evidence(sound(2.0)))
    given = transformers.AutoFeatureExtractor.from_pretrained(folder)(prepared, sampling_rate=RATE, return_tensors="pt")
    if family in ("wav2vec2-group", "data2vec-audio"):
        given.pop("attention_mask", None)
    with torch.inference_mode():
        expected = model(**given).logits[0].softmax(0)
    shares = np.exp(encoder.encode([prepared]).logits[0])
    order = [EKMAN7.index(name) for name in ("neutral", "happiness", "anger", "sadness")]
    np.testing.assert_allclose(shares[order], expected.numpy(), atol=1e-3)
    assert encoder.has_head


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_it_is_an_encoder_and_survives_saving(checkpoints: dict[str, Path], family: str, tmp_path: Path):
    encoder = VoiceEncoder.from_pretrained(checkpoints[f"{family}/head"], layers=(1, 2), pooling="attentive")
    assert isinstance(encoder, Encoder)
    check_encoder(encoder, [evidence(sound(1.0)), evidence(sound(1.6, seed=1))])
    model = EmotionModel([encoder], LateFusion(EKMAN7, {"voice": 1.0}))
    model.save(tmp_path / "model")
    copy = load_model(tmp_path / "model").encoders["voice"]
    assert isinstance(copy, SpeechBackboneEncoder)
    assert copy.head == encoder.head
    np.testing.assert_allclose(copy.encode([sound(1.0)]).logits, encoder.encode([sound(1.0)]).logits, atol=1e-6)


def test_without_a_head_it_has_no_opinion(checkpoints: dict[str, Path]):
    encoder = VoiceEncoder.from_pretrained(checkpoints["wavlm/bare"])
    assert not encoder.has_head
    encoding = encoder.encode([sound(1.0)])
    assert not encoding.logits.any()
    assert encoding.tokens.shape == (1, 10, 16)
    assert encoding.tokens.any()
    assert encoder.features([sound(1.0), sound(0.5)]).shape == (2, 32)
    with pytest.raises(ArgumentError, match="no emotion head"):
        VoiceEncoder.from_pretrained(checkpoints["wavlm/bare"], labels={"hap": "happiness"})


def with_dense_head(bare: Path, folder: Path, names: tuple[str, ...]) -> Path:
    """As audEERING's checkpoint lays it out: a head that transformers doesn't know, beside a Wav2Vec2Model."""
    transformers.Wav2Vec2Model.from_pretrained(bare).save_pretrained(folder)
    extractor("wav2vec2").save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["Wav2Vec2ForSpeechClassification"], "id2label": dict(enumerate(names))}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {f"wav2vec2.{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    tensors |= {"classifier.dense.weight": torch.eye(16), "classifier.dense.bias": torch.zeros(16)}
    tensors |= {
        "classifier.out_proj.weight": torch.zeros(len(names), 16),
        "classifier.out_proj.bias": torch.arange(1.0, 1 + len(names)) / 10,
    }
    tensors["classifier.out_proj.weight"][0, 5] = 1
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_dimensions(checkpoints: dict[str, Path], tmp_path: Path):
    folder = with_dense_head(checkpoints["wav2vec2/bare"], tmp_path / "dimensional", DIMENSIONS)
    encoder = VoiceEncoder.from_pretrained(folder, layers=2, pooling="mean")
    windows = [sound(1.0), sound(0.5)]
    values = encoder.dimensions(windows)
    expected = np.tanh(encoder.features(windows)[:, 5]) + 0.1
    np.testing.assert_allclose(values["arousal"], expected, atol=1e-5)
    np.testing.assert_allclose(values["dominance"], [0.2, 0.2], atol=1e-6)
    encoding = encoder.encode(windows)
    assert not encoding.logits.any()
    columns = [2 * values[name] - 1 for name in ("valence", "arousal", "dominance")]
    np.testing.assert_allclose(encoding.affect, np.stack(columns, axis=1).clip(-1, 1), atol=1e-5)
    again = VoiceEncoder.from_pretrained(encoder.save(tmp_path / "saved"))
    np.testing.assert_allclose(again.encode(windows).affect, encoding.affect, atol=1e-5)
    with pytest.raises(ArgumentError, match="gives no arousal"):
        VoiceEncoder.from_pretrained(checkpoints["wav2vec2/head"]).dimensions([sound(1.0)])
    assert VoiceEncoder.from_pretrained(checkpoints["wav2vec2/head"]).encode([sound(1.0)]).affect is None
    transformers.Wav2Vec2Model.from_pretrained(checkpoints["wav2vec2/bare"]).save_pretrained(folder)
    with pytest.raises(WeightsError, match="is to have a head of"):
        VoiceEncoder.from_pretrained(with_config(folder, id2label=dict(enumerate(DIMENSIONS))))


def with_config(folder: Path, **changed: object) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changed))
    return folder


def test_classes_of_such_a_head(checkpoints: dict[str, Path], tmp_path: Path):
    names = ("anger", "disgust", "fear", "happiness", "sadness")
    encoder = VoiceEncoder.from_pretrained(with_dense_head(checkpoints["wav2vec2/bare"], tmp_path, names), layers=2)
    assert encoder.has_head
    encoding = encoder.encode([sound(1.0)])
    assert encoding.affect is None
    logits = dict(zip(EKMAN7, encoding.logits[0], strict=True))
    assert logits["sadness"] - logits["happiness"] == pytest.approx(0.1, abs=1e-4)
    with pytest.raises(WeightsError, match="mean over time, got 'max'"):
        VoiceEncoder.from_pretrained(with_config(tmp_path, pooling_mode="max"))


def test_what_its_classes_mean(checkpoints: dict[str, Path], tmp_path: Path):
    transformers.Wav2Vec2ForSequenceClassification(
        transformers.Wav2Vec2Config(**SHAPE, **CONVOLUTIONS, id2label={0: "0", 1: "1"}, label2id={"0": 0, "1": 1})
    ).save_pretrained(tmp_path)
    extractor("wav2vec2").save_pretrained(tmp_path)
    with pytest.raises(LabelError, match="is not known"):
        VoiceEncoder.from_pretrained(tmp_path)
    encoder = VoiceEncoder.from_pretrained(tmp_path, labels={"0": "anger", "1": "sadness"})
    top = encoder.encode([sound(1.0)]).logits[0].argsort()[-2:]
    assert {EKMAN7[int(i)] for i in top} == {"anger", "sadness"}


def test_long_sound_is_heard_in_windows_that_overlap(checkpoints: dict[str, Path]):
    pieces = split_pieces(np.zeros(65 * RATE, np.float32), RATE, 320)
    assert pieces[0] == slice(0, 20 * RATE)
    assert pieces[1].start == int((20 - OVERLAP) * RATE)
    assert pieces[-1].stop == 65 * RATE
    assert all(piece.stop - piece.start <= 20 * RATE for piece in pieces)
    encoder = VoiceEncoder.from_pretrained(checkpoints["hubert/bare"], layers=1)
    long = encoder.encode([sound(41.0)])
    assert abs(int(long.mask.sum()) - 410) <= 2
    # Away from the seams, what is around a frame is in its window: those of the first are as if it were alone.
    first = encoder.encode([sound(41.0)[: 20 * RATE]])
    np.testing.assert_allclose(long.tokens[0, :180], first.tokens[0, :180], atol=1e-4)
    assert len(split_pieces(np.zeros(20 * RATE, np.float32), RATE, 320)) == 1


def test_another_sample_rate(checkpoints: dict[str, Path], tmp_path: Path):
    folder = tmp_path / "narrow"
    transformers.Wav2Vec2Model.from_pretrained(checkpoints["wav2vec2/bare"]).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=8000).save_pretrained(folder)
    encoder = VoiceEncoder.from_pretrained(folder)
    assert len(encoder.prepare(evidence(sound(2.0)))) == 16_000


def test_only_equal_lengths_share_a_batch_where_padding_matters():
    assert group_by_length([5, 3, 5, 3, 9], exact=False) == [[1, 3], [0, 2], [4]]
    assert group_by_length([5, 3, 5, 3, 9], exact=True, most=4) == [[1, 3, 0, 2], [4]]


@pytest.mark.parametrize("group", [False, True])
def test_torchaudio_bundles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, group: bool):
    """A bundle whose weights are tiny and made here."""
    from torchaudio.models import wav2vec2_model

    torch.manual_seed(0)
    model = wav2vec2_model(
        "group_norm" if group else "layer_norm", [(8, 10, 10), (8, 8, 8), (8, 4, 4)], False, 16, 0.0, 16, 2, 2, 2,
        0.0, 32, 0.0, 0.0, not group, 0.0, None,
    )  # fmt: skip
    monkeypatch.setattr(type(bundles()["WAV2VEC2_BASE"]), "get_model", lambda self: model)
    encoder = VoiceEncoder.from_pretrained("torchaudio:WAV2VEC2_BASE")
    assert encoder.network.backbone.exact != group
    windows = [sound(0.7), sound(2.0, seed=1)]
    both, alone = encoder.encode(windows), encoder.encode(windows[:1])
    np.testing.assert_allclose(both.tokens[0, : alone.mask.sum()], alone.tokens[0], atol=1e-4)
    expected, _ = model.eval().extract_features(encoder.network.backbone.input(windows[0])[None])
    with torch.inference_mode():
        heard = encoder.network.backbone([encoder.network.backbone.input(windows[0])])
    for own, theirs in zip(heard.layers[1:], expected, strict=True):
        torch.testing.assert_close(own, theirs, atol=1e-4, rtol=0)
    before = encoder.encode(windows).tokens
    with torch.no_grad():
        model.encoder.transformer.layers[1].attention.k_proj.weight.mul_(3)
    trained = encoder.encode(windows).tokens
    encoder.save(tmp_path / "trained")
    with torch.no_grad():
        model.encoder.transformer.layers[1].attention.k_proj.weight.div_(3)
    assert np.abs(trained - before).max() > 1e-3
    again = VoiceEncoder.from_pretrained(tmp_path / "trained").encode(windows).tokens
    np.testing.assert_allclose(again, trained, atol=1e-5)
    with pytest.raises(UnknownModelError, match="WAVLM_BASE"):
        VoiceEncoder.from_pretrained("torchaudio:WAV2VEC")


def test_what_can_go_wrong(checkpoints: dict[str, Path], tmp_path: Path):
    with pytest.raises(UnknownModelError, match=r"expected config\.json"):
        VoiceEncoder.from_pretrained(tmp_path)
    with pytest.raises(UnknownModelError, match="no name on the Hub"):
        VoiceEncoder.from_pretrained("no/such/thing at all")
    with pytest.raises(ArgumentError, match="some of 0 to 2"):
        VoiceEncoder.from_pretrained(checkpoints["wav2vec2/bare"], layers=(1, 3))
    with pytest.raises(ArgumentError, match="attentive"):
        VoiceEncoder.from_pretrained(checkpoints["wav2vec2/bare"], pooling="max")
    encoder = VoiceEncoder.from_pretrained(checkpoints["wav2vec2/bare"])
    for window in (np.zeros(1599, np.float32), np.zeros((2, 4000), np.float32)):
        with pytest.raises(ArgumentError, match="expected waveforms"):
            encoder.encode([window])
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(WeightsError, match="wavlm"):
        VoiceEncoder.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wavlm"}))
    with pytest.raises(WeightsError, match="preprocessor_config"):
        VoiceEncoder.from_pretrained(tmp_path)
    extractor("wavlm").save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="can't be used"):
        VoiceEncoder.from_pretrained(tmp_path)


def test_weights_that_are_missing_are_refused(checkpoints: dict[str, Path], tmp_path: Path):
    model = transformers.HubertModel.from_pretrained(checkpoints["hubert/bare"])
    model.save_pretrained(tmp_path)
    extractor("hubert").save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors.pop("encoder.layers.1.attention.k_proj.weight")
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match="would be random"):
        VoiceEncoder.from_pretrained(tmp_path)


def test_a_folder_opens_no_network(checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    def refuse(*given: object, **more: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    VoiceEncoder.from_pretrained(checkpoints["wavlm/head"]).encode([sound(1.0)])


def test_our_own_weights_load_by_the_same_name():
    encoder = VoiceEncoder.from_pretrained(WEIGHTS / "voice")
    assert isinstance(encoder, VoiceEncoder)


def test_transformers_is_imported_only_when_asked_for():
    code = (
        "import sys; import mmemo.encoders.voice.backbone; from mmemo.encoders.voice.encoder import VoiceEncoder; "
        f"VoiceEncoder.from_pretrained({str(WEIGHTS / 'voice')!r}); sys.exit('transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_labels_of_ones_own_are_saved_and_former_folders_load(checkpoints: dict[str, Path], tmp_path: Path):
    mine = LabelSet("mine", ("calm", "tense"))
    labels = {"neu": "calm", "hap": "calm", "ang": "tense", "sad": "tense"}
    encoder = VoiceEncoder.from_pretrained(checkpoints["wavlm/head"], labels=labels, target=mine)
    settings = encoder.save(tmp_path / "mine") / "mmemo.json"
    again = VoiceEncoder.from_pretrained(tmp_path / "mine")
    assert (again.labels, again.mapping.pairs) == (mine, labels)
    former = {"kind": "speech-checkpoint", "labels": "ekman7", "mapping": dict.fromkeys(labels) | {"hap": "happiness", "ang": "anger"}}  # fmt: skip
    settings.write_text(json.dumps({**json.loads(settings.read_text()), **former}))
    with pytest.raises(WeightsError, match="size mismatch"):  # the head that was saved has two classes
        VoiceEncoder.from_pretrained(tmp_path / "mine")
    again = VoiceEncoder.from_pretrained(VoiceEncoder.from_pretrained(checkpoints["wavlm/head"]).save(tmp_path / "old"))
    settings = tmp_path / "old" / "mmemo.json"
    settings.write_text(
        json.dumps({**json.loads(settings.read_text()), "kind": "speech-checkpoint", "labels": "ekman7"})
    )
    assert VoiceEncoder.from_pretrained(tmp_path / "old").labels == EKMAN7
