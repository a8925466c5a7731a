"""A GRPO step in TRL on a group of several turns: the work `gtpo` of benches/src/workload.rs, whose four turns have 32 sampled tokens
each and 16 of observation between them. Turns are sampled as by `turns` in serve.py; credit, loss and update are TRL's.
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
    def __init__(self, model, device, dtype):
        os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
        self.clock = Clock(device)
        config = GRPOConfig(
            output_dir=tempfile.mkdtemp(), per_device_train_batch_size=SAMPLES, num_generations=SAMPLES, max_steps=1,
            max_completion_length=TURNS * (NEW + OBSERVATION), learning_rate=1e-5, beta=0.0, use_cpu=device == "cpu",
            bf16=dtype == "bf16", gradient_checkpointing=False, save_strategy="no", logging_strategy="no", report_to=[],
            disable_tqdm=True,
        )
        self.trainer = GRPOTrainer(
            model=model, args=config, processing_class=no_words(), train_dataset=Dataset.from_dict({"prompt": ["-"]}),
            # Any reward that differs between trajectories: what it says changes no times.
            reward_funcs=lambda completions, **_: [float(row % 2) for row in range(len(completions))],
            rollout_func=self.rollout, callbacks=[self.clock],
        )

    def rollout(self, _prompts, trainer):
        model = trainer.accelerator.unwrap_model(trainer.model)

        def drawn(rows, columns):
            return torch.randint(3, model.config.vocab_size, (rows, columns), device=model.device)

        training, ids, mask = model.training, drawn(1, PROMPT).repeat(SAMPLES, 1), []
        model.eval()
        for turn in range(TURNS):
            with torch.no_grad():
                ids = model.generate(
                    ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, min_new_tokens=NEW, do_sample=True,
                    top_k=0, top_p=1.0,
                )
            mask += [1] * NEW
            if turn + 1 < TURNS:
                ids = torch.cat([ids, drawn(SAMPLES, OBSERVATION)], dim=1)
                mask += [0] * OBSERVATION
        model.train(training)
        rows = ids.tolist()
        return {
            "prompt_ids": [row[:PROMPT] for row in rows],
            "completion_ids": [row[PROMPT:] for row in rows],
            "logprobs": None,
            "env_mask": [mask] * SAMPLES,
        }

    def cost(self):
        # What TRL logs must not come between the answers.
        with contextlib.redirect_stdout(sys.stderr):
            self.trainer.train()
        return self.clock.cost
