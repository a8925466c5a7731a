"""Writes expected.jsonl: every conversation through every template, rendered by transformers.

    pip install -r requirements.txt && python make.py

The templates are written for this test. They give the wire formats that public models use and are built from the same
parts of Jinja. `python make.py TEMPLATES OUT` renders other templates to another file.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

from transformers.utils import chat_template_utils

here = Path(__file__).parent
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}


class Frozen(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 12, 30, 23, 59, 59)


chat_template_utils.datetime = Frozen


def render(source, case):
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            conversations=[case["messages"]],
            tools=case.get("tools"),
            documents=case.get("documents"),
            chat_template=source,
            add_generation_prompt=case.get("add_generation_prompt", False),
            **TOKENS,
        )
        return {"text": texts[0]}
    except Exception as error:
        # Refusals of a template are part of its contract. Mistakes are told in other words by other engines.
        refused = type(error).__name__ == "TemplateError"
        return {"refused": str(error)} if refused else {"fails": type(error).__name__}


def main(templates=here / "templates", out=here / "expected.jsonl"):
    cases = json.loads((here / "conversations.json").read_text())
    lines = []
    for path in sorted(Path(templates).glob("*.jinja")):
        for case in cases:
            line = {"template": path.stem, "case": case["name"], **render(path.read_text(), case)}
            lines.append(json.dumps(line, ensure_ascii=False))
    Path(out).write_text("\n".join(lines) + "\n")


main(*sys.argv[1:])
