// One rollout: its group's credit, then its turns.

import { el, number, signed, words } from "./dom.js";
import { classOf } from "./colour.js";

const chip = (text, kind = "", title = undefined) => el("span", { class: `chip ${kind}`, title }, text);

const WEIGHT = "what every token of this turn is weighed with";

export class Reader {
  /** `open(id)` is called when another rollout of the group is chosen, and `following(sequence)` when another sequence is followed. */
  constructor(article, open, following = () => {}) {
    this.article = article;
    this.open = open;
    this.following = following;
    this.tokens = [];
    this.data = null;
    // The sequence that is followed; none shows the turns of all in the order in which they were sampled.
    this.followed = null;
  }

  clear(text) {
    this.data = null;
    this.article.replaceChildren(el("p", { class: "empty" }, text));
  }

  /** Shows a rollout, and of one with branches the given sequence. */
  show(data, name, extra, sequence = null) {
    this.data = data;
    this.tokens = [];
    this.sections = data.turns.map((turn, j) => this.turn(turn, j));
    this.beginning = this.prompt(data);
    this.branches = this.tree(data);
    this.article.replaceChildren(...this.heading(data, name), ...(extra ? [extra] : []), this.group(data), ...(this.branches ? [this.branches] : []), this.beginning, ...this.sections);
    this.article.scrollTop = 0;
    this.follow(sequence !== null && this.path(sequence).length > 0 ? sequence : null);
  }

  /** The turn that turn `j` continues, or none. */
  parent(j) {
    const { branch } = this.data.turns[j];
    return branch ? branch.parent : j > 0 ? j - 1 : null;
  }

  /** The turns of a sequence, with those before its first one that it continues. */
  path(sequence) {
    const path = [];
    for (let j = this.data.turns.findLastIndex((turn) => turn.sequence === sequence); j !== null && j >= 0; j = this.parent(j)) path.unshift(j);
    return path;
  }

  /** Buttons for the sequences of a tree; none where there is one sequence. */
  tree({ turns }) {
    const count = Math.max(...turns.map((turn) => turn.sequence), 0) + 1;
    if (count === 1) return null;
    const button = (sequence, text, title) => el("button", { type: "button", "data-sequence": sequence ?? "all", title, onclick: () => this.follow(sequence) }, text);
    const numbers = (sequence) => this.path(sequence).map((j) => j + 1).join(" → ");
    return el("p", { class: "branches", role: "group", "aria-label": "Sequences" }, el("span", { class: "sub" }, `${count} sequences: `), button(null, "all turns", "in the order in which they were sampled"), ...Array.from({ length: count }, (_, sequence) => button(sequence, numbers(sequence), `sequence ${sequence + 1}`)));
  }

  /** Shows the turns of a sequence alone, as the model read them, or all of them. */
  follow(sequence) {
    this.followed = this.branches ? sequence : null;
    this.following(this.followed);
    if (!this.branches) return;
    const path = sequence === null ? null : this.path(sequence);
    this.sections.forEach((section, j) => (section.hidden = path !== null && !path.includes(j)));
    this.beginning.hidden = path !== null && path[0] !== 0;
    for (const button of this.branches.querySelectorAll("button")) button.setAttribute("aria-pressed", button.dataset.sequence === String(sequence ?? "all"));
  }

  /** Follows the next sequence. */
  nextBranch() {
    if (!this.branches) return;
    const count = this.branches.querySelectorAll("button").length - 1;
    this.follow(this.followed === null ? 0 : this.followed + 1 < count ? this.followed + 1 : null);
  }

