"""Questions over your own documents, with a search over them (SQLite's full-text index).

    command = ["python3", "search.py", "documents/", "questions.jsonl"]

Documents are the `.txt` and `.md` files of a folder; a paragraph is what a search finds. Questions are lines
`{"question": "…", "answer": "…"}`, every tenth of which is held out. The first search that finds a paragraph
with the answer in it earns `found`, and the answer itself `acc`.
"""

import json
import re
import sqlite3
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "python"))

import turnwise_env
from turnwise_env import Step, Task, tool

FOLDER, QUESTIONS = Path(sys.argv[1]), Path(sys.argv[2])
RESULTS = 3


def index(folder):
    """Returns a database with the paragraphs of a folder's documents."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE paragraphs USING fts5(document UNINDEXED, text)")
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".txt", ".md"):
            parts = re.split(r"\n\s*\n", path.read_text(encoding="utf-8"))
            rows = [(str(path.relative_to(folder)), part.strip()) for part in parts if part.strip()]
            database.executemany("INSERT INTO paragraphs VALUES (?, ?)", rows)
    return database


DATABASE = index(FOLDER)
LINES = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines() if line.strip()]
SPLITS = {"train": [line for at, line in enumerate(LINES) if at % 10 != 9], "held_out": LINES[9::10]}


def search(query):
    """Returns the best paragraphs, each after the name of its document."""
    # Words only: a model's query isn't in FTS5's language.
    words = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", query))
    if not words:
        return []
    order = "SELECT document, text FROM paragraphs WHERE paragraphs MATCH ? ORDER BY rank, rowid LIMIT ?"
    return [f"{document}: {text}" for document, text in DATABASE.execute(order, (words, RESULTS))]


def plain(text):
    return " ".join(re.findall(r"\w+", text.casefold()))


class Search(turnwise_env.Env):
    train, held_out = len(SPLITS["train"]), len(SPLITS["held_out"])
    tools = [tool("search", "Searches the documents for words.", query="string")]
    system = "Search the documents, and end with `Answer: ` and the answer alone."

    def reset(self, split, index, seed):
        self.task, self.found = SPLITS[split][index], False
        return Task(f"search/{split}/{index}", self.task["question"])

    def step(self, text, calls, malformed):
        if not calls:
            given = plain(text.rpartition("Answer:")[2])
            return Step([], {"acc": float(given == plain(self.task["answer"]))}, done=True)
        results = [search(call["arguments"]["query"]) for call in calls]
        helps = any(plain(self.task["answer"]) in plain(text) for found in results for text in found)
        first, self.found = helps and not self.found, self.found or helps
        return Step(["\n".join(found) or "nothing found" for found in results], {"found": 0.2 * first})


if __name__ == "__main__":
    turnwise_env.serve(Search)
