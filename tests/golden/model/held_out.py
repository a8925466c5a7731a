"""Random odd members of every family: the binary beside `transformers`, on folders that no golden case has.

    .venv-golden/bin/python tests/golden/model/held_out.py BINARY [--each N] [--seed N] [--keep FOLDER] [FAMILY...]

Sizes, switches, windows, scalings, biases, the spelling of config.json, the type of the weights and their files are
drawn for every folder. The log-probabilities of two texts by `turnwise logprobs` (the pass over a whole text) are within
1e-4 of those of `transformers`, and 64 greedy tokens by `turnwise generate` (the decoder) are the same until two logits
are closer than MIN_GAP. A folder that fails is kept, and its line says how to make it again.

With --expected nothing is compared. Folders get the files that golden cases have, gradients among them, and

    TURNWISE_HELD_OUT=FOLDER just test -E 'binary(model)'

compares them as it compares golden cases.
"""

import argparse
import contextlib
import io
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import traceback

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, utils

import make

utils.logging.set_verbosity(100)

MIN_GAP, MAX_DIFFERENCE, MAX_ROUNDING, GREEDY = 2e-4, 1e-4, 3e-5, 64
TEXTS = [3, 85, 190]
RELOAD = make.reload


def shape(r, tied=None, whole=False, head_dims=(2, 4, 6, 8, 10, 14, 16)):
    """Sizes of a model. `whole`: heads fill the width, as the family wants."""
    kv = r.choice([1, 1, 2, 3])
    heads, head_dim = kv * r.choice([1, 2, 3, 5]), r.choice(head_dims)
    sizes = dict(
        hidden_size=heads * (head_dim if whole else r.choice([3, 5, 7, 11])),
        intermediate_size=r.choice([7, 13, 22, 37, 64]),
        num_hidden_layers=r.choice([1, 2, 3, 5]),
        num_attention_heads=heads,
        num_key_value_heads=kv,
        vocab_size=r.choice([37, 61, 97, 131, 257]),
        max_position_embeddings=r.choice([192, 200, 512]),
        rms_norm_eps=r.choice([1e-6, 1e-5, 1e-3]),
        tie_word_embeddings=r.random() < 0.5 if tied is None else tied,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return sizes if whole else {**sizes, "head_dim": head_dim}


def theta(r):
    return r.choice([77.0, 1000.0, 10000.0, 500000.0])


def rope(r, head_dim, **others):
    """Settings of the rotation that every family reads."""
    kind = r.choice(["default", "default", "linear", "yarn", "llama3", "dynamic"])
    if kind == "dynamic" and head_dim <= 2:
        kind = "default"
    settings = dict(rope_type=kind, rope_theta=theta(r), **others)
    if kind != "default":
        settings["factor"] = r.choice([1.5, 2.0, 4.0])
    if kind == "yarn":
        settings["original_max_position_embeddings"] = r.choice([16, 32, 64])
        settings |= r.choice([{}, dict(beta_fast=16.0, beta_slow=2.0), dict(mscale=1.0, mscale_all_dim=0.5),
                              dict(attention_factor=1.2), dict(truncate=False)])
    if kind == "llama3":
        settings |= dict(low_freq_factor=1.0, high_freq_factor=r.choice([2.0, 4.0]),
                         original_max_position_embeddings=r.choice([16, 64]))
    return settings


def windows(r, layers, sliding="sliding_attention", full="full_attention"):
    return [r.choice([sliding, full]) for _ in range(layers)]


def of_heads(sizes):
    return sizes.get("head_dim") or sizes["hidden_size"] // sizes["num_attention_heads"]


def flip(r):
    return r.random() < 0.5


def llama(r):
    s = shape(r)
    return {**s, "attention_bias": flip(r), "mlp_bias": flip(r), "rope_parameters": rope(r, of_heads(s))}


def mistral(r):
    s = shape(r)
    return {**s, "sliding_window": r.choice([None, 1, 3, 9]), "rope_parameters": rope(r, of_heads(s))}


def qwen2(r):
    s = shape(r, whole=True)
    window = dict(use_sliding_window=True, sliding_window=r.choice([1, 4, 7, 300]), max_window_layers=r.choice([0, 1, 2]))
    return {**s, **r.choice([{}, window]), "rope_parameters": rope(r, of_heads(s))}


def qwen3(r):
    s = shape(r)
    window = dict(use_sliding_window=True, sliding_window=r.choice([1, 4, 7]), layer_types=windows(r, s["num_hidden_layers"]))
    return {**s, **r.choice([{}, window]), "attention_bias": flip(r), "rope_parameters": rope(r, of_heads(s))}


def olmo2(r):
    s = shape(r, whole=True)
    return {**s, "attention_bias": flip(r), "rope_parameters": rope(r, of_heads(s))}


def olmo3(r):
    s = shape(r, whole=True)
    by_kind = dict(sliding_attention=dict(rope_type="default", rope_theta=theta(r)), full_attention=rope(r, 2))
    if by_kind["full_attention"]["rope_type"] == "dynamic":
        by_kind["full_attention"] = dict(rope_type="default", rope_theta=theta(r))
    by_kind["sliding_attention"]["rope_theta"] = by_kind["full_attention"]["rope_theta"]
    return {**s, "attention_bias": flip(r), "sliding_window": r.choice([1, 5, 11]), "rope_parameters": by_kind,
            **r.choice([{}, dict(layer_types=windows(r, s["num_hidden_layers"]))])}


def gemma2(r):
    s = shape(r)
    return {**s, "sliding_window": r.choice([1, 5, 11, 300]), "query_pre_attn_scalar": r.choice([3, 8, 24]),
            "attn_logit_softcapping": r.choice([None, 2.0, 50.0]), "final_logit_softcapping": r.choice([None, 4.0, 30.0]),
            "attention_bias": flip(r), "rope_parameters": dict(rope_type="default", rope_theta=theta(r)),
            **r.choice([{}, dict(layer_types=windows(r, s["num_hidden_layers"]))])}


def gemma3_text(r):
    s = shape(r)
    by_kind = dict(sliding_attention=dict(rope_type="default", rope_theta=theta(r)),
                   full_attention=r.choice([dict(rope_type="default", rope_theta=theta(r)),
                                            dict(rope_type="linear", factor=8.0, rope_theta=theta(r))]))
    return {**s, "sliding_window": r.choice([1, 5, 11]), "query_pre_attn_scalar": r.choice([3, 8, 24]),
            "attention_bias": flip(r), "final_logit_softcapping": r.choice([None, None, 6.0]), "rope_parameters": by_kind,
            **r.choice([{}, dict(layer_types=windows(r, s["num_hidden_layers"]))])}


def smollm3(r):
    s = shape(r)
    layers = s["num_hidden_layers"]
    nope = r.choice([dict(no_rope_layer_interval=r.choice([2, 3])),
                     dict(no_rope_layers=[1] + [r.choice([0, 1]) for _ in range(layers - 1)])])
    window = r.choice([{}, {}, dict(use_sliding_window=True, sliding_window=6)])
    return {**s, **nope, **window, "attention_bias": flip(r), "mlp_bias": flip(r), "rope_parameters": rope(r, of_heads(s))}


FACTORS = dict(embedding_multiplier=[1.0, 3.0], residual_multiplier=[1.0, 0.6], attention_multiplier=[1.0, 0.3],
               logits_scaling=[1.0, 2.0])


def granite(r):
    s = shape(r, whole=True)
    return {**s, **{key: r.choice(values) for key, values in FACTORS.items()}, "attention_bias": flip(r),
            "mlp_bias": flip(r), "rope_parameters": rope(r, of_heads(s))}


def granitemoehybrid(r):
    s = shape(r, whole=True)
    return {**s, **{key: r.choice(values) for key, values in FACTORS.items()}, "num_local_experts": 0,
            "shared_intermediate_size": r.choice([11, 20]), "layer_types": ["attention"] * s["num_hidden_layers"],
            "mamba_n_heads": 4, "mamba_expand": 4, "mamba_d_head": s["hidden_size"], "attention_bias": flip(r),
            "position_embedding_type": r.choice(["rope", "nope", None]),
            "rope_parameters": dict(rope_type="default", rope_theta=theta(r))}


def phi3(r):
    s = shape(r, whole=True, head_dims=(8, 16))
    head_dim, part = of_heads(s), r.choice([1.0, 0.75, 0.5])
    pairs = int(head_dim * part) // 2
    original = r.choice([16, 90, 192])
    long = dict(rope_type="longrope", short_factor=[1.0 + 0.2 * i for i in range(pairs)],
                long_factor=[2.0 + 1.5 * i for i in range(pairs)])
    kind = r.choice([dict(rope_type="default"), long, long, long])
    return {**s, "original_max_position_embeddings": original, "sliding_window": r.choice([None, 3, 7]),
            "rope_parameters": dict(rope_theta=theta(r), partial_rotary_factor=part, **kind)}


def ernie4_5(r):
    s = shape(r)
    return {**s, "use_bias": flip(r), "rope_parameters": rope(r, of_heads(s))}


def ministral3(r):
    s = shape(r)
    settings = dict(rope_type="yarn", rope_theta=theta(r), factor=r.choice([4.0, 16.0]),
                    original_max_position_embeddings=r.choice([8, 16]), beta_fast=32.0, beta_slow=1.0,
                    mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=r.choice([0.1, 0.3]))
    if flip(r):
        del settings["mscale"], settings["mscale_all_dim"]
    return {**s, "sliding_window": r.choice([None, None, 5]), "rope_parameters": settings}


def hunyuan_v1_dense(r):
    s = shape(r, head_dims=(4, 6, 8, 16))
    kind = r.choice([dict(rope_type="dynamic", alpha=r.choice([1.0, 50.0, 1000.0]), factor=1.0), dict(rope_type="default")])
    return {**s, "attention_bias": flip(r), "rope_parameters": dict(rope_theta=theta(r), **kind)}


def exaone4(r):
    s = shape(r, whole=True)
    # `transformers` reads a text as a pattern beside a list of layers alone.
    pattern = r.choice([dict(sliding_window_pattern=r.choice([2, 3])),
                        dict(sliding_window_pattern=r.choice([2, "LG"]), layer_types=windows(r, s["num_hidden_layers"]))])
    if r.random() < 0.3:
        return {**s, "sliding_window": None, "layer_types": ["full_attention"] * s["num_hidden_layers"],
                "rope_parameters": rope(r, of_heads(s))}
    return {**s, "sliding_window": r.choice([1, 5, 11]), **pattern, "rope_parameters": rope(r, of_heads(s))}


def glm4(r):
    s = shape(r, head_dims=(4, 8, 12, 16))
    settings = dict(rope_type="default", rope_theta=theta(r), partial_rotary_factor=r.choice([0.5, 1.0]))
    return {**s, "attention_bias": flip(r), "rope_parameters": settings}


def lfm2(r):
    s = shape(r, whole=True)
    s["norm_eps"] = s.pop("rms_norm_eps")
    kinds = windows(r, s["num_hidden_layers"], "conv", "full_attention")
    kinds[r.randrange(len(kinds))] = "full_attention"
    return {**s, "layer_types": kinds, "conv_L_cache": r.choice([1, 2, 3, 9]), "conv_bias": flip(r),
            "block_multiple_of": r.choice([1, 8, 10]), "block_ffn_dim_multiplier": r.choice([1.0, 1.3]),
            "block_auto_adjust_ff_dim": flip(r), "intermediate_size": r.choice([30, 31, 50]),
            "rope_parameters": rope(r, of_heads(s))}


def qwen3_5_text(r):
    s = shape(r, head_dims=(8, 16, 24))
    kinds = windows(r, s["num_hidden_layers"], "linear_attention", "full_attention")
    kinds[r.randrange(len(kinds))] = "full_attention"
    keys = r.choice([1, 2, 3])
    types = r.choice([dict(layer_types=kinds), dict(layer_types=kinds)])
    return {**s, **types, "linear_num_key_heads": keys, "linear_num_value_heads": keys * r.choice([1, 2, 3]),
            "linear_key_head_dim": r.choice([3, 8, 17]), "linear_value_head_dim": r.choice([2, 8, 13]),
            "linear_conv_kernel_dim": r.choice([1, 2, 4, 7]), "attention_bias": flip(r),
            "rope_parameters": dict(rope_type="default", rope_theta=theta(r),
                                    partial_rotary_factor=r.choice([0.25, 0.5, 1.0]))}


def experts(r, **others):
    count = r.choice([2, 5, 8])
    return {"num_experts": count, "num_experts_per_tok": r.randint(1, min(count, 3)), "norm_topk_prob": flip(r), **others}


def qwen3_moe(r):
    s = shape(r)
    window = r.choice([{}, dict(use_sliding_window=True, sliding_window=r.choice([1, 5]))])
    return {**s, **experts(r, moe_intermediate_size=r.choice([5, 12])), **window, "attention_bias": flip(r),
            "decoder_sparse_step": r.choice([1, 1, 2]), "mlp_only_layers": r.choice([[], [0]]),
            "rope_parameters": rope(r, of_heads(s))}


def olmoe(r):
    s = shape(r, whole=True)
    return {**s, **experts(r), "clip_qkv": r.choice([None, 0.8]), "attention_bias": flip(r),
            "rope_parameters": rope(r, of_heads(s))}


FAMILIES = {of.__name__: of for of in (
    llama, mistral, qwen2, qwen3, olmo2, olmo3, gemma2, gemma3_text, smollm3, granite, granitemoehybrid, phi3, ernie4_5, ministral3,
    hunyuan_v1_dense, exaone4, glm4, lfm2, qwen3_5_text, qwen3_moe, olmoe)}


def older(config):
    """The spelling of transformers 4, with a list of layers where no pattern makes it."""
    if config["model_type"] == "granitemoehybrid":
        experts = config.pop("num_local_experts")
        return {**make.old_spelling(config), "num_local_experts": experts}
    if config["model_type"] == "olmo3" and config["rope_parameters"]["sliding_attention"]["rope_theta"] != 500000.0:
        return config  # `rope_theta` there is the base of layers without a window
    if config["model_type"] != "gemma3_text":
        return make.old_spelling(config)
    listed = config["layer_types"]
    spelled = make.old_spelling({**config, "layer_types": listed + ["full_attention"]})
    pattern = spelled["sliding_window_pattern"]
    if listed != ["sliding_attention" if (at + 1) % pattern else "full_attention" for at in range(len(listed))]:
        spelled["layer_types"] = listed
        del spelled["sliding_window_pattern"]
    return spelled


# Folders of text models beside images, and beginnings of their tensors' names in transformers 4 and 5.
NESTED = {"gemma3_text": ("gemma3", "vision_tower"), "ministral3": ("mistral3", "vision_tower"),
          "qwen3_5_text": ("qwen3_5", "visual")}
PREFIXES = [("language_model.model.", "language_model."), ("model.language_model.", "")]


def nest(text, folder, r):
    """Moves the model of the folder `text` under the text model of a folder with images."""
    config, weights = json.loads((text / "config.json").read_text()), load_file(text / "model.safetensors")
    outer, images = NESTED[config["model_type"]]
    below, beside = r.choice(PREFIXES) if outer != "qwen3_5" else PREFIXES[1]
    whole = dict(model_type=outer, architectures=["AnyForConditionalGeneration"], text_config=config,
                 tie_word_embeddings=config.get("tie_word_embeddings", True), vision_config=dict(hidden_size=8))
    names = {name: name.replace("model.", below, 1) if name.startswith("model.") else beside + name for name in weights}
    weights = {names[name]: tensor for name, tensor in weights.items()}
    weights[f"{'model.' if not beside else ''}{images}.patch.weight"] = torch.zeros(3, 2)
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(whole))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def checkpoint(folder, config, r, seed):
    """Writes the folder in one of the forms that folders have. Returns what was drawn."""
    drawn = dict(dtype=r.choice(["float32", "float32", "bfloat16", "float16"]), sharded=flip(r), older=flip(r),
                 head=r.random() < 0.3)
    model = make.build(config, seed).to(getattr(torch, drawn["dtype"]))
    model.save_pretrained(folder, max_shard_size="6KB" if drawn["sharded"] else "5GB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    drawn["sharded"] = (folder / "model.safetensors.index.json").exists()
    if config.tie_word_embeddings and drawn["head"] and not drawn["sharded"]:
        weights = load_file(folder / "model.safetensors")
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    written = json.loads((folder / "config.json").read_text())
    if drawn["older"]:
        (folder / "config.json").write_text(json.dumps(older(written), indent=2))
    if config.model_type in NESTED and not drawn["sharded"] and flip(r):
        drawn["nested"] = f"{folder}-nested"
        nest(folder, pathlib.Path(drawn["nested"]), r)
    return drawn


def reload(folder, config_name="config.json"):
    """A fresh model, which calls its experts one by one: the other way wants aligned rows."""
    model = RELOAD(folder, config_name)
    model.set_experts_implementation("eager")
    return model


def greedy(folder, prompt):
    """GREEDY tokens and the gap between the two best logits of each, the whole text fed at every step."""
    model, ids, gaps = reload(folder), prompt.clone()[None], []
    for _ in range(GREEDY):
        logits = model(ids, use_cache=False).logits[0, -1]
        best = logits.topk(2).values
        gaps.append((best[0] - best[1]).item())
        ids = torch.cat([ids, logits.argmax().reshape(1, 1)], 1)
    return ids[0, len(prompt):].tolist(), gaps


def said(binary, *arguments):
    done = subprocess.run([binary, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"exit {done.returncode}: {done.stderr.strip()[:400]}")
    return json.loads(done.stdout)


def written(folder, config, r, number):
    """Writes a checkpoint whose own rounding in `transformers` doesn't hide a difference."""
    state = r.getstate()
    for seed in range(number, number + 2000, 100):
        r.setstate(state)
        for file in folder.iterdir():
            file.unlink()
        drawn = checkpoint(folder, config, r, seed)
        if rounds(folder, seed) <= MAX_ROUNDING:
            return {**drawn, "seed": seed}
    return None


def logprobs(model, ids):
    logits = model(ids[None], use_cache=False).logits[0]
    return torch.log_softmax(logits, -1)[:-1].gather(-1, ids[1:, None])[:, 0]


def texts(vocab, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, vocab, (length,), generator=generator) for length in TEXTS]


def rounds(folder, seed):
    """How far the log-probabilities of the texts in f32 are from those whose matrix products are in f64."""
    ids = texts(reload(folder).config.vocab_size, seed)
    return max((logprobs(reload(folder), t) - logprobs(reload(folder).double(), t)).abs().max().item() for t in ids)


def compare(binary, folder, opened, seed):
    """Returns the largest difference of log-probabilities and the number of greedy tokens compared."""
    model, worst = reload(folder), 0.0
    vocab = model.config.vocab_size
    for ids in texts(vocab, seed):
        theirs = logprobs(reload(folder), ids)
        ours = said(binary, "logprobs", "--model", str(opened), "--tokens", json.dumps(ids.tolist()))["logprobs"]
        assert ours[0] is None and len(ours) == len(ids), ours
        worst = max(worst, (torch.tensor(ours[1:]) - theirs).abs().max().item())
    assert worst <= MAX_DIFFERENCE, f"log-probabilities differ by {worst:.1e}"
    prompt = texts(vocab, seed + 1)[-1][:5]
    theirs, gaps = greedy(folder, prompt)
    ours = said(binary, "generate", "--model", str(opened), "--tokens", json.dumps(prompt.tolist()), "--temperature",
                "0", "--max-tokens", str(GREEDY), "--ignore-eos", "--json")["tokens"]
    for at, (one, other) in enumerate(zip(ours, theirs)):
        if one != other:
            assert gaps[at] < MIN_GAP, f"token {at} is {one}, not {other}; the gap is {gaps[at]:.1e}"
            return worst, at
    return worst, len(ours)


def write_expected(folder, config, r):
    """Writes what `make.py` writes for a golden case. Returns what was drawn."""
    make.reload = reload
    for seed in range(200):
        for file in folder.iterdir():
            file.unlink()
        make.build(config, seed).save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        with torch.no_grad():
            if rounds(folder, seed) > MAX_ROUNDING:
                continue
        columns = make.expected(folder, seed)
        if columns is not None:
            written = json.loads((folder / "config.json").read_text())
            (folder / "config_v4.json").write_text(json.dumps(older(written), indent=2))
            save_file(columns, folder / "expected.safetensors")
            return dict(seed=seed)
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("families", nargs="*")
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--expected", action="store_true")
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "held-out")
    asked, failed = parser.parse_intermixed_args(), 0
    for family in asked.families or FAMILIES:
        for number in range(asked.seed, asked.seed + asked.each):
            if asked.only is not None and number != asked.only:
                continue
            r = random.Random(f"{family} {number}")
            keys = FAMILIES[family](r)
            folder = asked.keep / f"{family}-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            try:
                drawn = {}
                if asked.expected:
                    drawn = write_expected(folder, AutoConfig.for_model(family, **keys), r)
                    print(f"{family} {number}: {drawn}", flush=True)
                    if drawn is None:
                        (folder / "config.json").unlink(missing_ok=True)
                    continue
                with torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
                    config = AutoConfig.for_model(family, **keys)
                    drawn = written(folder, config, r, number)
                    if drawn is None:
                        print(f"{family} {number}: left out, since every seed rounds too much", flush=True)
                        continue
                    worst, tokens = compare(asked.binary, folder, drawn.get("nested", folder), drawn["seed"])
                print(f"{family} {number}: {worst:.1e}, {tokens} greedy tokens, {drawn}", flush=True)
            except AssertionError as error:
                failed += 1
                print(f"{family} {number}: FAILED {error}\n    {drawn} {keys}", flush=True)
            except Exception as error:
                failed += 1
                at = traceback.extract_tb(error.__traceback__)[-1]
                print(f"{family} {number}: ERROR {type(error).__name__} {error} ({at})\n    {drawn} {keys}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    utils.logging.disable_progress_bar()
    main()
