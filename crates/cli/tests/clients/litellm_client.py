"""An agent with litellm, through OpenAI's chat completions and Anthropic's messages, whole and streamed."""

import json
import os

# The package asks the network for prices when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

from session import FUNCTION, TOKENS, TURNS, URL, done, run, sessions

TOOLS = [{"type": "function", "function": FUNCTION}]


def ask(model, base, session, messages, streamed):
    request = {"model": model, "api_base": base, "api_key": session, "max_retries": 0}
    answer = litellm.completion(messages=messages, tools=TOOLS, max_tokens=TOKENS, stream=streamed, **request)
    return litellm.stream_chunk_builder(list(answer), messages=messages) if streamed else answer


def play(model, base, session, question, streamed):
    messages, calls = [{"role": "user", "content": question}], 0
    for _ in range(TURNS):
        message = ask(model, base, session, messages, streamed).choices[0].message
        messages.append(message)
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            calls += 1
            content = run(json.loads(call.function.arguments)["code"])
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
    done(session, calls)


ANTHROPIC = URL.removesuffix("/v1")
for kind, model, base in [("openai", "openai/tiny", URL), ("anthropic", "anthropic/tiny", ANTHROPIC)]:
    for nth, (session, question) in enumerate(sessions(kind)):
        play(model, base, session, question, streamed=nth % 2 == 1)
