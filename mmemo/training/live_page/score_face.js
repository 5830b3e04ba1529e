// Worker that scores the crop of a face, as run.py does.
import {calibrated, logSoftmax, network, serve, tensor} from "./network.js";

serve(async ({face}) => {
  const classifier = await network(face.networks.classifier), {size} = face;
  const sides = face.turn ? [face.turn, -face.turn] : [0];
  const all = (face.mirror ? [false, true] : [false]).flatMap((mirrored) => sides.map((turn) => ({turn, mirrored})));
  let next = 0;

  /** A gray crop to its log scores: of a still the mean over its views, of a video one view of each picture, by turns. */
  return async ({crop, still}) => {
    const views = still ? all : [all[next++ % all.length]];
    const batch = new Float32Array(views.length * size * size);
    views.forEach(({turn, mirrored}, place) => {
      const view = turned(crop, size, turn);
      batch.set(mirrored ? view.map((_, at) => view[at + size - 1 - 2 * (at % size)]) : view, place * size * size);
    });
    const [, {data, dims}] = await classifier(tensor("float32", batch, [views.length, 1, size, size]));
    const logits = views.map((_, row) => Array.from(data.subarray(row * dims[1], (row + 1) * dims[1])));
    const turns = still ? sides.map((_, side) => mean(logits.filter((_, row) => row % sides.length === side))) : logits;
    return calibrated(mean(turns.map(logSoftmax)), face);
  };
});

const mean = (rows) => rows[0].map((_, place) => rows.reduce((sum, row) => sum + row[place], 0) / rows.length);

/** A square turned about its middle, counterclockwise; the rim is repeated. */
function turned(square, size, degrees) {
  if (!degrees) return square;
  const middle = (size - 1) / 2, cos = Math.cos(degrees * Math.PI / 180), sin = Math.sin(degrees * Math.PI / 180);
  const at = (x, y) => square[Math.min(Math.max(y, 0), size - 1) * size + Math.min(Math.max(x, 0), size - 1)];
  return square.map((_, place) => {
    const dx = place % size - middle, dy = Math.floor(place / size) - middle;
    const x = middle + cos * dx - sin * dy, y = middle + sin * dx + cos * dy;
    const left = Math.floor(x), top = Math.floor(y), fx = x - left, fy = y - top;
    return (1 - fy) * ((1 - fx) * at(left, top) + fx * at(left + 1, top))
      + fy * ((1 - fx) * at(left, top + 1) + fx * at(left + 1, top + 1));
  });
}
