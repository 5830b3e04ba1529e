"""Checks of encoders and fusion heads: they tell an author what is wrong with a class of their own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import softmax
from mmemo.errors import ArgumentError, WeightsError
from mmemo.evidence import Evidence, TextEvidence
from mmemo.fusion.registry import HEADS, load_head
from mmemo.labels import EKMAN7, LabelSet


class TinyEncoder:
    """A deterministic encoder without weights, for tests of what surrounds encoders.

    Examples:
        >>> from mmemo.evidence import Evidence, TextEvidence
        >>> from mmemo.testing import TinyEncoder
        >>> encoder = TinyEncoder()
        >>> window = Evidence(0.0, 2.0, text=TextEvidence("Good.", "en", 1.0, 1.0))
        >>> encoder.encode([encoder.prepare(window)]).logits.shape
        (1, 7)
    """

    modality = "text"
    dim = 4

    def __init__(self, labels: LabelSet = EKMAN7, modality: str = "text") -> None:
        self.labels = labels
        self.modality = modality

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """The text's code points (T,) float32, or None without text."""
        if evidence.text is None or not evidence.text.text:
            return None
        return np.array([ord(letter) for letter in evidence.text.text], np.float32)

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """One token a letter; the logits depend on the mean code point only."""
        longest = max(len(item) for item in batch)
        tokens = np.zeros((len(batch), longest, self.dim), np.float32)
        mask = np.zeros((len(batch), longest), bool)
        for row, item in enumerate(batch):
            tokens[row, : len(item)] = item[:, None] / 128
            mask[row, : len(item)] = True
        means = np.array([item.mean() for item in batch])
        logits = np.cos(means[:, None] * np.arange(1, len(self.labels) + 1)).astype(np.float32)
        return Encoding(tokens, mask, logits)


def check_encoder(encoder: object, samples: Sequence[Evidence] | None = None) -> None:
    """Check that an object fulfills the contract of `mmemo.encoders.Encoder`.

    Args:
        samples: two or more windows in which its modality is there, best of different lengths; by default two texts.

    Raises:
        ArgumentError: with every fault, one a line.

    Examples:
        >>> from mmemo.testing import TinyEncoder, check_encoder
        >>> check_encoder(TinyEncoder())  # no exception: no fault
    """
    faults = [
        f"no attribute {name!r}"
        for name in ("modality", "dim", "labels", "prepare", "encode")
        if not hasattr(encoder, name)
    ]
    if not faults:
        faults = list(_faults(encoder, samples or [_text_window("Good."), _text_window("What a long and lovely day.")]))
    if faults:
        raise ArgumentError(f"{type(encoder).__name__} is not an encoder yet:\n- " + "\n- ".join(faults))


def _faults(encoder: object, samples: Sequence[Evidence]) -> Iterator[str]:
    if not isinstance(encoder.modality, str) or not encoder.modality:  # type: ignore[attr-defined]
        yield "modality must be a name such as 'face'"
    if not isinstance(encoder.labels, LabelSet):  # type: ignore[attr-defined]
        yield "labels must be a mmemo.labels.LabelSet"
        return
    if encoder.prepare(Evidence(0.0, 1.0)) is not None:  # type: ignore[attr-defined]
        yield "prepare must return None for a window without evidence"
    inputs = [encoder.prepare(sample) for sample in samples]  # type: ignore[attr-defined]
    if any(item is None for item in inputs):
        yield "prepare returned None for a sample in which the modality should be there"
        return
    if not all(isinstance(item, np.ndarray) for item in inputs):
        yield "prepare must return a NumPy array"
        return
    try:
        together: Encoding = encoder.encode(inputs)  # type: ignore[attr-defined]
    except ArgumentError as error:
        yield str(error)
        return
    batch, dim, classes = len(inputs), encoder.dim, len(encoder.labels)  # type: ignore[attr-defined]
    if together.tokens.shape[0] != batch or together.tokens.shape[2] != dim:
        yield f"tokens must be (B, T, D) = ({batch}, T, {dim}), got {together.tokens.shape}"
        return
    if together.logits.shape != (batch, classes):
        yield f"logits must be (B, K) = ({batch}, {classes}), got {together.logits.shape}"
        return
    if together.tokens.dtype != np.float32 or together.logits.dtype != np.float32:
        yield f"tokens and logits must be float32, got {together.tokens.dtype} and {together.logits.dtype}"
    if not together.present.all():
        yield "mask is all False for a window in which the modality is there; True means valid"
    if np.abs(together.tokens[~together.mask]).max(initial=0) > 0:
        yield "tokens must be zero where mask is False"
    again: Encoding = encoder.encode(inputs)  # type: ignore[attr-defined]
    if not np.array_equal(again.logits, together.logits):
        yield "two calls with the same input differ: switch dropout off (eval mode) and seed what is random"
    alone = np.concatenate([encoder.encode([item]).logits for item in inputs])  # type: ignore[attr-defined]
    if not np.allclose(alone, together.logits, atol=1e-3):
        yield "a window's logits change with the other windows of its batch: padding leaks, or rows are mixed up"
    if hasattr(encoder, "save"):
        yield from _faults_of_saving(encoder, inputs, together)


