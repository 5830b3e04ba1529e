"""EMO-DB, the Berlin database: ten actors say ten German sentences in seven emotions.

Paper: F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier and B. Weiss, "A Database of German Emotional Speech",
Interspeech 2005. Copy: http://emodb.bilderbar.info.

The name ``03a01Fa`` gives speaker, sentence, emotion by its German initial, and version.
"""

from __future__ import annotations

import re
from pathlib import Path

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import Gathering
from mmemo.labels import EMODB7
from mmemo.media import AUDIO

_NAME = re.compile(r"(03|08|09|1[0-6])([ab]\d\d)([WLEAFTN])([a-z]?)")
_LABELS = {  # Wut, Langeweile, Ekel, Angst, Freude, Trauer
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
_MEN = ("03", "10", "11", "12", "15")
_SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


def read(folder: str | Path) -> Reading:
    """Read EMO-DB.

    Raises:
        ManifestError: if nothing of it is there.
    """
    gathering = Gathering(CORPUS, folder)
    for path, match in gathering.matching(_NAME, AUDIO):
        speaker, sentence, emotion, version = match.groups()
        gathering.add(
            id=path.stem,
            path=path,
            text=_SENTENCES.get(sentence),
            label=_LABELS[emotion],
            intended=_LABELS[emotion],
            speaker=f"emodb-{speaker}",
            gender="male" if speaker in _MEN else "female",
            language="de",
            extra={"sentence": sentence, "version": version},
        )
    return gathering.reading()


CORPUS = Corpus(
    name="emodb",
    title="EMO-DB",
    paper="Burkhardt et al., A Database of German Emotional Speech, Interspeech 2005",
    license="none stated: research, to be cited",
    terms="No license is stated; the makers ask that research with it cites the paper. From http://emodb.bilderbar.info",
    layout="wav/03a01Fa.wav …",
    labels=EMODB7,
    read=read,
)
