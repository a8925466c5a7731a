"""Advantages of random groups, computed by verl's and TRL's own functions. Writes advantages.json.

Estimators with turn-level credit have no counterpart there. Their normalisation is checked all the same: each
turn is handed to verl as if it were a trajectory, with its return as the reward and the right group index.
A group of one value is left out of the estimators where verl returns the raw reward: ours is 0 (a deviation).
"""

import ast
import inspect
import json
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import trl.trainer.grpo_trainer as trl_grpo
import verl.trainer.ppo.core_algos as verl

from groups import groups

GAMMA = 0.9


def verl_values(function, rewards, index, **keys):
    """One advantage per row of a verl estimator; a row has one token with the whole reward."""
    rewards = torch.tensor(rewards, dtype=torch.float64)[:, None]
    advantages, _ = function(rewards.clone(), torch.ones_like(rewards), np.array(index), **keys)
    return advantages[:, 0].tolist()


def trl_values(rewards, scale):
    """The advantages of one group by the block of `_generate_and_score_completions` that computes them."""
    source = textwrap.dedent(inspect.getsource(trl_grpo.GRPOTrainer._generate_and_score_completions))
    block = next(
        node for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.If) and "sum_then_normalize" in ast.unparse(node.test)
    )
    names = {
        "self": SimpleNamespace(
            multi_objective_aggregation="sum_then_normalize", scale_rewards=scale,
            reward_weights=torch.ones(1, dtype=torch.float64),
        ),
        "rewards_per_func": torch.tensor(rewards, dtype=torch.float64)[:, None],
        "unscorable_mask": torch.zeros(len(rewards), dtype=torch.bool),
        "num_generations": len(rewards), "device": "cpu", "torch": torch, "nanstd": trl_grpo.nanstd,
    }
    exec(compile(ast.Module([block], []), "trl", "exec"), names)
    return torch.nan_to_num(names["advantages"]).tolist()


def returns(turns, gamma):
    out, following = [], 0.0
    for acc, fmt in reversed(turns):
        following = acc + fmt + gamma * following
        out.insert(0, following)
    return out


def total(turns):
    return sum(acc + fmt for acc, fmt in turns)


def copied(batch, flat):
    """One value per trajectory, copied to its turns."""
    values = iter(flat)
    return [[[value] * len(turns) for turns, value in zip(group, values)] for group in batch]


def per_turn(batch, flat):
    values = iter(flat)
    return [[[next(values) for _ in turns] for turns in group] for group in batch]


def trajectory_level(batch):
    """Estimators whose unit is the trajectory."""
    rewards = [total(turns) for group in batch for turns in group]
    index = [g for g, group in enumerate(batch) for _ in group]
    grpo = verl.compute_grpo_outcome_advantage
    yield "verl grpo", {"grpo": {}}, copied(batch, verl_values(grpo, rewards, index))
    yield ("verl grpo_vectorized", {"grpo": {}},
           copied(batch, verl_values(verl.compute_grpo_vectorized_outcome_advantage, rewards, index)))
    yield ("verl grpo without std", {"dr_grpo": {}},
           copied(batch, verl_values(grpo, rewards, index, norm_adv_by_std_in_grpo=False)))
    yield ("verl rloo", {"rloo": {}},
           copied(batch, verl_values(verl.compute_rloo_outcome_advantage, rewards, index)))
    whitened = verl.compute_reinforce_plus_plus_baseline_outcome_advantage
    yield ("verl reinforce_plus_plus_baseline", {"reinforce_pp": {"eps": 1e-8}},
           copied(batch, verl_values(whitened, rewards, index)))
    by_group = [[total(turns) for turns in group] for group in batch]
    yield ("trl scale_rewards=group", {"grpo": {"eps": 1e-4}},
           copied(batch, sum((trl_values(r, "group") for r in by_group), [])))
    yield ("trl scale_rewards=none", {"dr_grpo": {}},
           copied(batch, sum((trl_values(r, "none") for r in by_group), [])))


def turn_level(batch):
    """Estimators whose unit is the turn, by verl's normaliser over the set that the scope names."""
    grpo = verl.compute_grpo_outcome_advantage
    places = [(g, i, j) for g, group in enumerate(batch) for i, turns in enumerate(group) for j in range(len(turns))]
    flat = [value for group in batch for turns in group for value in returns(turns, GAMMA)]
    yield "verl grpo over the turns of the group", {"gtpo": {}}, per_turn(
        batch, verl_values(grpo, flat, [g for g, _, _ in places]))
    alone = [sum(len(other) > j for other in batch[g]) < 2 for g, _, j in places]
    peers = verl_values(grpo, flat, [100 * g + j for g, _, j in places])
    yield ("verl grpo over the turns of the same index", {"gtpo": {"norm_scope": "turn_index"}},
           per_turn(batch, [0.0 if lone else value for lone, value in zip(alone, peers)]))
    yield "verl grpo over the turns of the batch", {"rebn": {}}, per_turn(
        batch, verl_values(grpo, flat, [0] * len(flat)))
    rewards = [acc + fmt for group in batch for turns in group for acc, fmt in turns]
    scores = per_turn(batch, verl_values(grpo, rewards, [g for g, _, _ in places]))
    summed = [[np.cumsum(turns[::-1])[::-1].tolist() for turns in group] for group in scores]
    yield "verl grpo over the turn rewards, summed forward", {"process_grpo": {}}, summed


def main():
    every = groups()
    several = [group for group in every if len(group) > 1]
    # For turn statistics a group of one trajectory is fine, a group of one turn is not.
    turns = [group for group in every if sum(len(turns) for turns in group) > 1]
    cases = []
    for batch, source in [(several, trajectory_level), (turns, turn_level)]:
        for name, config, advantages in source(batch):
            cases.append({"source": name, "config": config, "groups": source.__name__, "advantages": advantages})
    document = {"trajectory_level": several, "turn_level": turns, "cases": cases}
    Path(__file__).with_name("advantages.json").write_text(json.dumps(document) + "\n")


main()
