"""Base of what classifies by a network of our own: in ONNX Runtime where it was exported, else in torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, Self, TypeVar

import numpy as np

from mmemo.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mmemo.errors import ArgumentError, LabelError, WeightsError, expected_one_of, missing_extra
from mmemo.files import GRAPH, GRAPH_INT8, GRAPHS
from mmemo.labels import LabelSet
from mmemo.onnx_network import OnnxNetwork, onnx_device, usable_threads

if TYPE_CHECKING:
    from torch import nn

    from mmemo.encoders.torch_network import TorchNetwork

Precision = Literal["auto", "float32", "int8"]
PRECISIONS: tuple[Precision, ...] = ("auto", "float32", "int8")
Network = TypeVar("Network", bound="nn.Module")


class ExportedNetwork(OnnxNetwork):
    """The exported network of a checkpoint.

    Args:
        checkpoint: a folder with a graph.
        device: see `OnnxNetwork`.
        precision: of the products of matrices: "auto" is int8 on the CPU if the folder has a graph for it, else
            float32.

    Raises:
        ArgumentError: for a precision that is none, or that the folder has no graph for.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu", precision: Precision = "auto") -> None:
        if precision not in PRECISIONS:
            raise ArgumentError(expected_one_of("Precision", PRECISIONS, precision))
        int8 = checkpoint.graph(GRAPH_INT8)
        if precision == "auto":
            precision = "int8" if int8 is not None and onnx_device(device) == "cpu" else "float32"
        self.precision = precision
        path = int8 if precision == "int8" else checkpoint.graph(GRAPH)
        if path is None:
            raise ArgumentError(f"{checkpoint.folder} has no network in {precision}.")
        # One window in int8 is too little work to share: several are computed at once instead.
        super().__init__(path, device, threads=1 if precision == "int8" else None)
        self.checkpoint = checkpoint

    def _opened(self) -> Any:
        session = super()._opened()
        if session.get_modelmeta().custom_metadata_map.get(SHAPE) != shape_of(self.checkpoint.config):
            raise WeightsError(
                f"The settings of {self.checkpoint.folder} are not those that its network was exported with. "
                "Export it again."
            )
        return session

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "checkpoint": self.checkpoint, "precision": self.precision}


SHAPE = "mmemo.shape"
"""Entry in the metadata of a graph: what `shape_of` gives."""


def shape_of(config: Mapping[str, Any]) -> str:
    """The settings of a checkpoint that say what the network is, as text."""
    named = {name: config[name] for name in ("architecture", "networks") if name in config}
    return json.dumps({**named, "classes": len(saved_labels(config))}, sort_keys=True)


class Parts(NamedTuple):
    """What is saved: settings in JSON, arrays, and other files."""

    config: dict[str, Any]
    tensors: dict[str, np.ndarray]
    files: dict[str, bytes]


