"""Checks for leaks between splits, for copies and for damaged files; each is an iterator of findings.

Throughout, ``part`` (N,) holds the split, or the fold, of every clip, "" where it has none; ``groups`` are rows of
clips that are the same bit for bit, ``copies`` pairs of rows that are one recording in another form.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from mmemo.clip import Clip
from mmemo.data.checks.fingerprints import remove_mean, similar_pairs
from mmemo.data.checks.report import Finding
from mmemo.data.checks.scan import MediaScan
from mmemo.labels import LabelSet

APART = ("speaker", "session", "dialogue")
"""Attributes whose values may be in one split only."""
ENOUGH_SPEAKERS = 5
"""With fewer in a split, an interval over speakers says little."""
SIMILAR = {"picture": 0.97, "motion": 0.95, "sound": 0.94}
"""Correlation of two fingerprints from which they are one recording. Measured: pairs of FER2013 above it are the same
photo; different takes of one actor and sentence of RAVDESS reach .89 in sound and .68 in motion; copies at another
level, re-encoded, or with noise 20 dB below the voice are mostly above."""
_SHOWN = 3


def overlaps(clips: Sequence[Clip], part: np.ndarray, column: str) -> Iterator[Finding]:
    for attribute in APART:
        groups = np.array([getattr(clip, attribute) or "" for clip in clips])
        for one, other in _pairs(part):
            shared = sorted((set(groups[part == one]) & set(groups[part == other])) - {""})
            if shared:
                within = {name: (part == name) & np.isin(groups, shared) for name in (other, one)}
                members = min(within.values(), key=np.sum)
                yield Finding(
                    "leak",
                    f"{attribute}-overlap",
                    f"{len(shared)} {attribute}s are in {column} {one!r} and in {other!r}: {_some(shared)}. "
                    f"Divide again with split(by={attribute!r}).",
                    _ids(clips, members),
                )


def shared_media(
    clips: Sequence[Clip],
    part: np.ndarray,
    groups: Sequence[Sequence[int]],
    copies: Sequence[tuple[int, int]],
    column: str,
) -> Iterator[Finding]:
    for one, other in _pairs(part):
        small = min((one, other), key=lambda name: (np.sum(part == name), name))
        both = [group for group in groups if {one, other} <= set(part[list(group)])]
        same = sorted({member for group in both for member in group if part[member] == small})
        if same:
            yield Finding(
                "leak",
                "same-media",
                f"{len(same)} clips of {column} {small!r} are bit for bit in {one if small == other else other!r} too. "
                "Leave them out.",
                tuple(clips[row].id for row in same),
            )
        near = sorted({i if part[i] == small else j for i, j in copies if {part[i], part[j]} == {one, other}})
        near = [row for row in near if row not in set(same)]
        if near:
            yield Finding(
                "leak",
                "near-duplicate",
                f"{len(near)} clips of {column} {small!r} are copies of clips in {one if small == other else other!r}: "
                "scaled, compressed or at another level. Leave them out.",
                tuple(clips[row].id for row in near),
            )


def shared_texts(clips: Sequence[Clip], part: np.ndarray, column: str) -> Iterator[Finding]:
    """Text alone that repeats is a leak; the same sentence spoken by another person, as in acted corpora, is not."""
    texts = np.array([" ".join((clip.text or "").casefold().split()) for clip in clips], object)
    for severity, code, chosen in (
        ("leak", "same-text", np.array([clip.path is None for clip in clips])),
        ("note", "same-sentence", np.array([clip.path is not None for clip in clips])),
    ):
        rows = chosen & (texts != "")
        for one, other in _pairs(part[rows]):
            shared = set(texts[rows & (part == one)]) & set(texts[rows & (part == other)])
            small = min((one, other), key=lambda name: (np.sum(part[rows] == name), name))
            members = rows & (part == small) & np.array([text in shared for text in texts])
            if not shared:
                continue
            consequence = (
                "A score with them is too good; report without them too."
                if severity == "leak"
                else "The words are no cue there, and a score of the text modality says nothing."
            )
            yield Finding(
                severity,  # type: ignore[arg-type]
                code,
                f"The texts of {members.sum()} of {(rows & (part == small)).sum()} clips of {column} {small!r} are in "
                f"{one if small == other else other!r} too. {consequence}",
                _ids(clips, members),
            )


def thin_parts(clips: Sequence[Clip], labels: LabelSet, part: np.ndarray, column: str) -> Iterator[Finding]:
    label = np.array([clip.label or "" for clip in clips])
    speaker = np.array([clip.speaker or "" for clip in clips])
    used = set(label) - {""}
    for name in _names(part):
        missing = [one for one in labels if one in used - set(label[part == name])]
        if missing:
            yield Finding("warning", "class-missing", f"{column.capitalize()} {name!r} has no clip of {missing}.")
        speakers = set(speaker[part == name]) - {""}
        if column == "split" and 0 < len(speakers) < ENOUGH_SPEAKERS:
            yield Finding(
                "warning",
                "few-speakers",
                f"Split {name!r} has {len(speakers)} speakers: an interval over speakers says little. Cross-validate.",
            )
    if not (set(speaker) - {""}) and any(clip.path is not None for clip in clips):
        yield Finding(
            "note", "no-speakers", f"No clip names its speaker: whether a person is in two {column}s is unknown."
        )


def conflicts(
    clips: Sequence[Clip], groups: Sequence[Sequence[int]], copies: Sequence[tuple[int, int]]
) -> Iterator[Finding]:
    pairs = [pair for group in groups for pair in combinations(group, 2)]
    in_conflict = {
        row
        for pair in [*pairs, *copies]
        if None not in (labels := {clips[row].label for row in pair}) and len(labels) > 1
        for row in pair
    }
    if in_conflict:
        yield Finding(
            "warning",
            "label-conflict",
            f"{len(in_conflict)} clips are copies of one another and have different labels.",
            tuple(clips[row].id for row in sorted(in_conflict)),
        )
    doubled = sum(len(group) - 1 for group in groups)
    if doubled:
        yield Finding("note", "duplicates", f"{doubled} clips repeat another one bit for bit, wherever it is.")


def files(clips: Sequence[Clip], scans: Sequence[MediaScan]) -> Iterator[Finding]:
    broken = [row for row, one in enumerate(scans) if one.fault]
    if broken:
        yield Finding(
            "warning", "unreadable", f"{len(broken)} media can't be read; the first: {scans[broken[0]].fault}",
            tuple(clips[row].id for row in broken),
        )  # fmt: skip
    changed = [
        clip.id for clip, one in zip(clips, scans, strict=True) if clip.sha256 and one.sha256 not in (None, clip.sha256)
    ]
    if changed:
        message = f"{len(changed)} files are not those the manifest was made from (SHA-256)."
        yield Finding("warning", "changed-media", message, tuple(changed))


def same_content(scans: Sequence[MediaScan]) -> list[list[int]]:
    members: dict[str, list[int]] = defaultdict(list)
    for row, one in enumerate(scans):
        if one.content is not None:
            members[one.content].append(row)
    return [rows for rows in members.values() if len(rows) > 1]


def copies(scans: Sequence[MediaScan], groups: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Pairs of clips that are one recording, other than bit for bit.

    Two videos with sound must agree in both; where one has no picture, or no sound, the other decides.
    """
    similar: dict[str, set[tuple[int, int]]] = {}
    for name, threshold in SIMILAR.items():
        rows = [row for row, one in enumerate(scans) if getattr(one, name) is not None]
        fingerprints = remove_mean(np.stack([getattr(scans[row], name) for row in rows])) if rows else np.zeros((0, 1))
        similar[name] = {(rows[i], rows[j]) for i, j, _ in similar_pairs(fingerprints, threshold)}
    same = {pair for group in groups for pair in combinations(group, 2)}

    def both(pair: tuple[int, int], name: str) -> bool:
        return all(getattr(scans[row], name) is not None for row in pair)

    pairs = set(similar["picture"])
    pairs |= {p for p in similar["motion"] if p in similar["sound"] or not both(p, "sound")}
    pairs |= {p for p in similar["sound"] if not both(p, "motion")}
    return sorted(pairs - same)


def _names(part: np.ndarray) -> list[str]:
    return [str(name) for name, _ in Counter(part.tolist()).most_common() if name != ""]


def _pairs(part: np.ndarray) -> Iterator[tuple[str, str]]:
    """Every two parts, the larger one first."""
    return combinations(_names(part), 2)


def _ids(clips: Sequence[Clip], members: np.ndarray) -> tuple[str, ...]:
    return tuple(clip.id for clip, member in zip(clips, members, strict=True) if member)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
