"""MELD: 13,708 utterances of 1,433 dialogues from the series Friends, with picture, sound and words.

Paper: S. Poria, D. Hazarika, N. Majumder, G. Naik, E. Cambria and R. Mihalcea, "MELD: A Multimodal Multi-Party Dataset
for Emotion Recognition in Conversations", ACL 2019. Copy: https://github.com/declare-lab/MELD.

Reads ``train_sent_emo.csv``, ``dev_sent_emo.csv`` and ``test_sent_emo.csv`` (the official splits; dev becomes
"val"), and the media ``dia0_utt0.mp4`` of each split where they are: in ``train_splits``, ``dev_splits_complete`` and
``output_repeated_splits_test``, or any folder that has the split's name in its own. An utterance without media is a
clip of text. The times in the tables are those of the episode, not of a file, so they are kept in ``extra``.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import MISSING, NAME, Gathering
from mmemo.data.spreadsheets import read_rows
from mmemo.errors import ManifestError
from mmemo.labels import MELD7
from mmemo.media import AUDIO, VIDEO

_COLUMNS = (
    "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season", "Episode", "StartTime",
    "EndTime",
)  # fmt: skip
_SPLITS = {"train": "train", "dev": "val", "test": "test"}
_MEDIA = re.compile(r"(?:final_videos_test)?(dia\d+_utt\d+)")


def read(folder: str | Path) -> Reading:
    """Read MELD.

    Raises:
        ManifestError: if none of its tables is there, or one has other columns.
    """
    gathering = Gathering(CORPUS, folder)
    media = _media(gathering)
    faults: list[str] = []
    for name, split in _SPLITS.items():
        table = next(iter(sorted(gathering.folder.rglob(f"{name}_sent_emo.csv"))), None)
        if table is None:
            gathering.caveat(MISSING, f"{name}_sent_emo.csv")
            continue
        for row in read_rows(table, _COLUMNS):
            try:
                dialogue, turn = row.integer("Dialogue_ID"), row.integer("Utterance_ID")
                season, episode = row.integer("Season"), row.integer("Episode")
                label = row.one_of("Emotion", MELD7)
            except ValueError as error:
                faults.append(f"{table.name} {error}")
                continue
            path = media.get((name, f"dia{dialogue}_utt{turn}"))
            if path is None and any(part == name for part, _ in media):
                gathering.caveat(MISSING, f"{name}: dia{dialogue}_utt{turn}")
            gathering.add(
                id=f"meld-{name}-{dialogue}-{turn}",
                path=path,
                text=row["Utterance"].strip(),
                label=label,
                speaker=f"meld-{row['Speaker'].strip()}",
                dialogue=f"meld-{name}-{dialogue}",
                turn=turn,
                session=f"meld-s{season:02}e{episode:02}",
                language="en",
                split=split,
                extra={
                    "sentiment": row["Sentiment"],
                    "episode_start": row["StartTime"],
                    "episode_end": row["EndTime"],
                },
            )
    if faults:
        raise ManifestError(gathering.folder, faults)
    return gathering.reading()


def _media(gathering: Gathering) -> dict[tuple[str, str], Path]:
    """Files by split and name; the same name is in every split."""
    media: dict[tuple[str, str], Path] = {}
    for path in gathering.files([*VIDEO, *AUDIO]):
        match = _MEDIA.fullmatch(path.stem)
        folders = "/".join(path.relative_to(gathering.folder).parts[:-1])
        split = next((name for name in _SPLITS if name in folders), None)
        if match is None or split is None:
            gathering.caveat(NAME, path)
        else:
            media.setdefault((split, match.group(1)), path)
    return media


CORPUS = Corpus(
    name="meld",
    title="MELD",
    paper="Poria et al., MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations, ACL 2019",
    license="GPL-3.0; lines and pictures of a television series",
    terms="GPL-3.0 by its repository; the series itself is protected: research. From https://github.com/declare-lab/MELD",
    layout="train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv, and train_splits/dia0_utt0.mp4 … where there are "
    "media",
    labels=MELD7,
    read=read,
)
