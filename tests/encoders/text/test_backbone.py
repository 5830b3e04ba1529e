"""Transformers of other projects as the text encoder: tiny checkpoints of four families, made here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import mmemo
from mmemo.encoders.base import Encoder
from mmemo.encoders.text.backbone import TextBackboneEncoder
from mmemo.encoders.text.encoder import TextEncoder
from mmemo.errors import ArgumentError, LabelError, MissingExtraError, UnknownModelError, WeightsError
from mmemo.evidence import Evidence, TextEvidence
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, LabelSet
from mmemo.testing import check_encoder

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers", reason="needs the extra backbones")

MELD = ("neutral", "joy", "sadness", "anger", "fear", "disgust", "surprise")
TEXTS = ("what a lovely day", "ich habe Angst davor", "这太好了", "go away, I am so angry with you")


def said(text: str, language: str | None = "en") -> Evidence:
    return Evidence(0.0, 2.0, text=TextEvidence(text, language, 1.0, 1.0))


def save_tokenizer(folder: Path) -> int:
    """A byte-level BPE learned from a few lines, which reads any script; returns its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        model_max_length=48,
    )  # fmt: skip
    fast.save_pretrained(folder)
    return len(fast)


def make(folder: Path, family: str, *, names: tuple[str, ...] = MELD, head: bool = True, **more: object) -> Path:
    torch.manual_seed(0)
    folder.mkdir()
    size = save_tokenizer(folder)
    kinds = {
        "bert": (transformers.BertConfig, transformers.BertForSequenceClassification, transformers.BertModel),
        "roberta": (transformers.RobertaConfig, transformers.RobertaForSequenceClassification, transformers.RobertaModel),
        "xlm-roberta": (
            transformers.XLMRobertaConfig, transformers.XLMRobertaForSequenceClassification, transformers.XLMRobertaModel,
        ),
        "deberta-v2": (
            transformers.DebertaV2Config, transformers.DebertaV2ForSequenceClassification, transformers.DebertaV2Model,
        ),
    }  # fmt: skip
    config_class, classifier, bare = kinds[family]
    config = config_class(
        vocab_size=size, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=50, pad_token_id=1, id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)}, **more,
    )  # fmt: skip
    (classifier if head else bare)(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("checkpoints") / "roberta", "roberta")


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "deberta-v2"])
def test_families(tmp_path: Path, family: str) -> None:
    encoder = TextEncoder.from_pretrained(make(tmp_path / family, family), languages=None)
    assert isinstance(encoder, TextBackboneEncoder)
    assert isinstance(encoder, Encoder)
    check_encoder(encoder)
    inputs = [encoder.prepare(said(text, None)) for text in TEXTS]
    together = encoder.encode(inputs)
    assert together.tokens.shape == (4, max(map(len, inputs)), 16)
    for row, one in enumerate(inputs):  # padding changes nothing
        alone = encoder.encode([one])
        np.testing.assert_allclose(together.logits[row], alone.logits[0], atol=1e-4)
        np.testing.assert_allclose(together.tokens[row, : len(one)], alone.tokens[0], atol=1e-4)
    assert np.ptp(together.logits, axis=0).max() > 0


def test_logits_are_those_of_transformers_under_our_names(roberta: Path) -> None:
    encoder = TextEncoder.from_pretrained(roberta)
    tokenizer = transformers.AutoTokenizer.from_pretrained(roberta)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(roberta).eval()
    with torch.no_grad():
        logits = model(**tokenizer(TEXTS[0], return_tensors="pt")).logits[0].numpy()
    shares = np.exp(logits) / np.exp(logits).sum()
    scores = np.exp(encoder.encode([encoder.prepare(said(TEXTS[0]))]).logits[0])
    assert scores[EKMAN7.index("happiness")] == pytest.approx(shares[MELD.index("joy")], abs=1e-5)
    assert scores[EKMAN7.index("surprise")] == pytest.approx(shares[MELD.index("surprise")], abs=1e-5)


def test_labels_that_may_hold_together_are_read_by_their_probabilities(tmp_path: Path) -> None:
    folder = make(tmp_path / "several", "bert", problem_type="multi_label_classification")
    encoder = TextEncoder.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        chances = model(**tokenizer(TEXTS[0], return_tensors="pt")).logits[0].sigmoid().numpy()
    scores = np.exp(encoder.encode([encoder.prepare(said(TEXTS[0]))]).logits[0])
    np.testing.assert_allclose(scores[EKMAN7.index("fear")], chances[MELD.index("fear")] / chances.sum(), atol=1e-5)


def test_meaning_of_labels(tmp_path: Path) -> None:
    folder = make(tmp_path / "stars", "bert", names=("1 star", "3 stars", "5 stars"))
    with pytest.raises(LabelError, match="1 star"):
        TextEncoder.from_pretrained(folder)
    meant = {"1 star": "sadness", "3 stars": None, "5 stars": "happiness"}
    encoder = TextEncoder.from_pretrained(folder, labels=meant)
    scores = np.exp(encoder.encode([encoder.prepare(said("fine"))]).logits[0])
    assert scores[EKMAN7.index("sadness")] + scores[EKMAN7.index("happiness")] == pytest.approx(1, abs=0.01)


