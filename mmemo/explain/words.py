"""Which words speak for a label: integrated gradients over the word embeddings.

Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017, as Captum computes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmemo.encoders.text import TextEncoder
from mmemo.encoders.text_backbone import TextBackboneEncoder
from mmemo.errors import ArgumentError, MissingExtraError, MissingStreamError, expected_one_of
from mmemo.evidence import Evidence, Seconds, TextEvidence
from mmemo.files import replacing_file
from mmemo.model import EmotionModel
from mmemo.pretrained import load_model
from mmemo.probability import softmax
from mmemo.result import EmotionResult, Scores
from mmemo.speech.transcript import words_between

if TYPE_CHECKING:
    from rich.text import Text

STEPS = 32
"""Points between no words and the words at which gradients are taken."""
FOR, AGAINST = (214, 96, 20), (32, 98, 176)
"""RGB: what speaks for the label, and against it; told apart with any colour vision."""
_SHOWN = 0.08
"""Words of less than this share of the strongest one stay plain."""


@dataclass(frozen=True)
class Said:
    """A word of the text, with the blanks after it, and how far it moves the logarithm of the label's share."""

    text: str
    weight: float


@dataclass(frozen=True)
class TextExplanation:
    """What in a text speaks for a label, word by word.

    Attributes:
        label: that is explained; ``score`` is its share, ``scores`` those of all labels for this text alone.
        words: in order; joined they are the text. Their weights sum to the logarithm of ``score`` less that of
            ``without``, but for a small error of the method.
        without: share of the label where every word is replaced by an empty one.
        start: seconds in the file at which the text begins; 0 for text alone.
    """

    label: str
    score: float
    scores: Scores
    words: tuple[Said, ...]
    without: float
    start: Seconds = 0.0

    @property
    def text(self) -> str:
        """The words as they were read."""
        return "".join(word.text for word in self.words)

    def _strengths(self) -> list[float]:
        """Weights from -1 to 1, where the strongest word is 1; 0 for those that hardly count."""
        most = max((abs(word.weight) for word in self.words), default=0.0) or 1.0
        return [word.weight / most if abs(word.weight) >= _SHOWN * most else 0.0 for word in self.words]

    def _heading(self) -> str:
        when = f" at {self.start:.1f} s" if self.start else ""
        return f"{self.label} {self.score:.0%}{when}"

    def to_html(self) -> str:
        """One ``<div>``: the text with what speaks for the label in orange and against it in blue; no script."""
        spans = []
        for word, strength in zip(self.words, self._strengths(), strict=True):
            bare = word.text.rstrip()
            blanks = escape(word.text[len(bare) :])
            if not strength:
                spans.append(escape(bare) + blanks)
                continue
            red, green, blue = FOR if strength > 0 else AGAINST
            line = "border-bottom:2px solid" if strength > 0 else "border-bottom:2px dotted"
            style = f"background:rgba({red},{green},{blue},{0.55 * abs(strength):.2f});{line} rgb({red},{green},{blue})"
            spans.append(f'<span style="{style}" title="{word.weight:+.2f}">{escape(bare)}</span>{blanks}')
        key = (
            f'<span style="border-bottom:2px solid rgb{FOR}">for</span> and '
            f'<span style="border-bottom:2px dotted rgb{AGAINST}">against</span> {escape(self.label)}'
        )
        return (
            '<div class="mmemo-words" style="font:16px/1.9 system-ui,sans-serif;max-width:46em">'
            f"<strong>{escape(self._heading())}</strong> <small>{key}</small><br>{''.join(spans)}</div>"
        )

    def _repr_html_(self) -> str:
        """What notebooks show."""
        return self.to_html()

    def __rich__(self) -> Text:
        """What ``rich.print`` shows in a terminal: bold orange speaks for the label, underlined blue against it."""
        from rich.text import Text

        drawn = Text.assemble(
            (f"{self._heading()}  ", "bold"),
            ("for", f"bold rgb({','.join(map(str, FOR))})"),
            " and ",
            ("against", f"underline rgb({','.join(map(str, AGAINST))})"),
            "\n",
        )
        for word, strength in zip(self.words, self._strengths(), strict=True):
            color = FOR if strength > 0 else AGAINST
            kind = "bold" if strength > 0 else "underline"
            faded = [round(128 + (value - 128) * min(1.0, 0.35 + abs(strength))) for value in color]
            bare = word.text.rstrip()
            drawn.append(bare, f"{kind} rgb({','.join(map(str, faded))})" if strength else "")
            drawn.append(word.text[len(bare) :])
        return drawn

    def save(self, path: str | Path) -> Path:
        """Write a page as ``.html``, whole or not at all.

        Raises:
            ArgumentError: for another suffix, or if it can't be written.
        """
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ArgumentError(expected_one_of("Suffix of a page", (".html", ".htm"), path.suffix))
        head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(self._heading())}</title>'
        with replacing_file(path) as partial:
            partial.write_text(f"{head}<body>{self.to_html()}</body></html>\n", encoding="utf-8")
        return path


