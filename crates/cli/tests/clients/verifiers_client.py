"""verifiers plays its environment of sums: its own program asks for turns, through its own proxy."""

import asyncio
import os

import verifiers.v1 as vf
from verifiers_sums import Sums

from session import TOKENS, TURNS, URL, done


async def play(task):
    os.environ["SESSION"] = task.data.id
    config = vf.AgentConfig(
        harness={"id": "null"},
        runtime={"type": "subprocess"},
        model="tiny",
        client=vf.EvalClientConfig(base_url=URL, api_key_var="SESSION"),
        sampling={"max_tokens": TOKENS},
        max_turns=TURNS,
    )
    trace = await vf.make_agent(config).run(task)
    assert not trace.errors, trace.errors
    done(task.data.id, trace.reward)


for task in Sums(vf.TasksetConfig(id="sums")):
    asyncio.run(play(task))
