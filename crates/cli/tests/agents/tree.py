"""Asks for several things at once, rewrites its history, and answers in the end."""
from endpoint import at_once, chat, end, task

question = task()["question"]
main = [{"role": "user", "content": question}]
plan = chat(main, max_tokens=12)["message"]
parts = [[{"role": "user", "content": f"{question}+{part}"}] for part in range(3)]
found = [choice["message"]["content"] for choice in at_once(parts, max_tokens=12)]
again = chat([*main, plan, {"role": "user", "content": "2+3"}], max_tokens=12)["message"]
# Its own words, but not the model's.
edited = [*main, {"role": "assistant", "content": "as I said"}, {"role": "user", "content": "4+5"}]
last = chat(edited, max_tokens=12)["message"]
end(len(found[0] + last["content"]) % 5 / 4)
