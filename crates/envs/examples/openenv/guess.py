"""A number to guess, as an OpenEnv environment: a tool, a reward on every step, the end with the right guess.

    pip install openenv==0.10.0
    PORT=8000 python guess.py
"""

import os
import random

import uvicorn
from fastmcp import FastMCP
from openenv.core.env_server.http_server import create_app
from openenv.core.env_server.mcp_environment import MCPEnvironment
from openenv.core.env_server.mcp_types import CallToolAction, CallToolObservation
from openenv.core.env_server.types import Observation, State


class Told(Observation):
    prompt: str


class Guess(MCPEnvironment):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self):
        tools = FastMCP("guess")

        @tools.tool
        def guess(n: int) -> str:
            """Says whether the number is higher or lower than n."""
            self.last = n
            return "right" if n == self.number else "higher" if n < self.number else "lower"

        super().__init__(tools)
        self.number, self.last, self.distance, self.steps = 0, None, 50, 0

    def reset(self, seed=None, **_):
        self.number, self.last = random.Random(seed).randrange(100), None
        self.distance, self.steps = 50, 0
        return Told(prompt="Find the number from 0 to 99. The tool guess says whether it is higher or lower.")

    async def step_async(self, action, **settings):
        said = await super().step_async(action, **settings)
        if isinstance(said, CallToolObservation) and self.last is not None:
            self.steps += 1
            # Half a point for coming closer, the rest for the number.
            distance = abs(self.number - self.last)
            said.reward = max(self.distance - distance, 0) / 100 + (0.5 if distance == 0 else 0)
            said.done = distance == 0
            self.distance, self.last = min(distance, self.distance), None
        return said

    def _step_impl(self, action, **_):
        raise ValueError(f"{type(action).__name__} is no call")

    @property
    def state(self):
        return State(step_count=self.steps)


app = create_app(Guess, CallToolAction, CallToolObservation, env_name="guess", max_concurrent_envs=16)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
