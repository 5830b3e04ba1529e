"use strict";
const labels = Object.keys(colors), SECONDS = 30, GAP = 1000 / 15;
const $ = (id) => document.getElementById(id);
const video = $("video"), marks = $("marks"), timeline = $("history");
const grab = document.createElement("canvas"), pen = grab.getContext("2d", {willReadFrequently: true});
let socket = null, stream = null, ticks = [], history = [], sent = 0;
window.updates = 0;

const rows = [...document.querySelectorAll(".row")];

$("switch").onclick = () => stream ? stop() : start();

async function start() {
  $("error").innerHTML = "";
  try {
    if (!navigator.mediaDevices) throw {name: "Insecure"};
    stream = await navigator.mediaDevices.getUserMedia({video: {width: 640, height: 480}});
  } catch (problem) {
    const words = {
      NotAllowedError: "The browser does not let this page use the camera. Allow it in the address bar, then start again.",
      NotFoundError: "No camera was found. Connect one, then start again.",
      NotReadableError: "The camera is in use by another program. Close that, then start again.",
      Insecure: "The browser gives the camera to secure addresses only. Open this page as http://127.0.0.1 or http://localhost.",
    };
    return fail(words[problem.name] || `The camera can't be opened (${problem.name}).`);
  }
  video.srcObject = stream;
  await video.play();
  const scale = Math.min(1, 640 / video.videoWidth, 480 / video.videoHeight);
  grab.width = Math.floor(video.videoWidth * scale);
  grab.height = Math.floor(video.videoHeight * scale);
  document.querySelector(".view").style.aspectRatio = `${grab.width}/${grab.height}`;
  $("hint").hidden = true;
  $("hint").style.display = "none";
  $("switch").textContent = "Stop the camera";
  $("switch").className = "off";
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live/scores`);
  socket.binaryType = "arraybuffer";
  socket.onopen = send;
  socket.onmessage = (message) => show(JSON.parse(message.data));
  socket.onclose = (end) => { if (stream) { stop(); fail(end.reason || "The server has ended the connection. Start again."); } };
}

function stop() {
  const [tracks, line] = [stream ? stream.getTracks() : [], socket];
  stream = socket = null;
  tracks.forEach((track) => track.stop());
  if (line) line.close();
  video.srcObject = null;
  marks.getContext("2d").clearRect(0, 0, marks.width, marks.height);
  $("switch").textContent = "Start the camera";
  $("switch").className = "";
  $("hint").style.display = "";
  $("rate").textContent = $("verdict").textContent = "";
  ticks = [];
}

function fail(words) {
  const box = document.createElement("div");
  box.className = "error";
  box.textContent = words;
  $("error").replaceChildren(box);
}

function send() {
  if (!socket || socket.readyState !== 1) return;
  sent = performance.now();
  pen.drawImage(video, 0, 0, grab.width, grab.height);
  const pixels = pen.getImageData(0, 0, grab.width, grab.height).data;
  const message = new Uint8Array(4 + pixels.length);
  new DataView(message.buffer).setUint16(0, grab.width, true);
  new DataView(message.buffer).setUint16(2, grab.height, true);
  message.set(pixels, 4);
  socket.send(message);
}

function show(answer) {
  if (!stream) return;
  const now = performance.now();
  window.updates += 1;
  ticks = ticks.filter((tick) => now - tick < 2000).concat(now);
  if (ticks.length > 2) {
    const rate = (ticks.length - 1) / (now - ticks[0]) * 1000;
    window.rate = rate;
    $("rate").textContent = `${rate.toFixed(0)} updates a second, ${answer.ms.toFixed(0)} ms each`;
  }
  const first = answer.faces[0];
  $("verdict").textContent = first ? best(first.scores) : "no face";
  rows.forEach((row, place) => {
    const share = first ? first.scores[labels[place]] : 0;
    row.querySelector("i").style.width = `${100 * share}%`;
    row.querySelector("span").textContent = first ? `${Math.round(100 * share)}%` : "";
  });
  frame(answer.faces);
  history = history.filter((moment) => now - moment.time < 1000 * SECONDS).concat({time: now, scores: first && first.scores});
  draw(now);
  setTimeout(send, Math.max(0, GAP - (now - sent)));
}

const best = (scores) => labels.reduce((a, b) => scores[a] >= scores[b] ? a : b);

function frame(faces) {
  marks.width = marks.clientWidth * devicePixelRatio;
  marks.height = marks.clientHeight * devicePixelRatio;
  const ink = marks.getContext("2d"), unit = devicePixelRatio;
  ink.font = `${15 * unit}px system-ui, sans-serif`;
  for (const face of faces) {
    const [left, top, right, bottom] = face.box, label = best(face.scores);
    const x = (1 - right) * marks.width, y = top * marks.height;  // the picture is shown as in a mirror
    const wide = (right - left) * marks.width, high = (bottom - top) * marks.height;
    ink.lineWidth = 3 * unit;
    ink.strokeStyle = colors[label];
    ink.strokeRect(x, y, wide, high);
    const text = `${face.person}  ${label} ${Math.round(100 * face.scores[label])}%`;
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
