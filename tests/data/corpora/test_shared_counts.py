"""Exact counts on the shared corpora, against the table of their README."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from mmemo.data import Manifest
from mmemo.data.corpora import Reading, read_corpus
from mmemo.data.corpora.ravdess import EMOBOX_FOLDS, LUNA_FOLDS
from mmemo.labels import EKMAN7, GOEMOTIONS28_TO_EKMAN7

pytestmark = pytest.mark.data


@cache
def read(name: str, folder: Path) -> Reading:
    """Each corpus is read once for all tests: nobody can change a reading."""
    return read_corpus(name, folder)


def by(manifest: Manifest, column: str) -> dict[str | None, int]:
    return {value: count for (value,), count in manifest.counts(column).items()}


@pytest.mark.parametrize(
    ("name", "folder", "clips", "labels", "speakers"),
    [
        ("ravdess", "voice/ravdess", 1439, 8, 24),
        ("nemo", "voice/nemo", 4481, 6, 9),
        ("ased", "voice/ased", 2470, 5, 65),
        ("turev", "voice/turev", 1735, 4, 6),
        ("savee", "voice/savee", 480, 7, 4),
        ("crema_d", "av/crema_d", 6, 6, 1),
        ("ck48", "face/CK+48", 981, 7, 118),
        ("megc2019", "micro/megc2019", 442, 3, 68),
    ],
)
def test_corpora_without_splits(
    shared_data: Path, name: str, folder: str, clips: int, labels: int, speakers: int
) -> None:
    manifest = read(name, shared_data / folder).manifest
    assert len(manifest) == clips
    assert len(by(manifest, "label")) == labels
    assert len(by(manifest, "speaker")) == speakers


@pytest.mark.parametrize(
    ("name", "folder", "splits"),
    [
        ("fer2013", "face/fer2013", {"train": 28709, "val": 3589, "test": 3589}),
        ("goemotions", "text/goemotions/original", {"train": 43410, "val": 5426, "test": 5427}),
        ("goemotions", "text/goemotions/ekman", {"train": 43410, "val": 5426, "test": 5427}),
        ("dair_emotion", "text/dair_emotion", {"train": 16000, "val": 2000, "test": 2000}),
        ("meld", "text/meld", {"train": 9989, "val": 1109, "test": 2610}),
        ("emorynlp", "text", {"train": 7551, "val": 954, "test": 984}),
        ("xed", "text", {"train": 43818, "val": 4287, "test": 4340}),
        ("emobank", "text", {"train": 8062, "val": 1000, "test": 1000}),
        ("smp2020", "text", {"train": 8606, "val": 2000, "test": 3000, "usual_val": 2000, "usual_test": 5000}),
        ("brighter", "text", {"train": 65094, "val": 8505, "test": 27709}),
        ("xed_projections", "text", {None: 159858}),
        ("emoevent", "text", {"train": 10835, "val": 1588, "test": 3074}),
        ("cped", "text", {"val": 11137, "test": 13531}),
        ("aetd", "text", {None: 10065}),
        ("empathetic_dialogues", "text", {"val": 2757, "test": 2538}),
    ],
)
def test_corpora_with_official_splits(shared_data: Path, name: str, folder: str, splits: dict[str | None, int]) -> None:
    reading = read(name, shared_data / folder)
    assert by(reading.manifest, "split") == splits
    assert not [caveat for caveat in reading.caveats if "missing" in caveat.what]


def test_ravdess_tells_the_take_that_is_missing_and_has_both_published_folds(shared_data: Path) -> None:
    reading = read("ravdess", shared_data / "voice" / "ravdess")
    assert [caveat.items for caveat in reading.caveats] == [("03-01-03-01-02-02-07",)]
    emobox = by(reading.manifest.with_folds(EMOBOX_FOLDS), "fold")
    assert emobox == {"1": 240, "2": 240, "3": 240, "4": 239, "5": 240, "6": 240}
    luna = by(reading.manifest.with_folds(LUNA_FOLDS), "fold")
    assert luna == {"1": 300, "2": 299, "3": 300, "4": 300, "5": 240}


def test_ravdess_of_several_modalities_marks_the_same_take(shared_data: Path) -> None:
    """Of actor 1 there is one take with sound and picture, and the same with the picture only."""
    reading = read("ravdess", shared_data / "av" / "ravdess")
    assert [clip.extra["modality"] for clip in reading.manifest] == [
        "audiovisual",
        "audiovisual",
        "audiovisual",
        "video",
    ]
    twice = next(caveat for caveat in reading.caveats if "more than one form" in caveat.what)
    assert twice.items == ("01-01-01-01-01-01",)
    silent = reading.manifest[-1]
    assert silent.text is None
    assert silent.extra["take"] == reading.manifest[0].extra["take"]


def test_voice_readers_agree_with_the_table_of_the_shared_data(shared_data: Path) -> None:
    """An independent table names speaker, gender, language and words of each of the 10,605 files."""
    columns = {"extra.source": "corpus", "extra.raw": "extra"}
    table = read_corpus("table", shared_data / "voice" / "manifest.csv", columns=columns).manifest
    known = {(clip.extra["source"], clip.id): clip for clip in table}
    genders = {"M": "male", "F": "female", None: None}
    compared = 0
    for name in ("ravdess", "nemo", "ased", "turev", "savee"):
        for clip in read(name, shared_data / "voice" / name).manifest:
            other = known[name, clip.id]
            assert clip.path == other.path
            assert clip.speaker.replace(f"{name}-", "rav" if name == "ravdess" else name) == other.speaker
            assert clip.gender == genders[other.gender]
            assert (clip.text, clip.language) == (other.text, other.language)
            compared += 1
    assert compared == len(table) == 10605


def test_ferplus_joins_every_image_of_the_map(shared_data: Path) -> None:
    reading = read("ferplus", shared_data / "face" / "fer2013")
    assert len(reading.manifest) == 35710
    caveats = {caveat.what.split(":")[0]: len(caveat.items) for caveat in reading.caveats}
    assert caveats["images that FER+ has dropped or the map does not name, left out"] == 35887 - 35710
    clip = next(clip for clip in reading.manifest if clip.id == "angry/Training_1426440")
    assert dict(clip.perceived) == {"sadness": 0.1, "anger": 0.3, "disgust": 0.2, "neutral": 0.4}
    assert (clip.label, clip.extra["fer2013"]) == ("neutral", "angry")


def test_our_mapping_of_goemotions_is_that_of_the_corpus(shared_data: Path) -> None:
    fine = read("goemotions", shared_data / "text/goemotions/original").manifest
    grouped = {clip.id: clip for clip in read("goemotions", shared_data / "text/goemotions/ekman").manifest}
    mapped = fine.filter(lambda clip: clip.label is not None).map_labels(GOEMOTIONS28_TO_EKMAN7)
    assert len(mapped) == 36308 + 4548 + 4590
    for clip in mapped:
        assert clip.label == (grouped[clip.id].label or "").replace("joy", "happiness")


def test_the_composite_of_micro_expressions(shared_data: Path) -> None:
    reading = read("megc2019", shared_data / "micro" / "megc2019")
    assert by(reading.manifest, "label") == {"negative": 250, "positive": 109, "surprise": 83}
    assert reading.caveats == ()
    assert all((shared_data / "micro/megc2019" / clip.extra["optical_flow"]).is_file() for clip in reading.manifest)
    assert len(list(reading.manifest.leave_one_out().rounds())) == 68


def test_a_folder_of_classes_is_read_without_knowing_the_corpus(shared_data: Path) -> None:
    reading = read("classes", shared_data / "face" / "CK+48")
    assert by(reading.manifest, "label") == by(read("ck48", shared_data / "face" / "CK+48").manifest, "label")
    assert reading.manifest.labels != EKMAN7
