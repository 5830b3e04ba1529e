// Worker for the voice: where somebody speaks, laughs or cries, and the scores of the last seconds, as a live session of
// mmemo computes them.
import {calibrated, logSoftmax, network, serve, tensor} from "./network.js";

serve(async ({voice}) => {
  const [activity, classifier] = await Promise.all([network(voice.networks.activity), network(voice.networks.classifier)]);
  const own = voice.activity, rate = voice.sample_rate, length = Math.round(voice.window * rate);
  const plain = detector(activity, own), slow = detector(activity, own);
  const speech = spans(own, own.speech), bursts = spans(own, own.burst);
  let sound = new Float32Array(0), judged = 0, scored = 0;  // the latest samples; how many came, until when

  /** The next block of samples; `scored` is true where the logs are new: log scores, or null without a voice. */
  return async ({samples}) => {
    const [fast, voices] = await plain(samples), [slowed] = await slow(slowedDown(samples));
    const at = (chances, place) => chances[Math.floor(2 * place / 3)];  // two chunks last as long as three slowed ones
    speech.add(Array.from(slowed, (chance, place) => Math.max(chance, at(fast, place))));
    bursts.add(Array.from(slowed, (_, place) => at(voices, place)));
    judged += samples.length;
    const joined = new Float32Array(sound.length + samples.length);
    joined.set(sound);
    joined.set(samples, sound.length);
    sound = joined.slice(-length);
    const spoken = speech.until(judged), all = [...spoken, ...outside(bursts.until(judged), spoken, own.shortest)];
    const speaking = all.some(([, end]) => end >= judged - 1);
    if (judged - scored < voice.live_stride * rate) return {speaking};
    scored = judged;
    return {speaking, scored: true, logs: await score(all)};
  };

  async function score(all) {
    const start = judged - sound.length, mask = new Uint8Array(sound.length);
    for (const [from, to] of all) mask.fill(1, Math.max(0, Math.round(from) - start), Math.max(0, Math.round(to) - start));
    const count = mask.reduce((sum, one) => sum + one, 0);
    if (count < voice.shortest * rate) return null;
    const margin = Math.floor(voice.margin * rate), first = Math.max(0, mask.indexOf(1) - margin);
    const last = Math.min(sound.length, mask.lastIndexOf(1) + 1 + margin);
    const piece = Float64Array.from(sound.subarray(first, last)), where = mask.subarray(first, last);
    const mean = piece.reduce((sum, one, place) => sum + where[place] * one, 0) / count;
    const level = Math.sqrt(piece.reduce((sum, one, place) => sum + where[place] * (one - mean) ** 2, 0) / count);
    if (level < 1e-7) return null;
    const {target, knee} = voice.level;
    const even = Float32Array.from(piece, (one) => {
      const value = (one - mean) * target / level, size = Math.abs(value);
      return size > knee ? Math.sign(value) * (knee + (1 - knee) * Math.tanh((size - knee) / (1 - knee))) : value;
    });
    const frames = Math.ceil(even.length / voice.step), valid = new Uint8Array(frames).fill(1);
    const [, {data}] = await classifier(
      tensor("float32", even, [1, even.length]), tensor("bool", valid, [1, frames]), tensor("bool", valid, [1, 1, frames]));
    return logSoftmax(calibrated(Array.from(data), voice));
  }
});

/** The network for speech and for any voice on sound at one speed: probabilities of each chunk of a block. */
function detector(activity, {chunk, context: before, quiet, target, gain, block, burst_layer: layer}) {
  const units = layer.length - 1, recent = [];
  let context = new Float32Array(before), hidden = tensor("float32", new Float32Array(units), [1, 1, units]), cell = hidden;
  let reference = 0;
  return async (sound) => {
    const count = Math.ceil(sound.length / chunk), input = new Float32Array(count * (before + chunk)), levels = [];
    const chunks = Array.from({length: count}, (_, place) => {
      const piece = sound.slice(place * chunk, (place + 1) * chunk), mean = piece.reduce((sum, one) => sum + one) / chunk;
      const centered = piece.map((one) => one - mean);
      levels.push(Math.sqrt(centered.reduce((sum, one) => sum + one * one, 0) / chunk));
      return centered;
    });
    if (Math.max(...levels) < quiet) return [levels.map(() => 0), levels.map(() => 0)];
    const was = reference;
    recent.push(...levels);
    recent.splice(0, recent.length - block / chunk);
    reference = Math.max(quantile(recent, 0.95), was * 0.5 ** (count * chunk / block));
    chunks.forEach((piece, place) => {
      // A step of the gain would itself sound like an onset.
      const share = was ? Math.min(1, place / Math.min(16, count)) : 1;
      const factor = Math.min(Math.max(target / (was * (1 - share) + reference * share), gain[0]), gain[1]);
      const louder = piece.map((one) => one * factor);
      input.set(context, place * (before + chunk));
      input.set(louder, place * (before + chunk) + before);
      context = louder.slice(-before);
    });
    let chances, states;
    [chances, hidden, cell, states] = await activity(tensor("float32", input, [count, before + chunk]), hidden, cell);
    const voices = Array.from({length: count}, (_, row) => {
      const value = layer.reduce((sum, weight, place) => sum + weight * (place < units ? states.data[row * units + place] : 1), 0);
      return 1 / (1 + Math.exp(-value));
    });
    return [Array.from(chances.data), voices];
  };
}

/** Where probabilities rise above a bound, until they fall below another; in samples, of the last ten seconds. */
function spans({chunk, shortest, pause, margin}, [enter, leave]) {
  const grid = chunk / 1.5;
  let closed = [], start = null, chunks = 0;
  const joined = (from, to) => {
    const last = closed.at(-1);
    return last && from - last[1] < pause ? [...closed.slice(0, -1), [last[0], to]] : [...closed, [from, to]];
  };
  return {
    add(chances) {
      for (const chance of chances) {
        const now = chunks++ * grid;
        if (start === null && chance >= enter) {
          start = now;
        } else if (start !== null && chance < leave) {
          closed = joined(start, now).filter(([, to]) => to > now - 160000);
          start = null;
        }
      }
    },
    until: (end) => (start === null ? closed : joined(start, end))
      .filter(([from, to]) => Math.min(end, to) - from >= shortest)
      .map(([from, to]) => [Math.max(0, from - margin), Math.min(end, to + margin)]),
  };
}

/** The parts of spans between those that are covered, without the short ones. */
function outside(some, covered, shortest) {
  const ends = [0, ...covered.map(([, end]) => end)], starts = [...covered.map(([start]) => start), Infinity];
  return some.flatMap(([start, end]) => ends.map((free, place) => [Math.max(start, free), Math.min(end, starts[place])]))
    .filter(([start, end]) => end - start >= shortest);
}

/** A sound at two thirds of its speed, by linear interpolation. */
function slowedDown(sound) {
  const last = sound.length / 2 - 1;
  return Float32Array.from({length: 3 * (last + 1)}, (_, place) => {
    const pair = Math.floor(place / 3), first = sound[2 * pair], second = sound[2 * pair + 1];
    const third = pair < last ? sound[2 * pair + 2] : second;
    return [first, (first + 2 * second) / 3, (2 * second + third) / 3][place % 3];
  });
}

function quantile(values, share) {
  const sorted = [...values].sort((one, other) => one - other), at = share * (sorted.length - 1), low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}
