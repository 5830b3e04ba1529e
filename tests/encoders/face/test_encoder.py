"""The face encoder: its contract on a tiny network, and what the embedded weights say of real faces."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from mmemo.encoders.base import Encoder
from mmemo.encoders.face.architecture import FaceArchitecture
from mmemo.encoders.face.encoder import FaceEncoder, gray_crops, turned
from mmemo.encoders.face.frames import Doubt
from mmemo.encoders.face.network import FaceNetwork, normalize_contrast
from mmemo.errors import ArgumentError, UnknownModelError, WeightsError
from mmemo.evidence import Evidence, FaceEvidence
from mmemo.faces import FaceFinder
from mmemo.labels import EKMAN7, FER7, FER7_TO_EKMAN7, MEGC3, LabelSet
from mmemo.testing import check_encoder

pytestmark = pytest.mark.slow

WEIGHTS = Path(__file__).parents[3] / "mmemo" / "weights" / "face"
TWO_HEADS = FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1), heads=2)
TINY = FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1))


def evidence(crops: np.ndarray, quality: np.ndarray | None = None, times: np.ndarray | None = None) -> Evidence:
    count = len(crops)
    face = FaceEvidence(
        person=0,
        times=np.arange(count) / 25 if times is None else times,
        crops=crops,
        quality=np.ones(count, np.float32) if quality is None else quality.astype(np.float32),
        landmarks=np.zeros((count, 478, 3), np.float32),
        blendshapes=np.zeros((count, 52), np.float32),
        pose=np.zeros((count, 3), np.float32),
        box=np.zeros((count, 4), np.float32),
        frame_size=(640, 360),
        coverage=1.0,
    )
    return Evidence(0.0, 2.0, face=face)


def noise(count: int, side: int = 112, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def trained_looking(architecture: FaceArchitecture = TINY) -> FaceNetwork:
    """A network whose batch norms are not the identity, as after training."""
    torch.manual_seed(0)
    network = FaceNetwork(architecture)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            torch.nn.init.normal_(module.running_mean, 0, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def tiny() -> FaceEncoder:
    return FaceEncoder(trained_looking(), EKMAN7)


@pytest.fixture(scope="module")
def embedded() -> FaceEncoder:
    return FaceEncoder.load(WEIGHTS)


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def test_is_an_encoder(tiny: FaceEncoder) -> None:
    assert isinstance(tiny, Encoder)
    assert (tiny.modality, tiny.dim, tiny.labels) == ("face", 16, EKMAN7)
    check_encoder(tiny, [evidence(noise(count)) for count in (1, 4)])


def test_prepare_gives_grey_and_quality(tiny: FaceEncoder) -> None:
    crops = noise(3)
    prepared = tiny.prepare(evidence(crops, np.array([0.2, 0.5, 1.0])))
    assert prepared is not None
    assert (prepared.shape, prepared.dtype) == ((3, 2, 16, 16), np.float32)
    luma = crops.astype(np.float64) @ (0.299, 0.587, 0.114) / 255
    means = luma.reshape(3, 16, 7, 16, 7).mean(axis=(2, 4))
    assert prepared[:, 0] == pytest.approx(means, abs=0.6 / 255)
    assert prepared[:, 1, 5, 5] == pytest.approx([0.2, 0.5, 1.0])


def test_prepare_is_none_without_a_usable_face(tiny: FaceEncoder) -> None:
    assert tiny.prepare(Evidence(0.0, 1.0)) is None
    assert tiny.prepare(evidence(noise(2), np.array([0.0, 0.01]))) is None
    prepared = tiny.prepare(evidence(noise(2), np.array([0.0, 0.4])))
    assert prepared is not None
    assert len(prepared) == 1


def test_encode_shapes_and_padding(tiny: FaceEncoder) -> None:
    windows = [tiny.prepare(evidence(noise(count, seed=count))) for count in (1, 5, 3)]
    together = tiny.encode(windows)
    assert together.tokens.shape == (3, 5, 16)
    assert together.mask.sum(axis=1).tolist() == [1, 5, 3]
    assert not together.tokens[~together.mask].any()
    for row, window in enumerate(windows):
        alone = tiny.encode([window])
        assert alone.logits[0] == pytest.approx(together.logits[row], abs=1e-5)
        assert alone.tokens[0] == pytest.approx(together.tokens[row, : len(window)], abs=1e-5)


def test_logits_are_the_quality_weighted_mean_of_log_scores() -> None:
    network = trained_looking()
    encoder = FaceEncoder(network, EKMAN7, mirror=False)
    window = encoder.prepare(evidence(noise(3), np.array([0.1, 0.3, 0.6])))
    with torch.no_grad():
        scores = log_softmax(network(torch.from_numpy(window[:, :1]))[1].numpy(), axis=1)
    expected = 0.1 * scores[0] + 0.3 * scores[1] + 0.6 * scores[2]
    assert encoder.encode([window]).logits[0] == pytest.approx(expected, abs=1e-4)


def test_confidence_falls_with_quality_and_the_answer_stays(tmp_path: Path) -> None:
    sure = FaceEncoder(trained_looking(), EKMAN7)
    doubtful = FaceEncoder(trained_looking(), EKMAN7, doubt=Doubt(amount=3.0, trusted=0.6))
    highest = []
    for quality in (1.0, 0.6, 0.4, 0.2, 0.06):
        window = sure.prepare(evidence(noise(1), np.array([quality])))
        plain, flat = (encoder.encode([window]).logits[0] for encoder in (sure, doubtful))
        expected = plain / (1 + 3.0 * max(0.0, 1 - quality / 0.6))
        assert flat == pytest.approx(expected, abs=1e-4)
        highest.append(float(np.exp(log_softmax(flat)).max()))
    assert highest[0] == pytest.approx(highest[1])
    assert highest[1:] == sorted(highest[1:], reverse=True)
    assert highest[1] > highest[-1] + 0.02
    doubtful.save(tmp_path / "face")
    assert FaceEncoder.load(tmp_path / "face").doubt == Doubt(3.0, 0.6)
    pair = sure.prepare(evidence(noise(2), np.array([0.2, 0.6])))
    assert doubtful.encode([pair]).logits[0] == pytest.approx(
        sure.encode([pair]).logits[0] * Doubt(3.0, 0.6).confidence((0.2**2 + 0.6**2) / 0.8), abs=1e-4
    )


def test_two_heads_are_read_apart_and_together() -> None:
    network = trained_looking(TWO_HEADS)
    images = torch.rand(3, 1, 16, 16)
    with torch.no_grad():
        features, logits = network(images)
        readings = network.head_logits(features)
    assert readings.shape == (3, 2, 7)
    weight, bias = network.head.weight.detach(), network.head.bias.detach()
    assert readings[:, 1].numpy() == pytest.approx((features @ weight[7:].T + bias[7:]).numpy(), abs=1e-5)
    assert logits.numpy() == pytest.approx(readings.mean(dim=1).numpy(), abs=1e-6)
    assert not np.allclose(readings[:, 0], readings[:, 1], atol=0.01)


def test_readings_of_tokens_are_those_of_the_crops() -> None:
    """A head is linear, so what it says of a token, the mean of a crop and its mirror image, is the mean of both."""
    network = trained_looking(TWO_HEADS)
    encoder = FaceEncoder(network, EKMAN7)
    windows = [encoder.prepare(evidence(noise(count, seed=count))) for count in (1, 3)]
    encoding = encoder.encode(windows)
    readings = encoder.head_logits(encoding.tokens)
    assert readings.shape == (2, 3, 2, 7)
    crops = torch.from_numpy(windows[1][:, :1])
    with torch.no_grad():
        both = [network.head_logits(network.features(view)) for view in (crops, crops.flip(3))]
    assert readings[1] == pytest.approx(((both[0] + both[1]) / 2).numpy(), abs=1e-4)
    alone = readings[0, 0].mean(axis=0)
    assert encoding.logits[0] == pytest.approx(log_softmax(alone), abs=1e-4)


def test_heads_survive_saving_and_are_one_where_a_file_names_none(tmp_path: Path) -> None:
    encoder = FaceEncoder(trained_looking(TWO_HEADS), EKMAN7)
    encoder.save(tmp_path / "two")
    assert FaceEncoder.load(tmp_path / "two").head_logits(np.zeros((1, 16), np.float32)).shape == (1, 2, 7)
    FaceEncoder(trained_looking(), EKMAN7).save(tmp_path / "one")
    config = tmp_path / "one" / "config.json"
    config.write_text(config.read_text().replace('"heads": 1,', ""))
    assert "heads" not in config.read_text()
    assert FaceEncoder.load(tmp_path / "one").head_logits(np.zeros((1, 16), np.float32)).shape == (1, 1, 7)


def test_a_mirrored_face_scores_the_same(tiny: FaceEncoder) -> None:
    crops = noise(2)
    first, second = (tiny.prepare(evidence(c)) for c in (crops, np.ascontiguousarray(crops[:, :, ::-1])))
    assert tiny.encode([first]).logits == pytest.approx(tiny.encode([second]).logits, abs=1e-4)


def test_crops_are_scored_turned_to_one_side_and_the_other_by_turns_and_a_single_one_both_ways() -> None:
    network = trained_looking()
    encoder = FaceEncoder(network, EKMAN7, mirror=False, turn=10.0)
    one, three = (encoder.prepare(evidence(noise(count, seed=count))) for count in (1, 3))

    def plain(images: np.ndarray, degrees: list[float]) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            features, logits = network(torch.from_numpy(turned(images, np.array(degrees))))
        return features.numpy(), log_softmax(logits.numpy(), axis=1)

    features, scores = plain(three[:, :1], [10.0, -10.0, 10.0])
    left, right = plain(one[:, :1], [10.0]), plain(one[:, :1], [-10.0])
    together = encoder.encode([one, three])
    assert together.tokens[1] == pytest.approx(features, abs=1e-5)
    assert together.logits[1] == pytest.approx(scores.mean(axis=0), abs=1e-5)
    assert together.tokens[0, 0] == pytest.approx((left[0] + right[0])[0] / 2, abs=1e-5)
    assert together.logits[0] == pytest.approx(log_softmax((left[1] + right[1])[0] / 2), abs=1e-5)
    assert np.abs(left[1] - right[1]).max() > 1e-3
    assert encoder.encode([one]).logits[0] == pytest.approx(together.logits[0], abs=1e-5)


def test_a_single_mirrored_face_that_is_turned_scores_the_same() -> None:
    encoder = FaceEncoder(trained_looking(), EKMAN7, turn=10.0)
    crop = noise(1)
    first, second = (encoder.prepare(evidence(c)) for c in (crop, np.ascontiguousarray(crop[:, :, ::-1])))
    assert encoder.encode([first]).logits == pytest.approx(encoder.encode([second]).logits, abs=1e-4)


@pytest.mark.parametrize(
    ("mirror", "turn", "count"), [(True, 10.0, 4), (False, 10.0, 2), (True, 0.0, 2), (False, 0.0, 1)]
)
def test_the_mean_of_its_looks_is_what_it_says_of_a_single_crop(mirror: bool, turn: float, count: int) -> None:
    encoder = FaceEncoder(trained_looking(), EKMAN7, mirror=mirror, turn=turn)
    crop = encoder.prepare(evidence(noise(1)))
    looks = [look.encode([crop]) for look in encoder.looks()]
    assert len({look.logits.tobytes() for look in looks}) == len(looks) == count
    whole = encoder.encode([crop])
    assert np.mean([look.tokens for look in looks], axis=0) == pytest.approx(whole.tokens, abs=1e-5)
    assert log_softmax(np.mean([look.logits for look in looks], axis=0)) == pytest.approx(whole.logits, abs=1e-5)


@pytest.mark.parametrize("turn", [math.nan, -math.inf])
def test_a_turn_that_is_no_angle_is_refused(turn: float) -> None:
    with pytest.raises(ArgumentError, match="turn in degrees"):
        FaceEncoder(trained_looking(), EKMAN7, turn=turn)


def test_images_are_turned_about_their_middle() -> None:
    images = np.random.default_rng(0).random((2, 1, 8, 8), dtype=np.float32)
    found = turned(images, np.array([90.0, 0.0]))
    assert found[0, 0] == pytest.approx(np.rot90(images[0, 0]), abs=1e-4)
    assert np.array_equal(found[1], images[1])


def test_light_and_contrast_do_not_matter(tiny: FaceEncoder) -> None:
    crops = (noise(2) // 2).astype(np.uint8)
    first, second = (tiny.prepare(evidence(c)) for c in (crops, crops + np.uint8(60)))
    assert tiny.encode([first]).logits == pytest.approx(tiny.encode([second]).logits, abs=1e-2)


def test_contrast_normalisation_by_its_definition() -> None:
    images = torch.rand(3, 1, 8, 8)
    images[2] = 0.5 + 0.001 * images[2]
    found = normalize_contrast(images).numpy()
    values = images.numpy().astype(np.float64)
    for row in range(2):
        assert found[row] == pytest.approx((values[row] - values[row].mean()) / values[row].std(), abs=1e-5)
    assert np.abs(found[2]).max() < 0.1


@pytest.mark.parametrize("size", [16, 20, 23])
def test_takes_images_of_any_size(size: int) -> None:
    with torch.no_grad():
        features, logits = trained_looking()(torch.rand(2, 1, size, size))
    assert (features.shape, logits.shape) == ((2, 16), (2, 7))


def test_saves_and_loads(tiny: FaceEncoder, tmp_path: Path) -> None:
    encoder = FaceEncoder(
        trained_looking(), EKMAN7, frames=4, floor=0.3, mirror=False, turn=5.0, card={"corpora": {"a": "b"}}
    )
    encoder.save(tmp_path / "face")
    again = FaceEncoder.load(tmp_path / "face")
    assert (again.frames, again.floor, again.mirror, again.turn, again.labels) == (4, 0.3, False, 5.0, EKMAN7)
    assert again.card["corpora"] == {"a": "b"}
    window = encoder.prepare(evidence(noise(6)))
    # Matrices are rounded to float16, which has 11 bits.
    assert again.encode([window]).logits == pytest.approx(encoder.encode([window]).logits, abs=0.02)
    again.save(tmp_path / "again")
    third = FaceEncoder.load(tmp_path / "again")
    assert np.array_equal(third.encode([window]).logits, again.encode([window]).logits)


def test_labels_of_ones_own_are_saved(tmp_path: Path) -> None:
    mine = LabelSet("mine", ("calm", "tense"))
    network = FaceNetwork(FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1), classes=2))
    assert FaceEncoder.load(FaceEncoder(network, mine).save(tmp_path / "mine")).labels == mine
    config = tmp_path / "mine" / "config.json"
    config.write_text(config.read_text().replace('"calm"', "7"))
    with pytest.raises(WeightsError, match="Label set"):
        FaceEncoder.load(tmp_path / "mine")


def test_says_what_is_wrong(tiny: FaceEncoder, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="3 labels"):
        FaceEncoder(trained_looking(), MEGC3)
    with pytest.raises(ArgumentError, match="empty batch"):
        tiny.encode([])
    with pytest.raises(ArgumentError, match=r"\(T, 2, 16, 16\), got \(2, 1, 16, 16\)"):
        tiny.encode([np.zeros((2, 1, 16, 16), np.float32)])
    with pytest.raises(UnknownModelError):
        FaceEncoder.load(tmp_path)
    tiny.save(tmp_path / "face")
    config = tmp_path / "face" / "config.json"
    config.write_text(config.read_text().replace('"size": 16', '"sighs": 16'))
    with pytest.raises(WeightsError, match="sighs"):
        FaceEncoder.load(tmp_path / "face")


def test_embedded_weights_are_small_and_say_where_they_come_from(embedded: FaceEncoder) -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) < 12e6
    assert embedded.labels == EKMAN7
    assert {"corpora", "split", "preprocessing", "training", "scores", "recipe"} <= set(embedded.card)


def test_embedded_weights_see_a_smile(embedded: FaceEncoder, finder: FaceFinder) -> None:
    data = pytest.importorskip("skimage.data")
    faces = finder.find(data.astronaut())
    encoding = embedded.encode([embedded.prepare(evidence(faces[0].crop[None]))])
    assert EKMAN7[int(encoding.logits[0].argmax())] == "happiness"
    assert np.exp(encoding.logits[0]).sum() == pytest.approx(1, abs=0.02)


@pytest.mark.data
def test_embedded_weights_on_pictures_of_every_class(
    embedded: FaceEncoder, finder: FaceFinder, shared_data: Path
) -> None:
    """From file to label on 50 test pictures a class: each class is said most often where it is true, so the classes
    are in order, and the mean recall is far over chance (0.14)."""
    table = np.zeros((len(EKMAN7), len(EKMAN7)))
    for name in FER7:
        paths = sorted((shared_data / "face/fer2013/test" / name).glob("PrivateTest_*.jpg"))[:50]
        truth = EKMAN7.index(FER7_TO_EKMAN7(name))
        for path in paths:
            faces = finder.find(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))
            if faces:
                logits = embedded.encode([embedded.prepare(evidence(faces[0].crop[None]))]).logits[0]
                table[truth, logits.argmax()] += 1
    assert table.sum() > 0.9 * 50 * len(EKMAN7)
    shares = table / table.sum(axis=1, keepdims=True)
    assert shares.argmax(axis=0).tolist() == list(range(len(EKMAN7)))
    assert shares.diagonal().mean() > 0.45


def test_gray_crops_of_nothing() -> None:
    assert gray_crops(np.zeros((0, 112, 112, 3), np.uint8), 64).shape == (0, 64, 64)


@pytest.mark.parametrize(
    "change",
    [{"frames": "8"}, {"frames": 0}, {"floor": None}, {"mirror": []}, {"turn": "x"}, {"doubt": {"trusted": 0}}, {"doubt": {"amount": "x"}},
     {"architecture": 5}, {"architecture": {"size": 0}}, {"architecture": {"widths": []}}],
    ids=str,
)  # fmt: skip
def test_settings_of_another_kind_are_refused(change: dict[str, object], tmp_path: Path) -> None:
    network = FaceNetwork(FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1)))
    config = FaceEncoder(network, EKMAN7).save(tmp_path / "face") / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(WeightsError):
        FaceEncoder.load(tmp_path / "face")
