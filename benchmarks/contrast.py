"""How many lines of the contrast set (`contrast.tsv`, beside this script) a text encoder labels right.

    python benchmarks/contrast.py                          # the development half, with the embedded weights
    python benchmarks/contrast.py --mistakes               # and the lines that are wrong
    python benchmarks/contrast.py --half test --weights build/text

The set holds short sentences of our own whose meaning is more than their words: denials, wishes, sarcasm … Each half
has as many of every group and language. Rules, training sentences and settings are made with the development half
alone; the test half is measured at the end. A line goes the way of `mmemo.analyze(text=…)`: its language is identified,
and the lines before it are its context, as those of a subtitle file are. In brackets are 95% Wilson intervals.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Annotated, Literal

import typer

from mmemo import EmotionModel, load_model
from mmemo.encoders.text.encoder import TextEncoder
from mmemo.evidence import Evidence
from mmemo.fusion.late import LateFusion
from mmemo.speech.line import Line
from mmemo.speech.transcript import from_lines, words_between

FILE = Path(__file__).with_suffix(".tsv")
ALL = "all"


@dataclass(frozen=True)
class Sentence:
    """A line of the set.

    Attributes:
        context: the lines before, oldest first, as "A: text" or "B: text"; A says the sentence.
        labels: any of them is right.
    """

    id: str
    group: str
    half: str
    language: str
    text: str
    context: tuple[str, ...]
    labels: tuple[str, ...]
    twin: str


def read(path: Path = FILE) -> list[Sentence]:
    """The lines of the set, in the order of the file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Sentence(
            **{name: row[name] for name in ("id", "group", "half", "language", "text", "twin")},
            context=tuple(filter(None, row["context"].split("|"))),
            labels=tuple(row["label"].split("|")),
        )
        for row in rows
    ]


def text_model(weights: Path) -> EmotionModel:
    """The model of a text encoder alone, with the temperature and the prior of its own card."""
    encoder = TextEncoder.from_pretrained(weights)
    card = getattr(encoder, "card", {})
    temperature, prior = card.get("validation", {}).get("temperature", 1.0), card.get("prior")
    head = LateFusion(encoder.labels, {"text": 1.0})
    return EmotionModel([encoder], head, {"text": temperature}, str(weights), {"text": prior} if prior else None)


def evidence(sentence: Sentence, known: bool) -> Evidence:
    """The sentence as the last line of a transcript, a second each."""
    said = [*(line.split(": ", 1) for line in sentence.context), ("A", sentence.text)]
    lines = [Line(second, second + 1, text, speaker=speaker) for second, (speaker, text) in enumerate(said)]
    transcript = from_lines(lines, "given", language=sentence.language if known else None)
    return Evidence(len(said) - 1, len(said), text=words_between(transcript, len(said) - 1, len(said)))


def predict(model: EmotionModel, sentences: list[Sentence], known: bool) -> list[str]:
    """The label of each; "not scored" where the encoder takes it for no text, or for one of another language."""
    encoding = model.encode("text", [evidence(sentence, known) for sentence in sentences])
    best, scored = model.scores(encoding).argmax(axis=1), encoding.mask.any(axis=1)
    return [model.labels[label] if here else "not scored" for label, here in zip(best, scored, strict=True)]


def wilson(right: int, count: int) -> tuple[float, float]:
    """95% interval of a share. Source: Wilson, JASA 22, 1927."""
    z, share = 1.96, right / count
    center, spread = share + z**2 / (2 * count), z * sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return (center - spread) / (1 + z**2 / count), (center + spread) / (1 + z**2 / count)


def cell(hits: list[bool]) -> str:
    """Share of them in percent, with interval and counts."""
    if not hits:
        return "-"
    low, high = wilson(sum(hits), len(hits))
    return f"{100 * sum(hits) / len(hits):.0f}% [{100 * low:.0f}, {100 * high:.0f}] {sum(hits)}/{len(hits)}"


def main(
    half: Annotated[Literal["dev", "test"], typer.Option()] = "dev",
    weights: Annotated[Path | None, typer.Option(help="folder of a text encoder; the embedded one by default")] = None,
    context: Annotated[int | None, typer.Option(help="lines before that are read; as the encoder says")] = None,
    language_known: Annotated[bool, typer.Option(help="name each language instead of identifying it")] = False,
    mistakes: Annotated[bool, typer.Option(help="list the lines that are wrong")] = False,
) -> None:
    """Print a table in Markdown."""
    model = load_model(modalities=("text",), device="cpu") if weights is None else text_model(weights)
    encoder = model.encoders["text"]
    if context is not None and isinstance(encoder, TextEncoder):
        for one in filter(None, (encoder, encoder.multilingual)):
            one.context = context
    sentences = [sentence for sentence in read() if sentence.half == half]
    predicted = predict(model, sentences, language_known)
    hits: dict[tuple[str, str], list[bool]] = {}
    for sentence, label in zip(sentences, predicted, strict=True):
        for group in (sentence.group, ALL):
            for language in (sentence.language, ALL):
                hits.setdefault((group, language), []).append(label in sentence.labels)
    languages = [*dict.fromkeys(sentence.language for sentence in sentences), ALL]
    print(f"| group, {half} half |", " | ".join(languages), "|")
    print("|---" * (1 + len(languages)) + "|")
    for group in [*dict.fromkeys(sentence.group for sentence in sentences), ALL]:
        print(f"| {group} |", " | ".join(cell(hits.get((group, language), [])) for language in languages), "|")
    for sentence, label in zip(sentences, predicted, strict=True):
        if mistakes and label not in sentence.labels:
            said = " / ".join((*sentence.context, sentence.text))
            print(f"- {sentence.id}: {said} — {' or '.join(sentence.labels)}, not {label}")


if __name__ == "__main__":
    typer.run(main)
