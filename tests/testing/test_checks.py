from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError
from mmemo.evidence import Evidence
from mmemo.labels import MEGC3, LabelSet
from mmemo.samples import portrait, sound, speech
from mmemo.testing import TinyEncoder, check_encoder


def test_the_media_are_real() -> None:
    assert portrait().shape == (300, 300, 3)
    assert len(speech()) == pytest.approx(64_000, abs=400)
    assert np.abs(sound("silence", 1.0)).max() == 0
    with pytest.raises(ArgumentError, match="expected one of"):
        sound("music", 1.0)  # type: ignore[arg-type]


def test_a_good_encoder_passes() -> None:
    check_encoder(TinyEncoder())


class Always(TinyEncoder):
    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        return np.ones(3, np.float32)


class Leaky(TinyEncoder):
    """Its logits change with the longest text of the batch."""

    def encode(self, batch: list[np.ndarray]) -> Encoding:  # type: ignore[override]
        good = super().encode(batch)
        return Encoding(good.tokens, good.mask, good.logits + np.float32(good.tokens.shape[1]))


class Random(TinyEncoder):
    random = np.random.default_rng(0)

    def encode(self, batch: list[np.ndarray]) -> Encoding:  # type: ignore[override]
        good = super().encode(batch)
        return Encoding(good.tokens, good.mask, self.random.normal(size=good.logits.shape).astype(np.float32))


class NotANumber(TinyEncoder):
    def encode(self, batch: list[np.ndarray]) -> Encoding:  # type: ignore[override]
        good = super().encode(batch)
        return Encoding(good.tokens, good.mask, good.logits * np.nan)


class Wide(TinyEncoder):
    def encode(self, batch: list[np.ndarray]) -> Encoding:  # type: ignore[override]
        good = super().encode(batch)
        return Encoding(np.repeat(good.tokens, 2, axis=2), good.mask, good.logits)


class Doubles(TinyEncoder):
    def encode(self, batch: list[np.ndarray]) -> Encoding:  # type: ignore[override]
        good = super().encode(batch)
        return Encoding(good.tokens.astype(float), good.mask, good.logits)


class Inverted(TinyEncoder):
    def encode(self, batch: list[np.ndarray]) -> Encoding:  # type: ignore[override]
        good = super().encode(batch)
        return Encoding(good.tokens, ~good.mask, good.logits)


class FewClasses(TinyEncoder):
    def encode(self, batch: list[np.ndarray]) -> Encoding:  # type: ignore[override]
        good = super().encode(batch)
        return Encoding(good.tokens, good.mask, good.logits[:, :5])


class Lists(TinyEncoder):
    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        found = super().prepare(evidence)
        return None if found is None else found.tolist()  # type: ignore[return-value]


class Deaf(TinyEncoder):
    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        return None


class DirtyPadding(TinyEncoder):
    def encode(self, batch: list[np.ndarray]) -> Encoding:  # type: ignore[override]
        good = super().encode(batch)
        return Encoding(good.tokens + 1, good.mask, good.logits)


class MixedUp(TinyEncoder):
    def encode(self, batch: list[np.ndarray]) -> Encoding:  # type: ignore[override]
        good = super().encode(batch)
        return Encoding(good.tokens, good.mask, good.logits[::-1].copy())


class Savable(TinyEncoder):
    """Keeps its labels, and nothing else is to be kept."""

    def save(self, folder: Path) -> Path:
        folder.mkdir()
        (folder / "labels.json").write_text(json.dumps(self.labels.to_config()))
        return folder

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Savable:
        return cls(LabelSet.from_config(json.loads((folder / "labels.json").read_text())))


class Unreadable(TinyEncoder):
    def save(self, folder: Path) -> Path:
        return folder


class Forgetful(Savable):
    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Savable:
        return cls(MEGC3)


class Changed(Savable):
    """Its scores change when it is loaded."""

    def encode(self, batch: list[np.ndarray]) -> Encoding:  # type: ignore[override]
        good = super().encode(batch)
        return Encoding(good.tokens, good.mask, good.logits * getattr(self, "gain", 1.0))

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> Savable:
        again = super().load(folder)
        again.gain = 2.0  # type: ignore[attr-defined]
        return again


class Unwritable(Savable):
    def save(self, folder: Path) -> Path:
        raise OSError("the disk is full")


def test_an_encoder_that_is_saved_and_loaded_passes() -> None:
    check_encoder(Savable(LabelSet("mine", ("calm", "tense"))))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (Lists(), "must return a NumPy array"),
        (Deaf(), "should be there"),
        (DirtyPadding(), "zero where mask is False"),
        (MixedUp(), "rows are mixed up"),
        (object(), "no attribute 'modality'"),
        (TinyEncoder(labels=("a", "b")), "LabelSet"),  # type: ignore[arg-type]
        (TinyEncoder(modality=""), "modality must be a name"),
        (Always(), "None for a window without evidence"),
        (Leaky(), "other windows of its batch"),
        (Random(), "eval mode"),
        (NotANumber(), "must be finite"),
        (Wide(), r"tokens must be \(B, T, D\)"),
        (Doubles(), "must be float32"),
        (Inverted(), "True means valid"),
        (Unreadable(), r"no class method load\(folder"),
        (Unwritable(), "raises OSError: the disk is full"),
        (Forgetful(), "labels is .*ekman7.*, after saving and loading .*megc3"),
        (Changed(), "scores differ after saving and loading"),
        (FewClasses(), r"logits must be \(B, K\)"),
    ],
)
def test_each_fault_has_its_own_words(broken: object, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        check_encoder(broken)
