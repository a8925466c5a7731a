// Small curves of metrics over steps, one line per run. A click chooses the step.

import { $, el, number, svg } from "./dom.js";

const WIDTH = 140;
const HEIGHT = 36;

const digits = (value) => (Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 0.01 || value === 0 ? 2 : 5);

/** Draws the curves of `runs`; `choose(step)` gets a step from 0. */
export function draw(runs, active, step, choose) {
  const names = new Set(runs.flatMap((run) => run.curves.filter((curve) => curve.points.length > 0).map((curve) => curve.name)));
  const order = [...new Set(runs.flatMap((run) => run.curves.map((curve) => curve.name)))];
  const cards = order.filter((name) => names.has(name)).map((name) => card(runs, active, name, step, choose));
  $("curves").replaceChildren(...cards);
  $("curves").hidden = cards.length === 0;
}

function card(runs, active, name, step, choose) {
  const series = runs.map((run) => run.curves.find((curve) => curve.name === name)?.points ?? []);
  const all = series.flat();
  const last = Math.max(1, ...all.map(([x]) => x));
  const low = Math.min(...all.map(([, y]) => y));
  const high = Math.max(...all.map(([, y]) => y));
  const x = (at) => 2 + ((WIDTH - 4) * at) / last;
  const y = (at) => (high === low ? HEIGHT / 2 : 3 + (HEIGHT - 6) * (1 - (at - low) / (high - low)));
  const points = (line) => line.map(([at, found]) => `${x(at).toFixed(1)},${y(found).toFixed(1)}`).join(" ");
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${name} by step` });
  if (step !== null) picture.append(svg("line", { class: "now", x1: x(step), x2: x(step), y1: 0, y2: HEIGHT }));
  series.forEach((line, run) => picture.append(svg("polyline", { class: `series run-${run}`, points: points(line) })));
  const shown = (line) => line.find(([at]) => at === step) ?? line.at(-1);
  const values = series.map((line, run) => (shown(line) ? el("span", { class: `value run-${run}${run === active ? " active" : ""}` }, number(shown(line)[1], digits(shown(line)[1]))) : null));
  const title = `${name}: ${number(low, digits(low))} to ${number(high, digits(high))}; click for a step`;
  return el("button", { type: "button", class: "curve", title, onclick: (event) => {
    const box = picture.getBoundingClientRect();
    const part = (event.clientX - box.left) / box.width;
    choose(event.detail === 0 ? last : Math.max(0, Math.min(last, Math.round(part * last))));
  } }, el("span", { class: "name" }, name, ...values), picture);
}
