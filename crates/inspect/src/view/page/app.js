// The page: state, keys, and who is told what. The address holds the state, so a view can be kept as a link.

import { $, el, grouped, number } from "./dom.js";
import * as api from "./api.js";
import * as colour from "./colour.js";
import * as curves from "./curves.js";
import { List } from "./list.js";
import { Reader } from "./reader.js";

const KEYS = [
  ["j ↓ / k ↑", "next, previous rollout of the list"],
  ["n / p", "next, previous rollout of its group"],
  ["[ / ]", "previous, next step"],
  ["/", "search"],
  ["f", "next filter"],
  ["s", "next order"],
  ["c", "next colouring"],
  ["o", "open or close prompt, arguments and observations"],
  ["b", "follow the next sequence of a rollout with branches"],
  ["x", "compare with the other run"],
  ["1 2", "which run is listed"],
  ["i", "the run: config, evaluation"],
  ["r", "read what is new on disk"],
  ["t", "light, dark"],
  ["Esc", "leave the search, drop the filters"],
];

const DEFAULTS = { run: "0", filter: "all", sort: "played", q: "", step: "", task: "", id: "", branch: "", colour: "logprob", compare: "" };
const state = { ...DEFAULTS, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
let runs = [];
let opening = 0;

const run = () => Number(state.run);
const other = () => 1 - run();
/** Keeps the sequence that is followed in the address, counted from 1. */
const following = (sequence) => {
  state.branch = sequence === null ? "" : String(sequence + 1);
  keep();
};
const readers = [new Reader($("reader-0"), (id) => open(id), following), new Reader($("reader-1"), (id) => openOther(id))];
const list = new List((id) => open(id));

function keep() {
  const changed = Object.entries(state).filter(([key, value]) => String(value) !== DEFAULTS[key]);
  history.replaceState(null, "", `#${new URLSearchParams(changed)}`);
}

async function guarded(work) {
  try {
    await work();
  } catch (error) {
    $("total").textContent = error.message;
  }
}

/** Lists what the state asks for, and opens the rollout that was open, or the first one. */
const relist = () =>
  guarded(async () => {
    $("search").value = state.q;
    $("filter").value = state.filter;
    $("sort").value = state.sort;
    $("step").value = state.step === "" ? "" : Number(state.step) + 1;
    head();
    keep();
    const { filter, sort, q, step, task } = state;
    const query = { run: run(), filter, sort, q, step, task };
    const wanted = state.id === "" ? null : Number(state.id);
    const found = await list.show(query, wanted);
    if (list.query !== query) return;
    if (found === null) {
      readers[0].clear(runs[run()].rollouts === 0 ? "No rollouts yet." : "Nothing matches.");
      readers[1].clear("");
    } else await open(found);
  });

const open = (id) =>
  guarded(async () => {
    const ticket = ++opening;
    if (String(state.id) !== String(id)) state.branch = "";
    state.id = id;
    keep();
    list.mark(id);
    const data = await api.rollout(run(), id);
    if (ticket !== opening) return;
    readers[0].show(data, runs.length > 1 ? runs[run()].name : "", null, state.branch === "" ? null : Number(state.branch) - 1);
    paint();
    curve();
    if (comparing()) await compare(data.row, data.row.step);
  });

const comparing = () => runs.length > 1 && state.compare === "1";

/** The other run on the same task, at the step nearest to `step`. */
async function compare(row, step) {
  const answer = await api.ofTask(other(), row.task, step);
  if (answer.rows.length === 0) return readers[1].clear(`${runs[other()].name} never played this task.`);
  const same = answer.rows.find((candidate) => candidate.sample === row.sample) ?? answer.rows[0];
  await openOther(same.id, answer.steps);
}

const openOther = (id, steps) =>
  guarded(async () => {
    const data = await api.rollout(other(), id);
    if (steps) readers[1].steps = steps;
    const choice = el("select", { "aria-label": "Step of the other run", onchange: (event) => compare(readers[0].data.row, Number(event.target.value)) }, ...readers[1].steps.map((step) => el("option", { value: step, selected: step === data.row.step }, `step ${step + 1}`)));
    readers[1].show(data, runs[other()].name, readers[1].steps.length > 1 ? el("p", { class: "sub" }, "played at ", choice) : null);
    paint();
  });

function paint() {
  readers.forEach((reader) => reader.paint(state.colour));
  $("colour").value = state.colour;
  colour.legend(state.colour, readers[0].hasRatio());
}

function curve() {
  const at = readers[0].data?.row.step ?? null;
  curves.draw(runs, run(), at, (step) => set({ step: String(state.step) === String(step) ? "" : String(step) }));
}

function head() {
  const answer = runs[run()];
  document.title = `${answer.name} · turnwise`;
  $("runs").replaceChildren(...runs.map((one, at) => el("button", { type: "button", class: `run-${at}`, "aria-pressed": at === run(), title: one.folder, onclick: () => list_run(at) }, one.name)));
  $("counts").textContent = `${grouped(answer.rollouts)} rollouts in ${grouped(answer.groups)} groups, ${grouped(answer.steps.length)} steps`;
  if (answer.bad.length > 0) $("counts").textContent += `; ${answer.bad.length} broken lines left out`;
  if (answer.tokenizer_missing) $("counts").textContent += "; no tokenizer found, tokens are shown as ids";
  $("compare").hidden = runs.length < 2;
  $("compare").setAttribute("aria-pressed", comparing());
  $("reader-1").hidden = !comparing();
}

function set(changes) {
  Object.assign(state, changes);
  return relist();
}

const list_run = (at) => at < runs.length && at !== run() && set({ run: String(at), id: "", step: "" });

const load = (refresh) =>
  guarded(async () => {
    runs = await api.runs(refresh);
    if (run() >= runs.length) state.run = "0";
    await relist();
  });

function dialog(title, ...content) {
  $("dialog").replaceChildren(el("h2", { id: "dialog-title" }, title), ...content, el("form", { method: "dialog" }, el("button", { autofocus: true }, "Close")));
  $("dialog").showModal();
}

const table = (heads, rows) => el("table", { class: "facts" }, el("thead", {}, el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text)))), el("tbody", {}, ...rows.map(([name, ...cells]) => el("tr", {}, el("th", { scope: "row" }, name), ...cells.map((text) => el("td", {}, text))))));

