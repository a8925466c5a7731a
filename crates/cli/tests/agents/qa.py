"""Plays a question as [env.qa] does: the same messages, tool and judge."""
import json
import os
import re
import subprocess
import tempfile

from endpoint import PYTHON, chat, end, task

BINARY = os.environ["TURNWISE"]


def turnwise(arguments, stdin):
    done = subprocess.run([BINARY, *arguments], input=stdin, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def run(code):
    """Returns what the model reads of a program."""
    ran = turnwise(["exec"], code)
    lines = [ran["stdout"].rstrip("\n")] if ran["stdout"].rstrip("\n") else []
    lines += [ran[key] for key in ("value", "error") if ran[key] is not None]
    return "\n".join(lines) if lines else "[no output]"


def malformed(text):
    """Returns what the model reads of the calls that are none."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as tools:
        json.dump([PYTHON], tools)
        tools.flush()
        found = turnwise(["parse", "--format", "fenced_python", "--tools", tools.name], text)
    return ["Invalid tool call: " + call["message"] for call in found["calls"] if not call["ok"]]


def play(question, answer):
    messages = [{"role": "user", "content": question}]
    while True:
        # Settings of sampling are the run's.
        choice = chat(messages, tools=[PYTHON], temperature=0.1, seed=5)
        if choice is None or choice["finish_reason"] == "length":
            return False
        message = choice["message"]
        messages.append(message)
        outputs = [("none", text) for text in malformed(message.get("content") or "")]
        for call in message.get("tool_calls") or []:
            outputs.append((call["id"], run(json.loads(call["function"]["arguments"])["code"])))
        if not outputs:
            said = re.search(r"Answer:\s*(-?\d+)\s*$", message["content"])
            return said is not None and said[1] == answer
        messages += [{"role": "tool", "tool_call_id": id, "content": text} for id, text in outputs]


of = task()
end(float(play(of["question"], of["answer"])))
