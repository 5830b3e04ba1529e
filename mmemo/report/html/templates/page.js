"use strict";
(() => {
  const source = document.getElementById("timeline");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const svg = document.querySelector("svg.timeline");
  const cursor = svg.querySelector(".cursor");
  const readout = document.querySelector(".readout");
  const element = (name, className, text) => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  };
  const valuesAt = (runs, time) => {
    const run = runs.find((run) => run.times[0] <= time && time <= run.times[run.times.length - 1]);
    if (!run) return null;
    let after = run.times.findIndex((knot) => knot >= time);
    if (after < 1) after = 1;
    const [start, end] = [run.times[after - 1], run.times[after]];
    const part = end > start ? (time - start) / (end - start) : 0;
    return run.values[after - 1].map((value, place) => value + part * (run.values[after][place] - value));
  };
  const row = (band, time) => {
    const shares = valuesAt(band.runs, time);
    const made = element("div", "row", "");
    made.append(element("span", "dim", band.name));
    if (!shares) {
      made.append(element("span", "dim", "no evidence"));
      return made;
    }
    const best = shares.indexOf(Math.max(...shares));
    made.append(element("span", "", `${data.labels[best]} ${Math.round(100 * shares[best])}%`));
    const bar = element("div", "bar", "");
    shares.forEach((share, place) => {
      const part = element("span", "", "");
      part.style.width = `${100 * share}%`;
      part.style.background = data.colors[place];
      part.title = `${data.labels[place]} ${Math.round(100 * share)}%`;
      bar.append(part);
    });
    made.append(bar);
    return made;
  };
  const now = document.querySelector("svg.plane .now");
  const showAffect = (time) => {
    const point = valuesAt(data.affect, time);
    now.setAttribute("visibility", point ? "visible" : "hidden");
    if (point) now.setAttribute("transform", `translate(${point[0]} ${point[1]})`);
  };
  const clock = (time) => `${Math.floor(time / 60)}:${(time % 60).toFixed(1).padStart(4, "0")}`;
  let shown = data.start;
  let kept = false;
  const show = (time) => {
    shown = Math.min(Math.max(time, data.start), data.start + data.duration);
    const x = data.left + ((data.width - data.left) * (shown - data.start)) / data.duration;
    cursor.setAttribute("transform", `translate(${x} 0)`);
    cursor.setAttribute("visibility", "visible");
    const rows = element("div", "rows", "");
    data.bands.forEach((band) => rows.append(row(band, shown)));
    if (now) showAffect(shown);
    readout.replaceChildren(element("p", "now", `${clock(shown)}${kept ? ", kept" : ""}`), rows);
  };
  show(data.start + 0.62 * data.duration); // off the labels, which stand in the middle
  const timeOf = (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    return data.start + (data.duration * (x - data.left)) / (data.width - data.left);
  };
  svg.addEventListener("pointermove", (event) => { if (!kept) show(timeOf(event)); });
  svg.addEventListener("click", (event) => { kept = !kept; show(timeOf(event)); });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show(shown + (step * data.duration) / 100);
  });
  document.querySelectorAll("button[data-time]").forEach((button) => {
    button.addEventListener("click", () => {
      kept = true;
      show(Number(button.dataset.time));
      svg.scrollIntoView({ behavior: "smooth", block: "center" });
    });
  });
})();
