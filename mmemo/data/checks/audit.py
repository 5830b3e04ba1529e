"""The audit: does anything that must stay apart meet in two splits, and do labels give themselves away?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from mmemo.data.checks import leaks, shortcuts
from mmemo.data.checks.report import Audit, Finding
from mmemo.data.checks.scan import Look, scan

if TYPE_CHECKING:
    from mmemo.data.manifest import Manifest


def audit(
    manifest: Manifest,
    *,
    media: Literal["prints", "hashes", "none"] = "prints",
    workers: int | None = None,
    tick: Callable[[int], None] | None = None,
) -> Audit:
    """Look for leaks between the splits and folds of a manifest, and for labels that give themselves away.

    Looked for: speakers, sessions and dialogues in two splits; the same picture, sound or video in two splits, bit
    for bit or as a copy (`mmemo.data.checks.fingerprints`); texts in two splits; labels missing from a split; too few
    speakers;
    copies with different labels; a length, level or sentence that alone predicts the label or the corpus; changed and
    unreadable media.

    Args:
        media: "hashes" compares bytes and pixels only and is fast; "none" opens no media.
        workers: processes that read media; one a CPU by default.
        tick: is called with the number of clips read.
    """
    clips = manifest.clips
    looks = (
        [Look()] * len(clips) if media == "none" else scan(clips, prints=media == "prints", workers=workers, tick=tick)
    )
    findings: list[Finding] = []
    groups = leaks.same_content(looks)
    copies = leaks.copies(looks, groups)
    for column in ("split", "fold"):
        part = np.array([getattr(clip, column) or "" for clip in clips])
        if len(set(part) - {""}) > 1:
            findings += leaks.overlaps(clips, part, column)
            findings += leaks.shared_media(clips, part, groups, copies, column)
            findings += leaks.shared_texts(clips, part, column)
            findings += leaks.thin_parts(clips, manifest.labels, part, column)
    findings += leaks.conflicts(clips, groups, copies)
    findings += leaks.files(clips, looks)
    findings += (Finding("warning", *found) for found in shortcuts.find(clips, looks))
    order = {"leak": 0, "warning": 1, "note": 2}
    return Audit(tuple(sorted(findings, key=lambda finding: order[finding.severity])))
