"""Writes a GGUF file of each tiny checkpoint in tests/golden/model whose family `turnwise convert` reads.

    pip install -r requirements.txt && python make_families.py

The layout is that of llama.cpp's convert_hf_to_gguf.py: names, rows of queries and keys in pairs (Llama, Granite, SmolLM3),
norms larger by one (Gemma 3), divisors of LongRoPE as tensors (Phi-3), experts in stacks (Qwen3, OLMoE),
heads of values dealt among those of keys and decays as powers (Qwen3.5). Weights are f32, so converting a file back gives the
checkpoint. Written is family-*.gguf.
"""

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

here = Path(__file__).parent
models = here.parent / "model"
CASES = {
    "gemma3": "gemma3", "qwen3": "qwen3", "smollm3": "smollm3", "granite": "granite", "olmo2": "olmo2", "phi3": "phi3",
    "phi3-long": "phi3", "lfm2": "lfm2", "qwen3_moe-window": "qwen3moe", "olmoe": "olmoe",
    "qwen3_5": "qwen35",
}
PARTS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.qkv_proj": "attn_qkv", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
    "operator_norm": "attn_norm", "ffn_norm": "ffn_norm", "conv.in_proj": "shortconv.in_proj",
    "conv.out_proj": "shortconv.out_proj", "conv.conv": "shortconv.conv", "self_attn.out_proj": "attn_output",
    "self_attn.q_layernorm": "attn_q_norm", "self_attn.k_layernorm": "attn_k_norm", "feed_forward.w1": "ffn_gate",
    "feed_forward.w2": "ffn_down", "feed_forward.w3": "ffn_up", "mlp.gate": "ffn_gate_inp",
    "linear_attn.in_proj_qkv": "attn_qkv", "linear_attn.in_proj_z": "attn_gate", "linear_attn.in_proj_b": "ssm_beta",
    "linear_attn.in_proj_a": "ssm_alpha", "linear_attn.conv1d": "ssm_conv1d", "linear_attn.norm": "ssm_norm",
    "linear_attn.out_proj": "ssm_out",
    "mlp.experts.gate_proj": "ffn_gate_exps", "mlp.experts.up_proj": "ffn_up_exps", "mlp.experts.down_proj": "ffn_down_exps",
}
WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight",
    "model.embedding_norm.weight": "token_embd_norm.weight",
}


def rope(config):
    """The settings of the layers without a window, in either spelling."""
    settings = config.get("rope_parameters") or {}
    return settings.get("full_attention", settings)


def name_of(tensor, architecture):
    if tensor in WHOLE:
        return WHOLE[tensor]
    layer, rest = tensor.removeprefix("model.layers.").split(".", 1)
    part, suffix = rest.rsplit(".", 1)
    if part == "linear_attn":
        return f"blk.{layer}." + {"A_log": "ssm_a", "dt_bias": "ssm_dt.bias"}[suffix]
    if part == "post_attention_layernorm":
        part = "post_attention_norm" if architecture in ("gemma3", "olmo2", "qwen35") else "ffn_norm"
    return f"blk.{layer}.{PARTS.get(part, part)}.{suffix}"


def in_pairs(rows, heads):
    """llama.cpp's order of the rows of queries and keys."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def dealt(values, axis, skip, size, config):
    """llama.cpp's order of the heads of values, each of `size`, after `skip` others: the first of every key's, then the next."""
    values = np.moveaxis(values, axis, 0)
    keys, behind = config["linear_num_key_heads"], values[skip:]
    behind = behind.reshape(keys, -1, size, *values.shape[1:]).swapaxes(0, 1).reshape(behind.shape)
    return np.moveaxis(np.concatenate([values[:skip], behind]), 0, axis)


def of_linear_attention(part, values, config):
    """A tensor of Qwen3.5 in llama.cpp's layout."""
    size, skip = config["linear_value_head_dim"], 2 * config["linear_num_key_heads"] * config["linear_key_head_dim"]
    if part == "ssm_a":
        values = -np.exp(values)
    orders = {
        "attn_qkv": (0, skip, size), "ssm_conv1d": (0, skip, size), "attn_gate": (0, 0, size), "ssm_out": (1, 0, size),
        "ssm_beta": (0, 0, 1), "ssm_alpha": (0, 0, 1), "ssm_a": (0, 0, 1), "ssm_dt": (0, 0, 1),
    }
    return dealt(values, *orders[part], config) if part in orders else values


def in_stacks(tensors):
    """Experts' matrices on top of each other."""
    stacks = {}
    for name in sorted(tensors, key=lambda name: [int(part) if part.isdigit() else part for part in name.split(".")]):
        at, _, rest = name.partition(".experts.")
        stacked = f"{at}.experts.{rest.partition('.')[2]}" if rest else name
        stacks.setdefault(stacked, []).append(tensors[name])
    return {name: np.stack(parts) if ".experts." in name else parts[0] for name, parts in stacks.items()}


