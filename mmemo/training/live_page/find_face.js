// Worker that finds the clearest face of a picture, follows it, and cuts it out, in the steps of run.py.
import {network, serve, tensor} from "./network.js";

serve(async ({face}) => {
  const [detector, landmarks] = await Promise.all([network(face.networks.detector), network(face.networks.landmarks)]);
  let known = null;

  /** A picture (RGBA) to the box of its face, in shares of the picture, and its crop; null without a face. */
  return async ({data, width, height, still}) => {
    const image = {data, width, height};
    if (still || !known) known = await detect(image, 0) ?? (still ? await detect(image, 0.5) : null);
    if (!known) return null;
    const {points, presence} = await locate(image, known);
    if (presence < 0.5) return known = null;
    const box = boxOf(points);
    known = {box, eyes: face.eyes.map((number) => points[number])};
    return {box: box.map((value, place) => value / (place % 2 ? height : width)), crop: align(image, points)};
  };

  async function detect(image, margin) {
    const side = Math.max(image.width, image.height) * (1 + 2 * margin);
    const middle = [(image.width - 1) / 2, (image.height - 1) / 2];
    const square = cut(image, similarity(128 / side, 0, middle, [63.5, 63.5]), 128, false);
    const [raw, logits] = await detector(tensor("uint8", square, [1, 128, 128, 3]));
    const scores = logits.data.map((one) => 1 / (1 + Math.exp(-one)));
    const best = scores.reduce((most, score, place) => score > scores[most] ? place : most, 0);
    if (scores[best] < face.min_score) return null;
    const values = (number) => raw.data.subarray(16 * number, 16 * number + 8);
    const center = (number) => {
      const [x, y] = anchor(number), [dx, dy] = values(number);
      return [dx / 128 + x, dy / 128 + y];
    };
    const first = center(best), reach = values(best)[2] / 256, mean = new Float64Array(8);
    let weight = 0;
    scores.forEach((score, number) => {
      const [x, y] = center(number);
      if (score < face.min_score || !(Math.hypot(x - first[0], y - first[1]) < reach)) return;
      const own = values(number), [left, top] = anchor(number), wide = own[2] / 256, high = own[3] / 256;
      const eyes = [0, 1, 2, 3].map((place) => own[4 + place] / 128 + (place % 2 ? top : left));
      [x - wide, y - high, x + wide, y + high, ...eyes].forEach((value, place) => mean[place] += score * value);
      weight += score;
    });
    const [left, top, right, bottom, ...eyes] = mean.map((value, place) => (value / weight - 0.5) * side + middle[place % 2]);
    return {box: [left, top, right, bottom], eyes: [eyes.slice(0, 2), eyes.slice(2)]};
  }

  async function locate(image, {box: [left, top, right, bottom], eyes: [first, second]}) {
    const scale = 256 / (1.5 * Math.max(right - left, bottom - top));
    const angle = -Math.atan2(second[1] - first[1], second[0] - first[0]);
    const matrix = similarity(scale, angle, [(left + right) / 2, (top + bottom) / 2], [128, 128]);
    const square = tensor("uint8", cut(image, matrix, 256, false), [1, 256, 256, 3]);
    const [raw, presence] = await landmarks(square);
    const back = inverted(matrix);
    const points = Array.from({length: 478}, (_, number) => back(raw.data[3 * number], raw.data[3 * number + 1]));
    return {points, presence: 1 / (1 + Math.exp(-presence.data[0]))};
  }

  /** The gray crop, 0 to 1: landmarks go to their places by weighted least squares (Umeyama). */
  function align(image, points) {
    const {landmarks: numbers, places, weights} = face.anchors;
    const total = weights.reduce((sum, one) => sum + one);
    const source = numbers.map((number) => points[number]);
    const target = places.map((place) => place.map((value) => value * face.crop - 0.5));
    const mean = (of) => [0, 1].map((axis) => of.reduce((sum, one, place) => sum + weights[place] * one[axis], 0) / total);
    const from = mean(source), to = mean(target);
    let a = 0, b = 0, spread = 0;
    source.forEach(([px, py], place) => {
      const x = px - from[0], y = py - from[1], u = target[place][0] - to[0], v = target[place][1] - to[1];
      a += weights[place] * (x * u + y * v);
      b += weights[place] * (x * v - y * u);
      spread += weights[place] * (x * x + y * y);
    });
    const matrix = similarity(Math.hypot(a, b) / spread, Math.atan2(b, a), from, to);
    return shrunken(cut(image, matrix, face.crop, true), face.crop, face.size);
  }
});

