"""Every fusion head comes back from a saved model, with labels of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmemo
from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoding
from mmemo.errors import WeightsError
from mmemo.fusion.boosting import BoostingFusion
from mmemo.fusion.concat import ConcatFusion
from mmemo.fusion.cross_attention import CrossAttentionFusion
from mmemo.fusion.gated import GatedFusion
from mmemo.fusion.late import LateFusion, RuleFusion
from mmemo.fusion.registry import HEADS, load_head
from mmemo.fusion.stacked import StackedFusion
from mmemo.labels import LabelSet
from mmemo.testing import TinyEncoder

MINE = LabelSet("mine", ("calm", "tense"))


class Saved(TinyEncoder):
    """A tiny encoder that keeps what it is made of."""

    def save(self, folder: Path) -> Path:
        settings = {"kind": "tiny", "labels": self.labels.to_config(), "modality": self.modality}
        return save_checkpoint(folder, settings, {})

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Saved:
        config = load_checkpoint(folder, "tiny").config
        return cls(LabelSet.from_config(config["labels"]), config["modality"])


def encodings(count: int = 40) -> tuple[dict[str, Encoding], np.ndarray]:
    """Two modalities; some rows lack one."""
    rng = np.random.default_rng(0)
    target = np.arange(count) % len(MINE)
    made = {}
    for column, modality in enumerate(("text", "words")):
        tokens = rng.normal(size=(count, 3, 4)).astype(np.float32)
        mask = np.ones((count, 3), bool)
        mask[column::5] = False
        logits = (rng.normal(size=(count, 2)) + 2 * np.eye(2)[target]).astype(np.float32)
        made[modality] = Encoding(tokens, mask, logits)
    return made, target


def weights(**changes: Any) -> dict[str, Any]:
    return {"text": 0.7, "words": 0.3} | changes


HEADS_OF_MMEMO: dict[str, Any] = {
    "late": lambda given, target: LateFusion(MINE, weights(text=[0.2, 0.9]), 0.3),
    "mean": lambda given, target: RuleFusion(MINE, given, "mean"),
    "max": lambda given, target: RuleFusion(MINE, given, "max"),
    "gated": lambda given, target: GatedFusion(MINE, weights(), dict.fromkeys(given, np.array([0.1, 2.0, 1.0])), 0.7),
    "stacked": lambda given, target: StackedFusion.fit(MINE, given, target),
    "boosting": lambda given, target: BoostingFusion.fit(MINE, given, target),
    "concat": lambda given, target: ConcatFusion(MINE, dict.fromkeys(given, 4), hidden=6),
    "cross-attention": lambda given, target: CrossAttentionFusion(MINE, dict.fromkeys(given, 4), width=8, layers=1),
}


def test_all_heads_of_mmemo_are_tried_below() -> None:
    assert set(HEADS_OF_MMEMO) == set(HEADS.builtin)


@pytest.mark.parametrize("kind", HEADS_OF_MMEMO)
def test_a_head_with_labels_of_ones_own_comes_back(kind: str, tmp_path: Path) -> None:
    given, target = encodings()
    head = HEADS_OF_MMEMO[kind](given, target)
    model = mmemo.EmotionModel([Saved(MINE, modality) for modality in given], head)
    again = mmemo.load_model(model.save(tmp_path / "model"), classes=[Saved])
    assert type(again.fusion) is type(head)
    assert (again.labels, again.fusion.kind) == (MINE, kind)
    np.testing.assert_allclose(again.fuse(given), head.fuse(given), atol=1e-5)
    alone = {"words": given["words"].rows(given["words"].present)}
    np.testing.assert_allclose(again.fuse(alone), head.fuse(alone), atol=1e-5)


def test_boosted_trees_of_the_first_version_are_read() -> None:
    given, target = encodings()
    head = BoostingFusion.fit(MINE, given, target)
    settings, arrays = head.state()
    again = load_head(MINE, {**settings, "kind": "stacked", "learner": "boosting"}, arrays)
    assert type(again) is BoostingFusion
    np.testing.assert_array_equal(again.fuse(given), head.fuse(given))
    regression = StackedFusion.fit(MINE, given, target)
    settings, arrays = regression.state()
    assert type(load_head(MINE, {**settings, "learner": "regression"}, arrays)) is StackedFusion


@pytest.mark.parametrize("kind", HEADS_OF_MMEMO)
def test_settings_that_lack_something_are_refused(kind: str) -> None:
    settings, arrays = HEADS_OF_MMEMO[kind](*encodings()).state()
    for name in set(settings) - {"kind"}:
        with pytest.raises(WeightsError, match=f"head {kind!r} don't fit"):
            load_head(MINE, {key: value for key, value in settings.items() if key != name}, arrays)


def test_a_head_without_from_state_is_named() -> None:
    bare = type("Bare", (), {"kind": "bare"})
    with pytest.raises(WeightsError, match="Bare can't be read: it has no from_state"):
        load_head(MINE, json.loads('{"kind": "bare"}'), {}, [bare])
    with pytest.raises(WeightsError, match="needs the fusion head 'None'"):
        load_head(MINE, {}, {})
