"""Texts in other languages go to a second network, which is loaded when the first of them comes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

import mmemo.explain
from mmemo.encoders.text.architecture import TextArchitecture
from mmemo.encoders.text.encoder import MULTILINGUAL, TextEncoder
from mmemo.encoders.text.network import TextNetwork, smaller_vocabulary
from mmemo.errors import WeightsError
from mmemo.evidence import Evidence, TextEvidence, Turn
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7
from mmemo.pretrained import WEIGHTS
from mmemo.speech.emoji_names import name_emoji

PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "\u2581",
    "\u4f60",
    "\u597d",
    "te",
    "\u2581te",
    "\u2581odio",
    "odio",
    "<mask>",
]


def unigram() -> str:
    """A tokenizer of the kind of multilingual-e5-small, with few pieces."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    specials = [("<s>", 0), ("<pad>", 1), ("</s>", 2), ("<unk>", 3), ("<mask>", len(PIECES) - 1)]
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": i, "content": name, **flags, "special": True} for name, i in specials],
            "normalizer": None,
            "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [
                    {"SpecialToken": {"id": "<s>", "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "</s>", "type_id": 0}},
                ],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                "special_tokens": {
                    name: {"id": name, "ids": [i], "tokens": [name]} for name, i in (("<s>", 0), ("</s>", 2))
                },
            },
            "decoder": None,
            "model": {"type": "Unigram", "unk_id": 3, "vocab": [[p, -1.0 - i / 10] for i, p in enumerate(PIECES)]},
        }
    )


