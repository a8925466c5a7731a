"""Advantages of random groups and shaped rewards of random programs by reference.py. Writes reference.json.

Needs nothing but numpy: python3 -m venv .venv && .venv/bin/pip install numpy==2.4.6 && .venv/bin/python make_reference.py
"""

import json
import random
from pathlib import Path

from groups import calls, edge_groups, groups, states
from reference import advantages, lcs, ngram, shaped

ESTIMATORS = [
    {"gtpo": {}}, {"gtpo": {"norm_scope": "turn_index"}}, {"gtpo": {"norm_scope": "first_return"}},
    {"gtpo": {"gamma": 1.0}}, {"gtpo": {"gamma": 0.0, "ddof": 0}}, {"gtpo": {"eps": 1e-4, "std_floor": 0.3}},
    {"gtpo": {"skip_uniform_outcome": True}},
    {"grpo_min": {}}, {"grpo_min": {"eps": 1e-4}}, {"grpo": {}}, {"grpo": {"ddof": 0, "std_floor": 0.3}},
    {"dr_grpo": {}}, {"rloo": {}}, {"reinforce_pp": {}}, {"reinforce_pp": {"ddof": 0, "eps": 1e-8}},
    {"process_grpo": {}}, {"process_grpo": {"ddof": 0, "std_floor": 0.1}},
    {"mt_grpo": {}}, {"mt_grpo": {"lambda": 0.3, "ddof": 0}},
    {"gigpo": {}}, {"gigpo": {"omega": 0.5, "gamma": 1.0, "eps": 1e-4}},
    {"rebn": {}}, {"rebn": {"gamma": 1.0, "std_floor": 0.5}}, {"turn_tree": {}},
    {"gated_tree": {}}, {"gated_tree": {"kappa": 0.5, "violation_cost": 0.3, "ddof": 0}},
    {"cross_group": {}}, {"cross_group": {"ridge": 20.0, "std_floor": 0.5}},
]


def programs(rng):
    """(correct, code) of a trajectory; some wrote no code."""
    lines = ["x = {0} * {1}", "print(x + {0})", "for i in range({1}):", "    x -= i % {0}", "größe = [{0}, {1}]",
             "print(sum(v for v in größe))", "import math", "y = math.sqrt({1})"]
    line = lambda: rng.choice(lines).format(rng.randint(1, 5), rng.randint(1, 5))
    code = lambda: "" if rng.random() < 0.1 else "\n".join(line() for _ in range(rng.randint(1, 12)))
    return [[rng.random() < 0.4, code()] for _ in range(rng.randint(1, 6))]


def short(values):
    """Twelve digits are more than any comparison reads."""
    if isinstance(values, list):
        return [short(value) for value in values]
    return values if values is None else float(f"{values:.12g}")


def main():
    batch = groups(count=60) + edge_groups()
    keys, asked = states(batch), calls(batch)
    cases = [{"config": config, "advantages": short(advantages(batch, keys, asked, name, options))}
             for config in ESTIMATORS for name, options in config.items()]
    rng = random.Random(2)
    written = [programs(rng) for _ in range(50)]
    measures = [("ngram", ngram), ("lcs", lcs)]
    shaping = [{"config": {"similarity": name, "alpha": alpha, "centre": centre},
                "acc": short(shaped(written, measure, alpha, centre))}
               for name, measure in measures for alpha, centre in [(0.5, False), (0.3, True)]]
    document = {"groups": batch, "states": keys, "calls": asked, "cases": cases, "programs": written, "shaping": shaping}
    Path(__file__).with_name("reference.json").write_text(json.dumps(document, ensure_ascii=False) + "\n")


main()
