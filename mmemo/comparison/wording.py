"""Numbers and methods of a comparison in words, as all its outputs write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mmemo.evaluation.bootstrap import Interval

if TYPE_CHECKING:
    from mmemo.comparison.result import Comparison


def format_signed(interval: Interval) -> str:
    """``+0.120 [+0.088, +0.151]``."""
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def format_short(interval: Interval) -> str:
    """``.833 [.750, .917]``: a share without the zero before the point, for narrow tables."""
    return re.sub(r"\b0(?=\.)", "", str(interval))


def format_p(p: float) -> str:
    """A p value with three digits: ``.032``, ``<.001``."""
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0") if p < 1 else "1"


def describe_method(comparison: Comparison) -> str:
    """How intervals and p values are computed, in one sentence."""
    over = "speakers" if comparison.speakers else "clips"
    return (
        f"Intervals are 95%, p is of the paired bootstrap, both over {over} ({comparison.draws:,} resamples); "
        f"p is corrected after Holm for {len(comparison.pairs)} pairs."
    )
