"""Chooses problems for E4 and E5. `parts` cuts a random sample of the training problems into files;
`choose` keeps those that the cold start solved one to seven times of eight, in their order.

python3 problems.py parts TRAIN FOLDER
python3 problems.py choose FOLDER OUT
python3 problems.py first OUT FOLDER
"""

import json
import random
import sys
from pathlib import Path

PROBLEMS, PART, FIRST, FIRST_PART = 800, 40, 64, 8


def lines(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]


def write(path, rows):
    """Writes a file whole or not at all."""
    part = Path(f"{path}.part")
    part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    part.rename(path)


def cut(rows, size, folder):
    Path(folder).mkdir(parents=True, exist_ok=True)
    for at in range(0, len(rows), size):
        write(Path(folder) / f"{at // size:03}.jsonl", rows[at:at + size])


def parts(train, folder):
    cut(random.Random(0).sample(lines(train), PROBLEMS), PART, folder)


def choose(folder, out):
    chosen = []
    for part in sorted(Path(folder).glob("???.jsonl")):
        right = {}
        for row in lines(part.with_suffix(".played.jsonl")):
            question = next(m["content"] for m in row["messages"] if m["role"] == "user")
            right.setdefault(question, []).append(row["trajectories"][0]["correct"])
        for row in lines(part):
            results = right.get(row["question"].strip(), right.get(row["question"], []))
            if 0 < sum(results) < len(results):
                chosen.append(row)
    print(f"{len(chosen)} of {PROBLEMS} problems are solved sometimes", file=sys.stderr)
    if len(chosen) < 192:
        sys.exit("fewer than 192 problems: E4 needs the fallback that experiments/README.md registers")
    write(out, chosen)


def first(out, folder):
    cut(lines(out)[:FIRST], FIRST_PART, folder)


if __name__ == "__main__":
    {"parts": parts, "choose": choose, "first": first}[sys.argv[1]](*sys.argv[2:])
