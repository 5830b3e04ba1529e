"""Corpora of acted speech, on trees of their documented layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmemo.data.corpora import read_corpus
from mmemo.errors import ArgumentError, ManifestError

from .conftest import Tree


def test_ravdess_flat_and_in_folders_speech_and_song(tree: Tree) -> None:
    folder = tree(
        "Actor_02/03-01-06-02-02-01-02.wav",
        "Actor_02/01-01-06-02-02-01-02.mp4",
        "03-02-04-01-01-02-02.wav",
        "Actor_02/readme.wav",
    )
    reading = read_corpus("ravdess", folder)
    film, speech, song = sorted(reading.manifest, key=lambda clip: clip.id)
    assert (speech.label, speech.speaker, speech.gender) == ("fear", "ravdess-02", "female")
    assert speech.extra["intensity"] == "strong"
    assert speech.text == "Dogs are sitting by the door"
    assert song.extra["channel"] == "song"
    assert film.extra["take"] == speech.extra["take"]
    told = {caveat.what: caveat.items for caveat in reading.caveats}
    assert told["files whose names don't fit, left out"] == ("Actor_02/readme.wav",)
    assert len(told["files missing"]) == 59 + 59 + 43  # of speech, of film, of song


def test_a_copy_inside_the_copy_is_told_and_left_out(tree: Tree) -> None:
    """The well-known download has every actor's folder twice."""
    reading = read_corpus(
        "ravdess",
        tree("Actor_01/03-01-01-01-01-01-01.wav", "audio_speech_actors_01-24/Actor_01/03-01-01-01-01-01-01.wav"),
    )
    assert len(reading.manifest) == 1
    assert any("there already" in caveat.what for caveat in reading.caveats)


CREMA = ("VideoFlash/1001_DFA_ANG_XX.flv", "AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_IEO_HAP_HI.wav")
SUMMARY = (
    '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"\n'
    '"1","1001_DFA_ANG_XX","N","71.67","A:F","30.67:51.00","A","57.38"\n'
)
TABULATED = (
    '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"\n'
    '"100001",0,0,0,3,6,0,"1001_DFA_ANG_XX",9,0.6666667,"N"\n'
    '"200001",4,0,4,0,0,0,"1001_DFA_ANG_XX",8,0.5,"A:F"\n'
    '"300001",6,1,0,0,3,0,"1001_DFA_ANG_XX",10,0.6,"A"\n'
)
RESPONSES = (
    '"","localid","pos","ans","ttr","queryType","numTries","clipNum","questNum","subType","clipName","sessionNums",'
    '"respEmo","respLevel","dispEmo","dispVal","dispLevel"\n'
    + "".join(
        f'"{row}","p{row}",1,"{letter}_72",3100,{query},0,1,1,4,"1001_DFA_ANG_XX",1,"{letter}","72","A","X","50"\n'
        for row, (letter, query) in enumerate([("A", 3), ("A", 3), ("D", 3), ("N", 1), ("F", 2)])
    )
)


def test_crema_d_votes_as_tabulated(tree: Tree) -> None:
    folder = tree(*CREMA, tabulatedVotes__csv=TABULATED, summaryTable__csv=SUMMARY)
    reading = read_corpus("crema_d", folder)
    clip, unseen = reading.manifest
    assert clip.path == folder / CREMA[0]
    assert (clip.label, clip.intended, clip.text) == ("anger", "anger", "Don't forget a jacket")
    assert dict(clip.perceived) == {"neutral": 0.3, "anger": 0.6, "disgust": 0.1}
    assert dict(clip.labels) == {"voice": "neutral"}  # in the face two emotions have as many votes
    assert unseen.extra["level"] == "high"
    told = {caveat.what: caveat.items for caveat in reading.caveats}
    assert told["clips that nobody voted on, by the vote table"] == ("1002_IEO_HAP_HI",)


def test_crema_d_responses_of_every_person(tree: Tree) -> None:
    people = '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
    folder = tree(*CREMA, finishedResponses__csv=RESPONSES, VideoDemographics__csv=people)
    clip = read_corpus("crema_d", folder).manifest[0]
    assert dict(clip.perceived) == pytest.approx({"anger": 2 / 3, "disgust": 1 / 3})
    assert dict(clip.labels) == {"voice": "neutral", "face": "fear"}
    assert (clip.gender, clip.extra["age"]) == ("male", "51")


