"""The estimators and the shaping as their papers state them, in numpy. Written from the formulas, padded and
vectorised, so that it shares neither code nor shape with the crate. Marks and papers: PAPERS.md.

A group is a list of trajectories, a trajectory a list of turns, a turn [acc, fmt].
"""

import math
import re

import numpy as np


def padded(group):
    """acc and fmt as [trajectory, turn], and which cells are turns."""
    turns = max((len(t) for t in group), default=0)
    values = np.zeros((2, len(group), turns))
    real = np.zeros((len(group), turns), bool)
    for i, trajectory in enumerate(group):
        for j, turn in enumerate(trajectory):
            values[:, i, j], real[i, j] = turn, True
    return values[0], values[1], real


def unpadded(values, real):
    return [row[keep].tolist() for row, keep in zip(values, real)]


def zscore(x, votes, ddof=1, eps=1e-6, floor=0.0):
    """(x - mean)/(max(std, floor) + eps) with statistics over votes; zero if they are fewer than two or equal."""
    if votes.size < 2 or np.ptp(votes) <= 8 * np.finfo(float).eps * np.abs(votes).max():
        return np.zeros_like(x)
    return (x - votes.mean()) / (max(votes.std(ddof=ddof), floor) + eps)


def discounted(rewards, real, gamma):
    """R_ij = sum over k >= j of gamma^(k-j) r_ik, as one matrix product."""
    n = rewards.shape[1]
    lag = np.arange(n)[:, None] - np.arange(n)[None, :]
    powers = np.where(lag >= 0, float(gamma) ** np.maximum(lag, 0), 0.0)
    return np.where(real, (rewards * real) @ powers, 0.0)


def spread(per_trajectory, real):
    return np.repeat(np.asarray(per_trajectory, float)[:, None], real.shape[1], axis=1)


def gtpo(group, gamma=0.9, norm_scope="pooled", skip_uniform_outcome=False, **z):
    acc, fmt, real = padded(group)
    returns = discounted(acc + fmt, real, gamma)
    if skip_uniform_outcome and len(set(acc.sum(1).tolist())) < 2:
        return unpadded(np.zeros_like(returns), real)
    if norm_scope == "pooled":
        return unpadded(zscore(returns, returns[real], **z), real)
    if norm_scope == "first_return":
        return unpadded(zscore(returns, returns[:, :1][real[:, :1]], **z), real)
    columns = [zscore(returns[:, j], returns[real[:, j], j], **z) for j in range(real.shape[1])]
    return unpadded(np.stack(columns, 1) if columns else returns, real)


def total(acc, fmt):
    return (acc + fmt).sum(1)


def grpo(group, **z):
    acc, fmt, real = padded(group)
    rewards = total(acc, fmt)
    return unpadded(spread(zscore(rewards, rewards, **z), real), real)


def grpo_min(group, **z):
    acc, fmt, real = padded(group)
    rewards = np.minimum(acc.sum(1) >= 1, (fmt >= 0).all(1)).astype(float)
    return unpadded(spread(zscore(rewards, rewards, **z), real), real)


def dr_grpo(group):
    acc, fmt, real = padded(group)
    rewards = total(acc, fmt)
    return unpadded(spread(rewards - rewards.mean() if rewards.size else rewards, real), real)


def rloo(group):
    acc, fmt, real = padded(group)
    rewards = total(acc, fmt)
    others = [np.delete(rewards, i).mean() if rewards.size > 1 else rewards[i] for i in range(rewards.size)]
    return unpadded(spread(rewards - np.array(others), real), real)


def process_grpo(group, **z):
    acc, fmt, real = padded(group)
    rewards = acc + fmt
    scores = zscore(rewards, rewards[real], **z) * real
    return unpadded(scores[:, ::-1].cumsum(1)[:, ::-1], real)


def mt_grpo(group, **z):
    weight = z.pop("lambda", 1.0)
    acc, fmt, real = padded(group)
    first = fmt[:, 0] if fmt.shape[1] else np.zeros(len(group))
    outcome = total(acc, fmt) - first
    advantages = spread(zscore(outcome, outcome, **z), real)
    if advantages.shape[1]:
        advantages[:, 0] += weight * zscore(first, first, **z)
    return unpadded(advantages, real)


def gigpo(group, states, omega=1.0, gamma=0.95, **z):
    acc, fmt, real = padded(group)
    rewards = total(acc, fmt)
    episode = spread(zscore(rewards, rewards, **z), real)
    returns = discounted(acc + fmt, real, gamma)
    keys = np.full(real.shape, None, object)
    for i, row in enumerate(states):
        keys[i, :len(row)] = row
    keys[:, :1] = "prompt"
    step = np.zeros_like(returns)
    for key in {k for k in keys[real]}:
        met = real & (keys == key)
        step[met] = zscore(returns[met], returns[met], **z)
    return unpadded(episode + omega * step, real)


