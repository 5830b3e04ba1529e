"""Network of the text encoder: BERT in torch, and the conversion of its weights from Hugging Face."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mmemo.encoders.text.architecture import TextArchitecture
from mmemo.encoders.torch_network import Signature, self_attention
from mmemo.errors import WeightsError


class Layer(nn.TransformerEncoderLayer):
    """A layer of BERT with the weights of torch's own layer, computed plainly, so that it can be exported."""

    def __init__(self, architecture: TextArchitecture) -> None:
        a = architecture
        super().__init__(a.dim, a.heads, a.inner, a.dropout, "gelu", layer_norm_eps=1e-12, batch_first=True)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """(B, T, D) to the same; ``mask`` (B, T) bool is True for the tokens to attend to."""
        x = self.norm1(x + self.dropout1(self_attention(self.self_attn, x, mask)))
        # torch's own layer has dropout inside the feed-forward block too, BERT has not
        y: torch.Tensor = self.norm2(x + self.dropout2(self.linear2(functional.gelu(self.linear1(x)))))
        return y


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
        self.layers = nn.ModuleList(Layer(a) for _ in range(a.layers))
        self.dropout = nn.Dropout(a.dropout)
        self.head = nn.Linear(a.dim, a.classes)
        self.affect = nn.Linear(a.dim, a.affect) if a.affect else None

    def tokens(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Tokens (B, T, D) float32, zero where not valid, of ids (B, T) int64 and mask (B, T) bool."""
        x: torch.Tensor = self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            x = layer(x, mask)
        return x * mask[..., None]

    def pool(self, tokens: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
        """Input of the heads: the mean (B, D) of tokens (B, T, D) where ``scored`` (B, T) bool is True."""
        mean = (tokens * scored[..., None]).sum(1) / scored.sum(1, keepdim=True).clamp(min=1)
        dropped: torch.Tensor = self.dropout(mean)
        return dropped

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, scored: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Tokens (B, T, D), logits (B, K), and affect (B, 3) if the network has a head for it.

        Args:
            ids: (B, T) int64.
            mask: (B, T) bool, True = valid.
            scored: (B, T) bool, the tokens that are scored; those before them are context. All valid ones if None.
        """
        tokens = self.tokens(ids, mask)
        summary = self.pool(tokens, mask if scored is None else scored)
        return tokens, self.head(summary), None if self.affect is None else self.affect(summary)

    def signature(self) -> Signature:
        """Its inputs and outputs."""
        mask = torch.ones(2, 5, dtype=torch.bool)
        inputs = {"ids": torch.zeros(2, 5, dtype=torch.int64), "mask": mask, "scored": mask}
        axes = {name: {0: "texts", 1: "tokens"} for name in (*inputs, "tokens")}
        outputs = ("tokens", "logits") if self.affect is None else ("tokens", "logits", "affect")
        return Signature(inputs, outputs, {**axes, **{name: {0: "texts"} for name in outputs[1:]}})


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


SPECIAL = {"<s>": "[CLS]", "</s>": "[SEP]", "<pad>": "[PAD]", "<unk>": "[UNK]"}
"""Names that the special pieces of a Unigram tokenizer get: those of a BERT, so that one encoder reads both."""


def smaller_vocabulary(tokenizer: str, keep: set[int]) -> tuple[str, np.ndarray]:
    """A tokenizer with part of its vocabulary; words that lose their piece are split into smaller ones.

    Args:
        tokenizer: the text of a ``tokenizer.json``: WordPiece, or Unigram, whose special pieces are renamed.
        keep: ids to keep. Special tokens are always kept, and of WordPiece the pieces of one character, so that no word
            that could be spelled becomes unknown; Unigram has those of every script, and loses what isn't named.

    Returns:
        The text of the new ``tokenizer.json``, and the old ids in the order of the new ones, (V,) int64.
    """
    settings = json.loads(tokenizer)
    settings["padding"] = settings["truncation"] = None
    shrink = _smaller_unigram if settings["model"]["type"] == "Unigram" else _smaller_wordpiece
    old = shrink(settings, keep)
    return json.dumps(settings, ensure_ascii=False), old


def _smaller_wordpiece(settings: dict[str, Any], keep: set[int]) -> np.ndarray:
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
    return np.array([old for old, _ in kept], np.int64)


def _smaller_unigram(settings: dict[str, Any], keep: set[int]) -> np.ndarray:
    pieces: list[tuple[str, float]] = settings["model"]["vocab"]
    places = {piece: old for old, (piece, _) in enumerate(pieces) if piece in SPECIAL}
    kept = [places["<pad>"], *(old for old in sorted(keep | {*places.values()}) if old != places["<pad>"])]  # it is 0
    kept = [old for old in kept if pieces[old][0] != "<mask>"]
    names = [SPECIAL.get(pieces[old][0], pieces[old][0]) for old in kept]
    new = {name: names.index(name) for name in SPECIAL.values()}
    vocabulary = [[name, round(pieces[old][1], 3)] for name, old in zip(names, kept, strict=True)]
    settings["model"] |= {"vocab": vocabulary, "unk_id": new["[UNK]"]}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    settings["added_tokens"] = [
        {"id": place, "content": name, **flags, "special": True}
        for name, place in sorted(new.items(), key=lambda x: x[1])
    ]
    start, end = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("[CLS]", "[SEP]"))
    text, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    settings["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [start, text, end],
        "pair": [start, text, end, second, end],
        "special_tokens": {name: {"id": name, "ids": [new[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")},
    }
    return np.array(kept, np.int64)
