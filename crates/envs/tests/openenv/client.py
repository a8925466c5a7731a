"""Plays a seed with the library's own client: client.py URL SEED GUESS... prints what it is told."""

import json
import sys

from openenv.core.generic_client import GenericEnvClient

url, seed, *guesses = sys.argv[1:]
with GenericEnvClient(base_url=url).sync() as env:
    begun = env.reset(seed=int(seed))
    print(json.dumps({"prompt": begun.observation["prompt"]}))
    for n in guesses:
        call = {"type": "call_tool", "tool_name": "guess", "arguments": {"n": int(n)}}
        told = env.step(call)
        said = told.observation["result"]["data"]
        print(json.dumps({"said": said, "reward": told.reward, "done": told.done}))
