"""The work of benches/src/workload.rs in vLLM, in this process, to run beside ours. Commands come on stdin, as in serve.py.

    vllm_engine.py FOLDER float32|bfloat16 THREADS

    prefill      eight prompts of 256 tokens, with a token sampled after each, as vLLM can't sample none
    decode B     B sequences, 64 tokens in and 128 sampled from the whole vocabulary
    turns T      eight trajectories of T turns: a prompt of 64 tokens, 16 sampled a turn, 32 of observation between. Each turn is
                 a call of generate with all tokens so far, whose cached prefixes vLLM finds
    greedy N     the N likeliest tokens after a fixed prompt, as a list
    peak         the most memory that this process has held, in bytes

Work is answered with its cost in seconds, {"wall": …, "cpu": …}.
"""

import json
import os
import random
import sys
import time

PROMPT, NEW, ROWS, COLUMNS, TURN, OBSERVATION = 64, 128, 8, 256, 16, 32
# Room for 32 sequences of 192 tokens of SmolLM2-135M in f32, in blocks of 128.
CACHE = 512 << 20

folder, dtype, threads = sys.argv[1:]


def settings():
    """vLLM's documentation asks for both libraries. OpenMP's variables are those that vLLM sets for its processes."""
    libraries = [os.path.join(sys.prefix, "lib", name) for name in ("libtcmalloc_minimal.so.4", "libiomp5.so")]
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:int(threads)]))
    return {
        "HF_HUB_OFFLINE": "1",
        "KMP_AFFINITY": f"granularity=fine,explicit,proclist=[{cores}]",
        "KMP_BLOCKTIME": "5",
        "KMP_TPAUSE": "0",
        "LD_PRELOAD": ":".join(filter(os.path.exists, libraries)),
        "OMP_NUM_THREADS": threads,
        "VLLM_CPU_OMP_THREADS_BIND": cores,
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
    }


# Libraries are loaded when a process starts, so it starts again.
if "VLLM_CPU_OMP_THREADS_BIND" not in os.environ:
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **settings()})
# vLLM prints to stdout as well.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from vllm import LLM, SamplingParams  # noqa: E402 (it would print before)


class Work:
    def __init__(self):
        self.llm = LLM(
            folder, dtype=dtype, skip_tokenizer_init=True, max_model_len=2048, max_num_seqs=64, kv_cache_memory_bytes=CACHE,
        )
        self.vocabulary = self.llm.llm_engine.model_config.get_vocab_size()

    def rows(self, count, length):
        return [[random.randrange(self.vocabulary) for _ in range(length)] for _ in range(count)]

    def continued(self, rows, new, temperature=1.0):
        how = SamplingParams(temperature=temperature, max_tokens=new, ignore_eos=True, detokenize=False)
        out = self.llm.generate([{"prompt_token_ids": row} for row in rows], how, use_tqdm=False)
        said = [list(each.outputs[0].token_ids) for each in out]
        assert all(len(tokens) == new for tokens in said)
        return said

    def prefill(self):
        self.continued(self.rows(ROWS, COLUMNS), 1)

    def decode(self, batch):
        self.continued(self.rows(batch, PROMPT), NEW)

    def turns(self, turns):
        rows = self.rows(1, PROMPT) * ROWS
        for _ in range(turns):
            said = self.continued(rows, TURN)
            rows = [row + new + seen for row, new, seen in zip(rows, said, self.rows(ROWS, OBSERVATION))]

    def greedy(self, new):
        return self.continued([[(100 + 37 * at) % self.vocabulary for at in range(PROMPT)]], new, temperature=0.0)[0]

    def timed(self, name, *arguments):
        wall, cpu = time.perf_counter(), time.process_time()
        getattr(self, name)(*arguments)
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def main():
    work = Work()
    for line in sys.stdin:
        match line.split():
            case ["peak"]:
                answer = peak()
            case ["greedy", number]:
                answer = work.greedy(int(number))
            case ["prefill"]:
                answer = work.timed("prefill")
            case ["decode" | "turns" as name, number]:
                answer = work.timed(name, int(number))
            case _:
                answer = f"unknown: {line.strip()}"
        print(json.dumps(answer), file=answers, flush=True)


main()
