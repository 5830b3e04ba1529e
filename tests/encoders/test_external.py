"""Class names of other projects' checkpoints, and the settings beside a saved one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmemo.encoders.external import SETTINGS, UNMAPPED_SHARE, map_classes, map_scores, read_settings, write_settings
from mmemo.errors import LabelError, UnknownModelError, WeightsError
from mmemo.labels import EKMAN7, FER7_TO_EKMAN7, MEGC3

NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


def test_labels_are_mapped_explicitly() -> None:
    known = map_classes(
        ["Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral"], None, EKMAN7, [FER7_TO_EKMAN7]
    )
    assert known("Happy") == "happiness"
    with pytest.raises(
        LabelError, match=r"the meaning of \['LABEL_0', 'LABEL_1'\] is not known.*labels=\{'LABEL_0': …"
    ):
        map_classes(["LABEL_0", "LABEL_1"], None, EKMAN7)
    with pytest.raises(LabelError, match="says nothing of"):
        map_classes(NAMES, {"angry": "anger"}, EKMAN7)
    with pytest.raises(LabelError, match="Did you mean 'happiness'"):
        map_classes(["glad", "sad"], {"glad": "happines", "sad": "sadness"}, EKMAN7)
    assert map_classes(["negative", "positive", "surprise"], None, MEGC3).target == MEGC3
    with pytest.raises(LabelError, match="At least two"):
        map_classes(["a", "b"], {"a": "fear", "b": None}, EKMAN7)


def test_probabilities_add_up_are_dropped_and_are_never_zero() -> None:
    names = ["smile", "laugh", "frown", "sneer"]
    mapping = map_classes(names, {"smile": "happiness", "laugh": "happiness", "frown": "anger", "sneer": None}, EKMAN7)
    shares = np.array([[0.2, 0.3, 0.1, 0.4]])
    mapped = np.exp(map_scores(np.log(shares), mapping))[0]
    assert mapped[EKMAN7.index("happiness")] == pytest.approx(0.5 / 0.6)
    assert mapped[EKMAN7.index("anger")] == pytest.approx(0.1 / 0.6)
    assert mapped[EKMAN7.index("fear")] == pytest.approx(UNMAPPED_SHARE)
    assert np.isfinite(map_scores(np.array([[-90.0, -90.0, -90.0, 90.0]]), mapping)).all()


def test_settings_are_read_back_and_those_of_a_former_kind_too(tmp_path: Path) -> None:
    write_settings(tmp_path, {"kind": "speech-backbone", "layers": [1, 2]})
    assert read_settings(tmp_path, "speech-backbone")["layers"] == [1, 2]
    with pytest.raises(WeightsError, match="not of the kind 'image-backbone'"):
        read_settings(tmp_path, "image-backbone")
    (tmp_path / SETTINGS).write_text(json.dumps({"kind": "speech-checkpoint"}))
    assert read_settings(tmp_path, "speech-backbone") == {"kind": "speech-checkpoint"}
    (tmp_path / SETTINGS).write_text("{")
    with pytest.raises(WeightsError, match="not valid JSON"):
        read_settings(tmp_path, "speech-backbone")
    with pytest.raises(UnknownModelError, match="No encoder in"):
        read_settings(tmp_path / "missing", "speech-backbone")
