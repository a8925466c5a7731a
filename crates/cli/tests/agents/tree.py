"""Asks for several things at once, rewrites its history, and answers in the end."""
from concurrent.futures import ThreadPoolExecutor

from endpoint import chat, end, task

question = task()["question"]
main = [{"role": "user", "content": question}]
plan = chat(main, max_tokens=12)["message"]
parts = [[{"role": "user", "content": f"{question}+{part}"}] for part in range(3)]
with ThreadPoolExecutor() as threads:
    found = list(threads.map(lambda part: chat(part, max_tokens=12)["message"]["content"], parts))
again = chat([*main, plan, {"role": "user", "content": "2+3"}], max_tokens=12)["message"]
# Its own words, but not the model's.
edited = [*main, {"role": "assistant", "content": "as I said"}, {"role": "user", "content": "4+5"}]
last = chat(edited, max_tokens=12)["message"]
end(float(len(found[0]) > len(last["content"])))
