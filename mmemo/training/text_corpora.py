"""Text corpora for training: labels as shares of seven classes, without leaks between splits, sampled in batches."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch

from mmemo.clip import Clip
from mmemo.encoders.text.encoder import CONTEXT, TextEncoder, pad_ids
from mmemo.evidence import Turn
from mmemo.labels import EKMAN7, GOEMOTIONS28, LabelMapping

DISTINCTIVE = 4
"""Words from which a line of dialogue counts as unique: an evaluated line of that length is no context in training."""


@dataclass(frozen=True, eq=False)
class Row:
    """One text of a corpus.

    Attributes:
        text: the line.
        target: (7,) float32, shares of `EKMAN7`; all zero where the corpus has no classes.
        group: id of the dialogue, else of the text.
        speaker: of a line of dialogue, else empty.
        context: the lines before it, oldest first.
        fine: (28,) float32 of 0 and 1 in the order of `GOEMOTIONS28`, or None.
        affect: (3,) float32, valence, arousal and dominance on the scale of the corpus, or None.
        bound: whether the target holds only after the context, which is then never left out.
    """

    text: str
    target: np.ndarray
    group: str
    speaker: str = ""
    context: tuple[Turn, ...] = ()
    fine: np.ndarray | None = None
    affect: np.ndarray | None = None
    bound: bool = False


Corpus = dict[str, list[Row]]
"""Rows by split: "train", "val", "test"."""


def read_rows(clips: Sequence[Clip], mapping: LabelMapping | None) -> Corpus:
    """Rows from the clips of a corpus that have words, a split and a target.

    The target of a text with several labels is divided among those that have a counterpart. Lines of a dialogue get the
    lines before them as context, with those whose own label has no counterpart.

    Args:
        clips: of one corpus.
        mapping: to `EKMAN7`; None for a corpus of valence, arousal and dominance.
    """
    corpus: Corpus = {"train": [], "val": [], "test": []}
    ordered = sorted(clips, key=lambda clip: (clip.split or "", clip.dialogue or "", clip.turn or 0))
    for (split, dialogue), group in groupby(ordered, key=lambda clip: (clip.split or "", clip.dialogue)):
        before: tuple[Turn, ...] = ()
        for clip in group:
            text = (clip.text or "").strip()
            labels = (clip.extra.get("labels") or clip.label or "").split("|")
            mapped = {to for label in labels if label and mapping and (to := mapping(label)) is not None}
            affect = None
            if clip.valence is not None:
                affect = np.array([clip.valence, clip.arousal, clip.dominance], np.float32)
            if split in corpus and text_key(text) and (mapped or affect is not None):
                target = np.array([label in mapped for label in EKMAN7], np.float32)
                fine = None
                if mapping is not None and mapping.source is GOEMOTIONS28:
                    fine = np.array([label in labels for label in GOEMOTIONS28], np.float32)
                speaker = clip.speaker or ""
                target /= max(1, len(mapped))
                corpus[split].append(Row(text, target, dialogue or clip.id, speaker, before, fine, affect))
            if dialogue:
                before = (*before, Turn(text, clip.speaker))[-CONTEXT:]
    return corpus


def text_key(text: str) -> str:
    """Key shared by texts that differ only in case, punctuation and blanks; empty for a text without letters."""
    return " ".join(re.findall(r"\w+", text.lower())) if re.search(r"[^\W\d_]", text) else ""


def remove_leaks(corpora: Mapping[str, Corpus]) -> dict[str, Corpus]:
    """The corpora without texts that are both in a training split and in an evaluation split.

    Two corpora may be of the same series. Evaluation texts of one are removed from the training splits of the corpora
    after it; then evaluation texts that are still in any training split are removed. Evaluation lines of four words or
    more are removed from the contexts of training too.
    """
    clean: dict[str, Corpus] = {}
    evaluated: set[str] = set()
    for name, corpus in corpora.items():
        clean[name] = {"train": [row for row in corpus["train"] if text_key(row.text) not in evaluated]}
        evaluated |= {text_key(row.text) for split in ("val", "test") for row in corpus[split]}
    trained = {text_key(row.text) for corpus in clean.values() for row in corpus["train"]}
    distinctive = {text for text in evaluated if len(text.split()) >= DISTINCTIVE}
    for name, corpus in corpora.items():
        for split in ("val", "test"):
            clean[name][split] = [row for row in corpus[split] if text_key(row.text) not in trained]
        clean[name]["train"] = [
            replace(row, context=tuple(turn for turn in row.context if text_key(turn.text) not in distinctive))
            for row in clean[name]["train"]
        ]
    return clean


NAMES = ("Anna", "Sam", "Maria", "Peter", "Lee", "Fatima", "David", "Sofia", "Omar", "Kate")


def fill_names(text: str, rng: np.random.Generator) -> str:
    """The text with a real name in the place of ``[NAME]``, GoEmotions' placeholder, half of the time."""
    if "[" not in text or rng.random() < 0.5:
        return text
    return text.replace("[NAME]", str(rng.choice(NAMES))).replace("[RELIGION]", "religion")


