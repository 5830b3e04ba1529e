// The page: camera, picture files and microphone in, scores out. The networks run in workers, a thread each.
import {texts} from "./texts.js";

const RATE = 15, SPAN = 1000, SIDE = 640;  // pictures a second and their longest side; milliseconds that scores are of
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
const $ = (id) => document.getElementById(id);
const video = $("video"), canvas = $("canvas"), pen = canvas.getContext("2d");
const grab = document.createElement("canvas"), grabber = grab.getContext("2d", {willReadFrequently: true});
let settings = null, stream = null, sound = null, moments = [], ticks = [];
const workers = {};

for (const part of document.querySelectorAll("[data-text]")) part.textContent = texts[part.dataset.text];
$("notes").replaceChildren(...texts.notes.map((note) => Object.assign(document.createElement("li"), {textContent: note})));
canvas.setAttribute("aria-label", texts.hint);
tell("");

$("camera").onclick = () => stream ? stop() : guarded(start);
$("picture").onchange = () => guarded(() => still($("picture").files[0]));
addEventListener("pagehide", () => stop());

/** Runs what may fail, shows why it did, and holds the buttons meanwhile. */
async function guarded(work) {
  tell("");
  $("camera").disabled = $("picture").disabled = $("listen").disabled = true;
  try {
    await work();
  } catch (problem) {
    stop();
    tell(problem instanceof Problem ? problem.message : texts.problems.failed(problem.message));
  }
  $("camera").disabled = $("picture").disabled = false;
  $("listen").disabled = stream !== null;
}

class Problem extends Error {}

function tell(problem) {
  $("problem").textContent = problem;
  $("problem").hidden = !problem;
}

async function start() {
  if (!navigator.mediaDevices) throw new Problem(texts.problems.insecure);
  const face = loadFace();
  stream = await device({video: {width: SIDE, height: 480}}, texts.devices.camera);
  const own = stream;
  stream.getVideoTracks()[0].onended = () => { stop(); tell(texts.problems.lost(texts.devices.camera)); };
  video.srcObject = stream;
  await Promise.all([face, video.play()]);
  if (stream !== own) return;
  if ($("listen").checked) {
    await listen(own).catch((problem) => {
      silence();
      tell(texts.problems.silent(problem.message));
    });
    if (stream !== own) return;
  }
  $("view").className = "view live";
  $("camera").textContent = texts.stop;
  $("camera").classList.add("on");
  follow(own, ...await face);
}

async function device(wanted, name) {
  try {
    return await navigator.mediaDevices.getUserMedia(wanted);
  } catch (problem) {
    throw new Problem(texts.problems[problem.name]?.(name) ?? texts.problems.device(name, problem.name));
  }
}

function stop() {
  silence();
  end(stream);
  stream = video.srcObject = null;
  moments = [];
  ticks = [];
  $("camera").textContent = texts.start;
  $("camera").classList.remove("on");
  $("rate").textContent = "";
  $("listen").disabled = false;
}

function silence() {
  end(sound?.stream);
  sound?.context?.close();
  sound = null;
  $("voice-part").hidden = true;
}

function end(devices) {
  for (const track of devices?.getTracks() ?? []) {
    track.onended = null;
    track.stop();
  }
}

/** Scores the pictures of the camera: while one is scored, the face of the next one is searched for. */
async function follow(own, find, score) {
  let scoring = null;
  try {
    while (stream === own) {
      const begun = performance.now(), found = await find(...taken(video, video.videoWidth, video.videoHeight, SIDE));
      await scoring;
      if (stream !== own) return;
      scoring = (found ? score({crop: found.crop}) : Promise.resolve(null)).then((logs) => {
        if (stream === own) update(begun, found?.box, logs);
      });
      scoring.catch(() => null);  // it is awaited in the next round
      await new Promise((done) => setTimeout(done, Math.max(0, begun + 1000 / RATE - performance.now())));
    }
  } catch (problem) {
    stop();
    tell(texts.problems.failed(problem.message));
  }
}

function update(begun, box, logs) {
  const now = performance.now();
  if (logs) moments.push({time: now, logs});
  moments = moments.filter((moment) => now - moment.time < SPAN);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  show(box, moments.map((moment) => moment.logs));
  ticks = [...ticks, now].slice(-2 * RATE);
  if (ticks.length < 2) return;
  const rate = (ticks.length - 1) / (now - ticks[0]) * 1000;
  $("rate").textContent = texts.rate(rate.toFixed(1), Math.round(now - begun));
}

async function still(file) {
  if (!file) return;
  stop();
  $("picture").value = "";
  const face = loadFace();
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    throw new Problem(texts.problems.picture(file.name));
  }
  const [find, score] = await face;
  const found = await find(...taken(image, image.width, image.height, 2 * SIDE, true));
  const logs = found && await score({crop: found.crop, still: true});
  $("view").className = "view";
  $("rate").textContent = "";
  pen.drawImage(grab, 0, 0);
  show(found?.box, logs ? [logs] : []);
}

/** What find_face.js takes: the pixels of a picture, and the buffer that goes with them. */
function taken(source, width, height, most, still = false) {
  const scale = Math.min(1, most / Math.max(width, height));
  const size = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  if (grab.width !== size[0] || grab.height !== size[1]) {
    [grab.width, grab.height] = [canvas.width, canvas.height] = size;
    $("view").style.aspectRatio = `${size[0]}/${size[1]}`;
  }
  grabber.imageSmoothingQuality = "high";
  grabber.drawImage(source, 0, 0, ...size);
  const {data} = grabber.getImageData(0, 0, ...size);
  $("hint").hidden = true;
  return [{data, width: size[0], height: size[1], still}, [data.buffer]];
}

