"""Asks a sub-agent under its own limit, and another one after it, beside its conversation."""
from endpoint import chat, end, task

of = task()
chat([{"role": "user", "content": of["question"]}])
chat([{"role": "user", "content": of["sub"]}], max_tokens=2)
chat([{"role": "user", "content": "5+6"}], stop=[*"0123456789", "\n"])
end(1.0, turn_rewards=[{}, {"sub": 0.25}])
