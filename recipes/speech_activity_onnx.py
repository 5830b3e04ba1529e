"""Rewrite Silero's network for speech activity as products of matrices: half the processor time, the same numbers.

    pip install mmemo onnx silero-vad
    python recipes/speech_activity_onnx.py mmemo/weights/speech_activity/model.onnx

The official file runs each layer as a convolution over the few frames of one chunk (at most five, and in the end one):
four fifths of its time, 30 ms of 37 for 256 chunks. Here the frames that a convolution sees stand side by side in one
row, and one product of matrices does all chunks of a call at once: 7 ms. The weights are only transposed; those that
meet nothing but padding are left out. Nothing is trained, and there is no chance in it: the same source gives the same
bytes. One output is added, the LSTM's state after each chunk, which recipes/vocal_bursts.py takes. The result is
written only if it agrees with the source on random sound.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mmemo.errors import WeightsError
from mmemo.files import replacing_file
from mmemo.onnx_network import OnnxNetwork

SOURCE = "silero_vad_16k_sequence.onnx"
CHUNK, CONTEXT = 512, 64
"""Samples of one chunk, and those before it."""
HOP = 128
"""Samples from one frame of the Fourier transform to the next; a frame is two hops long."""
FREQUENCIES = 129
UNITS = 128
"""Of the LSTM."""
TOLERANCE = 1e-5
"""Largest difference from the source, relative for values above 1.

