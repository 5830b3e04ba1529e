"""Word by word: the sum of the parts is the whole, they depend on the weights, and a happy word speaks for joy."""

from __future__ import annotations

import copy
import io
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy.stats import spearmanr

import mmemo
from mmemo import EmotionModel
from mmemo.encoders.text.encoder import TextEncoder
from mmemo.errors import ArgumentError, MissingExtraError, MissingStreamError
from mmemo.explain.integrated_gradients import attributions
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7
from mmemo.pretrained import WEIGHTS
from mmemo.samples import make_clip
from mmemo.testing import TinyEncoder

pytestmark = pytest.mark.slow

pytest.importorskip("captum", reason="needs the extra explain")

LINE = "Yesterday I went to the station, and I was so happy to see my old friend again."


def model_of(encoder: TextEncoder) -> EmotionModel:
    return EmotionModel([encoder], LateFusion(EKMAN7, {"text": 1.0}))


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.load(WEIGHTS / "text")


@pytest.fixture(scope="module")
def model(encoder: TextEncoder) -> EmotionModel:
    return model_of(encoder)


def test_happy_carries_happiness(model: EmotionModel) -> None:
    why = mmemo.explain.text(LINE, model=model)
    assert why.label == "happiness"
    assert why.text == LINE
    strongest = max(why.words, key=lambda word: word.weight)
    assert strongest.text == "happy "
    exact = model_of(TextEncoder.load(WEIGHTS / "text", precision="float32"))
    assert why.score == pytest.approx(mmemo.analyze(text=LINE, model=exact).scores["happiness"], abs=1e-4)


def test_parts_sum_to_the_whole(model: EmotionModel) -> None:
    for label in (None, "anger"):
        why = mmemo.explain.text(LINE, label=label, model=model)
        total = sum(word.weight for word in why.words)
        assert total == pytest.approx(math.log(why.score) - math.log(why.without), abs=0.05)


def test_random_weights_say_something_else(encoder: TextEncoder) -> None:
    """Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018."""
    ids = encoder.tokenize(LINE)
    trained, _ = attributions(encoder, ids, "happiness")
    torch.manual_seed(0)
    network = copy.deepcopy(encoder.network)
    for layer in [*network.layers, network.head]:
        for parameter in layer.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.05)
    other = copy.copy(encoder)
    other.network = network.eval()
    random, _ = attributions(other, ids, "happiness")
    assert abs(spearmanr(trained[1:-1], random[1:-1]).statistic) < 0.6
    assert trained.argmax() != random.argmax() or abs(trained - random).max() > 0.5 * abs(trained).max()


def test_a_missing_word_takes_away_what_it_gave(model: EmotionModel) -> None:
    without = mmemo.explain.text(LINE.replace("happy ", ""), label="happiness", model=model)
    assert mmemo.explain.text(LINE, model=model).score - without.score > 0.05


def test_html_and_terminal(model: EmotionModel, tmp_path: Path) -> None:
    why = mmemo.explain.text("<b>I am so happy</b> & glad.", model=model)
    page = why.save(tmp_path / "why.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;I" in page
    assert "<b>" not in page
    assert "&amp;" in page
    assert "rgba(214,96,20" in page
    assert why._repr_html_() in page
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system="truecolor", width=100).print(why)
    assert "\x1b[1;38;2;" in out.getvalue()
    plain = io.StringIO()
    Console(file=plain, width=100).print(why)
    assert "<b>I am so happy</b> & glad." in plain.getvalue()
    with pytest.raises(ArgumentError, match="html"):
        why.save(tmp_path / "why.png")


def test_of_a_result_the_window_with_the_clearest_words(model: EmotionModel, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=6.0)
    (tmp_path / "clip.srt").write_text(
        "1\n00:00:00,000 --> 00:00:01,500\nThe shop opens at nine.\n\n"
        "2\n00:00:04,000 --> 00:00:05,500\nI am so happy for you!\n"
    )
    result = mmemo.analyze(clip, model=model)
    why = mmemo.explain.text(result, model=model)
    assert (why.label, why.text) == ("happiness", "I am so happy for you!")
    assert why.start >= 2
    early = mmemo.explain.text(result, at=0.5, model=model)
    assert early.text == "The shop opens at nine."
    with pytest.raises(MissingStreamError, match="at 99"):
        mmemo.explain.text(result, at=99.0, model=model)


def test_emoji_are_shown_as_they_were_written(model: EmotionModel) -> None:
    line = "My exam is today \U0001f62d, I know."
    why = mmemo.explain.text(line, label="sadness", model=model)
    assert why.text == line
    assert max(why.words, key=lambda word: word.weight).text == "\U0001f62d, "


def test_what_goes_wrong(model: EmotionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="joy"):
        mmemo.explain.text(LINE, label="joy", model=model)
    with pytest.raises(MissingStreamError, match="no words"):
        mmemo.explain.text("?!", model=model)
    tiny = TinyEncoder()
    with pytest.raises(ArgumentError, match="TinyEncoder"):
        mmemo.explain.text(LINE, model=EmotionModel([tiny], LateFusion(tiny.labels, {"text": 1.0})))
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingExtraError, match="explain"):
        mmemo.explain.text(LINE, model=model)


def test_long_text_is_cut(model: EmotionModel) -> None:
    why = mmemo.explain.text("and then we were so happy " * 30, model=model)
    assert len(why.words) == 180
    assert not np.any([word.weight for word in why.words[130:]])
