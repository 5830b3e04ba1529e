"""Convert MediaPipe's Face Landmarker to ONNX: the embedded networks that detect faces, landmarks and blendshapes.

    pip install mmemo onnx tflite        # made with onnx 1.23.2, tflite 2.18.0
    python recipes/face_landmarker_onnx.py face_landmarker.task --out mmemo/weights/faces

``face_landmarker.task`` is Google's bundle of three TFLite models (float16, version 1, Apache-2.0), SHA-256 64184e22…:
https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task

The same bytes come out each time. Inputs and outputs; N is free:

- ``detector.onnx``: image (N, 128, 128, 3) uint8 -> boxes (N, 896, 16), logits (N, 896, 1) float32
- ``landmarks.onnx``: image (N, 256, 256, 3) uint8 -> landmarks (N, 1434), presence (N, 1), a logit, float32
- ``blendshapes.onnx``: points (N, 146, 2) float32 -> blendshapes (N, 52) float32
- ``canonical_face.npy``: (468, 3) float32, the vertices of the mean face

The graphs are written for ONNX Runtime's CPU kernels, not transcribed operator by operator. Its fast convolutions use a
blocked layout (NCHWc), and know neither PRelu nor Pad: each would cost a change of layout before and after. Hence:

- PReLU(x) = x + (1 - a) * relu(-x). The values before and after each PReLU are kept with the opposite sign, so that
  relu(-x) is a plain Relu; the rest is one depthwise 1x1 convolution that adds x. Where a MaxPool follows, the sign
  turns back.
- Zero channels come from a 1x1 convolution with an identity matrix. The detector's widths are rounded up to multiples
  of 8, a block, after which four of its eleven Pads are left.
- The image stays NHWC: the first convolution takes it for one of 1 channel and 3 times the width. It is uint8, its
  normalization part of the graph.
- Convolutions of the same input at the end are one.
- The blendshape model, an MLP-Mixer, has Gemm, Conv and LayerNormalization in place of its 1x1 convolutions and their
  parts, and skips what its output, read from one of 97 tokens, does not need.
- Weights are stored in float32: of the same values as the bundle's float16, and loaded in two thirds of the time.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import tflite
import typer
from onnx import TensorProto, helper, numpy_helper

from mmemo.files import replacing

OPSET = 17  # the first with LayerNormalization
BLOCK = 8  # channels of a block with AVX2
_KINDS = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
_TYPES = {tflite.TensorType.FLOAT16: np.float16, tflite.TensorType.FLOAT32: np.float32}


class Operator:
    """An operator of a TFLite graph: its kind, and its tensors by number."""

    def __init__(self, kind: str, inputs: list[int], outputs: list[int], options: tflite.Table) -> None:
        self.kind, self.inputs, self.output = kind, inputs, outputs[0]
        self._options = options

    def settings(self) -> tflite.Conv2DOptions | tflite.DepthwiseConv2DOptions:
        """Of a convolution."""
        settings = tflite.Conv2DOptions() if self.kind == "CONV_2D" else tflite.DepthwiseConv2DOptions()
        settings.Init(self._options.Bytes, self._options.Pos)
        return settings


class Source:
    """A TFLite model: its operators in order, without DEQUANTIZE, and its floating-point constants by tensor."""

    def __init__(self, content: bytes) -> None:
        model = tflite.Model.GetRootAsModel(content, 0)
        self._graph = graph = model.Subgraphs(0)
        self.image = int(graph.Inputs(0))
        self.outputs = graph.OutputsAsNumpy().tolist()
        self.operators: list[Operator] = []
        self.constants: dict[int, np.ndarray] = {}
        self.readers: dict[int, set[str]] = defaultdict(set)  # kinds of the operators that read a tensor
        for i in range(graph.TensorsLength()):
            tensor = graph.Tensors(i)
            buffer = model.Buffers(tensor.Buffer())
            if buffer.DataLength() and tensor.Type() in _TYPES:
                values = np.frombuffer(buffer.DataAsNumpy().tobytes(), _TYPES[tensor.Type()])
                self.constants[i] = values.astype(np.float32).reshape(self.shape(i))
        for i in range(graph.OperatorsLength()):
            operator = graph.Operators(i)
            code = model.OperatorCodes(operator.OpcodeIndex())
            kind = _KINDS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            inputs, outputs = operator.InputsAsNumpy().tolist(), operator.OutputsAsNumpy().tolist()
            if kind == "DEQUANTIZE":
                self.constants[outputs[0]] = self.constants[inputs[0]]
                continue
            self.operators.append(Operator(kind, inputs, outputs, operator.BuiltinOptions()))
            for tensor in inputs:
                self.readers[tensor].add(kind)

    def shape(self, tensor: int) -> list[int]:
        return [self._graph.Tensors(tensor).Shape(i) for i in range(self._graph.Tensors(tensor).ShapeLength())]

    def weight(self, operator: Operator) -> np.ndarray:
        """Of a convolution, in ONNX's layout: (output, input / group, height, width)."""
        weight = self.constants[operator.inputs[1]]
        return weight.transpose((0, 3, 1, 2) if operator.kind == "CONV_2D" else (3, 0, 1, 2))

    def bias(self, operator: Operator) -> np.ndarray:
        return self.constants[operator.inputs[2]]

    def pads(self, operator: Operator) -> tuple[int, int, int, int]:
        """Of a convolution: top, left, bottom, right. TFLite's SAME has the odd one at the end."""
        settings = operator.settings()
        if settings.Padding() == tflite.Padding.VALID:
            return 0, 0, 0, 0
        height, width = self.shape(operator.inputs[0])[1:3]
        kernel, stride = self.weight(operator).shape[2:], (settings.StrideH(), settings.StrideW())
        missing = [
            max((-(-size // step) - 1) * step + length - size, 0)
            for size, length, step in zip((height, width), kernel, stride, strict=True)
        ]
        top, left = missing[0] // 2, missing[1] // 2
        return top, left, missing[0] - top, missing[1] - left


class Target:
    """An ONNX graph in the making. Methods that add nodes give the name of the result."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def split(self, x: str, names: list[str], sizes: list[int], axis: int) -> None:
        self._nodes.append(helper.make_node("Split", [x, self.integers(*sizes)], names, axis=axis))

    def integers(self, *values: int) -> str:
        return self._initializer(np.array(values, np.int64))

    def constant(self, values: np.ndarray) -> str:
        """A float32 constant."""
        return self._initializer(values.astype(np.float32))

    def conv(self, x: str, weight: np.ndarray, bias: np.ndarray | None = None, **attributes: Any) -> str:
        inputs = [x, self.constant(weight)]
        if bias is not None and bias.any():
            inputs.append(self.constant(bias))
        return self.add("Conv", *inputs, kernel_shape=weight.shape[2:], **attributes)

    def scale(self, x: str, factors: np.ndarray) -> str:
        """Each channel times its factor, as a depthwise convolution."""
        return self.conv(x, factors.reshape(-1, 1, 1, 1), group=factors.size)

    def reshape(self, x: str, *shape: int) -> str:
        """To ``shape``; 0 keeps a size. (-1 for the batch would lose its name, and with it the reuse of memory.)"""
        return self.add("Reshape", x, self.integers(*shape))

    def model(
        self, name: str, inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]
    ) -> onnx.ModelProto:
        def describe(values: dict[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
            return [
                helper.make_tensor_value_info(
                    key, TensorProto.UINT8 if key == "image" else TensorProto.FLOAT, ["N", *shape]
                )
                for key, shape in values.items()
            ]

        graph = helper.make_graph(self._nodes, name, describe(inputs), describe(outputs), self._initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _initializer(self, values: np.ndarray) -> str:
        name = f"c{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


class Network:
    """The operators of a convolutional model up to its heads, as NCHW values by TFLite tensor.

    A value may differ from the tensor's: its sign is ``signs[tensor]``, its channels are ``widths[tensor]``, the
    additional ones zero.
    """

    def __init__(self, source: Source, target: Target, middle: float, scale: float) -> None:
        self.source, self.target = source, target
        self.heads: list[Operator] = []  # the convolutions that only reshapes and the like read
        self.names: dict[int, str] = {}
        self.signs: dict[int, int] = {}
        self.widths: dict[int, int] = {}
        # Whatever a PReLU reads, and what is added to that, is negative.
        self._usual = -1 if any(operator.kind == "PRELU" for operator in source.operators) else 1
        for operator in source.operators:
            kind, x, y = operator.kind, operator.inputs[0], operator.output
            if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                if not source.readers[y] - {"RESHAPE", "LOGISTIC"}:
                    self.heads.append(operator)
                elif x == source.image:
                    self._keep(y, self._first(operator, middle, scale), self._usual)
                else:
                    self._keep(y, self._conv(operator), self._usual)
            elif kind == "RELU":
                self._keep(y, self.target.add("Relu", self.names[x]), 1)
            elif kind == "PRELU":
                sign = 1 if "MAX_POOL_2D" in source.readers[y] else self._usual
                self._keep(y, self._prelu(operator, sign), sign)
            elif kind == "MAX_POOL_2D":
                assert self.signs[x] == 1
                self._keep(y, self.target.add("MaxPool", self.names[x], kernel_shape=[2, 2], strides=[2, 2]), 1)
            elif kind == "PAD":  # channels, at the end
                self._keep(y, self._pad(operator), self._usual)
            elif kind == "ADD":
                self._keep(
                    y, self.target.add("Add", *(self._signed(i, self._usual) for i in operator.inputs)), self._usual
                )
            else:
                assert kind in ("RESHAPE", "CONCATENATION", "LOGISTIC"), kind

    def _keep(self, tensor: int, name: str, sign: int) -> None:
        self.names[tensor], self.signs[tensor], self.widths[tensor] = name, sign, self._width(tensor)

    def _width(self, tensor: int) -> int:
        return -(-self.source.shape(tensor)[-1] // BLOCK) * BLOCK

    def _signed(self, tensor: int, sign: int) -> str:
        name = self.names[tensor]
        return name if self.signs[tensor] == sign else self.target.scale(name, -np.ones(self.widths[tensor]))

    def _conv(self, operator: Operator) -> str:
        x, depthwise = operator.inputs[0], operator.kind == "DEPTHWISE_CONV_2D"
        settings, width = operator.settings(), self._width(operator.output)
        assert settings.FusedActivationFunction() == tflite.ActivationFunctionType.NONE
        weight = widened(self.source.weight(operator), 0, width) * (self.signs[x] * self._usual)
        return self.target.conv(
            self.names[x],
            weight if depthwise else widened(weight, 1, self.widths[x]),
            widened(self.source.bias(operator), 0, width) * self._usual,
            strides=[settings.StrideH(), settings.StrideW()],
            pads=self.source.pads(operator),
            group=width if depthwise else 1,
        )

    def _first(self, operator: Operator, middle: float, scale: float) -> str:
        """The convolution of the image, (values - middle) * scale: a pixel's channels become neighbors in a row."""
        _, height, width, channels = self.source.shape(operator.inputs[0])
        settings, weight = operator.settings(), self.source.weight(operator)
        top, left, bottom, right = self.source.pads(operator)
        rows = weight.transpose(0, 2, 3, 1).reshape(len(weight), 1, weight.shape[2], -1)
        x = self.target.add("Cast", "image", to=TensorProto.FLOAT)
        x = self.target.reshape(x, 0, 1, height, width * channels)
        if middle:  # not as part of the bias, as the padding is zero after it
            x = self.target.add("Sub", x, self.target.constant(np.array(middle)))
        return self.target.conv(
            x,
            rows * (scale * self._usual),
            self.source.bias(operator) * self._usual,
            strides=[settings.StrideH(), settings.StrideW() * channels],
            pads=[top, left * channels, bottom, right * channels],
        )

    def _prelu(self, operator: Operator, sign: int) -> str:
        x = operator.inputs[0]
        assert self.signs[x] == -1
        slope = widened(self.source.constants[operator.inputs[1]].reshape(-1), 0, self.widths[x])
        change = self.target.scale(self.target.add("Relu", self.names[x]), (1 - slope) * sign)
        return self.target.add("Add", change, self._signed(x, sign))

    def _pad(self, operator: Operator) -> str:
        x, width = operator.inputs[0], self._width(operator.output)
        if self.widths[x] == width:
            return self._signed(x, self._usual)
        identity = np.eye(width, self.widths[x])[:, :, None, None]
        return self.target.conv(self.names[x], identity * (self.signs[x] * self._usual))


def widened(values: np.ndarray, axis: int, width: int) -> np.ndarray:
    """Zeros appended along an axis."""
    padding = [(0, 0)] * values.ndim
    padding[axis] = (0, width - values.shape[axis])
    return np.pad(values, padding)


def detector(source: Source, target: Target) -> onnx.ModelProto:
    network = Network(source, target, 127.5, 1 / 127.5)
    grids = []
    # Two grids of cells; an anchor's 16 numbers of the box and its logit become one row.
    for logit, box in zip(network.heads[:2], network.heads[2:], strict=True):
        x = box.inputs[0]
        assert logit.inputs[0] == x
        anchors = source.shape(logit.output)[-1]
        weight, bias = (
            np.concatenate(
                [part(box).reshape(anchors, 16, *rest), part(logit).reshape(anchors, 1, *rest)], axis=1
            ).reshape(anchors * 17, *rest)
            for part, rest in ((source.weight, source.weight(box).shape[1:]), (source.bias, ()))
        )
        grid = target.conv(network.names[x], widened(weight, 1, network.widths[x]), bias)
        cells = source.shape(logit.output)[1] * source.shape(logit.output)[2]
        grids.append(target.reshape(target.add("Transpose", grid, perm=[0, 2, 3, 1]), 0, cells * anchors, 17))
    target.split(target.add("Concat", *grids, axis=1), ["boxes", "logits"], [16, 1], axis=2)
    return target.model("face_detector", {"image": (128, 128, 3)}, {"boxes": (896, 16), "logits": (896, 1)})


def landmarks(source: Source, target: Target) -> onnx.ModelProto:
    network = Network(source, target, 0.0, 1 / 255)
    # The third output, which MediaPipe does not use either, is left out.
    heads = [next(head for head in network.heads if head.output == output) for output in source.outputs[:2]]
    x = heads[0].inputs[0]
    weight = np.concatenate([source.weight(head) for head in heads]) * network.signs[x]
    bias = np.concatenate([source.bias(head) for head in heads])
    flat = target.add("Flatten", network.names[x])
    values = target.add("Gemm", flat, target.constant(weight.reshape(len(weight), -1)), target.constant(bias), transB=1)
    target.split(values, ["landmarks", "presence"], [1434, 1], axis=1)
    return target.model("face_landmarks_detector", {"image": (256, 256, 3)}, {"landmarks": (1434,), "presence": (1,)})


def blendshapes(source: Source, target: Target) -> onnx.ModelProto:
    """The MLP-Mixer: 96 tokens and one for the output, 64 channels, 4 blocks."""
    layers = [operator for operator in source.operators if operator.kind == "CONV_2D"]

    def constants(kind: str) -> list[np.ndarray]:
        return [
            source.constants[i]
            for operator in source.operators
            if operator.kind == kind
            for i in operator.inputs
            if i in source.constants
        ]

    unit, *gains = constants("MUL")
    epsilon = float(constants("ADD")[0])
    (token,) = constants("CONCATENATION")

    def channels(x: str, layer: int) -> str:
        """A dense layer along the channels of (rows, channels)."""
        weight = source.weight(layers[layer])[:, :, 0, 0]
        return target.add("Gemm", x, target.constant(weight), target.constant(source.bias(layers[layer])), transB=1)

    def tokens(x: str, layer: int, count: int | None = None) -> str:
        """A dense layer along the tokens of (N, tokens, channels); its first ``count`` outputs."""
        weight = source.weight(layers[layer])[:count, :, :, 0]
        return target.conv(x, weight, source.bias(layers[layer])[:count])

    def normalized(x: str, gain: np.ndarray) -> str:
        return target.add("LayerNormalization", x, target.constant(gain), axis=-1, epsilon=epsilon)

    # Points relative to their mean, in units of their mean distance from it.
    centered = target.add("Sub", "points", target.add("ReduceMean", "points", axes=[1]))
    distance = target.add("ReduceMean", target.add("ReduceL2", centered, axes=[2]), axes=[1])
    x = target.add("Mul", target.add("Div", centered, distance), target.constant(unit))
    x = target.reshape(channels(target.reshape(tokens(x, 0), -1, 2), 1), -1, 96, 64)
    one_each = target.add("Concat", target.add("Shape", "points", start=0, end=1), target.integers(1, 1), axis=0)
    x = target.add("Concat", target.add("Expand", target.constant(token[0]), one_each), x, axis=1)
    for block in range(4):
        last = block == 3
        layer = 2 + 4 * block
        mixed = target.add("Relu", tokens(normalized(x, gains[2 * block]), layer))
        mixed = tokens(mixed, layer + 1, 1 if last else None)
        if last:  # only the first token is read
            x = target.add("Slice", x, target.integers(0), target.integers(1), target.integers(1))
        x = target.reshape(target.add("Add", mixed, x), -1, 64)
        mixed = target.add("Relu", channels(normalized(x, gains[2 * block + 1]), layer + 2))
        x = target.add("Add", channels(mixed, layer + 3), x)
        if not last:
            x = target.reshape(x, -1, 97, 64)
    target.add("Sigmoid", channels(x, 18), name="blendshapes")
    return target.model("face_blendshapes", {"points": (146, 2)}, {"blendshapes": (52,)})


MODELS: dict[str, tuple[str, Callable[[Source, Target], onnx.ModelProto]]] = {
    "detector.onnx": ("face_detector.tflite", detector),
    "landmarks.onnx": ("face_landmarks_detector.tflite", landmarks),
    "blendshapes.onnx": ("face_blendshapes.tflite", blendshapes),
}
"""The file written: the model in the bundle, and how it is converted."""
GEOMETRY = "geometry_pipeline_metadata_landmarks.binarypb"


def canonical_face(geometry: bytes) -> np.ndarray:
    """The vertices of the mean face, (468, 3) float32, from the bundle's geometry file.

    It is a protocol buffer: field 1 is the mesh, whose repeated field 3 holds x, y, z, u, v of each vertex, each as a
    tag byte and a little-endian float32.
    """
    tag = bytes([3 << 3 | 5])  # field 3, fixed 32 bit
    count = 468 * 5
    block = np.frombuffer(geometry, np.uint8, count * 5, geometry.find(tag)).reshape(count, 5)
    assert (block[:, 0] == tag[0]).all()
    vertices = np.ascontiguousarray(block[:, 1:]).view("<f4").reshape(468, 5)
    return np.ascontiguousarray(vertices[:, :3])


def main(
    bundle: Annotated[Path, typer.Argument(help="MediaPipe's face_landmarker.task.")],
    out: Annotated[Path, typer.Option(help="Folder to write the networks and the mean face into; a new one.")],
) -> None:
    """Convert the models of MediaPipe's Face Landmarker to ONNX."""
    with zipfile.ZipFile(bundle) as file, replacing(out, [bundle]) as folder:
        for name, (model, convert) in MODELS.items():
            onnx.save(convert(Source(file.read(model)), Target()), folder / name)
        np.save(folder / "canonical_face.npy", canonical_face(file.read(GEOMETRY)), allow_pickle=False)


if __name__ == "__main__":
    typer.run(main)
