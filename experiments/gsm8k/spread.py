"""Prints how much the pairs of E4 spread, and nothing else: the look that is allowed after three pairs.

python3 spread.py data/e4.jsonl
"""

import json
import statistics
import sys

runs = {}
for line in open(sys.argv[1], encoding="utf-8"):
    record = json.loads(line)
    runs.setdefault(record["seed"], {})[record["method"]] = 100 * record["held_out"]["accuracy"]
pairs = [of["gtpo"] - of["grpo_min"] for of in runs.values() if {"gtpo", "grpo_min"} <= of.keys()]
print(f"{len(pairs)} pairs, standard deviation {statistics.stdev(pairs):.1f} points" if len(pairs) > 1 else "no two pairs")
