"""Asks the endpoint of a trajectory, with the standard library alone."""
import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request

PYTHON = {
    "type": "function",
    "function": {
        "name": "python",
        "description": "Runs Python and returns what it prints.",
        "parameters": {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]},
    },
}


def task():
    return json.loads(os.environ["TURNWISE_TASK"])


def post(path, body):
    """Returns the status and the answer."""
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + path,
        data=json.dumps(body).encode(),
        headers={"authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def chat(messages, **more):
    """Returns the choice of a chat completion, or none if a limit refused it."""
    status, answer = post("/chat/completions", {"model": "tiny", "messages": messages, **more})
    if status == 400 and answer["error"]["code"] in ("turn_limit", "context_length_exceeded"):
        return None
    assert status == 200, answer
    return answer["choices"][0]


def at_once(conversations, **more):
    """Returns the choices of chat completions that are open at once: every head is sent before any body."""
    address = urllib.parse.urlsplit(os.environ["OPENAI_BASE_URL"])
    opened = []
    for messages in conversations:
        body = json.dumps({"model": "tiny", "messages": messages, **more}).encode()
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=120)
        connection.putrequest("POST", address.path + "/chat/completions")
        connection.putheader("authorization", "Bearer " + os.environ["OPENAI_API_KEY"])
        connection.putheader("content-length", str(len(body)))
        connection.endheaders()
        opened.append((connection, body))
    for connection, body in opened:
        connection.send(body)
    return [json.load(connection.getresponse())["choices"][0] for connection, _ in opened]


def end(acc, **more):
    print(json.dumps({"rewards": {"acc": acc}, **more}))
