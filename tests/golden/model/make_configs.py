"""What `transformers` reads from a config.json that leaves keys out or spells them in another way: configs.json.

    .venv-golden/bin/python tests/golden/model/make_configs.py

A list of cases. `config` is a config.json; beside it what the model is built with: its sizes, the window of each layer,
whether queries, the output of attention and the feed-forward layer have biases, the frequencies of the rotary embedding (radians per token) and what its cosines are
multiplied by.
"""

import json
import pathlib

import torch
from transformers import AutoConfig, AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
# Large enough for every default that divides by it, small enough to be built.
SMALL = dict(hidden_size=256, intermediate_size=16, num_hidden_layers=2, vocab_size=16)
YARN = dict(rope_type="yarn", factor=4.0)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0)

CASES = [
    *[dict(model_type=family) for family in ("llama", "mistral", "qwen2", "qwen3", "olmo2")],
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
]


def read(config):
    folder = HERE / "made"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    read = AutoConfig.from_pretrained(folder)
    (folder / "config.json").unlink()
    folder.rmdir()
    return read


def expected(case):
    config = read(case)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    layer = model.model.layers[0]
    rotary = type(model.model.rotary_emb)(config)
    types = getattr(config, "layer_types", None)
    everywhere = getattr(config, "sliding_window", None) if config.model_type == "mistral" else None
    windows = [config.sliding_window if types and types[i] == "sliding_attention" else everywhere
               for i in range(config.num_hidden_layers)]
    return dict(
        config=case,
        vocab_size=model.model.embed_tokens.weight.shape[0],
        hidden_size=config.hidden_size,
        intermediate_size=layer.mlp.up_proj.weight.shape[0],
        num_layers=len(model.model.layers),
        query=config.num_attention_heads,
        key_value=config.num_key_value_heads,
        dim=layer.self_attn.head_dim,
        max_position=config.max_position_embeddings,
        norm_eps=layer.post_attention_layernorm.variance_epsilon,
        tied=config.tie_word_embeddings,
        biases=[part.bias is not None for part in (layer.self_attn.q_proj, layer.self_attn.o_proj, layer.mlp.down_proj)],
        windows=windows,
        frequencies=rotary.inv_freq.tolist(),
        attention_factor=rotary.attention_scaling,
    )


if __name__ == "__main__":
    cases = [json.dumps(expected(json.loads(json.dumps(case)))) for case in CASES]
    (HERE / "configs.json").write_text("[\n" + ",\n".join(cases) + "\n]\n")
    print(len(cases), "cases")