class NetworkClassifier(Generic[Network]):
    """Base of a classifier around one network; a subclass says what the network is and what its settings are.

    Args:
        network: in torch, or exported.
        labels: classes, in the order of its logits.
        device: of a torch network: "auto", "cpu", "cuda", "mps".
        card: further entries of the ``config.json`` of the weights.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        network: Network | ExportedNetwork,
        labels: LabelSet,
        device: str = "cpu",
        card: Mapping[str, Any] | None = None,
    ) -> None:
        self.labels, self.card = labels, dict(card or {})
        self._run: ExportedNetwork | TorchNetwork
        if isinstance(network, ExportedNetwork):
            self._run = network
        else:
            from mmemo.encoders.torch_network import TorchNetwork

            self._run = TorchNetwork(network, device)

    @cached_property
    def network(self) -> Network:
        """The network in torch. That of an exported one is a copy: once it is trained, make a new encoder of it.

        Raises:
            MissingExtraError: if torch is not installed.
        """
        if isinstance(self._run, ExportedNetwork):
            return self._restored(self._run.checkpoint).eval()
        return self._run.module  # type: ignore[return-value]  # it is the one that was given

    def in_torch(self) -> Self:
        """The same with its network in torch, in float32.

        Raises:
            MissingExtraError: if torch is not installed.
        """
        network = self.network
        from mmemo.encoders.torch_network import TorchNetwork

        other = copy(self)
        other._run = TorchNetwork(network)
        return other

    def load_ahead(self) -> None:
        """Load an exported network in a thread, before the first window; see `OnnxNetwork.load_ahead`."""
        if isinstance(self._run, ExportedNetwork):
            self._run.load_ahead()

    @property
    def _apart(self) -> bool:
        """Whether windows must go through the network one by one: int8 takes its range from all that it is given."""
        return isinstance(self._run, ExportedNetwork) and self._run.precision == "int8"

    def _run_each(self, inputs: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
        """The outputs of the network for each of several inputs; in int8 on as many cores at once as there are."""
        threads = min(usable_threads(), len(inputs)) if self._apart else 1
        if threads < 2:
            return [self._run(*one) for one in inputs]
        with ThreadPoolExecutor(threads, "mmemo-encoder") as pool:
            return list(pool.map(lambda one: self._run(*one), inputs))

    @property
    def is_exported(self) -> bool:
        """Whether the network runs in ONNX Runtime."""
        return isinstance(self._run, ExportedNetwork)

    def state(self) -> Parts:
        """All that `save` writes.

        Raises:
            WeightsError: if the files of an exported network, which are read again, are gone.
        """
        if isinstance(self._run, ExportedNetwork):
            checkpoint = self._run.checkpoint
            graphs = {name: checkpoint.graph(name) for name in GRAPHS}
            try:
                files = {name: path.read_bytes() for name, path in graphs.items() if path is not None}
                tensors = checkpoint.tensors
            except OSError as error:
                raise WeightsError(f"{checkpoint.folder} can't be read any more: {error.strerror or error}.") from None
        else:
            from mmemo.encoders.torch_network import stored_state

            tensors, files = stored_state(self._run.module), {}
        own = self._settings()
        config = {**self.card, "kind": self.kind, "labels": self.labels.to_config(), **own.config}
        return Parts(config, {**tensors, **own.tensors}, {**files, **own.files})

    def save(self, folder: str | Path) -> Path:
        """Write ``config.json``, ``model.safetensors`` and, if it was exported, its graphs into ``folder``."""
        return save_checkpoint(folder, *self.state())

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu", precision: Precision = "auto") -> Self:
        """Read what `save` wrote: in ONNX Runtime if it was exported, else in torch.

        Args:
            device: "auto", "cpu", "cuda", "mps"; an exported network runs on all of `mmemo.onnx_network.DEVICES`.
            precision: of an exported network, see `ExportedNetwork`.

        Raises:
            UnknownModelError: if there is no checkpoint.
            WeightsError: if it is damaged, or not one of this class.
            MissingExtraError: if it was not exported, and torch is not installed.
            ArgumentError: for a device that is not there, or a precision that the folder does not have.
        """
        checkpoint = load_checkpoint(folder, cls.kind)
        exported = checkpoint.graph(GRAPH) is not None
        network = ExportedNetwork(checkpoint, device, precision) if exported else None
        try:
            labels = saved_labels(checkpoint.config)
            return cls._of(checkpoint, network or cls._restored(checkpoint), labels, device)
        except (KeyError, TypeError, ValueError, RuntimeError, LabelError) as error:
            raise WeightsError(f"{folder} does not hold a {cls.__name__} of this version: {error}") from None

    @classmethod
    def _restored(cls, checkpoint: Checkpoint) -> Network:
        """The torch network of a checkpoint."""
        try:
            from mmemo.encoders.torch_network import load_state
        except ModuleNotFoundError as error:
            raise missing_extra(f"The network in {checkpoint.folder}, in torch,", error) from None
        try:
            network = cls._build(checkpoint.config)
            load_state(network, checkpoint.floats())
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{checkpoint.folder} does not hold a {cls.__name__} of this version: {error}") from None
        return network

    @staticmethod
    def _build(config: Mapping[str, Any]) -> Network:
        """An untrained torch network by the settings of a checkpoint."""
        raise NotImplementedError

    @classmethod
    def _of(cls, checkpoint: Checkpoint, network: Network | ExportedNetwork, labels: LabelSet, device: str) -> Self:
        """The classifier of a checkpoint."""
        raise NotImplementedError

    def _settings(self) -> Parts:
        """What a subclass saves beside its network, labels and card."""
        raise NotImplementedError


def saved_labels(config: Mapping[str, Any]) -> LabelSet:
    """The labels of a checkpoint; the first version kept those of a voice under another key.

    Raises:
        KeyError: if it has none.
        LabelError: if they are damaged.
    """
    return LabelSet.from_config(config["labels"] if "labels" in config else config["label_set"])
