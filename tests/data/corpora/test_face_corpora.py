"""Corpora of faces, on trees of their documented layout."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmemo.data.corpora import read_corpus
from mmemo.errors import ArgumentError, ManifestError

from .conftest import Tree
from .sheets import write_xlsx


def fer2013_csv(rows: int = 4) -> tuple[str, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    faces = [rng.integers(0, 256, (48, 48), np.uint8) for _ in range(rows)]
    usages = ["Training", "Training", "PublicTest", "PrivateTest"]
    lines = [f"{6 - row},{' '.join(map(str, face.ravel()))},{usages[row]}" for row, face in enumerate(faces)]
    return "emotion,pixels,Usage\n" + "\n".join(lines) + "\n", faces


def test_fer2013_pixels_become_files(tree: Tree, tmp_path: Path) -> None:
    text, faces = fer2013_csv()
    folder = tree(fer2013__csv=text)
    manifest = read_corpus("fer2013", folder, pixels=tmp_path / "png").manifest
    assert [(clip.label, clip.split) for clip in manifest] == [
        ("neutral", "train"),
        ("surprise", "train"),
        ("sad", "val"),
        ("happy", "test"),
    ]
    for clip, face in zip(manifest, faces, strict=True):
        assert np.array_equal(cv2.imread(str(clip.path), cv2.IMREAD_GRAYSCALE), face)
    written = manifest[0].path.stat().st_mtime_ns
    again = read_corpus("fer2013", folder / "fer2013.csv", pixels=tmp_path / "png").manifest
    assert again == manifest
    assert manifest[0].path.stat().st_mtime_ns == written  # not written twice


def test_fer2013_pixels_need_a_folder_and_a_whole_table(tree: Tree, tmp_path: Path) -> None:
    text, _ = fer2013_csv()
    with pytest.raises(ArgumentError, match="--pixels FOLDER"):
        read_corpus("fer2013", tree(fer2013__csv=text))
    broken = text + "9,1 2 3,Training\n1,x,Training\n"
    with pytest.raises(ManifestError) as told:
        read_corpus("fer2013", tree(fer2013__csv=broken), pixels=tmp_path / "png")
    assert [fault.split(":")[0] for fault in told.value.faults] == ["line 6", "line 7"]


VOTES = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0\n"
    "Training,,0,0,0,0,0,0,0,0,0,10\n"
    "PublicTest,fer0000002.png,0,4,4,0,0,0,0,0,2,0\n"
    "PrivateTest,fer0000003.png,1,2,0,0,0,0,0,0,7,0\n"
)


def test_ferplus_by_the_order_of_the_original_table(tree: Tree, tmp_path: Path) -> None:
    folder = tree(fer2013__csv=fer2013_csv()[0], fer2013new__csv=VOTES)
    manifest = read_corpus("ferplus", folder, pixels=tmp_path / "png").manifest
    assert [clip.path.stem for clip in manifest] == ["fer0000000", "fer0000002", "fer0000003"]
    assert [clip.label for clip in manifest] == ["neutral", None, None]  # a tie, and mostly unknown
    assert dict(manifest[1].perceived) == {"happiness": 0.5, "surprise": 0.5}
    assert manifest[2].extra["unknown"] == "7"


def test_ferplus_of_folders_needs_the_map(tree: Tree) -> None:
    folder = tree("train/angry/Training_1.jpg", fer2013new__csv=VOTES)
    with pytest.raises(ManifestError, match=r"need fer_map\.csv"):
        read_corpus("ferplus", folder)
    (folder / "fer_map.csv").write_text(
        "png,usage,fer_label,jpg\nfer0000000.png,Training,angry,train/angry/Training_1.jpg\n"
    )
    assert read_corpus("ferplus", folder).manifest[0].label == "neutral"


def test_ck_plus_takes_the_peak_of_labelled_sequences(tree: Tree) -> None:
    frames = [f"cohn-kanade-images/S005/001/S005_001_{number:08}.png" for number in (1, 2, 11)]
    folder = tree(*frames, "cohn-kanade-images/S010/001/S010_001_00000014.png")
    emotion = folder / "Emotion/S005/001/S005_001_00000011_emotion.txt"
    emotion.parent.mkdir(parents=True)
    emotion.write_text("   3.0000000e+00\n")
    reading = read_corpus("ck_plus", folder)
    (clip,) = reading.manifest
    assert (clip.path, clip.label, clip.speaker) == (folder / frames[2], "disgust", "ck-S005")
    assert clip.extra["onset_frame"] == "S005_001_00000001.png"
    assert [str(caveat) for caveat in reading.caveats] == ["sequences without a label, left out (1): S010_001"]


def test_raf_db_as_published(tree: Tree) -> None:
    folder = tree(
        "basic/Image/aligned/train_00001_aligned.jpg",
        "basic/Image/original/train_00001.jpg",
        "basic/Image/aligned/test_0001_aligned.jpg",
    )
    (folder / "basic/EmoLabel").mkdir()
    (folder / "basic/EmoLabel/list_patition_label.txt").write_text(
        "train_00001.jpg 5\ntest_0002.jpg 9\ntest_00003.jpg 1\n"
    )
    (folder / "basic/Annotation/manual").mkdir(parents=True)
    attributes = "1.0\t2.0\n" * 5 + "1\n0\n2\n"
    (folder / "basic/Annotation/manual/train_00001_manu_attri.txt").write_text(attributes)
    reading = read_corpus("raf_db", folder)
    (clip,) = reading.manifest
    assert (clip.id, clip.label, clip.split, clip.gender) == ("train_00001", "sadness", "train", "female")
    assert clip.extra["age"] == "20-39"
    assert clip.path.name == "train_00001_aligned.jpg"
    told = {caveat.what: caveat.items for caveat in reading.caveats}
    assert told["files missing"] == ("test_00003.jpg",)
    assert told["lines of list_patition_label.txt that don't fit"] == ("line 2: test_0002.jpg 9",)


def test_raf_db_in_class_folders(tree: Tree) -> None:
    manifest = read_corpus("raf_db", tree("train/7/train_00002_aligned.jpg", "test/1/test_00001_aligned.jpg")).manifest
    assert {(clip.label, clip.split) for clip in manifest} == {("neutral", "train"), ("surprise", "test")}


def test_affectnet_lists(tree: Tree) -> None:
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
    folder = tree(
        "Manually_Annotated_Images/689/737db2483489148d783ef278f43f486c0a97e140fc4b6b61b84363ca.jpg",
        "Manually_Annotated_Images/1/none.jpg",
        training__csv=header
        + "689/737db2483489148d783ef278f43f486c0a97e140fc4b6b61b84363ca.jpg,134,134,899,899,181.6;530.9,1,0.7857,-0.0555\n"
        + "1/none.jpg,1,1,2,2,1;2,10,-2,-2\n",
        validation__csv=header + "2/gone.jpg,1,1,2,2,1;2,0,0,0\n",
    )
    reading = read_corpus("affectnet", folder)
    (clip,) = reading.manifest
    assert (clip.label, clip.valence, clip.arousal, clip.split) == ("happiness", 0.7857, -0.0555, "train")
    assert [len(caveat.items) for caveat in reading.caveats] == [1, 1]


def test_affectnet_lists_with_other_values(tree: Tree) -> None:
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
    with pytest.raises(ManifestError) as told:
        read_corpus(
            "affectnet", tree(training__csv=header + "1/a.jpg,1,1,2,2,1;2,happy,0,0\n1/b.jpg,1,1,2,2,1;2,0,,0\n")
        )
    assert len(told.value.faults) == 2


def test_affectnet_with_an_array_beside_each_image(tree: Tree) -> None:
    folder = tree("train_set/images/0.jpg", "val_set/images/0.jpg")
    for part, number in (("train_set", "3"), ("val_set", "7")):
        (folder / part / "annotations").mkdir()
        np.save(folder / part / "annotations/0_exp.npy", np.array(number))
        np.save(folder / part / "annotations/0_val.npy", np.array("-0.25"))
        np.save(folder / part / "annotations/0_aro.npy", np.array("0.5"))
    train, val = read_corpus("affectnet", folder).manifest
    assert (train.id, train.label, train.valence, train.arousal) == ("affectnet-train-0", "surprise", -0.25, 0.5)
    assert (val.label, val.split) == ("contempt", "val")
    for content in (
        b"",
        b"junk",
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999,), }",
    ):
        (folder / "train_set/annotations/0_val.npy").write_bytes(content)
        with pytest.raises(ManifestError, match=r"0_val\.npy has a fault:\n  expected one number"):
            read_corpus("affectnet", folder)


def test_affectnet_in_class_folders(tree: Tree) -> None:
    manifest = read_corpus("affectnet", tree("train/4/a.jpg", "val/Happy/b.png", "val/9/c.png")).manifest
    assert [(clip.label, clip.split) for clip in manifest] == [("fear", "train"), ("happiness", "val")]


SHEET = "Subject,Filename,,OnsetFrame,ApexFrame,OffsetFrame,,Action Units,Estimated Emotion\n"


def test_casme2_of_pictures_and_of_films(tree: Tree) -> None:
    table = (
        SHEET
        + "1,EP02_01f,,46,59,86,,12,happiness\n1,EP03_02,,131,/,161,,4+L10,others\n2,EP01_11f,,46,96,166,,4,fear\n"
    )
    folder = tree(
        *[f"CASME2-RAW/sub01/EP02_01f/img{number}.jpg" for number in (46, 59, 86)],
        "CASME2_compressed/sub01/EP03_02.avi",
        coding__csv=table,
    )
    reading = read_corpus("casme2", folder)
    still, film = reading.manifest
    assert (still.path.name, still.label, still.speaker, still.onset) == (
        "img59.jpg",
        "happiness",
        "casme2-sub01",
        None,
    )
    assert still.extra["action_units"] == "12"
    assert (film.onset, film.apex, film.offset) == (0.65, 0.725, 0.8)  # the middle, as there is no apex
    told = {caveat.what: caveat.items for caveat in reading.caveats}
    assert told["files missing"] == ("sub02/EP01_11f, frame 96",)
    assert told["rows whose apex is missing or outside: the middle is used"] == ("line 3: sub01_EP03_02",)


def test_samm_with_text_above_its_header(tree: Tree) -> None:
    folder = tree("006/006_1_2/006_05562.jpg", "006/006_1_2/006_05580.jpg")
    write_xlsx(
        folder / "SAMM_Micro_FACS_Codes_v2.xlsx",
        [
            ["SAMM micro-movements"],
            [],
            ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration", "Micro",
             "Action Units", "Estimated Emotion", "Objective Classes", "Notes"],
            ["006", "006_1_2", 1, 5562, 5580, 5588, 27, "Micro - 1/2", "AU12B", "Happiness", 1, ""],
        ],
    )  # fmt: skip
    (clip,) = read_corpus("samm", folder).manifest
    assert (clip.path.name, clip.label, clip.speaker) == ("006_05580.jpg", "happiness", "samm-006")
    assert clip.extra["offset_frame"] == "5588"


def test_a_folder_without_coding_sheet(tree: Tree) -> None:
    with pytest.raises(ManifestError, match=r"no coding sheet is here; expected CASME2-coding-20140508\.xlsx"):
        read_corpus("casme2", tree("sub01/EP02_01f/img46.jpg", other__csv="a,b\n1,2\n"))


def test_smic(tree: Tree) -> None:
    place = "SMIC_all_cropped/HS/s01/micro/negative/s01_ne_01"
    folder = tree(*[f"{place}/image{number}.bmp" for number in (99, 100, 101)], "SMIC_all_cropped/HS/s01/extra.bmp")
    reading = read_corpus("smic", folder)
    (clip,) = reading.manifest
    assert (clip.id, clip.path.name, clip.label, clip.speaker) == (
        "HS-s01_ne_01",
        "image100.bmp",
        "negative",
        "smic-s01",
    )
    assert len(reading.caveats) == 1
