// What the two workers share: networks in ONNX Runtime, the model's calibration, and the messages to the page.
import * as ort from "./onnxruntime/ort.wasm.bundle.min.mjs";

ort.env.wasm.numThreads = 1;  // several threads would take headers that plain web servers do not send

/** A network by the paths of its graph and, where they lie apart, its weights: tensors in, tensors out, in its order. */
export async function network([graph, weights]) {
  const externalData = weights && [{path: weights.split("/").at(-1), data: await fetched(weights)}];
  const session = await ort.InferenceSession.create(await fetched(graph), {executionProviders: ["wasm"], externalData});
  return async (...tensors) => {
    const outputs = await session.run(Object.fromEntries(session.inputNames.map((name, place) => [name, tensors[place]])));
    return session.outputNames.map((name) => outputs[name]);
  };
}

export const tensor = (type, data, shape) => new ort.Tensor(type, data, shape);

/** Log scores of a modality: over its temperature, less the logarithm of its prior. */
export const calibrated = (logs, {temperature, prior}) =>
  logs.map((log, place) => log / temperature - Math.log(prior[place]));

export function logSoftmax(logits) {
  const most = Math.max(...logits), sum = logits.reduce((total, one) => total + Math.exp(one - most), 0);
  return Array.from(logits, (one) => one - most - Math.log(sum));
}

/** Answers the page: `start` takes the settings of the model and gives what handles each message after them. */
export function serve(start) {
  let handle = null;
  onmessage = async ({data: {number, message}}) => {
    try {
      const result = handle ? await handle(message) : void (handle = await start(message));
      postMessage({number, result});
    } catch (problem) {
      postMessage({number, problem: String(problem?.message ?? problem)});
    }
  };
}

async function fetched(path) {
  const answer = await fetch(new URL(path, import.meta.url));
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}
