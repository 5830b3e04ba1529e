"""RAVDESS: 24 actors say two sentences in eight emotions, in sound, in picture, and in both.

Paper: S. R. Livingstone and F. A. Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)",
PLoS ONE 13(5), 2018, doi:10.1371/journal.pone.0196391. Copy: https://zenodo.org/records/1188976.

Names are seven numbers: modality (01 both, 02 picture, 03 sound), channel (01 speech, 02 song), emotion, intensity,
statement, repetition, actor. The three modalities of one take have the rest of the name in common: the same voice is
in 01 and 03, the same face in 01 and 02. ``extra["take"]`` is what they share.
"""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import MISSING, Gathering
from mmemo.labels import RAVDESS8
from mmemo.media import AUDIO, VIDEO

_NAME = re.compile(r"(0[123])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")
_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise")
_STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
_MODALITIES = {"01": "audiovisual", "02": "video", "03": "audio"}
TWICE = "takes here in more than one form, the same voice or face twice: use one form, or split by speaker"


def _folds(*actors: tuple[int, ...]) -> dict[str, tuple[str, ...]]:
    return {str(fold): tuple(f"ravdess-{actor:02}" for actor in group) for fold, group in enumerate(actors, 1)}


EMOBOX_FOLDS = _folds((1, 11, 20, 21), (4, 10, 12, 14), (8, 9, 19, 23), (3, 5, 7, 24), (2, 15, 16, 18), (6, 13, 17, 22))
"""Six folds by actor for voice: Ma et al., "EmoBox", Interspeech 2024. For `Manifest.with_folds`."""
LUNA_FOLDS = _folds((2, 5, 14, 15, 16), (3, 6, 7, 13, 18), (10, 11, 12, 19, 20), (8, 17, 21, 23, 24), (1, 4, 9, 22))
"""Five folds by actor for fusion: Luna-Jimenez et al., Applied Sciences 12(1):327, 2022. For `Manifest.with_folds`."""


def read(folder: str | Path) -> Reading:
    """Read RAVDESS, all of it or some parts, in actor folders or flat.

    Raises:
        ManifestError: if nothing of it is there.
    """
    gathering = Gathering(CORPUS, folder)
    forms: dict[str, int] = {}
    for path, match in gathering.matching(_NAME, [*VIDEO, *AUDIO]):
        modality, channel, emotion, intensity, statement, repetition, actor = match.groups()
        take = path.stem.partition("-")[2]
        forms[take] = forms.get(take, 0) + 1
        gathering.add(
            id=path.stem,
            path=path,
            text=_STATEMENTS[statement] if modality != "02" else None,
            label=_EMOTIONS[int(emotion) - 1],
            intended=_EMOTIONS[int(emotion) - 1],
            speaker=f"ravdess-{actor}",
            gender="male" if int(actor) % 2 else "female",
            language="en",
            extra={
                "take": take,
                "modality": _MODALITIES[modality],
                "channel": "speech" if channel == "01" else "song",
                "intensity": "normal" if intensity == "01" else "strong",
                "statement": statement,
                "repetition": repetition,
            },
        )
    for take, count in forms.items():
        if count > 1:
            gathering.caveat(TWICE, take)
    for name in sorted(_expected(gathering) - {clip.id for clip in gathering.clips}):
        gathering.caveat(MISSING, name)
    return gathering.reading()


def _expected(gathering: Gathering) -> set[str]:
    """All takes of every part that is there in part: 60 of speech for an actor, 44 of song (actor 18 has none)."""
    parts = {(*clip.id.split("-")[:2], clip.id.split("-")[-1]) for clip in gathering.clips}
    names = set()
    for modality, channel, actor in parts:
        emotions = range(1, 9) if channel == "01" else range(1, 7)
        for emotion, intensity, statement, repetition in product(emotions, (1, 2), (1, 2), (1, 2)):
            if emotion > 1 or intensity == 1:  # neutral has no strong form
                names.add(f"{modality}-{channel}-{emotion:02}-{intensity:02}-{statement:02}-{repetition:02}-{actor}")
    return names


CORPUS = Corpus(
    name="ravdess",
    title="RAVDESS",
    paper="Livingstone and Russo, The Ryerson Audio-Visual Database of Emotional Speech and Song, PLoS ONE 13(5), 2018",
    license="CC BY-NC-SA 4.0",
    terms="CC BY-NC-SA 4.0: not for commercial use. From https://zenodo.org/records/1188976",
    layout="files named 03-01-06-01-02-01-12.wav (01- and 02- for video), in Actor_01 … Actor_24 or in one folder",
    labels=RAVDESS8,
    read=read,
)