  heading({ row, expected, estimator, norm_scope }, name) {
    const facts = [
      chip(row.correct ? "right" : "wrong", row.correct ? "good" : "bad"),
      chip(words(row.stop), row.cut ? "bad" : ""),
      row.violations > 0 && chip(`${row.violations} ${row.violations === 1 ? "turn breaks" : "turns break"} the format`, "bad"),
      row.tool_errors > 0 && chip(`${row.tool_errors} failed ${row.tool_errors === 1 ? "call" : "calls"}`, "warn"),
      row.dropped && chip(`left out of the loss: ${words(row.dropped)}`, "warn"),
      chip(`level ${row.level}`),
      chip(`${row.tokens} tokens, ${row.sampled} sampled`),
    ];
    return [
      el("h2", {}, el("span", { class: "run-name" }, name), el("bdi", {}, row.task)),
      el("p", { class: "sub" }, `step ${row.step + 1} · sample ${row.sample} · ${estimator ? `${estimator} over ${words(norm_scope)}` : "played, not learnt from"}`),
      el("p", { class: "chips" }, ...facts),
      expected ? el("p", { class: "expected" }, "Right answer: ", el("code", {}, expected)) : null,
    ].filter(Boolean);
  }

  /** Every member of the group, one advantage per turn: what this rollout was compared with. */
  group({ row, group }) {
    const turns = Math.max(...group.map((sibling) => sibling.advantages.length), 1);
    const cell = (sibling, j) => {
      if (j >= sibling.advantages.length) return el("td", {});
      const value = sibling.advantages[j];
      const title = `reward ${number(sibling.rewards[j], 3)}, return ${number(sibling.returns[j], 3)}`;
      return el("td", { class: `num t ${classOf("advantage", { sampled: true, advantage: value })}`, title }, signed(value));
    };
    const line = (sibling) =>
      el(
        "tr",
        { class: sibling.row.id === row.id ? "here" : "", "data-id": sibling.row.id, onclick: () => this.open(sibling.row.id) },
        el("th", { scope: "row" }, el("button", { type: "button", class: sibling.row.correct ? "good" : "bad", "aria-current": sibling.row.id === row.id }, `${sibling.row.correct ? "✓" : "✗"} ${sibling.row.sample}`)),
        el("td", { class: "num" }, number(sibling.row.reward)),
        el("td", { class: "num" }, number(sibling.row.first_return)),
        ...Array.from({ length: turns }, (_, j) => cell(sibling, j)),
      );
    const heads = ["sample", "reward", "return", ...Array.from({ length: turns }, (_, j) => `A${j + 1}`)];
    return el("div", { class: "group" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, ...group.map(line))));
  }

  text(tokens, info) {
    return el("pre", { class: "tokens" }, ...tokens.ids.map((id, t) => this.token({ id, piece: tokens.pieces[t], ...info(t) })));
  }

  token(token) {
    const element = el("span", { class: "t", "data-t": this.tokens.length }, token.piece);
    if (token.piece.endsWith("\n")) element.dataset.end = "";
    if (/^<\|[^|]*\|>$/.test(token.piece)) element.dataset.special = "";
    this.tokens.push({ ...token, element });
    return element;
  }

  context(tokens) {
    return this.text(tokens, () => ({ sampled: false, trained: false, logprob: null, advantage: null, logRatio: null }));
  }

  prompt({ prompt, opening }) {
    if (opening !== null) return el("details", { class: "prompt", open: true }, el("summary", {}, "prompt"), el("pre", { class: "tokens" }, opening));
    return el("details", { class: "prompt", open: prompt.ids.length <= 400 }, el("summary", {}, `prompt, ${prompt.ids.length} tokens`), this.context(prompt));
  }

  /** What a turn of another branch continues, and what the model read before it. */
  branch({ branch }) {
    if (!branch) return [];
    const from = branch.parent === null ? "begins another conversation" : `continues turn ${branch.parent + 1}`;
    return [chip(from), branch.diverged && chip("its history has other tokens than were sampled", "warn")];
  }

  turn(turn, j) {
    // A turn without ratios, where others have them, was left out of the loss alone.
    const masked = turn.log_ratios?.length === 0 && turn.sampled.ids.length > 0;
    const trained = !this.data.row.dropped && !masked;
    const sampled = turn.text !== null ? el("pre", { class: "tokens" }, turn.text) : this.text(turn.sampled, (t) => ({
      sampled: true,
      trained,
      logprob: turn.logprobs[t],
      advantage: turn.advantage,
      logRatio: turn.log_ratios?.[t] ?? null,
    }));
    const named = Object.entries(turn.parts);
    const shaped = turn.reward !== null ? named.reduce((left, [, value]) => left - value, turn.reward) : 0;
    const label = (name) => ({ acc: "accuracy", fmt: "format" })[name] ?? name;
    const parts = `${named.map(([name, value]) => `${label(name)} ${number(value)}`).join(", ")}${Math.abs(shaped) > 1e-9 ? `, shaping, weights and normalisation ${signed(shaped)}` : ""}`;
    const graded = Math.abs(turn.parts.acc ?? 0) % 1 !== 0;
    const byName = named.filter(([name]) => name !== "fmt" && (name !== "acc" || graded)).map(([name, value]) => [name, value, `reward named ${name}, before shaping, normalisation and weights`]);
    const credit = el(
      "dl",
      { class: "credit" },
      ...[...byName, ["reward", turn.reward, parts], ["return", turn.return, "discounted rewards from here on"], ["advantage", turn.advantage, WEIGHT]].map(([name, value, title]) =>
        el("div", { title }, el("dt", {}, name), el("dd", { class: title === WEIGHT ? `t ${classOf("advantage", { sampled: true, advantage: value })}` : "" }, title === WEIGHT ? signed(value, 3) : number(value, 3))),
      ),
    );
    return el(
      "section",
      { class: "turn" },
      el("header", {}, el("h3", {}, `Turn ${j + 1}`), turn.text === null && el("span", { class: "sub" }, `${turn.sampled.ids.length} tokens`), turn.finish === "length" && chip("cut off", "bad"), masked && chip("left out of the loss", "warn"), ...this.branch(turn), turn.violation && chip(`breaks the format: ${number(turn.parts.fmt ?? 0)}`, "bad"), credit),
      turn.branch && el("details", { class: "observation", open: turn.branch.context.ids.length <= 400 }, el("summary", {}, `what the model read before, ${turn.branch.context.ids.length} tokens`), this.context(turn.branch.context)),
      sampled,
      ...turn.calls.map((call) => this.call(call)),
      turn.observation.ids.length > 0 && el("details", { class: "observation" }, el("summary", {}, `what the model read next, ${turn.observation.ids.length} tokens`), this.context(turn.observation)),
    );
  }

  call(record) {
    if (record.malformed) {
      const { kind, message } = record.malformed;
      return el("div", { class: "call malformed" }, el("header", {}, chip(words(kind), "bad"), el("span", {}, message)));
    }
    const { call, output } = record.executed;
    const good = output.status === "ok";
    return el(
      "div",
      { class: "call" },
      el("header", {}, chip(words(output.status), good ? "good" : "bad"), el("code", {}, call.name), output.truncated && chip("output cut", "warn")),
      el("details", {}, el("summary", {}, "arguments"), ...Object.entries(call.arguments).map(([key, value]) => el("div", { class: "argument" }, el("b", {}, key), el("pre", {}, typeof value === "string" ? value : JSON.stringify(value, null, 1))))),
      output.stdout && el("pre", { class: "output" }, output.stdout),
      output.value && el("pre", { class: "output" }, output.value),
      output.error && el("pre", { class: "output error" }, output.error),
      !output.stdout && !output.value && !output.error && el("p", { class: "sub none" }, "no output"),
    );
  }

  paint(mode) {
    for (const token of this.tokens) token.element.className = `t ${classOf(mode, token)}`;
  }

  hasRatio() {
    return Boolean(this.data?.turns.some((turn) => turn.log_ratios));
  }

  /** The member of the group that comes `by` after this one. */
  sibling(by) {
    if (!this.data) return null;
    const { row, group } = this.data;
    const at = group.findIndex((sibling) => sibling.row.id === row.id);
    return group[(at + by + group.length) % group.length].row.id;
  }
}
