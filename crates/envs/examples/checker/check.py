"""Checks answers: a line of JSON in, a line of JSON out, until stdin ends. Nothing else may be printed to stdout."""
import json
import sys


def letters(text):
    return sorted(c for c in text.lower() if c.isalpha())


for line in sys.stdin:
    asked = json.loads(line)
    given = asked["given"].rpartition("Answer:")[2].strip()
    # An anagram has the same letters, and isn't the word itself.
    correct = letters(given) == letters(asked["answer"]) and given.lower() != asked["answer"].lower()
    print(json.dumps({"correct": correct}), flush=True)
