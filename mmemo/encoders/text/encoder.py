"""The default text encoder: a small BERT for English and one for other languages, with a head over seven emotions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from tokenizers import Tokenizer

from mmemo.checkpoint import Checkpoint, checkpoint_files, checkpoint_kind, scale_name, to_int8
from mmemo.document import from_document
from mmemo.encoders.base import Encoder, Encoding, Gradients, concatenate
from mmemo.encoders.network_classifier import ExportedNetwork, NetworkClassifier, Parts
from mmemo.encoders.text.architecture import TextArchitecture
from mmemo.errors import WeightsError
from mmemo.evidence import Evidence, TextEvidence, Turn
from mmemo.labels import EKMAN7, LabelSet
from mmemo.speech.emoji_names import NamedText, holds_words, name_emoji

if TYPE_CHECKING:
    import torch

    from mmemo.encoders.text.network import TextNetwork

TOKENIZER = "tokenizer.json"
CONTEXT = 3
"""Highest number of lines before a line of dialogue that are encoded with it."""
CONTEXT_TOKENS = 40
"""Highest number of their word pieces; the latest are kept."""
MULTILINGUAL = "multilingual"
"""Subfolder with the encoder of other languages."""
_WORDS = "words.weight"


class TextEncoder(NetworkClassifier["TextNetwork"]):
    """Encoder of the modality "text" (see `mmemo.encoders.base.Encoder`) with one token a word piece.

    Args:
        network: in torch, put into evaluation mode; or an exported one.
        tokenizer: its tokenizer, which adds the special tokens.
        labels: its classes, in the order of its logits.
        languages: ISO 639-1 codes of the languages it was trained on; text known to be in another one is not encoded,
            unless a `multilingual` encoder reads it.
        context: number of lines before a window that are encoded with its own, at most `CONTEXT`.
        device: of a torch network: "auto", "cpu", "cuda", "mps".
        card: whatever else belongs into the ``config.json`` of the weights: corpora, split, scores.
        folder: of an encoder of other languages, loaded when a first text in one of them comes.

    Raises:
        WeightsError: if the tokenizer is not that of a BERT.

    >>> import mmemo
    >>> from pathlib import Path
    >>> from mmemo.encoders.text.encoder import TextEncoder
    >>> encoder = TextEncoder.load(Path(mmemo.__file__).parent / "weights" / "text")
    >>> encoding = encoder.encode([encoder.tokenize("What a lovely day!")])
    >>> encoder.labels[int(encoding.logits[0].argmax())]
    'happiness'
    """

    kind = "text-encoder"
    modality = "text"

    def __init__(
        self,
        network: TextNetwork | ExportedNetwork,
        tokenizer: Tokenizer,
        *,
        labels: LabelSet = EKMAN7,
        languages: tuple[str, ...] = ("en",),
        context: int = 0,
        device: str = "cpu",
        card: Mapping[str, Any] | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__(network, labels, device, card)
        self._folder, self._device = folder, device
        self.architecture = (
            from_document(TextArchitecture, network.checkpoint.config["architecture"], closed=True)
            if isinstance(network, ExportedNetwork)
            else network.architecture
        )
        self.languages, self.context, self.dim = languages, context, self.architecture.dim
        self.tokenizer = tokenizer
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.tokenizer.encode_special_tokens = True  # "[SEP]" within a text is no separator
        self.separator = self._id("[SEP]")

    @staticmethod
    def from_pretrained(name_or_path: str | Path, **settings: Any) -> Encoder:
        """A text encoder from any checkpoint: of mmemo, or a transformer of Hugging Face.

        Args:
            name_or_path: a folder that `save` or a recipe wrote, a folder with a Hugging Face checkpoint, or the name
                of a checkpoint on the Hugging Face Hub. Only such a name makes mmemo use the network.
            settings: ``device``; for a checkpoint of another project, what
                `mmemo.encoders.text.backbone.load_text_backbone` takes: the meaning of its labels, and its languages.

        Raises:
            UnknownModelError: if there is nothing of that name.
            WeightsError: if it is damaged, or no text classifier.
            LabelError: if the meaning of its labels is not known.
            MissingExtraError: if transformers is needed and not installed.
        """
        if checkpoint_kind(name_or_path) == TextEncoder.kind:
            return TextEncoder.load(name_or_path, **settings)
        from mmemo.encoders.external import SETTINGS
        from mmemo.encoders.text.backbone import TextBackboneEncoder, load_text_backbone

        if (Path(name_or_path).expanduser() / SETTINGS).is_file():
            return TextBackboneEncoder.load(Path(name_or_path).expanduser(), **settings)
        return load_text_backbone(name_or_path, **settings)

    def tokenize(self, text: str, context: Sequence[Turn] = (), speaker: str | None = None) -> np.ndarray:
        """Token ids (T,) int64 of ``text``, special ones included; T is at most the network's positions.

        Args:
            text: the line to be scored; its emoji are read by their names.
            context: the lines before it, oldest first. They precede the text, with a separator between, each marked
                with its speaker: "A" for ``speaker``, "B", "C" … for others, "-" for an unknown one.
            speaker: of ``text``.
        """
        longest = self.architecture.positions
        line = self.tokenizer.encode(self._named(text).text).ids
        if len(line) > longest:
            line = [*line[: longest - 1], self.separator]
        before: list[int] = []
        room = min(CONTEXT_TOKENS, longest - len(line) - 1)
        for marked in reversed(_marked(context[-CONTEXT:], speaker)):
            if len(before) >= room:
                break
            named = name_emoji(marked[-20 * longest :], self.languages).text
            turn = self.tokenizer.encode(named, add_special_tokens=False).ids
            before = [*turn[-(room - len(before)) :], *before]
        if before:
            line = [line[0], *before, self.separator, *line[1:]]
        return np.array(line, np.int64)

    @cached_property
    def multilingual(self) -> TextEncoder | None:
        """The encoder of other languages; None if there is none.

        Raises:
            WeightsError: if it is damaged, or has other labels or tokens than this one.
        """
        if self._folder is None:
            return None
        precision = self._run.precision if isinstance(self._run, ExportedNetwork) else "auto"
        other = TextEncoder.load(self._folder, self._device, precision)
        if (other.labels, other.dim) != (self.labels, self.dim):
            raise WeightsError(f"{self._folder} has other labels, or tokens of another width, than the encoder around.")
        return other

    def reads(self, language: str) -> bool:
        """Whether texts in a language are scored, by this encoder or the multilingual one."""
        return language in self.languages or (self.multilingual is not None and language in self.multilingual.languages)

    def reads_poorly(self, language: str) -> bool:
        """Whether texts in a language go to the multilingual encoder, and its card lists the language as weak."""
        other = None if language in self.languages else self.multilingual
        return other is not None and language in other.card.get("weak_languages", ())

    def reader(self, text: TextEvidence | None) -> TextEncoder | None:
        """The encoder that reads a text: this one, or the multilingual one, also where the language is not known.

        None without words (letters or emoji), and with words that neither was trained to read: in another language, or
        with mostly non-Latin letters. Emoji alone are in any language.
        """
        if text is None or not holds_words(text.text):
            return None
        letters = [character for character in text.text if character.isalpha()]
        # Latin letters end at U+024F; beyond them an English vocabulary has single characters at best
        readable = self.languages != ("en",) or 2 * sum(one <= "\u024f" for one in letters) >= len(letters)
        if readable and (not letters or text.language in self.languages):
            return self
        other = self.multilingual
        if other is not None and (text.language is None or self.reads(text.language)):
            return other
        return self if readable and text.language is None else None

    def prepare(self, evidence: Evidence) -> np.ndarray | None:
        """Token ids (T,) int64 of the window's words; None where `reader` finds no encoder for them.

        The pieces of the multilingual encoder follow those of this one: its ids begin at the size of this vocabulary.
        """
        text = evidence.text
        reader = self.reader(text)
        if text is None or reader is None:
            return None
        before = text.context[-reader.context :] if reader.context else ()
        ids = reader.tokenize(text.text, before, text.speaker)
        return ids if reader is self else ids + self.architecture.vocabulary

    def encode(self, batch: Sequence[np.ndarray]) -> Encoding:
        """Encode B prepared windows: tokens (B, T, D) with T the longest of them; none depends on the others."""
        if not batch:
            nothing = np.zeros((0, 0, self.dim), np.float32)
            return Encoding(nothing, np.zeros((0, 0), bool), np.zeros((0, len(self.labels)), np.float32))
        first = self.architecture.vocabulary
        foreign = np.array([text[0] >= first for text in batch])
        if foreign.any() and self.multilingual is not None:
            own = [text for text, other in zip(batch, foreign, strict=True) if not other]
            others = [text - first for text, other in zip(batch, foreign, strict=True) if other]
            both = [*([self.encode(own)] if own else []), self.multilingual.encode(others)]
            return concatenate(both).rows(np.argsort(np.argsort(foreign, kind="stable")))
        parts = [[text] for text in batch] if self._apart else [batch]
        inputs = [pad_ids(part, self.separator) for part in parts]
        encodings = []
        for (_, mask, _), (tokens, logits, *affect) in zip(inputs, self._run_each(inputs), strict=True):
            encodings.append(Encoding(tokens, mask, logits, affect=affect[0] if affect else None))
        return encodings[0] if len(encodings) == 1 else concatenate(encodings)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end in ``text`` of each of its tokens; (0, 0) for special ones, none for those that are cut off."""
        longest, named = self.architecture.positions, self._named(text)
        spans = [named.original(span) for span in self.tokenizer.encode(named.text).offsets]
        return [*spans[: longest - 1], (0, 0)] if len(spans) > longest else spans

    def _named(self, text: str) -> NamedText:
        text = text[: 20 * self.architecture.positions]
        small = text.lower() if text.isupper() else text  # of words in capitals the network has few pieces
        return name_emoji(small if len(small) == len(text) else text, self.languages)

    def gradients(self, label: int, temperature: float, prior: np.ndarray) -> Gradients:
        """The differentiable part for one label, by its index in `labels`.

        Args:
            temperature: of the model for this encoder.
            prior: (K,) shares of the model for this encoder.
        """
        import torch

        log_prior = torch.from_numpy(np.log(prior)).float()

        def forward(ids: torch.Tensor) -> torch.Tensor:
            scored = [pad_ids([row], self.separator)[2][0] for row in ids.cpu().numpy()]
            mask = torch.ones_like(ids, dtype=torch.bool)
            logits = self.network(ids, mask, torch.from_numpy(np.stack(scored)).to(ids.device))[1]
            chosen: torch.Tensor = (logits / temperature - log_prior.to(logits.device)).log_softmax(-1)[:, label]
            return chosen

        special = {self._id("[CLS]"), self._id("[SEP]")}
        return Gradients(forward, self.network.words, special, self._id("[PAD]"))

    def _id(self, token: str) -> int:
        index: int | None = self.tokenizer.token_to_id(token)
        if index is None:
            raise WeightsError(f"The tokenizer has no {token}; it is not the one of a BERT.")
        return index

    def state(self) -> Parts:
        """All that `save` writes; the embeddings of words in int8, with a scale a row."""
        config, tensors, files = super().state()
        if scale_name(_WORDS) not in tensors:
            tensors |= to_int8(_WORDS, self.network.words.weight.detach().cpu().float().numpy())
        if self.multilingual is not None:
            others = checkpoint_files(*self.multilingual.state())
            files = files | {f"{MULTILINGUAL}/{name}": content for name, content in others.items()}
        return Parts(config, tensors, files)

    @classmethod
    def _build(cls, config: Mapping[str, Any]) -> TextNetwork:
        from mmemo.encoders.text.network import TextNetwork

        return TextNetwork(TextArchitecture(**config["architecture"]))

    @classmethod
    def _of(cls, checkpoint: Checkpoint, network: TextNetwork | ExportedNetwork, labels: LabelSet, device: str) -> Self:
        config, file = checkpoint.config, checkpoint.folder / TOKENIZER
        other = checkpoint.folder / MULTILINGUAL
        tokenizer = file.read_bytes() if file.is_file() else b""
        if hashlib.sha256(tokenizer).hexdigest() != config.get("tokenizer_sha256"):
            raise WeightsError(f"{file} is missing or damaged. Fetch or train the model again.")
        return cls(
            network,
            Tokenizer.from_str(tokenizer.decode()),
            labels=labels,
            languages=tuple(config["languages"]),
            context=int(config.get("context", 0)),
            device=device,
            card=config,
            folder=other if other.is_dir() else None,
        )

    def _settings(self) -> Parts:
        tokenizer = self.tokenizer.to_str().encode()
        config = {
            "architecture": asdict(self.architecture),
            "preprocessing": {"max_tokens": self.architecture.positions},
            "languages": list(self.languages),
            "context": self.context,
            "tokenizer_sha256": hashlib.sha256(tokenizer).hexdigest(),
        }
        return Parts(config, {}, {TOKENIZER: tokenizer})


def pad_ids(batch: Sequence[np.ndarray], separator: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids (B, T) int64 of B texts, zero beyond each length, their mask (B, T) bool, and the scored ones (B, T) bool.

    Tokens before the last separator but one are context: they are encoded, and not scored.
    """
    longest = max((len(ids) for ids in batch), default=0)
    ids = np.zeros((len(batch), longest), np.int64)
    mask, scored = np.zeros(ids.shape, bool), np.zeros(ids.shape, bool)
    for row, text in enumerate(batch):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = True
        ends = np.flatnonzero(text == separator)
        scored[row, ends[-2] + 1 if len(ends) > 1 else 0 : len(text)] = True
    return ids, mask, scored


def _marked(context: Sequence[Turn], speaker: str | None) -> list[str]:
    """The lines of a context with the marks of their speakers; the nearest other speaker is "B"."""
    others: list[str] = []
    for turn in reversed(context):
        if turn.speaker not in (None, speaker, *others):
            others.append(str(turn.speaker))
    marks = {name: chr(ord("B") + place) for place, name in enumerate(others)}
    return [
        f"{'-' if turn.speaker is None else 'A' if turn.speaker == speaker else marks[turn.speaker]}: {turn.text}"
        for turn in context
    ]
