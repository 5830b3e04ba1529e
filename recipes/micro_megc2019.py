"""Recognition of micro-expressions by the protocol of MEGC2019: leave one of 68 subjects out, for every model.

    pip install 'mmemo[train]'
    python recipes/micro_megc2019.py DATA --run RUNS/micro --out mmemo/weights/micro

DATA is a folder with ``combined_3_class2_for_optical_flow.csv`` and ``datasets/``: the composite of SMIC, CASME II and
SAMM (442 samples; negative, positive, surprise) as published with HTNet, one apex face and one image of optical flow a
sample. With ``--manifest FILE`` in place of DATA it trains on clips and classes of your own: a .jsonl or .csv manifest
with ``path``, ``onset``, ``apex`` (seconds), ``speaker`` and ``label``.

Protocol: See et al., "MEGC 2019: the second facial micro-expressions grand challenge", FG 2019. Each subject is
predicted by a model that was trained on all others; UF1 and UAR are taken over all 442 predictions at once.

Nothing is chosen on a held-out subject. The networks' settings below are fixed, and their last epoch is taken. The
SVMs' C is chosen inside the training subjects, by three folds of whole subjects. The settings were tuned while
developing on every second subject of each corpus (34 of 68, predicted in five folds); the scores on the other 34,
which were not used before, are given separately.

Scores of the shipped network, three seeds: UF1 .736 +- .002, UAR .769 +- .003; on the 34 subjects .750 and .766. Best
over the whole: ``cnn_lstm``, .752 +- .006 and .781 +- .004. Minutes on two cores beside other work: 11 for the three
SVMs, 20 for three seeds of the six networks, 2 of them for ``ststnet``. A run folder is resumed where it stopped.
"""

from __future__ import annotations

import csv
import json
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import typer
from sklearn.model_selection import GroupKFold
from sklearn.svm import SVC
from torch import nn

from mmemo.data import Manifest
from mmemo.errors import ManifestError
from mmemo.evaluation.bootstrap import bootstrap
from mmemo.evaluation.metrics import confusion, macro_f1, recalls, uar
from mmemo.files import check_folder, make_folder
from mmemo.labels import MEGC3, LabelSet
from mmemo.micro.flow_image import SIDE, mirrored, normalized
from mmemo.micro.histograms import flow_histograms, lbp_top
from mmemo.micro.networks import NETWORKS, OF_SEQUENCES
from mmemo.micro.optical_flow import SIZE
from mmemo.micro.recognition import MicroRecognizer
from mmemo.micro.regions import FRAME, pixels
from mmemo.training.export_onnx import export_classifier
from mmemo.training.micro import GrowingFlow, MicroSchedule, train

log = logging.getLogger("micro_megc2019")

SCHEDULES = {
    "ststnet": MicroSchedule(epochs=25, learning_rate=3e-3, weight_decay=0.01),
    "cnn": MicroSchedule(epochs=25, learning_rate=3e-3, weight_decay=0.1),
    "dense": MicroSchedule(epochs=30, learning_rate=1e-3, weight_decay=0.3),
    "regions": MicroSchedule(epochs=25, learning_rate=1e-3, weight_decay=0.1),
    "cnn3d": MicroSchedule(epochs=20, learning_rate=3e-3, weight_decay=0.1),
    "cnn_lstm": MicroSchedule(epochs=20, learning_rate=3e-3, weight_decay=0.1),
}
SHIPPED = "cnn"
"""The network that is shipped, as the mean of its seeds: the best of those developed on the first half."""
BASELINES = ("svm_lbp_top", "svm_histograms", "svm_flow")
COSTS = (0.3, 1.0, 3.0, 10.0)
CORPORA = {"smic": "SMIC", "casme2": "CASME II", "samm": "SAMM"}
SAMM_DOWN = 2
"""Pixels of 28 by which SAMM's flow images sit higher than the others': the mean strain images of the three corpora,
without labels, match best so."""
APEX_STRENGTH = 2.0
"""Pixels of a 128 px crop that a face is taken to have moved by at most, where a sequence is made of flow and apex."""
PUBLISHED = {
    "LBP-TOP (See et al. 2019)": (0.588, 0.579),
    "STSTNet (Liong et al. 2019)": (0.735, 0.761),
    "HTNet (Wang et al. 2024)": (0.860, 0.848),
}