def roughen(text: str, rng: np.random.Generator) -> str:
    """The text as people type it in a hurry or a rage: in capitals, or with letters swapped, dropped or drawn out."""
    if rng.random() < 0.3:
        return text.upper()
    places = [i for i in range(1, len(text) - 1) if text[i - 1 : i + 2].isalpha() and text[i] < "\u0250"]
    letters = list(text)
    for i in rng.permutation(places)[: 1 + len(places) // 25]:
        kind = rng.integers(3)
        if kind == 0:
            letters[i], letters[i + 1] = letters[i + 1], letters[i]
        else:
            letters[i] = "" if kind == 1 else letters[i] * int(rng.integers(2, 5))
    return "".join(letters)


@dataclass(frozen=True)
class Batch:
    """A batch of B texts of T tokens.

    Attributes:
        ids: (B, T) int64, see `mmemo.encoders.text.encoder.pad_ids`.
        mask: (B, T) bool, True = valid.
        scored: (B, T) bool, True for tokens that are no context.
        target: (B, 7) float32 shares; all zero where there are no classes.
        prior: (B, 7) float32, log share of each class among the draws from the row's corpus.
        weight: (B,) float32, of the row's corpus in the loss.
        fine: (B, 28) float32; NaN where it is not known.
        affect: (B, 3) float32; NaN where it is not known.
        several: (B,) bool, whether the row's corpus gives all labels of a text.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    scored: torch.Tensor
    target: torch.Tensor
    prior: torch.Tensor
    weight: torch.Tensor
    fine: torch.Tensor
    affect: torch.Tensor
    several: torch.Tensor


NEVER = -20.0
"""Log share of a class that a corpus does not have."""


class Sampler:
    """Sampler of batches of texts of similar length, drawn anew each epoch with soft class balancing.

    A text is drawn with a probability in proportion to (how often its rarest label occurs in its corpus) ** -balance:
    0 leaves the corpus as it is, 1 makes all classes equally frequent.

    Args:
        corpora: training rows by name.
        draws: how many of each in an epoch.
        weights: of each corpus in the loss; 1 if it is not named.
        encoder: whose tokenizer is used.
        balance: the exponent, 0 to 1.
        batch: texts in a batch.
        tokens: longest text; longer ones are cut.
        with_context: share of the lines of dialogue that come with the lines before them, half of these without speaker
            marks.
        several: names of the corpora that give all labels of a text.
        rough: share of the texts that are changed by `roughen`.
    """

    def __init__(
        self,
        corpora: Mapping[str, Sequence[Row]],
        draws: Mapping[str, int],
        weights: Mapping[str, float],
        encoder: TextEncoder,
        *,
        balance: float,
        batch: int,
        tokens: int,
        with_context: float,
        several: Collection[str] = (),
        rough: float = 0.0,
    ) -> None:
        self.rows = {name: corpora[name] for name in draws}
        self.draws, self.weights, self.encoder = dict(draws), weights, encoder
        self.batch, self.tokens, self.with_context = batch, tokens, with_context
        self.several, self.rough = frozenset(several), rough
        self.probabilities, self.priors = {}, {}
        for name, rows in self.rows.items():
            shares = np.stack([row.target for row in rows])
            counts = np.where(shares > 0, (shares > 0).sum(axis=0), len(rows) + 1).min(axis=1)
            weight = counts.astype(float) ** -balance
            self.probabilities[name] = weight / weight.sum()
            self.priors[name] = np.log(np.maximum(self.probabilities[name] @ shares, np.exp(NEVER))).astype(np.float32)

    @property
    def steps(self) -> int:
        """Number of batches an epoch."""
        return sum(self.draws.values()) // self.batch

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of this epoch, the same ones each time."""
        rng = np.random.default_rng(epoch)
        chosen = [
            (name, self.rows[name][i])
            for name, count in self.draws.items()
            for i in rng.choice(len(self.rows[name]), count, p=self.probabilities[name])
        ]
        ids = [self._tokens(row, rng) for _, row in chosen]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]) + 2 * rng.random())
        batches = [order[i * self.batch : (i + 1) * self.batch] for i in range(self.steps)]
        for number in rng.permutation(self.steps):
            yield self._batch([(*chosen[i], ids[i]) for i in batches[number]])

    def _tokens(self, row: Row, rng: np.random.Generator) -> np.ndarray:
        context: tuple[Turn, ...] = ()
        if row.bound:
            context = row.context
        elif row.context and rng.random() < self.with_context:
            context = row.context[-int(rng.integers(1, CONTEXT + 1)) :]
            if rng.random() < 0.5:
                context = tuple(Turn(turn.text) for turn in context)
        text = fill_names(row.text, rng)
        if rng.random() < self.rough:
            text = roughen(text, rng)
        ids = self.encoder.tokenize(text, context, row.speaker or None)
        return ids if context else ids[: self.tokens]

    def _batch(self, drawn: Sequence[tuple[str, Row, np.ndarray]]) -> Batch:
        texts = [ids for _, _, ids in drawn]
        # a few lengths only: the first batch of each costs seconds of preparation in bfloat16
        longest = -(-max(map(len, texts)) // 8) * 8
        arrays = [np.pad(a, ((0, 0), (0, longest - a.shape[1]))) for a in pad_ids(texts, self.encoder.separator)]
        unknown_fine, unknown_affect = np.full(len(GOEMOTIONS28), np.nan, np.float32), np.full(3, np.nan, np.float32)
        fine = [unknown_fine if row.fine is None else row.fine for _, row, _ in drawn]
        affect = [unknown_affect if row.affect is None else row.affect for _, row, _ in drawn]
        ids, mask, scored = map(torch.from_numpy, arrays)
        return Batch(
            ids,
            mask,
            scored,
            target=torch.from_numpy(np.stack([row.target for _, row, _ in drawn])),
            prior=torch.from_numpy(np.stack([self.priors[name] for name, _, _ in drawn])),
            weight=torch.tensor([self.weights.get(name, 1.0) for name, _, _ in drawn]),
            fine=torch.from_numpy(np.stack(fine)),
            affect=torch.from_numpy(np.stack(affect)),
            several=torch.tensor([name in self.several for name, _, _ in drawn]),
        )
