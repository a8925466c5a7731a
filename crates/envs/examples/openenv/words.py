"""A text that is to hold many of a letter, three times over, as an OpenEnv environment without tools.

    pip install openenv==0.10.0
    PORT=8000 python words.py
"""

import os
import random

import uvicorn
from openenv.core.env_server.http_server import create_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State

TURNS = 3


class Say(Action):
    message: str


class Asked(Observation):
    prompt: str


class Words(Environment):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self):
        self.letter, self.turns = "e", 0

    def reset(self, seed=None, **_):
        self.letter, self.turns = random.Random(seed).choice("einrst"), 0
        return Asked(prompt=f"Write a text with many letters {self.letter}.")

    def step(self, action, **_):
        self.turns += 1
        share = action.message.count(self.letter) / max(len(action.message), 1)
        return Asked(prompt=f"More {self.letter}.", reward=share, done=self.turns == TURNS)

    @property
    def state(self):
        return State(step_count=self.turns)


app = create_app(Words, Say, Asked, env_name="words", max_concurrent_envs=4)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
