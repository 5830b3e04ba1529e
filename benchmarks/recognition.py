"""Speech recognition by language: errors, languages detected, what the filter keeps, and what is invented of no speech.

    python benchmarks/recognition.py DATA
    python benchmarks/recognition.py DATA --model small --clips 100

DATA is a folder with ``manifest.csv`` and ``manifest_more.csv`` (corpus, path, language, transcript, extra …) and the
files that they name. Each clip is recognized as a file of its own: its speech is cut out, its language detected. Errors
are those of words, of characters in Chinese: insertions, deletions and substitutions by the length of the reference.
Time is processor time of one thread.
"""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from mmemo import media
from mmemo.evidence import SAMPLE_RATE
from mmemo.speech.activity import speech_spans
from mmemo.speech.hallucination_filter import Hypothesis, filter_hypotheses
from mmemo.speech.recognition import WhisperTranscriber, speech_segments

CORPORA = ("ravdess", "savee", "casia", "emovo", "nemo", "turev", "baved", "ased")
EMOVO = {
    "b1": "gli operai si alzano presto",
    "b2": "i vigili sono muniti di pistola",
    "b3": "la cascata fa molto rumore",
    "l1": "l'autunno prossimo tony partirà per la spagna nella prima metà di ottobre",
    "l2": "ora prendo la felpa di là ed esco per fare una passeggiata",
    "l3": "un attimo dopo s'è incamminato ed è inciampato",
    "n1": "la casa forte vuole col pane",
    "n2": "la forza trova il passo e l'aglio rosso",
    "n3": "il gatto sta scorrendo nella pera",
    "n4": "insalata pastasciutta coscia d'agnello limoncello",
    "d1": "sabato sera cosa farà",
    "d2": "porti con te quella cosa",
}
"""Sentences of EMOVO (Costantini et al., LREC 2014), half of them without sense; not the one of numbers."""
SAVEE = {
    "01": "she had your dark suit in greasy wash water all year",
    "02": "don't ask me to carry an oily rag like that",
    "03": "will you tell me why",
}
"""The three that all speakers of SAVEE say with each emotion but neutral."""
SETTINGS = (None, "en", "zh", "es", "it", "pl", "tr", "ar", "de", "fr", "ja")


def main(
    data: Annotated[Path, typer.Argument(help="folder with the manifests and the corpora")],
    model: Annotated[str, typer.Option(help="of Whisper")] = "base",
    clips: Annotated[int, typer.Option(help="of each corpus")] = 60,
) -> None:
    """Print two tables in Markdown."""
    transcriber = WhisperTranscriber(model, threads=1)
    list(transcriber.hypotheses(0.0, np.zeros(SAMPLE_RATE, np.float32), "en"))  # reads the model
    print("| corpus | language | clips | detected | errors | kept | errors in what is kept | seconds a clip |")
    print("|---|---|---|---|---|---|---|---|")
    for corpus in CORPORA:
        rows = list(chosen(corpus, data, clips))
        right, kept, errors, length, kept_errors, kept_length, took = 0, 0, 0, 0, 0, 0, 0.0
        for row, reference in rows:
            sound = media.waveform(data / row["path"])
            begun = time.process_time()
            lines = recognized(transcriber, sound)
            took += time.process_time() - begun
            survivors, _ = filter_hypotheses(lines, model) if lines else ([], ())
            right += row["language"] in {line.language for line in lines}
            kept += bool(survivors)
            if reference:
                units = spelled(reference, row["language"])
                wrong = distance(units, spelled(" ".join(one.line.text for one in lines), row["language"]))
                errors, length = errors + wrong, length + len(units)
                if survivors:
                    text = " ".join(one.line.text for one in survivors)
                    kept_errors += distance(units, spelled(text, row["language"]))
                    kept_length += len(units)
        shares = [right / len(rows), errors / max(length, 1), kept / len(rows), kept_errors / max(kept_length, 1)]
        known = [f"{100 * share:.0f}%" if length or place in (0, 2) else "" for place, share in enumerate(shares)]
        language = rows[0][0]["language"]
        print(f"| {corpus} | {language} | {len(rows)} |", *(f"{one} |" for one in known), f"{took / len(rows):.2f} |")
    print("\n| no speech | language | words invented a minute | after the filter |\n|---|---|---|---|")
    for name, sounds in speechless(data, clips):
        minutes = sum(map(len, sounds)) / SAMPLE_RATE / 60
        for language in SETTINGS:
            lines = [one for sound in sounds for one in recognized(transcriber, sound, language, cut=False)]
            survivors, _ = filter_hypotheses(lines, model) if lines else ([], ())
            counts = [sum(len(one.line.words) for one in some) / minutes for some in (lines, survivors)]
            print(f"| {name} | {language or 'detected'} | {counts[0]:.1f} | {counts[1]:.1f} |")


