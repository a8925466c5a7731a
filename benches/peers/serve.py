"""The work of benches/src/workload.rs in PyTorch and `transformers`, to run beside ours. Commands come on stdin.

    serve.py SHAPE|FOLDER [DEVICE] [f32|bf16]

    prefill      eight prompts of 256 tokens into a cache
    decode B     B sequences, 64 tokens in and 128 sampled
    turns T      eight trajectories of T turns: a prompt of 64 tokens, 16 sampled a turn, 32 of observation between. Each turn
                 is a call of generate with all tokens so far, which is what TRL's loop over tool calls makes
    loss         log-probabilities of eight rows of 256 tokens
    train        their gradient, clipped, and AdamW
    gtpo         a step of TRL's GRPO on a group of four turns, see trl_step.py
    limits       bytes per second of a pass over memory, and operations per second of a large product of matrices
    peak         the most memory that this process has held, in bytes

Work is answered with its cost in seconds, {"wall": …, "cpu": …}. Threads are as many as the cores that it may use.
"""

import copy
import json
import os
import resource
import sys
import time
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

PROMPT, NEW, ROWS, COLUMNS = 64, 128, 8, 256


def llama(vocab, hidden, inner, layers, heads, kv):
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=vocab, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv, max_position_embeddings=2048, tie_word_embeddings=True,
        eos_token_id=2, pad_token_id=0,
    ))


def qwen(hidden, inner, layers, heads, kv):
    return Qwen2ForCausalLM(Qwen2Config(
        vocab_size=151936, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv, max_position_embeddings=32768, tie_word_embeddings=True,
        eos_token_id=2, pad_token_id=0,
    ))


SHAPES = {
    "8.4M": lambda: llama(8192, 256, 768, 8, 8, 4),
    "135M": lambda: llama(49152, 576, 1536, 30, 9, 3),
    "0.5B": lambda: qwen(896, 4864, 24, 14, 2),
    "1.5B": lambda: qwen(1536, 8960, 28, 12, 2),
}


def opened(name):
    """A model with random weights of a shape, here or in benches/shapes, or that of a folder."""
    file = Path(__file__).parent.parent / "shapes" / f"{name}.json"
    if name in SHAPES:
        return SHAPES[name]()
    if file.exists():
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(**json.loads(file.read_text())), dtype=torch.float32)
    return AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)


class Work:
    def __init__(self, name, device, dtype):
        model = opened(name)
        self.model, self.device, self.dtype = model.to(device), device, dtype
        # Work without training reads weights of half the size; training keeps them in f32 and computes under
        # autocast.
        self.reader = copy.deepcopy(self.model).to(torch.bfloat16) if dtype == "bf16" else self.model
        self.optimizer = self.step = None

    def rows(self, count, length):
        return torch.randint(3, self.model.config.vocab_size, (count, length), device=self.device)

    def prefill(self):
        with torch.no_grad():
            self.reader(input_ids=self.rows(ROWS, COLUMNS), use_cache=True, logits_to_keep=1)

    def continued(self, ids, new):
        with torch.no_grad():
            out = self.reader.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, do_sample=True, top_k=0,
                top_p=1.0,
            )
        assert out.shape[1] == ids.shape[1] + new
        return out

    def decode(self, batch):
        self.continued(self.rows(batch, PROMPT), NEW)

    def turns(self, turns):
        ids = self.rows(1, PROMPT).repeat(ROWS, 1)
        for turn in range(turns):
            ids = torch.cat([self.continued(ids, 16), self.rows(ROWS, 32)], dim=1)

    def loss(self):
        ids = self.rows(ROWS, COLUMNS)
        with torch.no_grad():
            self.reader(input_ids=ids, labels=ids)

    def limits(self):
        dtype = torch.bfloat16 if self.dtype == "bf16" else torch.float32
        line = torch.rand(1 << 25, device=self.device).to(dtype)
        square = torch.rand(4096, 4096, device=self.device).to(dtype)
        passes, product = self.seconds(lambda: line + 1), self.seconds(lambda: square @ square)
        return {"bandwidth": 2 * line.numel() * line.element_size() / passes, "rate": 2 * 4096**3 / product}

    def seconds(self, work):
        """The fastest of a few times; a GPU is kept busy for as long as its clock can tell."""
        times, best = 20 if self.device == "cuda" else 1, float("inf")
        for _ in range(4):
            start = time.perf_counter()
            for _ in range(times):
                work()
            if self.device == "cuda":
                torch.cuda.synchronize()
            best = min(best, (time.perf_counter() - start) / times)
        return best

    def train(self):
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5)
        ids = self.rows(ROWS, COLUMNS)
        self.model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def gtpo(self):
        if self.step is None:
            try:
                from trl_step import Step
            except ImportError as missing:
                return f"no step of TRL: {missing}"
            self.step = Step(self)
        return self.step.cost()

    def timed(self, name, *arguments):
        wall, cpu = time.perf_counter(), time.process_time()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.dtype == "bf16" and name == "train"):
            getattr(self, name)(*map(int, arguments))
        if self.device == "cuda":
            torch.cuda.synchronize()
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main():
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    name, device, dtype = (sys.argv[1:] + ["cpu", "f32"][len(sys.argv) - 2:])[:3]
    work = Work(name, device, dtype)
    for line in sys.stdin:
        command = line.split()
        if command == ["peak"]:
            answer = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        elif command == ["limits"]:
            answer = work.limits()
        elif command == ["gtpo"]:
            answer = work.gtpo()
        elif command and command[0] in ("prefill", "decode", "turns", "loss", "train"):
            answer = work.timed(*command)
        else:
            answer = f"unknown: {line.strip()}"
        print(json.dumps(answer), flush=True)


main()
