"""Writes a Llama's folder as GGUF files for llamacpp.c: OUT/F32.gguf, OUT/BF16.gguf and OUT/Q8_0.gguf.

    gguf_files.py FOLDER OUT

Norms stay in f32, as in files of llama.cpp's converter. The files have no vocabulary, since llamacpp.c is told
tokens. Needs gguf, which llama.cpp's sources have, and safetensors and torch, which vLLM brings.
"""

import json
import sys
from pathlib import Path

from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, get_tensor_name_map
from gguf.quants import quantize
from safetensors import safe_open

KINDS = [GGMLQuantizationType.F32, GGMLQuantizationType.BF16, GGMLQuantizationType.Q8_0]


def weights(folder):
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():
                yield name, tensors.get_tensor(name).float().numpy()


def in_pairs(rows, heads):
    """llama.cpp rotates neighbouring rows of a head, and the folder's halves are apart."""
    return rows.reshape(heads, 2, -1, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def describe(out, config):
    heads, rope = config["num_attention_heads"], config.get("rope_parameters") or config
    kind = (config.get("rope_scaling") or rope).get("rope_type", "default")
    if config["model_type"] != "llama" or kind != "default":
        sys.exit(f"a {config['model_type']} with rope_type {kind}: only plain Llamas are written")
    dim = config.get("head_dim") or config["hidden_size"] // heads
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(heads)
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_key_length(dim)
    out.add_value_length(dim)
    out.add_rope_dimension_count(dim)
    out.add_rope_freq_base(rope.get("rope_theta", 10000.0))
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_vocab_size(config["vocab_size"])
    out.add_tokenizer_model("no_vocab")


def write(folder, file, kind):
    config = json.loads((folder / "config.json").read_text())
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    heads = {"q_proj.weight": config["num_attention_heads"], "k_proj.weight": config["num_key_value_heads"]}
    out = GGUFWriter(file, "llama")
    describe(out, config)
    for name, values in weights(folder):
        known = names.get_name(name, try_suffixes=(".weight",))
        if known is None:
            sys.exit(f"{folder}: {name} is no tensor of a Llama")
        for ending, count in heads.items():
            values = in_pairs(values, count) if name.endswith(ending) else values
        its = kind if values.ndim > 1 else GGMLQuantizationType.F32
        out.add_tensor(known, quantize(values, its), raw_dtype=its)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main(folder, out):
    out.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        write(folder, out / f"{kind.name}.gguf", kind)


main(*map(Path, sys.argv[1:]))