def _faults_of_saving(encoder: Any, inputs: list[np.ndarray], before: Encoding) -> Iterator[str]:
    if not hasattr(encoder, "load"):
        yield "it has save and no class method load(folder, device=…), so what it saves can't be loaded"
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            encoder.save(Path(folder) / "encoder")
            again = type(encoder).load(Path(folder) / "encoder", device="cpu")
            after: Encoding = again.encode(inputs)
        except Exception as error:  # the encoder is the caller's
            yield f"saving and loading it raises {type(error).__name__}: {error}"
            return
    for name in ("modality", "dim", "labels"):
        if getattr(again, name) != getattr(encoder, name):
            yield f"{name} is {getattr(encoder, name)!r}, after saving and loading {getattr(again, name)!r}"
            return
    # Weights may be saved as float16.
    if not np.allclose(softmax(after.logits), softmax(before.logits), atol=0.02):
        yield "its scores differ after saving and loading"


def check_fusion(head: object, encodings: Mapping[str, Encoding] | None = None) -> None:
    """Check that an object fulfills the contract of `mmemo.fusion.FusionHead`.

    Args:
        encodings: of four or more rows, of every modality the head takes; by default face and voice of width 4. Which
            rows lack what does not matter: the check hides modalities itself.

    Raises:
        ArgumentError: with every fault, one a line.

    Examples:
        >>> from mmemo.fusion import LateFusion
        >>> from mmemo.labels import EKMAN7
        >>> from mmemo.testing import check_fusion
        >>> check_fusion(LateFusion(EKMAN7, {"face": 1.0, "voice": 1.0}))  # no exception: no fault
    """
    faults = [
        f"no attribute {name!r}" for name in ("kind", "labels", "fuse", "shares", "state") if not hasattr(head, name)
    ]
    if not faults and not isinstance(head.labels, LabelSet):  # type: ignore[attr-defined]
        faults = ["labels must be a mmemo.labels.LabelSet"]
    if not faults:
        given = dict(encodings or _made_up(len(head.labels)))  # type: ignore[attr-defined]
        full = {m: _everywhere(encoding) for m, encoding in given.items()}
        try:
            for fault in _fusion_faults(head, full):
                faults.append(fault)  # one by one: faults before an exception must not be lost
        except Exception as error:  # the head is the caller's: whatever it raises is a fault
            faults.append(f"it raises {type(error).__name__} for ordinary encodings: {error}")
    if faults:
        raise ArgumentError(f"{type(head).__name__} is not a fusion head yet:\n- " + "\n- ".join(faults))


def _made_up(classes: int) -> dict[str, Encoding]:
    random = np.random.default_rng(0)
    return {
        modality: Encoding(
            random.normal(size=(6, 3, 4)).astype(np.float32),
            np.ones((6, 3), bool),
            random.normal(size=(6, classes)).astype(np.float32),
        )
        for modality in ("face", "voice")
    }


def _everywhere(encoding: Encoding) -> Encoding:
    """The encoding with something valid in every row."""
    mask = encoding.mask.copy()
    mask[~encoding.present, 0] = True
    return Encoding(encoding.tokens, mask, encoding.logits, encoding.quality)


def _fusion_faults(head: Any, full: Mapping[str, Encoding]) -> Iterator[str]:
    names, rows, classes = list(full), len(next(iter(full.values()))), len(head.labels)
    fused = head.fuse(full)
    if not isinstance(fused, np.ndarray) or fused.shape != (rows, classes):
        yield f"fuse must give an array (B, K) = ({rows}, {classes}), got {np.shape(fused)}"
        return
    if fused.dtype != np.float64:
        yield f"fuse must give float64, got {fused.dtype}"
    if not np.isfinite(fused).all():
        yield "fuse gives NaN or infinity though all modalities are there"
        return
    if (fused < 0).any() or not np.allclose(fused.sum(axis=1), 1, atol=1e-4):
        yield "each row of fuse must be positive scores that sum to 1: take the softmax"
    if not np.array_equal(head.fuse(full), fused):
        yield "two calls with the same input differ: switch dropout off (eval mode) and seed what is random"
    alone = np.concatenate([head.fuse({m: e.rows(np.array([row])) for m, e in full.items()}) for row in range(rows)])
    if not np.allclose(alone, fused, atol=1e-4):
        yield "a row's scores change with the other rows of its batch"
    backwards = {m: full[m] for m in reversed(names)}
    if not np.allclose(head.fuse(backwards), fused, atol=1e-4):
        yield "the scores depend on the order in which modalities are given: look them up by name"
    yield from _faults_of_absence(head, full, fused)
    yield from _faults_of_shares(head, full)
    faults = list(_faults_of_state(head))
    yield from faults
    if hasattr(head, "from_state") and not faults:
        yield from _faults_of_loading(head, full, fused)


