"""Answers graded by a model behind any endpoint that speaks the OpenAI chat protocol.

    command = ["python3", "grader.py", "questions.jsonl"]

The environment variables OPENAI_BASE_URL, OPENAI_API_KEY and GRADER_MODEL name the endpoint. Questions are
lines `{"question": "…", "rubric": "…"}`, every tenth of which is held out. The grade, from 0 to 1, comes at
the end of the trajectory and belongs to its last turn. A good one is `acc` as well. A server that fails is a
fault and costs no reward.
"""

import json
import os
import re
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "python"))

import turnwise_env
from turnwise_env import Step, Task

LINES = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines() if line.strip()]
# Seconds for one grade, below the run file's `timeout_seconds` (30). Raise both for a slow model.
PATIENCE = 25
SPLITS = {"train": [line for at, line in enumerate(LINES) if at % 10 != 9], "held_out": LINES[9::10]}
URL = os.environ["OPENAI_BASE_URL"].rstrip("/") + "/chat/completions"
# The grade from which on an answer is right.
GOOD = 0.8
ASKED = "Grade the answer by the rubric. Reply with a whole number from 0 to 10 and nothing else."


def grade(question, rubric, answer):
    """Returns the model's grade, from 0 to 1."""
    told = f"Question: {question}\nRubric: {rubric}\nAnswer: {answer}"
    body = {
        "model": os.environ.get("GRADER_MODEL", "grader"),
        # The same answer should get the same grade.
        "temperature": 0,
        "messages": [{"role": "system", "content": ASKED}, {"role": "user", "content": told}],
    }
    key = os.environ.get("OPENAI_API_KEY", "none")
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(URL, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        text = json.load(response)["choices"][0]["message"]["content"]
    number = re.fullmatch(r"\s*(\d+)\s*", text)
    if number is None or int(number[1]) > 10:
        raise ValueError(f"the grader said {text!r}, which is no grade")
    return int(number[1]) / 10


class Graded(turnwise_env.Env):
    train, held_out = len(SPLITS["train"]), len(SPLITS["held_out"])

    def reset(self, split, index, seed):
        self.task, self.said = SPLITS[split][index], None
        return Task(f"graded/{split}/{index}", self.task["question"])

    def step(self, text, calls, malformed):
        self.said = text
        return Step(done=True)

    def close(self):
        if self.said is None:
            return None  # no turn was played, and a grade would cost a request
        found = grade(self.task["question"], self.task["rubric"], self.said)
        return {"grade": found, "acc": float(found >= GOOD)}


if __name__ == "__main__":
    # Sessions wait for the endpoint at the same time.
    turnwise_env.serve(Graded, threads=16)