def other(dim: int = 384) -> TextEncoder:
    torch.manual_seed(0)
    text, old = smaller_vocabulary(unigram(), set(range(4, 11)))
    network = TextNetwork(TextArchitecture(len(old), dim, 1, 2, 8, affect=3))
    return TextEncoder(network, Tokenizer.from_str(text), languages=("es", "zh"), card={"weak_languages": ["en", "zh"]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded English encoder, with another one beside it."""
    folder = tmp_path_factory.mktemp("encoders") / "text"
    shutil.copytree(WEIGHTS / "text", folder, ignore=lambda *_: {MULTILINGUAL})
    other().save(folder / MULTILINGUAL)
    return folder


@pytest.fixture(scope="module")
def both(folder: Path) -> TextEncoder:
    return TextEncoder.load(folder)


def said(text: str, language: str | None, *context: str) -> Evidence:
    before = tuple(Turn(line) for line in context)
    return Evidence(0.0, 1.0, text=TextEvidence(text, language, 1.0, 1.0, context=before))


def prepared(encoder: TextEncoder, text: str, language: str | None, *context: str) -> np.ndarray:
    ids = encoder.prepare(said(text, language, *context))
    assert ids is not None
    return ids


def test_a_unigram_vocabulary_gets_smaller_and_the_special_names_of_a_bert() -> None:
    text, old = smaller_vocabulary(unigram(), {4, 5, 6})
    small = Tokenizer.from_str(text)
    assert small.encode("\u4f60\u597d").tokens == ["[CLS]", "\u2581", "\u4f60", "\u597d", "[SEP]"]
    assert small.encode("odio").ids[1:-1] == [small.token_to_id("\u2581"), small.token_to_id("[UNK]")]
    assert [PIECES[i] for i in old] == ["<pad>", "<s>", "</s>", "<unk>", "\u2581", "\u4f60", "\u597d"]
    assert small.token_to_id("[PAD]") == 0


def test_the_second_network_is_loaded_with_the_first_text_for_it(folder: Path) -> None:
    encoder = TextEncoder.load(folder)
    encoder.encode([prepared(encoder, "How nice!", "en")])
    assert "multilingual" not in vars(encoder)
    encoder.encode([prepared(encoder, "te odio", "es")])
    assert "multilingual" in vars(encoder)


def test_each_text_gets_the_scores_of_its_own_network_in_a_mixed_batch(both: TextEncoder) -> None:
    texts = [("te odio", "es"), ("How nice!", "en"), ("\u4f60\u597d", "zh"), ("I hate it when you do that.", "en")]
    mixed = both.encode([prepared(both, *one) for one in texts])
    english, spanish = TextEncoder.load(WEIGHTS / "text"), other()
    for row, (text, language) in enumerate(texts):
        reader = spanish if language in ("es", "zh") else english
        alone = reader.encode([reader.tokenize(text)])
        np.testing.assert_allclose(mixed.logits[row], alone.logits[0], atol=2e-2)
        assert mixed.mask[row].sum() == alone.mask[0].sum()


def test_which_texts_are_read(both: TextEncoder) -> None:
    for text, language in (("hej", "sv"), ("\u3053\u308c", "ja"), ("...", "es"), ("", None)):
        assert both.prepare(said(text, language)) is None
    assert both.reader(said("\u4f60\u597d", None).text) is both.multilingual
    assert both.reader(said("te odio", None).text) is both.multilingual
    assert both.reader(said("Hello", "en").text) is both
    assert both.reader(said("\u4f60\u597d", "en").text) is both.multilingual
    alone = TextEncoder.load(WEIGHTS / "text")
    alone._folder = None
    assert alone.reader(said("te odio", None).text) is alone
    assert alone.reader(said("\u4f60\u597d", None).text) is None


def test_emoji_have_names_in_a_language_of_their_network(both: TextEncoder) -> None:
    chinese = other()
    name = name_emoji("\U0001f62d", chinese.languages).text
    assert name != "loudly crying face"
    named = chinese.tokenize(f"\u4f60\u597d {name}") + both.architecture.vocabulary
    np.testing.assert_array_equal(prepared(both, "\u4f60\u597d \U0001f62d", "zh"), named)
    assert chinese.spans("\u4f60\u597d \U0001f62d")[-2][1] == 4
    assert both.reader(said("\U0001f62d", None).text) is both
    assert both.reader(said("\U0001f62d", "zh").text) is both


def test_weak_languages_are_those_of_the_card_and_english_is_not_looked_up(folder: Path) -> None:
    encoder = TextEncoder.load(folder)
    assert not encoder.reads_poorly("en")
    assert "multilingual" not in vars(encoder)
    assert [encoder.reads_poorly(language) for language in ("zh", "es", "ja")] == [True, False, False]


def test_both_are_saved_in_one_folder(both: TextEncoder, tmp_path: Path) -> None:
    ids = [prepared(both, "te odio", "es"), prepared(both, "How nice!", "en")]
    again = TextEncoder.load(both.save(tmp_path / "again"))
    np.testing.assert_array_equal(again.encode(ids).logits, both.encode(ids).logits)
    again.save(tmp_path / "again")  # its own folder may be replaced


def test_tokens_of_another_width_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "text", ignore=lambda *_: {MULTILINGUAL})
    other(dim=8).save(tmp_path / "text" / MULTILINGUAL)
    with pytest.raises(WeightsError, match="another width"):
        TextEncoder.load(tmp_path / "text").prepare(said("te odio", "es"))


def test_a_result_names_unknown_and_weak_languages(both: TextEncoder) -> None:
    model = mmemo.EmotionModel([both], LateFusion(EKMAN7, {"text": 1.0}))

    def notes(text: str, language: str | None = None) -> list[str]:
        result = mmemo.analyze(mmemo.Clip(text=text, language=language), model=model)
        return [note.code for note in result.notes if "language" in note.code]

    assert notes("I am so happy today.") == []
    assert notes("te odio") == ["unknown-language"]
    assert notes("te odio", "es") == []
    assert notes("\U0001f621 !") == []
    assert notes("\u4f60\u597d", "zh") == ["weak-language"]


def test_words_are_explained_by_the_network_that_reads_them(both: TextEncoder) -> None:
    pytest.importorskip("captum", reason="needs the extra explain")
    model = mmemo.EmotionModel([both], LateFusion(EKMAN7, {"text": 1.0}))
    explanation = mmemo.explain.text("\u4f60\u597d", model=model)
    assert [word.text for word in explanation.words] == ["\u4f60\u597d"]
    assert explanation.words[0].weight != 0
