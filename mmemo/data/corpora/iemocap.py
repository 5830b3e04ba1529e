"""IEMOCAP: ten actors in five sessions of two, twelve hours of scripted and improvised dialogue.

Paper: C. Busso et al., "IEMOCAP: interactive emotional dyadic motion capture database", Language Resources and
Evaluation 42(4), 2008, doi:10.1007/s10579-008-9076-6. Copy: https://sail.usc.edu/iemocap (on request).

Reads of every session ``dialog/EmoEvaluation/Ses01F_impro01.txt`` (times, label, and each annotator's vote),
``dialog/transcriptions/*.txt``, and the media: ``sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav``, or the film
of the dialogue ``dialog/avi/DivX/Ses01F_impro01.avi`` with the times of the turn. The film shows both people side by
side.

The label ``xxx`` (no majority) is no label here; ``perceived`` are the shares of the annotators who watched (not of
the actors themselves), and one who names two emotions gives each half a vote. Valence, activation (as ``arousal``) and
dominance are the means of the annotators, from 1 to 5.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import MISSING, Gathering
from mmemo.data.spreadsheets import read_document
from mmemo.errors import ArgumentError, expected_one_of
from mmemo.labels import IEMOCAP10
from mmemo.media import AUDIO, VIDEO

_TURN = re.compile(
    r"\[(\d+\.?\d*) - (\d+\.?\d*)\]\t(Ses(0[1-5])[FM]_(?:impro|script)\w+_([FM])\w+)\t(\w+)\t\[([\d., ]+)\]"
)
_VOTE = re.compile(r"C-E\d+:\t([^\t]*?);?\t")
_WORDS = re.compile(r"(Ses\S+)\s+\[[\d.]+-[\d.]+\]:\s*(.*)")
_LABELS = {
    "neu": "neutral",
    "hap": "happiness",
    "exc": "excited",
    "sad": "sadness",
    "ang": "anger",
    "fru": "frustration",
    "fea": "fear",
    "sur": "surprise",
    "dis": "disgust",
    "oth": "other",
}


@dataclass
class _Turn:
    start: float
    end: float
    session: str
    person: str
    label: str
    dimensions: tuple[float, float, float]
    votes: Counter[str] = field(default_factory=Counter)


def read(folder: str | Path, media: str = "audio") -> Reading:
    """Read IEMOCAP.

    Args:
        media: "audio" for the sentence's own sound file, "video" for the dialogue's film; the other one where that
            is not there.

    Raises:
        ManifestError: if none of its evaluations is there.
        ArgumentError: if ``media`` is another one.
    """
    if media not in ("video", "audio"):
        raise ArgumentError(expected_one_of("media", ("video", "audio"), media))
    gathering = Gathering(CORPUS, folder)
    files = {path.stem: path for path in gathering.files(AUDIO)}
    films = {path.stem: path for path in gathering.files(VIDEO)}
    words = _words(gathering.folder)
    for evaluation in sorted(gathering.folder.rglob("EmoEvaluation/Ses*.txt")):
        if evaluation.name.startswith(".") or evaluation.parent.name != "EmoEvaluation":
            continue
        turns = sorted(_turns(gathering, evaluation).items(), key=lambda pair: pair[1].start)
        for number, (name, turn) in enumerate(turns):
            film: dict[str, Any] = {"path": films.get(evaluation.stem), "start": turn.start, "end": turn.end}
            sound: dict[str, Any] = {"path": files.get(name)}
            whole: dict[str, Any] = {"path": files.get(evaluation.stem), "start": turn.start, "end": turn.end}
            order = [film, sound, whole] if media == "video" else [sound, whole, film]
            chosen = next((place for place in order if place["path"] is not None), None)
            if chosen is None:
                gathering.caveat(MISSING, f"{name}.wav")
                if name not in words:
                    continue
            total = sum(turn.votes.values())
            gathering.add(
                id=name,
                **(chosen or {}),
                text=words.get(name),
                label=_LABELS.get(turn.label),
                perceived={label: turn.votes[label] / total for label in IEMOCAP10 if turn.votes[label]},
                valence=turn.dimensions[0],
                arousal=turn.dimensions[1],
                dominance=turn.dimensions[2],
                speaker=f"iemocap-{turn.session}{turn.person}",
                gender="female" if turn.person == "F" else "male",
                session=f"iemocap-{turn.session}",
                dialogue=evaluation.stem,
                turn=number,
                language="en",
                extra={"kind": "improvised" if "impro" in name else "scripted", "label": turn.label},
            )
    return gathering.reading()


def _turns(gathering: Gathering, path: Path) -> dict[str, _Turn]:
    turns: dict[str, _Turn] = {}
    current: _Turn | None = None
    for number, line in enumerate(read_document(path).splitlines(), 1):
        if line.startswith("["):
            match = _TURN.match(line)
            current = None
            if match is None:
                gathering.caveat("lines of EmoEvaluation that don't fit", f"{path.name} line {number}")
                continue
            start, end, name, session, person, label, dimensions = match.groups()
            try:
                valence, arousal, dominance = (float(value) for value in dimensions.split(","))
            except ValueError:
                gathering.caveat("lines of EmoEvaluation that don't fit", f"{path.name} line {number}")
                continue
            current = _Turn(float(start), float(end), session, person, label, (valence, arousal, dominance))
            turns[name] = current
        elif current is not None and (vote := _VOTE.match(line)):
            text = vote.group(1).lower().replace("neutral state", "neutral")
            named = [word.strip() for word in text.split(";") if word.strip()]
            for word in named:
                if word in IEMOCAP10.labels:
                    current.votes[word] += 1 / len(named)  # type: ignore[assignment]
                else:
                    gathering.caveat("votes for something else, not counted", f"{path.name} line {number}: {word}")
    return turns


def _words(folder: Path) -> dict[str, str]:
    words = {}
    for path in sorted(folder.rglob("transcriptions/Ses*.txt")):
        for line in read_document(path).splitlines():
            if match := _WORDS.match(line):
                words[match.group(1)] = match.group(2).strip()
    return words


CORPUS = Corpus(
    name="iemocap",
    title="IEMOCAP",
    paper="Busso et al., IEMOCAP: interactive emotional dyadic motion capture database, LRE 42(4), 2008",
    license="USC agreement: research",
    terms="Signed agreement with the University of Southern California: research only. From https://sail.usc.edu/iemocap",
    layout="Session1 … Session5, each with dialog/EmoEvaluation/Ses01F_impro01.txt, dialog/transcriptions and "
    "sentences/wav",
    labels=IEMOCAP10,
    read=read,
    options=("media",),
)
