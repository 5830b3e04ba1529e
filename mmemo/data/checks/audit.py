"""Audit of a manifest: leaks between splits and folds, and facts that predict the label without any emotion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from mmemo.data.checks import leaks, shortcuts
from mmemo.data.checks.report import Audit, Finding
from mmemo.data.checks.scan import MediaScan, scan

if TYPE_CHECKING:
    from mmemo.data.manifest import Manifest


def audit(
    manifest: Manifest,
    *,
    media: Literal["fingerprints", "hashes", "none"] = "fingerprints",
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Audit:
    """Check a manifest for leaks between its splits and folds, and for shortcuts to its labels.

    A leak is a speaker, session, dialogue, text or recording (bit for bit, or as a re-encoded, scaled or louder copy)
    in two splits. Other findings are labels missing from a split, too few speakers, copies with different labels, a
    length, level or sentence that alone predicts the label or the corpus, and changed or unreadable media.

    Args:
        media: "fingerprints" compares the content of pictures and sounds; "hashes" compares bytes and pixels only and
            is fast; "none" opens no media.
        workers: processes that read media; one a CPU by default.
        progress: called with the share of clips read, 0 to 1.

    Examples:
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest, audit
        >>> from mmemo.labels import EKMAN7
        >>> clips = [Clip(text=split, id=split, speaker="x", split=split) for split in ("train", "test")]
        >>> [finding.code for finding in audit(Manifest(clips, EKMAN7)).leaks]
        ['speaker-overlap']
    """
    clips = manifest.clips
    if media == "none":
        scans = [MediaScan()] * len(clips)
    else:
        scans = scan(clips, fingerprints=media == "fingerprints", workers=workers, progress=progress)
    findings: list[Finding] = []
    groups = leaks.same_content(scans)
    copies = leaks.copies(scans, groups)
    for column in ("split", "fold"):
        part = np.array([getattr(clip, column) or "" for clip in clips])
        if len(set(part) - {""}) > 1:
            findings += leaks.overlaps(clips, part, column)
            findings += leaks.shared_media(clips, part, groups, copies, column)
            findings += leaks.shared_texts(clips, part, column)
            findings += leaks.thin_parts(clips, manifest.labels, part, column)
    findings += leaks.conflicts(clips, groups, copies)
    findings += leaks.files(clips, scans)
    findings += (Finding("warning", *shortcut) for shortcut in shortcuts.find(clips, scans))
    order = {"leak": 0, "warning": 1, "note": 2}
    return Audit(tuple(sorted(findings, key=lambda finding: order[finding.severity])))
