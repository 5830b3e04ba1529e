"use strict";
const labels = Object.keys(colors), SECONDS = 30, GAP = 1000 / 15, PATIENCE = 150;
const $ = (id) => document.getElementById(id);
const video = $("video"), marks = $("marks"), timeline = $("history");
const grab = document.createElement("canvas"), pen = grab.getContext("2d", {willReadFrequently: true});
let socket = null, stream = null, audio = null, timer = null, sent = 0, ticks = [], history = [];
window.updates = 0;

const rows = [...document.querySelectorAll(".row")];

$("switch").onclick = () => stream ? stop() : start();

async function start() {
  $("error").replaceChildren();
  const problem = await open();
  if (!stream) return fail(problem);
  if (problem) fail(problem);
  if (stream.getVideoTracks().length) {
    video.srcObject = stream;
    await video.play();
    const scale = Math.min(1, 640 / video.videoWidth, 480 / video.videoHeight);
    grab.width = Math.floor(video.videoWidth * scale);
    grab.height = Math.floor(video.videoHeight * scale);
    document.querySelector(".view").style.aspectRatio = `${grab.width}/${grab.height}`;
    $("hint").style.display = "none";
  }
  $("switch").textContent = "Stop";
  $("switch").className = "off";
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live/scores`);
  socket.binaryType = "arraybuffer";
  socket.onopen = async () => {
    if (video.srcObject) sendPicture();
    if (stream.getAudioTracks().length) await listen();
  };
  socket.onmessage = (message) => show(JSON.parse(message.data));
  socket.onclose = (end) => { if (stream) { stop(); fail(end.reason || "The server has ended the connection. Start again."); } };
}

// Camera and microphone, or one of them; gives what is wrong with the other.
async function open() {
  if (!navigator.mediaDevices) {
    return "The browser gives the camera to secure addresses only. Open this page as http://127.0.0.1 or http://localhost.";
  }
  const picture = {width: 640, height: 480};
  const first = await request({video: picture, audio: true});
  if (!first) return "";
  const second = await request({video: picture});
  if (!second) return `The face alone is scored: ${describe(first, "microphone")}`;
  const third = await request({audio: true});
  return third ? describe(second, "camera") : `The voice alone is scored: ${describe(second, "camera")}`;
}

async function request(wanted) {
  try {
    stream = await navigator.mediaDevices.getUserMedia(wanted);
    return null;
  } catch (problem) {
    return problem;
  }
}

function describe(problem, device) {
  const words = {
    NotAllowedError: `the browser does not let this page use the ${device}. Allow it in the address bar, then start again.`,
    NotFoundError: `no ${device} is connected. Connect one, then start again.`,
    NotReadableError: `the ${device} is in use by another program. Close that, then start again.`,
  };
  return words[problem.name] || `the ${device} can't be opened (${problem.name}).`;
}

async function listen() {
  audio = new AudioContext();
  await audio.audioWorklet.addModule("/live/sound.js");
  if (!audio) return;  // it was stopped meanwhile
  const recorder = new AudioWorkletNode(audio, "recorder", {channelCount: 1, channelCountMode: "explicit"});
  recorder.port.onmessage = (block) => sendSound(block.data);
  audio.createMediaStreamSource(stream).connect(recorder);
}

function stop() {
  const [tracks, line, sound] = [stream ? stream.getTracks() : [], socket, audio];
  stream = socket = audio = null;
  clearTimeout(timer);
  tracks.forEach((track) => track.stop());
  if (sound) sound.close();
  if (line) line.close();
  video.srcObject = null;
  marks.getContext("2d").clearRect(0, 0, marks.width, marks.height);
  $("switch").textContent = "Start camera and microphone";
  $("switch").className = "";
  $("hint").style.display = "";
  $("rate").textContent = $("verdict").textContent = $("words").textContent = "";
  ticks = [];
}

function fail(words) {
  const box = document.createElement("div");
  box.className = "error";
  box.textContent = words[0].toUpperCase() + words.slice(1);
  $("error").replaceChildren(box);
}

// The next picture is sent when the one before is scored, and not before: it would only be late.
function sendPicture() {
  if (!socket || socket.readyState !== 1) return;
  sent = performance.now();
  clearTimeout(timer);
  timer = setTimeout(sendPicture, PATIENCE);  // where the server leaves one out
  if (socket.bufferedAmount > 1e6) return;  // the one before is not sent yet
  pen.drawImage(video, 0, 0, grab.width, grab.height);
  const pixels = pen.getImageData(0, 0, grab.width, grab.height).data;
  const message = new Uint8Array(6 + pixels.length);
  const header = new DataView(message.buffer);
  header.setUint16(2, grab.width, true);
  header.setUint16(4, grab.height, true);
  message.set(pixels, 6);
  socket.send(message);
}