Sums of float32 in another order make some 1e-7 in the probabilities, and some 1e-6 in the state of the LSTM.
"""


class Graph:
    """Nodes of ONNX, and the constant arrays that they take."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: dict[str, np.ndarray] = {}

    def array(self, name: str, array: np.ndarray) -> str:
        """Add a constant array."""
        self.arrays[name] = np.ascontiguousarray(array)
        return name

    def integers(self, *values: int) -> str:
        """A constant (N,) int64, as shapes and positions are given; equal ones are stored once."""
        return self.array("integers_" + "_".join(map(str, values)), np.array(values, np.int64))

    def node(self, kind: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Add a node; its first output is named by its number where no ``outputs`` are."""
        outputs = outputs or (f"{kind.lower()}_{len(self.nodes)}",)
        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs[0]

    def frames(self, x: str, first: int, stop: int) -> str:
        """Some of the frames of each chunk: (C, T, F) to (C, stop - first, F)."""
        return self.node("Slice", x, self.integers(first), self.integers(stop), self.integers(1))

    def padded(self, x: str, before: int, after: int) -> str:
        """Frames of zeros around those of each chunk: (C, T, F) to (C, before + T + after, F)."""
        return self.node("Pad", x, self.integers(0, before, 0, 0, after, 0))

    def reshaped(self, x: str, *shape: int) -> str:
        """The same values in another shape."""
        return self.node("Reshape", x, self.integers(*shape))


def magnitudes(graph: Graph, basis: np.ndarray) -> str:
    """Short-time Fourier transform of ``input`` (C, 576): magnitudes (C, 4, 129).

    Args:
        basis: (258, 1, 256), the real parts of all frequencies, then the imaginary ones.
    """
    sound = graph.node("Pad", "input", graph.integers(0, 0, 0, CONTEXT), mode="reflect")
    hops = graph.reshaped(sound, -1, (CONTEXT + CHUNK + CONTEXT) // HOP, HOP)
    frames = graph.node("Concat", graph.frames(hops, 0, 4), graph.frames(hops, 1, 5), axis=2)
    squares = []
    for name, part in (("real", basis[:FREQUENCIES, 0]), ("imaginary", basis[FREQUENCIES:, 0])):
        values = graph.node("MatMul", frames, graph.array(f"fourier.{name}", part.T))
        squares.append(graph.node("Mul", values, values))
    return graph.node("Sqrt", graph.node("Add", *squares))


def convolution(graph: Graph, rows: str, layer: int, weights: dict[str, np.ndarray], taps: slice) -> str:
    """One layer of the encoder, with its ReLU, as a product of matrices.

    Args:
        rows: (..., taps * channels): the frames that the convolution sees, side by side.
        taps: of the three, those that see more than padding.
    """
    weight = weights[f"encoder.{layer}.weight"][:, :, taps]  # (outputs, channels, taps)
    matrix = graph.array(f"encoder.{layer}.weight", weight.transpose(2, 1, 0).reshape(-1, len(weight)))
    bias = graph.array(f"encoder.{layer}.bias", weights[f"encoder.{layer}.bias"])
    return graph.node("Relu", graph.node("Add", graph.node("MatMul", rows, matrix), bias))


def encoder(graph: Graph, spectrum: str, weights: dict[str, np.ndarray]) -> str:
    """The four convolutions, three taps each, over the spectrum (C, 4, 129) of each chunk: (C, 128)."""
    # Stride 1, four frames in and out: each frame beside those before and after it.
    padded = graph.padded(spectrum, 1, 1)
    rows = graph.node("Concat", *(graph.frames(padded, tap, tap + 4) for tap in range(3)), axis=2)
    first = convolution(graph, rows, 0, weights, slice(0, 3))
    # Stride 2, four frames to two: frames -1 to 1, and 1 to 3; frame -1 is padding.
    padded = graph.padded(first, 1, 0)
    halves = (graph.reshaped(graph.frames(padded, start, start + 3), -1, 1, 3 * 128) for start in (0, 2))
    second = convolution(graph, graph.node("Concat", *halves, axis=1), 1, weights, slice(0, 3))
    # Stride 2, two frames to one: the first tap sees padding only.
    third = convolution(graph, graph.reshaped(second, -1, 2 * 64), 2, weights, slice(1, 3))
    # One frame: the taps beside the middle one see padding only.
    return convolution(graph, third, 3, weights, slice(1, 2))


def classifier(graph: Graph, features: str, lstm: Sequence[np.ndarray], weights: dict[str, np.ndarray]) -> None:
    """LSTM over the chunks' features (C, 128), a linear layer and a sigmoid, to the network's outputs.

    Before the linear layer, the LSTM's hidden states ``states`` (C, 128) are an output of their own.
    """
    arrays = [
        graph.array(f"lstm.{name}", array) for name, array in zip(("input", "recurrent", "bias"), lstm, strict=True)
    ]
    sequence = graph.node("Unsqueeze", features, graph.integers(1))
    hidden = graph.node("LSTM", sequence, *arrays, "", "h", "c", outputs=("hidden", "hn", "cn"), hidden_size=UNITS)
    states = graph.node("Reshape", hidden, graph.integers(-1, UNITS), outputs=("states",))
    shown = graph.node("Relu", states)
    scores = graph.node("MatMul", shown, graph.array("output.weight", weights["output.weight"].reshape(UNITS)))
    shifted = graph.node("Add", scores, graph.array("output.bias", weights["output.bias"]))
    graph.node("Sigmoid", shifted, outputs=("speech_probs",))


def rewrite(source: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with its inputs and outputs, and one more output; see the top of this file."""
    weights = {array.name: numpy_helper.to_array(array) for array in source.graph.initializer}
    lstm = next(node for node in source.graph.node if node.op_type == "LSTM")
    graph = Graph()
    spectrum = magnitudes(graph, weights["stft.forward_basis_buffer"])
    features = encoder(graph, spectrum, weights)
    classifier(graph, features, [weights[name] for name in lstm.input[1:4]], weights)
    arrays = [numpy_helper.from_array(array, name) for name, array in graph.arrays.items()]
    states = helper.make_tensor_value_info("states", onnx.TensorProto.FLOAT, ("chunks", UNITS))
    outputs = [*source.graph.output, states]
    whole = helper.make_graph(graph.nodes, "speech_activity", source.graph.input, outputs, arrays)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def largest_difference(source: Path, rewritten: Path) -> float:
    """Between the outputs of two files, of random sound from quiet to loud, in calls that hand the state on.

    Relative for values above 1: those of the LSTM's cells go beyond 100.
    """
    networks = [OnnxNetwork(path, threads=1) for path in (source, rewritten)]
    states = [[np.zeros((1, 1, UNITS), np.float32)] * 2 for _ in networks]
    random, largest = np.random.default_rng(0), 0.0
    for chunks, level in ((1, 0.1), (256, 0.001), (256, 0.03), (256, 0.3), (7, 1.0)):
        sound = (level * random.standard_normal((chunks, CONTEXT + CHUNK))).astype(np.float32)
        outputs = [network(sound, *state) for network, state in zip(networks, states, strict=True)]
        for one, other in zip(*outputs, strict=False):  # the rewritten network has one more
            largest = max(largest, float(np.max(np.abs(one - other) / np.maximum(np.abs(one), 1))))
        states = [output[1:3] for output in outputs]
    return largest


def installed_source() -> Path:
    """The file of the installed package; it is not imported, since that sets torch's number of threads.

    Raises:
        WeightsError: if the package is not installed.
    """
    package = importlib.util.find_spec("silero_vad")
    if package is None or package.origin is None:
        raise WeightsError(f"Name the file {SOURCE}, or install it: pip install silero-vad")
    return Path(package.origin).parent / "data" / SOURCE


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the official file, rewrite it, compare the two, and write the result.

    Raises:
        WeightsError: if the result does not agree with the source, or there is no source.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="File to write.")
    parser.add_argument("--source", type=Path, help=f"{SOURCE}; by default that of the installed package silero-vad.")
    options = parser.parse_args(arguments)
    source = options.source or installed_source()
    with replacing_file(options.out, [source]) as partial:
        onnx.save(rewrite(onnx.load(source)), partial)
        difference = largest_difference(source, partial)
        if not difference < TOLERANCE:  # so that NaN fails too
            raise WeightsError(f"The rewritten network differs from {source} by {difference:.2g}: nothing was written.")
    print(f"{options.out}: differs from {source.name} by {difference:.2g} at most")


if __name__ == "__main__":
    main()
