"""The mixture of corpora: targets as shares, context, nothing measured in training, priors of the draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmemo.clip import Clip
from mmemo.encoders.text.encoder import TextEncoder
from mmemo.evidence import Turn
from mmemo.labels import EKMAN7, EMORYNLP7_TO_EKMAN7, GOEMOTIONS28_TO_EKMAN7, MELD7_TO_EKMAN7
from mmemo.training.text_corpora import NEVER, Row, Sampler, read_rows, remove_leaks, roughen, text_key

WEIGHTS = Path(__file__).parents[2] / "mmemo" / "weights" / "text"


def row(text: str, label: str, context: tuple[Turn, ...] = ()) -> Row:
    return Row(text, np.array([one == label for one in EKMAN7], np.float32), text, "Ann", context)


def test_several_labels_share_the_target() -> None:
    clip = Clip(text="wow, thanks", id="1", split="train", extra={"labels": "surprise|gratitude|joy"})
    (found,) = read_rows([clip], GOEMOTIONS28_TO_EKMAN7)["train"]
    assert dict(zip(EKMAN7, found.target, strict=True)) == pytest.approx(
        {label: 0.5 if label in ("surprise", "happiness") else 0.0 for label in EKMAN7}
    )
    assert found.fine is not None
    assert found.fine.sum() == 3


def test_lines_get_the_lines_before_them_also_those_without_a_counterpart() -> None:
    labels = ("joyful", "peaceful", "sad", "mad", "neutral")
    clips = [
        Clip(
            text=f"line {turn}", id=str(turn), split="val", label=label, dialogue="d", turn=turn, speaker=f"s{turn % 2}"
        )
        for turn, label in enumerate(labels)
    ]
    found = read_rows(clips[::-1], EMORYNLP7_TO_EKMAN7)["val"]
    assert [one.text for one in found] == ["line 0", "line 2", "line 3", "line 4"]
    assert found[0].context == ()
    assert found[1].context == (Turn("line 0", "s0"), Turn("line 1", "s1"))
    assert [turn.text for turn in found[3].context] == ["line 1", "line 2", "line 3"]
    assert {one.group for one in found} == {"d"}


def test_affect_and_texts_without_letters() -> None:
    clips = [
        Clip(text="fine", id="1", split="test", valence=3.0, arousal=2.5, dominance=4.0),
        Clip(text="9", id="2", split="test", valence=3.0, arousal=2.5, dominance=4.0),
    ]
    (found,) = read_rows(clips, None)["test"]
    assert found.affect is not None
    assert found.affect.tolist() == [3.0, 2.5, 4.0]
    assert not found.target.any()
    assert text_key("... 9 !") == ""
    assert text_key("Don't\tDO it!") == text_key("don't do it")


def test_nothing_that_is_measured_is_trained_on() -> None:
    told = Turn("that is a long line indeed")
    first = {
        "train": [row("Yes.", "neutral"), row("I hate it", "anger", (told, Turn("what")))],
        "val": [row("yes", "happiness"), row("That is a long line, indeed!", "fear")],
        "test": [row("what", "surprise")],
    }
    second = {"train": [row("what?!", "surprise"), row("new", "fear")], "val": [], "test": [row("I hate it.", "anger")]}
    clean = remove_leaks({"first": first, "second": second})
    trained = {text_key(one.text) for corpus in clean.values() for one in corpus["train"]}
    measured = {text_key(one.text) for corpus in clean.values() for split in ("val", "test") for one in corpus[split]}
    assert not trained & measured
    assert [one.text for one in clean["second"]["train"]] == ["new"]  # "what?!" is measured by the corpus before it
    assert [one.text for one in clean["first"]["val"]] == ["That is a long line, indeed!"]
    assert clean["second"]["test"] == []
    assert clean["first"]["train"][1].context == (Turn("what"),)  # short lines are of nobody in particular


def test_rough_texts_keep_most_of_their_letters() -> None:
    rng = np.random.default_rng(0)
    text = "I never wanted to leave this quiet house"
    rough = [roughen(text, rng) for _ in range(40)]
    assert 5 <= sum(one == text.upper() for one in rough) <= 20
    typed = [one for one in rough if not one.isupper()]
    assert all(one != text and abs(len(one) - len(text)) <= 6 for one in typed)
    assert all(one.split()[0] == "I" for one in typed)  # words of one letter stay
    assert roughen("你好世界真大", np.random.default_rng(1)) == "你好世界真大"


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.load(WEIGHTS)


def sampler(encoder: TextEncoder, **settings: float) -> Sampler:
    context = (Turn("who is there", "Bob"), Turn("nobody", "Ann"))
    corpora = {
        "dialogue": [row(f"line {i} and on", "anger" if i < 10 else "neutral", context) for i in range(100)],
        "rated": [Row("calm", np.zeros(7, np.float32), "r", affect=np.array([3, 2, 3], np.float32))] * 4,
    }
    given = {"balance": 0.0, "batch": 8, "tokens": 6, "with_context": 0.0} | settings
    return Sampler(corpora, {"dialogue": 64, "rated": 16}, {"rated": 0.5}, encoder, **given)


def test_priors_are_those_of_the_draws(encoder: TextEncoder) -> None:
    plain, balanced = sampler(encoder), sampler(encoder, balance=1.0)
    anger, neutral = EKMAN7.index("anger"), EKMAN7.index("neutral")
    assert np.exp(plain.priors["dialogue"])[[anger, neutral]] == pytest.approx([0.1, 0.9])
    assert np.exp(balanced.priors["dialogue"])[[anger, neutral]] == pytest.approx([0.5, 0.5])
    assert plain.priors["dialogue"][EKMAN7.index("fear")] == NEVER


def test_batches(encoder: TextEncoder) -> None:
    drawn = sampler(encoder)
    batches = list(drawn(0))
    assert len(batches) == drawn.steps == 10
    again = list(drawn(0))
    assert all((one.ids == two.ids).all() for one, two in zip(batches, again, strict=True))
    assert not all((one.ids == two.ids).all() for one, two in zip(batches, drawn(1), strict=True))
    rated = sum(int((~one.affect.isnan().any(1)).sum()) for one in batches)
    assert rated == 16
    for one in batches:
        assert one.ids.shape[1] % 8 == 0
        assert (one.scored == one.mask).all()  # without context
        assert one.mask.sum(1).max() <= 6
        assert ((one.weight == 0.5) == (one.target.sum(1) == 0)).all()


def test_batches_with_context(encoder: TextEncoder) -> None:
    for one in sampler(encoder, with_context=1.0)(0):
        dialogue = one.target.sum(1) > 0
        assert (one.mask.sum(1) > one.scored.sum(1)).equal(dialogue)
        assert not (one.scored & ~one.mask).any()


def test_meld_labels_are_known() -> None:
    clips = [Clip(text="Hi there", id="1", split="train", label="joy")]
    (found,) = read_rows(clips, MELD7_TO_EKMAN7)["train"]
    assert EKMAN7[int(found.target.argmax())] == "happiness"
    assert found.fine is None
