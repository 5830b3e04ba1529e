"""The words: a small BERT of torch's own layers that reads English lines, with a head over seven emotions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from mmemo.checkpoint import load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoding
from mmemo.errors import WeightsError
from mmemo.evidence import Evidence
from mmemo.labels import EKMAN7, LabelSet

KIND = "text-encoder"
TOKENIZER = "tokenizer.json"
_WORDS, _WORDS_SCALE = "words.weight", "words.scale"


@dataclass(frozen=True)
class TextArchitecture:
    """The sizes of a `TextNet`; the defaults are those of all-MiniLM-L6-v2 with a vocabulary of its own.

    Attributes:
        positions: the most tokens a text may have, the two special ones included; longer texts are cut.
    """

    vocabulary: int
    dim: int = 384
    layers: int = 6
    heads: int = 12
    inner: int = 1536
    positions: int = 128
    classes: int = len(EKMAN7)
    dropout: float = 0.1


def _layer(a: TextArchitecture) -> nn.TransformerEncoderLayer:
    layer = nn.TransformerEncoderLayer(
        a.dim, a.heads, a.inner, a.dropout, "gelu", layer_norm_eps=1e-12, batch_first=True
    )
    layer.dropout.p = 0.0  # torch drops inside the feed-forward block too, BERT does not
    return layer


class TextNet(nn.Module):
    """BERT with masked mean pooling and a linear head.

    Source: Devlin et al., "BERT", NAACL 2019; Reimers and Gurevych, "Sentence-BERT", EMNLP 2019.
    The embedding of the first token type, the only one used for single texts, is added to the positions'.
    """

    def __init__(self, architecture: TextArchitecture) -> None:
        super().__init__()
        a = self.architecture = architecture
        self.words = nn.Embedding(a.vocabulary, a.dim)
        self.places = nn.Embedding(a.positions, a.dim)
        self.norm = nn.LayerNorm(a.dim, eps=1e-12)
        self.layers = nn.ModuleList(_layer(a) for _ in range(a.layers))
        self.dropout = nn.Dropout(a.dropout)
        self.head = nn.Linear(a.dim, a.classes)

    def tokens(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Tokens (B, T, D) float32, zero where not valid, of ids (B, T) int64 and mask (B, T) bool."""
        x: torch.Tensor = self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            # torch's padding mask has the opposite sense of ours
            x = layer(x, src_key_padding_mask=~mask)
        return x * mask[..., None]

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, T, D) and logits (B, K)."""
        tokens = self.tokens(ids, mask)
        mean = tokens.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return tokens, self.head(self.dropout(mean))


def bert_weights(tensors: Mapping[str, np.ndarray], architecture: TextArchitecture) -> dict[str, torch.Tensor]:
    """The weights of a Hugging Face ``BertModel`` under the names of `TextNet`, without the head.

    Raises:
        WeightsError: if a weight is missing.
    """

    def get(name: str) -> torch.Tensor:
        try:
            return torch.from_numpy(np.array(tensors[name], np.float32))
        except KeyError:
            raise WeightsError(
                f"Not the weights of a BertModel of {architecture.layers} layers: no {name!r}."
            ) from None

    places = get("embeddings.position_embeddings.weight")[: architecture.positions]
    state = {
        "words.weight": get("embeddings.word_embeddings.weight"),
        "places.weight": places + get("embeddings.token_type_embeddings.weight")[0],
        "norm.weight": get("embeddings.LayerNorm.weight"),
        "norm.bias": get("embeddings.LayerNorm.bias"),
    }
    for i in range(architecture.layers):
        there, here = f"encoder.layer.{i}", f"layers.{i}"
        for part in ("weight", "bias"):
            state[f"{here}.self_attn.in_proj_{part}"] = torch.cat(
                [get(f"{there}.attention.self.{name}.{part}") for name in ("query", "key", "value")]
            )
            state[f"{here}.self_attn.out_proj.{part}"] = get(f"{there}.attention.output.dense.{part}")
            state[f"{here}.norm1.{part}"] = get(f"{there}.attention.output.LayerNorm.{part}")
            state[f"{here}.linear1.{part}"] = get(f"{there}.intermediate.dense.{part}")
            state[f"{here}.linear2.{part}"] = get(f"{there}.output.dense.{part}")
            state[f"{here}.norm2.{part}"] = get(f"{there}.output.LayerNorm.{part}")
    return state


class TextEncoder:
    """English words of one window in, tokens and seven class scores out.

    Args:
        net: the network; put into evaluation mode.
        tokenizer: its tokenizer, which adds the special tokens.
        languages: ISO 639-1 codes the network reads; words known to be in another language are absent words.
        card: corpora, scores and settings that travel with the weights into ``config.json``.
    """

    modality = "text"

    def __init__(
        self,
        net: TextNet,
        tokenizer: Tokenizer,
        *,
        labels: LabelSet = EKMAN7,
        languages: tuple[str, ...] = ("en",),
        device: str = "cpu",
        card: Mapping[str, Any] | None = None,
    ) -> None:
        self.net = net.to(device).eval()
        self.labels, self.languages, self.device = labels, languages, device
        self.dim = net.architecture.dim
        self.card = dict(card or {})
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(net.architecture.positions)

    def tokenize(self, text: str) -> np.ndarray:
        """Token ids (T,) int64 of ``text``, special ones included; T is at most the network's positions."""
        return np.array(self._tokenizer.encode(text).ids, np.int64)

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """Token ids (T,) int64 of the window's words.

        None where nothing was said, where there are signs but no word, where the words are known to be in a
        language the network doesn't read, or where most letters are not Latin ones.
        """
        words = evidence.text
        if words is None or (words.language is not None and words.language not in self.languages):
            return None
        letters = [sign for sign in words.text if sign.isalpha()]
        # Latin letters end at U+024F; beyond them the vocabulary knows single signs at best
        if not letters or 2 * sum(sign <= "\u024f" for sign in letters) < len(letters):
            return None
        return self.tokenize(words.text)

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows: tokens (B, T, D) with T the longest of them."""
        longest = max((len(ids) for ids in batch), default=0)
        ids = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros((len(batch), longest), bool)
        for row, window in enumerate(batch):
            ids[row, : len(window)] = window
            mask[row, : len(window)] = True
        if not longest:
            tokens, logits = np.zeros((*ids.shape, self.dim)), np.zeros((len(batch), len(self.labels)))
            return Encoding(tokens.astype(np.float32), mask, logits.astype(np.float32))
        with torch.inference_mode():
            tokens, logits = self.net(torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device))
        return Encoding(tokens.cpu().numpy(), mask, logits.cpu().numpy())

    def save(self, folder: str | Path) -> Path:
        """Write the encoder: word embeddings as int8 with one float32 scale a row, all else as float16."""
        tensors: dict[str, np.ndarray] = {}
        for name, value in self.net.state_dict().items():
            array = value.detach().cpu().float().numpy()
            if name == _WORDS:
                scale = np.maximum(np.abs(array).max(axis=1, keepdims=True) / 127, 1e-12).astype(np.float32)
                tensors[_WORDS] = np.rint(array / scale).astype(np.int8)
                tensors[_WORDS_SCALE] = scale
            else:
                tensors[name] = array.astype(np.float16)
        tokenizer = self._tokenizer.to_str().encode()
        config = {
            **self.card,
            "kind": KIND,
            "architecture": asdict(self.net.architecture),
            "preprocessing": {"lowercase": True, "max_tokens": self.net.architecture.positions},
            "labels": list(self.labels),
            "languages": list(self.languages),
            "tokenizer_sha256": hashlib.sha256(tokenizer).hexdigest(),
        }
        return save_checkpoint(folder, config, tensors, {TOKENIZER: tokenizer})

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> Self:
        """Read what `save` wrote; the network computes in float32.

        Raises:
            UnknownModelError: if the folder holds no weights.
            WeightsError: if they are damaged or of another kind.
        """
        found = load_checkpoint(folder, KIND)
        tokenizer = (found.folder / TOKENIZER).read_bytes() if (found.folder / TOKENIZER).is_file() else b""
        if hashlib.sha256(tokenizer).hexdigest() != found.config.get("tokenizer_sha256"):
            raise WeightsError(f"{found.folder / TOKENIZER} is missing or damaged. Fetch or train the model again.")
        arrays = {name: array.astype(np.float32) for name, array in found.tensors.items()}
        try:
            arrays[_WORDS] *= arrays.pop(_WORDS_SCALE)
            net = TextNet(TextArchitecture(**found.config["architecture"]))
            net.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()}, assign=True)
            labels = LabelSet("text", tuple(found.config["labels"]))
            languages = tuple(found.config["languages"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise WeightsError(f"{found.folder} does not hold the weights its config names: {error}") from None
        return cls(
            net,
            Tokenizer.from_str(tokenizer.decode()),
            labels=EKMAN7 if labels.labels == EKMAN7.labels else labels,
            languages=languages,
            device=device,
            card={k: v for k, v in found.config.items() if k not in ("format", "sha256")},
        )


def smaller_vocabulary(tokenizer: str, keep: set[int]) -> tuple[str, np.ndarray]:
    """A WordPiece tokenizer with part of its vocabulary; words that lose their piece are cut smaller.

    Args:
        tokenizer: the text of a ``tokenizer.json``.
        keep: ids to keep; special tokens and pieces of one character are kept always, so that no word that
            could be spelled becomes unknown.

    Returns:
        the text of the new ``tokenizer.json``, and the old ids in the order of the new ones, (V,) int64.
    """
    settings = json.loads(tokenizer)
    special = {token["content"] for token in settings["added_tokens"]}
    vocabulary: dict[str, int] = settings["model"]["vocab"]
    kept = sorted(
        (old, piece)
        for piece, old in vocabulary.items()
        if old in keep or piece in special or len(piece.removeprefix("##")) == 1
    )
    new = {piece: i for i, (_, piece) in enumerate(kept)}
    settings["model"]["vocab"] = new
    for token in settings["added_tokens"]:
        token["id"] = new[token["content"]]
    for token in settings["post_processor"].get("special_tokens", {}).values():
        token["ids"] = [new[piece] for piece in token["tokens"]]
    settings["padding"] = settings["truncation"] = None
    return json.dumps(settings, ensure_ascii=False), np.array([old for old, _ in kept], np.int64)
