"""Serves an environment to turnwise (`[env.process]`). One file without dependencies, for Python ≥ 3.9.

    import turnwise_env

    class Guess(turnwise_env.Env):
        train, held_out = 1000, 100
        tools = [turnwise_env.tool("guess", "Compares a number with the secret one.", n="integer")]

        def reset(self, split: str, index: int, seed: int) -> turnwise_env.Task:
            self.secret = seed % 100
            return turnwise_env.Task(f"guess/{split}/{index}", "Find the number between 0 and 99.")

        def step(self, text, calls, malformed):
            outputs = ["right" if call["arguments"]["n"] == self.secret else "wrong" for call in calls]
            right = "right" in outputs
            return turnwise_env.Step(outputs, {"acc": float(right)}, done=right)

    if __name__ == "__main__":
        turnwise_env.serve(Guess)

Every trajectory has an object of its own. Equal arguments of `reset` must give equal tasks, in every process.
`python3 my_env.py --check` opens the first tasks twice and compares what they say.
"""

from __future__ import annotations

import json
import math
import sys
import traceback
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, TextIO, Union


def tool(name: str, description: str, **arguments: str) -> dict[str, Any]:
    """Returns the specification of a tool whose arguments, all required, have these JSON types."""
    properties = {argument: {"type": kind} for argument, kind in arguments.items()}
    parameters = {"type": "object", "properties": properties, "required": list(arguments)}
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


@dataclass
class Task:
    """A task and how its conversation opens: a user's text, or messages."""

    id: str
    opening: Union[str, list[dict[str, str]]]
    level: int = 0

    def answer(self) -> dict[str, Any]:
        text = isinstance(self.opening, str)
        messages = [{"role": "user", "content": self.opening}] if text else self.opening
        return {"task": self.id, "level": self.level, "messages": messages}


@dataclass
class Step:
    """What follows from a turn: an output for each call, and rewards by name."""

    outputs: list[str] = field(default_factory=list)
    rewards: dict[str, float] = field(default_factory=dict)
    done: bool = False
    message: Optional[str] = None
    correct: Optional[bool] = None

    def answer(self, calls: int) -> dict[str, Any]:
        if len(self.outputs) != calls:
            raise ValueError(f"{len(self.outputs)} outputs for {calls} calls")
        answer: dict[str, Any] = {
            "outputs": [str(output) for output in self.outputs],
            "rewards": finite(self.rewards),
            "done": bool(self.done),
        }
        if self.message is not None:
            answer["message"] = str(self.message)
        if self.correct is not None:
            answer["correct"] = bool(self.correct)
        return answer


def finite(rewards: dict[str, float]) -> dict[str, float]:
    """Returns the rewards as numbers, and refuses those that are none."""
    for name, reward in rewards.items():
        if not math.isfinite(reward):
            raise ValueError(f"the reward {name!r} is {reward}")
    return {str(name): float(reward) for name, reward in rewards.items()}


class Env:
    """One trajectory of one task. Subclasses write `reset` and `step`."""

    train: int = 0
    held_out: int = 0
    tools: list[dict[str, Any]] = []
    builtin: list[str] = []
    system: Optional[str] = None
    #: Whether the turn was cut off, set before each `step`.
    truncated: bool = False
    #: Calls of the turn that turnwise answered, with their outputs; set before each `step`.
    builtin_calls: list[dict[str, Any]] = []

    def reset(self, split: str, index: int, seed: int) -> Task:
        """Begins the task at `index` of `split`."""
        raise NotImplementedError

    def step(self, text: str, calls: list[dict[str, Any]], malformed: int) -> Step:
        """Hears of a turn: its text, its calls as `{"name", "arguments"}`, and a count of malformed calls."""
        raise NotImplementedError

    def close(self) -> Optional[dict[str, float]]:
        """Ends the trajectory. Returns rewards that are added to those of the last turn, if there are any."""
        return None


class Server:
    """Answers requests, one line each."""

    def __init__(self, env: Callable[[], Env]) -> None:
        self.env = env
        self.sessions: dict[str, Env] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        method = getattr(self, "on_" + str(request.get("method")), None)
        if method is None:
            raise ValueError(f"unknown method {request.get('method')!r}")
        return method(request)

    def on_describe(self, _: dict[str, Any]) -> dict[str, Any]:
        env = self.env()
        answer = {"train": env.train, "held_out": env.held_out, "tools": env.tools, "builtin": env.builtin}
        return answer if env.system is None else {**answer, "system": env.system}

    def on_reset(self, request: dict[str, Any]) -> dict[str, Any]:
        env = self.env()
        task = env.reset(request["split"], request["index"], request["seed"])
        self.sessions[request["session"]] = env
        return task.answer()

    def on_step(self, request: dict[str, Any]) -> dict[str, Any]:
        env = self.sessions[request["session"]]
        env.truncated = request.get("truncated", False)
        env.builtin_calls = request.get("builtin", [])
        step = env.step(request["text"], request["calls"], request["malformed"])
        return step.answer(len(request["calls"]))

    def on_close(self, request: dict[str, Any]) -> dict[str, Any]:
        env = self.sessions.pop(request["session"], None)
        rewards = env.close() if env is not None else None
        return {"rewards": finite(rewards)} if rewards else {}

    def line(self, line: str) -> str:
        request = json.loads(line)
        try:
            answer: dict[str, Any] = {"id": request["id"], "result": self.answer(request)}
        except Exception as error:  # the session's fault; the others go on
            traceback.print_exc()
            answer = {"id": request["id"], "error": {"message": f"{type(error).__name__}: {error}"}}
        return json.dumps(answer, allow_nan=False)


def check(env: Callable[[], Env], tasks: int = 8) -> None:
    """Opens the first tasks of each split twice. Raises `AssertionError` where they differ."""
    server = Server(env)
    described = server.on_describe({})
    for split in ("train", "held_out"):
        for index in range(min(tasks, described[split])):
            place = {"split": split, "index": index, "seed": 1 + index}
            first, again = (server.on_reset({"session": name, **place}) for name in ("a", "b"))
            assert first == again, f"{split} {index} has two openings:\n  {first}\n  {again}"
            for name in ("a", "b"):
                server.on_close({"session": name})
    print(f"{described['train']} tasks to train on, {described['held_out']} held out, "
          f"{len(described['tools'])} tools: equal resets give equal tasks", file=sys.stderr)


def serve(env: Callable[[], Env]) -> None:
    """Answers requests from stdin on stdout until stdin ends. What the environment prints goes to stderr."""
    if "--check" in sys.argv[1:]:
        return check(env)
    answers: TextIO = sys.stdout
    sys.stdout = sys.stderr
    server = Server(env)
    for line in sys.stdin:
        if line.strip():
            answers.write(server.line(line) + "\n")
            answers.flush()
