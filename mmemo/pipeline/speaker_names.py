"""Which person in view a speaker of the transcript is: the one whose mouth moves with the sound during their lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mmemo.evidence import Seconds, TextEvidence
from mmemo.notes import Note
from mmemo.pipeline.active_speaker import Decision
from mmemo.pipeline.windows import Span

CLEAR = 2 / 3
"""Share of the time with a known speaker that must be one person's."""
KNOWN = 1 / 3
"""Share of a name's whole time in which that person must speak: somebody out of view gets none by chance."""
LEAST: Seconds = 2.0
"""Seconds of that, at least; windows overlap, so these are counted twice."""


@dataclass
class SpeakerNames:
    """The time of each named speaker in each window, as far as the transcript tells.

    Attributes:
        seconds: by window and name, None for lines without one.
    """

    seconds: dict[Span, dict[str | None, Seconds]] = field(default_factory=dict)

    def add(self, span: Span, text: TextEvidence | None) -> None:
        """Add the words of one window."""
        if text is None:
            return
        length = span[1] - span[0]
        named: dict[str | None, Seconds] = {
            part.speaker: part.coverage * length for part in (text.by_speaker or (text,))
        }
        rest = text.coverage * length - sum(named.values())
        if text.by_speaker and rest > 0:
            named.setdefault(None, rest)
        self.seconds[span] = named

    def people(self, speakers: Mapping[Span, int]) -> dict[str, int]:
        """The person of each name that is clear, the one who speaks longest first.

        Args:
            speakers: the person who speaks in each window, where the faces tell.
        """
        total = defaultdict[str, float](float)
        votes = defaultdict[str, dict[int, float]](lambda: defaultdict(float))
        for span, named in self.seconds.items():
            for name, seconds in named.items():
                if name is None or not seconds:
                    continue
                weight = seconds * seconds / sum(named.values())  # little where others speak too
                total[name] += weight
                if span in speakers:
                    votes[name][speakers[span]] += weight
        people: dict[str, int] = {}
        for name in sorted(total, key=lambda name: -total[name]):
            person, most = max(votes[name].items(), key=lambda vote: vote[1], default=(0, 0.0))
            if most >= max(LEAST, CLEAR * sum(votes[name].values()), KNOWN * total[name]):
                people[name] = person
        return people

    def alone(self, names: Iterable[str]) -> set[Span]:
        """The windows in which nobody but these speaks, by the transcript."""
        known = set(names)
        return {span for span, named in self.seconds.items() if named and known.issuperset(named)}

    def note(self, people: Mapping[str, int], decision: Decision) -> Note | None:
        """A note on which name is which person, where names and people who speak are both known."""
        names = dict.fromkeys(name for named in self.seconds.values() for name in named if name is not None)
        if not names or not (decision.speakers or decision.unknown):
            return None
        known = [f"{name} is person {person}" for name, person in people.items()]
        unknown = [name for name in names if name not in people]
        message = f"By the faces during the lines of the transcript, {', '.join(known)}." if known else ""
        if unknown:
            message += f" Which person in view {', '.join(unknown)} is, if any, is not clear."
        return Note("speaker-names", message.strip())
