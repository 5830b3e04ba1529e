"""Export of trained networks to ONNX, so that they run without torch.

A graph holds no weights: each of its tensors names a place in ``model.safetensors`` beside it (ONNX's external data).
So torch and ONNX Runtime read the same numbers, and a folder keeps them once. Matrices are stored in float16, or in
int8 with a scale a row; the graph brings them to float32, which ONNX Runtime does once, when it loads it.
"""

from __future__ import annotations

import io
import json
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from mmemo.checkpoint import save_checkpoint, scale_name, tensors_file, to_int8
from mmemo.encoders.base import Encoder
from mmemo.encoders.network_classifier import SHAPE, NetworkClassifier, shape_of
from mmemo.encoders.probe_encoder import ProbeEncoder
from mmemo.encoders.torch_network import Signature
from mmemo.errors import ArgumentError
from mmemo.files import GRAPH, GRAPH_INT8, TENSORS, replacing
from mmemo.fusion.base import FusionHead
from mmemo.fusion.network_fusion import NetworkFusion
from mmemo.model import FUSION, EmotionModel, load_settings
from mmemo.onnx_network import OnnxNetwork
from mmemo.pretrained import model_folder
from mmemo.training.runner import check_onnxruntime_web, write_page, write_runner

OPSET = 18
LARGE = 65_536
"""Values of a matrix from which on its products may be computed in int8."""
FACTOR = 63
"""Largest integer of a matrix that is multiplied by in int8: processors without VNNI add two products in 16 bits."""
_TYPES = {"F16": TensorProto.FLOAT16, "F32": TensorProto.FLOAT, "I8": TensorProto.INT8, "I64": TensorProto.INT64}


def export_model(
    source: str | Path,
    out: str | Path,
    *,
    int8: bool = False,
    web: str | Path | None = None,
    classes: Sequence[type] = (),
) -> Path:
    """Write a saved model with every network as a graph, so that it runs without torch.

    Beside it lies ``run.py``, which scores the face of a picture or video and the voice of a WAV file without mmemo.

    Args:
        source: a folder that `EmotionModel.save` wrote, or the run folder of a recipe.
        out: the new model's folder.
        int8: see `export_classifier`; ``run.py`` computes the voice in int8 then.
        web: folder of the npm package onnxruntime-web; a web page that runs face and voice in the browser is then
            written too.
        classes: of encoders and fusion heads that are not mmemo's own; they are saved as they are.

    Raises:
        UnknownModelError, WeightsError: see `mmemo.load_model`.
        ArgumentError: if an encoder runs in transformers or torchaudio, which can't be exported; int8 would change
            nothing; ``web`` is not that package, or the model has no face for the page; or ``out`` may not be replaced,
            see `mmemo.files.check_folder`.
    """
    folder = model_folder(source)
    if web is not None:
        check_onnxruntime_web(Path(web))
    with TemporaryDirectory() as scratch, replacing(out, (source, folder, web)) as partial:
        model = EmotionModel.load(folder, classes=classes)
        encoders = [_exported(one, Path(scratch) / one.modality, int8) for one in model.encoders.values()]
        head = _exported_head(model.fusion, Path(scratch) / FUSION)
        priors = {modality: model.labels.scores(shares) for modality, shares in model.priors.items()}
        exported = EmotionModel(encoders, head, model.temperatures, model.name, priors)
        exported.save(partial, card=load_settings(folder).config)
        write_runner(exported, partial, int8=int8)
        if web is not None:
            write_page(partial, Path(web))
    return Path(out)


def _exported(encoder: Encoder, folder: Path, int8: bool) -> Encoder:
    """An encoder that runs without torch."""
    if isinstance(encoder, NetworkClassifier):
        if encoder.is_exported:
            return encoder
        return type(encoder).load(export_classifier(encoder, folder, int8=int8))
    if isinstance(encoder, ProbeEncoder):
        return ProbeEncoder(_exported(encoder.base, folder, int8), encoder.probe, encoder.labels)
    if type(encoder).__name__ in ("SpeechBackboneEncoder", "TextBackboneEncoder", "WhisperLayersEncoder"):
        raise ArgumentError(
            f"The {encoder.modality} encoder is a {type(encoder).__name__}, whose network is not mmemo's own: it can't "
            "be exported. It runs where mmemo[backbones] is installed."
        )
    return encoder


