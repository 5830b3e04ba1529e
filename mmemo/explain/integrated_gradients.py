"""Explanation of a text's scores: integrated gradients over the word embeddings, word by word.

Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017, as Captum computes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmemo.encoders.softmax import softmax
from mmemo.encoders.text.backbone import TextBackboneEncoder
from mmemo.encoders.text.encoder import TextEncoder
from mmemo.errors import ArgumentError, MissingExtraError, MissingStreamError, expected_one_of, require_extra
from mmemo.evidence import Evidence, Seconds, TextEvidence
from mmemo.files import replacing_file
from mmemo.model import EmotionModel
from mmemo.pretrained import load_model
from mmemo.result import EmotionResult, Scores
from mmemo.speech.transcript import given, words_between

if TYPE_CHECKING:
    from rich.text import Text

STEPS = 32
"""Points between the empty text and the text at which gradients are computed."""
FOR, AGAINST = (214, 96, 20), (32, 98, 176)
"""RGB of words for the label and against it; distinguishable with any color vision."""
_SHOWN = 0.08
"""Words with a weight below this share of the highest one stay plain."""


@dataclass(frozen=True)
class WordWeight:
    """The weight of one word of a text.

    Attributes:
        text: the word, with the blanks after it.
        weight: its share in the logarithm of the label's score, in nats: above zero for the label, below against it.
    """

    text: str
    weight: float


@dataclass(frozen=True)
class TextExplanation:
    """Evidence for one label in a text, word by word.

    Attributes:
        label: that is explained.
        score: of the label, 0 to 1.
        scores: of all labels, from this text alone, computed in float32.
        words: in order; joined they are the text. Their weights sum to the logarithm of ``score`` less that of
            ``without``, but for a small error of the method.
        without: score of the label with every word replaced by padding.
        start: seconds in the file at which the text begins; 0 for text alone.

    >>> from mmemo.explain import TextExplanation
    >>> from mmemo.explain.integrated_gradients import WordWeight
    >>> words = (WordWeight("What ", -0.1), WordWeight("joy!", 1.5))
    >>> TextExplanation("happiness", 0.9, {"happiness": 0.9, "sadness": 0.1}, words, without=0.2).text
    'What joy!'
    """

    label: str
    score: float
    scores: Scores
    words: tuple[WordWeight, ...]
    without: float
    start: Seconds = 0.0

    @property
    def text(self) -> str:
        """The explained text."""
        return "".join(word.text for word in self.words)

    def _strengths(self) -> list[float]:
        """Weights from -1 to 1, relative to the highest one; 0 for those that stay plain."""
        most = max((abs(word.weight) for word in self.words), default=0.0) or 1.0
        return [word.weight / most if abs(word.weight) >= _SHOWN * most else 0.0 for word in self.words]

    def _heading(self) -> str:
        when = f" at {self.start:.1f} s" if self.start else ""
        return f"{self.label} {self.score:.0%}{when}"

    def to_html(self) -> str:
        """One ``<div>``: the text with words for the label in orange and against it in blue; no script."""
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
        """`to_html`, for notebooks."""
        return self.to_html()

    def __rich__(self) -> Text:
        """For ``rich.print`` in a terminal: bold orange for the label, underlined blue against it."""
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
    """Weights of the words of a text for a label.

    Args:
        source: a result of `mmemo.analyze` with words, or a text.
        label: to explain; by default the one with the highest score for the words.
        at: seconds in the file of a result; by default the window in which the words have their highest score.
        model: that owns the text encoder.

    Raises:
        MissingExtraError: if Captum is not installed.
        MissingStreamError: if there are no words that can be scored.
        ArgumentError: for an unknown label, or a text encoder without gradients.

    >>> import mmemo.explain
    >>> explanation = mmemo.explain.text("I was furious about it.", label="anger")
    >>> max(explanation.words, key=lambda word: word.weight).text.strip()
    'furious'
    """
    loaded = model if isinstance(model, EmotionModel) else load_model(model, modalities=("text",), device="cpu")
    encoder = loaded.encoders.get("text")
    if not isinstance(encoder, TextEncoder | TextBackboneEncoder):
        raise ArgumentError(
            f"Only mmemo's own text encoders can be explained, not {type(encoder).__name__ if encoder else 'no text'}."
        )
    if label is not None and label not in encoder.labels.labels:
        raise ArgumentError(expected_one_of("Label", encoder.labels, label))
    start, evidence = _locate(source, at)
    if isinstance(encoder, TextEncoder):
        encoder = encoder.reader(evidence)
    ids = None if encoder is None else encoder.prepare(Evidence(start, start, text=evidence))
    if encoder is None or ids is None or evidence is None:
        raise MissingStreamError("There are no words to explain: none at all, or not in a language of the encoder.")
    require_extra("Explaining words", "explain", "captum", "torch")
    if isinstance(encoder, TextEncoder):
        encoder = encoder.in_torch()  # in int8 the parts would not sum to the score
    logits = encoder.encode([ids]).logits[0]
    scores = encoder.labels.scores(softmax(loaded.calibrate_logits("text", logits).astype(float)))
    label = label or max(scores, key=lambda name: scores[name])
    weights, without = attributions(encoder, ids, label, loaded.temperatures["text"], loaded.priors.get("text"))
    spans = encoder.spans(evidence.text)
    words = _by_word(evidence.text, spans, weights[len(weights) - len(spans) :])
    return TextExplanation(label, scores[label], scores, words, without, start)


def attributions(
    encoder: TextEncoder | TextBackboneEncoder,
    ids: np.ndarray,
    label: str,
    temperature: float = 1.0,
    prior: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """Weights (T,) of the tokens in the logarithm of a label's score, and that score without any of the words.

    The baseline has padding in the place of each word; special tokens stay, and their weight is zero.

    Args:
        encoder: of the ids.
        ids: (T,) int64 as the encoder prepares them.
        label: that is explained.
        temperature: of the model for this encoder.
        prior: (K,) shares of the model for this encoder; equal ones by default.

    Raises:
        MissingExtraError: if Captum is not installed.
    """
    try:
        from captum.attr import LayerIntegratedGradients
    except ImportError:
        raise MissingExtraError("Explaining words", "explain") from None
    import torch

    prior = np.ones(len(encoder.labels)) if prior is None else prior
    gradients = encoder.gradients(encoder.labels.index(label), temperature, prior)
    inputs = torch.from_numpy(ids)[None].to(next(gradients.embedding.parameters()).device)
    fixed = torch.isin(inputs, torch.tensor(sorted(gradients.special), device=inputs.device))
    baseline = torch.where(fixed, inputs, torch.full_like(inputs, gradients.padding))
    explainer = LayerIntegratedGradients(gradients.log_share, gradients.embedding)
    weights = explainer.attribute(inputs, baseline, n_steps=STEPS, internal_batch_size=STEPS)
    with torch.no_grad():
        without = float(gradients.log_share(baseline).exp()[0])
    return weights.sum(-1)[0].detach().float().cpu().numpy(), without


def _by_word(text: str, spans: list[tuple[int, int]], weights: np.ndarray) -> tuple[WordWeight, ...]:
    """Weights of the word pieces summed by word; those that were cut off count nothing."""
    words = list(re.finditer(r"\S+\s*", text))
    sums = [0.0] * len(words)
    place = 0
    for (start, end), weight in zip(spans, weights, strict=True):
        if end <= start:
            continue  # a special token
        while place < len(words) - 1 and words[place].end() <= start:
            place += 1
        sums[place] += float(weight)
    return tuple(WordWeight(word[0], weight) for word, weight in zip(words, sums, strict=True))


def _locate(source: EmotionResult | str, at: Seconds | None) -> tuple[Seconds, TextEvidence | None]:
    """Start of the words to explain, and the words."""
    if isinstance(source, str):
        return 0.0, words_between(given(source, 0.0), 0.0, 0.0)
    if source.transcript is None or "text" not in source.modalities:
        raise MissingStreamError("This result has no words that were scored, so there is nothing to explain.")
    spoken = [segment for segment in source.segments if "text" in segment.modalities]
    if at is not None:
        spoken = [segment for segment in spoken if segment.start <= at <= segment.end]
    if not spoken:
        raise MissingStreamError(f"There are no words at {at} s. Give another time with at=….")
    best = max(spoken, key=lambda segment: max(segment.modalities["text"].scores.values()))
    return best.start, words_between(source.transcript, best.start, best.end)
