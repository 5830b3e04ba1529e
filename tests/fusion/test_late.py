from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError
from mmemo.fusion.gated import GatedFusion
from mmemo.fusion.late import LateFusion, Trust, scores_only
from mmemo.labels import LabelSet

LABELS = LabelSet("three", ("a", "b", "c"))


def encoding(scores: np.ndarray, present: np.ndarray | None = None) -> Encoding:
    mask = np.ones((len(scores), 1), bool) if present is None else present[:, None]
    return Encoding(np.zeros((len(scores), 1, 2), np.float32), mask, np.log(scores).astype(np.float32))


P = np.array([[0.7, 0.2, 0.1]])
Q = np.array([[0.2, 0.3, 0.5]])


def test_one_modality_alone_gives_its_own_scores() -> None:
    head = LateFusion(LABELS, {"face": 0.2, "voice": 0.8}, agreement=0.9)
    np.testing.assert_allclose(head.fuse({"face": encoding(P)}), P, atol=1e-6)


def test_independent_experts_multiply() -> None:
    head = LateFusion(LABELS, {"face": 1.0, "voice": 1.0}, agreement=1.0)
    expected = P * Q / (P * Q).sum()
    np.testing.assert_allclose(head.fuse({"face": encoding(P), "voice": encoding(Q)}), expected, atol=1e-6)


def test_no_agreement_is_the_weighted_geometric_mean() -> None:
    head = LateFusion(LABELS, {"face": 3.0, "voice": 1.0}, agreement=0.0)
    mean = P**0.75 * Q**0.25
    np.testing.assert_allclose(head.fuse({"face": encoding(P), "voice": encoding(Q)}), mean / mean.sum(), atol=1e-6)


def test_each_row_fuses_what_it_has() -> None:
    head = LateFusion(LABELS, {"face": 1.0, "voice": 1.0}, agreement=1.0)
    both = np.concatenate([P, P]), np.concatenate([Q, Q])
    voice = encoding(both[1], np.array([True, False]))
    fused = head.fuse({"face": encoding(both[0]), "voice": voice})
    np.testing.assert_allclose(fused[1], P[0], atol=1e-6)
    assert not np.allclose(fused[0], P[0])
    shares = head.shares({"face": encoding(both[0]), "voice": voice})
    np.testing.assert_allclose(shares["face"], [0.5, 1.0])


def test_a_row_with_nothing_is_an_error_not_nan() -> None:
    head = LateFusion(LABELS, {"face": 1.0})
    with pytest.raises(ArgumentError, match="no modality at all"):
        head.fuse({"face": encoding(P, np.array([False]))})


def test_an_unknown_modality_lists_the_known_ones() -> None:
    with pytest.raises(ArgumentError, match=r"expected one of \['face'\]"):
        LateFusion(LABELS, {"face": 1.0}).fuse({"gaze": encoding(P)})


@pytest.mark.parametrize(
    "weights", [{}, {"face": 0.0}, {"face": float("nan")}, {"face": -1.0}, {"face": 10**400}, {"face": "a"}]
)
def test_weights_must_be_positive(weights: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="positive weights"):
        LateFusion(LABELS, weights)


def test_fitting_finds_the_expert_that_knows() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 600)
    good = rng.normal(0, 1, (600, 3)) + 2.0 * np.eye(3)[target]
    noise = rng.normal(0, 1, (600, 3))
    head = LateFusion.fit(LABELS, {"good": scores_only(good), "noise": scores_only(noise)}, target)
    assert head.weights["good"] > 0.8
    fused = head.fuse({"good": encoding(np.exp(good)), "noise": encoding(np.exp(noise))})
    assert np.mean(fused.argmax(1) == target) > 0.8


def test_fitting_trusts_independent_experts_that_agree() -> None:
    rng = np.random.default_rng(1)
    target = rng.integers(0, 3, 1500)
    # The exact posteriors of two independent Gaussian observations: their product is right, so agreement is near 1.
    seen = {name: 2.0 * (rng.normal(0, 1, (1500, 3)) + 2.0 * np.eye(3)[target]) for name in ("one", "two")}
    head = LateFusion.fit(LABELS, {name: scores_only(one) for name, one in seen.items()}, target)
    assert head.agreement > 0.85
    assert head.weights["one"] == pytest.approx(0.5, abs=0.1)


