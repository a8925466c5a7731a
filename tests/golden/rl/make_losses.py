"""Loss values and gradients of random batches, computed by verl's and TRL's own functions. Writes losses.json.

Everything is in f64 from inputs that f32 holds exactly. Where a case leaves something out, the comment says why.
"""

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import verl.trainer.ppo.core_algos as verl
from verl.trainer.ppo.rollout_corr_helper import compute_rollout_correction_weights
from trl.trainer.grpo_trainer import GRPOTrainer
from verl.workers.config import ActorConfig

ROWS, TOKENS = 5, 12
LIMIT = 16  # tokens that a trajectory may sample


def batch(seed):
    """Columns of a batch: masks with observations in the middle, unequal lengths, some log-ratios extreme."""
    rng = np.random.default_rng(seed)
    ratio = rng.normal(0, 0.4, (ROWS, TOKENS))
    extreme = rng.random((ROWS, TOKENS)) < 0.08
    # Beyond verl's clamp of 20, short of what f32 holds.
    ratio = np.where(extreme, rng.choice([-30, -9, 6, 25], (ROWS, TOKENS)), ratio)
    logprobs = -np.abs(rng.normal(1.5, 1.0, (ROWS, TOKENS)))
    mask = np.zeros((ROWS, TOKENS))
    for row in mask:
        row[1:rng.integers(4, TOKENS + 1)] = 1
        row[2:2 + rng.integers(0, 3)] = 0  # a tool's output, sometimes empty
    turns = np.repeat(rng.normal(0, 1.2, (ROWS, 3)), TOKENS // 3, axis=1)
    columns = {
        "logprobs": logprobs,
        "old": logprobs - ratio,
        "reference": logprobs + np.where(extreme, 12, rng.normal(0, 0.3, (ROWS, TOKENS))),
        "advantages": turns,
        "entropies": np.abs(rng.normal(1, 0.5, (ROWS, TOKENS))),
        "rollout": logprobs - ratio - rng.normal(0, 0.5, (ROWS, TOKENS)),
        "mask": mask,
    }
    return {name: np.float32(values).astype(np.float64) for name, values in columns.items()}


def tensors(columns):
    logprobs = torch.tensor(columns["logprobs"], requires_grad=True)
    return logprobs, {name: torch.tensor(values) for name, values in columns.items() if name != "logprobs"}


def verl_loss(columns, name, mode, low, high, tis=None, level="token", kl=None, beta=0.0, scale=None, entropy=0.0):
    logprobs, t = tensors(columns)
    info = {"loss_scale_factor": scale} if scale else {}
    config = ActorConfig(
        strategy="fsdp", rollout_n=1, ppo_micro_batch_size_per_gpu=1, clip_ratio_low=low, clip_ratio_high=high,
        clip_ratio_c=3.0, global_batch_info=info,
    )
    stale = None
    if tis:
        stale, _ = compute_rollout_correction_weights(t["old"] - t["rollout"], t["mask"], level, tis)
    loss, _ = verl.get_policy_loss_fn(name)(
        t["old"], logprobs, t["advantages"], t["mask"], mode, config, stale
    )
    if kl:
        penalty = verl.kl_penalty(logprobs, t["reference"], kl)
        loss = loss + beta * verl.agg_loss(penalty, t["mask"], mode)
    if entropy:
        loss = loss - entropy * verl.agg_loss(t["entropies"], t["mask"], mode)
    return loss, logprobs


def trl_loss(columns, loss_type, low, high, delta=None, beta=0.0, level="token", entropy=0.0):
    logprobs, t = tensors(columns)
    same = lambda x, **_: x
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (logprobs, t["entropies"], None),
        aux_loss_enabled=False, top_entropy_quantile=1.0, off_policy_mask_threshold=None,
        importance_sampling_level=level, beta=beta, epsilon_low=low, epsilon_high=high, loss_type=loss_type,
        args=SimpleNamespace(use_bias_correction_kl=False, delta=delta, steps_per_generation=1),
        use_vllm=False, model=SimpleNamespace(training=False), max_completion_length=LIMIT,
        accelerator=SimpleNamespace(num_processes=1, gather=same, reduce=same, sync_gradients=False),
        current_gradient_accumulation_steps=1, _entropy_bonus_enabled=entropy > 0, entropy_coef=entropy,
        use_adaptive_entropy=False, _metrics=defaultdict(lambda: defaultdict(list)),
    )
    empty = torch.zeros((ROWS, 0))
    inputs = {
        "prompt_ids": empty, "prompt_mask": empty, "completion_ids": t["mask"],
        "completion_mask": torch.ones_like(t["mask"]), "tool_mask": t["mask"], "advantages": t["advantages"],
        "old_per_token_logps": t["old"], "ref_per_token_logps": t["reference"],
        "num_items_in_batch": t["mask"].sum(),
    }
    return GRPOTrainer._compute_loss(trainer, None, inputs), logprobs


