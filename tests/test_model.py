from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import mmemo
from mmemo.checkpoint import TENSORS
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7
from mmemo.pretrained import WEIGHTS
from mmemo.testing import TinyEncoder


def test_a_model_knows_the_hash_of_each_weight_it_was_loaded_from(tmp_path: Path) -> None:
    model = mmemo.load_model(modalities=("text",))
    expected = {part: sha256((WEIGHTS / part / TENSORS).read_bytes()).hexdigest() for part in ("text", "fusion")}
    assert model.weights == expected
    assert mmemo.load_model(model.save(tmp_path / "model")).weights["text"] == expected["text"]


def test_a_built_model_has_no_weights_of_a_file() -> None:
    assert mmemo.EmotionModel([TinyEncoder()], LateFusion(EKMAN7, {"text": 1.0})).weights == {}
