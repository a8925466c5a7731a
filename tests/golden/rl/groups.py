"""Random groups of turn rewards: unequal turn counts, equal rewards, single trajectories, violations."""

import random


def groups(seed=0, count=56):
    """Groups as [trajectory][turn] = [acc, fmt]. The first few are the special cases."""
    rng = random.Random(seed)
    special = [
        [[[0.0, 0.0], [0.0, -0.1], [1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0]],
         [[0.0, -0.1], [0.0, 0.0], [0.0, 0.0]]],
        [[[1.0, 0.0]]] * 4,
        [[[0.0, 0.0], [0.0, 0.0]]] * 3,
        [[[0.0, 0.0], [1.0, 0.0]]],
        [[[0.0, -0.1]], [[0.0, 0.0]]],
        [[[0.0, 0.0]] * 9 + [[1.0, 0.0]], [[0.0, -0.1]]],
    ]
    return special + [random_group(rng) for _ in range(count - len(special))]


def random_group(rng):
    group = []
    for _ in range(rng.randint(2, 8)):
        turns = [[0.0, -0.1 if rng.random() < 0.2 else 0.0] for _ in range(rng.randint(1, 6))]
        # Right, shaped, or wrong.
        turns[-1][0] = rng.choice([1.0, round(rng.random() / 2, 6), 0.0])
        group.append(turns)
    return group


def states(batch, seed=1):
    """What the policy saw before each turn, as a key. Tool outputs repeat, and some are empty."""
    rng = random.Random(seed)
    seen = lambda j: "prompt" if j == 0 else rng.choice(["", "1", "2", f"only here {rng.random()}"])
    return [[[seen(j) for j in range(len(turns))] for turns in group] for group in batch]


def calls(batch, seed=3):
    """What each turn asked of its tools, as a key."""
    rng = random.Random(seed)
    return [[[rng.choice(["", "f(1)"]) for _ in turns] for turns in group] for group in batch]


def edge_groups():
    """Groups that the public functions don't take: nobody in it, no turns, one turn in all."""
    return [[], [[]], [[], [[1.0, 0.0]]], [[[1.0, 0.0]]], [[[0.0, -0.1]]], [[[0.5, 0.0], [0.5, 0.0]]] * 3]