def test_crema_d_summary_has_majorities_and_no_shares(tree: Tree) -> None:
    clip = read_corpus("crema_d", tree(*CREMA, summaryTable__csv=SUMMARY)).manifest[0]
    assert dict(clip.labels) == {"voice": "neutral"}
    assert dict(clip.perceived) == {}
    assert clip.extra["perceived"] == "anger"


def test_crema_d_sound_instead_of_film(tree: Tree) -> None:
    folder = tree(*CREMA)
    assert read_corpus("crema_d", folder, media="audio").manifest[0].path == folder / CREMA[1]
    with pytest.raises(ArgumentError, match=r"expected one of \['video', 'audio'\]"):
        read_corpus("crema_d", folder, media="sound")


def test_savee_as_published_and_as_copied(tree: Tree) -> None:
    manifest = read_corpus("savee", tree("AudioData/DC/sa01.wav", "AudioData/JK/n30.wav", "ALL/KL_su15.wav")).manifest
    assert [(clip.id, clip.label, clip.speaker) for clip in manifest] == [
        ("DC_sa01", "sadness", "savee-DC"),
        ("JK_n30", "neutral", "savee-JK"),
        ("KL_su15", "surprise", "savee-KL"),
    ]


def test_emodb(tree: Tree) -> None:
    manifest = read_corpus("emodb", tree("wav/03a01Fa.wav", "wav/16b10Wb.wav", "wav/08a02La.wav")).manifest
    assert [(clip.label, clip.gender) for clip in manifest] == [
        ("happiness", "male"),
        ("boredom", "female"),
        ("anger", "female"),
    ]
    assert manifest[0].text == "Der Lappen liegt auf dem Eisschrank."


def test_tess(tree: Tree) -> None:
    reading = read_corpus("tess", tree("OAF_angry/OAF_back_angry.wav", "YAF_pleasant_surprised/YAF_dog_ps.wav"))
    old, young = reading.manifest
    assert (old.text, old.speaker, old.extra["age"]) == ("Say the word back", "tess-OAF", "64")
    assert young.label == "pleasant surprise"


def test_nemo_with_its_own_table(tree: Tree) -> None:
    table = (
        "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
        'SK1_anger_7.wav\tanger\tCo za "dzień"!\tco za dzień\tSK1\tmale\t31\n'
    )
    (clip,) = read_corpus("nemo", tree("samples/SK1_anger_7.wav", data__tsv=table)).manifest
    assert (clip.text, clip.gender, clip.extra["age"]) == ('Co za "dzień"!', "male", "31")


EVALUATION = (
    "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
    "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
    "C-E2:\tNeutral;\t()\nC-E3:\tNeutral;\t()\nC-E4:\tNeutral;\t()\nC-F1:\tNeutral;\t(curious)\n"
    "A-E3:\tval 3; act 2; dom  2;\t()\nA-E4:\tval 2; act 3; dom  3;\t(mildly aggravated)\n\n"
    "[10.0100 - 11.3925]\tSes01F_impro01_M001\txxx\t[2.0000, 3.0000, 3.5000]\n"
    "C-E2:\tAnger; Frustration;\t()\nC-E3:\tSadness;\t()\n\n"
)
WORDS = (
    "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\n"
    "Ses01F_impro01_M001 [010.0100-011.3925]: Do you have your forms?\nM: Yeah.\n"
)


