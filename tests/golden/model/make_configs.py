"""What `transformers` reads from a config.json that leaves keys out or spells them in another way: configs.json.

    .venv-golden/bin/python tests/golden/model/make_configs.py

A list of cases. `config` is a config.json; beside it what the model is built with: its sizes, whether each layer has
attention, the window of each layer that has and whether it has positions, whether queries, the output of attention and the feed-forward layer have biases, the
frequencies of the rotary embedding (radians per token) in the first layer that has positions and, if they differ, in the
last one, and what its cosines are multiplied by there. A family with experts has `experts` too: for each layer their number,
that of a token, their width, and whether weights add up to 1; or null.
"""

import json
import pathlib

import torch
from transformers import AutoConfig, AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
# Large enough for every default that divides by it, small enough to be built.
SMALL = dict(hidden_size=256, intermediate_size=16, num_hidden_layers=2, vocab_size=16)
YARN = dict(rope_type="yarn", factor=4.0)
# Enough layers for every pattern of windows.
SEVEN = {**SMALL, "num_hidden_layers": 7}
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0)

CASES = [
    *[dict(model_type=family) for family in ("llama", "mistral", "qwen2", "qwen3", "olmo2", "olmo3", "gemma2",
                                             "gemma3_text", "smollm3", "granite", "phi3", "exaone4", "glm4",
                                             "ministral3", "lfm2", "qwen3_5_text", "qwen3_moe", "olmoe", "ernie4_5")],
    *[dict(model_type=family, num_key_value_heads=None, **SMALL) for family in ("llama", "qwen2", "qwen3")],
    *[dict(model_type=family, head_dim=6, num_attention_heads=8, num_key_value_heads=8, **SMALL)
      for family in ("llama", "mistral", "qwen2", "qwen3")],
    dict(model_type="mistral", sliding_window=None, **SMALL),
    dict(model_type="mistral", sliding_window=7, **SMALL),
    dict(model_type="llama", sliding_window=7, **SMALL),
    dict(model_type="llama", attention_bias=True, **SMALL),
    dict(model_type="llama", mlp_bias=True, **SMALL),
    dict(model_type="mistral", attention_bias=True, mlp_bias=True, **SMALL),
    dict(model_type="qwen2", attention_bias=False, **SMALL),
    dict(model_type="qwen3", attention_bias=True, **SMALL),
    *[dict(model_type=family, sliding_window=7, **SMALL) for family in ("qwen2", "qwen3")],
    dict(model_type="qwen2", use_sliding_window=True, **SMALL),
    dict(model_type="qwen2", use_sliding_window=True, sliding_window=7, max_window_layers=2, **SMALL),
    dict(model_type="qwen2", use_sliding_window=True, sliding_window=7, max_window_layers=0, **SMALL),
    dict(model_type="qwen3", use_sliding_window=True, max_window_layers=0, **SMALL),
    dict(model_type="qwen2", use_sliding_window=True, sliding_window=None, max_window_layers=0, **SMALL),
    dict(model_type="qwen2", use_sliding_window=True, sliding_window=7, max_window_layers=0,
         layer_types=["full_attention"] * 2, **SMALL),
    dict(model_type="qwen3", use_sliding_window=True, sliding_window=7, layer_types=["sliding_attention"] * 2, **SMALL),
    dict(model_type="llama", rope_theta=1000.0, **SMALL),
    dict(model_type="llama", rope_theta=1000.0, rope_parameters=dict(rope_type="default", rope_theta=500.0), **SMALL),
    dict(model_type="llama", rope_theta=1000.0, rope_parameters=dict(rope_type="default"), **SMALL),
    dict(model_type="llama", rope_scaling={}, rope_parameters=dict(rope_type="linear", factor=2.0), **SMALL),
    dict(model_type="llama", rope_scaling=dict(type="linear", factor=2.0),
         rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=500.0), **SMALL),
    dict(model_type="llama", rope_scaling=dict(type="default"), **SMALL),
    dict(model_type="llama", rope_scaling=dict(type="dynamic", factor=2.0), **SMALL),
    dict(model_type="llama", rope_scaling=LLAMA3, max_position_embeddings=256, **SMALL),
    dict(model_type="llama", rope_scaling={**LLAMA3, "original_max_position_embeddings": 64}, **SMALL),
    dict(model_type="llama", rope_scaling={**LLAMA3, "original_max_position_embeddings": 64},
         original_max_position_embeddings=32, **SMALL),
    dict(model_type="qwen2", rope_scaling=YARN, max_position_embeddings=64, **SMALL),
    dict(model_type="qwen2", rope_scaling=dict(type="yarn", factor=4.0, original_max_position_embeddings=64),
         max_position_embeddings=64, **SMALL),
    dict(model_type="qwen2", rope_scaling={**YARN, "original_max_position_embeddings": 64},
         max_position_embeddings=1024, **SMALL),
    dict(model_type="qwen2", rope_scaling={**YARN, "original_max_position_embeddings": 64},
         original_max_position_embeddings=32, **SMALL),
    dict(model_type="qwen2", rope_scaling={**YARN, "factor": None, "original_max_position_embeddings": 64},
         max_position_embeddings=512, **SMALL),
    dict(model_type="qwen2", rope_scaling={**YARN, "beta_fast": 8.0, "beta_slow": 2.0, "truncate": False},
         max_position_embeddings=64, **SMALL),
    dict(model_type="qwen2", rope_scaling={**YARN, "mscale": 2.0, "mscale_all_dim": 1.0}, **SMALL),
    dict(model_type="qwen2", rope_scaling={**YARN, "mscale": 2.0}, **SMALL),
    dict(model_type="qwen2", rope_scaling={**YARN, "attention_factor": 0.5}, **SMALL),
    dict(model_type="llama", partial_rotary_factor=1.0, **SMALL),
    dict(model_type="llama", tie_word_embeddings=True, rms_norm_eps=0.01, **SMALL),
    dict(model_type="olmo2", attention_bias=True, num_key_value_heads=None, **SMALL),
    dict(model_type="olmo2", head_dim=6, num_attention_heads=8, num_key_value_heads=8, **SMALL),
    dict(model_type="qwen2", use_sliding_window=True, sliding_window=7, max_window_layers=1, **SMALL),
    dict(model_type="qwen3", use_sliding_window=True, sliding_window=7,
         layer_types=["sliding_attention", "full_attention"], **SMALL),
    *[dict(model_type=family, rope_theta=1000.0, **SMALL)
      for family in ("gemma2", "smollm3", "granite", "phi3", "exaone4", "glm4", "ministral3")],
    dict(model_type="hunyuan_v1_dense", head_dim=128),
    *[dict(model_type=family, rope_theta=1000.0, rope_scaling=YARN, **SEVEN) for family in ("olmo3", "gemma3_text")],
    dict(model_type="gemma3_text", rope_local_base_freq=77.0, sliding_window_pattern=3, sliding_window=9, **SEVEN),
    dict(model_type="gemma3_text", layer_types=["full_attention", "sliding_attention"], **SMALL),
    dict(model_type="gemma3_text", attention_bias=True, query_pre_attn_scalar=7, tie_word_embeddings=False, **SMALL),
    *[dict(model_type=family, layer_types=["sliding_attention", "full_attention"],
           rope_parameters=dict(sliding_attention=dict(rope_type="default", rope_theta=33.0),
                                full_attention=dict(rope_type="linear", factor=2.0, rope_theta=44.0)), **SMALL)
      for family in ("olmo3", "gemma3_text")],
    dict(model_type="gemma3", text_config=dict(model_type="gemma3_text", num_hidden_layers=2, hidden_size=256,
                                               rope_scaling=dict(rope_type="linear", factor=8.0), sliding_window=1024)),
    dict(model_type="gemma3", tie_word_embeddings=False,
         text_config=dict(model_type="gemma3_text", tie_word_embeddings=False, **SMALL)),
    dict(model_type="mistral3", text_config=dict(model_type="ministral3", tie_word_embeddings=True, head_dim=16, **SMALL)),
    dict(model_type="gemma2", sliding_window=5, **SEVEN),
    dict(model_type="gemma2", layer_types=["full_attention", "sliding_attention"], **SMALL),
    dict(model_type="smollm3", no_rope_layers=[0, 1], **SMALL),
    dict(model_type="smollm3", no_rope_layer_interval=2, use_sliding_window=True, sliding_window=5, **SEVEN),
    dict(model_type="smollm3", attention_bias=True, mlp_bias=True, tie_word_embeddings=False, **SMALL),
    dict(model_type="granite", attention_bias=True, mlp_bias=True, tie_word_embeddings=True, **SMALL),
    dict(model_type="olmo3", sliding_window=5, attention_bias=True, **SEVEN),
    dict(model_type="exaone4", sliding_window=5, sliding_window_pattern=3, **SEVEN),
    dict(model_type="exaone4", sliding_window=None, layer_types=["full_attention"] * 2, **SMALL),
    dict(model_type="exaone4", sliding_window=5, sliding_window_pattern="LG",
         layer_types=["sliding_attention", "full_attention"], **SMALL),
    dict(model_type="glm4", attention_bias=False, head_dim=16, **SMALL),
    dict(model_type="glm4", partial_rotary_factor=0.25, **SMALL),
    dict(model_type="glm4", rope_parameters=dict(rope_type="default", rope_theta=50.0, partial_rotary_factor=1.0), **SMALL),
    dict(model_type="ernie4_5", use_bias=True, tie_word_embeddings=False, num_key_value_heads=None, rope_theta=77.0,
         **SMALL),
    dict(model_type="ministral3", sliding_window=5, rope_scaling=YARN, **SMALL),
    dict(model_type="hunyuan_v1_dense", attention_bias=True, head_dim=16, **SMALL),
    dict(model_type="hunyuan_v1_dense", head_dim=16, rope_scaling=dict(type="dynamic", alpha=1000.0, factor=1.0), **SMALL),
    dict(model_type="hunyuan_v1_dense", head_dim=16, rope_scaling=dict(type="dynamic", alpha=0, factor=2.0), **SMALL),
    dict(model_type="phi3", sliding_window=7, num_key_value_heads=4, **SMALL),
    *[dict(model_type="phi3", rope_scaling=dict(type=kind, short_factor=[1.0, 1.5, 2.0], long_factor=[4.0, 5.0, 6.0]),
           partial_rotary_factor=0.75, max_position_embeddings=131072, **SMALL) for kind in ("longrope", "yarn")],
    dict(model_type="phi3", rope_scaling=dict(type="su", short_factor=[1.0] * 4, long_factor=[4.0] * 4,
                                              original_max_position_embeddings=4096),
         max_position_embeddings=131072, **SMALL),
    dict(model_type="phi3", rope_parameters=dict(rope_type="longrope", short_factor=[1.0] * 4, long_factor=[4.0] * 4),
         original_max_position_embeddings=64, max_position_embeddings=128, **SMALL),
    dict(model_type="phi3", rope_scaling=dict(type="longrope", short_factor=[1.0] * 4, long_factor=[4.0] * 4,
                                              attention_factor=1.5, original_max_position_embeddings=64), **SMALL),
    dict(model_type="lfm2", full_attn_idxs=[2, 5], conv_bias=True, conv_L_cache=5, **SEVEN),
    dict(model_type="lfm2", block_ff_dim=100, block_multiple_of=16, block_ffn_dim_multiplier=1.3, tie_embedding=False,
         layer_types=["conv", "full_attention"], norm_eps=1e-3, **SMALL),
    dict(model_type="lfm2", block_auto_adjust_ff_dim=False, num_attention_heads=8, rope_theta=77.0, **SMALL),
    dict(model_type="lfm2", num_key_value_heads=4, num_attention_heads=8, head_dim=6, **SMALL),
    dict(model_type="qwen3_5_text", full_attention_interval=3, attention_bias=True, **SEVEN),
    dict(model_type="qwen3_5_text", layer_types=["linear_attention", "full_attention"], linear_num_key_heads=2,
         linear_num_value_heads=6, linear_key_head_dim=3, linear_value_head_dim=5, linear_conv_kernel_dim=2, head_dim=8,
         tie_word_embeddings=True, **SMALL),
    dict(model_type="qwen3_5_text", partial_rotary_factor=0.5, rope_theta=77.0, **SEVEN),
    dict(model_type="qwen3_5_text", rope_parameters=dict(rope_type="default", rope_theta=50.0), **SEVEN),
    dict(model_type="qwen3_5_text", rope_parameters=dict(rope_type="default", rope_theta=50.0, partial_rotary_factor=1.0,
                                                         mrope_section=[2, 1, 1], mrope_interleaved=True), **SEVEN),
    dict(model_type="qwen3_5", text_config=dict(model_type="qwen3_5_text", rope_scaling=YARN, **SEVEN)),
    dict(model_type="qwen3_5", tie_word_embeddings=True,
         text_config=dict(model_type="qwen3_5_text", tie_word_embeddings=True, **SEVEN)),
    dict(model_type="qwen3_moe", num_experts=6, num_experts_per_tok=3, moe_intermediate_size=24, norm_topk_prob=True,
         head_dim=16, decoder_sparse_step=2, mlp_only_layers=[3], **SEVEN),
    dict(model_type="qwen3_moe", num_local_experts=9, mlp_only_layers=[0], attention_bias=True, use_sliding_window=True,
         max_window_layers=1, num_attention_heads=8, **SMALL),
    dict(model_type="qwen3_moe", num_experts=0, use_sliding_window=True, sliding_window=9, **SMALL),
    dict(model_type="olmoe", num_experts=6, num_experts_per_tok=2, norm_topk_prob=True, attention_bias=True, clip_qkv=8.0,
         num_attention_heads=8, num_key_value_heads=4, **SMALL),
    dict(model_type="olmoe", num_local_experts=7, num_experts_per_tok=7, num_attention_heads=8, rope_theta=77.0, **SMALL),
]


