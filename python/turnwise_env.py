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

Every trajectory has an object of the class. Equal arguments of `reset` must give equal tasks, and equal turns
equal answers, in every process. `python3 my_env.py --check` plays the first tasks twice and compares.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Optional, Union


TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def tool(name: str, description: str, /, **arguments: str) -> dict[str, Any]:
    """Returns the specification of a tool whose arguments, all required, have these JSON types."""
    for argument, kind in arguments.items():
        if kind not in TYPES:
            raise ValueError(f"tool {name!r}: {argument}={kind!r} is no type of JSON schema: {', '.join(TYPES)}")
    properties = {argument: {"type": kind} for argument, kind in arguments.items()}
    parameters = {"type": "object", "properties": properties, "required": list(arguments)}
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


@dataclass
class Task:
    """Holds a task and the opening of its conversation: a user's text, or messages.

    An id belongs to one task of both splits, and is the same in every process.
    """

    id: str
    opening: Union[str, list[dict[str, str]]]
    level: int = 0

    def answer(self) -> dict[str, Any]:
        if not isinstance(self.id, str):
            raise TypeError(f"the task's id is {self.id!r}, expected a text")
        if not is_whole(self.level):
            raise TypeError(f"the task's level is {self.level!r}, expected a whole number, 0 or more")
        text = isinstance(self.opening, str)
        is_list = isinstance(self.opening, (list, tuple)) and len(self.opening) > 0
        if not text and not (is_list and all(map(is_message, self.opening))):
            raise TypeError(f"the task's opening is {self.opening!r}, expected a text, or a list of messages: "
                            '{"role": "system", "user" or "assistant", "content": "…"}')
        messages = [{"role": "user", "content": self.opening}] if text else list(self.opening)
        return {"task": self.id, "level": int(self.level), "messages": messages}


@dataclass
class Step:
    """Holds the response to a turn: an output for each call, and rewards by name."""

    outputs: list[str] = field(default_factory=list)
    rewards: dict[str, float] = field(default_factory=dict)
    done: bool = False
    message: Optional[str] = None
    correct: Optional[bool] = None

    def answer(self, calls: int) -> dict[str, Any]:
        if self.outputs is None or isinstance(self.outputs, (str, bytes)) and self.outputs:
            raise TypeError(f"outputs is {self.outputs!r}, expected a list with a text for each call")
        if len(self.outputs) != calls:
            raise ValueError(f"{len(self.outputs)} outputs for {calls} calls")
        answer: dict[str, Any] = {
            "outputs": [str(output) for output in self.outputs],
            "rewards": finite(self.rewards),
            "done": truth("done", self.done),
        }
        if self.message is not None:
            answer["message"] = str(self.message)
        if self.correct is not None:
            answer["correct"] = truth("correct", self.correct)
        return answer


def is_whole(number: Any) -> bool:
    # Integers of numpy are whole numbers too.
    return hasattr(number, "__index__") and not isinstance(number, bool) and number >= 0


def is_message(message: Any) -> bool:
    return (isinstance(message, dict) and message.get("role") in ("system", "user", "assistant", "tool")
            and isinstance(message.get("content"), str))


def truth(key: str, value: Any) -> bool:
    """Returns a truth value. A text such as "no" is none."""
    if isinstance(value, str) and value:
        raise TypeError(f"{key} is {value!r}, expected True or False")
    return bool(value)


def finite(rewards: dict[str, float]) -> dict[str, float]:
    """Returns the rewards as numbers. Refuses names and numbers that turnwise refuses."""
    if not hasattr(rewards, "items"):
        raise TypeError(f"the rewards are {rewards!r}, expected a dict from names to numbers")
    if len(rewards) > 64:
        raise ValueError(f"{len(rewards)} rewards in a turn, at most 64 names are taken")
    for name, reward in rewards.items():
        text = str(name)
        if not 1 <= len(text.encode()) <= 64 or any(unicodedata.category(char) == "Cc" for char in text):
            raise ValueError(f"the reward {text[:64]!r}: a name has 1 to 64 bytes and no control characters")
        if text == "fmt":
            raise ValueError("the reward 'fmt' is turnwise's own, for the format of a turn: choose another name")
        # Numbers of numpy and torch are numbers too.
        if not hasattr(reward, "__float__"):
            raise TypeError(f"the reward {name!r} is {reward!r}, expected a number")
        if not -1e100 <= reward <= 1e100:
            raise ValueError(f"the reward {name!r} is {reward}, expected a number from -1e100 to 1e100")
        # A sum of tenths may be above 1 by rounding.
        if name == "acc" and not -1e-9 <= reward <= 1 + 1e-9:
            expected = "expected a grade from 0 to 1; other names take any number"
            raise ValueError(f"the reward 'acc' is {reward}, {expected}")
    return {str(name): float(reward) for name, reward in rewards.items()}