def _faults_of_absence(head: Any, full: Mapping[str, Encoding], fused: np.ndarray) -> Iterator[str]:
    names, rows = list(full), len(fused)
    left: dict[str, np.ndarray] = {}
    for modality in names if len(names) > 1 else []:
        try:
            left[modality] = head.fuse({m: e for m, e in full.items() if m != modality})
        except Exception as error:  # the head is the caller's
            yield f"it fails when {modality} is not given ({error}): any subset of modalities must do"
    if left and all(np.allclose(one, fused, atol=1e-6) for one in left.values()):
        yield "removing a modality changes nothing: the head does not look at its input"
    for modality, without in left.items():
        hidden = full[modality].only(np.zeros(rows, bool))
        # Values of an absent row may be anything: garbage here shows a head that reads them.
        garbage = Encoding(hidden.tokens * 0 + 9, hidden.mask, hidden.logits * 0 + 9, hidden.quality)
        masked = head.fuse({**full, modality: garbage})
        if not np.isfinite(masked).all():
            yield f"a row in which {modality} is all masked becomes NaN"
        elif not np.allclose(masked, without, atol=1e-4):
            yield f"it reads {modality} where the mask is False: an absent row must be as if it were not given"
    nothing = {m: e.only(np.zeros(rows, bool)) for m, e in full.items()}
    if not _refuses(head, nothing):
        yield "a row with no modality at all must raise ArgumentError, not give scores"
    if not _refuses(head, {**full, "no such modality": full[names[0]]}):
        yield "a modality it does not know must raise ArgumentError, not be passed over"


def _refuses(head: Any, encodings: Mapping[str, Encoding]) -> bool:
    try:
        head.fuse(encodings)
    except ArgumentError:
        return True
    except Exception:  # another error is no message for a user
        return False
    return False


def _faults_of_shares(head: Any, full: Mapping[str, Encoding]) -> Iterator[str]:
    names, rows = list(full), len(next(iter(full.values())))
    first = np.arange(rows) > 0 if len(names) > 1 else np.ones(rows, bool)
    shares = head.shares({**full, names[0]: full[names[0]].only(first)})
    if set(shares) != set(names) or any(np.shape(share) != (rows,) for share in shares.values()):
        got = {modality: np.shape(share) for modality, share in shares.items()}
        yield f"shares must give (B,) = ({rows},) for each of {names}, got {got}"
        return
    if not np.allclose(np.sum(list(shares.values()), axis=0), 1, atol=1e-4):
        yield "shares must sum to 1 in each row"
    if len(names) > 1 and abs(shares[names[0]][0]) > 1e-6:
        yield "the share of an absent modality must be 0"


def _faults_of_state(head: Any) -> Iterator[str]:
    settings, arrays = head.state()
    if settings.get("kind") != head.kind:
        yield f"state's settings must name the kind {head.kind!r}"
    try:
        json.dumps(settings)
    except TypeError as error:
        yield f"state's settings must be JSON ({error}); put arrays beside them"
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        yield "state's arrays must be NumPy arrays"


def _faults_of_loading(head: Any, full: Mapping[str, Encoding], fused: np.ndarray) -> Iterator[str]:
    settings, arrays = head.state()
    try:
        if HEADS.find(head.kind, [type(head)]) is not type(head):
            raise WeightsError(f"{head.kind!r} is a head of mmemo.")
    except WeightsError as error:
        yield f"kind must be an attribute of the class, by which a saved model finds it ({error})"
        return
    try:
        again = load_head(head.labels, json.loads(json.dumps(settings)), arrays, [type(head)])
    except WeightsError as error:
        yield f"from_state can't read what state gave: {error}"
        return
    if not np.allclose(again.fuse(full), fused, atol=1e-4):
        yield "its scores differ after from_state(labels, *state()): something is missing in its state"


def _text_window(text: str) -> Evidence:
    return Evidence(0.0, 2.0, text=TextEvidence(text, "en", 1.0, 1.0))
