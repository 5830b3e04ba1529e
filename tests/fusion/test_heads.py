"""What every head must keep to, and what each of them is for."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmemo.encoders.base import Encoding
from mmemo.encoders.text.encoder import TextEncoder  # noqa: F401  (torch is loaded once for all heads)
from mmemo.errors import ArgumentError
from mmemo.evaluation.reliance import reliance
from mmemo.fusion.boosting import BoostingFusion
from mmemo.fusion.concat import ConcatFusion
from mmemo.fusion.cross_attention import CrossAttentionFusion
from mmemo.fusion.gated import GatedFusion
from mmemo.fusion.late import LateFusion, RuleFusion
from mmemo.fusion.registry import load_head
from mmemo.fusion.stacked import StackedFusion
from mmemo.labels import LabelSet
from mmemo.testing import check_fusion

pytestmark = pytest.mark.slow

LABELS = LabelSet("three", ("a", "b", "c"))
HEADS: list[Any] = [
    LateFusion,
    RuleFusion,
    GatedFusion,
    StackedFusion,
    BoostingFusion,
    ConcatFusion,
    CrossAttentionFusion,
]


def samples(
    count: int = 240, seed: int = 0, strength: float = 1.5
) -> tuple[dict[str, Encoding], np.ndarray, np.ndarray]:
    """Face and voice that know the class equally well, independently; some rows lack one."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 3, count)
    encodings = {}
    for column, (modality, width) in enumerate({"face": 5, "voice": 8}.items()):
        length = rng.integers(1, 6, count)
        mask = np.arange(5) < length[:, None]
        mask[column::7] = False
        noise = rng.normal(0, 1, (count, 3))
        logits = strength * (noise + 1.5 * np.eye(3)[target])
        tokens = rng.normal(0, 1, (count, 5, width))
        tokens[:, :, :3] += logits[:, None]
        tokens = np.where(mask[:, :, None], tokens, 0)
        encodings[modality] = Encoding(tokens.astype(np.float32), mask, logits.astype(np.float32))
    return encodings, target, np.arange(count) % 12


@pytest.fixture(scope="module", params=HEADS, ids=lambda head: head.__name__)
def fitted(request: pytest.FixtureRequest) -> Any:
    encodings, target, groups = samples()
    return request.param.fit(LABELS, encodings, target, groups=groups, seed=0)


def right(head: Any, encodings: dict[str, Encoding], target: np.ndarray) -> float:
    return float(np.mean(head.fuse(encodings).argmax(axis=1) == target))


def test_a_fitted_head_passes_the_check(fitted: Any) -> None:
    check_fusion(fitted, samples(12, seed=3)[0])


def test_fusing_beats_each_modality_on_samples_not_seen(fitted: Any) -> None:
    encodings, target, _ = samples(600, seed=1)
    both = np.flatnonzero(encodings["face"].present & encodings["voice"].present)
    seen = {modality: encoding.rows(both) for modality, encoding in encodings.items()}
    alone = [float(np.mean(one.logits.argmax(axis=1) == target[both])) for one in seen.values()]
    assert right(fitted, seen, target[both]) > max(alone) + 0.02


def test_without_a_modality_it_falls_to_what_is_left_and_no_further(fitted: Any) -> None:
    encodings, target, _ = samples(600, seed=2)
    rows = np.flatnonzero(encodings["voice"].present)
    voice = encodings["voice"].rows(rows)
    expert = float(np.mean(voice.logits.argmax(axis=1) == target[rows]))
    assert right(fitted, {"voice": voice}, target[rows]) > expert - 0.04


def test_a_head_rebuilt_from_its_state_gives_the_same_scores(fitted: Any) -> None:
    encodings, _, _ = samples(20, seed=4)
    settings, arrays = fitted.state()
    again = load_head(LABELS, settings, {name: array.copy() for name, array in arrays.items()})
    assert type(again) is type(fitted)
    np.testing.assert_allclose(again.fuse(encodings), fitted.fuse(encodings), atol=1e-5)


def test_an_unknown_modality_is_named(fitted: Any) -> None:
    with pytest.raises(ArgumentError, match="gaze"):
        fitted.fuse({"gaze": samples(4)[0]["face"]})