@dataclass(frozen=True, eq=False)
class Samples:
    """N samples to learn from.

    Attributes:
        images: (N, 3, 28, 28) float32, normalized flow images.
        apexes: (N, 64, 64) uint8 gray faces at the apex, framed as the flow is; None where there are none.
        target: (N,) int, class in the order of ``labels``.
        subject: (N,) subject, with its corpus; ``corpus``: (N,).
    """

    labels: LabelSet
    images: np.ndarray
    apexes: np.ndarray | None
    target: np.ndarray
    subject: np.ndarray
    corpus: np.ndarray


def read_rows(folder: Path) -> list[dict[str, str]]:
    """The composite's table: corpus, subject, file and label of every sample."""
    with (folder / "combined_3_class2_for_optical_flow.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def read_flow(folder: Path, row: dict[str, str]) -> np.ndarray:
    """The flow image of one sample, (28, 28, 3) uint8: u, v, strain; all corpora with the same framing."""
    # The files' names have a blank before their suffix; cv2 reads blue first: strain, v, u.
    path = folder / "datasets" / "STSNet_whole_norm_u_v_os" / f"{row['sub']}_{row['filename_o']} .png"
    image = cv2.imread(str(path))[:, :, ::-1]
    down = SAMM_DOWN if row["dataset"] == "samm" else 0
    return np.pad(image, ((down, 0), (0, 0), (0, 0)), mode="edge")[:SIDE]


def read_composite(folder: Path) -> Samples:
    """Step 1: the flow images, apex faces, labels and subjects of the composite."""
    rows = read_rows(folder)
    apexes = []
    for row in rows:
        path = folder / "datasets" / "combined_datasets_whole" / row["imagename"]
        apexes.append(cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (64, 64), interpolation=cv2.INTER_AREA))
    return Samples(
        MEGC3,
        normalized(np.stack([read_flow(folder, row) for row in rows])),
        np.stack(apexes),
        np.array([int(row["label"]) for row in rows]),
        np.array([f"{row['dataset']}/{row['sub']}" for row in rows]),
        np.array([row["dataset"] for row in rows]),
    )


def read_manifest(file: Path, allow: Sequence[str] = ()) -> Samples:
    """Step 1 for clips of your own: their flow is measured as `mmemo.spot_micro` measures it.

    Raises:
        ManifestError: if no clip has all that is needed, or one has no speaker.
        LeakError: if the audit detects clips of one speaker under another.
    """
    from mmemo.micro.spot import flow_between

    clips = Manifest.read(file).filter(lambda clip: None not in (clip.path, clip.label, clip.onset, clip.apex))
    shown = sorted({str(clip.label) for clip in clips})
    if len(shown) < 2:
        raise ManifestError(file, [f"expected clips of two labels with path, onset and apex, got those of {shown}"])
    clips.leave_one_out().audit(media="hashes").refuse_leaks(allow)
    labels = LabelSet(file.stem, tuple(label for label in clips.labels if label in shown))
    return Samples(
        labels,
        np.stack([flow_between(str(clip.path), float(clip.onset or 0), float(clip.apex or 0)) for clip in clips]),
        None,
        np.array([labels.index(str(clip.label)) for clip in clips]),
        np.array([str(clip.speaker) for clip in clips]),
        np.array([clip.corpus or "own" for clip in clips]),
    )