def iemocap(tree: Tree, *media: str) -> Path:
    folder = tree("Session1/dialog/EmoEvaluation/Categorical/e2.txt", "Session1/dialog/transcriptions/x", *media)
    (folder / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt").write_text(EVALUATION)
    (folder / "Session1/dialog/transcriptions/Ses01F_impro01.txt").write_text(WORDS)
    return folder


def test_iemocap_with_sentences(tree: Tree) -> None:
    sentences = [f"Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_{turn}.wav" for turn in ("F000", "M001")]
    folder = iemocap(tree, *sentences)
    first, second = read_corpus("iemocap", folder).manifest
    assert first.path == folder / sentences[0]
    assert (first.start, first.end, first.text) == (0.0, None, "Excuse me.")
    assert (first.speaker, first.session, first.dialogue, first.turn) == (
        "iemocap-01F",
        "iemocap-01",
        "Ses01F_impro01",
        0,
    )
    assert (first.label, first.valence, dict(first.perceived)) == ("neutral", 2.5, {"neutral": 1.0})
    assert (second.label, second.arousal, second.dominance) == (None, 3.0, 3.5)
    assert dict(second.perceived) == {"sadness": 0.5, "anger": 0.25, "frustration": 0.25}


def test_iemocap_with_the_film_of_the_dialogue(tree: Tree) -> None:
    film = "Session1/dialog/avi/DivX/Ses01F_impro01.avi"
    folder = iemocap(tree, film, "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav")
    first, second = read_corpus("iemocap", folder, media="video").manifest
    assert (first.path, first.start, first.end) == (folder / film, 6.2901, 8.2357)
    assert second.path == folder / film
    first, second = read_corpus("iemocap", folder).manifest
    assert first.end is None
    assert (second.path, second.end) == (folder / film, 11.3925)  # it has no sentence of its own here


def test_iemocap_without_media_is_text(tree: Tree) -> None:
    reading = read_corpus("iemocap", iemocap(tree))
    assert [(clip.path, clip.text) for clip in reading.manifest] == [
        (None, "Excuse me."),
        (None, "Do you have your forms?"),
    ]
    assert any(caveat.what == "files missing" for caveat in reading.caveats)


MELD = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
    '1,"Oh my God, it is lost…",Phoebe,sadness,negative,0,0,4,7,"00:20:57,256","00:21:00,049"\n'
    '2,What?,Monica,surprise,negative,0,1,4,7,"00:21:01,927","00:21:03,261"\n'
)


def test_meld_with_media_of_two_splits_of_the_same_name(tree: Tree) -> None:
    folder = tree(
        "train_splits/dia0_utt0.mp4",
        "output_repeated_splits_test/dia0_utt0.mp4",
        "output_repeated_splits_test/dia0_utt1.mp4",
        "output_repeated_splits_test/._dia0_utt0.mp4",
        train_sent_emo__csv=MELD,
        test_sent_emo__csv=MELD,
    )
    reading = read_corpus("meld", folder)
    assert [(clip.id, clip.split, clip.path and clip.path.parent.name) for clip in reading.manifest] == [
        ("meld-train-0-0", "train", "train_splits"),
        ("meld-train-0-1", "train", None),
        ("meld-test-0-0", "test", "output_repeated_splits_test"),
        ("meld-test-0-1", "test", "output_repeated_splits_test"),
    ]
    assert reading.manifest[1].text == "What?"
    told = {caveat.what: caveat.items for caveat in reading.caveats}
    assert told["files missing"] == ("train: dia0_utt1", "dev_sent_emo.csv")
    assert told["hidden files, left out"] == ("output_repeated_splits_test/._dia0_utt0.mp4",)


def test_meld_with_other_columns_says_which(tree: Tree) -> None:
    with pytest.raises(ManifestError, match=r"expected one of .*got 'Utterance'"):
        read_corpus("meld", tree(train_sent_emo__csv="text,label\na,b\n"))


def mosei_labels(folder: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "CMU_MOSEI_Labels.csd", "w") as file:
        video = file.create_group("All Labels/data/-3g5yACwYnA")
        video["intervals"] = np.array([[0.0, 13.6506], [13.6506, 29.6507]])
        video["features"] = np.array([[1.0, 2 / 3, 0.0, 0, 0, 0, 0], [-2.0, 0, 1, 1, 0, 0, 0]], np.float32)


def test_mosei_segmented_and_full(tree: Tree) -> None:
    folder = tree("Raw/Videos/Segmented/Combined/-3g5yACwYnA_0.mp4", "Raw/Videos/Full/Combined/-3g5yACwYnA.mp4")
    mosei_labels(folder)
    first, second = read_corpus("mosei", folder).manifest
    assert (first.label, first.valence, first.end) == ("happiness", 1.0, None)
    assert first.extra["happiness"] == "0.666667"
    assert (second.label, second.start, second.dialogue) == (None, 13.6506, "mosei--3g5yACwYnA")
    assert second.extra["anger"] == second.extra["sadness"] == "1"


def test_mosei_with_another_file_of_that_format(tree: Tree) -> None:
    folder = tree("a_0.mp4", CMU_MOSEI_Labels__csd="no HDF5")
    with pytest.raises(ManifestError, match="not the labels of CMU-MOSEI"):
        read_corpus("mosei", folder)
