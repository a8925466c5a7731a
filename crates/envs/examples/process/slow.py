"""The arithmetic of steps.py whose tool takes half a second: what `rollout.lag` gains is measured with it."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "python"))

import turnwise_env
from steps import Steps


class Slow(Steps):
    def step(self, text, calls, malformed):
        if calls:
            time.sleep(0.5)
        return super().step(text, calls, malformed)


if __name__ == "__main__":
    turnwise_env.serve(Slow, threads=64)
