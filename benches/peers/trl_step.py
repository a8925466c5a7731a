"""A GRPO step in TRL on a group of several turns: the work `gtpo` of benches/src/workload.rs, whose four turns have 32 sampled tokens
each and 16 of observation between them. Turns are sampled as by `turns` in serve.py, in bf16 from a copy of the weights; credit,
loss and update are TRL's.
"""

import contextlib
import os
import sys
import tempfile
import time

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

SAMPLES, TURNS, PROMPT, NEW, OBSERVATION = 8, 4, 64, 32, 16


def no_words():
    """Tokens are drawn here and only counted there, so that no text is needed."""
    words = Tokenizer(WordLevel({"<pad>": 0, "<unk>": 1, "<end>": 2}, unk_token="<unk>"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<end>", unk_token="<unk>")


class Clock(TrainerCallback):
    """From the beginning of a step to its end: setting up TRL's loop isn't the step."""

    def __init__(self, device):
        self.device = device

    def now(self):
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    def on_step_begin(self, *_, **__):
        self.began = self.now()

    def on_step_end(self, *_, **__):
        (wall, cpu), (wall_before, cpu_before) = self.now(), self.began
        self.cost = {"wall": wall - wall_before, "cpu": cpu - cpu_before}


class Step:
    """Of the model of a `Work` of serve.py."""

    def __init__(self, work):
        os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
        self.work, self.clock = work, Clock(work.device)
        config = GRPOConfig(
            output_dir=tempfile.mkdtemp(), per_device_train_batch_size=SAMPLES, num_generations=SAMPLES, max_steps=1,
            max_completion_length=TURNS * (NEW + OBSERVATION), learning_rate=1e-5, beta=0.0, use_cpu=work.device == "cpu",
            bf16=work.dtype == "bf16", gradient_checkpointing=False, save_strategy="no", logging_strategy="no", report_to=[],
            disable_tqdm=True,
        )
        self.trainer = GRPOTrainer(
            model=work.model, args=config, processing_class=no_words(), train_dataset=Dataset.from_dict({"prompt": ["-"]}),
            # Any reward that differs between trajectories: what it says changes no times.
            reward_funcs=lambda completions, **_: [float(row % 2) for row in range(len(completions))],
            rollout_func=self.rollout, callbacks=[self.clock],
        )

    def rollout(self, _prompts, _trainer):
        work = self.work
        if work.reader is not work.model:
            work.reader.load_state_dict(work.model.state_dict())
        ids, mask = work.rows(1, PROMPT).repeat(SAMPLES, 1), []
        training = work.reader.training
        work.reader.eval()
        for turn in range(TURNS):
            ids = work.continued(ids, NEW)
            mask += [1] * NEW
            if turn + 1 < TURNS:
                ids = torch.cat([ids, work.rows(SAMPLES, OBSERVATION)], dim=1)
                mask += [0] * OBSERVATION
        work.reader.train(training)
        rows = ids.tolist()
        return {
            "prompt_ids": [row[:PROMPT] for row in rows],
            "completion_ids": [row[PROMPT:] for row in rows],
            "logprobs": None,
            "env_mask": [mask] * SAMPLES,
        }

    def cost(self):
        # TRL's log must not come between the answers.
        with contextlib.redirect_stdout(sys.stderr):
            self.trainer.train()
        return self.clock.cost
