"""Golden vectors for LoRA: adapters that `peft` wrote for golden models, and what it computes with them.

    .venv-golden/bin/python tests/golden/model/make_lora.py [NAME]        writes lora/, lora-lfm2/, ...
    .venv-golden/bin/python tests/golden/model/make_lora.py NAME FOLDER   checks that peft loads FOLDER, a copy of NAME, and computes the same

A folder holds the adapter as `save_pretrained` writes it (adapter_config.json, adapter_model.safetensors) and
`expected.safetensors`: `ids` [B, T], `logits` [B, T, V], and `grad.NAME` of the mean negative log-likelihood by every
tensor of the adapter, under its name in the adapter's file.

`transformers` 5 stacks the experts of a model, and what `peft` then writes it can't take apart. The adapter of experts is
therefore written here, in the layout of transformers 4, which both load.
"""

import pathlib
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
# Folder, base, adapted layers.
ADAPTERS = {
    "lora": ("qwen2", ["q_proj", "v_proj", "gate_proj", "down_proj"]),
    "lora-lfm2": ("lfm2", ["q_proj", "in_proj", "out_proj", "w1", "w2"]),
    "lora-qwen3_moe": ("qwen3_moe-window", ["q_proj", "gate_proj", "up_proj", "down_proj"]),
    "lora-qwen3_5": ("qwen3_5-bias", ["q_proj", "in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a", "out_proj"]),
}


def base(name):
    return AutoModelForCausalLM.from_pretrained(HERE / ADAPTERS[name][0], dtype=torch.float32).eval()


def check(name, folder):
    expected = load_file(HERE / name / "expected.safetensors")
    model = PeftModel.from_pretrained(base(name), folder)
    with torch.no_grad():
        worst = (model(expected["ids"]).logits - expected["logits"]).abs().max().item()
    print(f"peft loads {folder}; logits within {worst:.1e}")
    if worst > 1e-4:
        sys.exit(1)


def merged(weights, adapter, scale):
    """The parameters of a model whose experts are stacked, with an adapter whose experts aren't."""
    weights = dict(weights)

    def update(name):
        a, b = (adapter[f"base_model.model.{name}.lora_{letter}.weight"] for letter in "AB")
        return scale * b @ a

    for name, weight in weights.items():
        at, _, last = name.rpartition(".")
        if last in ("gate_up_proj", "down_proj"):
            parts = ["gate_proj", "up_proj"] if last == "gate_up_proj" else [last]
            of = lambda i: torch.cat([update(f"{at}.{i}.{part}") for part in parts])
            weights[name] = weight + torch.stack([of(i) for i in range(len(weight))])
        elif last == "weight" and f"base_model.model.{at}.lora_A.weight" in adapter:
            weights[name] = weight + update(at)
    return weights


def make_of_experts(folder):
    generator, (name, targets) = torch.Generator().manual_seed(7), ADAPTERS[folder]
    model, rank, alpha, adapter = base(folder), 3, 6, {}
    for key, value in load_file(HERE / name / "model.safetensors").items():
        at, _, _ = key.rpartition(".")
        if at.rpartition(".")[2] in targets and key.endswith(".weight"):
            out, wide = value.shape
            adapter[f"base_model.model.{at}.lora_A.weight"] = torch.randn((rank, wide), generator=generator) / wide**0.5
            adapter[f"base_model.model.{at}.lora_B.weight"] = 0.2 * torch.randn((out, rank), generator=generator)
    adapter = {key: value.requires_grad_() for key, value in adapter.items()}
    ids = torch.randint(3, model.config.vocab_size, (2, 24), generator=generator)
    weights = merged({key: value.detach() for key, value in model.named_parameters()}, adapter, alpha / rank)
    logits = torch.func.functional_call(model, weights, (ids,)).logits
    logp = torch.log_softmax(logits[:, :-1], -1).gather(-1, ids[:, 1:, None])
    (-logp.mean()).backward()
    out = HERE / folder
    LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=targets, task_type="CAUSAL_LM", base_model_name_or_path=name, inference_mode=True
    ).save_pretrained(out)
    save_file({key: value.detach() for key, value in adapter.items()}, out / "adapter_model.safetensors", metadata={"format": "pt"})
    expected = {"ids": ids, "logits": logits.detach()} | {f"grad.{key}": value.grad for key, value in adapter.items()}
    save_file({key: value.contiguous() for key, value in expected.items()}, out / "expected.safetensors")
    check(folder, out)


def make(folder):
    torch.manual_seed(7)
    config = LoraConfig(r=3, lora_alpha=6, target_modules=ADAPTERS[folder][1], task_type="CAUSAL_LM")
    model = get_peft_model(base(folder), config).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    ids = torch.randint(3, model.config.vocab_size, (2, 24))
    logits = model(ids).logits
    logp = torch.log_softmax(logits[:, :-1], -1).gather(-1, ids[:, 1:, None])
    (-logp.mean()).backward()
    names = {id(value): name for name, value in model.named_parameters() if value.grad is not None}
    gradients = {names[key].replace(".default", ""): value.grad for key, value in ((id(p), p) for p in model.parameters()) if key in names}
    assert gradients.keys() == get_peft_model_state_dict(model).keys()
    model.peft_config["default"].base_model_name_or_path = ADAPTERS[folder][0]  # a name that means the same everywhere
    out = HERE / folder
    model.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)
    expected = {"ids": ids, "logits": logits.detach()} | {f"grad.{name}": value for name, value in gradients.items()}
    save_file({name: value.contiguous() for name, value in expected.items()}, out / "expected.safetensors")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        check(*sys.argv[1:])
        sys.exit()
    for folder in sys.argv[1:] or ADAPTERS:
        (make_of_experts if "moe" in folder else make)(folder)