def made_faces(samples: Samples) -> np.ndarray:
    """Apex faces warped back along their flow: (N, T, 64, 64) uint8, what LBP-TOP can be computed from here.

    The composite has no onset frames. The flow's strength is lost in its images, so the same is taken for all.
    """
    assert samples.apexes is not None
    rows, columns = pixels(FRAME, SIZE)
    scale = APEX_STRENGTH * 64 / np.array([columns.stop - columns.start, rows.stop - rows.start])
    y, x = np.mgrid[:64, :64].astype(np.float32)
    sequences = []
    for apex, image in zip(samples.apexes, samples.images, strict=True):
        flow = cv2.resize(image[:2].transpose(1, 2, 0), (64, 64), interpolation=cv2.INTER_CUBIC)
        flow = flow / np.abs(flow).max(axis=(0, 1)) * scale.astype(np.float32)
        sequences.append(
            [
                cv2.remap(apex, x + left * flow[..., 0], y + left * flow[..., 1], cv2.INTER_LINEAR, None, 1)
                for left in np.linspace(1, 0, 7, dtype=np.float32)
            ]
        )
    return np.array(sequences)


def kernels_of(samples: Samples) -> dict[str, np.ndarray]:
    """Step 2: the kernel of each SVM between any two samples, mirror images included: (2 N, 2 N), mirror images last.

    - svm_lbp_top: the inner product of the roots of LBP-TOP's histograms (Bhattacharyya's coefficient);
    - svm_histograms: a Gaussian of the distance between flow histograms, each feature over its root mean square;
    - svm_flow: a Gaussian of the distance between flow images.
    """
    both = np.concatenate([samples.images, mirrored(samples.images)])
    histograms = flow_histograms(both)
    kernels = {
        "svm_histograms": _gaussian(histograms / (np.sqrt(np.mean(histograms**2, axis=0)) + 1e-6)),
        "svm_flow": _gaussian(both.reshape(len(both), -1)),
    }
    if samples.apexes is not None:
        faces = made_faces(samples)
        roots = np.sqrt(np.stack([lbp_top(face[..., ::step]) for step in (1, -1) for face in faces]))
        kernels["svm_lbp_top"] = roots @ roots.T / (roots**2).sum(axis=1).mean()
    return kernels


def _gaussian(features: np.ndarray) -> np.ndarray:
    """exp(-d^2 / D) of features (M, D), whose mean square is about one."""
    squares = (features**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * features @ features.T, 0)
    kernel: np.ndarray = np.exp(-distances / features.shape[1])
    return kernel


def svm_scores(kernel: np.ndarray, target: np.ndarray, rows: np.ndarray, tested: np.ndarray, cost: float) -> np.ndarray:
    """Decision values (M, K) of the samples ``tested`` by an SVM that was trained on the samples ``rows``."""
    count = len(target)
    train_rows, test_rows = np.concatenate([rows, rows + count]), np.concatenate([tested, tested + count])
    model = SVC(C=cost, kernel="precomputed", class_weight="balanced")
    model.fit(kernel[np.ix_(train_rows, train_rows)], np.tile(target[rows], 2))
    values = np.asarray(model.decision_function(kernel[np.ix_(test_rows, train_rows)]))
    if values.ndim == 1:  # of two classes scikit-learn gives the second one's value only
        values = np.column_stack([-values, values])
    return values.reshape(2, len(tested), -1).mean(axis=0)


