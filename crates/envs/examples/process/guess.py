"""Finds a secret number: every guess says where to look next, and a narrower range earns more."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "python"))

import turnwise_env
from turnwise_env import Step, Task, tool


class Guess(turnwise_env.Env):
    train, held_out = 1000, 100
    tools = [tool("guess", "Compares a number with the secret one.", n="integer")]
    system = "Find the secret number between 0 and 99."

    def reset(self, split, index, seed):
        self.secret, self.low, self.high = seed % 100, 0, 99
        return Task(f"guess/{split}/{index}", "Which number is it?")

    def step(self, text, calls, malformed):
        outputs = [self.guess(call["arguments"]["n"]) for call in calls]
        right = "right" in outputs
        progress = 1.0 / (1 + self.high - self.low) if calls else 0.0
        return Step(outputs, {"progress": progress, "acc": float(right)}, done=right)

    def guess(self, n):
        if n == self.secret:
            return "right"
        if n < self.secret:
            self.low = max(self.low, n + 1)
            return "higher"
        self.high = min(self.high, n - 1)
        return "lower"


if __name__ == "__main__":
    turnwise_env.serve(Guess)
