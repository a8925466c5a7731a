"""Agents of openai-agents, through chat completions and through responses, whole and streamed."""

import asyncio

from agents import (
    Agent,
    MaxTurnsExceeded,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

from session import TOKENS, TURNS, URL, done, run, sessions


async def play(model, session, question, streamed):
    calls = []

    @function_tool
    def python(code: str) -> str:
        """Runs Python."""
        calls.append(code)
        return run(code)

    client = AsyncOpenAI(base_url=URL, api_key=session, max_retries=0)
    settings = ModelSettings(max_tokens=TOKENS)
    agent = Agent(name="sums", model=model("tiny", client), tools=[python], model_settings=settings)
    try:
        if streamed:
            result = Runner.run_streamed(agent, question, max_turns=TURNS)
            async for _ in result.stream_events():
                pass
        else:
            await Runner.run(agent, question, max_turns=TURNS)
    except MaxTurnsExceeded:
        pass
    await client.close()
    done(session, len(calls))


set_tracing_disabled(True)
for kind, model in [("chat", OpenAIChatCompletionsModel), ("responses", OpenAIResponsesModel)]:
    for nth, (session, question) in enumerate(sessions(kind)):
        asyncio.run(play(model, session, question, streamed=nth % 2 == 1))
