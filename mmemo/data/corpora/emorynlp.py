"""EmoryNLP: 12,606 utterances of 897 scenes from the series Friends, with the seven primary emotions of Willcox.

Paper: S. Zahiri and J. D. Choi, "Emotion Detection on TV Show Transcripts with Sequence-based Convolutional Neural
Networks", AAAI Workshops 2018. Copy: https://github.com/emorynlp/emotion-detection.

Reads the original ``emotion-detection-trn.json``, ``-dev.json`` and ``-tst.json``, and a table ``emorynlp.tsv`` of
9,489 of them (columns split, label, id, text) whose ids carry season, episode, scene, utterance, speaker and times:
``train_ds1e2_1_u1|['Monica Geller']|00:00:02.877|00:00:07.548``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import MISSING, Gathering
from mmemo.data.spreadsheets import read_document, read_rows
from mmemo.errors import ManifestError
from mmemo.labels import EMORYNLP7
from mmemo.reading import parse_json

_FILES = {"train": "trn", "val": "dev", "test": "tst"}
_SPLITS = {"train": "train", "dev": "val", "test": "test"}
_ID = re.compile(r"(?:train|dev|test)_ds(\d+)e(\d+)_(\d+)_u(\d+)\|\[(.*)\]\|([\d:.]+)\|([\d:.]+)")
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")


def read(folder: str | Path) -> Reading:
    """Read EmoryNLP.

    Raises:
        ManifestError: if nothing of it is there, or a file has another structure.
    """
    gathering = Gathering(CORPUS, folder)
    table = gathering.folder if gathering.folder.is_file() else gathering.folder / "emorynlp.tsv"
    files = {split: [*gathering.folder.rglob(f"emotion-detection-{part}.json")] for split, part in _FILES.items()}
    if any(files.values()):
        for split, paths in files.items():
            if not paths:
                gathering.caveat(MISSING, f"emotion-detection-{_FILES[split]}.json")
            for path in paths[:1]:
                _from_json(gathering, path, split)
    elif table.is_file():
        _from_table(gathering, table)
    return gathering.reading()


def _from_json(gathering: Gathering, path: Path, split: str) -> None:
    try:
        for episode in parse_json(read_document(path))["episodes"]:
            for scene in episode["scenes"]:
                for turn, utterance in enumerate(scene["utterances"]):
                    _add(gathering, scene["scene_id"], turn, split, utterance)
    except (AttributeError, ValueError, LookupError, TypeError) as error:
        raise ManifestError(path, [f"not JSON of EmoryNLP (episodes, scenes, utterances): {error!r}"]) from None


def _add(gathering: Gathering, scene: str, turn: int, split: str, utterance: dict[str, Any]) -> None:
    label = utterance["emotion"].lower()
    if label not in EMORYNLP7.labels:
        gathering.caveat("utterances of another emotion, left out", f"{utterance['utterance_id']}: {label}")
        return
    speakers = _names(utterance["speakers"])
    gathering.add(
        id=f"emorynlp-{utterance['utterance_id']}",
        text=utterance["transcript"],
        label=label,
        speaker=f"emorynlp-{speakers}" if speakers else None,
        session=f"emorynlp-{scene.rpartition('_')[0]}",
        dialogue=f"emorynlp-{scene}",
        turn=turn,
        language="en",
        split=split,
    )


def _names(speakers: Iterable[str]) -> str:
    """One name; #ALL# and #OTHER# are nobody in particular."""
    return " and ".join(name for name in speakers if not name.startswith("#"))


def _from_table(gathering: Gathering, path: Path) -> None:
    faults = []
    for row in read_rows(path, ["split", "label", "id", "text"], delimiter="\t", quoted=False):
        match = _ID.fullmatch(row["id"])
        if match is None or row["split"] not in _SPLITS or row["label"] not in EMORYNLP7.labels:
            faults.append(f"line {row.line}: its split, label or id does not fit: {row['id']}")
            continue
        season, episode, scene, turn, people, start, end = match.groups()
        speakers = _names(single or double for single, double in _QUOTED.findall(people))
        place = f"s{int(season):02}_e{int(episode):02}"
        gathering.add(
            id=f"emorynlp-{row['split']}-{place}_c{int(scene):02}_u{int(turn):03}",
            text=row["text"],
            label=row["label"],
            speaker=f"emorynlp-{speakers}" if speakers else None,
            session=f"emorynlp-{place}",
            dialogue=f"emorynlp-{place}_c{int(scene):02}",
            turn=int(turn),
            language="en",
            split=_SPLITS[row["split"]],
            extra={"episode_start": start, "episode_end": end},
        )
    if faults:
        raise ManifestError(path, faults)


CORPUS = Corpus(
    name="emorynlp",
    title="EmoryNLP",
    paper="Zahiri and Choi, Emotion Detection on TV Show Transcripts with Sequence-based CNNs, AAAI Workshops 2018",
    license="Apache-2.0; lines of a television series",
    terms="Apache-2.0 by its repository; the series itself is protected. From https://github.com/emorynlp/emotion-detection",
    layout="emotion-detection-trn.json, -dev.json, -tst.json, or emorynlp.tsv (split, label, id, text)",
    labels=EMORYNLP7,
    read=read,
)