def test_emoji_are_read_as_they_are_or_by_their_names(roberta: Path) -> None:
    encoder = TextEncoder.from_pretrained(roberta)
    assert isinstance(encoder, TextBackboneEncoder)
    text = "who knows \U0001f62d"
    raw = encoder.prepare(said(text))
    encoder._backbone.reads_emoji = False
    np.testing.assert_array_equal(encoder.prepare(said(text)), encoder.prepare(said("who knows loudly crying face")))
    assert encoder.spans(text)[-2] == (10, 11)
    assert len(raw) != len(encoder.prepare(said(text)))
    assert encoder.prepare(said("\U0001f62d", "zh")) is not None


def test_languages(roberta: Path) -> None:
    english = TextEncoder.from_pretrained(roberta)
    assert english.prepare(said("ich habe Angst", "de")) is None
    assert english.prepare(said("who knows", None)) is not None
    any_language = TextEncoder.from_pretrained(roberta, languages=None)
    assert any_language.prepare(said("ich habe Angst", "de")) is not None
    chinese = TextEncoder.from_pretrained(roberta, languages=["zh"])
    assert chinese.prepare(said("这太好了", "zh")) is not None
    assert chinese.prepare(said("hello", "en")) is None
    for text in ("", " \n", "?!"):
        assert any_language.prepare(said(text, None)) is None
    with pytest.raises(ArgumentError, match="languages"):
        TextEncoder.from_pretrained(roberta, languages="de")


def test_long_text_is_cut(roberta: Path) -> None:
    encoder = TextEncoder.from_pretrained(roberta)
    ids = encoder.prepare(said("and then " * 5000))
    assert len(ids) == 48
    assert np.isfinite(encoder.encode([ids]).logits).all()


def test_bare_encoder_serves_its_tokens(tmp_path: Path) -> None:
    folder = make(tmp_path / "bare", "xlm-roberta", head=False)
    with pytest.raises(WeightsError, match="bare=True"):
        TextEncoder.from_pretrained(folder)
    encoder = TextEncoder.from_pretrained(folder, bare=True, languages=None)
    encoding = encoder.encode([encoder.prepare(said(text, None)) for text in TEXTS])
    assert not encoding.logits.any()
    assert np.ptp(encoding.tokens[:, 1], axis=0).max() > 0
    again = TextEncoder.from_pretrained(encoder.save(tmp_path / "saved"))
    (tokens,) = again.encode([again.prepare(said(TEXTS[0]))]).tokens
    np.testing.assert_allclose(tokens, encoding.tokens[0, : len(tokens)], atol=1e-5)  # a batch sums in another order


def test_a_model_with_it_is_saved_and_analyzes(roberta: Path, tmp_path: Path) -> None:
    encoder = TextEncoder.from_pretrained(roberta)
    model = mmemo.EmotionModel([encoder], LateFusion(EKMAN7, {"text": 1.0}))
    result = mmemo.analyze(text="What a lovely day this is!", model=model)
    again = mmemo.load_model(model.save(tmp_path / "model"))
    assert mmemo.analyze(text="What a lovely day this is!", model=again).scores == pytest.approx(
        result.scores, abs=1e-5
    )
    assert result.affect is not None
    assert result.affect.derived  # the checkpoint predicts none


def test_ours_is_read_too() -> None:
    encoder = TextEncoder.from_pretrained(Path(mmemo.__file__).parent / "weights" / "text")
    assert isinstance(encoder, TextEncoder)


def test_what_goes_wrong(roberta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownModelError, match="no folder"):
        TextEncoder.from_pretrained(tmp_path / "not there at all")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnknownModelError, match=r"config\.json"):
        TextEncoder.from_pretrained(tmp_path / "empty")
    broken = make(tmp_path / "broken", "bert")
    (broken / "model.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(WeightsError, match="broken"):
        TextEncoder.from_pretrained(broken)
    settings = json.loads((roberta / "config.json").read_text()) | {"model_type": "no-such-type"}
    odd = make(tmp_path / "odd", "roberta")
    (odd / "config.json").write_text(json.dumps(settings))
    with pytest.raises(WeightsError, match="no-such-type"):
        TextEncoder.from_pretrained(odd)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match="backbones"):
        TextEncoder.from_pretrained(roberta)


def test_labels_of_ones_own_are_saved_and_former_folders_load(roberta: Path, tmp_path: Path) -> None:
    mine = LabelSet("mine", ("good", "bad"))
    labels = {name: "good" if name in ("joy", "neutral") else "bad" for name in MELD}
    encoder = TextEncoder.from_pretrained(roberta, labels=labels, target=mine)
    assert TextEncoder.from_pretrained(encoder.save(tmp_path / "mine")).labels == mine
    settings = TextEncoder.from_pretrained(roberta).save(tmp_path / "old") / "mmemo.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "labels": "ekman7"}))
    assert TextEncoder.from_pretrained(tmp_path / "old").labels == EKMAN7