function about() {
  const parts = [];
  const keys = [...new Set(runs.flatMap((one) => Object.keys(one.config)))].sort();
  const differs = (key) => runs.some((one) => one.config[key] !== runs[0].config[key]);
  const line = (key) => [key, ...runs.map((one) => one.config[key] ?? "–")];
  const measured = runs.filter((one) => one.evaluation?.before && one.evaluation?.after);
  if (measured.length > 0) {
    const graded = measured.some((one) => "mean_acc" in one.evaluation.before || "mean_acc" in one.evaluation.after);
    // A share of right answers names the grade that is right, where grades were judged.
    const at = measured.flatMap((one) => [one.evaluation.before.correct_at, one.evaluation.after.correct_at]).find((at) => at !== undefined);
    const named = (name) => name.replaceAll("_", " ") + (name === "accuracy" && at !== undefined ? ` (acc ≥ ${at})` : "");
    const names = ["accuracy", ...(graded ? ["mean_acc"] : []), "tool_success", "violations", "turns"];
    parts.push(el("h3", {}, "Held out, before and after"), table(["", ...measured.map((one) => one.name)], names.map((name) => [named(name), ...measured.map((one) => `${number(one.evaluation.before[name], 3)} → ${number(one.evaluation.after[name], 3)}`)])));
  }
  const names = ["", ...runs.map((one) => one.name)];
  if (runs.length > 1) parts.push(el("h3", {}, "Settings that differ"), table(names, keys.filter(differs).map(line)));
  parts.push(el("h3", {}, "All settings"), table(names, keys.map(line)));
  const bad = runs.flatMap((one) => one.bad);
  if (bad.length > 0) parts.unshift(el("h3", {}, "Lines that are no rollouts"), ...bad.slice(0, 20).map((one) => el("p", {}, `${one.path}:${one.line}: ${one.message}`)));
  const unreadable = runs.flatMap((one) => one.unreadable);
  if (unreadable.length > 0) parts.unshift(el("h3", {}, "Files that can't be read"), ...unreadable.map((one) => el("p", {}, one)));
  const missing = runs.flatMap((one) => one.tokenizer_missing ?? []);
  if (missing.length > 0) parts.unshift(el("p", {}, `No tokenizer in ${missing.join(", ")}.`));
  dialog("Run", ...parts);
}

const help = () => dialog("Keys", el("table", { class: "facts" }, el("tbody", {}, ...KEYS.map(([key, text]) => el("tr", {}, el("th", { scope: "row" }, el("kbd", {}, key)), el("td", {}, text))))));

const next = (id, by = 1) => {
  const options = [...$(id).options];
  return options[($(id).selectedIndex + by + options.length) % options.length].value;
};

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

function step(by) {
  const steps = runs[run()].steps;
  const now = state.step === "" ? readers[0].data?.row.step ?? 0 : Number(state.step);
  const at = steps.indexOf(now) + by;
  if (at >= 0 && at < steps.length) set({ step: String(steps[at]), id: "" });
}

function recolour(value) {
  state.colour = value;
  keep();
  paint();
}

function toggleDetails() {
  const all = [...document.querySelectorAll("#readers details")];
  const close = all.some((one) => one.open);
  all.forEach((one) => (one.open = !close));
}

const actions = {
  j: () => list.move(1),
  ArrowDown: () => list.move(1),
  k: () => list.move(-1),
  ArrowUp: () => list.move(-1),
  n: () => readers[0].data && open(readers[0].sibling(1)),
  p: () => readers[0].data && open(readers[0].sibling(-1)),
  "[": () => step(-1),
  "]": () => step(1),
  "/": () => $("search").focus(),
  f: () => set({ filter: next("filter") }),
  s: () => set({ sort: next("sort") }),
  c: () => recolour(next("colour")),
  o: toggleDetails,
  b: () => readers[0].nextBranch(),
  x: () => runs.length > 1 && set({ compare: comparing() ? "" : "1" }),
  1: () => list_run(0),
  2: () => list_run(1),
  i: about,
  r: () => load(true),
  t: theme,
  "?": help,
  Escape: () => set({ filter: "all", q: "", step: "", task: "" }),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("dialog").open) return;
  if (event.target.matches("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const action = actions[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});

document.addEventListener("mouseover", (event) => {
  const at = event.target.dataset?.t;
  if (at === undefined) return;
  const reader = readers[event.target.closest(".reader").id === "reader-0" ? 0 : 1];
  $("token").textContent = colour.describe(reader.tokens[Number(at)]);
});

let typing;
$("search").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => set({ q: event.target.value }), 200);
});
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filter").addEventListener("change", (event) => set({ filter: event.target.value }));
$("sort").addEventListener("change", (event) => set({ sort: event.target.value }));
$("step").addEventListener("change", (event) => set({ step: event.target.value === "" ? "" : String(event.target.value - 1), id: "" }));
$("colour").addEventListener("change", (event) => recolour(event.target.value));
$("compare").addEventListener("click", actions.x);
$("about").addEventListener("click", about);
$("refresh").addEventListener("click", actions.r);
$("theme").addEventListener("click", theme);
$("help").addEventListener("click", help);

await load(false);
document.body.dataset.ready = "";