def expect(kind: str, answer: Any, method: str) -> Any:
    """Returns what a method returned, if it is of this kind."""
    if not hasattr(answer, "answer"):
        got = "nothing" if answer is None else f"a {type(answer).__name__}"
        raise TypeError(f"{method} returned {got}, expected a turnwise_env.{kind}")
    return answer


class Env:
    """Holds one trajectory of one task. Subclasses write `reset` and `step`."""

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
        """Takes a turn: its text, its calls as `{"name", "arguments"}`, and a count of malformed calls."""
        raise NotImplementedError

    def close(self) -> Optional[dict[str, float]]:
        """Ends the trajectory. Returns rewards that are added to those of the last turn, if there are any."""
        return None


class Server:
    """Answers requests, one line each. Several threads may answer sessions."""

    def __init__(self, env: Callable[[], Env]) -> None:
        self.env = env
        self.sessions: dict[str, Env] = {}
        self.methods = {
            "describe": self.on_describe, "reset": self.on_reset, "step": self.on_step, "close": self.on_close,
        }
        # Made once, because `json.dumps` with options makes one per call.
        self.encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

    def on_describe(self, _: dict[str, Any]) -> dict[str, Any]:
        env = self.env()
        for split in ("train", "held_out"):
            if not is_whole(getattr(env, split)):
                raise TypeError(f"{split} is {getattr(env, split)!r}, expected a whole number, 0 or more")
        answer = {"train": int(env.train), "held_out": int(env.held_out), "tools": env.tools}
        # A class need not be derived from `Env`.
        more = {name: getattr(env, name, None) for name in ("builtin", "system")}
        return {**answer, **{name: value for name, value in more.items() if value is not None}}

    def on_reset(self, request: dict[str, Any]) -> dict[str, Any]:
        session, env = request["session"], self.env()
        if session in self.sessions:
            raise ValueError(f"the session {session!r} is open already")
        task = env.reset(request["split"], request["index"], request["seed"])
        answer = expect("Task", task, "reset").answer()
        self.sessions[session] = env
        return answer

    def on_step(self, request: dict[str, Any]) -> dict[str, Any]:
        env = self.sessions.get(request["session"])
        if env is None:
            raise ValueError(f"no session {request['session']!r} is open")
        calls = request["calls"]
        env.truncated = request.get("truncated", False)
        env.builtin_calls = request.get("builtin", [])
        step = env.step(request["text"], calls, request["malformed"])
        return expect("Step", step, "step").answer(len(calls))

    def on_close(self, request: dict[str, Any]) -> dict[str, Any]:
        env = self.sessions.pop(request["session"], None)
        close = getattr(env, "close", None)
        rewards = close() if close is not None else None
        return {"rewards": finite(rewards)} if rewards else {}

    def line(self, line: str) -> str:
        """Returns the answer to a request, without the end of its line."""
        request = json.loads(line)
        try:
            method = self.methods.get(request["method"])
            if method is None:
                raise ValueError(f"unknown method {request['method']!r}")
            return self.encode({"id": request["id"], "result": method(request)})
        except Exception as error:  # the session's fault; the others go on
            traceback.print_exc()
            return self.encode({"id": request["id"], "error": {"message": f"{type(error).__name__}: {error}"}})

    def serve(self, requests: int, answers: int, threads: int = 1) -> None:
        """Answers the lines of a file descriptor on another one until they end."""
        lock = threading.Lock()

        def write(lines: list[str]) -> None:
            # A lone surrogate has no UTF-8.
            data = memoryview(("\n".join(lines) + "\n").encode("utf-8", "replace"))
            with lock:
                while data:
                    data = data[os.write(answers, data):]

        if threads == 1:
            for burst in bursts(requests):
                done: list[str] = []
                began = time.monotonic()
                for line in burst:
                    done.append(self.line(line))
                    # Answers of quick steps are written together, and none waits for a slow one.
                    if time.monotonic() - began > 0.001:
                        write(done)
                        done, began = [], time.monotonic()
                if done:
                    write(done)
            return
        with ThreadPoolExecutor(threads) as pool:
            for burst in bursts(requests):
                for line in burst:
                    pool.submit(lambda line: write([self.line(line)]), line)