function show(box, logs) {
  const label = fill("face", logs, texts.nobody);
  canvas.setAttribute("aria-label", texts.view(label));
  if (!box) return;
  const [left, top, right, bottom] = box.map((value, place) => value * (place % 2 ? canvas.height : canvas.width));
  pen.lineWidth = Math.max(2, canvas.width / 220);
  for (const [color, extra] of [["#0c0f12", pen.lineWidth], [label ? settings.colors[label] : "#fff", 0]]) {
    pen.strokeStyle = color;
    pen.lineWidth += extra;
    pen.strokeRect(left, top, right - left, bottom - top);
    pen.lineWidth -= extra;
  }
}

/** Shows the mean of log scores as shares; gives the first label, or null where there are none. */
function fill(part, logs, nothing) {
  const {labels} = settings;
  rows(part);
  const mean = labels.map((_, place) => logs.reduce((sum, one) => sum + one[place], 0) / logs.length);
  const most = Math.max(...mean), sum = mean.reduce((total, one) => total + Math.exp(one - most), 0);
  const shares = mean.map((one) => logs.length ? Math.exp(one - most) / sum : 0);
  const first = logs.length ? labels[shares.indexOf(Math.max(...shares))] : null;
  [...$(`${part}-bars`).children].forEach((row, place) => {
    const percent = Math.round(100 * shares[place]), bar = row.querySelector(".bar");
    bar.firstChild.style.transform = `scaleX(${shares[place]})`;
    bar.setAttribute("aria-valuenow", (100 * shares[place]).toFixed(3));
    bar.setAttribute("aria-valuetext", logs.length ? texts.share(labels[place], percent) : nothing);
    row.querySelector(".share").textContent = logs.length ? `${percent}%` : "";
  });
  if ($(part).textContent !== (first ?? nothing)) $(part).textContent = first ?? nothing;  // or it would be read out again
  return first;
}

function rows(part) {
  if ($(`${part}-bars`).firstChild) return;
  $(`${part}-bars`).replaceChildren(...settings.labels.map((label) => {
    const row = Object.assign(document.createElement("div"), {className: "row"});
    const [name, bar, share] = ["name-of", "bar", "share"].map((kind) =>
      Object.assign(document.createElement(kind === "bar" ? "div" : "span"), {className: kind}));
    name.textContent = label;
    bar.append(document.createElement("i"));
    bar.style.setProperty("--color", settings.colors[label]);
    for (const [key, value] of Object.entries({role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100})) {
      bar.setAttribute(key, value);
    }
    share.setAttribute("aria-hidden", true);
    row.append(name, bar, share);
    return row;
  }));
}

async function listen(own) {
  if (!settings.voice) throw new Problem(texts.problems.voiceless);
  const worker = await load("score_voice");
  const raw = {channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false};
  const microphone = await device({audio: raw}, texts.devices.microphone);
  if (stream !== own) return end(microphone);
  sound = {stream: microphone};
  const context = sound.context = new AudioContext({sampleRate: settings.voice.sample_rate});
  let source;
  try {
    source = context.createMediaStreamSource(microphone);
  } catch {
    throw new Problem(texts.problems.resampling);
  }
  await context.audioWorklet.addModule(new URL("recorder.js", import.meta.url));
  await context.resume();
  if (stream !== own) return;
  const recorder = new AudioWorkletNode(context, "recorder", {channelCount: 1, channelCountMode: "explicit"});
  fill("voice", [], texts.listening);
  $("voice-part").hidden = false;
  let waiting = 0;
  recorder.port.onmessage = async ({data}) => {
    if (stream !== own || waiting > 16) return;  // two seconds late already
    waiting += 1;
    const heard = await worker({samples: data}, [data.buffer]).catch((problem) => ({problem}));
    waiting -= 1;
    if (stream !== own) return;
    if (heard.problem) return tell(texts.problems.failed(heard.problem.message));
    if (heard.scored) fill("voice", heard.logs ? [heard.logs] : [], heard.speaking ? texts.listening : texts.silent);
  };
  microphone.getAudioTracks()[0].onended = () => tell(texts.problems.silent(texts.problems.lost(texts.devices.microphone)));
  source.connect(recorder);
}

function loadFace() {
  const both = Promise.all([load("find_face"), load("score_face")]);
  both.catch(() => null);  // it is awaited later
  return both;
}

/** A worker with its networks loaded, once: a function from messages to results. */
function load(part) {
  workers[part] ??= loaded(part).catch((problem) => {
    delete workers[part];
    throw problem instanceof Problem ? problem : new Problem(texts.problems.model(problem.message));
  });
  return workers[part];
}

async function settingsOf(file) {
  const answer = await fetch(new URL(file, import.meta.url));
  if (!answer.ok) throw new Error(`${file}: ${answer.status}`);
  return answer.json();
}

async function loaded(part) {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(new Uint8Array(SIMD))) throw new Problem(texts.problems.wasm);
  $("rate").textContent = texts.loading;
  settings ??= await settingsOf("run.json");
  const worker = new Worker(new URL(`${part}.js`, import.meta.url), {type: "module"}), waiting = new Map();
  let last = 0;
  worker.onmessage = ({data: {number, result, problem}}) => {
    const {done, fail} = waiting.get(number);
    waiting.delete(number);
    if (problem) fail(new Error(problem)); else done(result);
  };
  worker.onerror = (event) => {
    for (const {fail} of waiting.values()) fail(new Error(event.message ?? `${part}.js`));
    waiting.clear();
  };
  const call = (message, transfer = []) => new Promise((done, fail) => {
    waiting.set(last += 1, {done, fail});
    worker.postMessage({number: last, message}, transfer);
  });
  await call(settings);
  return call;
}
