"""Tasks of reasoning-gym (`pip install reasoning-gym`), with any of its generators.

    command = ["python3", "reasoning.py", "chain_sum", '{"max_terms": 3}']

The text after `Answer:` is scored by the generator, from 0 to 1: that is the reward `score`. A score of 1 is
`acc` as well. `[reward.weights]` takes either of them away.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "python"))

import reasoning_gym
import turnwise_env
from turnwise_env import Step, Task

NAME = sys.argv[1] if sys.argv[1:] and not sys.argv[1].startswith("-") else "chain_sum"
SETTINGS = json.loads(sys.argv[2]) if sys.argv[2:] and sys.argv[2].startswith("{") else {}
TRAIN, HELD_OUT = 8192, 512
# A generator makes the task of an index when it is asked for, from its seed and the index.
TASKS = reasoning_gym.create_dataset(NAME, seed=1, size=TRAIN + HELD_OUT, **SETTINGS)


class Reasoning(turnwise_env.Env):
    train, held_out = TRAIN, HELD_OUT
    system = "Think, and end with `Answer: ` and the answer alone."

    def reset(self, split, index, seed):
        self.task = TASKS[index if split == "train" else TRAIN + index]
        return Task(f"{NAME}/{split}/{index}", self.task["question"])

    def step(self, text, calls, malformed):
        answer = text.rpartition("Answer:")[2].strip() if "Answer:" in text else None
        score = float(TASKS.score_answer(answer, self.task))
        return Step([], {"score": score, "acc": float(score >= 1.0)}, done=True)


if __name__ == "__main__":
    turnwise_env.serve(Reasoning)
