"""An agent with the openai package and two tools. It is worth more if it answers soon."""
import json
import os

from openai import BadRequestError, OpenAI

client = OpenAI()
TOOLS = {
    "python": ("Runs Python.", "code"),
    "search": ("Searches the web.", "query"),
}
tools = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": text,
            "parameters": {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]},
        },
    }
    for name, (text, key) in TOOLS.items()
]


def run(call):
    if call.function.name != "python":
        return "no result"
    # Only what the model is known to write.
    return str(sum(ord(letter) for letter in call.function.arguments) % 100)


messages = [{"role": "user", "content": json.loads(os.environ["TURNWISE_TASK"])["question"]}]
asked = 0
try:
    while asked < 4:
        asked += 1
        answer = client.chat.completions.create(model="tiny", messages=messages, tools=tools)
        message = answer.choices[0].message
        if not message.tool_calls:
            break
        messages.append(message)
        for call in message.tool_calls:
            messages.append({"role": "tool", "tool_call_id": call.id, "content": run(call)})
except BadRequestError as refused:
    print(refused.code)
print(json.dumps({"rewards": {"acc": 1.0 if asked == 1 else 0.0}}))