def test_fitting_uses_samples_that_lack_a_modality_for_what_they_have() -> None:
    rng = np.random.default_rng(2)
    target = rng.integers(0, 3, 900)
    seen = {name: rng.normal(0, 1, (900, 3)) + 2.0 * np.eye(3)[target] for name in ("a", "b", "c")}
    there = {name: rng.random(900) < 0.7 for name in seen}
    shown = {name: scores_only(np.where(there[name][:, None], seen[name], 50.0), there[name]) for name in seen}
    head = LateFusion.fit(LABELS, shown, target)
    assert all(weight == pytest.approx(1 / 3, abs=0.12) for weight in head.weights.values())


def test_fitting_needs_two_modalities_in_one_sample() -> None:
    logits = np.zeros((2, 3))
    apart = {"a": scores_only(logits, np.array([True, False])), "b": scores_only(logits, np.array([False, True]))}
    with pytest.raises(ArgumentError, match="two modalities"):
        LateFusion.fit(LABELS, apart, np.array([0, 1]))


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_no_worse_than_weights_tried_by_hand(seed: int) -> None:
    """Also where the second expert knows little that the first does not, and the best weight lies near the edge."""
    rng = np.random.default_rng(seed)
    target = rng.integers(len(LABELS), size=1500)
    truth = np.eye(len(LABELS))[target]
    first = 2.0 * truth + rng.normal(size=truth.shape)
    second = 0.4 * first + 0.3 * truth + 0.5 * rng.normal(size=truth.shape)
    encodings = {"face": scores_only(first.astype(np.float32)), "voice": scores_only(second.astype(np.float32))}

    def loss(head: LateFusion) -> float:
        return float(-np.mean(np.log(head.fuse(encodings)[np.arange(len(target)), target])))

    fitted = loss(LateFusion.fit(LABELS, encodings, target))
    for weight in (0.02, 0.1, 0.3, 0.5, 0.9):
        for agreement in (0.0, 0.3, 0.7, 1.0):
            assert fitted < loss(LateFusion(LABELS, {"face": 1 - weight, "voice": weight}, agreement)) + 1e-4


def doubted(scores: np.ndarray, trust: float) -> Encoding:
    one = encoding(scores)
    return Encoding(one.tokens, one.mask, one.logits, np.array([[1.0, trust]] * len(scores), np.float32))


@pytest.mark.parametrize("agreement", [0.0, 0.6, 1.0])
def test_words_that_are_unsure_weigh_less(agreement: float) -> None:
    head = LateFusion(LABELS, {"face": 1.0, "text": 1.0}, agreement)
    face = encoding(P)
    sure, unsure = ({"face": face, "text": doubted(Q, trust)} for trust in (1.0, 0.5))
    assert head.shares(sure)["text"][0] == pytest.approx(0.5)
    assert head.shares(unsure)["text"][0] == pytest.approx(1 / 3)
    np.testing.assert_allclose(head.fuse(sure), head.fuse({"face": face, "text": encoding(Q)}), atol=1e-9)
    distance = [
        np.abs(head.fuse({"face": face, "text": doubted(Q, trust)}) - P).sum() for trust in (1.0, 0.7, 0.4, 0.0)
    ]
    assert distance == sorted(distance, reverse=True)
    assert distance[-1] < 0.15 * distance[0]
    np.testing.assert_allclose(head.fuse({"text": doubted(Q, 0.3)}), Q, atol=1e-6)  # alone they say what they say


def test_only_words_are_weighed_by_their_trust() -> None:
    head = LateFusion(LABELS, {"face": 1.0, "voice": 1.0})
    plain = head.fuse({"face": encoding(P), "voice": encoding(Q)})
    np.testing.assert_array_equal(head.fuse({"face": encoding(P), "voice": doubted(Q, 0.2)}), plain)


def test_the_gates_weigh_unsure_words_less_too() -> None:
    zeros = {"face": np.zeros(3), "text": np.zeros(3)}
    head = GatedFusion(LABELS, {"face": 0.0, "text": 0.0}, zeros, 0.5)
    shares = head.shares({"face": encoding(P), "text": doubted(Q, 0.5)})
    assert shares["text"][0] == pytest.approx(1 / 3)


FEELINGS = LabelSet("three feelings", ("neutral", "joy", "anger"))