def turn_tree(group, states, calls):
    """By the definition, one pair of trajectories at a time: k is in the state of i before turn j if both asked and saw the same."""
    acc, fmt, real = padded(group)
    rewards = (acc + fmt) * real
    returns = discounted(rewards, real, 1.0)
    seen = [[(calls[i][j - 1], states[i][j]) for j in range(1, len(group[i]))] for i in range(len(group))]

    def shares(i, k, j):
        return i == k or len(group[k]) > j and seen[i][:j] == seen[k][:j]

    out = []
    for i, trajectory in enumerate(group):
        row, value = [], None
        for j in range(len(trajectory)):
            others = [returns[k, j] for k in range(len(group)) if k != i and shares(i, k, j)]
            if j == 0:
                value = np.mean(others) if others else None
            elif value is not None:
                value = (sum(others) + value) / (len(others) + 1)
            after = 0.0
            if j + 1 < len(trajectory):
                after = np.mean([returns[k, j + 1] for k in range(len(group)) if shares(i, k, j + 1)])
            row.append(0.0 if value is None else float(rewards[i, j] + after - value))
        out.append(row)
    return out


def gated(group):
    """1 for a trajectory that is right and breaks no format."""
    acc, fmt, _ = padded(group)
    return np.minimum(acc.sum(1) >= 1, (fmt >= 0).all(1)).astype(float)


def others(values, i):
    """The mean without i; 0 of nobody."""
    rest = np.delete(values, i)
    return rest.mean() if rest.size else 0.0


def gated_scale(g, eps=1e-6, ddof=1, floor=0.0):
    """What differences of gated rewards are divided by; None without a spread."""
    spread = g.std(ddof=ddof) if g.size > 1 else 0.0
    return max(spread, floor) + eps if spread > 1e-12 else None


def gated_tree(group, states, calls, kappa=2.0, violation_cost=0.1, **z):
    g, scale = gated(group), gated_scale(gated(group), **z)
    broke = [[fmt < 0 for _, fmt in turns] for turns in group]
    seen = [[(calls[i][j - 1], states[i][j], broke[i][j - 1]) for j in range(1, len(group[i]))] for i in range(len(group))]

    def with_me(i, j):
        return np.array([g[k] for k in range(len(group)) if k != i and len(group[k]) > j and seen[k][:j] == seen[i][:j]])

    out = []
    for i, trajectory in enumerate(group):
        row, value = [], None
        for j in range(len(trajectory)):
            here, there = with_me(i, j), with_me(i, j + 1) if j + 1 < len(trajectory) else np.array([])
            value = others(g, i) if j == 0 else (here.sum() + kappa * value) / (here.size + kappa)
            w = there.size / (there.size + kappa)
            after = (1 - w) * g[i] + (w * there.mean() if there.size else 0.0)
            row.append(0.0 if scale is None else (after - value) / scale - violation_cost * broke[i][j])
        out.append(row)
    return out


def cross_group(batch, keys, ridge=1.0, **z):
    def turn(group, states, g, i, j):
        m, broke = others(g, i), [fmt < 0 for _, fmt in group[i][:j]]
        met = [g[k] for k in range(len(group)) if k != i and j > 0 and states[i][j] in states[k][1:]]
        return [1.0, m, j, sum(broke), broke[-1] if broke else 0.0, bool(met), np.mean(met) - m if met else 0.0], g[i] - m

    rewards = [gated(group) for group in batch]
    rows = [[turn(group, states, g, i, j) for i in range(len(group)) for j in range(len(group[i]))] if len(group) > 1 else []
            for group, states, g in zip(batch, keys, rewards)]

    def fit(left_out):
        used = [row for t, group in enumerate(rows) if t not in left_out for row in group]
        x, y = np.array([x for x, _ in used]).reshape(-1, 7), np.array([y for _, y in used])
        return np.linalg.solve(x.T @ x + ridge * np.eye(7), x.T @ y)

    out = []
    for t, (group, g) in enumerate(zip(batch, rewards)):
        scale, shrink = gated_scale(g, **z), 0.0
        if len(batch) > 2:
            told = [(np.dot(fit({s, t}), x), y) for s in range(len(batch)) if s != t for x, y in rows[s]]
            variance = sum(value * value for value, _ in told)
            if variance > 1e-9 * sum(y * y for _, y in told):
                shrink = min(max(sum(value * y for value, y in told) / variance, 0.0), 1.0)
        b, row = fit({t}), iter(rows[t])
        value = lambda i: others(g, i) + shrink * np.dot(b, next(row)[0]) if rows[t] else 0.0
        out.append([[0.0 if scale is None else (g[i] - value(i)) / scale for _ in turns] for i, turns in enumerate(group)]
                   if scale is not None else [[0.0] * len(turns) for turns in group])
    return out


