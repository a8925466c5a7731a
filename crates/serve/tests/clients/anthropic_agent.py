"""An agent with the anthropic package: a tool, two turns, whole and streamed.

Prints the last text of each session. The address without /v1 is the only argument.
"""

import sys

from anthropic import Anthropic, BadRequestError

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
TOOLS = [{"name": "double", "description": "Doubles.", "input_schema": SCHEMA}]


def client(session):
    return Anthropic(base_url=sys.argv[1], api_key=session, max_retries=0)


def whole(api, messages):
    return api.messages.create(
        model="tiny", max_tokens=200, system="Be short.", messages=messages, tools=TOOLS,
        extra_body={"return_token_ids": True},
    )


def streamed(api, messages):
    with api.messages.stream(model="tiny", max_tokens=200, system="Be short.", messages=messages, tools=TOOLS) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == "".join(block.text for block in message.content if block.type == "text")
    return message


def agent(ask, session):
    api = client(session)
    messages = [{"role": "user", "content": "Twice 2?"}]
    while True:
        message = ask(api, messages)
        assert message.usage.output_tokens > 0 and message.usage.input_tokens > 0
        messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]})
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            assert message.stop_reason == "end_turn"
            return message.content[0].text
        assert message.stop_reason == "tool_use"
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": str(2 * call.input["x"])} for call in calls]
        messages.append({"role": "user", "content": results})


print(agent(whole, "messages"))
print(agent(streamed, "messages-streamed"))
try:
    client("refused").messages.create(model="tiny", max_tokens=9, messages=[{"role": "user", "content": "?"}], thinking={"type": "enabled", "budget_tokens": 1024})
except BadRequestError as error:
    print(error.body["error"]["type"])
