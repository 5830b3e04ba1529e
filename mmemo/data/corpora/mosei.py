"""CMU-MOSEI: 23,453 sentences of people who speak to a camera, with sentiment and six emotions' intensities.

Paper: A. Zadeh, P. P. Liang, S. Poria, E. Cambria and L.-P. Morency, "Multimodal Language Analysis in the Wild:
CMU-MOSEI Dataset and Interpretable Dynamic Fusion Graph", ACL 2018, doi:10.18653/v1/P18-1208.
Copy: http://multicomp.cs.cmu.edu/resources/cmu-mosei-dataset.

Reads ``CMU_MOSEI_Labels.csd``, the labels of CMU's SDK (an HDF5 file; needs the extra ``interchange``): times,
sentiment from -3 to 3 (as ``valence``), and the intensities from 0 to 3 of happiness, sadness, anger, surprise, disgust
and fear, which are in ``extra``. ``label`` is the strongest emotion, where one is stronger than all others; the corpus
itself counts every emotion above 0 as present. For MMSA's ``label.csv``, which has the sentiment alone, see
`mmemo.data.interchange.mmsa`.

Media are ``<video>_<number>.mp4`` or ``.wav`` (segmented), or ``<video>.mp4`` (full) with the times; without media
there is no clip. The official splits are lists inside the SDK: join them as a table, or split by ``dialogue``, the
video.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmemo.data.corpora.corpus import Corpus, Reading
from mmemo.data.corpora.gathering import MISSING, Gathering
from mmemo.errors import ManifestError, MissingExtraError
from mmemo.labels import MOSEI6
from mmemo.media import AUDIO, VIDEO

_EMOTIONS = ("happiness", "sadness", "anger", "surprise", "disgust", "fear")  # after the sentiment, in this order


def read(folder: str | Path) -> Reading:
    """Read CMU-MOSEI.

    Raises:
        ManifestError: if its labels are not there, or no media.
        MissingExtraError: if the package that reads HDF5 is not installed.
    """
    gathering = Gathering(CORPUS, folder)
    media: dict[str, Path] = {}
    for path in gathering.files(AUDIO):
        media[path.stem] = path
    for path in gathering.files(VIDEO):
        media[path.stem] = path  # a film has its own sound
    labels = next(iter(sorted(gathering.folder.rglob("*Labels.csd"))), None)
    if labels is None:
        raise ManifestError(gathering.folder, [f"expected {CORPUS.layout}"])
    for video, number, span, values in _labels(labels):
        name = f"{video}_{number}"
        start, end = (float(time) for time in span)
        place = {"path": media.get(name)} if name in media else {"path": media.get(video), "start": start, "end": end}
        if place["path"] is None:
            gathering.caveat(MISSING, f"{name}.mp4")
            continue
        intensities = dict(zip(_EMOTIONS, (float(value) for value in values[1:]), strict=True))
        strongest = [name for name, value in intensities.items() if value == max(intensities.values()) > 0]
        gathering.add(
            id=name,
            **place,
            label=strongest[0] if len(strongest) == 1 else None,
            valence=float(values[0]),
            dialogue=f"mosei-{video}",
            turn=number,
            language="en",
            extra={name: f"{value:g}" for name, value in intensities.items()},
        )
    return gathering.reading()


def _labels(path: Path) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """Video, number of the segment, its span in seconds, and sentiment with six intensities."""
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("Reading CMU-MOSEI's labels", "interchange") from None
    try:
        with h5py.File(path, "r") as file:
            root = file["All Labels"]["data"]
            for video in root:
                spans, features = np.asarray(root[video]["intervals"]), np.asarray(root[video]["features"])
                if spans.shape != (len(features), 2) or features.shape != (len(spans), 1 + len(_EMOTIONS)):
                    raise ValueError(f"{video} has intervals {spans.shape} and features {features.shape}")
                for number, (span, values) in enumerate(zip(spans, features, strict=True)):
                    yield video, number, span, values
    except (AttributeError, OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise ManifestError(path, [f"not the labels of CMU-MOSEI ('All Labels'): {error}"]) from None


CORPUS = Corpus(
    name="mosei",
    title="CMU-MOSEI",
    paper="Zadeh et al., Multimodal Language Analysis in the Wild: CMU-MOSEI Dataset, ACL 2018",
    license="CMU's terms: research; the videos are their makers'",
    terms="Research; the videos are from YouTube. From http://multicomp.cs.cmu.edu/resources/cmu-mosei-dataset",
    layout="CMU_MOSEI_Labels.csd, and Raw/Videos/Segmented/Combined/<video>_<number>.mp4 or Full/Combined/<video>.mp4",
    labels=MOSEI6,
    read=read,
)