CLAMPS = {"log_ratio_clamp": 20, "kl_input_clamp": 0, "kl_output_clamp": 0}
K3 = {"beta": 0.05, "kl": "k3", "kl_input_clamp": 20, "kl_output_clamp": 10}
BARE = {"log_ratio_clamp": 0, "kl_input_clamp": 0, "kl_output_clamp": 0}
CLIP = {"eps_low": 0.2, "eps_high": 0.28}


def cases():
    """(source, our loss, our weights, their loss). verl takes part in all reductions, TRL in those it has."""
    reductions = [
        ("token-mean", "token_mean", None),
        ("seq-mean-token-mean", "seq_mean_token_mean", None),
        ("seq-mean-token-sum", "seq_mean_token_sum", None),
        ("seq-mean-token-sum-norm", {"constant": {"length": LIMIT}}, LIMIT),
    ]
    for mode, weights, scale in reductions:
        yield (f"verl vanilla {mode}", {"clip": {**CLIP, **CLAMPS, "dual_clip": 3.0}}, weights,
               lambda c, m=mode, s=scale: verl_loss(c, "vanilla", m, 0.2, 0.28, scale=s))
    token = ("token-mean", "token_mean")
    yield ("verl vanilla with importance weights", {"clip": {**CLIP, **CLAMPS, "dual_clip": 3.0, "tis_cap": 2.0}},
           token[1], lambda c: verl_loss(c, "vanilla", token[0], 0.2, 0.28, tis=2.0))
    # Their product over a row of random differences is far from 1: IcePop's bounds keep some rows.
    for name, keys, level, bounds in [
        ("importance weights by sequence", {"tis_cap": 2.0, "tis_level": "sequence"}, "sequence", 2.0),
        ("IcePop", {"tis_cap": 2.0, "tis_min": 0.5, "tis_mode": "mask"}, "token", "0.5_2.0"),
        ("IcePop by sequence", {"tis_cap": 2.0, "tis_min": 0.5, "tis_mode": "mask", "tis_level": "sequence"},
         "sequence", "0.5_2.0"),
    ]:
        yield (f"verl vanilla with {name}", {"clip": {**CLIP, **CLAMPS, "dual_clip": 3.0, **keys}}, token[1],
               lambda c, l=level, b=bounds: verl_loss(c, "vanilla", token[0], 0.2, 0.28, tis=b, level=l))
    for divergence, low, high in [("tv", 0.02, 0.03), ("kl", 0.002, 0.003)]:
        ours = {"divergence": divergence, "delta_low": low, "delta_high": high, "ratio_cap": 3.0}
        yield (f"verl dppo_{divergence}", {"dppo": {**ours, **CLAMPS}}, token[1],
               lambda c, d=divergence, l=low, h=high: verl_loss(c, f"dppo_{d}", token[0], l, h))
    for kl, clamps in [("k1", CLAMPS), ("k2", CLAMPS), ("k3", K3)]:
        yield (f"verl vanilla and {kl}",
               {"clip": {**CLIP, **CLAMPS, "dual_clip": 3.0, **clamps, "beta": 0.05, "kl": kl}}, token[1],
               lambda c, k=kl: verl_loss(c, "vanilla", token[0], 0.2, 0.28, kl=k, beta=0.05))
    yield ("verl vanilla and entropy", {"clip": {**CLIP, **CLAMPS, "dual_clip": 3.0, "entropy": 0.01}}, token[1],
           lambda c: verl_loss(c, "vanilla", token[0], 0.2, 0.28, entropy=0.01))
    yield ("verl cispo", {"cispo": {"eps_low": 0.2, "eps_high": 4.0, **CLAMPS}}, token[1],
           lambda c: verl_loss(c, "cispo", token[0], 0.2, 4.0))
    yield ("verl gspo", {"gspo": {**CLIP, **CLAMPS}}, "seq_mean_token_mean",
           lambda c: verl_loss(c, "gspo", "seq-mean-token-mean", 0.2, 0.28))
    for loss_type, weights in [
        ("dapo", "token_mean"), ("grpo", "seq_mean_token_mean"), ("dr_grpo", {"constant": {"length": LIMIT}}),
        ("bnpo", "token_mean"),
    ]:
        yield (f"trl {loss_type}", {"clip": {**CLIP, **BARE}}, weights,
               lambda c, l=loss_type: trl_loss(c, l, 0.2, 0.28))
    yield ("trl dapo with delta", {"clip": {**CLIP, **BARE, "dual_clip": 3.0}}, "token_mean",
           lambda c: trl_loss(c, "dapo", 0.2, 0.28, delta=3.0))
    yield ("trl dapo and k3", {"clip": {**CLIP, **BARE, "beta": 0.05, "kl": "k3"}}, "token_mean",
           lambda c: trl_loss(c, "dapo", 0.2, 0.28, beta=0.05))
    yield ("trl dapo and entropy", {"clip": {**CLIP, **BARE, "entropy": 0.01}}, "token_mean",
           lambda c: trl_loss(c, "dapo", 0.2, 0.28, entropy=0.01))
    yield ("trl sequence level", {"clip": {**CLIP, **BARE, "level": "sequence"}}, "seq_mean_token_mean",
           lambda c: trl_loss(c, "grpo", 0.2, 0.28, level="sequence"))
    yield ("trl cispo", {"cispo": {"eps_low": 1.0, "eps_high": 4.0, **BARE}}, "token_mean",
           lambda c: trl_loss(c, "cispo", None, 5.0))


def main():
    batches = [batch(seed) for seed in range(12)]
    out = []
    for source, loss_config, weights, run in cases():
        for number, columns in enumerate(batches):
            # A row without trained tokens doesn't count in verl and in ours; TRL counts it (a deviation).
            dropped = source.startswith("verl") and number % 2 == 1
            columns = {**columns, "mask": np.concatenate([columns["mask"][:-1], np.zeros((1, TOKENS))])} if dropped else columns
            loss, logprobs = run(columns)
            loss.backward()
            gradient = [float(f"{g:.9g}") for g in logprobs.grad.flatten().tolist()]
            out.append({
                "source": source, "batch": number, "dropped": dropped, "loss": loss_config, "weights": weights,
                "value": loss.item(), "gradient": gradient,
            })
    exact = lambda v: [float(repr(np.float32(x)).removeprefix("np.float32(").removesuffix(")")) for x in v.flatten()]
    document = {
        "rows": ROWS, "tokens": TOKENS, "limit": LIMIT,
        "batches": [{name: exact(values) for name, values in columns.items()} for columns in batches],
        "cases": out,
    }
    Path(__file__).with_name("losses.json").write_text(json.dumps(document) + "\n")


main()