def recognized(
    transcriber: WhisperTranscriber, sound: np.ndarray, language: str | None = None, *, cut: bool = True
) -> list[Hypothesis]:
    """The lines before the filter; of the speech that is detected, or of all of the sound."""
    spans = speech_spans([sound]).spans if cut else [(0.0, len(sound) / SAMPLE_RATE)]
    segments = transcriber.with_languages(speech_segments([sound], spans), language)
    return [line for segment in segments for line in transcriber.hypotheses(*segment)]


def chosen(corpus: str, data: Path, clips: int) -> Iterator[tuple[dict[str, str], str]]:
    """Rows of the manifests, drawn, with the words that are spoken; these are empty where they are not known."""
    rows = []
    for name in ("manifest.csv", "manifest_more.csv"):
        with (data / name).open(encoding="utf-8", newline="") as file:
            rows += [row for row in csv.DictReader(file) if row["corpus"] == corpus]
    sentences = {"emovo": EMOVO, "savee": SAVEE}.get(corpus)
    pairs = []
    for row in rows:
        number = row["extra"].partition("=")[2] if corpus == "emovo" else row["id"][-2:]
        if sentences is None or (number in sentences and "_n" not in row["id"]):
            pairs.append((row, row["transcript"] if sentences is None else sentences[number]))
    order = np.random.default_rng(0).permutation(len(pairs))
    yield from (pairs[place] for place in order[:clips])


def spelled(text: str, language: str) -> list[str]:
    """The words of a text, or its characters in Chinese."""
    words = re.findall(r"[\w']+", text.lower())
    return list("".join(words)) if language == "zh" else words


def distance(reference: list[str], given: list[str]) -> int:
    """Insertions, deletions and substitutions between two sequences (Levenshtein)."""
    row = list(range(len(given) + 1))
    for place, one in enumerate(reference, 1):
        before, row[0] = row[0], place
        for other, two in enumerate(given, 1):
            before, row[other] = row[other], min(row[other] + 1, row[other - 1] + 1, before + (one != two))
    return row[-1]


def speechless(data: Path, clips: int) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Sounds in which nobody speaks: noise, a quiet room, chords with a beat, and vocal bursts."""
    rng = np.random.default_rng(0)
    times = np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE
    white = rng.normal(0, 1, (4, len(times))).astype(np.float32)
    yield "noise", list(0.05 * white[:2])
    yield "quiet room", [0.001 * one + 0.002 * np.sin(100 * np.pi * times).astype(np.float32) for one in white[:2]]
    chords = [np.array([220.0, 277.2, 329.6]) * ratio for ratio in (1.0, 0.89, 1.19, 1.5)]
    music = np.zeros(len(times))
    for place, one in enumerate(np.array_split(np.arange(len(times)), 8)):
        own = times[one] - times[one[0]]
        tones = sum(
            np.sin(2 * np.pi * pitch * own) + 0.4 * np.sin(4 * np.pi * pitch * own) for pitch in chords[place % 4]
        )
        music[one] = 0.08 * tones * np.exp(-own) + 0.2 * white[2][one] * np.exp(-40 * (own % 0.3))
    yield "music", [music.astype(np.float32)]
    bursts = [media.waveform(data / row["path"]) for row, _ in chosen("emogator", data, clips // 3)]
    yield "vocal bursts", [one[: 30 * SAMPLE_RATE] for one in bursts]


if __name__ == "__main__":
    typer.run(main)
