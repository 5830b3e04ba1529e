"""A manifest: the clips of a corpus, or of several, with their label set."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from mmemo.clip import Clip
from mmemo.data import splitting
from mmemo.data.manifest_file import read_clips, unknown_labels, write_clips
from mmemo.errors import ManifestError, expected_one_of
from mmemo.labels import LabelMapping, LabelSet

if TYPE_CHECKING:
    from mmemo.data.checks.report import Audit

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=True)
class Manifest(Sequence[Clip]):
    """An immutable sequence of clips with their label set. Methods that change something return a new manifest.

    Args:
        clips: each with an id of its own.
        labels: the label set; every label of every clip is one of it.

    Raises:
        ManifestError: if ids repeat or are missing, a clip is in memory, or a label is not of the set; it names every
            fault.

    Examples:
        >>> from mmemo import Clip
        >>> from mmemo.data import Manifest
        >>> from mmemo.labels import EKMAN7
        >>> clips = [Clip(text="Great!", id="a", label="happiness"), Clip(text="Oh no.", id="b", label="sadness")]
        >>> manifest = Manifest(clips, EKMAN7)
        >>> manifest.counts("label")
        {('happiness',): 1, ('sadness',): 1}
        >>> Manifest.read(manifest.write("clips.jsonl")) == manifest
        True
    """

    clips: tuple[Clip, ...]
    labels: LabelSet

    def __post_init__(self) -> None:
        object.__setattr__(self, "clips", tuple(self.clips))
        counts = Counter(clip.id for clip in self.clips)
        faults = [f"id {name!r} is there {count} times" for name, count in counts.items() if count > 1]
        if "" in counts:
            faults.append("every clip needs an id")
        for clip in self.clips:
            if not all(one is None or isinstance(one, Path) for one in (clip.path, clip.audio)):
                faults.append(f"clip {clip.id!r} is in memory: a manifest names files, so write it to one")
            faults += [f"clip {clip.id!r}: {fault}" for fault in unknown_labels(clip, self.labels)]
        if faults:
            raise ManifestError("The manifest", faults)

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> Manifest: ...
    def __getitem__(self, index: int | slice) -> Clip | Manifest:
        return replace(self, clips=self.clips[index]) if isinstance(index, slice) else self.clips[index]

    def __repr__(self) -> str:
        return f"Manifest({len(self)} clips, labels={self.labels.name})"

    @classmethod
    def read(cls, path: str | Path, labels: LabelSet | None = None, *, check_media: bool = True) -> Manifest:
        """Read a ``.jsonl`` or ``.csv`` manifest. A large file is streamed: only its clips are kept.

        Args:
            labels: the label set; by default that of the file, or the first set of `mmemo.labels` with all its labels.
            check_media: whether every file named must be there.

        Raises:
            ManifestError: with every fault and its line: wrong columns or encoding, values that don't fit, ids that
                repeat, labels that are not of the set, media that are missing.
            ArgumentError: if the suffix is another one.
        """
        return cls(*read_clips(Path(path), labels, check_media=check_media))

    def write(self, path: str | Path) -> Path:
        """Write ``.jsonl`` or ``.csv``; media paths become relative to the file. `read` gives the same clips again.

        Raises:
            ArgumentError: if the suffix is another one, or the file is one of the clips'.
        """
        return write_clips(Path(path), self.clips, self.labels)

    def filter(self, keep: Callable[[Clip], bool]) -> Manifest:
        """The clips for which ``keep`` is true."""
        return replace(self, clips=tuple(clip for clip in self if keep(clip)))

    def part(self, split: str) -> Manifest:
        """The clips of one split.

        Raises:
            ManifestError: if there are none.
        """
        clips = self.filter(lambda clip: clip.split == split)
        if not clips:
            raise ManifestError(self, [expected_one_of("Split", sorted({str(clip.split) for clip in self}), split)])
        return clips

    def update(self, change: Callable[[Clip], Mapping[str, Any]]) -> Manifest:
        """Clips with other values: ``change`` names the attributes of a clip that become different."""
        return replace(self, clips=tuple(replace(clip, **change(clip)) for clip in self))

    def map_labels(self, mapping: LabelMapping) -> Manifest:
        """Labels of another set. Clips whose label has no counterpart are left out, and votes for such labels too.

        Raises:
            LabelError: if a label is not of the mapping's source set.
        """
        mapped = [_mapped(clip, mapping) for clip in self]
        kept = tuple(clip for clip in mapped if clip is not None)
        if len(kept) < len(self):
            log.info("%d of %d clips have no label of %s", len(self) - len(kept), len(self), mapping.target.name)
        return Manifest(kept, mapping.target)

    def concat(self, *others: Manifest) -> Manifest:
        """This manifest's clips and then the others'.

        Raises:
            ManifestError: if label sets differ, or ids repeat.
        """
        foreign = [other.labels.name for other in others if other.labels != self.labels]
        if foreign:
            faults = [f"labels {name}, expected {self.labels.name}; use map_labels first" for name in foreign]
            raise ManifestError("Manifests to be joined", faults)
        return replace(self, clips=self.clips + tuple(clip for other in others for clip in other))

    def split(
        self,
        by: str = "speaker",
        shares: Mapping[str, float] | None = None,
        *,
        stratify: bool = True,
        seed: int = 0,
    ) -> Manifest:
        """Divide into splits that share no speaker (or dialogue, session …); each clip's ``split`` is set.

        Args:
            by: attribute of the clips; all clips of one value stay together.
            shares: of the clips, by split; train .7, val .15 and test .15 by default.
            stratify: whether each split shall also have its share of every label.
            seed: decides between equally good ways.

        Raises:
            ManifestError: if clips have no value of ``by``, or there are fewer values than splits.
        """
        shares = shares or {"train": 0.7, "val": 0.15, "test": 0.15}
        return self._set("split", splitting.assign(self, by, shares, stratify=stratify, seed=seed))

    def folds(self, count: int, by: str = "speaker", *, stratify: bool = True, seed: int = 0) -> Manifest:
        """Divide into ``count`` folds that share no speaker, named "1", "2" …; each clip's ``fold`` is set.

        The arguments, and what is raised, are those of `split`.
        """
        shares = {str(number + 1): 1.0 for number in range(count)}
        return self._set("fold", splitting.assign(self, by, shares, stratify=stratify, seed=seed))

    def leave_one_out(self, by: str = "speaker") -> Manifest:
        """A fold for every speaker, named as the speaker is.

        Raises:
            ManifestError: if clips have no value of ``by``.
        """
        return self._set("fold", splitting.values(self, by))

    def with_folds(self, folds: Mapping[str, Sequence[str]], by: str = "speaker") -> Manifest:
        """Published folds: for each fold's name, the speakers tested in it.

        Raises:
            ManifestError: if a speaker is in no fold, or in two.
        """
        return self._set("fold", splitting.assign_published(self, by, folds))

    def rounds(self) -> Iterator[tuple[str, Manifest, Manifest]]:
        """For each fold: its name, the clips of all others to train on, and its own to test on.

        Raises:
            ManifestError: if clips have no fold.
        """
        names = splitting.values(self, "fold")
        for name in dict.fromkeys(names):
            yield name, self.filter(lambda c, n=name: c.fold != n), self.filter(lambda c, n=name: c.fold == n)  # type: ignore[misc]

    def counts(self, *columns: str) -> dict[tuple[Any, ...], int]:
        """How many clips have each combination of values: ``counts("split", "label")``."""
        return dict(Counter(tuple(getattr(clip, column) for column in columns) for clip in self))

    def audit(self, **options: Any) -> Audit:
        """Check for leaks between the splits; options and details: `mmemo.data.audit`."""
        from mmemo.data.checks.audit import audit  # reads media, which a manifest does not

        return audit(self, **options)

    def _set(self, name: str, values: Sequence[str]) -> Manifest:
        changed = (replace(clip, **{name: value}) for clip, value in zip(self, values, strict=True))  # type: ignore[arg-type]
        return replace(self, clips=tuple(changed))


def _mapped(clip: Clip, mapping: LabelMapping) -> Clip | None:
    label = None if clip.label is None else mapping(clip.label)
    if clip.label is not None and label is None:
        return None
    votes: Counter[str] = Counter()
    for name, share in clip.perceived.items():
        if (target := mapping(name)) is not None:
            votes[target] += share  # type: ignore[assignment]
    total = sum(votes.values())
    return replace(
        clip,
        label=label,
        intended=None if clip.intended is None else mapping(clip.intended),
        labels={m: target for m, name in clip.labels.items() if (target := mapping(name)) is not None},
        perceived={name: share / total for name, share in votes.items()} if total else {},
    )