def _exported_head(head: FusionHead, folder: Path) -> FusionHead:
    """A head that runs without torch."""
    if not isinstance(head, NetworkFusion) or head.graphs():
        return head
    settings, arrays = head.state()
    save_checkpoint(folder, {}, arrays, {GRAPH: linked(traced(head.network), tensors_file(arrays))})
    return type(head).from_graph(head.labels, settings, arrays, OnnxNetwork(folder / GRAPH))


def export_classifier(classifier: NetworkClassifier[Any], folder: str | Path, *, int8: bool = False) -> Path:
    """Write an encoder, or another classifier, with its network as a graph, so that it loads without torch.

    Args:
        classifier: with a torch network.
        folder: as its ``save`` writes it, and the graphs beside.
        int8: also write a graph that computes the products with large matrices in int8, and store those in int8: half
            the size, and on a CPU a faster transformer. Measure what it costs in accuracy.

    Raises:
        ArgumentError: if the folder may not be replaced; see `mmemo.files.check_folder`.

    >>> from mmemo.encoders.face.architecture import FaceArchitecture
    >>> from mmemo.encoders.face.encoder import FaceEncoder
    >>> from mmemo.encoders.face.network import FaceNetwork
    >>> from mmemo.labels import EKMAN7
    >>> from mmemo.training.export_onnx import export_classifier
    >>> encoder = FaceEncoder(FaceNetwork(FaceArchitecture(size=16, widths=(8, 16), depths=(1, 1))), EKMAN7)
    >>> sorted(file.name for file in export_classifier(encoder, "exported").glob("model.*"))
    ['model.onnx', 'model.safetensors']
    """
    config, tensors, files = classifier.state()
    graph = traced(classifier.network)
    graph.metadata_props.add(key=SHAPE, value=shape_of(json.loads(json.dumps(config))))
    large = multiplied(graph, tensors) if int8 else []
    for name in large:
        tensors |= to_int8(name, classifier.network.state_dict()[name].detach().cpu().float().numpy(), FACTOR)
    data = tensors_file(tensors)
    files = {**files, GRAPH: linked(graph, data)}
    if large:
        files[GRAPH_INT8] = linked(graph, data, int8=True)
    return save_checkpoint(folder, config, tensors, files)


def traced(network: torch.nn.Module) -> onnx.ModelProto:
    """The graph of a network that has a ``signature``; its tensors have the names of the network's state."""
    signature: Signature = network.signature()  # type: ignore[operator]
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Tracing warns of every Python number that it takes as fixed; the parity tests show that none matters.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval().cpu(),
            tuple(signature.inputs.values()),
            buffer,  # type: ignore[arg-type]  # the older exporter takes a buffer too
            input_names=list(signature.inputs),
            output_names=list(signature.outputs),
            dynamic_axes={name: dict(axes) for name, axes in signature.axes.items()},
            opset_version=OPSET,
            do_constant_folding=False,  # it would rename what it folds
            dynamo=False,  # the other exporter takes ten times as long
        )
    return onnx.load_from_string(buffer.getvalue())


def multiplied(graph: onnx.ModelProto, tensors: Mapping[str, np.ndarray]) -> list[str]:
    """Names of the large matrices that a graph multiplies by, transposed."""
    turned = {node.output[0]: node.input[0] for node in graph.graph.node if node.op_type == "Transpose"}
    factors = [turned.get(node.input[1], "") for node in graph.graph.node if node.op_type == "MatMul"]
    return [name for name in dict.fromkeys(factors) if name in tensors and tensors[name].size >= LARGE]


