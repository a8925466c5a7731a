"""Does what its task says: a program may crash, hang, fork, print rubbish or ask for nothing."""
import json
import os
import subprocess
import sys
import time

from endpoint import chat, end, post, task

of = task()
what = of["what"]
if what != "silent":
    chat([{"role": "user", "content": of["question"]}], max_tokens=8)
if what == "crash":
    print("it crashes", file=sys.stderr)
    print("with the key", os.environ["OPENAI_API_KEY"], file=sys.stderr)
    sys.exit(3)
if what == "killed":
    os.kill(os.getpid(), 9)
if what == "hang":
    time.sleep(600)
if what == "fork":
    child = subprocess.Popen(["sleep", "600"])
    with open(of["pid"], "a") as pids:
        print(child.pid, file=pids)
if what == "rubbish":
    sys.stdout.buffer.write(b"\xff\xfe{\"rewards\": \n" * 100_000)
    sys.exit(0)
if what == "wrong":
    key = os.environ["OPENAI_API_KEY"]
    print(json.dumps({"rewards": {"acc": "much", key: 1}}))
    sys.exit(0)
if what == "posted":
    key = os.environ["OPENAI_API_KEY"]
    status, _ = post(f"/sessions/{key}/reward", {"rewards": {"acc": 0.5}, "done": True})
    print("status", status, "of", key)
    sys.exit(0)
if what == "nan":
    key = os.environ["OPENAI_API_KEY"]
    post(f"/sessions/{key}/reward", {"rewards": {"progress": 0.5}})
    print(json.dumps({"rewards": {"acc": float("nan")}}))
    sys.exit(0)
if what == "endless":
    messages = [{"role": "user", "content": of["question"]}]
    while choice := chat(messages, max_tokens=4):
        messages += [choice["message"], {"role": "user", "content": "1+1"}]
    sys.exit(1)
end(float(len(of["question"]) % 2), turn_rewards=[{"progress": 0.25}])
