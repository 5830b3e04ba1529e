"""Corpora of text in their original layouts; the shared data has others of some."""

from __future__ import annotations

import json

import pytest

from mmemo.data.corpora import read_corpus
from mmemo.errors import ManifestError

from .conftest import Tree


def test_goemotions_with_and_without_names(tree: Tree) -> None:
    folder = tree(train__tsv="My favourite food\t27\teebbqej\nYou know the answer man\t4,27\tee84bjg\n")
    reading = read_corpus("goemotions", folder)
    one, several = reading.manifest
    assert (one.label, one.split) == ("neutral", "train")
    assert (several.label, several.extra["labels"]) == (None, "approval|neutral")
    assert {caveat.what for caveat in reading.caveats} >= {"files missing"}
    (folder / "labels.txt").write_text("anger\ndisgust\nfear\njoy\nneutral\nsadness\nsurprise\n")
    with pytest.raises(ManifestError) as told:
        read_corpus("goemotions", folder)
    assert len(told.value.faults) == 2  # 27 is too much for seven labels, in both lines


def test_dair_emotion_of_hugging_face(tree: Tree) -> None:
    lines = [json.dumps({"text": f"text {label}", "label": label}) for label in range(6)]
    manifest = read_corpus("dair_emotion", tree(validation__jsonl="\n".join(lines))).manifest
    assert [clip.label for clip in manifest] == ["sadness", "joy", "love", "anger", "fear", "surprise"]
    assert manifest[5].id == "dair-val-6"


def test_dair_emotion_without_header_keeps_semicolons_of_the_text(tree: Tree) -> None:
    manifest = read_corpus("dair_emotion", tree(train__txt="i feel; well; fine;joy\ni feel lost;sadness\n")).manifest
    assert [(clip.text, clip.label) for clip in manifest] == [("i feel; well; fine", "joy"), ("i feel lost", "sadness")]
    with pytest.raises(ManifestError, match=r"train\.txt line 1"):
        read_corpus("dair_emotion", tree(train__txt="i feel well\n"))


def test_emorynlp_json(tree: Tree) -> None:
    utterance = {
        "utterance_id": "s01_e02_c01_u002",
        "speakers": ["Joey Tribbiani"],
        "transcript": "Yeah, right!.......Y'serious?",
        "tokens": [["Yeah", ",", "right", "!"], ["......."], ["Y'serious", "?"]],
        "emotion": "Neutral",
    }
    together = {**utterance, "utterance_id": "s01_e02_c01_u003", "speakers": ["#ALL#"]}
    scenes = [{"scene_id": "s01_e02_c01", "utterances": [utterance, together]}]
    folder = tree()
    (folder / "json").mkdir()
    text = json.dumps({"episodes": [{"episode_id": "s01_e02", "scenes": scenes}]})
    (folder / "json" / "emotion-detection-dev.json").write_text(text)
    reading = read_corpus("emorynlp", folder)
    clip, nobody = reading.manifest
    assert (nobody.speaker, nobody.turn) == (None, 1)
    assert (clip.id, clip.label, clip.split) == ("emorynlp-s01_e02_c01_u002", "neutral", "val")
    assert (clip.speaker, clip.session) == ("emorynlp-Joey Tribbiani", "emorynlp-s01_e02")
    assert reading.caveats[0].items == ("emotion-detection-trn.json", "emotion-detection-tst.json")
    (folder / "json" / "emotion-detection-dev.json").write_text('{"scenes": []}')
    with pytest.raises(ManifestError, match="not JSON of EmoryNLP"):
        read_corpus("emorynlp", folder)


def test_xed_as_published(tree: Tree) -> None:
    folder = tree()
    (folder / "en-annotated.tsv").write_text("You liar.\t1\n! Watch out\t1, 4, 7\n")
    (folder / "neu_fi.txt").write_text("Niin.\t0\n")
    manifest = read_corpus("xed", folder).manifest
    assert [(clip.id, clip.label, clip.language) for clip in manifest] == [
        ("xed-en-1", "anger", "en"),
        ("xed-en-2", None, "en"),
        ("xed-fi-neutral-1", "neutral", "fi"),
    ]
    assert manifest[1].extra["labels"] == "anger|fear|surprise"


def test_emobank_as_published(tree: Tree) -> None:
    rows = 'id,split,V,A,D,text\n110CYL068_1036_1079,dev,3.0,2.5,3.2,"Remember what she said, in ""my"" letter?"\n'
    (clip,) = read_corpus("emobank", tree(emobank__csv=rows)).manifest
    assert (clip.valence, clip.arousal, clip.dominance, clip.split) == (3.0, 2.5, 3.2, "val")
    assert clip.text == 'Remember what she said, in "my" letter?'
    with pytest.raises(ManifestError, match="line 2"):
        read_corpus("emobank", tree(emobank__csv="id,split,V,A,D,text\nx,dev,,2,3,text\n"))


TABLE = """corpus\tid\tlang\tsplit\temotion\ttext
brighter\tone\tes\ttrain\tjoy,surprise\t\u00a1No me lo creo!
brighter\ttwo\tzh\tdev\tneutral\t\u4eca\u5929\u661f\u671f\u4e8c
"""


def test_labeled_texts_have_one_label_or_several(tree: Tree) -> None:
    reading = read_corpus("brighter", tree(brighter__tsv=TABLE))
    first, second = reading.manifest
    assert (first.id, first.label, first.extra["labels"]) == ("brighter-es-one", None, "joy|surprise")
    assert (second.label, second.language, second.split) == ("neutral", "zh", "val")
    assert [caveat.items for caveat in reading.caveats] == [("one",)]


def test_labeled_texts_keep_their_dialogue(tree: Tree) -> None:
    lines = ["id\tlang\tsplit\temotion\ttext\tdialogue\tspeaker"]
    lines += [f"{i}\tzh\tvalid\tastonished\t\u649e\u8f66\u4e86\u5417\t32\t\u6234\u5a1c" for i in range(2)]
    clips = read_corpus("cped", tree(cped__tsv="\n".join(lines))).manifest.clips
    assert [(clip.dialogue, clip.turn, clip.speaker) for clip in clips] == [
        ("32", 0, "\u6234\u5a1c"),
        ("32", 1, "\u6234\u5a1c"),
    ]


@pytest.mark.parametrize(("old", "new", "says"), [("joy", "bliss", "emotion bliss"), ("dev", "held", "held")])
def test_labeled_texts_name_the_line_that_does_not_fit(tree: Tree, old: str, new: str, says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        read_corpus("brighter", tree(brighter__tsv=TABLE.replace(old, new)))
