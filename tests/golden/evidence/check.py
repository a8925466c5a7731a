"""Recomputes the registered comparisons from experiments/data with numpy and scipy.

Exits with 1 if docs/evidence/contrasts.json, which `just evidence` writes, differs by more than 0.01 points, or
lacks a comparison of an experiment that is whole.
"""

import json
import sys
import tomllib
from pathlib import Path

import numpy as np
from scipy import stats

ROOT = Path(__file__).resolve().parents[3]
EXPERIMENTS = ROOT / "experiments"
PLAN = tomllib.loads((EXPERIMENTS / "plan.toml").read_text())
KINDS = tomllib.loads((EXPERIMENTS / "data/kinds.toml").read_text())
# Comparisons that the first round registered in words: experiment, method, baseline.
FIRST_ROUND = {
    "main": [("gtpo", "grpo_min"), ("gtpo", "grpo")],
    "controls": [
        (method, "gtpo")
        for method in PLAN["experiments"]["controls"]["methods"]
        if "rate_of" in PLAN["methods"][method]
    ],
    "own": [
        (method, baseline) for method in ("turn_tree", "first_return") for baseline in ("gtpo", "grpo_min")
    ],
}


def records(experiment):
    """The runs of an experiment by family, method and seed; those of the experiment that it goes with count."""
    plan = PLAN["experiments"][experiment]
    seeds = range(plan["first_seed"], plan["first_seed"] + plan["seeds"])
    found = {}
    for name in [plan.get("with"), experiment]:
        path = EXPERIMENTS / f"data/{name}.jsonl"
        for line in path.read_text().splitlines() if name and path.exists() else []:
            record = json.loads(line)
            if record["seed"] in seeds:
                found[record["family"], record["method"], record["seed"]] = record
    wanted = [(f, m, s) for f in plan["families"] for m in plan["methods"] for s in seeds]
    return found if all(key in found for key in wanted) else None


def value(record, kinds, measure):
    held_out = record["held_out"]
    if measure == "turns":
        return held_out["turns"]
    digits = held_out["strict" if measure == "strict" else "right"]
    letters = held_out.get("kinds") or KINDS.get(record["family"], "")
    right = [int(digit, 36) for i, digit in enumerate(digits) if not kinds or letters[i] in kinds]
    return np.mean(right) / held_out.get("samples", 8)


def compare(runs, family, method, baseline, kinds="", measure="right", less=None):
    seeds = sorted(seed for (f, m, seed) in runs if (f, m) == (family, method))
    of = lambda family, method: np.array([value(runs[family, method, seed], kinds, measure) for seed in seeds])
    a, b = of(family, baseline), of(family, method)
    if less:
        a, b = of(less, method) - of(less, baseline), b - a
    test = stats.ttest_rel(b, a)
    low, high = test.confidence_interval(0.95)
    return {"seeds": len(seeds), "difference": (b - a).mean(), "low": low, "high": high, "p": test.pvalue}


def holm(p):
    order, adjusted, worst = np.argsort(p), np.empty(len(p)), 0.0
    for rank, at in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - rank) * p[at]))
        adjusted[at] = worst
    return adjusted


def key(entry):
    return tuple(entry[name] for name in ("set", "family", "kinds", "measure", "baseline", "method"))


def headroom():
    """Family and kinds to the gain of 32 rollouts over 8; empty until E1 is whole."""
    runs = records("e1")
    kinds = [("arithmetic", ""), ("names", ""), ("programs", ""), ("programs", "t"), ("programs", "h")]
    found = {k: compare(runs, k[0], "grpo_min_32", "grpo_min", k[1]) for k in kinds} if runs else {}
    for (family, kind), gain in found.items():
        print(f"headroom {family:10} {kind or 'all':3} {100 * gain['difference']:+.2f} points, {gain['seeds']} seeds")
    return found


def recomputed():
    """Every registered comparison of a whole experiment, set by set."""
    sets = {}
    for name, pairs in FIRST_ROUND.items():
        if runs := records(name):
            for method, baseline in pairs:
                for family in PLAN["experiments"][name]["families"]:
                    entry = {"set": name, "family": family, "kinds": "", "measure": "right",
                             "baseline": baseline, "method": method}
                    sets.setdefault(name, []).append(entry | compare(runs, family, method, baseline))
    gains = headroom()
    registered = PLAN.get("contrasts", [])
    for name in dict.fromkeys(contrast["holm"] for contrast in registered):
        mine = [contrast for contrast in registered if contrast["holm"] == name]
        if not all(records(contrast["experiment"]) for contrast in mine):
            continue
        for contrast in mine:
            kinds, measure = contrast.get("kinds", ""), contrast.get("measure", "right")
            gain = gains.get((contrast["family"], kinds))
            if measure != "turns" and gain and gain["difference"] < 0.015:
                continue
            where = (contrast["family"], contrast["method"], contrast["baseline"], kinds, measure, contrast.get("less"))
            entry = {"set": name, "family": where[0], "kinds": kinds, "measure": measure,
                     "baseline": where[2], "method": where[1]}
            sets.setdefault(name, []).append(entry | compare(records(contrast["experiment"]), *where))
    for entries in sets.values():
        for entry, adjusted in zip(entries, holm([entry["p"] for entry in entries])):
            entry["holm"] = adjusted
    return [entry for entries in sets.values() for entry in entries]


def main():
    page = {key(entry): entry for entry in json.loads((ROOT / "docs/evidence/contrasts.json").read_text())}
    wrong = 0
    for mine in recomputed():
        theirs = page.pop(key(mine), None)
        same = theirs is not None and theirs["seeds"] == mine["seeds"]
        for name, tolerance in [("difference", 1e-4), ("low", 1e-4), ("high", 1e-4), ("p", 1e-4), ("holm", 1e-4)]:
            same = same and abs(theirs[name] - mine[name]) < tolerance
        wrong += not same
        print(f"{'same' if same else 'NOT THE SAME':12} {mine['set']:9} {mine['family']:10} {mine['kinds'] or 'all':4}"
              f" {mine['method']} − {mine['baseline']}: {100 * mine['difference']:+.2f}"
              f" ({100 * mine['low']:+.2f} … {100 * mine['high']:+.2f}), Holm p {mine['holm']:.4f}")
    for left in page:
        print("NOT RECOMPUTED", *left)
    sys.exit(1 if wrong or page else 0)


if __name__ == "__main__":
    main()