/** The middle of one of BlazeFace's 896 anchors: 2 in each cell of 16 x 16, then 6 in each of 8 x 8. */
function anchor(number) {
  const [cells, cell] = number < 512 ? [16, number >> 1] : [8, Math.floor((number - 512) / 6)];
  return [(cell % cells + 0.5) / cells, (Math.floor(cell / cells) + 0.5) / cells];
}

function boxOf(points) {
  const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** Scales, turns, and takes one point to another: (x, y) goes to (a x - b y + u, b x + a y + v). */
function similarity(scale, angle, [x, y], [toX, toY]) {
  const a = scale * Math.cos(angle), b = scale * Math.sin(angle);
  return {a, b, u: toX - a * x + b * y, v: toY - b * x - a * y};
}

function inverted({a, b, u, v}) {
  const size = a * a + b * b;
  return (x, y) => [(a * (x - u) + b * (y - v)) / size, (a * (y - v) - b * (x - u)) / size];
}

/** The square piece (RGB) of an image that a transform shows; it shrinks by the mean. Beyond the rim it is
    gray; or repeats the rim, and is shrunken more finely. */
function cut({data, width, height}, matrix, size, repeat) {
  const shrink = 1 / Math.hypot(matrix.a, matrix.b), factor = Math.max(1, repeat ? Math.ceil(shrink) : Math.floor(shrink));
  const back = inverted(matrix), parts = factor * factor;
  const square = new Uint8Array(3 * size * size), shift = (factor - 1) / 2 / factor;
  const [ox, oy] = back(0, 0), [x1, y1] = back(1 / factor, 0), dx = x1 - ox, dy = y1 - oy;  // one step right; down is (-dy, dx)
  const at = (x, y) => 4 * (Math.min(Math.max(y, 0), height - 1) * width + Math.min(Math.max(x, 0), width - 1));
  const gray = (x, y) => !repeat && (x < 0 || y < 0 || x >= width || y >= height);
  for (let row = 0, place = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1, place += 3) {
      const [x0, y0] = back(column - shift, row - shift);
      let red = 0, green = 0, blue = 0;
      for (let part = 0; part < parts; part += 1) {
        const right = part % factor, down = (part - right) / factor;
        const x = x0 + right * dx - down * dy, y = y0 + right * dy + down * dx;
        const left = Math.floor(x), top = Math.floor(y), fx = x - left, fy = y - top;
        const w0 = (1 - fx) * (1 - fy), w1 = fx * (1 - fy), w2 = (1 - fx) * fy, w3 = fx * fy;
        if (left >= 0 && top >= 0 && left < width - 1 && top < height - 1) {
          const p = 4 * (top * width + left), q = p + 4 * width;
          red += w0 * data[p] + w1 * data[p + 4] + w2 * data[q] + w3 * data[q + 4];
          green += w0 * data[p + 1] + w1 * data[p + 5] + w2 * data[q + 1] + w3 * data[q + 5];
          blue += w0 * data[p + 2] + w1 * data[p + 6] + w2 * data[q + 2] + w3 * data[q + 6];
        } else if (!repeat && (left < -1 || top < -1 || left >= width || top >= height)) {
          red += 128;
          green += 128;
          blue += 128;
        } else {
          for (const [px, py, weight] of [[left, top, w0], [left + 1, top, w1], [left, top + 1, w2], [left + 1, top + 1, w3]]) {
            const p = at(px, py), beyond = gray(px, py);
            red += weight * (beyond ? 128 : data[p]);
            green += weight * (beyond ? 128 : data[p + 1]);
            blue += weight * (beyond ? 128 : data[p + 2]);
          }
        }
      }
      square[place] = Math.round(red / parts);
      square[place + 1] = Math.round(green / parts);
      square[place + 2] = Math.round(blue / parts);
    }
  }
  return square;
}

/** Luma (ITU-R BT.601) of an RGB square, brought to a smaller side by the mean over the area of each pixel; 0 to 1. */
function shrunken(square, from, to) {
  const luma = Float64Array.from({length: from * from}, (_, place) =>
    Math.round(0.299 * square[3 * place] + 0.587 * square[3 * place + 1] + 0.114 * square[3 * place + 2]));
  const ratio = from / to, parts = Array.from({length: to}, (_, place) => {
    const begin = place * ratio, end = begin + ratio, shares = [];
    for (let one = Math.floor(begin); one < end; one += 1) {
      const share = (Math.min(one + 1, end) - Math.max(one, begin)) / ratio;
      if (share > 1e-9 && one < from) shares.push([one, share]);
    }
    return shares;
  });
  return Float32Array.from({length: to * to}, (_, place) => {
    let sum = 0;
    for (const [row, high] of parts[Math.floor(place / to)]) {
      for (const [column, wide] of parts[place % to]) sum += high * wide * luma[row * from + column];
    }
    return Math.round(sum) / 255;
  });
}