def both(face: np.ndarray, voice: np.ndarray, trust: dict[str, Trust], coverage: float = 1.0) -> np.ndarray:
    """Fused scores of a face and a voice of equal weight, as of independent experts."""
    head = LateFusion(FEELINGS, {"face": 1.0, "voice": 1.0}, 1.0, trust)
    quality = np.array([[coverage, 1.0]], np.float32)
    covered = replace(encoding(np.array([face])), quality=quality)
    return np.asarray(head.fuse({"face": covered, "voice": encoding(np.array([voice]))})[0])


def test_a_neutral_face_is_weak_evidence_for_neutral() -> None:
    """With a face that stays neutral in 30% of all joy: p(neutral face | joy) = .7 * .05 + .3 * .9, by hand."""
    face, voice = np.array([0.9, 0.05, 0.05]), np.array([0.25, 0.6, 0.15])
    believed = np.array([0.9, 0.7 * 0.05 + 0.3 * 0.9, 0.7 * 0.05 + 0.3 * 0.9])
    fused = both(face, voice, {"face": Trust(silent=0.3)})
    np.testing.assert_allclose(fused, believed * voice / (believed * voice).sum(), atol=1e-6)
    assert both(face, voice, {}).argmax() == 0
    assert both(face, voice, {"face": Trust(silent=0.6)}).argmax() == 1


def test_what_may_be_unrelated_decides_nothing_alone() -> None:
    """Whatever the words are, no label can get more than (1 - u + u / K) / (u / K) times as likely by them."""
    sure, voice = np.array([1e-6, 1e-6, 1 - 2e-6]), np.array([0.2, 0.6, 0.2])
    fused = both(sure, voice, {"face": Trust(unrelated=0.3)})
    most = (0.7 + 0.1) / 0.1
    assert fused[2] / fused[1] == pytest.approx(most * voice[2] / voice[1], rel=1e-3)


def test_trust_keeps_the_order_of_the_labels_and_one_modality_alone_as_it_is() -> None:
    scores = np.log(np.random.default_rng(0).dirichlet(np.ones(3), 200))
    believed = Trust(silent=0.4, unrelated=0.2).log_scores(scores, neutral=0)
    np.testing.assert_array_equal(believed.argsort(axis=1), scores.argsort(axis=1))
    np.testing.assert_allclose(np.exp(believed).sum(axis=1), 1)
    head = LateFusion(FEELINGS, {"face": 1.0, "voice": 1.0}, 1.0, {"face": Trust(0.4, 0.2, 1.0)})
    np.testing.assert_allclose(head.fuse({"face": encoding(P)}), P, atol=1e-6)


@pytest.mark.parametrize(("exponent", "share"), [(0.0, 0.5), (1.0, 0.2 / 1.2), (0.5, 0.2**0.5 / (1 + 0.2**0.5))])
def test_half_covered_windows_count_less(exponent: float, share: float) -> None:
    head = LateFusion(FEELINGS, {"face": 1.0, "voice": 1.0}, 0.0, {"face": Trust(coverage=exponent)})
    covered = replace(encoding(P), quality=np.array([[0.2, 1.0]], np.float32))
    assert head.shares({"face": covered, "voice": encoding(Q)})["face"][0] == pytest.approx(share, abs=1e-6)


def test_fitting_finds_how_often_a_modality_is_silent() -> None:
    rng = np.random.default_rng(3)
    target = rng.integers(0, 3, 3000)
    shown = {name: np.where(rng.random(3000) < silent, 0, target) for name, silent in (("face", 0.4), ("voice", 0.0))}
    logits = {name: 2.0 * (rng.normal(0, 1, (3000, 3)) + 2.0 * np.eye(3)[label]) for name, label in shown.items()}
    head = LateFusion.fit(FEELINGS, {name: scores_only(one) for name, one in logits.items()}, target)
    assert head.trust["face"].silent == pytest.approx(0.4, abs=0.05)
    assert head.trust["voice"].silent < 0.05
    again = LateFusion.from_state(FEELINGS, head.state()[0])
    assert again.trust == head.trust


@pytest.mark.parametrize("wrong", [{"silent": -0.1}, {"unrelated": 1.5}, {"coverage": float("nan")}, {"silent": "a"}])
def test_trust_outside_its_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=f"Trust.{next(iter(wrong))} goes from 0"):
        Trust(**wrong)


def test_trust_of_an_unknown_modality_is_refused() -> None:
    with pytest.raises(ArgumentError, match="'gaze'"):
        LateFusion(FEELINGS, {"face": 1.0}, trust={"gaze": Trust()})