def add_keys(writer, architecture, config, width):
    heads, head_dim = config["num_attention_heads"], config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    settings = rope(config)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(width if architecture == "lfm2" else config["intermediate_size"])
    writer.add_head_count(heads)
    kinds = config["layer_types"] if architecture == "lfm2" else None
    key_value = config["num_key_value_heads"]
    writer.add_head_count_kv([0 if kind == "conv" else key_value for kind in kinds] if kinds else key_value)
    if architecture == "lfm2":
        writer.add_shortconv_l_cache(config["conv_L_cache"])
    if architecture == "qwen35":
        writer.add_ssm_conv_kernel(config["linear_conv_kernel_dim"])
        writer.add_ssm_state_size(config["linear_key_head_dim"])
        writer.add_ssm_group_count(config["linear_num_key_heads"])
        writer.add_ssm_time_step_rank(config["linear_num_value_heads"])
        writer.add_ssm_inner_size(config["linear_value_head_dim"] * config["linear_num_value_heads"])
        writer.add_full_attention_interval(config["layer_types"].index("full_attention") + 1)
        writer.add_rope_dimension_count(int(head_dim * settings["partial_rotary_factor"]))
    count = config.get("num_experts") or config.get("num_local_experts")
    if count:
        writer.add_expert_count(count)
        writer.add_expert_used_count(config["num_experts_per_tok"])
    if "moe_intermediate_size" in config:
        writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.get("norm_eps") or config["rms_norm_eps"])
    writer.add_rope_freq_base(settings.get("rope_theta", config.get("rope_theta")))
    if architecture == "gemma3":
        writer.add_sliding_window(config["sliding_window"])
        # Keys that files of published sizes do without.
        writer.add_attention_scale(config["query_pre_attn_scalar"] ** -0.5)
        writer.add_uint32("gemma3.attention.sliding_window_pattern", config["layer_types"].index("full_attention") + 1)
        local = config["rope_parameters"]["sliding_attention"]["rope_theta"]
        writer.add_float32("gemma3.rope.freq_base_swa", local)
    if architecture == "granite":
        writer.add_attention_scale(config["attention_multiplier"])
        writer.add_embedding_scale(config["embedding_multiplier"])
        writer.add_residual_scale(config["residual_multiplier"])
        writer.add_logit_scale(config["logits_scaling"])
    if architecture == "phi3":
        part = settings.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0))
        writer.add_rope_dimension_count(int(head_dim * part))
        writer.add_sliding_window(config.get("sliding_window") or 0)
        original = settings.get("original_max_position_embeddings") or config.get("original_max_position_embeddings")
        if original:
            writer.add_rope_scaling_orig_ctx_len(original)
    if settings.get("rope_type") in ("linear", "yarn"):
        kinds = {"linear": gguf.RopeScalingType.LINEAR, "yarn": gguf.RopeScalingType.YARN}
        writer.add_rope_scaling_type(kinds[settings["rope_type"]])
        writer.add_rope_scaling_factor(settings["factor"])
        if settings["rope_type"] == "yarn":
            writer.add_rope_scaling_orig_ctx_len(settings["original_max_position_embeddings"])


def add_tokens(writer, config):
    tokens = [chr(0x4E00 + i) for i in range(config["vocab_size"])]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges([])
    for name, add in [("bos", writer.add_bos_token_id), ("eos", writer.add_eos_token_id), ("pad", writer.add_pad_token_id)]:
        ident = config.get(f"{name}_token_id")
        if isinstance(ident, int) and ident < len(tokens):
            add(ident)


def main():
    for case, architecture in CASES.items():
        config = json.loads((models / case / "config.json").read_text())
        tensors = in_stacks(load_file(models / case / "model.safetensors"))
        writer = gguf.GGUFWriter(here / f"family-{case}.gguf", architecture)
        widths = [values.shape[0] for name, values in tensors.items() if name.endswith("feed_forward.w1.weight")]
        add_keys(writer, architecture, config, widths[0] if widths else None)
        add_tokens(writer, config)
        for name, values in sorted(tensors.items()):
            theirs, values = name_of(name, architecture), values.astype(np.float32)
            if architecture in ("gemma3", "qwen35") and theirs.endswith("norm.weight") and "ssm_norm" not in theirs:
                values = values + np.float32(1)
            part = theirs.split(".")[2 if architecture == "qwen35" and theirs.startswith("blk.") else -2]
            if theirs.endswith(("shortconv.conv.weight", "ssm_conv1d.weight")):
                values = values.squeeze(1)
            if architecture == "qwen35":
                values = of_linear_attention(part, values, config)
            if architecture in ("granite", "smollm3") and part in ("attn_q", "attn_k"):
                values = in_pairs(values, config["num_attention_heads" if part == "attn_q" else "num_key_value_heads"])
            writer.add_tensor(theirs, np.ascontiguousarray(values))
        settings = rope(config)
        for kind in ("long", "short") if architecture == "phi3" and settings.get("long_factor") else ():
            writer.add_tensor(f"rope_factors_{kind}.weight", np.array(settings[f"{kind}_factor"], dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


main()
