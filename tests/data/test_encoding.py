"""The dataset for torch and the encodings of whole manifests, on real clips and with the embedded encoders."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import mmemo
from mmemo import Clip, EmotionModel
from mmemo.data import ClipDataset, FeatureCache, Manifest, collate, encode
from mmemo.data.encoding import encoder_fingerprint
from mmemo.data.evidence import clip_evidence
from mmemo.encoders.base import Encoding
from mmemo.errors import ArgumentError, ManifestError
from mmemo.evidence import Evidence
from mmemo.fusion.late import LateFusion
from mmemo.labels import EKMAN7, LabelSet
from mmemo.samples import make_clip, make_corpus
from mmemo.testing import TinyEncoder

pytestmark = pytest.mark.slow


class Counting(TinyEncoder):
    """Counts what it is asked for, and can be cached by name."""

    def __init__(self, fingerprint: str = "tiny 1") -> None:
        super().__init__()
        self.fingerprint = fingerprint
        self.prepared = 0

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        self.prepared += 1
        return super().prepare(evidence)

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        return super().encode(batch)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    sheet = make_corpus(tmp_path_factory.mktemp("corpus"), speakers=3)
    with sheet.open(newline="") as file:
        return Manifest(
            tuple(
                Clip(
                    sheet.parent / row["file"],
                    text=row["words"],
                    id=row["file"],
                    label=row["emotion"],
                    speaker=row["actor"],
                    language="en",
                )
                for row in csv.DictReader(file)
            ),
            EKMAN7,
        )


@pytest.fixture(scope="module")
def model() -> EmotionModel:
    return mmemo.load_model()


def texts(count: int = 5) -> Manifest:
    return Manifest(tuple(Clip(text="x" * (i + 1), id=f"c{i}", label="anger") for i in range(count)), EKMAN7)


def test_items_and_batches_are_as_the_docstring_says(corpus: Manifest, model: EmotionModel) -> None:
    silent = replace(corpus[0], path=None, id="text alone", label=None, labels={"text": "fear"})
    dataset = ClipDataset(corpus.concat(Manifest((silent,), EKMAN7)), list(model.encoders.values()))
    item = dataset[0]
    qualities = {f"quality_{modality}" for modality in ("face", "voice", "text")}
    assert set(item) == {"face", "voice", "text", "target", "id"} | qualities
    assert item["face"].ndim == 4
    assert item["target"] == EKMAN7.index("happiness")
    (batch,) = DataLoader(dataset, batch_size=len(dataset), collate_fn=collate)
    assert batch["id"][-1] == "text alone"
    assert batch["target"].tolist()[-1] == -1
    assert batch["target_text"].tolist() == [-1] * len(corpus) + [EKMAN7.index("fear")]
    for modality in ("face", "voice", "text"):
        assert batch[modality].shape[:2] == batch[f"{modality}_mask"].shape
        assert batch[f"{modality}_mask"][:-1].any(1).all()
        assert not batch[modality][~batch[f"{modality}_mask"]].any()
    assert not batch["face_mask"][-1].any()
    assert batch["text_mask"][-1].any()
    length = int(batch["voice_mask"][0].sum())
    assert np.array_equal(batch["voice"][0, :length].numpy(), item["voice"])


def test_a_modality_that_no_clip_of_a_batch_has_is_none(model: EmotionModel) -> None:
    batch = next(iter(DataLoader(ClipDataset(texts(), list(model.encoders.values())), 5, collate_fn=collate)))
    assert batch["face"] is batch["face_mask"] is None
    assert batch["text"].dtype == torch.int64


def test_workers_give_the_same_batches(corpus: Manifest, model: EmotionModel) -> None:
    dataset = ClipDataset(corpus, [model.encoders["voice"], model.encoders["text"]])
    alone, together = (
        list(DataLoader(dataset, batch_size=2, collate_fn=collate, num_workers=workers)) for workers in (0, 2)
    )
    for one, other in zip(alone, together, strict=True):
        assert one["id"] == other["id"]
        assert torch.equal(one["voice"], other["voice"])


def test_accelerate_takes_the_loader(corpus: Manifest, model: EmotionModel) -> None:
    accelerate = pytest.importorskip("accelerate")
    dataset = ClipDataset(corpus, [model.encoders["voice"], model.encoders["text"]])
    loader = accelerate.Accelerator(cpu=True).prepare(DataLoader(dataset, batch_size=4, collate_fn=collate))
    assert [len(batch["id"]) for batch in loader] == [4, 2]


def test_sound_may_lie_in_a_file_of_its_own(tmp_path: Path) -> None:
    picture = make_clip(tmp_path / "mute.mp4", seconds=1.5, sound=None, size=(160, 120))
    sound = make_clip(tmp_path / "sound.wav", seconds=1.5, picture=False)
    evidence = clip_evidence(Clip(picture, audio=sound), ("face", "voice"))
    assert evidence.face is not None
    assert evidence.voice is not None
    assert clip_evidence(Clip(picture), ("voice",)).voice is None


def test_a_span_is_one_window(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", seconds=4.0, size=(160, 120))
    evidence = clip_evidence(Clip(film, 1.0, 2.5, text="Good."), ("face", "voice", "text"))
    assert (evidence.start, evidence.end) == (1.0, 2.5)
    assert evidence.face is not None
    assert evidence.face.times.min() >= 1.0
    assert evidence.face.times.max() < 2.5
    assert evidence.voice is not None
    assert len(evidence.voice.waveform) == 24_000
    assert evidence.text is not None


def test_the_second_time_nothing_is_computed(tmp_path: Path) -> None:
    encoder, cache = Counting(), FeatureCache(tmp_path / "c.sqlite")
    first = encode(texts(), [encoder], cache)
    assert encoder.prepared == 5
    second = encode(texts(), [encoder], cache)
    assert encoder.prepared == 5
    assert np.array_equal(first.logits["text"], second.logits["text"])
    one, other = first.batch()["text"], second.batch()["text"]
    assert np.array_equal(one.tokens, other.tokens)
    assert np.array_equal(one.mask, other.mask)
    assert first.target.tolist() == [EKMAN7.index("anger")] * 5


def test_the_real_encoders_are_cached(corpus: Manifest, model: EmotionModel, tmp_path: Path) -> None:
    cache, encoders = FeatureCache(tmp_path / "c.sqlite"), list(model.encoders.values())
    computed: list[float] = []  # progress is called once for each clip that is encoded
    first = encode(corpus, encoders, cache, progress=computed.append)
    assert len(computed) == len(corpus)
    second = encode(corpus, encoders, cache, progress=computed.append)
    assert len(computed) == len(corpus)
    for modality in ("face", "voice", "text"):
        assert first.batch()[modality].present.all()
        assert np.array_equal(first.logits[modality], second.logits[modality])
        direct = model.encoders[modality]
        prepared = direct.prepare(clip_evidence(corpus[1], (modality,)))
        assert prepared is not None
        assert np.allclose(direct.encode([prepared]).logits[0], second.logits[modality][1], atol=1e-5)
    cache.remove(encoder_fingerprint(model.encoders["voice"]))
    encode(corpus, encoders, cache, progress=computed.append)
    assert len(computed) == 2 * len(corpus)


@pytest.mark.parametrize("change", ["bytes", "span", "words", "encoder", "language", "sidecar"])
def test_whatever_changes_is_computed_anew(tmp_path: Path, change: str) -> None:
    media = make_clip(tmp_path / "a.wav", seconds=0.5, picture=False)
    clip = Clip(media, text=None if change == "sidecar" else "abc", id="a", language="en")
    encoder, cache = Counting(), FeatureCache(tmp_path / "c.sqlite")
    encode(Manifest((clip,), EKMAN7), [encoder], cache)
    before = encoder.prepared
    if change == "bytes":
        make_clip(media, seconds=0.5, picture=False, sound="tone")
    if change == "sidecar":
        (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:00,400\nHello there\n")
    clip = replace(
        clip, **{"span": {"end": 0.4}, "words": {"text": "abd"}, "language": {"language": "pl"}}.get(change, {})
    )  # type: ignore[arg-type]
    if change == "encoder":
        encoder.fingerprint = "tiny 2"
    encode(Manifest((clip,), EKMAN7), [encoder], cache)
    assert encoder.prepared == before + 1


def test_the_name_of_a_file_does_not_matter(tmp_path: Path) -> None:
    media = make_clip(tmp_path / "a.wav", seconds=0.5, picture=False)
    encoder, cache = Counting(), FeatureCache(tmp_path / "c.sqlite")
    encode(Manifest((Clip(media, text="abc", id="x"),), EKMAN7), [encoder], cache)
    encode(Manifest((Clip(media.rename(tmp_path / "b.wav"), text="abc", id="y"),), EKMAN7), [encoder], cache)
    assert encoder.prepared == 1


def test_work_stopped_midway_goes_on_from_there(tmp_path: Path) -> None:
    encoder, cache = Counting(), FeatureCache(tmp_path / "c.sqlite")

    def stop(share: float) -> None:
        if share == 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(texts(), [encoder], cache, progress=stop)
    shares: list[float] = []
    encode(texts(), [encoder], cache, progress=shares.append)
    assert encoder.prepared == 5
    assert shares == [0.8, 1.0]


def test_broken_clips_are_all_named_and_the_others_kept(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"not a film")
    broken = Manifest(
        (
            *texts(3),
            Clip(tmp_path / "bad.mp4", text="words", id="bad"),
            Clip(tmp_path / "gone.mp4", text="words", id="gone"),
        ),
        EKMAN7,
    )
    encoder, cache = Counting(), FeatureCache(tmp_path / "c.sqlite")
    with pytest.raises(ManifestError) as caught:
        encode(broken, [encoder], cache)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["clip 'bad'", "clip 'gone'"]
    found = encode(broken, [encoder], cache, on_error="leave out")
    assert encoder.prepared == 3
    assert len(found.manifest) == 3
    assert found.faults == caught.value.faults


def test_an_encoder_without_identity_is_not_cached(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="fingerprint"):
        encode(texts(), [TinyEncoder()], FeatureCache(tmp_path / "c.sqlite"))
    assert len(encode(texts(), [TinyEncoder()]).manifest) == 5


def test_the_fingerprint_is_that_of_weights_and_settings(model: EmotionModel) -> None:
    from mmemo.encoders.face.encoder import FaceEncoder

    face = model.encoders["face"]
    assert isinstance(face, FaceEncoder)
    assert encoder_fingerprint(face) == encoder_fingerprint(FaceEncoder.load(mmemo.pretrained.WEIGHTS / "face"))
    other = FaceEncoder.load(mmemo.pretrained.WEIGHTS / "face")
    other.frames = 3
    assert encoder_fingerprint(other) != encoder_fingerprint(face)


def test_a_fusion_head_learns_from_encodings_and_serves_analyze(
    corpus: Manifest, model: EmotionModel, tmp_path: Path
) -> None:
    encoders = list(model.encoders.values())
    clips = encode(corpus, encoders)
    head = LateFusion.fit(EKMAN7, clips.batch(), clips.target)
    assert head.weights["text"] == max(head.weights.values())  # the emotion of these clips is in their words
    folder = EmotionModel(encoders, head).save(tmp_path / "own")
    result = mmemo.analyze(corpus[1], model=folder)
    assert result.label == corpus[1].label == "sadness"


def test_batches_of_some_rows(corpus: Manifest) -> None:
    encoded = encode(texts(4), [TinyEncoder(LabelSet("two", ("a", "b")))])
    batch = encoded.batch([3, 1])["text"]
    assert batch.mask.sum(axis=1).tolist() == [4, 2]
    assert batch.logits.shape == (2, 2)


@pytest.mark.parametrize(("window", "hop"), [(0.0, 1.0), (2.0, 3.0), (-1.0, 0.5), (float("nan"), 1.0)])
def test_windows_that_are_none_are_refused_once(window: float, hop: float) -> None:
    with pytest.raises(ArgumentError, match="0 < hop <= window"):
        encode(Manifest([Clip(text="a", id="a")], EKMAN7), [TinyEncoder()], window=window, hop=hop)


def test_windows_of_a_clip_are_its_rows(tmp_path: Path) -> None:
    """Also in other processes, and of clips of different lengths, one of which is text alone."""
    clips = Manifest(
        [Clip(make_clip(tmp_path / "a.mp4", seconds=2.0), text="Good.", id="a"), Clip(text="Oh.", id="b")], EKMAN7
    )
    encoded = encode(clips, [TinyEncoder()], window=1.0, hop=0.5)
    assert encoded.clip_of.tolist() == [0, 0, 0, 1]
    assert len(encoded.target) == 2
    assert encoded.batch()["text"].logits.shape == (4, 7)
    again = encode(clips, [TinyEncoder()], window=1.0, hop=0.5, workers=1)
    np.testing.assert_array_equal(again.logits["text"], encoded.logits["text"])
    np.testing.assert_array_equal(encode(clips, [TinyEncoder()]).clip_of, [0, 1])