def predict_svm(samples: Samples, kernel: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Decision values of held-out samples; C is chosen by three folds of the training subjects."""
    rows, target = np.flatnonzero(~held), samples.target
    scores = []
    for cost in COSTS:
        predicted = np.zeros(len(target), int)
        for train_rows, test_rows in GroupKFold(3).split(rows, groups=samples.subject[rows]):
            inner, outer = rows[train_rows], rows[test_rows]
            predicted[outer] = svm_scores(kernel, target, inner, outer, cost).argmax(axis=1)
        scores.append(macro_f1(target[rows], predicted[rows], len(samples.labels)))
    best = COSTS[int(np.argmax(scores))]
    return svm_scores(kernel, target, rows, np.flatnonzero(held), best)


def build(name: str, classes: int) -> nn.Module:
    """A fresh network that takes flow images."""
    network = NETWORKS[name](classes)
    return GrowingFlow(network) if name in OF_SEQUENCES else network


def predict_network(samples: Samples, name: str, seed: int, held: np.ndarray) -> np.ndarray:
    """Probabilities of held-out samples."""
    torch.set_num_threads(1)
    make = partial(build, name, len(samples.labels))
    network = train(make, samples.images[~held], samples.target[~held], SCHEDULES[name], seed)
    both = (samples.images[held], mirrored(samples.images[held]))
    with torch.inference_mode():
        return np.mean([network(torch.from_numpy(part)).softmax(dim=1).numpy() for part in both], axis=0)


def leave_one_out(
    samples: Samples, predict: Callable[[np.ndarray], np.ndarray], pool: ProcessPoolExecutor, file: Path
) -> np.ndarray:
    """Step 3: scores (N, K) of every sample by a model that was not trained on its subject; kept in ``file``."""
    if file.exists():
        return np.asarray(np.load(file)["scores"])
    start = time.monotonic()
    scores = np.zeros((len(samples.target), len(samples.labels)), np.float32)
    folds = [samples.subject == subject for subject in np.unique(samples.subject)]
    for held, predictions in zip(folds, pool.map(predict, folds), strict=True):
        scores[held] = predictions
    partial_file = file.with_suffix(".partial.npz")
    np.savez(partial_file, scores=scores, seconds=time.monotonic() - start)
    partial_file.replace(file)
    return scores


def development(subject: np.ndarray) -> np.ndarray:
    """(N,) bool: samples of the subjects (N,) that settings were tuned on, every second of each corpus."""
    return np.isin(subject, np.unique(subject)[::2])


def read_flows(folder: Path, developed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Flow images (M, 28, 28, 3) uint8 and labels (M,) of the subjects that settings were tuned on, or the others."""
    rows = read_rows(folder)
    own = development(np.array([f"{row['dataset']}/{row['sub']}" for row in rows])) == developed
    chosen = [row for row, mine in zip(rows, own, strict=True) if mine]
    return np.stack([read_flow(folder, row) for row in chosen]), np.array([int(row["label"]) for row in chosen])


def figures(samples: Samples, runs: Sequence[np.ndarray]) -> dict[str, object]:
    """UF1 and UAR of each run of scores (N, K): whole, by corpus, and on the subjects not developed on."""
    classes = len(samples.labels)
    parts = {"all": np.ones(len(samples.target), bool)}
    if samples.apexes is not None:  # the composite
        parts["untouched"] = ~development(samples.subject)
    parts |= {corpus: samples.corpus == corpus for corpus in dict.fromkeys(samples.corpus)}
    table: dict[str, object] = {}
    for part, rows in parts.items():
        target = samples.target[rows]
        predicted = [scores[rows].argmax(axis=1) for scores in runs]
        table[part] = {
            "uf1": [macro_f1(target, one, classes) for one in predicted],
            "uar": [uar(target, one, classes) for one in predicted],
        }
    all_predicted = [scores.argmax(axis=1) for scores in runs]
    for key, metric in (("uf1", macro_f1), ("uar", uar)):

        def mean_over_runs(rows: np.ndarray, metric: Callable[..., float] = metric) -> float:
            return float(np.mean([metric(samples.target[rows], one[rows], classes) for one in all_predicted]))

        interval = bootstrap(mean_over_runs, len(samples.target), groups=samples.subject)
        table[f"{key}_interval"] = [interval.low, interval.high]
    table["recalls"] = np.mean([recalls(samples.target, one, classes) for one in all_predicted], axis=0).tolist()
    table["confusion"] = confusion(samples.target, all_predicted[0], classes).tolist()
    return table


def report(tables: dict[str, dict[str, object]], seconds: dict[str, float]) -> str:
    """Step 4: the table of MEGC2019 with the published rows."""

    def cell(entry: dict[str, list[float]]) -> str:
        pairs = [
            f"{np.mean(entry[key]):.3f}" + (f" ± {np.std(entry[key]):.3f}" if len(entry[key]) > 1 else "")
            for key in ("uf1", "uar")
        ]
        return " / ".join(pairs)

    parts = [part for part in ("all", "untouched", *CORPORA) if all(part in table for table in tables.values())]
    names = {"all": "whole", "untouched": "34 subjects not developed on", **CORPORA}
    head = ["model, UF1 / UAR", *(names[part] for part in parts), "minutes a seed"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, table in tables.items():
        cells = [cell(table[part]) for part in parts]  # type: ignore[arg-type]
        lines.append("| " + " | ".join([name, *cells, f"{seconds.get(name, 0) / 60:.1f}"]) + " |")
    for name, (uf1, recall) in PUBLISHED.items() if "casme2" in parts else ():
        lines.append(
            "| " + " | ".join([f"{name}, published", f"{uf1:.3f} / {recall:.3f}"] + ["" for _ in parts]) + " |"
        )
    return "\n".join(lines)


def _ends(name: str, seeds: int) -> list[str]:
    """How the names of a model's files end: with the seed, if it has any."""
    return [""] if name in BASELINES else [f"-{seed}" for seed in range(seeds)]


def main(
    data: Annotated[Path | None, typer.Argument(help="The composite's folder.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="A manifest of your own clips, in place of DATA.")] = None,
    run: Annotated[Path, typer.Option(help="Folder for the predictions; a run begun there is resumed.")] = Path("run"),
    out: Annotated[Path | None, typer.Option(help="Folder for weights trained on all subjects.")] = None,
    models: Annotated[str, typer.Option(help="Which, by comma.")] = ",".join((*BASELINES, *SCHEDULES)),
    seeds: Annotated[int, typer.Option(help="Runs of each network.")] = 3,
    workers: Annotated[int, typer.Option(help="Processes at a time.")] = 2,
    allow: Annotated[list[str] | None, typer.Option(help="Codes of leaks between speakers that are accepted.")] = None,
) -> None:
    """Predict every subject by every model, print the table, and train the network that is shipped on all."""
    if (data is None) == (manifest is None):
        raise typer.BadParameter("Give DATA or --manifest.")
    samples = read_composite(data) if data is not None else read_manifest(manifest, allow or ())  # type: ignore[arg-type]
    make_folder(run)
    if out is not None:
        check_folder(out, (run / "figures.json",))
    log.info("%d samples of %d subjects", len(samples.target), len(np.unique(samples.subject)))
    kernels = kernels_of(samples)
    runs: dict[str, list[np.ndarray]] = {}
    with ProcessPoolExecutor(workers) as pool:
        for name in models.split(","):
            if name in BASELINES and name not in kernels:
                continue
            if name in BASELINES:
                own = partial(predict_svm, samples, kernels[name])
                runs[name] = [leave_one_out(samples, own, pool, run / f"{name}.npz")]
            else:
                runs[name] = [
                    leave_one_out(
                        samples, partial(predict_network, samples, name, seed), pool, run / f"{name}-{seed}.npz"
                    )
                    for seed in range(seeds)
                ]
            table = figures(samples, runs[name])
            log.info("%s: %s", name, table["all"])
    seconds = {
        name: float(np.mean([np.load(run / f"{name}{end}.npz")["seconds"] for end in _ends(name, seeds)]))
        for name in runs
    }
    if SHIPPED in runs:
        runs[f"{SHIPPED}, mean of all seeds"] = [np.mean(runs[SHIPPED], axis=0)]
    tables = {name: figures(samples, scores) for name, scores in runs.items()}
    print(report(tables, seconds))
    (run / "figures.json").write_text(json.dumps({"tables": tables, "seconds": seconds}, indent=2) + "\n")
    if out is not None:
        make = partial(build, SHIPPED, len(samples.labels))
        networks = [
            (SHIPPED, train(make, samples.images, samples.target, SCHEDULES[SHIPPED], seed)) for seed in range(seeds)
        ]
        info = {
            "corpora": sorted(set(samples.corpus.tolist())),
            "recipe": {"schedule": asdict(SCHEDULES[SHIPPED]), "seeds": seeds},
            "leave_one_subject_out": tables.get(f"{SHIPPED}, mean of all seeds"),
        }
        export_classifier(MicroRecognizer(networks, samples.labels, info), out)
        log.info("saved to %s", out)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    typer.run(main)