def test_the_same_seed_gives_the_same_head() -> None:
    encodings, target, groups = samples(120)
    short = replace(ConcatFusion.training, epochs=3)
    one, two = (ConcatFusion.fit(LABELS, encodings, target, groups=groups, seed=5, training=short) for _ in range(2))
    np.testing.assert_array_equal(one.fuse(encodings), two.fuse(encodings))


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.__name__)
def test_one_class_only_is_an_error_that_says_so(head: Any) -> None:
    encodings, target, _ = samples(30)
    with pytest.raises(ArgumentError, match="at least two classes"):
        head.fit(LABELS, encodings, np.zeros_like(target))


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.__name__)
def test_two_speakers_and_a_missing_class_are_enough(head: Any) -> None:
    encodings, target, _ = samples(60)
    rows = np.flatnonzero(target < 2)
    few = {modality: encoding.rows(rows) for modality, encoding in encodings.items()}
    found = head.fit(LABELS, few, target[rows], groups=np.arange(len(rows)) % 2)
    assert np.isfinite(found.fuse(few)).all()


@pytest.mark.parametrize("head", [ConcatFusion, CrossAttentionFusion], ids=lambda head: head.__name__)
def test_tokens_of_another_width_are_refused(head: Any) -> None:
    encodings, _, _ = samples(6)
    narrow = Encoding(encodings["face"].tokens[:, :, :4], encodings["face"].mask, encodings["face"].logits)
    with pytest.raises(ArgumentError, match="width 5, got 4"):
        head(LABELS, {"face": 5, "voice": 8}).fuse({"face": narrow, "voice": encodings["voice"]})


def test_what_is_in_masked_tokens_does_not_matter() -> None:
    encodings, _, _ = samples(12)
    head = CrossAttentionFusion(LABELS, {"face": 5, "voice": 8})
    face = encodings["face"]
    filled = Encoding(np.where(face.mask[:, :, None], face.tokens, 7).astype(np.float32), face.mask, face.logits)
    np.testing.assert_allclose(head.fuse({**encodings, "face": filled}), head.fuse(encodings), atol=1e-6)


def test_an_all_masked_row_is_not_nan_though_its_values_are() -> None:
    encodings, _, _ = samples(12)
    face = encodings["face"]
    gone = Encoding(np.full_like(face.tokens, np.nan), np.zeros_like(face.mask), np.full_like(face.logits, np.nan))
    voice = encodings["voice"].rows(np.flatnonzero(encodings["voice"].present))
    for head in (ConcatFusion(LABELS, {"face": 5, "voice": 8}), CrossAttentionFusion(LABELS, {"face": 5, "voice": 8})):
        fused = head.fuse({"face": gone.rows(np.arange(len(voice))), "voice": voice})
        assert np.isfinite(fused).all()


def test_cross_attention_lets_modalities_see_each_other() -> None:
    encodings, _, _ = samples(12)
    rows = np.flatnonzero(encodings["face"].present & encodings["voice"].present)
    head = CrossAttentionFusion(LABELS, {"face": 5, "voice": 8})
    seen = {modality: encoding.rows(rows) for modality, encoding in encodings.items()}
    other = Encoding(seen["voice"].tokens + 1, seen["voice"].mask, seen["voice"].logits)
    shares = head.shares(seen)["face"], head.shares({**seen, "voice": other})["face"]
    assert not np.allclose(*shares, atol=1e-6)


def test_cross_attention_refuses_to_be_large() -> None:
    with pytest.raises(ArgumentError, match="more than 3,000,000"):
        CrossAttentionFusion(LABELS, {"face": 512}, width=512, layers=4)


