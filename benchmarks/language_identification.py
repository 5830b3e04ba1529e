"""How often the language of a line is taken for another, by corpus: `mmemo.speech.language.detect_language`.

    python benchmarks/language_identification.py DATA

DATA is a folder with the text corpora of `recipes/text_multilingual.py`. Of each language of each corpus a sample of
lines is taken, of four words or more, and of fewer; the columns are shares of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from mmemo.data.corpora import read_corpus
from mmemo.speech.language import FEWEST, detect_language

CORPORA = {
    "goemotions": "goemotions/original",
    "meld": "meld",
    "dair_emotion": "dair_emotion",
    "empathetic_dialogues": "empathetic_dialogues.tsv",
    "xed": "xed_annotated.tsv",
    "smp2020": "smp2020.tsv",
    "cped": "cped.tsv",
    "brighter": "brighter.tsv",
    "xed_projections": "xed_projections.tsv",
}
MACRO = {"arq": "ar", "ary": "ar"}


def main(
    data: Annotated[Path, typer.Argument(help="folder with the corpora")],
    lines: Annotated[int, typer.Option(help="of a language of a corpus, at most")] = 2000,
) -> None:
    """Print a table in Markdown: share of lines identified, taken for English, taken for another, undecided."""
    print("| corpus | language | words | lines | right | English | another | undecided |")
    print("|---|---|---|---|---|---|---|---|")
    for name, place in CORPORA.items():
        texts: dict[str, list[str]] = {}
        for clip in read_corpus(name, data / place).manifest.clips:
            if clip.split != "train" and clip.text and clip.language:
                texts.setdefault(clip.language, []).append(clip.text)
        for language, all_of_it in sorted(texts.items()):
            rng = np.random.default_rng(0)
            chosen = [all_of_it[i] for i in rng.permutation(len(all_of_it))[:lines]]
            own = MACRO.get(language, language.split("-")[0])
            unspaced = own in ("zh", "ja", "th")
            for kind, kept in (
                (f"{FEWEST} or more", [t for t in chosen if unspaced or len(t.split()) >= FEWEST]),
                ("fewer", [t for t in chosen if not unspaced and len(t.split()) < FEWEST]),
            ):
                found = [detect_language(text).language for text in kept]
                if len(found) < 50:
                    continue
                right, english = (np.mean([one == code for one in found]) for code in (own, "en"))
                undecided = np.mean([one is None for one in found])
                another = 1 - undecided - (right if own == "en" else right + english)
                shares = [right, 0.0 if own == "en" else english, another, undecided]
                print(f"| {name} | {language} | {kind} | {len(found)} |", *(f"{100 * s:.2f}% |" for s in shares))


if __name__ == "__main__":
    typer.run(main)
