"""Writes expected.jsonl and loss.json: conversations as `transformers` renders, tokenises and masks them.

    pip install -r requirements.txt && python make.py

A line of expected.jsonl is a template and a conversation of conversations.json:

- `turns`: of each assistant message `prompt`, the ids of the prompt that the template makes of the messages before it,
  and `turn`, the ids that it writes after that prompt, up to the token that ends the turn,
- `whole`: the ids of the conversation up to its last assistant message,
- `mask`: `assistant_masks` of those, where the template marks what the assistant writes.

loss.json holds ids and masks of some of them, and the mean loss of models/tiny over the masked tokens of all.
"""

import copy
import json
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
MODEL = ROOT / "models/tiny"
END = "<|im_end|>"
# Those of tests/golden/chat that end a turn with a token of the tokenizer.
TEMPLATES = [ROOT / f"tests/golden/chat/templates/{name}.jinja" for name in ["chatml", "hermes_tools", "thinking"]]
TEMPLATES += sorted((HERE / "templates").glob("*.jinja"))


def as_servers_give_it(messages):
    """Arguments that are JSON text become objects, as in vLLM's server."""
    messages = copy.deepcopy(messages)
    for message in messages:
        for key in ["train", "weight"]:
            message.pop(key, None)
        for call in message.get("tool_calls") or []:
            function = call.get("function", call)
            if isinstance(function["arguments"], str):
                function["arguments"] = json.loads(function["arguments"])
    return messages


def expected(tokenizer, source, case):
    tools = case.get("tools")
    messages = as_servers_give_it(case["messages"])

    def render(count, prompt):
        return tokenizer.apply_chat_template(
            messages[:count], tools=tools, chat_template=source, add_generation_prompt=prompt, tokenize=False
        )

    def ids(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    if tools and render(1, False) == tokenizer.apply_chat_template(
        messages[:1], chat_template=source, tokenize=False
    ):
        return {"ignores": "tools"}
    if any("tool_calls" in message for message in messages) and "tool_calls" not in source:
        return {"ignores": "calls"}
    turns = []
    last = max(i for i, message in enumerate(messages) if message["role"] == "assistant")
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        prompt, whole = render(index, True), render(index + 1, False)
        assert whole.startswith(prompt), "the turn begins otherwise than its prompt ends"
        said = whole[: whole.rindex(END) + len(END)]
        turn = ids(said)[len(ids(prompt)) :]
        assert ids(prompt) + turn == ids(said), "a token reaches over the start of the turn"
        turns.append({"prompt": ids(prompt), "turn": turn})
    line = {"turns": turns, "whole": ids(render(last + 1, False))}
    if "endgeneration" in source:
        masked = tokenizer.apply_chat_template(
            messages[: last + 1],
            tools=tools,
            chat_template=source,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        assert masked["input_ids"] == line["whole"]
        line["mask"] = masked["assistant_masks"]
    return line


def loss(lines):
    """The mean over the masked tokens of all sequences, in float32 as models are trained."""
    model = LlamaForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    total, count, sequences = 0.0, 0, []
    for line in lines:
        ids, mask = line["whole"], line["mask"]
        labels = [token if masked else -100 for token, masked in zip(ids, mask)]
        with torch.no_grad():
            mean = model(torch.tensor([ids]), labels=torch.tensor([labels])).loss.item()
        trained = sum(mask)
        total, count = total + mean * trained, count + trained
        sequences.append({"ids": ids, "mask": mask, "loss": mean})
    return {"sequences": sequences, "loss": total / count}


def main():
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(MODEL / "tokenizer.json"), bos_token="<|endoftext|>", eos_token=END
    )
    cases = json.loads((HERE / "conversations.json").read_text())
    lines = []
    for path in TEMPLATES:
        for case in cases:
            made = expected(tokenizer, path.read_text(), case)
            if "ignores" not in made:
                lines.append({"template": path.stem, "case": case["name"], **made})
    (HERE / "expected.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    short = [line for line in lines if "mask" in line and len(line["whole"]) <= 512]
    (HERE / "loss.json").write_text(json.dumps(loss(short)) + "\n")


main()