def test_the_gate_learns_what_quality_is_worth() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 800)
    trust = rng.random(800)
    clear = 1.5 * (rng.normal(0, 1, (800, 3)) + 2 * np.eye(3)[target])
    noise = 3 * rng.normal(0, 1, (800, 3))
    face = np.where((trust > 0.5)[:, None], clear, noise).astype(np.float32)
    voice = (1.5 * (rng.normal(0, 1, (800, 3)) + np.eye(3)[target])).astype(np.float32)
    mask = np.ones((800, 1), bool)
    quality = np.stack([np.ones(800), trust], axis=1).astype(np.float32)
    tokens = np.zeros((800, 1, 1), np.float32)
    encodings = {"face": Encoding(tokens, mask, face, quality), "voice": Encoding(tokens, mask, voice)}
    head = GatedFusion.fit(LABELS, encodings, target)
    shares = head.shares(encodings)["face"]
    assert shares[trust > 0.8].mean() > shares[trust < 0.2].mean() + 0.3
    plain = LateFusion.fit(LABELS, encodings, target)
    assert right(head, encodings, target) > right(plain, encodings, target) + 0.02


def test_weights_of_classes_find_who_knows_which_class() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 900)
    one, two = (rng.normal(0, 1, (900, 3)) for _ in range(2))
    one[target == 0, 0] += 4
    two[target == 1, 1] += 4
    mask, tokens = np.ones((900, 1), bool), np.zeros((900, 1, 1), np.float32)
    encodings = {n: Encoding(tokens, mask, x.astype(np.float32)) for n, x in (("one", one), ("two", two))}
    head = LateFusion.fit(LABELS, encodings, target, per_class=True)
    assert head.weights["one"][0] > head.weights["two"][0]
    assert head.weights["two"][1] > head.weights["one"][1]


def test_rules_by_hand() -> None:
    p, q = np.array([[0.7, 0.2, 0.1]]), np.array([[0.2, 0.3, 0.5]])
    tokens, mask = np.zeros((1, 1, 1), np.float32), np.ones((1, 1), bool)
    encodings = {n: Encoding(tokens, mask, np.log(x).astype(np.float32)) for n, x in (("face", p), ("voice", q))}
    np.testing.assert_allclose(RuleFusion(LABELS, encodings, "mean").fuse(encodings), (p + q) / 2, atol=1e-6)
    greatest = np.array([[0.7, 0.3, 0.5]]) / 1.5
    np.testing.assert_allclose(RuleFusion(LABELS, encodings, "max").fuse(encodings), greatest, atol=1e-6)


def test_the_report_names_a_modality_that_is_ignored() -> None:
    encodings, target, _ = samples(200, seed=6)
    deaf = LateFusion(LABELS, {"face": 1.0, "voice": 1e-6}, agreement=0.0)
    assert reliance(deaf, encodings, target).ignored == ("voice",)
    found = reliance(LateFusion(LABELS, {"face": 1.0, "voice": 1.0}), encodings, target)
    assert found.ignored == ()
    assert found.score > max(found.without.values())
    assert found.shares["face"] == pytest.approx(0.5)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.__name__)
def test_a_modality_that_no_sample_has(head: Any) -> None:
    """Weights of products can't be learned from one modality, which is an error; the others learn from what is there."""
    encodings, target, groups = samples(60)
    rows = np.flatnonzero(encodings["voice"].present)
    voice = encodings["voice"].rows(rows)
    given = {"face": encodings["face"].rows(rows).only(np.zeros(len(rows), bool)), "voice": voice}
    if head in (LateFusion, GatedFusion):
        with pytest.raises(ArgumentError, match="two modalities at least"):
            head.fit(LABELS, given, target[rows], groups=groups[rows])
        return
    found = head.fit(LABELS, given, target[rows], groups=groups[rows])
    np.testing.assert_allclose(found.fuse(given), found.fuse({"voice": voice}), atol=1e-5)


def test_a_stacked_head_fuses_without_scikit_learn() -> None:
    code = (
        "import sys, numpy as np; from mmemo.fusion.registry import load_head; from mmemo.labels import LabelSet;"
        "from mmemo.fusion.late import scores_only; labels = LabelSet('two', ('a', 'b'));"
        "arrays = dict(mean=np.zeros(10), scale=np.ones(10), weights=np.ones((10, 2)), bias=np.zeros(2));"
        "head = load_head(labels, {'kind': 'stacked', 'modalities': ['face', 'voice']}, arrays);"
        "head.fuse({'face': scores_only(np.zeros((3, 2)))}); assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
