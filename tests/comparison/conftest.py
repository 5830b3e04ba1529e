from __future__ import annotations

import numpy as np
import pytest

from mmemo.comparison.compare import compared
from mmemo.comparison.predictions import Answers
from mmemo.comparison.result import Comparison
from mmemo.softmax import softmax

LABELS = ("a", "b", "c")


def made_up(clips: int = 240, speakers: int = 8, seed: int = 0) -> Answers:
    """A face and a voice that each know something, and their product, which knows more."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 3, clips)
    seen = {name: rng.normal(0, 1, (clips, 3)) + 1.2 * np.eye(3)[target] for name in ("face", "voice")}
    scores = {name: softmax(one) for name, one in seen.items()}
    scores["late"] = softmax(seen["face"] + seen["voice"])
    nothing = np.full((clips, 3), 1 / 3)
    removed = {
        "face": {("face",): nothing},
        "voice": {("voice",): nothing},
        "late": {("face",): scores["voice"], ("voice",): scores["face"], ("face", "voice"): nothing},
    }
    who = np.arange(clips) % speakers
    groups = {
        "speaker": np.array([f"speaker {number}" for number in who]),
        "gender": np.where(who % 2, "female", "male"),
    }
    return Answers(LABELS, np.arange(clips).astype(str), target, scores, removed, groups)


@pytest.fixture(scope="session")
def answers() -> Answers:
    return made_up()


@pytest.fixture(scope="session")
def comparison(answers: Answers) -> Comparison:
    return compared(answers, "made up", draws=500)
