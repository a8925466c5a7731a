"""A GRPO step in TRL, on the prompts that a run of benches/peers/grpo_step.toml had:

    python3 -m venv .venv-peers && .venv-peers/bin/pip install torch==2.15.0 transformers==5.23.0 trl==1.16.0 datasets==5.2.0
    just bench-steps --python .venv-peers/bin/python --smollm2 models/SmolLM2-135M-Instruct

It is called with the model's folder and the run's.

Prints for each step the wall and CPU seconds and the peak of resident memory of rollout and training, as JSON. f32, no gradient
checkpointing, no reference model; two threads, or OMP_NUM_THREADS of them. On a loaded machine take one: OpenMP's threads
spin while they wait for each other, which counts as CPU time.
"""

import json
import os
import resource
import sys
import tempfile
import time

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

SAMPLES, NEW = 8, 128


class Phase:
    def __init__(self):
        with open("/proc/self/clear_refs", "w") as peak:
            peak.write("5")
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def spent(self):
        status = open("/proc/self/status").read()
        peak = int(status.split("VmHWM:")[1].split()[0]) / 2**20
        return {"wall": time.perf_counter() - self.wall, "cpu": time.process_time() - self.cpu, "peak_gib": peak}


class Timed(GRPOTrainer):
    """Sampling and rewards are the rollout; what is left of the step is training."""

    def _generate_and_score_completions(self, inputs):
        phase = Phase()
        answer = super()._generate_and_score_completions(inputs)
        self.rollout, self.training = phase.spent(), Phase()
        self.rollout["tokens"] = answer["completion_mask"].sum().item()
        return answer


class Report(TrainerCallback):
    trainer = None

    def on_step_end(self, *_, **__):
        line = {"rollout": self.trainer.rollout, "train": self.trainer.training.spent()}
        print(json.dumps({phase: {k: round(v, 2) for k, v in spent.items()} for phase, spent in line.items()}), flush=True)


def prompts(run, tokenizer):
    texts = []
    for name in sorted(os.listdir(os.path.join(run, "rollouts"))):
        for line in open(os.path.join(run, "rollouts", name)):
            tokens = json.loads(line)["trajectories"][0]["played"]["prompt"]
            texts.append(tokenizer.decode(tokens))
    return texts


def main(folder, run):
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    texts = prompts(run, tokenizer)
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(), per_device_train_batch_size=SAMPLES, num_generations=SAMPLES, max_steps=len(texts),
        max_completion_length=NEW, learning_rate=1e-6, beta=0.0, temperature=1.0, use_cpu=True, bf16=False,
        gradient_checkpointing=False, save_strategy="no", report_to=[], disable_tqdm=True, shuffle_dataset=False,
    )
    report = Report()
    trainer = Timed(
        model=model, args=config, processing_class=tokenizer, train_dataset=Dataset.from_dict({"prompt": texts}),
        # Any reward that differs between completions: what it says changes no times.
        reward_funcs=lambda completions, **_: [float(len(text) % 7) for text in completions], callbacks=[report],
    )
    report.trainer = trainer
    trainer.train()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"cpu_s": round(usage.ru_utime + usage.ru_stime, 1)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
