from __future__ import annotations

from pathlib import Path

import pytest

from mmemo import Clip
from mmemo.data import Manifest
from mmemo.errors import ArgumentError, LabelError, ManifestError
from mmemo.labels import DAIR6, DAIR6_TO_EKMAN7, EKMAN7, LabelSet

LABELS = LabelSet("two", ("anger", "neutral"))


def clips(count: int = 60, speakers: int = 12) -> tuple[Clip, ...]:
    return tuple(
        Clip(text=f"line {i}", id=f"c{i}", speaker=f"s{i % speakers}", label=LABELS[i // speakers % 2])
        for i in range(count)
    )


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_everything_known_of_a_clip_survives_a_file(tmp_path: Path, suffix: str) -> None:
    media = tmp_path / "media"
    media.mkdir()
    for name in ("a film.mp4", "ü.wav", "words.srt"):
        (media / name).touch()
    full = Clip(
        media / "a film.mp4",
        start=1.25,
        end=2.0000000001,
        subtitles=media / "words.srt",
        audio=media / "ü.wav",
        id="one",
        corpus="mine",
        label="happiness",
        labels={"face": "happiness", "voice": "neutral"},
        intended="surprise",
        perceived={"happiness": 0.7, "neutral": 0.2, "anger": 0.1},
        valence=-1e-7,
        arousal=3.1,
        dominance=0.0,
        onset=1.3,
        apex=1.5,
        offset=1.9,
        speaker="007",
        gender="F",
        session="1",
        dialogue="d,1",
        turn=0,
        language="en",
        license="CC BY 4.0",
        split="train",
        fold="2",
        sha256="ab" * 32,
        extra={"take": "1.0", "note": 'says "hm",\n then leaves'},
    )
    text = Clip(text="Zażółć, 'gęślą'; \"jaźń\"\nline two", id="two", split="test")
    manifest = Manifest((full, text), EKMAN7)
    again = Manifest.read(manifest.write(tmp_path / f"m{suffix}"))
    assert again == manifest
    other = tmp_path / f"other{'.csv' if suffix == '.jsonl' else '.jsonl'}"
    assert Manifest.read(again.write(other)) == manifest


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_paths_are_relative_to_the_manifest(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "x.wav").touch()
    file = Manifest((Clip(tmp_path / "here" / "x.wav", id="x"),), LABELS).write(tmp_path / f"m{suffix}")
    assert str(tmp_path) not in file.read_text()
    tmp_path.joinpath("moved").mkdir()
    (tmp_path / "here").rename(tmp_path / "moved" / "here")
    moved = file.rename(tmp_path / "moved" / file.name)
    assert Manifest.read(moved)[0].path == tmp_path / "moved" / "here" / "x.wav"


def test_a_label_set_of_ones_own_keeps_its_order(tmp_path: Path) -> None:
    mine = LabelSet("mine", ("zeal", "awe", "ennui"))
    for name in ("m.csv", "m.jsonl"):
        assert (
            Manifest.read(Manifest((Clip(text="x", id="x", label="awe"),), mine).write(tmp_path / name)).labels == mine
        )


def test_a_manifest_is_checked_as_a_whole() -> None:
    wrong = (*clips(2), Clip(text="x", id="c1", label="joy"), Clip(text="x"))
    with pytest.raises(ManifestError) as caught:
        Manifest(wrong, LABELS)
    assert len(caught.value.faults) == 3
    assert "id 'c1' is there 2 times" in str(caught.value)
    assert "expected one of ['anger', 'neutral'], got 'joy'" in str(caught.value)
    assert "every clip needs an id" in str(caught.value)


def test_a_manifest_is_a_sequence() -> None:
    manifest = Manifest(clips(), LABELS)
    assert len(manifest) == 60
    assert manifest[3].id == "c3"
    assert isinstance(manifest[:4], Manifest)
    assert [clip.id for clip in manifest[:4]] == ["c0", "c1", "c2", "c3"]
    assert len(manifest.filter(lambda clip: clip.label == "anger")) == 36
    assert manifest.counts("label") == {("anger",): 36, ("neutral",): 24}


def test_mapping_labels_drops_what_has_no_counterpart() -> None:
    manifest = Manifest(
        (
            Clip(text="a", id="a", label="love", perceived={"love": 0.5, "joy": 0.25, "fear": 0.25}),
            Clip(text="b", id="b", label="anger", labels={"face": "joy"}, intended="sadness"),
        ),
        DAIR6,
    ).map_labels(DAIR6_TO_EKMAN7)
    assert manifest.labels == EKMAN7
    assert manifest[0].label == "happiness"
    assert manifest[0].perceived == {"happiness": 0.75, "fear": 0.25}
    assert manifest[1].labels == {"face": "happiness"}
    with pytest.raises(LabelError, match="dair6"):
        manifest.map_labels(DAIR6_TO_EKMAN7)


def test_votes_for_dropped_labels_are_shared_out_among_the_others() -> None:
    from mmemo.labels import FER8, FER8_TO_EKMAN7

    clip = Clip(text="a", id="a", perceived={"contempt": 0.5, "anger": 0.3, "neutral": 0.2})
    assert Manifest((clip,), FER8).map_labels(FER8_TO_EKMAN7)[0].perceived == pytest.approx(
        {"anger": 0.6, "neutral": 0.4}
    )


def test_joining_needs_the_same_labels_and_ids_that_differ() -> None:
    manifest = Manifest(clips(4), LABELS)
    with pytest.raises(ManifestError, match="map_labels first"):
        manifest.concat(Manifest((Clip(text="x", id="x"),), EKMAN7))
    with pytest.raises(ManifestError, match="2 times"):
        manifest.concat(manifest)
    assert len(manifest.concat(Manifest((Clip(text="x", id="x"),), LABELS))) == 5


def test_splits_keep_speakers_apart_and_labels_balanced() -> None:
    manifest = Manifest(clips(240, 24), LABELS).split(shares={"train": 0.5, "val": 0.25, "test": 0.25}, seed=3)
    speakers = {name: {clip.speaker for clip in manifest.part(name)} for name in ("train", "val", "test")}
    assert not speakers["train"] & speakers["test"]
    assert not speakers["val"] & (speakers["train"] | speakers["test"])
    counts = manifest.counts("split", "label")
    assert counts[("train", "anger")] == counts[("train", "neutral")] == 60
    assert counts[("test", "anger")] == counts[("test", "neutral")] == 30
    with pytest.raises(ManifestError, match=r"expected one of \['test', 'train', 'val'\]"):
        manifest.part("dev")


def test_stratified_splits_share_out_a_rare_label() -> None:
    """Two of twelve speakers have the rare label; both in one split would leave the other without it."""
    rare = tuple(
        Clip(text="x", id=f"{s}-{i}", speaker=f"s{s}", label="anger" if s in (3, 8) and i < 3 else "neutral")
        for s in range(12)
        for i in range(10)
    )
    for seed in range(10):
        manifest = Manifest(rare, LABELS).split(shares={"train": 0.5, "test": 0.5}, seed=seed)
        assert manifest.counts("split", "label")[("test", "anger")] == 3
        assert abs(len(manifest.part("test")) - 60) <= 10


def test_the_seed_decides_and_is_kept() -> None:
    manifest = Manifest(clips(), LABELS)
    assert manifest.split(seed=1) == manifest.split(seed=1)
    assert len({tuple(clip.split for clip in manifest.split(seed=seed)) for seed in range(5)}) > 1


def test_folds_test_every_speaker_once() -> None:
    manifest = Manifest(clips(), LABELS).folds(5)
    tested: list[str] = []
    for name, train, test in manifest.rounds():
        assert {clip.fold for clip in test} == {name}
        assert not {clip.speaker for clip in train} & {clip.speaker for clip in test}
        assert len(train) + len(test) == len(manifest)
        tested += [clip.id for clip in test]
    assert sorted(tested) == sorted(clip.id for clip in manifest)


def test_leaving_one_out_and_published_folds() -> None:
    manifest = Manifest(clips(), LABELS)
    assert len(list(manifest.leave_one_out().rounds())) == 12
    folds = {"a": [f"s{i}" for i in range(6)], "b": [f"s{i}" for i in range(6, 12)]}
    assert manifest.with_folds(folds).counts("fold") == {("a",): 30, ("b",): 30}
    with pytest.raises(ManifestError) as caught:
        manifest.with_folds({"a": ["s0", "s1"], "b": ["s1"]})
    assert "in fold 'a' and in 'b'" in str(caught.value)
    assert "'s2' is in no fold" in str(caught.value)


def test_splitting_says_what_it_needs() -> None:
    nobody = Manifest((*clips(4), Clip(text="x", id="alone")), LABELS)
    with pytest.raises(ManifestError, match=r"1 of 5 clips have no speaker: alone"):
        nobody.split()
    with pytest.raises(ManifestError, match="2 different values of speaker"):
        Manifest(clips(4, 2), LABELS).folds(3)
    with pytest.raises(ArgumentError, match="no 'colour'"):
        nobody.split(by="colour")
    with pytest.raises(ArgumentError, match="positive"):
        nobody.split(shares={"train": 1.0, "test": 0.0})
    with pytest.raises(ManifestError, match="no fold"):
        list(nobody.rounds())


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"start": -1.0}, "0 <= start < end"),
        ({"start": 2.0, "end": 1.0}, "0 <= start < end"),
        ({"start": float("nan")}, "0 <= start < end"),
        ({"onset": 2.0, "apex": 1.0}, "onset <= apex"),
        ({"valence": float("inf")}, "valence"),
        ({"perceived": {"anger": 0.7, "fear": 0.7}}, "sum to 1"),
        ({"perceived": {"anger": 1.5, "fear": -0.5}}, "positive"),
        ({"audio": Path("a.wav")}, "sound alone"),
        ({"subtitles": Path("a.srt")}, "not both"),
    ],
)
def test_a_clip_that_can_not_be_is_refused(values: dict[str, object], match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        Clip(text="x", **values)  # type: ignore[arg-type]
