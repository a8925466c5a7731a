"""Agents of smolagents that call tools, and that write code. Their prompts are short, as the tiny model reads
512 tokens. The test takes the module `exact` from docs/agent-clients.md."""

import copy

from smolagents import AgentError, CodeAgent, LogLevel, OpenAIModel, ToolCallingAgent, tool
from smolagents.agents import EMPTY_PROMPT_TEMPLATES

from exact import Exact
from session import TOKENS, URL, done, run, sessions

PROMPTS = copy.deepcopy(EMPTY_PROMPT_TEMPLATES)
PROMPTS["system_prompt"] = "{{custom_instructions}}"
# The question after the last step keeps the system message. By default it has another one.
PROMPTS["final_answer"] = {"pre_messages": "Compute.", "post_messages": "{{task}}"}
calls = []


@tool
def python(code: str) -> str:
    """Runs Python.

    Args:
        code: the program
    """
    calls.append(code)
    return run(code)


def play(agent, session, question):
    calls.clear()
    try:
        agent.run(question)
    except AgentError as error:
        # Its messages about mistakes are longer than what the tiny model can read.
        assert "context" in str(error), error
    steps = sum(bool(getattr(step, "tool_calls", None)) for step in agent.memory.steps)
    done(session, max(len(calls), steps))


def calls_tools(model, **settings):
    agent = ToolCallingAgent([python], model, **{**COMMON, **settings})
    # Blocks of Python call no other tool. An answer without a call is the final one here.
    agent.tools.pop("final_answer")
    return agent


def model(kind, session):
    client = {"max_retries": 0}
    return kind("tiny", api_base=URL, api_key=session, client_kwargs=client, max_tokens=TOKENS)


COMMON = {"prompt_templates": PROMPTS, "instructions": "Compute.", "max_steps": 3, "verbosity_level": LogLevel.OFF}
for nth, (session, question) in enumerate(sessions("calls")):
    play(calls_tools(model(OpenAIModel, session), stream_outputs=nth % 2 == 1), session, question)
for name, kind in [("code", OpenAIModel), ("exact", Exact)]:
    for session, question in sessions(name):
        play(CodeAgent([], model(kind, session), code_block_tags="markdown", **COMMON), session, question)
for session, question in sessions("exact-calls"):
    # Its memory leaves out an answer without text that is no call, which the third of a session may be.
    play(calls_tools(model(Exact, session), max_steps=2), session, question)
