"""The labeled clips of the shared data, file in, label out: the table of docs/results.md.

    python benchmarks/labeled_clips.py DATA      # DATA: the unpacked corpora, with av/manifest.csv

An example on real clips, not a benchmark: they are few, and of few people.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

from mmemo import Analyzer
from mmemo.errors import MmemoError
from mmemo.labels import EKMAN7

MODALITIES = ("fused", "face", "voice", "text")


def main(data: Path, corpora: list[str] | None) -> None:
    """Print a Markdown table of clips, and one of the share predicted right by corpus."""
    analyzer = Analyzer()
    right: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    print("| clip | label | fused | face | voice | text | coverage of face | words | notes |")
    print("|---|---|---|---|---|---|---|---|---|")
    with (data / "av" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if not corpora or row["corpus"] in corpora]
    for row in rows:
        try:
            result = analyzer(data / "av" / row["path"])
        except MmemoError as error:
            print(f"| {row['id']} | {row['label']} | {error} | | | | | | |")
            continue
        predicted = {name: scores.label for name, scores in result.modalities.items()} | {"fused": result.label}
        face = result.modalities.get("face")
        words = result.transcript.text if result.transcript else ""
        cells = [row["id"], row["label"], *(predicted.get(name, "-") for name in MODALITIES)]
        cells += [f"{face.coverage:.2f}" if face else "-", words, ", ".join(note.code for note in result.notes)]
        print("| " + " | ".join(cells) + " |", flush=True)
        for name, label in predicted.items() if row["label"] in EKMAN7.labels else ():
            right[row["corpus"]][name].append(label == row["label"])
    print("\n| corpus | clips | " + " | ".join(MODALITIES) + " |\n|---|---|---|---|---|---|")
    for corpus, names in right.items():
        shares = (f"{sum(names[name])} of {len(names[name])}" if names[name] else "-" for name in MODALITIES)
        print(f"| {corpus} | {len(names['fused'])} | " + " | ".join(shares) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--corpora", nargs="*", help="some of crema_d ravdess misc ravdess_crops mead; all by default")
    main(**vars(parser.parse_args()))
