// Small curves of metrics over steps, one line per run. A click chooses the step.

import { $, el, number, svg } from "./dom.js";

/** Counts of the sequences that trajectories of agents have. */
const SEQUENCES = {
  sequences: (counts) => counts.count,
  sequences_diverged: (counts) => counts.diverged,
  sequences_masked: (counts) => counts.masked_cut + counts.masked_diverged,
};
const KEYS = ["accuracy", "reward", "turns", "sampled_tokens", "tool_success", "violations", "truncated", "entropy", "router_aux_loss", "grad_norm", "ratio", "logprob_gap", "dropped", "groups_all_right", "groups_all_wrong", "prefix_kept", ...Object.keys(SEQUENCES)];
const NAMED = "reward of ";
const WIDTH = 140;
const HEIGHT = 36;

const digits = (value) => (Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 0.01 || value === 0 ? 2 : 5);

/** The number of a step: a key of its line, a count of its sequences, or `reward of NAME`. */
const value = (line, key) => {
  if (key in SEQUENCES) return line.sequences && SEQUENCES[key](line.sequences);
  return key.startsWith(NAMED) ? line.rewards?.[key.slice(NAMED.length)]?.mean : line[key];
};

/** Draws the curves of `runs`; `choose(step)` gets a step from 0. */
export function draw(runs, active, step, choose) {
  const names = new Set(runs.flatMap((run) => run.metrics.flatMap((line) => Object.keys(line.rewards ?? {}))));
  const keys = [...KEYS, ...[...names].sort().map((name) => NAMED + name)];
  const cards = keys.filter((key) => runs.some((run) => run.metrics.some((line) => typeof value(line, key) === "number"))).map((key) => card(runs, active, key, step, choose));
  $("curves").replaceChildren(...cards);
  $("curves").hidden = cards.length === 0;
}

function card(runs, active, key, step, choose) {
  const series = runs.map((run) => run.metrics.filter((line) => typeof value(line, key) === "number").map((line) => [line.step, value(line, key)]));
  const all = series.flat();
  const last = Math.max(1, ...all.map(([x]) => x));
  const low = Math.min(...all.map(([, y]) => y));
  const high = Math.max(...all.map(([, y]) => y));
  const x = (at) => 2 + ((WIDTH - 4) * at) / last;
  const y = (at) => (high === low ? HEIGHT / 2 : 3 + (HEIGHT - 6) * (1 - (at - low) / (high - low)));
  const points = (line) => line.map(([at, found]) => `${x(at).toFixed(1)},${y(found).toFixed(1)}`).join(" ");
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${key} by step` });
  if (step !== null) picture.append(svg("line", { class: "now", x1: x(step), x2: x(step), y1: 0, y2: HEIGHT }));
  series.forEach((line, run) => picture.append(svg("polyline", { class: `series run-${run}`, points: points(line) })));
  const shown = (line) => line.find(([at]) => at === step) ?? line.at(-1);
  const values = series.map((line, run) => (shown(line) ? el("span", { class: `value run-${run}${run === active ? " active" : ""}` }, number(shown(line)[1], digits(shown(line)[1]))) : null));
  const title = `${key}: ${number(low, digits(low))} to ${number(high, digits(high))}; click for a step`;
  return el("button", { type: "button", class: "curve", title, onclick: (event) => {
    const box = picture.getBoundingClientRect();
    const part = (event.clientX - box.left) / box.width;
    choose(event.detail === 0 ? last : Math.max(0, Math.min(last, Math.round(part * last))));
  } }, el("span", { class: "name" }, key.startsWith(NAMED) ? key : key.replaceAll("_", " "), ...values), picture);
}
