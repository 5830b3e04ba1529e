"""A baseline that grows while a recording is read: each window is measured by the same person's earlier ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mmemo.encoders.base import Encoding
from mmemo.encoders.softmax import log_softmax
from mmemo.evidence import Seconds
from mmemo.personal.statistics import ScoreStatistics, centered, correction


@dataclass
class _Earlier:
    """Log scores (K,) of windows that don't overlap, and the end of the last one."""

    scores: list[np.ndarray] = field(default_factory=list)
    end: Seconds = -np.inf


class RunningBaseline:
    """Takes off each window's scores the mean of the same person's windows before it.

    The mean counts as in a `mmemo.Baseline`: less of few windows, and not at all while they vary as those of one mood.

    >>> import numpy as np
    >>> from mmemo.fusion.late import scores_only
    >>> from mmemo.personal.running import RunningBaseline
    >>> window = scores_only(np.log([[0.6, 0.3, 0.1]]))
    >>> RunningBaseline().correct(window, [(0.0, 2.0)], ["somebody"]).logits.argmax()
    0
    """

    def __init__(self) -> None:
        self._earlier: defaultdict[Hashable, _Earlier] = defaultdict(_Earlier)
        self._corrected: set[Hashable] = set()

    @property
    def in_use(self) -> bool:
        """Whether any window was changed."""
        return bool(self._corrected)

    def correct(
        self, encoding: Encoding, spans: Sequence[tuple[Seconds, Seconds]], keys: Sequence[Hashable]
    ) -> Encoding:
        """The encoding with each row less the mean of the earlier rows of the same key.

        Args:
            encoding: B windows of one modality, in order of time.
            spans: start and end of each window.
            keys: of each window: the modality and the person, say.
        """
        logits = encoding.logits.copy()
        for row, (span, key) in enumerate(zip(spans, keys, strict=True)):
            if not encoding.present[row]:
                continue
            earlier = self._earlier[key]
            if len(earlier.scores) > 1:
                statistics = ScoreStatistics.of(np.stack(earlier.scores))
                if statistics.mixed > 0:
                    logits[row] = correction(statistics, statistics.mixed)(encoding.rows(np.array([row]))).logits[0]
                    self._corrected.add(key)
            if span[0] >= earlier.end:
                earlier.scores.append(centered(log_softmax(encoding.logits[row].astype(float))))
                earlier.end = span[1]
        return replace(encoding, logits=logits)
