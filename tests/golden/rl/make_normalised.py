"""Rewards of several names, normalised in their group and over the batch, in numpy. Writes normalised.json.

    python3 -m venv .venv && .venv/bin/pip install numpy==2.4.6 && .venv/bin/python make_normalised.py
"""

import json
import random
from pathlib import Path

import numpy as np

NAMES = ["acc", "cost", "progress"]
WEIGHTS = {"cost": 0.5, "progress": 2.0}


def turn(rng):
    """A turn has some of the names."""
    values = {"acc": rng.choice([0.0, 1.0]), "cost": -float(rng.randint(1, 90)), "progress": rng.random()}
    return {name: round(value, 6) for name, value in values.items() if rng.random() < 0.7}


def batch(count=40, seed=5):
    rng = random.Random(seed)
    group = lambda: [[turn(rng) for _ in range(rng.randint(1, 5))] for _ in range(rng.randint(1, 6))]
    even = [[{"acc": 1.0, "progress": 0.5}], [{"acc": 1.0}, {"progress": 0.5}]]
    return [even] + [group() for _ in range(count)]


def total(trajectory, name):
    return sum(turn.get(name, 0.0) for turn in trajectory)


def score(values):
    """(values - mean) / (std + 1e-6), 0 where nothing differs."""
    values = np.array(values)
    if len(values) < 2 or np.ptp(values) < 1e-12:
        return np.zeros(len(values))
    return (values - values.mean()) / (values.std(ddof=1) + 1e-6)


def gdpo(groups):
    """GDPO (arXiv:2601.05242): z-scores by name in the group, their weighted sum, its z-score over the batch."""
    sums = [sum(WEIGHTS.get(name, 1.0) * score([total(t, name) for t in group]) for name in NAMES) for group in groups]
    flat = np.concatenate(sums)
    return [((s - flat.mean()) / (flat.std(ddof=1) + 1e-6)).tolist() for s in sums]


def in_group(groups):
    """The weighted sum per trajectory where `cost` is normalised in the group and the others are not."""
    of = lambda group: score([total(t, "cost") for t in group])
    plain = lambda t: sum(WEIGHTS.get(name, 1.0) * total(t, name) for name in ["acc", "progress"])
    return [(np.array([plain(t) for t in group]) + WEIGHTS["cost"] * of(group)).tolist() for group in groups]


def main():
    groups = batch()
    short = lambda rows: [[float(f"{value:.12g}") for value in row] for row in rows]
    document = {"groups": groups, "weights": WEIGHTS, "gdpo": short(gdpo(groups)), "cost_in_group": short(in_group(groups))}
    Path(__file__).with_name("normalised.json").write_text(json.dumps(document) + "\n")


main()