def bursts(descriptor: int) -> Iterator[list[str]]:
    """Yields the lines of a file descriptor, in lists of those that arrive together."""
    rest = b""
    while chunk := os.read(descriptor, 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield [line.decode() for line in lines if line.strip()]


def properties(tool: dict[str, Any]) -> dict[str, Any]:
    """Returns the schemas of a tool's arguments, by name."""
    return tool.get("function", tool).get("parameters", {}).get("properties", {})


def arguments(tool: dict[str, Any]) -> dict[str, Any]:
    """Returns arguments of the types that a tool's schema names."""
    of_type = {"integer": 1, "number": 0.5, "boolean": True, "array": [], "object": {}, "null": None}

    def example(schema: dict[str, Any]) -> Any:
        return schema["enum"][0] if schema.get("enum") else of_type.get(str(schema.get("type")), "a")

    return {name: example(schema) for name, schema in properties(tool).items()}


def check(env: Callable[[], Env], tasks: int = 8) -> None:
    """Plays the first tasks of each split twice, alike.

    Raises `AssertionError` where the answers differ, and where one is an exception of the environment.
    """
    server = Server(env)
    described = server.on_describe({})
    names = [tool.get("function", tool)["name"] for tool in described["tools"]]
    assert len(set(names)) == len(names), f"two tools have one name: {', '.join(sorted(names))}"
    for name, spec in zip(names, described["tools"]):
        for argument, schema in properties(spec).items():
            kinds = schema.get("type", "string")
            for kind in kinds if isinstance(kinds, list) else [kinds]:
                assert kind in TYPES, f"tool {name!r}: the type of {argument!r} is {kind!r}, no type of JSON schema"
    assert set(described.get("builtin", [])) <= {"python"}, f"builtin is {described['builtin']}: there is 'python' only"
    assert isinstance(described.get("system", ""), str), f"system is {described['system']!r}, expected a text"
    ids: dict[str, str] = {}
    calls = [{"name": tool.get("function", tool)["name"], "arguments": arguments(tool)}
             for tool in described["tools"]]
    told: list[dict[str, Any]] = [{"method": "step", "text": "A call.", "calls": [call], "malformed": 0}
                                  for call in calls]
    told.append({"method": "step", "text": "An answer.", "calls": [], "malformed": 0})
    assert described["train"] or described["held_out"], "no tasks: train and held_out are 0"
    for split in ("train", "held_out"):
        for index in range(min(tasks, described[split])):
            grade = 0.0

            def both(request: dict[str, Any]) -> Any:
                lines = [json.dumps({"id": 1, "session": name, **request}) for name in ("a", "b")]
                first, again = (server.line(line) for line in lines)
                assert first == again, f"{split} {index}, {request}: two answers:\n  {first}\n  {again}"
                answer = json.loads(first)
                assert "error" not in answer, f"{split} {index}, {request}: {answer['error']['message']}"
                result = answer["result"]
                nonlocal grade
                grade += result.get("rewards", {}).get("acc", 0.0)
                # A sum of tenths may be above 1 by rounding.
                assert grade <= 1 + 1e-9, (
                    f"{split} {index}, {request}: the rewards 'acc' of a trajectory add up to {grade}, "
                    "and a grade is at most 1; other names take any number"
                )
                return result

            # A run may read a task, and close it unplayed.
            both({"method": "reset", "split": split, "index": index, "seed": 1 + index})
            both({"method": "close"})
            grade = 0.0
            task = both({"method": "reset", "split": split, "index": index, "seed": 1 + index})["task"]
            assert task not in ids, f"{split} {index} has the id {task!r}, which {ids[task]} has too"
            ids[task] = f"{split} {index}"
            for request in told:
                if both(request)["done"]:
                    break
            both({"method": "close"})
    print(f"{described['train']} tasks to train on, {described['held_out']} held out, "
          f"{len(described['tools'])} tools: equal tasks get equal answers", file=sys.stderr)


def serve(env: Callable[[], Env], threads: int = 1) -> None:
    """Answers requests from stdin on stdout until stdin ends. Output of the environment goes to stderr.

    With `threads`, sessions whose steps wait for something (a server, a model) wait at the same time. Each
    session is in one thread at a time.
    """
    if "--check" in sys.argv[1:]:
        return check(env)
    requests, answers = os.dup(0), os.dup(1)
    # Neither programs nor libraries read requests or write between answers.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    Server(env).serve(requests, answers, threads)
