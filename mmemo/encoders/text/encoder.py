"""The words: a small BERT of torch's own layers that reads English lines, with a head over seven emotions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from mmemo.checkpoint import checkpoint_kind, load_checkpoint, save_checkpoint
from mmemo.encoders.base import Encoder, Encoding
from mmemo.encoders.text.network import TextArchitecture, TextNetwork
from mmemo.errors import WeightsError
from mmemo.evidence import Evidence, Turn
from mmemo.labels import EKMAN7, LabelSet

KIND = "text-encoder"
TOKENIZER = "tokenizer.json"
CONTEXT = 3
"""Lines before a line of dialogue that are read with it, at most."""
CONTEXT_TOKENS = 40
"""Word pieces of them, at most; the latest are kept."""
Gradients = tuple[Callable[[torch.Tensor], torch.Tensor], nn.Module, set[int], int]
"""The logarithm of a label's share (B,) of ids (B, T), the embedding of the ids, the ids of special tokens, padding."""
_WORDS, _WORDS_SCALE = "words.weight", "words.scale"


class TextEncoder:
    """English words of one window in, tokens and seven class scores out.

    Args:
        network: the network; put into evaluation mode.
        tokenizer: its tokenizer, which adds the special tokens.
        languages: ISO 639-1 codes the network reads; words known to be in another language are absent words.
        context: how many of the lines before a window are read with its own, at most `CONTEXT`.
        card: corpora, scores and settings that travel with the weights into ``config.json``.
    """

    modality = "text"

    def __init__(
        self,
        network: TextNetwork,
        tokenizer: Tokenizer,
        *,
        labels: LabelSet = EKMAN7,
        languages: tuple[str, ...] = ("en",),
        context: int = 0,
        device: str = "cpu",
        card: Mapping[str, Any] | None = None,
    ) -> None:
        self.network = network.to(device).eval()
        self.labels, self.languages, self.context, self.device = labels, languages, context, device
        self.dim = network.architecture.dim
        self.card = dict(card or {})
        self.tokenizer = tokenizer
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.tokenizer.encode_special_tokens = True  # a "[SEP]" that somebody wrote is no separator
        self.separator = self._id("[SEP]")

    @staticmethod
    def from_pretrained(name_or_path: str | Path, **settings: Any) -> Encoder:
        """A text encoder from any checkpoint: one of ours, or a transformer of Hugging Face.

        Args:
            name_or_path: a folder that `save` or a recipe wrote, a folder with a Hugging Face checkpoint, or the name
                of a checkpoint on the Hugging Face Hub. Only such a name makes mmemo use the network.
            settings: ``device``; for a checkpoint of another project, what
                `mmemo.encoders.text.backbone.load_text_backbone` takes: what its labels mean, and its languages.

        Raises:
            UnknownModelError: if nothing of that name is found.
            WeightsError: if it is damaged, or no text classifier.
            LabelError: if the meaning of its labels is not known.
            MissingExtraError: if transformers is needed and not installed.
        """
        if checkpoint_kind(name_or_path) == KIND:
            return TextEncoder.load(name_or_path, **settings)
        from mmemo.encoders.text.backbone import SETTINGS, TextBackboneEncoder, load_text_backbone

        if (Path(name_or_path).expanduser() / SETTINGS).is_file():
            return TextBackboneEncoder.load(Path(name_or_path).expanduser(), **settings)
        return load_text_backbone(name_or_path, **settings)

    def tokenize(self, text: str, context: Sequence[Turn] = (), speaker: str | None = None) -> np.ndarray:
        """Token ids (T,) int64 of ``text``, special ones included; T is at most the network's positions.

        Args:
            context: the lines before it, oldest first. Each is marked with who says it, seen from ``speaker``: "A" the
                same person, "B", "C" … others, "-" somebody. They stand before the text, with a separator between.
        """
        longest = self.network.architecture.positions
        line = self.tokenizer.encode(text[: 20 * longest]).ids
        if len(line) > longest:
            line = [*line[: longest - 1], self.separator]
        before: list[int] = []
        room = min(CONTEXT_TOKENS, longest - len(line) - 1)
        for marked in reversed(_marked(context[-CONTEXT:], speaker)):
            if len(before) >= room:
                break
            turn = self.tokenizer.encode(marked[-20 * longest :], add_special_tokens=False).ids
            before = [*turn[-(room - len(before)) :], *before]
        if before:
            line = [line[0], *before, self.separator, *line[1:]]
        return np.array(line, np.int64)

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
        before = words.context[-self.context :] if self.context else ()
        return self.tokenize(words.text, before, words.speaker)

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows: tokens (B, T, D) with T the longest of them."""
        ids, mask, said = padded(batch, self.separator)
        if not ids.size:
            tokens, logits = np.zeros((*ids.shape, self.dim)), np.zeros((len(batch), len(self.labels)))
            return Encoding(tokens.astype(np.float32), mask, logits.astype(np.float32))
        with torch.inference_mode():
            inputs = [torch.from_numpy(array).to(self.device) for array in (ids, mask, said)]
            tokens, logits = self.network(*inputs)
            affect = None
            if self.network.affect is not None:
                affect = self.network.affect(self.network.summary(tokens, inputs[2])).cpu().numpy()
        return Encoding(tokens.cpu().numpy(), mask, logits.cpu().numpy(), affect=affect)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where in ``text`` each of its tokens is, start and end; special ones and what is cut off are nowhere."""
        longest = self.network.architecture.positions
        spans = self.tokenizer.encode(text[: 20 * longest]).offsets
        return [*spans[: longest - 1], (0, 0)] if len(spans) > longest else list(spans)

    def gradients(self, label: int, temperature: float) -> Gradients:
        """What an explanation needs, see `Gradients`; ``label`` is its place, ``temperature`` the model's."""

        def forward(ids: torch.Tensor) -> torch.Tensor:
            said = [padded([row], self.separator)[2][0] for row in ids.cpu().numpy()]
            mask = torch.ones_like(ids, dtype=torch.bool)
            logits = self.network(ids, mask, torch.from_numpy(np.stack(said)).to(ids.device))[1]
            chosen: torch.Tensor = (logits / temperature).log_softmax(-1)[:, label]
            return chosen

        return forward, self.network.words, {self._id("[CLS]"), self._id("[SEP]")}, self._id("[PAD]")

    def _id(self, token: str) -> int:
        found: int | None = self.tokenizer.token_to_id(token)
        if found is None:
            raise WeightsError(f"The tokenizer has no {token}; it is not the one of a BERT.")
        return found

    def save(self, folder: str | Path) -> Path:
        """Write the encoder: word embeddings as int8 with one float32 scale a row, all else as float16."""
        tensors: dict[str, np.ndarray] = {}
        for name, value in self.network.state_dict().items():
            array = value.detach().cpu().float().numpy()
            if name == _WORDS:
                scale = np.maximum(np.abs(array).max(axis=1, keepdims=True) / 127, 1e-12).astype(np.float32)
                tensors[_WORDS] = np.rint(array / scale).astype(np.int8)
                tensors[_WORDS_SCALE] = scale
            else:
                tensors[name] = array.astype(np.float16)
        tokenizer = self.tokenizer.to_str().encode()
        config = {
            **self.card,
            "kind": KIND,
            "architecture": asdict(self.network.architecture),
            "preprocessing": {"lowercase": True, "max_tokens": self.network.architecture.positions},
            "labels": list(self.labels),
            "languages": list(self.languages),
            "context": self.context,
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
            network = TextNetwork(TextArchitecture(**found.config["architecture"]))
            network.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()}, assign=True)
            labels = LabelSet("text", tuple(found.config["labels"]))
            languages = tuple(found.config["languages"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise WeightsError(f"{found.folder} does not hold the weights its config names: {error}") from None
        return cls(
            network,
            Tokenizer.from_str(tokenizer.decode()),
            labels=EKMAN7 if labels.labels == EKMAN7.labels else labels,
            languages=languages,
            context=int(found.config.get("context", 0)),
            device=device,
            card={k: v for k, v in found.config.items() if k not in ("format", "sha256")},
        )


def padded(batch: Sequence[np.ndarray], separator: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids (B, T) int64 of B texts, which of them are valid (B, T) bool, and which are to be judged (B, T) bool.

    What stands before the last separator but one is context: it is read, and not judged.
    """
    longest = max((len(ids) for ids in batch), default=0)
    ids = np.zeros((len(batch), longest), np.int64)
    mask, said = np.zeros(ids.shape, bool), np.zeros(ids.shape, bool)
    for row, text in enumerate(batch):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = True
        ends = np.flatnonzero(text == separator)
        said[row, ends[-2] + 1 if len(ends) > 1 else 0 : len(text)] = True
    return ids, mask, said


def _marked(context: Sequence[Turn], speaker: str | None) -> list[str]:
    """The lines with the marks of their speakers; the nearest of the others is "B"."""
    others: list[str] = []
    for turn in reversed(context):
        if turn.speaker not in (None, speaker, *others):
            others.append(str(turn.speaker))
    marks = {name: chr(ord("B") + place) for place, name in enumerate(others)}
    return [
        f"{'-' if turn.speaker is None else 'A' if turn.speaker == speaker else marks[turn.speaker]}: {turn.text}"
        for turn in context
    ]