def read(config):
    folder = HERE / "made"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    read = AutoConfig.from_pretrained(folder)
    (folder / "config.json").unlink()
    folder.rmdir()
    return read


def rotated(config):
    """Whether each layer has positions."""
    layers = range(config.num_hidden_layers)
    if config.model_type == "smollm3":
        return [bool(config.no_rope_layers[layer]) for layer in layers]
    if config.model_type == "exaone4":
        return [config.sliding_window is None or config.layer_types[layer] == "sliding_attention" for layer in layers]
    return [True for _ in layers]


def expected(case):
    config = read(case).get_text_config()
    config.pad_token_id = 0  # within every vocabulary
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    has_attention = [hasattr(layer, "self_attn") for layer in model.model.layers]
    layer = model.model.layers[has_attention.index(True)]
    attention, mlp = layer.self_attn, getattr(layer, "mlp", None) or layer.feed_forward
    rotary = type(model.model.rotary_emb)(config)
    types = getattr(config, "layer_types", None)
    one_window = ("mistral", "phi3", "ministral3", "qwen3_moe")
    everywhere = getattr(config, "sliding_window", None) if config.model_type in one_window else None

    def rope(layer):
        prefix = f"{types[layer]}_" if isinstance(rotary.rope_type, dict) else ""
        # Nine digits are a number in f32.
        frequencies = [float(f"{frequency:.9g}") for frequency in getattr(rotary, f"{prefix}inv_freq").tolist()]
        return frequencies, getattr(rotary, f"{prefix}attention_scaling")

    with_positions = [layer for layer, has in enumerate(rotated(config)) if has and has_attention[layer]]
    norm = getattr(layer, "post_attention_layernorm", None) or layer.ffn_norm
    windows = [config.sliding_window if types and types[i] == "sliding_attention" else everywhere
               for i in range(config.num_hidden_layers)]
    of_attention = lambda values: [value for value, has in zip(values, has_attention) if has]
    out = getattr(attention, "o_proj", None) or attention.out_proj
    # Experts are parameters without biases, stacked.
    down = getattr(mlp, "down_proj", None) or getattr(mlp, "w2", None)
    mixtures = [getattr(layer, "mlp", None) for layer in model.model.layers]
    mixtures = [[mlp.gate.num_experts, mlp.gate.top_k, mlp.experts.down_proj.shape[2], mlp.gate.norm_topk_prob]
                if hasattr(mlp, "experts") else None for mlp in mixtures]
    return dict(
        config=case,
        vocab_size=model.model.embed_tokens.weight.shape[0],
        hidden_size=config.hidden_size,
        intermediate_size=down.weight.shape[1] if down else mixtures[0][2],
        num_layers=len(model.model.layers),
        query=config.num_attention_heads,
        key_value=config.num_key_value_heads,
        dim=layer.self_attn.head_dim,
        max_position=config.max_position_embeddings,
        norm_eps=getattr(norm, "variance_epsilon", None) or norm.eps,
        tied=config.tie_word_embeddings,
        biases=[part is not None and part.bias is not None for part in
                (getattr(attention, "q_proj", None) or attention.qkv_proj, out, down)],
        attention=has_attention,
        windows=of_attention(windows),
        rotated=of_attention(rotated(config)),
        frequencies=[rope(with_positions[0])[0]] + [last for last in [rope(with_positions[-1])[0]]
                                                    if last != rope(with_positions[0])[0]],
        attention_factor=rope(with_positions[-1])[1],
        **(dict(experts=mixtures) if any(mixtures) else {}),
    )


if __name__ == "__main__":
    cases = [json.dumps(expected(json.loads(json.dumps(case)))) for case in CASES]
    (HERE / "configs.json").write_text("[\n" + ",\n".join(cases) + "\n]\n")
    print(len(cases), "cases")
