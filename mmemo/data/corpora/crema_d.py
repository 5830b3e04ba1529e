"""CREMA-D: 91 actors say twelve sentences in six emotions; 2,443 people voted on what they saw, heard, or both.

Paper: H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova and R. Verma, "CREMA-D: Crowd-sourced Emotional
Multimodal Actors Dataset", IEEE Transactions on Affective Computing 5(4), 2014, doi:10.1109/TAFFC.2014.2336244.
Copy: https://github.com/CheyneyComputerScience/CREMA-D (``VideoFlash``, ``AudioWAV``, ``AudioMP3``).

The name ``1001_DFA_ANG_XX`` gives actor, sentence, intended emotion and level. Its ``label`` is what was intended.
``perceived`` are the votes of those who saw and heard the clip, and ``labels`` what most people saw in the face alone
or heard in the voice alone. They come from ``finishedResponses.csv``, or from ``tabulatedVotes.csv``; where there is
only ``summaryTable.csv`` there are majorities and no shares.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import Gathering
from mmemo.data.spreadsheets import read_rows
from mmemo.errors import ArgumentError, ManifestError, expected_one_of
from mmemo.labels import CREMAD6
from mmemo.media import AUDIO, VIDEO

_NAME = re.compile(r"(1\d{3})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX?)")
_LABELS = {"A": "anger", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad"}
_LEVELS = {"LO": "low", "MD": "medium", "HI": "high"}
_SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
_QUERIES = {"1": "voice", "2": "face", "3": "both"}
_SUMMARY = {"VoiceVote": "voice", "FaceVote": "face", "MultiModalVote": "both"}
Votes = dict[str, dict[str, Counter[str]]]
"""Name of the clip, then what people were shown, then how many chose each emotion."""


def read(folder: str | Path, media: str = "video") -> Reading:
    """Read CREMA-D.

    Args:
        media: "video" or "audio", for a take that is there as both. The video has its own sound.

    Raises:
        ManifestError: if nothing of it is there.
        ArgumentError: if ``media`` is another one.
    """
    if media not in ("video", "audio"):
        raise ArgumentError(expected_one_of("media", ("video", "audio"), media))
    gathering = Gathering(CORPUS, folder)
    votes = _votes(gathering)
    people = _people(gathering)
    suffixes = [*VIDEO, *AUDIO] if media == "video" else [*AUDIO, *VIDEO]
    for path, match in gathering.matching(_NAME, suffixes):
        actor, sentence, emotion, level = match.groups()
        shown = votes.get(path.stem, {})
        both = shown.get("both", Counter())
        majorities = {way: _majority(shown[way]) for way in ("face", "voice") if way in shown}
        total = sum(both.values())
        if votes and not shown:
            gathering.caveat("clips that nobody voted on, by the vote table", path.stem)
        age, gender = people.get(actor, ("", ""))
        extra = {"sentence": sentence, "age": age, "level": _LEVELS.get(level, ""), "perceived": _majority(both) or ""}
        gathering.add(
            id=path.stem,
            path=path,
            text=_SENTENCES.get(sentence),
            label=_LABELS[emotion[0]],
            labels={way: label for way, label in majorities.items() if label},
            intended=_LABELS[emotion[0]],
            perceived={label: both[label] / total for label in CREMAD6 if both[label]} if _has_shares(both) else {},
            speaker=f"crema_d-{actor}",
            gender=gender or None,
            language="en",
            extra={name: value for name, value in extra.items() if value},
        )
    return gathering.reading()


_NO_SHARES = "majority only"  # counted beside the one vote that a summary gives


def _has_shares(votes: Counter[str]) -> bool:
    return bool(votes) and _NO_SHARES not in votes


def _majority(votes: Counter[str]) -> str | None:
    """The label that most chose, if that is one."""
    counts = {label: count for label, count in votes.items() if label != _NO_SHARES}
    most = [label for label, count in counts.items() if count == max(counts.values())]
    return most[0] if len(most) == 1 else None


def _table(gathering: Gathering, name: str) -> Path | None:
    """A vote table, at the top, beside the media folder, or in the folders of the repository."""
    root = gathering.folder
    for folder in (root, root / "processedResults", root.parent, root.parent / "processedResults"):
        if (folder / name).is_file():
            return folder / name
    return next(iter(sorted(root.rglob(name))), None)


def _votes(gathering: Gathering) -> Votes:
    for name, reader in (
        ("finishedResponses.csv", _of_responses),
        ("tabulatedVotes.csv", _of_tabulation),
        ("summaryTable.csv", _of_summary),
    ):
        path = _table(gathering, name)
        if path is not None:
            votes: Votes = {}
            try:
                for clip, shown, label, count in reader(path):
                    votes.setdefault(clip, {}).setdefault(shown, Counter())[label] += count
            except ValueError as error:
                raise ManifestError(path, [str(error)]) from None
            return votes
    gathering.caveat("vote tables missing: there are intended labels only", "finishedResponses.csv")
    return {}


def _of_responses(path: Path) -> Iterator[tuple[str, str, str, int]]:
    for row in read_rows(path, ["clipName", "queryType", "ans"]):
        letter = row["ans"].partition("_")[0]  # "A_72": anger, by 72 of 100
        if row["queryType"] in _QUERIES and letter in _LABELS:
            yield row["clipName"], _QUERIES[row["queryType"]], _LABELS[letter], 1


def _of_tabulation(path: Path) -> Iterator[tuple[str, str, str, int]]:
    """Rows are named by the query's type and the clip's number: 305368 is clip 5368, seen and heard."""
    for row in read_rows(path, ["", *_LABELS, "fileName"]):
        if row[""][:1] in _QUERIES:
            for letter, label in _LABELS.items():
                yield row["fileName"], _QUERIES[row[""][0]], label, row.integer(letter)


def _of_summary(path: Path) -> Iterator[tuple[str, str, str, int]]:
    for row in read_rows(path, ["FileName", *_SUMMARY]):
        for column, shown in _SUMMARY.items():
            for letter in row[column].split(":"):  # a tie names several
                if letter not in _LABELS:
                    raise ValueError(f"line {row.line}: {expected_one_of(column, _LABELS, letter)}")
                yield row["FileName"], shown, _LABELS[letter], 1
            yield row["FileName"], shown, _NO_SHARES, 1


def _people(gathering: Gathering) -> dict[str, tuple[str, str]]:
    path = _table(gathering, "VideoDemographics.csv")
    if path is None:
        return {}
    return {row["ActorID"]: (row["Age"], row["Sex"].lower()) for row in read_rows(path, ["ActorID", "Age", "Sex"])}


CORPUS = Corpus(
    name="crema_d",
    title="CREMA-D",
    paper="Cao et al., CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset, IEEE TAFFC 5(4), 2014",
    license="ODbL 1.0",
    terms="Open Database License. From https://github.com/CheyneyComputerScience/CREMA-D",
    layout="files named 1001_DFA_ANG_XX.flv or .wav, as in VideoFlash or AudioWAV; processedResults/*.csv if there",
    labels=CREMAD6,
    read=read,
    options=("media",),
)