def text(
    source: EmotionResult | str,
    *,
    label: str | None = None,
    at: Seconds | None = None,
    model: str | Path | EmotionModel = "default",
) -> TextExplanation:
    """Show which words speak for a label.

    Args:
        source: a result of `mmemo.analyze` with words, or a text.
        label: to explain; by default the one with the highest score for the words.
        at: seconds in the file of a result; by default the window in which the words show their label most clearly.
        model: whose text encoder is explained.

    Raises:
        MissingExtraError: if Captum is not installed.
        MissingStreamError: if there are no words that can be scored.
        ArgumentError: for a label that is not there, or a text encoder that has no gradients to follow.
    """
    loaded = model if isinstance(model, EmotionModel) else load_model(model, modalities=("text",), device="cpu")
    encoder = loaded.encoders.get("text")
    if not isinstance(encoder, TextEncoder | TextBackboneEncoder):
        raise ArgumentError(
            f"Only mmemo's own text encoders can be explained, not {type(encoder).__name__ if encoder else 'no text'}."
        )
    if label is not None and label not in encoder.labels.labels:
        raise ArgumentError(expected_one_of("Label", encoder.labels, label))
    start, evidence = _find(source, at)
    ids = encoder.prepare(Evidence(start, start, text=evidence))
    if ids is None:
        raise MissingStreamError("There are no words to explain: nothing was said, or not in a language that is read.")
    logits = encoder.encode([ids]).logits[0]
    scores = encoder.labels.scores(softmax(logits.astype(float) / loaded.temperatures["text"]))
    label = label or max(scores, key=lambda name: scores[name])
    weights, without = attributions(encoder, ids, label, loaded.temperatures["text"])
    spans = encoder.spans(evidence.text)
    words = _by_word(evidence.text, spans, weights[len(weights) - len(spans) :])
    return TextExplanation(label, scores[label], scores, words, without, start)


def attributions(
    encoder: TextEncoder | TextBackboneEncoder, ids: np.ndarray, label: str, temperature: float = 1.0
) -> tuple[np.ndarray, float]:
    """How far each token (T,) moves the logarithm of a label's share, and that share without any of the words.

    The words are compared with padding in their places; special tokens stay, and count nothing.

    Args:
        ids: (T,) int64 as the encoder prepares them.

    Raises:
        MissingExtraError: if Captum is not installed.
    """
    try:
        from captum.attr import LayerIntegratedGradients
    except ImportError:
        raise MissingExtraError("Explaining words", "explain") from None
    import torch

    forward, embeddings, special, padding = encoder.gradients(encoder.labels.index(label), temperature)
    given = torch.from_numpy(ids)[None].to(encoder.device)
    fixed = torch.isin(given, torch.tensor(sorted(special), device=given.device))
    empty = torch.where(fixed, given, torch.full_like(given, padding))
    explainer = LayerIntegratedGradients(forward, embeddings)
    weights = explainer.attribute(given, empty, n_steps=STEPS, internal_batch_size=STEPS)
    with torch.no_grad():
        without = float(forward(empty).exp()[0])
    return weights.sum(-1)[0].detach().float().cpu().numpy(), without


def _by_word(text: str, spans: list[tuple[int, int]], weights: np.ndarray) -> tuple[Said, ...]:
    """Weights of the pieces added up by word; what was cut off counts nothing."""
    found = list(re.finditer(r"\S+\s*", text))
    sums = [0.0] * len(found)
    place = 0
    for (start, end), weight in zip(spans, weights, strict=True):
        if end <= start:
            continue  # a special token
        while place < len(found) - 1 and found[place].end() <= start:
            place += 1
        sums[place] += float(weight)
    return tuple(Said(one[0], weight) for one, weight in zip(found, sums, strict=True))


def _find(source: EmotionResult | str, at: Seconds | None) -> tuple[Seconds, TextEvidence]:
    """The words to explain, and when they are said."""
    if isinstance(source, str):
        return 0.0, TextEvidence(" ".join(source.split()), None, 1.0, 1.0)
    if source.transcript is None or "text" not in source.modalities:
        raise MissingStreamError("This result has no words that were scored, so there is nothing to explain.")
    said = [segment for segment in source.segments if "text" in segment.modalities]
    if at is not None:
        said = [segment for segment in said if segment.start <= at <= segment.end]
    if not said:
        raise MissingStreamError(f"Nothing is said at {at} s. Give another time with at=….")
    best = max(said, key=lambda segment: max(segment.modalities["text"].scores.values()))
    evidence = words_between(source.transcript, best.start, best.end)
    assert evidence is not None
    return best.start, evidence
