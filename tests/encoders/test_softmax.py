from __future__ import annotations

import numpy as np
import scipy.special

from mmemo.encoders.softmax import log_softmax, softmax


def test_they_agree_with_scipy_and_do_not_overflow() -> None:
    logits = np.random.default_rng(0).normal(0, 300, (5, 7))
    np.testing.assert_allclose(log_softmax(logits), scipy.special.log_softmax(logits, axis=-1))
    np.testing.assert_allclose(softmax(logits), scipy.special.softmax(logits, axis=-1), atol=1e-15)