def rebn(batch, gamma=0.9, **z):
    groups = [padded(group) for group in batch]
    returns = [discounted(acc + fmt, real, gamma) for acc, fmt, real in groups]
    votes = np.concatenate([r[real] for r, (_, _, real) in zip(returns, groups)])
    return [unpadded(zscore(r, votes, **z), real) for r, (_, _, real) in zip(returns, groups)]


def reinforce_pp(batch, **z):
    groups = [padded(group) for group in batch]
    rewards = [total(acc, fmt) for acc, fmt, _ in groups]
    centred = [r - r.mean() if r.size else r for r in rewards]
    votes = np.concatenate(centred)
    return [unpadded(spread(zscore(c, votes, **z), real), real) for c, (_, _, real) in zip(centred, groups)]


PER_GROUP = {f.__name__: f for f in [gtpo, grpo, grpo_min, dr_grpo, rloo, process_grpo, mt_grpo]}
PER_BATCH = {f.__name__: f for f in [rebn, reinforce_pp]}


def advantages(batch, keys, asked, name, options):
    """Advantages of a batch by the estimator of that name."""
    options = {"floor" if key == "std_floor" else key: value for key, value in options.items()}
    if name == "gigpo":
        return [gigpo(group, seen, **options) for group, seen in zip(batch, keys)]
    if name in ("turn_tree", "gated_tree"):
        tree = turn_tree if name == "turn_tree" else gated_tree
        return [tree(*group, **options) for group in zip(batch, keys, asked)]
    if name == "cross_group":
        return cross_group(batch, keys, **options)
    if name in PER_BATCH:
        return PER_BATCH[name](batch, **options)
    return [PER_GROUP[name](group, **options) for group in batch]


TOKEN = re.compile(r"\w+|[^\w\s]")


def lcs(a, b):
    """|LCS| over the longer length, by the textbook table."""
    a, b = TOKEN.findall(a), TOKEN.findall(b)
    row = [0] * (len(b) + 1)
    for x in a:
        above, row = row, [0]
        for j, y in enumerate(b):
            row.append(above[j] + 1 if x == y else max(above[j + 1], row[j]))
    return row[-1] / max(len(a), len(b)) if a and b else 0.0


PRIME, WORD = 0x100000001B3, 1 << 64


def hashed(gram):
    """FNV-1a of each token, folded over the n-gram with a rotation, mixed by the finaliser of MurmurHash3."""
    folded = 0
    for token in gram:
        value = 0xCBF29CE484222325
        for byte in token.encode():
            value = (value ^ byte) * PRIME % WORD
        folded = ((folded << 31 | folded >> 33) % WORD ^ value) * PRIME % WORD
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        folded = (folded ^ folded >> 33) * factor % WORD
    return folded ^ folded >> 33


def ngram(a, b, n=3, buckets=1 << 15):
    """Cosine of n-gram counts of length 1 to n, hashed into buckets."""
    def counts(code):
        tokens, found = TOKEN.findall(code), {}
        for size in range(1, n + 1):
            for at in range(len(tokens) - size + 1):
                bucket = hashed(tokens[at:at + size]) % buckets
                found[bucket] = found.get(bucket, 0) + 1
        return found
    a, b = counts(a), counts(b)
    norm = math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))
    return sum(v * b.get(bucket, 0) for bucket, v in a.items()) / norm if norm else 0.0


def shaped(batch, similarity, alpha=0.5, centre=False):
    """acc of the last turn of every failed trajectory; a trajectory is (correct, code). None where nothing changes."""
    split = [([c for ok, c in group if not ok], [c for ok, c in group if ok]) for group in batch]
    common = 0.0
    if centre:
        seen = []
        for g, (failed, _) in enumerate(split):
            later = [h for h in range(g + 1, len(split)) if split[h][1]] + [h for h in range(g) if split[h][1]]
            if later:
                seen += [similarity(f, c) for f in failed for c in split[later[0]][1]]
        common = float(np.mean(seen)) if seen else 0.0
    out = []
    for group, (_, correct) in zip(batch, split):
        share = lambda code: alpha * float(np.mean(
            [max(0.0, (similarity(code, c) - common) / (1 - common)) for c in correct]))
        out.append([None if ok or not correct else share(code) for ok, code in group])
    return out
