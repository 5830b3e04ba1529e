"""Padding of tokens, which every encoder shares."""

from __future__ import annotations

import numpy as np

from mmemo.encoders.base import pad_tokens


def test_tokens_are_padded_with_zeros_and_masked() -> None:
    tokens, mask = pad_tokens([np.ones((1, 2)), np.full((3, 2), 2.0)], 2)
    assert tokens.dtype == np.float32
    assert tokens[:, :, 0].tolist() == [[1, 0, 0], [2, 2, 2]]
    assert mask.tolist() == [[True, False, False], [True, True, True]]


def test_an_empty_batch_keeps_the_width() -> None:
    tokens, mask = pad_tokens([], 5)
    assert (tokens.shape, mask.shape) == ((0, 0, 5), (0, 0))
