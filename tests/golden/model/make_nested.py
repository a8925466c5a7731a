"""Golden folders whose text model lies beside images: tiny random ones, and what `transformers` computes on text.

    .venv-golden/bin/python tests/golden/model/make_nested.py [FOLDER...]

`nested-gemma3`, `nested-mistral3` and `nested-qwen3_5` hold config.json and model.safetensors as `save_pretrained` writes
them (the last one with tensors of `mtp` as published folders have), and
`expected.safetensors` with `ids` [B, T] and `logits` [B, T, V].
"""

import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForImageTextToText,
    Gemma3Config,
    Gemma3TextConfig,
    Ministral3Config,
    Mistral3Config,
    PixtralVisionConfig,
    Qwen3_5Config,
    Qwen3_5TextConfig,
    Qwen3_5VisionConfig,
    SiglipVisionConfig,
)

from make import rope

HERE = pathlib.Path(__file__).parent
TEXT = dict(hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            head_dim=8, vocab_size=40, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)
IMAGES = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4)
GROWING = rope("yarn", factor=4.0, original_max_position_embeddings=8, mscale=1.0, mscale_all_dim=1.0,
               llama_4_scaling_beta=0.3)

FOLDERS = {
    "nested-gemma3": Gemma3Config(
        text_config=Gemma3TextConfig(**TEXT, query_pre_attn_scalar=12, sliding_window=6,
                                     layer_types=["sliding_attention", "full_attention"]),
        vision_config=SiglipVisionConfig(**IMAGES), mm_tokens_per_image=1, image_token_index=39, boi_token_index=38,
        eoi_token_index=37),
    "nested-mistral3": Mistral3Config(
        text_config=Ministral3Config(**TEXT, rope_parameters=GROWING), vision_config=PixtralVisionConfig(**IMAGES),
        image_token_index=39, tie_word_embeddings=False),
    "nested-qwen3_5": Qwen3_5Config(
        text_config=Qwen3_5TextConfig(**TEXT, layer_types=["linear_attention", "full_attention"],
                                      linear_num_key_heads=1, linear_num_value_heads=2, linear_key_head_dim=4,
                                      linear_value_head_dim=4,
                                      rope_parameters=rope("default", partial_rotary_factor=0.5,
                                                           mrope_section=[1, 1, 0], mrope_interleaved=True)),
        vision_config=Qwen3_5VisionConfig(depth=1, hidden_size=8, intermediate_size=8, num_heads=2, patch_size=4,
                                          out_hidden_size=16, num_position_embeddings=4),
        image_token_id=39, video_token_id=38, vision_start_token_id=37, vision_end_token_id=36),
}


def make(name, config):
    torch.manual_seed(1)
    model = AutoModelForImageTextToText.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
        folder = HERE / name
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        if "qwen3_5" in name:
            weights = load_file(folder / "model.safetensors")
            weights |= {"mtp.fc.weight": torch.zeros(16, 32), "mtp.norm.weight": torch.zeros(16)}
            save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        again = AutoModelForImageTextToText.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
        ids = torch.randint(3, 36, (2, 20))
        save_file({"ids": ids, "logits": again(ids, use_cache=False).logits}, folder / "expected.safetensors")
    print(name, [str(file.stat().st_size) for file in folder.iterdir()])


if __name__ == "__main__":
    for name, config in FOLDERS.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            make(name, config)
