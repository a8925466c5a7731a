"""Names the sessions of a client, answers the calls of the tiny model, and gives each session its reward.

`OPENAI_BASE_URL` names the server.
"""

import json
import os
import re
import urllib.request

URL = os.environ["OPENAI_BASE_URL"]
QUESTIONS = ["12+3-4", "9+8*3", "25+17-6", "40-(8+9)"]
PYTHON = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}
FUNCTION = {"name": "python", "description": "Runs Python.", "parameters": PYTHON}
TURNS = 4
TOKENS = 48


def sessions(kind):
    """Returns a session and a question for each conversation of this kind."""
    return [(f"{kind}-{nth}", question) for nth, question in enumerate(QUESTIONS)]


def run(code):
    """Returns the value of one sum, which is all that the model is known to write."""
    told = re.fullmatch(r"print\(([\d+*() -]+)\)\s*", code)
    try:
        return str(eval(told[1])) if told else "no result"
    except (SyntaxError, TypeError):
        return "no result"


def done(session, calls):
    """Rewards the session's last call with the number of calls that were run, and ends it."""
    body = json.dumps({"rewards": {"calls": calls}, "done": True}).encode()
    request = urllib.request.Request(f"{URL}/sessions/{session}/reward", data=body)
    with urllib.request.urlopen(request) as answer:
        answer.read()
