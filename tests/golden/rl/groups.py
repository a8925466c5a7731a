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
