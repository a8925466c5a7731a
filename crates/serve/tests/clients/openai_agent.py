"""An agent with the openai package: a tool, two turns, in chat completions and in responses, whole and streamed.

Prints the last text of each session. The base URL is the only argument.
"""

import json
import sys

from openai import BadRequestError, OpenAI

PARAMETERS = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
FUNCTION = {"name": "double", "description": "Doubles.", "parameters": PARAMETERS}


def client(session):
    return OpenAI(base_url=sys.argv[1], api_key=session, max_retries=0)


def double(arguments):
    return str(2 * json.loads(arguments)["x"])


def chat(ask, session):
    api = client(session)
    messages = [{"role": "user", "content": "Twice 2?"}]
    tools = [{"type": "function", "function": FUNCTION}]
    while True:
        message = ask(api, messages, tools)
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            return message.content
        for call in message.tool_calls:
            content = double(call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})


def chat_whole(api, messages, tools):
    answer = api.chat.completions.create(
        model="tiny", messages=messages, tools=tools, logprobs=True, extra_body={"return_token_ids": True}
    )
    choice = answer.choices[0]
    assert len(choice.logprobs.content) == len(choice.model_extra["token_ids"]) == answer.usage.completion_tokens
    assert len(answer.model_extra["prompt_token_ids"]) == answer.usage.prompt_tokens
    return choice.message


def chat_streamed(api, messages, tools):
    with api.chat.completions.stream(model="tiny", messages=messages, tools=tools) as stream:
        for _ in stream:
            pass
        message = stream.get_final_completion().choices[0].message
    for call in message.tool_calls or []:
        # The helper of the package adds keys that are no part of the protocol.
        call.function.parsed_arguments = None
    message.parsed = None
    return message


def responses(ask, session):
    api = client(session)
    items = [{"role": "user", "content": "Twice 2?"}]
    tools = [{"type": "function", "strict": True, **FUNCTION}]
    while True:
        response = ask(api, items, tools)
        assert response.status == "completed" and response.usage.output_tokens > 0
        items += [item.model_dump(exclude_none=True) for item in response.output]
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return response.output_text
        for call in calls:
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": double(call.arguments)})


def responses_whole(api, items, tools):
    return api.responses.create(model="tiny", input=items, tools=tools, instructions="Be short.")


def responses_streamed(api, items, tools):
    text, last = "", None
    for event in api.responses.create(model="tiny", input=items, tools=tools, instructions="Be short.", stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        last = event
    assert last.type == "response.completed" and last.response.output_text == text
    return last.response


print(client("listing").models.list().data[0].id)
print(chat(chat_whole, "chat"))
print(chat(chat_streamed, "chat-streamed"))
print(responses(responses_whole, "responses"))
print(responses(responses_streamed, "responses-streamed"))
try:
    client("refused").chat.completions.create(model="tiny", messages=[], presence_penalty=1.0)
except BadRequestError as error:
    print(error.code, error.param)
