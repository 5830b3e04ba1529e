"""Text encoder around any model of `transformers`: a sequence classifier, or a bare encoder for its tokens.

The checkpoint brings its own tokenizer and class names; a mapping relates the names to labels. `transformers` is not
imported before such a checkpoint is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmemo.encoders.base import Encoding, Gradients
from mmemo.encoders.external import HUB_NAME, fetch, map_classes, map_scores, read_settings, write_settings
from mmemo.errors import ArgumentError, LabelError, MissingExtraError, UnknownModelError, WeightsError
from mmemo.evidence import Evidence
from mmemo.files import replacing
from mmemo.labels import (
    DAIR6_TO_EKMAN7,
    EKMAN7,
    EMORYNLP7_TO_EKMAN7,
    GOEMOTIONS28_TO_EKMAN7,
    MELD7_TO_EKMAN7,
    SMP6_TO_EKMAN7,
    XED9_TO_EKMAN7,
    LabelMapping,
    LabelSet,
)
from mmemo.speech.emoji_names import NamedText, holds_words, name_emoji

if TYPE_CHECKING:
    import torch

KIND = "text-backbone"
CHUNK = 32
"""Texts that go through a network at once."""
MOST_TOKENS = 256
"""Highest number of word pieces of a text, also of checkpoints that could take more."""
PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model")
"""Files of a checkpoint: settings, weights, vocabularies."""
PUBLISHED = (
    MELD7_TO_EKMAN7,
    GOEMOTIONS28_TO_EKMAN7,
    DAIR6_TO_EKMAN7,
    EMORYNLP7_TO_EKMAN7,
    XED9_TO_EKMAN7,
    SMP6_TO_EKMAN7,
)
"""Mappings of the label sets whose names are recognized in a checkpoint."""


class HuggingFaceText:
    """A checkpoint of `transformers` in a local folder, with its tokenizer. Opens no network, runs none of its code.

    Args:
        folder: with ``config.json``, a tokenizer and safetensors.
        device: "auto", "cpu", "cuda", "mps".
        bare: load an encoder without a trained classification head; ``names`` is then empty.

    Attributes:
        names: the classes of the logits, as the checkpoint names them.
        dim: D, the width of a token.
        reads_emoji: whether its tokenizer has pieces for them; otherwise they are read by their names.

    Raises:
        MissingExtraError: if transformers is not installed.
        UnknownModelError: if the folder holds no checkpoint.
        WeightsError: if it is damaged, is no text encoder, or has no trained head and is not loaded ``bare``.
    """

    def __init__(self, folder: Path, device: str = "cpu", *, bare: bool = False) -> None:
        try:
            from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

            from mmemo.encoders.torch_network import torch_device
        except ImportError:
            raise MissingExtraError("A Hugging Face checkpoint", "backbones") from None
        if not (folder / "config.json").is_file():
            raise UnknownModelError(f"No Hugging Face checkpoint in {folder}: expected config.json there.")
        kind: Any = AutoModel if bare else AutoModelForSequenceClassification
        try:
            model, report = kind.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
            tokenizers: Any = AutoTokenizer  # untyped in transformers
            self._tokenizer = tokenizers.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # transformers and tokenizers raise whatever their parsers do
            raise WeightsError(f"{folder} can't be used as a text encoder: {error}") from None
        # a bare encoder may lack its pooler, which is not used
        missing = [name for name in report["missing_keys"] if not bare or "pooler" not in name]
        if missing:
            raise WeightsError(
                f"{folder} has no weights for {sorted(missing)[:3]}: its scores would be random. Train a head first "
                "(recipes/text_finetune.py), or use its tokens alone with bare=True."
            )
        if self._tokenizer.pad_token_id is None:
            raise WeightsError(f"The tokenizer in {folder} has no padding token, so texts can't be encoded in batches.")
        self.device, self.bare = str(torch_device(device)), bare
        self._model = model.eval().to(self.device)
        config = model.config
        self.names = () if bare else tuple(str(config.id2label[i]) for i in range(config.num_labels))
        self._multi_label = getattr(config, "problem_type", None) == "multi_label_classification"
        self.positions = max_tokens(config, self._tokenizer)
        self.dim = int(config.hidden_size)
        self.reads_emoji = self._tokenizer.unk_token_id not in self._tokenizer("😭")["input_ids"]

    def tokenize(self, text: str) -> np.ndarray:
        """Token ids (T,) int64, special ones included; longer texts are cut."""
        ids = self._tokenizer(text[: 20 * self.positions], truncation=True, max_length=self.positions)["input_ids"]
        return np.array(ids, np.int64)

    def __call__(self, ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (B, T, D) of the last layer and logits (B, J), float32; (B, 0) of a bare encoder.

        Logits of a multi-label checkpoint are the logarithms of its probabilities.
        """
        import torch

        tokens, logits = [], []
        ids = np.where(mask, ids, self._tokenizer.pad_token_id)
        with torch.inference_mode():
            for start in range(0, len(ids), CHUNK):
                rows = slice(start, start + CHUNK)
                out = self._model(
                    input_ids=torch.from_numpy(ids[rows]).to(self.device),
                    attention_mask=torch.from_numpy(mask[rows].astype(np.int64)).to(self.device),
                    output_hidden_states=True,
                )
                tokens.append(out.hidden_states[-1].float().cpu().numpy())
                if not self.bare:
                    raw = out.logits.float()
                    logits.append((torch.nn.functional.logsigmoid(raw) if self._multi_label else raw).cpu().numpy())
        none = np.zeros((len(ids), 0), np.float32)
        return np.concatenate(tokens) * mask[..., None], np.concatenate(logits) if logits else none

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end in ``text`` of each token of `tokenize`; (0, 0) for special ones."""
        encoded = self._tokenizer(
            text[: 20 * self.positions], truncation=True, max_length=self.positions, return_offsets_mapping=True
        )
        return [(int(start), int(end)) for start, end in encoded["offset_mapping"]]

    def gradients(self, selected: np.ndarray, temperature: float) -> Gradients:
        """The differentiable part for one label.

        Args:
            selected: (2, J) weights of the checkpoint's classes in the label, and in all labels together.
            temperature: of the model.
        """
        import torch

        classes = torch.from_numpy(selected).float().to(self.device)

        def forward(ids: torch.Tensor) -> torch.Tensor:
            logits = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.float()
            logits = torch.nn.functional.logsigmoid(logits) if self._multi_label else logits
            probabilities = (logits / temperature).softmax(-1)
            return torch.log((probabilities * classes[0]).sum(-1) / (probabilities * classes[1]).sum(-1))

        special = set(self._tokenizer.all_special_ids) - {self._tokenizer.pad_token_id, self._tokenizer.unk_token_id}
        return Gradients(forward, self._model.get_input_embeddings(), special, int(self._tokenizer.pad_token_id))

    def save(self, folder: Path) -> None:
        """Write model and tokenizer, in the format of `transformers`."""
        self._model.save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)


class TextBackboneEncoder:
    """Encoder of the modality "text" (see `mmemo.encoders.base.Encoder`) around a transformer.

    Args:
        backbone: with its tokenizer and class names.
        mapping: from the backbone's names to the labels of this encoder; for a bare encoder, whose logits are all
            equal, the labels alone.
        languages: ISO 639-1 codes of the languages it was trained on; None for any. Text known to be in another one is
            not encoded.

    Raises:
        LabelError: if the mapping is not from the backbone's names.
        ArgumentError: for a classifier without a mapping, or a bare encoder with one.

    >>> import numpy as np
    >>> from mmemo.encoders.text.backbone import TextBackboneEncoder
    >>> from mmemo.evidence import Evidence, TextEvidence
    >>> from mmemo.labels import EKMAN7, LabelMapping, LabelSet
    >>> class Exclamations:  # any class of the shape of HuggingFaceText
    ...     names, dim, bare, device, reads_emoji = ("calm", "excited"), 1, False, "cpu", True
    ...     def tokenize(self, text):
    ...         return np.array([ord(character) for character in text])
    ...     def __call__(self, ids, mask):
    ...         tokens = (ids == ord("!"))[..., None].astype(np.float32)
    ...         return tokens, tokens.sum(axis=1) * np.array([-1, 1], np.float32)
    >>> classes = LabelSet("classes", Exclamations.names)
    >>> mapping = LabelMapping(classes, EKMAN7, {"calm": "neutral", "excited": "happiness"})
    >>> encoder = TextBackboneEncoder(Exclamations(), mapping)
    >>> window = Evidence(0.0, 1.0, text=TextEvidence("Oh yes!", "en", 1.0, 1.0))
    >>> encoder.labels[int(encoder.encode([encoder.prepare(window)]).logits[0].argmax())]
    'happiness'
    """

    modality = "text"

    def __init__(
        self,
        backbone: HuggingFaceText,
        mapping: LabelMapping | LabelSet,
        *,
        languages: tuple[str, ...] | None = ("en",),
    ) -> None:
        if isinstance(mapping, LabelMapping) and mapping.source.labels != backbone.names:
            raise LabelError(
                f"TextBackboneEncoder: the checkpoint's classes are {list(backbone.names)}, "
                f"the mapping is from {list(mapping.source)}."
            )
        if isinstance(mapping, LabelSet) != backbone.bare:
            raise ArgumentError("TextBackboneEncoder: a classifier needs a mapping, a bare encoder the labels alone.")
        self.mapping = mapping if isinstance(mapping, LabelMapping) else None
        self.labels = mapping if isinstance(mapping, LabelSet) else mapping.target
        self.dim = backbone.dim
        self.languages, self.device = languages, backbone.device
        self._backbone = backbone

    def reads(self, language: str) -> bool:
        """Whether texts in a language are scored."""
        return self.languages is None or language in self.languages

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """Token ids (T,) int64; None without words, or with letters known to be in a language it was not trained on."""
        text = evidence.text
        if text is None or not holds_words(text.text):
            return None
        foreign = text.language is not None and not self.reads(text.language)
        if foreign and any(map(str.isalpha, text.text)):
            return None
        return self._backbone.tokenize(self._named(text.text).text)

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows: tokens (B, T, D) with T the longest of them, and log scores after the mapping.

        Raises:
            ArgumentError: if the batch is empty.
        """
        if not len(batch):
            raise ArgumentError("TextBackboneEncoder.encode: expected at least one window, got an empty batch.")
        longest = max(map(len, batch))
        ids, mask = np.zeros((len(batch), longest), np.int64), np.zeros((len(batch), longest), bool)
        for row, window in enumerate(batch):
            ids[row, : len(window)], mask[row, : len(window)] = window, True
        tokens, logits = self._backbone(ids, mask)
        if self.mapping is None:
            return Encoding(tokens, mask, np.zeros((len(batch), len(self.labels)), np.float32))
        return Encoding(tokens, mask, map_scores(logits, self.mapping))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end in ``text`` of each of its tokens; (0, 0) for special ones."""
        named = self._named(text)
        return [named.original(span) for span in self._backbone.spans(named.text)]

    def _named(self, text: str) -> NamedText:
        return NamedText(text) if self._backbone.reads_emoji else name_emoji(text, self.languages or ("en",))

    def gradients(self, label: int, temperature: float, prior: np.ndarray) -> Gradients:
        """The differentiable part for one label, by its index in `labels`.

        Args:
            temperature: of the model for this encoder.
            prior: (K,) shares of the model for this encoder.

        Raises:
            ArgumentError: if no class maps to the label, as in a bare encoder.
        """
        matrix = np.zeros((0, len(self.labels))) if self.mapping is None else self.mapping.matrix()
        if not matrix[:, label].any():
            raise ArgumentError(
                f"No class of the checkpoint maps to {self.labels[label]!r}, so there is nothing to explain."
            )
        weights = matrix / prior
        return self._backbone.gradients(np.stack([weights[:, label], weights.sum(axis=1)]), temperature)

    def save(self, folder: str | Path) -> Path:
        """Write the checkpoint and ``mmemo.json``, with mapping and languages, into ``folder``."""
        settings = {
            "kind": KIND,
            "bare": self.mapping is None,
            "labels": self.labels.to_config(),
            "mapping": None if self.mapping is None else dict(self.mapping.pairs),
            "languages": None if self.languages is None else list(self.languages),
        }
        with replacing(folder) as partial:
            self._backbone.save(partial)
            write_settings(partial, settings)
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> TextBackboneEncoder:
        """Read what `save` wrote.

        Raises:
            UnknownModelError: if there is no such encoder.
            WeightsError: if it is damaged.
            MissingExtraError: if transformers is not installed.
        """
        folder = Path(folder)
        settings = read_settings(folder, KIND)
        try:
            backbone = HuggingFaceText(folder, device, bare=settings["bare"])
            target = LabelSet.from_config(settings["labels"])
            languages = None if settings["languages"] is None else tuple(settings["languages"])
            if settings["bare"]:
                return cls(backbone, target, languages=languages)
            mapping = LabelMapping(LabelSet("checkpoint", backbone.names), target, settings["mapping"])
            return cls(backbone, mapping, languages=languages)
        except (KeyError, TypeError, LabelError) as error:
            raise WeightsError(f"{folder} does not hold a text backbone of this version: {error}") from None


def max_tokens(config: Any, tokenizer: Any) -> int:
    """Highest number of tokens of a text for a network of this ``config``."""
    # RoBERTa counts its positions from the id of the padding on, so two of them are never used
    positions = int(getattr(config, "max_position_embeddings", MOST_TOKENS)) - 2
    return max(8, min(positions, int(tokenizer.model_max_length), MOST_TOKENS))


def load_text_backbone(
    name_or_path: str | Path,
    *,
    labels: Mapping[str, str | None] | None = None,
    languages: Sequence[str] | None = ("en",),
    target: LabelSet = EKMAN7,
    bare: bool = False,
    device: str = "cpu",
    revision: str | None = None,
) -> TextBackboneEncoder:
    """A text encoder from a checkpoint of another project.

    Args:
        name_or_path: a folder with a Hugging Face checkpoint, or, if there is no such path, the name of one on the
            Hugging Face Hub, which is then fetched (no pickled weights) unless it is in the local cache.
        labels: the label of each of the checkpoint's names, None for names that are dropped. It may be left out for the
            names of MELD, GoEmotions, dair-ai, EmoryNLP, XED, SMP2020 and of ``target`` itself.
        languages: ISO 639-1 codes of the languages it was trained on; None for any.
        target: the labels of the encoder.
        bare: load an encoder without a classification head. Its scores are all equal; its tokens serve a fusion head
            on tokens.
        device: "auto", "cpu", "cuda", "mps".
        revision: branch, tag or commit on the Hub.

    Raises:
        UnknownModelError: if there is nothing of that name, here or on the Hub.
        WeightsError: if it is no text classifier (or, ``bare``, no text encoder), or has no safetensors weights.
        LabelError: if the meaning of the names is not known, or ``labels`` doesn't fit them.
        MissingExtraError: if transformers is not installed.

    >>> from mmemo.encoders.text.backbone import load_text_backbone
    >>> from mmemo.errors import UnknownModelError
    >>> load_text_backbone("j-hartmann/emotion-english-distilroberta-base")  # doctest: +SKIP
    >>> try:
    ...     load_text_backbone("./not-there")
    ... except UnknownModelError as error:
    ...     print(error)
    ./not-there is no folder with a Hugging Face checkpoint, and no name on the Hub.
    """
    if isinstance(languages, str):
        raise ArgumentError(f"languages: expected a sequence such as ('en', 'de') or None, got {languages!r}.")
    path = Path(name_or_path).expanduser()
    if not path.is_dir():
        if path.exists() or not HUB_NAME.fullmatch(str(name_or_path)):
            raise UnknownModelError(
                f"{name_or_path} is no folder with a Hugging Face checkpoint, and no name on the Hub."
            )
        path = fetch(str(name_or_path), revision, PATTERNS)
    backbone = HuggingFaceText(path, device, bare=bare)
    codes = None if languages is None else tuple(languages)
    if bare:
        return TextBackboneEncoder(backbone, target, languages=codes)
    return TextBackboneEncoder(backbone, map_classes(backbone.names, labels, target, PUBLISHED), languages=codes)
