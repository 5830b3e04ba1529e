"""Readers of corpora, one module each, imported when its corpus is first used."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from mmemo.data.corpora.corpus import Caveat, Corpus, Reading
from mmemo.errors import ArgumentError, ManifestError, expected_one_of
from mmemo.reading import reason

CORPORA = (
    "ravdess",
    "crema_d",
    "meld",
    "iemocap",
    "savee",
    "emodb",
    "tess",
    "nemo",
    "ased",
    "turev",
    "mosei",
    "fer2013",
    "ferplus",
    "ck_plus",
    "ck48",
    "raf_db",
    "affectnet",
    "goemotions",
    "dair_emotion",
    "emorynlp",
    "xed",
    "emobank",
    "smp2020",
    "brighter",
    "xed_projections",
    "emoevent",
    "cped",
    "aetd",
    "empathetic_dialogues",
    "megc2019",
    "casme2",
    "samm",
    "smic",
    "classes",
    "table",
)
"""Names of the corpora, each that of its module here."""

__all__ = ["CORPORA", "Caveat", "Corpus", "Reading", "corpus", "read_corpus"]


def corpus(name: str) -> Corpus:
    """The description of a corpus: paper, terms, layout, labels.

    Raises:
        ArgumentError: if there is none of that name.
    """
    if name not in CORPORA:
        raise ArgumentError(expected_one_of("Corpus", CORPORA, name))
    description: Corpus = import_module(f"mmemo.data.corpora.{name}").CORPUS
    return description


def read_corpus(name: str, path: str | Path, **options: Any) -> Reading:
    """Read the user's copy of a corpus into a manifest, with counts and caveats.

    Args:
        name: one of `CORPORA`.
        path: its folder, or for some corpora a file.
        options: what this corpus takes beyond that; see its ``options``.

    Raises:
        ArgumentError: if there is no corpus of that name, or it takes no such option.
        ManifestError: if nothing of it is there, with the layout that was expected, or a file of it can't be read.

    Examples:
        >>> from mmemo.data import read_corpus
        >>> from mmemo.samples import make_corpus
        >>> table = make_corpus("corpus", speakers=1, seconds=0.4)
        >>> reading = read_corpus("table", table, columns={"path": "file", "label": "emotion", "speaker": "actor"})
        >>> reading.counts
        {'happiness': {None: 1}, 'sadness': {None: 1}}
    """
    known = corpus(name)
    for option in options:
        if option not in known.options:
            raise ArgumentError(expected_one_of(f"Option of {name}", known.options, option))
    try:
        return known.read(path, **options)
    except OSError as error:
        raise ManifestError(error.filename or path, [f"it can't be read: {reason(error)}"]) from None