def linked(model: onnx.ModelProto, data: bytes, *, int8: bool = False) -> bytes:
    """An ONNX file of a traced graph whose weights lie in a file of safetensors.

    Args:
        data: the file's bytes.
        int8: compute the products with matrices that are stored in int8 in int8; else all is computed in float32.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    graph, link = out.graph, _Link(dict(_places(data)), int8)
    nodes = [new for node in model.graph.node for new in link.replaced(node)]
    kept = [tensor for tensor in graph.initializer if tensor.name not in link.places]
    del graph.node[:], graph.initializer[:]
    graph.node.extend([*link.nodes, *nodes])
    graph.initializer.extend([*kept, *link.tensors.values()])
    data_of_graph: bytes = out.SerializeToString()
    return data_of_graph


@dataclass
class _Link:
    """The nodes and tensors by which a graph gets its weights."""

    places: dict[str, TensorProto]
    int8: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: dict[str, TensorProto] = field(default_factory=dict)
    turned: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    def replaced(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """The nodes that stand for one of the traced graph."""
        first, second = (node.input[place] if place < len(node.input) else "" for place in (0, 1))
        if node.output[0] in self.places:
            return  # weights that happen to be equal are traced as copies of one; each has its own place
        if node.op_type == "Gather" and self._is_int8(first):
            # Rows are chosen before they are brought to float32, so that the whole table stays in int8.
            yield from self._gather(node)
        elif node.op_type == "Transpose" and self.int8 and self._is_int8(first):
            self.turned[node.output[0]] = first
        elif node.op_type == "MatMul" and second in self.turned:
            yield from self._multiply(node)
        else:
            for name in node.input:
                self._bring(name)
            yield node

    def _is_int8(self, name: str) -> bool:
        return name in self.places and self.places[name].data_type == TensorProto.INT8

    def _stored(self, name: str) -> str:
        """The name of a weight as it is stored."""
        stored = f"{name}:stored"
        if stored not in self.tensors:
            self.tensors[stored] = TensorProto()
            self.tensors[stored].CopyFrom(self.places[name])
            self.tensors[stored].name = stored
        return stored

    def _bring(self, name: str) -> None:
        """Bring a weight to float32 under its own name, once."""
        if name not in self.places or name in self.done:
            return
        self.done.add(name)
        kind = self.places[name].data_type
        if kind == TensorProto.INT8:
            self._node("Cast", [self._stored(name)], f"{name}:float", to=TensorProto.FLOAT)
            self._node("Mul", [f"{name}:float", self._stored(scale_name(name))], name)
        elif kind == TensorProto.FLOAT16:
            self._node("Cast", [self._stored(name)], name, to=TensorProto.FLOAT)
        else:
            self.tensors[name] = self.places[name]

    def _node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))

    def _gather(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        (name, ids), (out,) = node.input, node.output
        yield helper.make_node("Gather", [self._stored(name), ids], [f"{out}:rows"])
        yield helper.make_node("Gather", [self._stored(scale_name(name)), ids], [f"{out}:scales"])
        yield helper.make_node("Cast", [f"{out}:rows"], [f"{out}:float"], to=TensorProto.FLOAT)
        yield helper.make_node("Mul", [f"{out}:float", f"{out}:scales"], [out])

    def _multiply(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """A product in int8, in the pattern that ONNX Runtime computes in one step."""
        x, (out,), name = node.input[0], node.output, self.turned[node.input[1]]
        if f"{name}:turned" not in self.done:
            self.done.add(f"{name}:turned")
            self._node("Transpose", [self._stored(name)], f"{name}:turned", perm=[1, 0])
            self._node("Transpose", [self._stored(scale_name(name))], f"{name}:scales", perm=[1, 0])
        if f"{x}:int8" not in self.done:
            self.done.add(f"{x}:int8")
            yield helper.make_node("DynamicQuantizeLinear", [x], [f"{x}:int8", f"{x}:scale", f"{x}:zero"])
        yield helper.make_node("MatMulInteger", [f"{x}:int8", f"{name}:turned", f"{x}:zero"], [f"{out}:sum"])
        yield helper.make_node("Cast", [f"{out}:sum"], [f"{out}:float"], to=TensorProto.FLOAT)
        yield helper.make_node("Mul", [f"{x}:scale", f"{name}:scales"], [f"{out}:scale"])
        yield helper.make_node("Mul", [f"{out}:float", f"{out}:scale"], [out])


def _places(data: bytes) -> Iterator[tuple[str, TensorProto]]:
    """The tensors of a file of safetensors, as references to their bytes in it."""
    (size,) = struct.unpack_from("<Q", data)
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            tensor = TensorProto(
                name=name, dims=entry["shape"], data_type=_TYPES[entry["dtype"]], data_location=TensorProto.EXTERNAL
            )
            for key, value in (("location", TENSORS), ("offset", 8 + size + start), ("length", end - start)):
                tensor.external_data.add(key=key, value=str(value))
            yield name, tensor
