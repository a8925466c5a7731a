"""An agent with the openai package and two tools, which go left and right. It is worth more at the right."""
import json
import os

from openai import OpenAI

client = OpenAI()
STEPS = {"left": -1, "right": 1}
nothing = {"type": "object", "properties": {}}
tools = [{"type": "function", "function": {"name": name, "parameters": nothing}} for name in STEPS]
messages = [{"role": "user", "content": json.loads(os.environ["TURNWISE_TASK"])["question"]}]
place, called = 0, {name: 0 for name in STEPS}
for _ in range(3):
    message = client.chat.completions.create(model="any", messages=messages, tools=tools).choices[0].message
    messages.append(message)
    if not message.tool_calls:
        break
    for call in message.tool_calls:
        # A model may call what isn't there.
        place += STEPS.get(call.function.name, 0)
        called[call.function.name] = called.get(call.function.name, 0) + 1
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "ok"})
print("called", json.dumps(called))
print(json.dumps({"rewards": {"acc": float(place > 0)}}))
