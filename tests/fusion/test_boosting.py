from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from mmemo.errors import ArgumentError
from mmemo.fusion.boosting import BoostedTrees, _boosting

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 6))
    return features, (features[:, 0] * features[:, 1] > 0) + 2 * (features[:, 2] > 0)


@pytest.mark.parametrize("classes", [[0, 1, 2, 3], [0, 1, 1, 0], [4, 1, 2, 3]])
def test_the_arrays_say_what_scikit_learn_says(samples: tuple[np.ndarray, np.ndarray], classes: list[int]) -> None:
    features, quarter = samples
    target = np.array(classes)[quarter]
    model = _boosting(15, 0).fit(features, target)
    trees = BoostedTrees._from_model(model, 6, 5)
    found = softmax(trees.logits(features), axis=1)
    np.testing.assert_allclose(found[:, model.classes_], model.predict_proba(features), atol=1e-6)
    assert found[:, np.setdiff1d(np.arange(5), model.classes_)].max(initial=0) < 1e-6
    again = BoostedTrees.from_state({name: array.copy() for name, array in trees.state().items()})
    np.testing.assert_array_equal(again.logits(features), trees.logits(features))


def test_it_sees_what_no_line_parts(samples: tuple[np.ndarray, np.ndarray]) -> None:
    features, target = samples
    trees = BoostedTrees.fit(features, target, 4, groups=np.arange(300) % 10, seed=1)
    fresh = np.random.default_rng(5).normal(size=(300, 6))
    right = (fresh[:, 0] * fresh[:, 1] > 0) + 2 * (fresh[:, 2] > 0)
    assert (trees.logits(fresh).argmax(axis=1) == right).mean() > 0.8


def test_nothing_held_out_still_fits(samples: tuple[np.ndarray, np.ndarray]) -> None:
    features, target = samples
    trees = BoostedTrees.fit(features, target, 4, groups=np.zeros(300), seed=0)
    assert len(trees.feature) == 40
    with pytest.raises(ArgumentError, match="fitted on 6 features"):
        trees.logits(features[:, :4])