function sendSound(samples) {
  if (!audio || !socket || socket.readyState !== 1) return;
  const message = new ArrayBuffer(8 + 4 * samples.length);
  const header = new DataView(message);
  header.setUint8(0, 1);
  header.setUint32(4, audio.sampleRate, true);
  new Float32Array(message, 8).set(samples);
  socket.send(message);
}

function show(update) {
  if (!stream) return;
  const now = performance.now();
  window.updates += 1;
  if (update.kind === "face") {
    ticks = ticks.filter((tick) => now - tick < 2000).concat(now);
    if (ticks.length > 2) {
      window.rate = (ticks.length - 1) / (now - ticks[0]) * 1000;
      $("rate").textContent = `${window.rate.toFixed(0)} pictures a second, ${(1000 * update.latency).toFixed(0)} ms each`;
    }
    frame(update.people);
    clearTimeout(timer);
    timer = setTimeout(sendPicture, Math.max(0, GAP - (now - sent)));
  }
  const scores = update.scores;
  $("verdict").textContent = update.label || "nobody is seen or heard";
  rows.forEach((row, place) => {
    const share = scores ? scores[labels[place]] : 0;
    row.querySelector("i").style.width = `${100 * share}%`;
    row.querySelector("span").textContent = scores ? `${Math.round(100 * share)}%` : "";
  });
  document.querySelectorAll("#modalities tr").forEach((row) => modality(row, update));
  $("words").textContent = update.words.slice(-2).map((line) => line.text).join(" ");
  history = history.filter((moment) => now - moment.time < 1000 * SECONDS).concat({time: now, scores});
  draw(now);
}

function modality(row, update) {
  const one = update.modalities[row.dataset.modality], cell = row.querySelector("td");
  if (!one) {
    const silent = row.dataset.modality === "voice" && update.speaking;
    cell.textContent = silent ? "…" : "–";
    return;
  }
  const mark = document.createElement("i");
  mark.style.background = colors[one.label];
  cell.replaceChildren(mark, `${one.label} ${Math.round(100 * one.scores[one.label])}%`);
}

function frame(people) {
  marks.width = marks.clientWidth * devicePixelRatio;
  marks.height = marks.clientHeight * devicePixelRatio;
  const ink = marks.getContext("2d"), unit = devicePixelRatio;
  ink.font = `${15 * unit}px system-ui, sans-serif`;
  for (const face of people) {
    const [left, top, right, bottom] = face.box, label = face.label;
    const x = (1 - right) * marks.width, y = top * marks.height;  // the picture is shown as in a mirror
    const wide = (right - left) * marks.width, high = (bottom - top) * marks.height;
    ink.lineWidth = 3 * unit;
    ink.strokeStyle = colors[label];
    ink.strokeRect(x, y, wide, high);
    const name = face.person === null ? "" : `${face.person}  `;
    const text = `${name}${label} ${Math.round(100 * face.scores[label])}%`;
    const size = ink.measureText(text).width + 12 * unit;
    const above = y > 26 * unit ? y - 24 * unit : y;
    ink.fillStyle = "#0c0f12d0";
    ink.fillRect(x - 1.5 * unit, above, size, 23 * unit);
    ink.fillStyle = "#fff";
    ink.fillText(text, x + 5 * unit, above + 16.5 * unit);
  }
}

function draw(now) {
  timeline.width = timeline.clientWidth * devicePixelRatio;
  timeline.height = 90 * devicePixelRatio;
  const ink = timeline.getContext("2d");
  const at = (time) => timeline.width * (1 - (now - time) / (1000 * SECONDS));
  history.forEach((moment, place) => {
    const next = history[place + 1];
    if (!moment.scores || !next || next.time - moment.time > 500) return;
    let below = timeline.height;
    for (const label of labels) {
      const high = moment.scores[label] * timeline.height;
      ink.fillStyle = colors[label];
      ink.fillRect(at(moment.time), below - high, at(next.time) - at(moment.time) + 1, high);
      below -= high;
    }
  });
}

addEventListener("pagehide", () => stream && stop());
