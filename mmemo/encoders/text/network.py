"""Network of the text encoder: BERT in torch's own layers, and the conversion of its weights from Hugging Face."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mmemo.errors import WeightsError
from mmemo.labels import EKMAN7


@dataclass(frozen=True)
class TextArchitecture:
    """Sizes of a `TextNetwork`; the defaults are those of all-MiniLM-L6-v2 with a vocabulary of its own.

    Attributes:
        vocabulary: V, the number of word pieces.
        dim: D, the width of a token.
        layers: number of transformer layers.
        heads: attention heads of each layer.
        inner: width of the feed-forward blocks.
        positions: highest number of tokens of a text, with the two special ones; longer texts are cut.
        classes: K.
        dropout: in training.
        affect: outputs of a second head: 3 for valence, arousal and dominance, 0 for none.
    """

    vocabulary: int
    dim: int = 384
    layers: int = 6
    heads: int = 12
    inner: int = 1536
    positions: int = 128
    classes: int = len(EKMAN7)
    dropout: float = 0.1
    affect: int = 0


def _layer(a: TextArchitecture) -> nn.TransformerEncoderLayer:
    layer = nn.TransformerEncoderLayer(
        a.dim, a.heads, a.inner, a.dropout, "gelu", layer_norm_eps=1e-12, batch_first=True
    )
    layer.dropout.p = 0.0  # torch has dropout inside the feed-forward block too, BERT has not
    return layer


class TextNetwork(nn.Module):
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
        self.affect = nn.Linear(a.dim, a.affect) if a.affect else None

    def tokens(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Tokens (B, T, D) float32, zero where not valid, of ids (B, T) int64 and mask (B, T) bool."""
        x: torch.Tensor = self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            # torch's padding mask is True for padding
            x = layer(x, src_key_padding_mask=~mask)
        return x * mask[..., None]

    def pool(self, tokens: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
        """Input of the heads: the mean (B, D) of tokens (B, T, D) where ``scored`` (B, T) bool is True."""
        mean = (tokens * scored[..., None]).sum(1) / scored.sum(1, keepdim=True).clamp(min=1)
        dropped: torch.Tensor = self.dropout(mean)
        return dropped

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, scored: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, T, D) and logits (B, K).

        Args:
            ids: (B, T) int64.
            mask: (B, T) bool, True = valid.
            scored: (B, T) bool, the tokens that are scored; those before them are context. All valid ones if None.
        """
        tokens = self.tokens(ids, mask)
        return tokens, self.head(self.pool(tokens, mask if scored is None else scored))


def bert_weights(tensors: Mapping[str, np.ndarray], architecture: TextArchitecture) -> dict[str, torch.Tensor]:
    """State of a `TextNetwork`, without the head, from the weights of a Hugging Face ``BertModel``.

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


def smaller_vocabulary(tokenizer: str, keep: set[int]) -> tuple[str, np.ndarray]:
    """A WordPiece tokenizer with part of its vocabulary; words that lose their piece are split into smaller ones.

    Args:
        tokenizer: the text of a ``tokenizer.json``.
        keep: ids to keep; special tokens and pieces of one character are always kept, so that no word that could be
            spelled becomes unknown.

    Returns:
        The text of the new ``tokenizer.json``, and the old ids in the order of the new ones, (V,) int64.
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
